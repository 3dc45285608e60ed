"""Where a fit stands, in plain numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from likewise.engine.plan import Plan
from likewise.engine.record import Point
from likewise.engine.schedule import Cooling, finished
from likewise.errors import DataError


@dataclass
class Trend:
    """The running mean and mean deviation of one player's loss, and how many losses in a row were far above it."""

    mean: float = 0.0
    deviation: float = 0.0
    count: int = 0
    high: int = 0

    def exploded(self, loss: float, margin: float) -> bool:
        """Takes up a loss; true when it is not finite, or the fifth in a row far beyond what was usual.

        One wild minibatch is no explosion: clipping deals with it.
        """
        if not math.isfinite(loss):
            return True
        if self.count >= 20 and loss > self.mean + margin + 10 * self.deviation:
            self.high += 1
            return self.high >= 5
        weight = max(0.02, 1 / (self.count + 1))
        self.deviation += weight * ((abs(loss - self.mean) if self.count else 0.0) - self.deviation)
        self.mean += weight * (loss - self.mean)
        self.count, self.high = self.count + 1, 0
        return False


@dataclass
class Standing:
    """The counters of a fit, plain numbers that a checkpoint keeps as JSON."""

    step: int = 0
    draws: int = 0
    elapsed: float = 0.0
    scale: float = 1.0
    good_step: int = 0
    cooling: Cooling | None = None
    best: float | None = None
    best_step: int | None = None
    reference: float = math.inf
    stale: int = 0
    failures: int = 0
    rollbacks: list[int] = field(default_factory=list)
    trends: dict[str, Trend] = field(default_factory=dict)
    sums: dict[str, list[float]] = field(default_factory=dict)
    curve: list[Point] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    stopped: str | None = None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Standing:
        return cls(
            **{
                **data,
                "cooling": data["cooling"] and Cooling(**data["cooling"]),
                "trends": {name: Trend(**trend) for name, trend in data["trends"].items()},
                "curve": [Point(**point) for point in data["curve"]],
            }
        )

    def take(self, player: str, loss: float, margin: float) -> bool:
        """Takes up one loss of a player; true when it has exploded."""
        exploded = self.trends.setdefault(player, Trend()).exploded(loss, margin)
        total = self.sums.setdefault(player, [0.0, 0])
        total[0], total[1] = total[0] + loss, total[1] + 1
        return exploded

    def mark(self, figure: float | None) -> Point:
        """A new point of the curve: the stretch since the last one is closed."""
        point = Point(self.step, {name: total / count for name, (total, count) in self.sums.items()}, figure)
        self.curve.append(point)
        self.sums = {}
        return point

    @property
    def calm(self) -> bool:
        """Whether no loss is on its way up."""
        return not any(trend.high for trend in self.trends.values())

    def fall_back(self) -> None:
        """Notes that the fit goes back to its last good state, and halves the learning rate."""
        self.rollbacks.append(self.step)
        self.failures += 1
        self.scale /= 2
        self.sums = {}
        for trend in self.trends.values():
            trend.high = 0

    def cool(self, cooling: Cooling) -> None:
        """Begins a cool-down, in which improvement is measured anew."""
        self.cooling, self.reference, self.stale = cooling, math.inf, 0

    def extend(self, plan: Plan) -> None:
        """Goes on with another budget; DataError where that is used up, so that weights would never be cooled."""
        if self.stopped in ("max_steps", "max_time"):
            self.stopped = None
        if self.stopped is None and finished(plan, self.step, self.elapsed, None) is not None:
            raise DataError(
                f"The fit has gone on for {self.step:,} steps and {self.elapsed:.1f} seconds, and can go on only with "
                f"a larger budget than max_steps={plan.max_steps}, max_time={plan.max_time}."
            )

    def note(self, remarks: Sequence[str]) -> list[str]:
        """Takes up what a family remarked at this step; gives what it had not said before."""
        fresh = [remark for remark in remarks if remark not in self._said]
        self.remarks += [f"step {self.step}: {remark}" for remark in fresh]
        return fresh

    @property
    def _said(self) -> set[str]:
        return {remark.split(": ", 1)[1] for remark in self.remarks}

    def losses(self) -> list[tuple[int, float]]:
        """Steps and summed losses of the curve."""
        return [(point.step, sum(point.losses.values())) for point in self.curve]

    def judge(self, figure: float, tolerance: float) -> bool:
        """Takes up a validation figure; true when it is the best so far."""
        needed = tolerance * max(1.0, abs(self.reference)) if math.isfinite(self.reference) else 0.0
        if figure < self.reference - needed:
            self.reference, self.stale = figure, 0
        else:
            self.stale += 1
        if not math.isfinite(figure) or (self.best is not None and figure >= self.best):
            return False
        self.best, self.best_step, self.failures = figure, self.step, 0
        return True
