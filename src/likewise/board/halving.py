"""Which families are not worth more of the budget: successive halving, made careful.

Karnin, Koren and Somekh (2013, algorithm 1) and Jamieson and Talwalkar (2016) give all candidates a small part of the
budget, keep the better half, and share what is left among it. Here the better half goes on too, but none of the others
is stopped for its place alone: it is heard a second time with twice the budget, and stopped only if it has stopped
learning and, going on at the speed at which its score rose between the two, would not even reach what the better half
had reached at the first. Scores of slow starters rise faster later on, when records begin to look real, so that speed
counts by budget and not by its doublings, and a loss that still falls steeply counts for more than the score.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from likewise.metrics.interval import Interval

FEWEST = 4
"""With fewer families than this, all have an equal share."""

FIRST = 1 / 6
"""The part of an equal share after which all families are heard; a second hearing comes after twice as much."""

SHORTEST = {"max_time": 5.0, "max_steps": 20.0}
"""The shortest first part: after less of it, nothing can be said of anybody."""

STEEP = 0.02
"""The part of its figure on held-out training records (at least of 1) that a family which is still learning gains."""


@dataclass(frozen=True)
class Hearing:
    """What a family had reached after a part of its budget, its learning rate cooled down.

    Attributes
    ----------
    score : Interval or None
        By the rule of the board, on few records; None where there is none.
    fidelity : Interval or None
        The two-sample score in it. What else is wrong may be mended in less time than a bad fit.
    limit : float
        What it was given in all: seconds or steps.
    steps : int
    seconds : float
        Of this part of the fit by the clock.
    learning : float
        Seconds of learning in all that led to these weights.
    over : bool
        Whether the fit ended by itself, so that more of the budget would change nothing.
    figure : float or None
        The lowest figure on held-out training records, in the units of the family.
    """

    score: Interval | None
    fidelity: Interval | None
    limit: float
    steps: int
    seconds: float
    learning: float
    over: bool
    figure: float | None = None

    def told(self) -> dict[str, Any]:
        """What a row says of it."""
        score = self.score
        return {
            "limit": self.limit,
            "steps": self.steps,
            "seconds": self.learning,
            "score": score and score.value,
            "score_low": score and score.low,
            "score_high": score and score.high,
        }

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Hearing:
        """The inverse of `to_json`; KeyError or TypeError on anything it did not write."""
        scores = {name: plain[name] and Interval(**plain[name]) for name in ("score", "fidelity")}
        return cls(**{**plain, **scores})


@dataclass(frozen=True)
class Bar:
    """What the better half had surely reached at the first hearing, and the limit that it had then."""

    level: float
    limit: float


def bar(heard: Mapping[str, Hearing]) -> Bar | None:
    """The lower ends of the intervals of the better half, the lowest of them; None where too few have a score."""
    scores = sorted((one.score for one in heard.values() if one.score is not None), key=lambda one: one.value)
    if len(scores) < FEWEST:
        return None
    better = scores[len(scores) // 2 :]
    return Bar(min(one.low for one in better), max(one.limit for one in heard.values()))


def suspects(heard: Mapping[str, Hearing]) -> list[str]:
    """Those that lie surely under the bar, whatever is said of their records but how real they look."""
    reached = bar(heard)
    if reached is None:
        return []
    return [name for name, one in heard.items() if not one.over and one.fidelity and one.fidelity.high < reached.level]


def hopeless(first: Hearing, second: Hearing, reached: Bar, most: float) -> bool:
    """Whether a family has stopped learning, and stays under the bar if its score goes on to rise as it did.

    Parameters
    ----------
    most : float
        The largest budget that it could get.

    Examples
    --------
    >>> def heard(low, value, high, limit):
    ...     return Hearing(Interval(value, low, high), Interval(value, low, high), limit, 100, limit, limit, False)
    >>> reached = Bar(0.6, 10.0)
    >>> hopeless(heard(0.1, 0.15, 0.2, 10), heard(0.12, 0.17, 0.22, 20), reached, most=80)
    True
    >>> hopeless(heard(0.1, 0.15, 0.2, 10), heard(0.2, 0.25, 0.3, 20), reached, most=80)
    False
    """
    if first.fidelity is None or second.fidelity is None or learning(first, second):
        return False
    gain = max(0.0, second.fidelity.value - first.fidelity.value, second.fidelity.high - first.fidelity.high)
    to_come = max(0.0, most - second.limit) / (second.limit - first.limit)
    return second.fidelity.high + to_come * gain < reached.level


def learning(first: Hearing, second: Hearing) -> bool:
    """Whether the figure on held-out training records still falls steeply."""
    if first.figure is None or second.figure is None:
        return False
    return first.figure - second.figure > STEEP * max(1.0, abs(first.figure))
