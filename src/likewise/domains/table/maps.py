"""Scores fitted to a column: a smooth monotone map through its quantiles, or a straight line."""

from __future__ import annotations

import math
from typing import Literal, get_args

import numpy as np
import torch

from likewise.domains.table.vectors import Array
from likewise.mathematics.monotone import MonotoneMap

Map = Literal["normal", "affine"]
MAPS: tuple[str, ...] = get_args(Map)

KNOTS = 100
"""The most knots of a map."""

ROWS_PER_KNOT = 40
"""Rows between two inner knots: fewer, and the log-derivative follows the noise of the sample."""

BESIDE_GAP = 20
"""A gap is wider than what so many distinct values on either side of it span: of n values that have a density, about
n exp(-20) spacings are."""


def normal_scores(
    values: Array,
    counts: Array,
    step: float | None = None,
    low: float = -math.inf,
    high: float = math.inf,
    knots: int = KNOTS,
) -> MonotoneMap:
    """The map that makes a column standard normal, from its distinct sorted values and their counts.

    A value's level is its mid-rank: the rows below plus half of its own, over all. Inner knots lie at levels with equal
    numbers of rows between them; each is the mean of a window of quantiles as wide as the way to the next knot, which
    takes the noise of single order statistics out of the slopes. Towards the ends knots follow at levels four times
    rarer each, out to the extremes; so they do at both ends of a gap between values that lie on no grid, which then
    takes hardly any of the normal scores. Slopes are geometric means of the neighbouring secants, each weighted by the
    length of the *other* interval (Gregory and Delbourgo 1982).

    Parameters
    ----------
    step : the width of a cell where values lie on a grid
    low, high : open bounds of the support, beyond every value
    """
    values = values.astype(np.float64)
    total = float(counts.sum())
    if len(values) > 1 and values[-1] / 2 - values[0] / 2 < 1e-290:  # too close for the floats to tell slopes
        return MonotoneMap.affine(float(values[0]), max(1e-290, 1e-12 * abs(float(values[0]))))
    if len(values) == 1:
        spread = step or max(abs(float(values[0])), 1.0) * 0.1
        return MonotoneMap.affine(float(values[0]), spread)
    levels = (np.cumsum(counts) - 0.5 * counts) / total
    gaps = gaps_in(values) if step is None else np.empty(0, int)
    chosen = _levels(levels, gaps, total, knots)
    x = _smooth_quantiles(chosen, levels, values, gaps)
    x, z = _ascending(x, torch.special.ndtri(torch.from_numpy(chosen)).numpy(), step)
    return _through(x, z, low, high)


def standard_scores(values: Array, counts: Array, low: float = -math.inf, high: float = math.inf) -> MonotoneMap:
    """(x - mean) / standard deviation between the extremes of a column, so that gaps in it stay gaps.

    Arguments are those of `normal_scores`, which a column of one value has.
    """
    values = values.astype(np.float64)
    if len(values) == 1 or values[-1] / 2 - values[0] / 2 < 1e-290:
        return normal_scores(values, counts)
    share = counts / counts.sum()
    mean = float(share @ values)
    reach = float(np.abs(values - mean).max())  # squares of values would leave the floats
    scale = reach * math.sqrt(share @ ((values - mean) / reach) ** 2)
    x = torch.from_numpy(values[[0, -1]])
    return MonotoneMap(x, (x - mean) / scale, torch.full((2,), 1 / scale, dtype=torch.float64), low, high)


def gaps_in(values: Array) -> Array:
    """Which sorted values a gap comes after."""
    last = np.arange(BESIDE_GAP - 1, len(values) - BESIDE_GAP)
    if not len(last):
        return last
    values = values / 2  # the difference of two values may leave the floats, that of their halves does not
    before = values[last] - values[last - BESIDE_GAP + 1]
    after = values[last + BESIDE_GAP] - values[last + 1]
    return np.asarray(last[values[last + 1] - values[last] > np.maximum(before, after)])


def _levels(levels: Array, gaps: Array, total: float, knots: int) -> Array:
    """The levels of the knots, from the lowest mid-rank to the highest: of each part between gaps, and its ends."""
    inner = int(min(knots, total / ROWS_PER_KNOT))
    edge = 0.5 / max(inner, 1)
    middle = (np.arange(inner) + 0.5) / inner if inner > 1 else np.array([0.5])
    tail = edge / 4.0 ** np.arange(1, 16)
    tail = tail[tail * total >= 3.0]
    chosen: list[Array] = []
    starts, ends = np.append(0, gaps + 1), np.append(gaps, len(levels) - 1)
    for first, last in zip(levels[starts], levels[ends], strict=True):
        # The outermost parts reach to 0 and 1: half of the first value's rows lie below it.
        low = 0.0 if first == levels[0] else first
        high = 1.0 if last == levels[-1] else last
        least = 2.0 * np.maximum([first - low, high - last], 0.5 / total)
        near = edge * (1 - 1e-9)
        inside = middle[(middle >= low + near) & (middle <= high - near)]
        before, after = low + tail[tail > least[0]], high - tail[tail > least[1]]
        half = (low + high) / 2
        chosen += [np.array([first, last]), before[before < half], inside, after[after > half]]
    found = np.unique(np.concatenate(chosen))
    return np.asarray(found[(found >= levels[0]) & (found <= levels[-1])])


def _smooth_quantiles(chosen: Array, levels: Array, values: Array, gaps: Array) -> Array:
    """Quantiles averaged over windows that reach half way to the next knots; the ends, of gaps too, as they are."""
    apart = np.diff(chosen)
    left, right = np.append(0.0, apart), np.append(apart, 0.0)
    reach = 0.5 * np.minimum(left, right)
    reach[np.isin(chosen, levels[np.concatenate([gaps, gaps + 1])])] = 0.0
    points = np.linspace(-1.0, 1.0, 9)
    weights = np.r_[0.5, np.ones(7), 0.5] / 8.0
    windows = np.interp(chosen[:, None] + reach[:, None] * points, levels, values)
    # Halves first: two values near the ends of the floats would overflow in a sum.
    return np.asarray((windows * weights).sum(1))


def _ascending(x: Array, z: Array, step: float | None) -> tuple[Array, Array]:
    """Knots far enough from each other to have a slope, the two ends always among them."""
    spread = x[-1] - x[0]
    apart = max(1e-12 * spread, 1e-13 * max(abs(x[0]), abs(x[-1])), 1e-300, 0.5 * (step or 0.0))
    kept = [0]
    for i in range(1, len(x)):
        if x[i] - x[kept[-1]] >= apart and z[i] - z[kept[-1]] > 1e-6:
            kept.append(i)
    if kept[-1] != len(x) - 1:
        kept = kept[:-1] if len(kept) > 1 else kept
        kept.append(len(x) - 1)
    return x[kept], z[kept]


def _through(x: Array, z: Array, low: float, high: float) -> MonotoneMap:
    secants = np.log(np.diff(z)) - np.log(np.diff(x))
    lengths = np.diff(z)
    slopes = np.empty(len(x))
    slopes[0], slopes[-1] = secants[0], secants[-1]
    if len(x) > 2:
        before, after = lengths[:-1], lengths[1:]
        slopes[1:-1] = (secants[:-1] * after + secants[1:] * before) / (before + after)
    knots, scores, rises = (torch.from_numpy(np.array(part, dtype=np.float64)) for part in (x, z, np.exp(slopes)))
    return MonotoneMap(knots, scores, rises, low, high)
