"""Fits of contestants, in one part or several, of which the folder keeps what is needed to go on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from sklearn.base import clone

from likewise.board.budget import Unit
from likewise.board.contestants import Contestant, settings_of
from likewise.board.division import Division
from likewise.board.folder import Folder
from likewise.board.halving import Hearing
from likewise.board.watching import Watcher
from likewise.domains.table.sources import write
from likewise.engine.plan import Plan, seconds
from likewise.estimators.files import load


@dataclass(frozen=True, eq=False)
class Fit:
    """A fitted model.

    Attributes
    ----------
    seconds : float
        By the clock, over all parts and runs.
    stopped : str
        Why it was stopped for the sake of others; "" where it was not.
    hearings : what it had reached on the way
    """

    model: Any
    seconds: float
    stopped: str = ""
    hearings: Sequence[Hearing] = ()


@dataclass(frozen=True, eq=False)
class Part:
    """A model fitted with a part of its budget.

    Attributes
    ----------
    limit : float or None
        What it was given in all, in the unit of the budget.
    seconds : float
        Of this part by the clock, over all runs.
    over : bool
        Whether more of the budget would change nothing.
    """

    model: Any
    limit: float | None
    seconds: float
    over: bool


def finish(
    contestant: Contestant, division: Division, folder: Folder, budget: float | None, unit: Unit, watcher: Watcher
) -> Fit:
    """The fit of a contestant to its end; what is fitted already is only read.

    Parameters
    ----------
    budget : float or None
        What it may still take.
    """
    name, model = contestant.name, contestant.estimator
    if not contestant.ours:
        watcher.stage(contestant.title, "fitting")
        start = perf_counter()
        fitted = model.fit(write(division.training.memory, division.training.vectors))
        return Fit(model if fitted is None else fitted, perf_counter() - start)
    hearings = folder.hearings(name, settings_of(contestant, division))
    found = folder.fitted(name)
    if found is None:
        limit = None if budget is None else resumed(contestant, hearings, unit) + budget
        part = fit_part(contestant, division, folder, limit, unit, hearings, watcher)
        part.model.save(folder.model(name))
        taken = part.seconds + sum(one.seconds for one in hearings)
        folder.keep_fit(name, {"fit_seconds": taken, "stopped": ""})
        return Fit(part.model, taken, hearings=hearings)
    return Fit(load(folder.model(name)), float(found["fit_seconds"]), str(found.get("stopped", "")), hearings)


def fit_part(
    contestant: Contestant,
    division: Division,
    folder: Folder,
    limit: float | None,
    unit: Unit,
    hearings: Sequence[Hearing],
    watcher: Watcher,
) -> Part:
    """Goes on with a fit, after its hearings so far, up to a limit in all."""
    model, number = clone(contestant.estimator), len(hearings) + 1
    limit = folder.limit(contestant.name, number, limit if limit is None or unit == "max_time" else round(limit))
    own = seconds(model.max_time) if unit == "max_time" and model.max_time is not None else getattr(model, unit)
    given = min((one for one in (limit, own) if one is not None), default=None)
    to_come = given - resumed(contestant, hearings, unit) if unit == "max_time" and given is not None else None
    watcher.stage(contestant.title, "fitting", to_come)
    model.set_params(**{unit: given}, checkpoint=folder.checkpoint(contestant.name), resume=True)
    start = perf_counter()
    model.fit(division.training)
    learned = float(model.training_record_.get("seconds") or 0.0)
    taken = max(perf_counter() - start, learned - (hearings[-1].learning if hearings else 0.0))
    model.set_params(checkpoint=None, resume=False)
    over = model.training_record_.get("stopped") != unit or (own is not None and given == own)
    return Part(model, limit, taken, over)


def resumed(contestant: Contestant, hearings: Sequence[Hearing], unit: Unit) -> float:
    """Where a fit goes on after its hearings, in the unit of the budget: before its last cool-down, if that is time.

    Steps of a cool-down that are taken back cost nothing.
    """
    if not hearings or unit == "max_steps":
        return 0.0
    plan: Plan = contestant.estimator._plan()
    return (1 - plan.cooldown) * hearings[-1].learning
