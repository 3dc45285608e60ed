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
    rarer each, out to the extremes. Slopes are geometric means of the neighbouring secants, each weighted by the length
    of the *other* interval (Gregory and Delbourgo 1982).

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
    chosen = _levels(levels[0], levels[-1], total, knots)
    x = _smooth_quantiles(chosen, levels, values)
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


def _levels(first: float, last: float, total: float, knots: int) -> Array:
    """The levels of the knots, from the lowest mid-rank to the highest."""
    inner = int(min(knots, total / ROWS_PER_KNOT))
    edge = 0.5 / max(inner, 1)
    middle = (np.arange(inner) + 0.5) / inner if inner > 1 else np.array([0.5])
    tail = edge / 4.0 ** np.arange(1, 16)
    low = tail[(tail > 2.0 * max(first, 0.5 / total)) & (tail * total >= 3.0)]
    high = tail[(tail > 2.0 * max(1.0 - last, 0.5 / total)) & (tail * total >= 3.0)]
    inside = np.concatenate([low[::-1], middle, 1.0 - high])
    return np.unique(np.concatenate([[first], inside[(inside > first) & (inside < last)], [last]]))


def _smooth_quantiles(chosen: Array, levels: Array, values: Array) -> Array:
    """Quantiles averaged over windows that reach half way to the neighbouring knots; the ends as they are."""
    gaps = np.diff(chosen)
    left, right = np.append(0.0, gaps), np.append(gaps, 0.0)
    reach = 0.5 * np.minimum(left, right)
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
