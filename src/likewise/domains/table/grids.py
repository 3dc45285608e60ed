"""The grid a column lies on, found exactly: whole multiples of a decimal step, or of a unit of time."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from likewise.domains.table.vectors import Array

EXACT = 2**53
"""Whole numbers up to here are floats without loss."""

DECIMALS = 9
"""The most decimals that a decimal grid is looked for."""


@dataclass(frozen=True)
class Grid:
    """The values `(origin + step * k) / 10**decimals` for whole `k`: whole numbers only, so that nothing is ever off.

    Model units start from `k` itself where `relative` (moments, and numbers too large for floats), else from the value.
    """

    origin: int
    step: int
    decimals: int = 0
    relative: bool = False

    @property
    def scale(self) -> int:
        return int(10**self.decimals)

    @property
    def coordinate_step(self) -> float:
        return 1.0 if self.relative else self.step / self.scale

    @property
    def coordinate_origin(self) -> float:
        return 0.0 if self.relative else self.origin / self.scale

    def cells(self, data: Array) -> Array:
        """The number k of the cell that each value falls in."""
        if data.dtype.kind == "i" and not self.decimals:
            near = np.abs(data.astype(np.float64) - float(self.origin)) < 4e18  # whole numbers may be subtracted there
            shifted = np.where(near, data, self.origin) - np.int64(self.origin)
            whole = shifted if self.step == 1 else np.floor_divide(shifted + self.step // 2, self.step)
            far = np.where(data > self.origin, EXACT, -EXACT)
            return np.clip(np.where(near, whole, far), -EXACT, EXACT)
        k = np.rint((data.astype(np.float64) * float(self.scale) - self.origin) / self.step)
        return np.clip(k, -float(EXACT), float(EXACT)).astype(np.int64)

    def values(self, k: Array, whole: bool) -> Array:
        """The values of the cells numbered `k`: whole numbers, or the doubles nearest to the decimals."""
        room = (2**63 - 1 - abs(self.origin)) // self.step
        units = np.clip(k, -room, room) * self.step + self.origin
        if whole and not self.decimals:
            return units
        # A whole number over a power of ten is rounded once, to the double that the decimal literal names.
        return units.astype(np.float64) / float(self.scale)

    def position(self, value: float | int | Fraction) -> Fraction:
        """Where a value lies among the cells: whole at their centres."""
        return (Fraction(value) * self.scale - self.origin) / self.step


def on_decimals(values: Array, decimals: int, precision: int = 53) -> Array:
    """Which values so many decimals write exactly in their own precision."""
    kind = {11: np.float16, 24: np.float32}.get(precision, np.float64)
    with np.errstate(over="ignore"):  # what overflows is beyond exact whole numbers anyway
        scaled = values * 10.0**decimals
        exact: Array = (np.rint(scaled) / 10.0**decimals).astype(kind) == values.astype(kind)
    return exact & (np.abs(scaled) < EXACT)


def decimals_of(values: Array, precision: int = 53, limit: int = DECIMALS) -> int | None:
    """The fewest decimals that write every value exactly; None where `limit` do not."""
    return next((d for d in range(limit + 1) if on_decimals(values, d, precision).all()), None)


def off_the_usual(values: Array, counts: Array, precision: int = 53, share: float = 0.05, most: int = 50) -> Array:
    """Which distinct values lie off the decimals that nearly all rows have, (n,) bool: none where too many do."""
    none = np.zeros(len(values), dtype=bool)
    for decimals in range(DECIMALS + 1):
        off = ~on_decimals(values, decimals, precision)
        if off.sum() <= most and counts[off].sum() <= share * counts.sum():
            # A few values among few are no rule with exceptions.
            return off if (~off).sum() >= 2 * off.sum() else none
    return none


def grid_of(values: Array, decimals: int, relative: bool = False) -> Grid | None:
    """The coarsest grid that holds distinct sorted values of so many decimals; None where one has no room for them."""
    units = values if values.dtype.kind == "i" else np.rint(values * 10.0**decimals).astype(np.int64)
    first, last = int(units[0]), int(units[-1])
    differences = np.diff(units.astype(object)) if last - first >= 2**63 else np.diff(units)
    step = int(np.gcd.reduce(differences)) if len(differences) else 1
    step = max(step, 1)
    if (last - first) // step > EXACT // 8:
        return None
    far = max(abs(first), abs(last)) >= EXACT
    relative = relative or far
    return Grid(first if relative else first % step, step, decimals, relative)


def coarse_grid(values: Array) -> Grid:
    """A grid for moments too fine and too wide for one: the smallest power of ten that leaves room."""
    first, last = int(values[0]), int(values[-1])
    step = 1
    while (last - first) // step > EXACT // 8:
        step *= 10
    return Grid(first, step, 0, relative=True)
