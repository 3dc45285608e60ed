"""How the budget of a comparison is shared among families."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

Unit = Literal["max_time", "max_steps"]
"""What a budget counts, by the name of the parameter that limits a fit: seconds, or steps of gradient descent."""

LEAST = 0.1
"""The part of an equal share that is left to a family when others have taken longer than theirs."""


class Purse:
    """A budget for all fits together, and what has become of it.

    Parameters
    ----------
    total : float or None
        None for no limit.
    unit : "max_time" or "max_steps"
    fits : names
        Of those to be paid from it.

    Examples
    --------
    >>> purse = Purse(120.0, "max_time", ["a", "b", "c"])
    >>> purse.share("a")
    40.0
    >>> purse.settle("a", 10.0)
    >>> purse.share("b"), Purse(None, "max_time", ["a"]).share("a")
    (55.0, None)
    """

    def __init__(self, total: float | None, unit: Unit, fits: Iterable[str]) -> None:
        self.total, self.unit = total, unit
        self._ended: dict[str, float] = {}
        self._taken = dict.fromkeys(fits, 0.0)

    @property
    def equal(self) -> float | None:
        """What each fit still to end has in all, those being equal."""
        return None if self.total is None else (self.total - sum(self._ended.values())) / max(len(self._taken), 1)

    def share(self, name: str) -> float | None:
        """What a fit may take from now on, so that all still to end have the same in all, and none is left.

        A family that cannot be stopped may have taken more than its part; the next one still gets `LEAST` of an equal
        share, and the comparison takes that much longer.
        """
        equal = self.equal
        if equal is None or self.total is None or name not in self._taken:
            return None
        least = LEAST * self.total / (len(self._ended) + len(self._taken))
        return max(equal - self._taken[name], least)

    def take(self, name: str, amount: float) -> None:
        """Notes what a fit that goes on has taken so far."""
        if name in self._taken:
            self._taken[name] = amount

    def settle(self, name: str, amount: float) -> None:
        """Notes what a fit that has ended took in all; what it leaves is for the others."""
        if self._taken.pop(name, None) is not None:
            self._ended[name] = amount
