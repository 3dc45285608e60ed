"""How far the dependence between each two columns is from the real one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from likewise.metrics.features import Column
from likewise.metrics.interval import BLOCKS, Interval, NoFigure, blocks, jackknife

Array = np.ndarray[Any, np.dtype[Any]]

MOST = 5000
"""The most pairs that are looked at."""


@dataclass(frozen=True)
class Pair:
    """Two columns.

    Attributes
    ----------
    error : float
        In [0, 1]: half the difference of correlations of two numbers, total variation of the joint table of two
        categories, difference of correlation ratios of a number and a category.
    real, generated : float
        Normalised mutual information in [0, 1], how strongly the two depend on each other.
    """

    first: str
    second: str
    error: float
    real: float
    generated: float


@dataclass(frozen=True)
class PairErrors:
    """Errors of all pairs.

    Attributes
    ----------
    mean : Interval
        Of `Pair.error`.
    mutual_information : Interval
        The differences of normalised mutual information, weighted by the real one: the share of the real dependence
        that is lost or invented. 0 is best; independent columns have 1.
    pairs : tuple of Pair, the worst first
    """

    mean: Interval
    mutual_information: Interval
    pairs: tuple[Pair, ...]


def pairs(generated: Sequence[Column], real: Sequence[Column], seed: int = 0) -> PairErrors:
    """Errors of the pairs of columns of generated records, with intervals by the jackknife over records.

    Correlations and correlation ratios are over records in which the number is not blank; a blank is a category of its
    own. For mutual information numbers are cut at the deciles of the real ones. Where there are more than `MOST` pairs,
    a random part of so many is looked at.

    Examples
    --------
    >>> x = np.random.default_rng(0).normal(size=1000)
    >>> columns = lambda x, y: [Column("x", "number", x), Column("y", "number", y)]
    >>> found = pairs(columns(x, -x), columns(x, x))
    >>> round(found.pairs[0].error, 6)
    1.0
    """
    size = len(real)
    if size < 2:
        raise NoFigure("there is only one column")
    chosen = [(i, j) for i in range(size) for j in range(i)]
    if len(chosen) > MOST:
        kept = np.random.default_rng(seed).permutation(len(chosen))[:MOST]
        chosen = [chosen[k] for k in np.sort(kept)]
    groups = blocks(len(generated[0]), seed), blocks(len(real[0]), seed + 1)
    correlations = _correlation_errors(generated, real, groups)
    coded = [_coded(fake, true) for fake, true in zip(generated, real, strict=True)]
    errors, information = np.empty((len(chosen), 1 + BLOCKS)), np.empty((2, len(chosen), 1 + BLOCKS))
    for k, (i, j) in enumerate(chosen):
        tables = [_table(coded[i], coded[j], side, groups[side]) for side in (0, 1)]
        information[:, k] = [_normalised_information(table) for table in tables]
        kinds = real[i].kind, real[j].kind
        if kinds == ("number", "number"):
            errors[k] = correlations[i, j]
        elif kinds == ("category", "category"):
            errors[k] = _total_variation(*tables)
        else:
            number, category = (i, j) if kinds[0] == "number" else (j, i)
            ratios = [
                _correlation_ratio(columns[number], columns[category], group)
                for columns, group in zip((generated, real), groups, strict=True)
            ]
            errors[k] = np.abs(ratios[0] - ratios[1])
    lost = np.abs(information[0] - information[1]).sum(0) / np.maximum(information[1].sum(0), 1e-12)
    found = [
        Pair(real[j].name, real[i].name, float(errors[k, 0]), float(information[1, k, 0]), float(information[0, k, 0]))
        for k, (i, j) in enumerate(chosen)
    ]
    mean = errors.mean(0)
    return PairErrors(
        jackknife(float(mean[0]), mean[1:], 0.0, 1.0),
        jackknife(float(lost[0]), lost[1:], 0.0),
        tuple(sorted(found, key=lambda pair: -pair.error)),
    )


# Each of the following returns a figure of all records first, then of all but each block: (..., 1 + BLOCKS).


def _folded(sums: Array) -> Array:
    """Sums by block (BLOCKS, ...) as sums of all records, then of all but each block (1 + BLOCKS, ...)."""
    whole = sums.sum(0, keepdims=True)
    return np.concatenate([whole, whole - sums])


def _correlation_errors(generated: Sequence[Column], real: Sequence[Column], groups: tuple[Array, Array]) -> Array:
    """Half the differences of the correlations of all columns (c, c, 1 + BLOCKS), 0 where one is no number."""
    size = len(real)
    numbers = [i for i in range(size) if real[i].kind == "number"]
    errors = np.zeros((size, size, 1 + BLOCKS))
    if numbers:
        centres = [_centre(real[i].values) for i in numbers]
        found = [
            _correlations(np.column_stack([(columns[i].values - c) / s for i, (c, s) in at]), group)
            for columns, group in zip((generated, real), groups, strict=True)
            for at in [list(zip(numbers, centres, strict=True))]
        ]
        errors[np.ix_(numbers, numbers)] = 0.5 * np.abs(found[0] - found[1])
    return errors


def _centre(values: Array) -> tuple[float, float]:
    present = values[~np.isnan(values)]
    spread = float(present.std()) if len(present) else 0.0
    return (float(present.mean()) if len(present) else 0.0), spread if spread > 0.0 else 1.0


def _correlations(values: Array, group: Array) -> Array:
    """Pearson correlations (c, c, 1 + BLOCKS) over records that have both; 0 where one of the two is constant."""
    known = (~np.isnan(values)).astype(np.float64)
    filled = np.nan_to_num(values)
    sums = np.empty((4, BLOCKS, values.shape[1], values.shape[1]))
    for b in range(BLOCKS):
        x, m = filled[group == b], known[group == b]
        sums[:, b] = m.T @ m, x.T @ m, (x * x).T @ m, x.T @ x
    count, first, square, product = (_folded(part) for part in sums)
    count = np.maximum(count, 1.0)
    second = first.transpose(0, 2, 1)  # sums of y over records that have x
    spread = np.maximum(square - first**2 / count, 0.0)
    scale = np.sqrt(spread * spread.transpose(0, 2, 1))
    with np.errstate(invalid="ignore", divide="ignore"):
        found = np.where(scale > 1e-9 * count, (product - first * second / count) / scale, 0.0)
    return np.clip(found, -1.0, 1.0).transpose(1, 2, 0)


def _correlation_ratio(number: Column, category: Column, group: Array) -> Array:
    """The square root of the share of the variance of a number that lies between categories, (1 + BLOCKS,)."""
    present, size = ~number.missing, len(category.levels) + 1
    centre, spread = _centre(number.values)
    x = (number.values[present] - centre) / spread
    at = group[present] * size + category.values[present]
    count, first, square = (
        _folded(np.bincount(at, weights, BLOCKS * size).reshape(BLOCKS, size)) for weights in (None, x, x * x)
    )
    total = np.maximum(count.sum(1), 1.0)
    mean = first.sum(1) / total
    between = (first**2 / np.maximum(count, 1.0)).sum(1) - total * mean**2
    within_all = square.sum(1) - total * mean**2
    ratio = np.where(within_all > 1e-9 * total, between / np.maximum(within_all, 1e-300), 0.0)
    found: Array = np.sqrt(np.clip(ratio, 0.0, 1.0))
    return found


def _coded(fake: Column, true: Column) -> tuple[Array, Array, int]:
    """Codes of both sides and how many there are: categories as they are, numbers by deciles, blanks last."""
    if true.kind == "category":
        return fake.values, true.values, len(true.levels) + 1
    present = true.values[~true.missing]
    edges = np.unique(np.quantile(present, np.linspace(0.1, 0.9, 9))) if len(present) else np.zeros(0)
    # Each value that ends a bin belongs to it, so that a value of many records has a bin of its own.
    made = [
        np.where(column.missing, len(edges) + 1, np.searchsorted(edges, column.values, "left"))
        for column in (fake, true)
    ]
    return made[0], made[1], len(edges) + 2


def _table(a: tuple[Array, Array, int], b: tuple[Array, Array, int], side: int, group: Array) -> Array:
    """The joint counts of two coded columns, (1 + BLOCKS, codes, codes)."""
    at = (group * a[2] + a[side]) * b[2] + b[side]
    return _folded(np.bincount(at, minlength=BLOCKS * a[2] * b[2]).reshape(BLOCKS, a[2], b[2]))


def _total_variation(fake: Array, true: Array) -> Array:
    shares = [table / table.sum((1, 2), keepdims=True) for table in (fake, true)]
    varied: Array = 0.5 * np.abs(shares[0] - shares[1]).sum((1, 2))
    return varied


def _normalised_information(table: Array) -> Array:
    """Mutual information over the mean of the two entropies (Strehl and Ghosh 2002), (1 + BLOCKS,)."""
    total = table.sum((1, 2))
    joint, first, second = (
        _entropy(counts.reshape(len(table), -1), total) for counts in (table, table.sum(2), table.sum(1))
    )
    mean = 0.5 * (first + second)
    return np.where(mean > 1e-12, np.clip((first + second - joint) / np.maximum(mean, 1e-12), 0.0, 1.0), 0.0)


def _entropy(counts: Array, total: Array) -> Array:
    held = counts[:, counts[0] > 0].astype(np.float64)
    entropy: Array = np.log(total) - (held * np.log(np.maximum(held, 1.0))).sum(1) / total
    return entropy
