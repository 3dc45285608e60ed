"""The part of the plane that the pictures of one toy show, and where records lie in it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from likewise.datasets import TOYS, Toy, toy
from likewise.errors import DataError

Floats = np.ndarray[Any, np.dtype[np.float64]]

LOOKED_AT, TAIL, MARGIN = 20_000, 0.0005, 0.1
"""Records that say where a toy lies, the share of them beyond each edge, and what is added there of the whole width."""

SECTORS = 8


@dataclass(frozen=True)
class Plane:
    """A rectangle of the plane, and the middle and the spread of the toy that lies in it.

    Attributes
    ----------
    low, high, middle, spread : pairs of float, in the units of the columns
    """

    columns: tuple[str, str]
    low: tuple[float, float]
    high: tuple[float, float]
    middle: tuple[float, float]
    spread: tuple[float, float]

    def lattice(self, size: int) -> Floats:
        """The centres (size * size, 2) of equal cells, row by row from the top."""
        x, y = (
            low + (np.arange(size) + 0.5) / size * (high - low) for low, high in zip(self.low, self.high, strict=True)
        )
        across, up = np.meshgrid(x, y[::-1])
        return np.stack([across.ravel(), up.ravel()], axis=1)

    def cell(self, size: int) -> float:
        """The area of one of these cells."""
        return (self.high[0] - self.low[0]) * (self.high[1] - self.low[1]) / size**2

    def place(self, points: Floats) -> Floats:
        """Points (..., 2) as shares of width and height, from 0 to 1 where they lie within."""
        low, high = np.asarray(self.low), np.asarray(self.high)
        return np.asarray((points - low) / (high - low))

    def sectors(self, points: Floats) -> np.ndarray[Any, np.dtype[np.int64]]:
        """The eighth of a turn (n,) about the middle of the toy that points (n, 2) lie in; the first points along x.

        Examples
        --------
        >>> plane_of(toy("ring")).sectors(np.array([[2.0, 0.0], [0.0, 2.0], [-2.0, 0.1], [1.4, -1.4]])).tolist()
        [0, 2, 4, 7]
        """
        x, y = ((points - np.asarray(self.middle)) / np.asarray(self.spread)).T
        return np.asarray(np.round(np.arctan2(y, x) / (2 * math.pi) * SECTORS).astype(np.int64) % SECTORS)


def planar() -> tuple[str, ...]:
    """The names of the toys of two real columns.

    Examples
    --------
    >>> planar()
    ('one_blob', 'two_blobs', 'ring', 'grid', 'two_moons', 'pinwheel', 'checkerboard', 'banana')
    """
    return tuple(name for name in TOYS if _is_planar(toy(name)))


def _is_planar(one: Toy) -> bool:
    return len(one.columns) == 2 and one.base_measure == f"Lebesgue on {', '.join(one.columns)}"


def planar_toy(name: str) -> Toy:
    """The toy called `name`; DataError where there is none, or it is not one of two real columns."""
    found = toy(name)
    if not _is_planar(found):
        raise DataError(f"The toy {name!r} is none of the plane; a gallery shows {', '.join(planar())}.")
    return found


def plane_of(one: Toy) -> Plane:
    """Where all but a thousandth of each column lies, with a margin, within the region of the toy."""
    records = one.sample(LOOKED_AT, random_state=0).to_numpy(np.float64)
    region = np.array([one.region[column] for column in one.columns])
    low, high = np.quantile(records, TAIL, axis=0), np.quantile(records, 1 - TAIL, axis=0)
    margin = MARGIN * (high - low)
    ends = np.maximum(low - margin, region[:, 0]), np.minimum(high + margin, region[:, 1])
    first, second = one.columns
    low, high, middle, spread = (np.round(part, 6).tolist() for part in (*ends, records.mean(0), records.std(0)))
    return Plane((first, second), *((a, b) for a, b in (low, high, middle, spread)))
