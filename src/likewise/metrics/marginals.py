"""How far each column by itself is from the real one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from likewise.metrics.interval import Interval


@dataclass(frozen=True)
class Region:
    """A part of a column: a level, a range of numbers, or blanks; and the share of records in it.

    Attributes
    ----------
    kind : "level", "range" (low <= x < high; the last range holds its upper end), "below" or "above" (outside of what
        real records have), or "missing"
    level : str
        Of a level.
    low, high : float
        Of a range.
    from_quantile, to_quantile : float
        Where the range begins and ends among real records: (0.9, 1.0) are the largest.
    real, generated : float
        The share of the records of the column.
    """

    kind: str
    real: float
    generated: float
    level: str = ""
    low: float = float("-inf")
    high: float = float("inf")
    from_quantile: float = 0.0
    to_quantile: float = 1.0


@dataclass(frozen=True)
class MarginalErrors:
    """Errors in [0, 1]: total variation of categories, Kolmogorov-Smirnov distance of numbers.

    Attributes
    ----------
    mean : Interval
        Over all columns.
    columns : name -> error
    detail : name -> regions, the most misrepresented first
    """

    mean: Interval
    columns: Mapping[str, float]
    detail: Mapping[str, tuple[Region, ...]]
