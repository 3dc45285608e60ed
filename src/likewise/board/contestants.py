"""Who takes part: families by name, estimators, and records that came from elsewhere."""

from __future__ import annotations

import copy
import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sklearn.base import clone

from likewise.board.division import Division
from likewise.board.references import REFERENCES
from likewise.board.titles import title
from likewise.domains.table import Table
from likewise.errors import DataError
from likewise.estimators.files import CIRCUMSTANCES
from likewise.estimators.generative import Generative
from likewise.estimators.taxonomy import ESTIMATORS, VARIANTS, estimator_of
from likewise.families.family import ClosedFormLearner
from likewise.families.registry import family_class

EXTERNAL = "external"
"""The family of whatever is not one of ours."""

_NAME = re.compile(r"[\w][\w .+-]{0,63}")


@dataclass(frozen=True, eq=False)
class Contestant:
    """One row of the board to be.

    Attributes
    ----------
    name : str
        Also the name of its files.
    family : str
    estimator : an estimator, or any object with `fit(records)` and `sample(n)`; None where there are only samples
    samples : records or None
    """

    name: str
    family: str
    estimator: Any = None
    samples: Any = None

    @property
    def title(self) -> str:
        """The name that people read."""
        return title(self.name, self.family)

    @property
    def ours(self) -> bool:
        """Whether it is an estimator of this library: it can be saved, and takes a budget."""
        return isinstance(self.estimator, Generative)

    @property
    def limited(self) -> bool:
        """Whether it learns step by step, so that a budget can cut its fit short, and a larger one go on with it."""
        return self.ours and not self.closed_form

    @property
    def closed_form(self) -> bool:
        """Whether it learns without gradients, so that it cannot go on with a fit that ended."""
        return self.family in ESTIMATORS and issubclass(family_class(self.family), ClosedFormLearner)


def contestants(
    families: Iterable[Any] | Mapping[str, Any] | str | None,
    samples: Mapping[str, Any] | None,
    *,
    seed: int,
    device: str,
    domain: Table,
) -> tuple[Contestant, ...]:
    """The contestants, those that no budget stops first; DataError where a name cannot be used or there is none.

    Examples
    --------
    >>> [one.name for one in contestants(["autoregressive"], None, seed=0, device="cpu", domain=Table())]
    ['autoregressive']
    """
    every = (*ESTIMATORS, *VARIANTS)
    wanted = every if families is None else [families] if isinstance(families, str) else families
    named = wanted.items() if isinstance(wanted, Mapping) and families is not None else [(None, one) for one in wanted]
    found = [_contestant(name, one, seed, device, domain) for name, one in named]
    found += [Contestant(str(name), EXTERNAL, samples=records) for name, records in (samples or {}).items()]
    if not found:
        raise DataError("There is nothing to compare: name at least one family, or give samples.")
    names, titles = [one.name for one in found], [one.title for one in found]
    for name, shown in zip(names, titles, strict=True):
        if not _NAME.fullmatch(name) or name in REFERENCES:
            raise DataError(
                f"A model on the board cannot be called {name!r}: expected letters, digits, spaces, '.', '+', '-' or "
                f"'_', and none of {', '.join(REFERENCES)}."
            )
        if names.count(name) > 1 or titles.count(shown) > 1:
            raise DataError(f"Two models are called {shown!r}: give them names, as in families={{'mine': model}}.")
    return tuple(sorted(found, key=lambda one: (one.samples is None, one.limited)))


def _contestant(name: str | None, wanted: Any, seed: int, device: str, domain: Table) -> Contestant:
    if isinstance(wanted, str):
        made = estimator_of(wanted, random_state=seed, device=device, domain=copy.deepcopy(domain))
        return Contestant(wanted if name is None else name, made.family_name, made)
    if isinstance(wanted, Generative):
        made = clone(wanted)
        if made.random_state is None:
            made.set_params(random_state=seed)
        if made.domain is None:
            made.set_params(domain=copy.deepcopy(domain))
        return Contestant(wanted.family_name if name is None else name, wanted.family_name, made)
    if hasattr(wanted, "fit") and hasattr(wanted, "sample"):
        return Contestant(type(wanted).__name__ if name is None else name, EXTERNAL, copy.deepcopy(wanted))
    raise DataError(f"{wanted!r} cannot take part: expected the name of a family, or an object with fit and sample.")


def settings_of(contestant: Contestant, division: Division) -> Mapping[str, str]:
    """What a contestant is made with, as texts: a row that was made with something else is not its own."""
    if contestant.samples is not None:
        source = division.domain.read(contestant.samples)
        digest = hashlib.sha256()
        for vector in source.vectors:
            digest.update(vector.data.tobytes() + vector.missing.tobytes() + repr(vector.levels).encode())
        return {"samples": digest.hexdigest()[:16]}
    kind = type(contestant.estimator)
    if contestant.family == EXTERNAL and not hasattr(contestant.estimator, "get_params"):
        return {"class": kind.__qualname__}
    parameters = contestant.estimator.get_params(deep=False)
    left_out = {*CIRCUMSTANCES, "max_time"} if contestant.ours else set()
    return {name: repr(value) for name, value in sorted(parameters.items()) if name not in left_out}
