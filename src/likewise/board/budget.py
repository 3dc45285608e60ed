"""How the time of a comparison is shared among families."""

from __future__ import annotations

from collections.abc import Iterable

LEAST = 0.1
"""The part of an equal share that is left to a family when others have taken longer than theirs."""


def share(total: float | None, spent: Iterable[float], remaining: int) -> float | None:
    """Seconds for the next family: an equal part of what is left, so that one that ends early leaves its time.

    A family that cannot be stopped may have taken more than its part; the next one still gets `LEAST` of an equal
    share, and the comparison takes that much longer.

    Examples
    --------
    >>> share(120.0, [], 3), share(120.0, [10.0], 2), share(None, [10.0], 2)
    (40.0, 55.0, None)
    >>> share(120.0, [200.0], 2)
    4.0
    """
    if total is None:
        return None
    taken = list(spent)
    equal = total / (len(taken) + remaining)
    return max((total - sum(taken)) / remaining, LEAST * equal)
