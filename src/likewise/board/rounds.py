"""The first rounds of a comparison with a budget: who is worth the rest of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from time import perf_counter
from typing import Any

from likewise.board.budget import Purse, Unit
from likewise.board.contestants import Contestant, settings_of
from likewise.board.fitting import fit_part
from likewise.board.folder import Folder
from likewise.board.halving import FEWEST, FIRST, SHORTEST, Bar, Hearing, bar, hopeless, suspects
from likewise.board.leaderboard import clock
from likewise.board.ranking import hardest, standing
from likewise.board.references import COPY, reference
from likewise.board.results import REFERENCE, Result
from likewise.board.seeds import seed_for
from likewise.board.trial import Terms, draw, measure, named
from likewise.board.watching import Watcher
from likewise.metrics.interval import Interval

QUICK = 2_000
"""At most so many records are judged in a hearing."""

PARTS = ("two_sample", "memorisation")
"""The parts of a panel that decide a rank."""


@dataclass(frozen=True)
class Failure:
    """What went wrong, after how many seconds."""

    error: Exception
    seconds: float


Failures = dict[str, Failure]


def shorten(contest: Sequence[Contestant], terms: Terms, folder: Folder, purse: Purse, watcher: Watcher) -> Failures:
    """Fits every contestant for a part of its share, and ends the fits of those that are not worth the rest.

    What these leave is for the others. Nothing is done where contestants are few, or shares so small that nothing could
    be said of anybody.
    """
    equal = purse.equal
    if len(contest) < FEWEST or equal is None or equal * FIRST < SHORTEST[purse.unit]:
        return {}
    rounds = Rounds(replace(terms, rows=min(terms.rows, QUICK)), folder, purse.unit, watcher)
    failures: Failures = {}

    def heard(one: Contestant, number: int) -> Hearing | None:
        start = perf_counter()
        try:
            return rounds.hear(one, number, number * FIRST * equal)
        except Exception as error:
            failures[one.name] = Failure(error, perf_counter() - start)
            purse.settle(one.name, failures[one.name].seconds if purse.unit == "max_time" else 0.0)
            return None

    first = {one.name: found for one in contest if (found := heard(one, 1)) is not None}
    doubtful, reached = suspects(first), bar(first)
    # The most that a doubtful one could get is its part when all others of them are stopped.
    most = equal * len(contest) / (len(first) - len(doubtful) + 1)
    for one in contest:
        if one.name not in first:
            continue
        why = ""
        if one.name in doubtful and reached is not None and rounds.going_on(one, 2):
            second = heard(one, 2)
            if second is None:
                continue
            if hopeless(first[one.name], second, reached, most):
                why = _sentence(second, reached, purse.unit)
        rounds.settle(one, why, purse)
    return failures


@dataclass(frozen=True)
class Rounds:
    """Fits contestants a part of the way, and judges few of their records by the rule of the board."""

    terms: Terms
    folder: Folder
    unit: Unit
    watcher: Watcher

    def kept(self, one: Contestant) -> list[Hearing]:
        return self.folder.hearings(one.name, settings_of(one, self.terms.division))

    def going_on(self, one: Contestant, number: int) -> bool:
        """Whether a hearing is to come or known: a fit that has gone to its end without it is not begun anew."""
        return self.folder.fitted(one.name) is None or len(self.kept(one)) >= number

    def hear(self, one: Contestant, number: int, limit: float) -> Hearing | None:
        """A hearing, or what an earlier run has kept of it; None where there was none and the fit is over."""
        kept = self.kept(one)
        if len(kept) >= number:
            return kept[number - 1]
        if not self.going_on(one, number):
            return None
        part = fit_part(one, self.terms.division, self.folder, limit, self.unit, kept, self.watcher)
        part.model.save(self.folder.model(one.name))
        self.watcher.stage(one.title, "measuring")
        fidelity, score = self.judge(part.model, one)
        record = part.model.training_record_
        hearing = Hearing(
            score,
            fidelity,
            limit=limit if part.limit is None else part.limit,
            steps=int(record["steps"]),
            seconds=part.seconds,
            learning=float(record["seconds"]),
            over=part.over,
            figure=record["best"],
        )
        self.folder.keep_hearing(one.name, number, hearing, settings_of(one, self.terms.division))
        self.watcher.heard(one.title, hearing.told())
        return hearing

    def judge(self, model: Any, one: Contestant) -> tuple[Interval | None, Interval | None]:
        """The two-sample score, and the score of the board."""
        division = self.terms.division
        drawn = division.domain.read(draw(model, self.terms.size, seed_for(division.seed, "sample", one.name)))
        panel, found = measure(self.terms, named(drawn, division), division.held_out, PARTS)
        stands = standing(Result(one.name, one.family, panel=panel, support=found), {COPY: self.copy})
        fidelity = hardest(panel)
        if fidelity is None:
            return None, None
        return fidelity, Interval(*(end * stands.left for end in (fidelity.value, fidelity.low, fidelity.high)))

    @cached_property
    def copy(self) -> Result:
        """What copies of the training records look like with so few records."""
        made = reference(COPY, self.terms.division, self.terms.size)
        panel, found = measure(self.terms, made.generated, made.held_out, PARTS)
        return Result(COPY, REFERENCE, panel=panel, support=found)

    def settle(self, one: Contestant, why: str, purse: Purse) -> None:
        """Ends a fit that is stopped for a reason or has ended by itself, and notes in the purse what was taken."""
        kept, fitted = self.kept(one), self.folder.fitted(one.name)
        seconds = sum(each.seconds for each in kept)
        if why or kept[-1].over:
            purse.settle(one.name, seconds if self.unit == "max_time" else kept[-1].steps)
            if fitted is None:
                self.folder.keep_fit(one.name, {"fit_seconds": seconds, "stopped": why})
            if why:
                self.watcher.stopped(one.title, why)
        elif self.unit == "max_time":
            purse.take(one.name, seconds)


def _sentence(last: Hearing, reached: Bar, unit: Unit) -> str:
    assert last.fidelity is not None
    first, second = (
        clock(limit) if unit == "max_time" else f"{limit:,.0f} steps" for limit in (last.limit, reached.limit)
    )
    return (
        f"stopped after {first}, when it looked {last.fidelity.value:.2f} real and the better half of families had "
        f"scored {reached.level:.2f} or more after {second}"
    )
