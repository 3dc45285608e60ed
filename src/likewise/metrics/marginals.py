"""How far each column by itself is from the real one."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from likewise.metrics.features import Column
from likewise.metrics.interval import BLOCKS, Interval, blocks, jackknife

Array = np.ndarray[Any, np.dtype[Any]]

SPIKE = 0.2
"""The share of the numbers of a column above which a value has a region of its own."""


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

    @property
    def spike(self) -> bool:
        """Whether this is one value of a number that many real records share."""
        one = self.kind == "range" and self.high <= math.nextafter(self.low, math.inf)
        return one and self.to_quantile - self.from_quantile > SPIKE


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


def marginals(generated: Sequence[Column], real: Sequence[Column], seed: int = 0) -> MarginalErrors:
    """Errors of the columns of generated records; the interval of their mean by the jackknife over records.

    Blanks count as a level of a category, and as the last value of a number.

    Examples
    --------
    >>> real = [Column("x", "number", np.arange(100.0)), Column("k", "category", np.arange(100) % 2, ("a", "b"))]
    >>> fake = [Column("x", "number", np.arange(100.0) + 50.0), Column("k", "category", np.zeros(100, int), ("a", "b"))]
    >>> found = marginals(fake, real)
    >>> found.columns["x"], found.columns["k"], found.mean.value
    (0.5, 0.5, 0.5)
    >>> found.detail["k"][0].level, found.detail["k"][0].generated
    ('a', 1.0)
    """
    groups = blocks(len(generated[0]), seed), blocks(len(real[0]), seed + 1)
    errors, without, detail = [], [], {}
    for fake, true in zip(generated, real, strict=True):
        tables = _tables(fake, true, groups)
        if true.kind == "number":
            tables = tables[0].cumsum(1), tables[1].cumsum(1)
        whole = _error(tables[0].sum(0), tables[1].sum(0), true.kind)
        errors.append(float(whole))
        without.append(_error(tables[0].sum(0) - tables[0], tables[1].sum(0) - tables[1], true.kind))
        regions = _level_regions(fake, true) if true.kind == "category" else _number_regions(fake, true)
        detail[true.name] = tuple(sorted(regions, key=lambda region: -abs(region.generated - region.real)))
    mean = jackknife(float(np.mean(errors)), np.mean(without, axis=0), 0.0, 1.0)
    names = [column.name for column in real]
    return MarginalErrors(mean, dict(zip(names, errors, strict=True)), detail)


def _tables(fake: Column, true: Column, groups: tuple[Array, Array]) -> tuple[Array, Array]:
    """Counts by block and state, (blocks, states) each; of numbers by distinct value in order, blanks last."""
    if true.kind == "category":
        states, size = (fake.values, true.values), len(true.levels) + 1
    else:
        distinct, at = np.unique(np.concatenate([fake.values, true.values]), return_inverse=True)
        states, size = (at[: len(fake)], at[len(fake) :]), len(distinct)
    counted = (
        np.bincount(group * size + state, minlength=BLOCKS * size).reshape(BLOCKS, size)
        for group, state in zip(groups, states, strict=True)
    )
    return next(counted), next(counted)


def _error(fake: Array, true: Array, kind: str) -> Array:
    """Total variation of counts, or the greatest difference of cumulative counts; over the last axis."""
    if kind == "category":
        fake, true = fake / fake.sum(-1, keepdims=True), true / true.sum(-1, keepdims=True)
        varied: Array = 0.5 * np.abs(fake - true).sum(-1)
        return varied
    greatest: Array = np.abs(fake / fake[..., -1:] - true / true[..., -1:]).max(-1)
    return greatest


def _level_regions(fake: Column, true: Column) -> list[Region]:
    size = len(true.levels) + 1
    shares = [np.bincount(column.values, minlength=size) / len(column) for column in (true, fake)]
    kinds = [("level", level) for level in true.levels] + [("missing", "")]
    return [
        Region(kind, float(a), float(b), level)
        for (kind, level), a, b in zip(kinds, *shares, strict=True)
        if a > 0.0 or b > 0.0
    ]


def _number_regions(fake: Column, true: Column) -> list[Region]:
    real, made = (column.values[~column.missing] for column in (true, fake))
    found = []
    if true.missing.any() or fake.missing.any():
        found.append(Region("missing", float(true.missing.mean()), float(fake.missing.mean())))
    if not len(real):
        return found
    edges = _edges(real)
    ordered = np.sort(real), np.sort(made)
    below = [np.searchsorted(side, edges, "left") for side in ordered]
    for k in range(len(edges) - 1):
        a, b = (float((cut[k + 1] - cut[k]) / len(side)) for cut, side in zip(below, (true, fake), strict=True))
        quantiles = float(below[0][k] / len(real)), float(below[0][k + 1] / len(real))
        high = float(edges[k + 1]) if k < len(edges) - 2 else float(real.max())
        found.append(Region("range", a, b, "", float(edges[k]), high, *quantiles))
    beyond = float(below[1][0] / len(fake)), float((len(made) - below[1][-1]) / len(fake))
    if beyond[0] > 0.0:
        found.append(Region("below", 0.0, beyond[0], high=float(edges[0]), to_quantile=0.0))
    if beyond[1] > 0.0:
        found.append(Region("above", 0.0, beyond[1], low=float(real.max()), from_quantile=1.0))
    return found


def _edges(real: Array) -> Array:
    """Ends of ranges: deciles and the last percents; around a value that many records share, its own and others'."""
    values, counts = np.unique(real, return_counts=True)
    levels = np.r_[np.linspace(0.0, 1.0, 11), 0.01, 0.05, 0.95, 0.99]
    edges = [np.quantile(real, levels, method="lower")]
    for value in values[counts > SPIKE * len(real)]:
        edges.append(np.array([value, np.nextafter(value, np.inf)]))
        rest = real[real > value]
        if len(rest):
            edges.append(np.quantile(rest, np.linspace(0.0, 1.0, 6), method="lower"))
    top = np.nextafter(values[-1], np.inf)
    inner = np.unique(np.concatenate(edges))
    ends: Array = np.r_[inner[inner < values[-1]] if len(values) > 1 else values, top]
    return ends
