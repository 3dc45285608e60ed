"""How a fit is to be run: its budget, its schedule, its safeguards."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from typing import Literal

from likewise.errors import DataError

PrecisionChoice = Literal["auto", "float32", "bfloat16", "probe"]

_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"(?:(?P<h>\d+(?:\.\d+)?)h)?(?:(?P<m>\d+(?:\.\d+)?)m)?(?:(?P<s>\d+(?:\.\d+)?)s?)?")


def seconds(duration: float | str) -> float:
    """A duration in seconds, from a number of seconds or a text such as `"90s"`, `"5m"`, `"1h30m"`.

    Raises
    ------
    DataError
        When it is not a duration, or not a positive one.

    Examples
    --------
    >>> seconds("5m"), seconds("1h30m"), seconds(2.5), seconds("40")
    (300.0, 5400.0, 2.5, 40.0)
    >>> seconds("soon")
    Traceback (most recent call last):
    likewise.errors.DataError: 'soon' is not a duration: write seconds, or a text such as "90s", "5m" or "1h30m".
    """
    if isinstance(duration, str):
        text = duration.strip().lower().replace(" ", "")
        match = _DURATION.fullmatch(text)
        if not match or not text:
            raise DataError(f'{duration!r} is not a duration: write seconds, or a text such as "90s", "5m" or "1h30m".')
        value = sum(_UNITS[unit] * float(amount) for unit, amount in match.groupdict().items() if amount)
    else:
        try:
            value = float(duration)
        except (TypeError, ValueError):
            raise DataError(f"{duration!r} is not a duration in seconds.") from None
    if not (math.isfinite(value) and value > 0):
        raise DataError(f"A duration must be positive and finite, not {duration!r}.")
    return value


@dataclass(frozen=True)
class Plan:
    """The settings of one fit by gradients.

    A *step* is one round in which every player takes its turn.

    Attributes
    ----------
    max_time : seconds of fitting, or None
        Setting up is not counted. A run is reproducible to the bit only where this is None.
    max_steps : int or None
    batch_size : int or None
        Records a minibatch (over all processes together); None chooses by the number of records, see `epoch_steps`.
    epoch_steps : int
        Into about so many minibatches of 64 to 1,024 records a pass through the records is then cut.
    warmup : int
        Steps over which the learning rate grows from zero; at most a tenth of the budget.
    cooldown : float
        The share of the budget over which the learning rate falls linearly to zero.
    patience : int
        Validations without improvement before the cool-down starts early; as many during it end the fit.
    tolerance : float
        What counts as an improvement there, relative to the figure (absolute below 1).
    validate_every : int or None
        Steps between validations; None chooses about an epoch.
    validation_records : int
        At most so many held-out records are used.
    clip : float
        The largest norm of a player's gradient.
    ema_decay : float
        Decay of the exponential moving average of the weights, which is what is validated and kept.
    max_rollbacks : int
        Roll-backs without an improvement between them after which the fit is given up.
    explosion : float
        How far, in the units of the loss, several losses in a row must exceed their running mean to be an explosion.
    checkpoint_seconds, checkpoint_steps : float or None, int or None
        A checkpoint is written whenever either has passed.
    device : "auto", "cpu", "cuda", "cuda:1", "mps"
    precision : "auto" (a rule from sizes and processor), "float32", "bfloat16" or "probe" (measures both)
    """

    max_time: float | None = None
    max_steps: int | None = None
    batch_size: int | None = None
    epoch_steps: int = 64
    warmup: int = 100
    cooldown: float = 0.25
    patience: int = 20
    tolerance: float = 1e-4
    validate_every: int | None = None
    validation_records: int = 4096
    clip: float = 1.0
    ema_decay: float = 0.999
    max_rollbacks: int = 4
    explosion: float = 20.0
    checkpoint_seconds: float | None = 60.0
    checkpoint_steps: int | None = None
    device: str = "auto"
    precision: PrecisionChoice = "auto"

    def __post_init__(self) -> None:
        counts = ("max_steps", "batch_size", "epoch_steps", "patience", "validate_every", "validation_records")
        for name in (*counts, "checkpoint_steps"):
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or int(value) != value or value < 1):
                raise DataError(f"{name} must be a positive whole number, not {value!r}.")
        for name in ("max_time", "clip", "explosion", "checkpoint_seconds"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise DataError(f"{name} must be positive, not {value!r}.")
        if not 0 <= self.cooldown < 1 or not 0 <= self.ema_decay < 1:
            raise DataError("cooldown and ema_decay must be at least 0 and below 1.")
        if self.precision not in ("auto", "float32", "bfloat16", "probe"):
            raise DataError(f'precision must be "auto", "float32", "bfloat16" or "probe", not {self.precision!r}.')

    def settled(self, records: int, held_out: int) -> Plan:
        """The same plan with the automatic sizes chosen, by rules that look at nothing but the numbers of records.

        Examples
        --------
        >>> plan = Plan().settled(records=30_000, held_out=3_000)
        >>> plan.batch_size, plan.validate_every
        (512, 59)
        """
        if records < 1:
            raise DataError("There are no records to learn from.")
        if held_out == 0 and self.max_time is None and self.max_steps is None:
            raise DataError("Without held-out records a fit needs max_time or max_steps to know when to stop.")
        batch = self.batch_size or min(1024, max(64, 2 ** round(math.log2(records / self.epoch_steps))))
        batch = min(batch, records)
        epoch = math.ceil(records / batch)
        return replace(self, batch_size=batch, validate_every=self.validate_every or min(250, max(25, epoch)))
