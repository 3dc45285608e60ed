"""What is remembered of a fit: the training record that goes into the model, and the log that is written on the way."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO


@dataclass(frozen=True)
class Point:
    """One point of the curve: the mean loss of each player since the point before, and the validation figure."""

    step: int
    losses: dict[str, float]
    figure: float | None


@dataclass(frozen=True)
class TrainingRecord:
    """How a fit went.

    Attributes
    ----------
    steps : int
    epochs : float
        Passes over the training records.
    seconds : float
        Time of fitting, without setting up, over all runs of a resumed fit.
    best, best_step : float or None, int or None
        The lowest mean validation figure and the step of the weights kept; None without held-out records.
    stopped : "max_steps", "max_time", "plateau" or "worsening"
    curve : tuple of Point
    rollbacks : tuple of int
        The steps after which the fit went back to an earlier state.
    remarks : tuple of str
        What the family found worth telling, each with its step: that it leaves out a part of the records, say.
    device, precision, threads : where and how it was computed
    parameters : int
        The number of learned numbers.
    batch_size : int
    """

    steps: int
    epochs: float
    seconds: float
    best: float | None
    best_step: int | None
    stopped: str
    curve: tuple[Point, ...]
    rollbacks: tuple[int, ...]
    device: str
    precision: str
    threads: int
    parameters: int
    batch_size: int
    remarks: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The record as strict JSON data: numbers that are not finite become None."""
        plain: dict[str, Any] = strict(asdict(self))
        return plain

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> TrainingRecord:
        """The record that `to_json` wrote."""
        curve = tuple(Point(**point) for point in data["curve"])
        return cls(
            **{**data, "curve": curve, "rollbacks": tuple(data["rollbacks"]), "remarks": tuple(data.get("remarks", ()))}
        )


def strict(data: Any) -> Any:
    """JSON data in which every number is finite, others being None, and tuples are lists."""
    if isinstance(data, dict):
        return {str(key): strict(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [strict(value) for value in data]
    return None if isinstance(data, float) and not math.isfinite(data) else data


class TrainingLog:
    """One line of JSON an event, appended to a file as it happens; nothing at all for None."""

    def __init__(self, destination: Path | TextIO | None) -> None:
        self._owned = isinstance(destination, Path)
        self._file: TextIO | None
        if isinstance(destination, Path):
            destination.parent.mkdir(parents=True, exist_ok=True)
            self._file = destination.open("a", encoding="utf-8")
        else:
            self._file = destination

    def write(self, event: str, **facts: Any) -> None:
        if self._file is not None:
            self._file.write(json.dumps({"event": event, **strict(facts)}, allow_nan=False) + "\n")
            self._file.flush()

    def __enter__(self) -> TrainingLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._owned and self._file is not None:
            self._file.close()
