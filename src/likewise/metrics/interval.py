"""A figure with its 95% interval, and the ways in which intervals are found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

LEVEL_Z = 1.959964
"""The 97.5% point of the normal distribution."""

BLOCKS = 20
"""The groups of rows that a jackknife leaves out one at a time."""

_LEVEL_T = 2.093024  # the 97.5% point of Student's t with 19 degrees of freedom


class NoFigure(ValueError):
    """A measure has no figure for these records; the message is a clause that says why."""


@dataclass(frozen=True)
class Interval:
    """A figure and the ends of its 95% interval."""

    value: float
    low: float
    high: float


def around(value: float, error: float, low: float = -np.inf, high: float = np.inf, times: float = LEVEL_Z) -> Interval:
    """The interval of so many standard errors around a value, within the range that it can have.

    Examples
    --------
    >>> around(0.5, 0.5, low=0.0, times=2.0)
    Interval(value=0.5, low=0.0, high=1.5)
    """
    reach = times * error
    return Interval(float(value), float(max(value - reach, low)), float(min(value + reach, high)))


def share(flags: Array) -> Interval:
    """The share of true flags among independent ones (Wilson 1927), an interval of some width also at 0 and at 1.

    Examples
    --------
    >>> found = share(np.zeros(100, dtype=bool))
    >>> found.value, found.low, round(found.high, 3)
    (0.0, 0.0, 0.037)
    """
    n, p, z2 = len(flags), float(np.mean(flags)), LEVEL_Z**2
    middle = (p + z2 / (2 * n)) / (1 + z2 / n)
    reach = LEVEL_Z * np.sqrt(p * (1 - p) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    return Interval(p, float(max(0.0, min(p, middle - reach))), float(min(1.0, max(p, middle + reach))))


def clustered(values: Array, groups: Array, low: float = -np.inf, high: float = np.inf) -> Interval:
    """The mean of values that are independent between groups, not within one."""
    centred = values - values.mean()
    sums = np.bincount(np.unique(groups, return_inverse=True)[1], weights=centred)
    count = len(sums)
    error = np.sqrt((sums**2).sum() * count / max(count - 1, 1)) / len(values)
    return around(float(np.clip(values.mean(), low, high)), float(error), low, high)


def blocks(size: int, seed: int) -> Array:
    """A random group out of `BLOCKS` for each of `size` rows, as equal in size as possible."""
    return np.random.default_rng(seed).permutation(np.arange(size) % BLOCKS)


def jackknife(value: float, without: Array, low: float = -np.inf, high: float = np.inf) -> Interval:
    """The interval of a figure from what it is without each of the `BLOCKS` groups of rows (Tukey 1958)."""
    count = len(without)
    error = np.sqrt((count - 1) / count * ((without - without.mean()) ** 2).sum())
    return around(value, float(error), low, high, _LEVEL_T)
