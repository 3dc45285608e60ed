"""How strongly columns depend on each other: one figure in [0, 1] for any two kinds of column, as a picture needs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from likewise.board.report.cells import present
from likewise.board.report.data import Floats
from likewise.metrics.features import Column

Codes = np.ndarray[Any, np.dtype[np.int64]]

GROUPS = 6
"""Into how many groups of equal size numbers are divided."""

LEVELS = 12
"""How many of the most frequent categories are told apart."""


def associations(columns: Sequence[Column], by: Sequence[Column]) -> Floats:
    """The association of each two of `columns`, (d, d), one on the diagonal.

    Cramer's V, corrected for the bias that few records bring (Bergsma, 2013, equations 7 to 9); numbers are divided
    into groups of equal size, which are those of the real columns `by`, and blanks are a group like any other.

    Examples
    --------
    >>> x, z = np.random.default_rng(0).normal(size=(2, 2000))
    >>> columns = [Column("x", "number", x), Column("y", "number", -x), Column("z", "number", z)]
    >>> associations(columns, columns).round(1)
    array([[1., 1., 0.],
           [1., 1., 0.],
           [0., 0., 1.]])
    """
    coded = [_codes(column, real) for column, real in zip(columns, by, strict=True)]
    found = np.eye(len(columns))
    for i, first in enumerate(coded):
        for j in range(i):
            found[i, j] = found[j, i] = _cramers_v(first, coded[j])
    return found


def _codes(column: Column, real: Column) -> Codes:
    """Small codes, 0 where missing."""
    if column.kind == "number":
        values = present(real) if len(present(real)) else np.zeros(1)
        inner = np.unique(np.quantile(values, np.arange(1, GROUPS) / GROUPS))
        # A value that fills several groups, such as zero, is the last of the lowest.
        found = 1 + np.searchsorted(inner, column.values, side="left")
    else:
        frequency = np.bincount(present(real).astype(np.int64), minlength=len(real.levels))
        rank = np.empty(len(frequency), np.int64)
        rank[np.argsort(-frequency, kind="stable")] = np.arange(len(frequency))
        found = 1 + np.minimum(rank[np.where(column.missing, 0, column.values).astype(np.int64)], LEVELS)
    return np.where(column.missing, 0, found).astype(np.int64)


def _cramers_v(first: Codes, second: Codes) -> float:
    """V = sqrt(max(phi^2 - (r-1)(c-1)/(n-1), 0) / min(r' - 1, c' - 1)), with r' = r - (r-1)^2/(n-1)."""
    rows, columns = int(first.max()) + 1, int(second.max()) + 1
    table = np.bincount(first * columns + second, minlength=rows * columns).reshape(rows, columns).astype(np.float64)
    table = table[table.sum(1) > 0][:, table.sum(0) > 0]
    (r, c), n = table.shape, table.sum()
    if min(r, c) < 2 or n < 3:
        return 0.0
    expected = table.sum(1, keepdims=True) * table.sum(0, keepdims=True) / n
    phi = float(((table - expected) ** 2 / expected).sum() / n) - (r - 1) * (c - 1) / (n - 1)
    smaller = min(r - (r - 1) ** 2 / (n - 1), c - (c - 1) ** 2 / (n - 1)) - 1
    return float(np.sqrt(np.clip(phi / smaller, 0, 1))) if smaller > 0 else 0.0
