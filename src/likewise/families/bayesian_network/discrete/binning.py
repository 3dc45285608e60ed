"""How values become bins: equal counts, edges where cells end, a grain for every heavy cell."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from likewise.events import Quantised, Value
from likewise.mathematics.monotone import EDGE

MAX_CELL_GRAINS = 1024


@dataclass(frozen=True)
class Binning:
    """Bins of one value entry: the number of grains of each bin, and the edges of all grains."""

    grains: list[int]
    edges: Tensor


def bin_values(value: Value, z: Tensor, max_bins: int) -> Binning:
    """At most `max_bins` bins of about equal counts for training values `z`, on cell edges where values are quantised.

    A quantised column of few distinct cells gets a bin for each. Cells too frequent to be an accident of their bin are
    grains of their own, so that the model keeps the heaps of the data (40 hours, 5,000 dollars).
    """
    if not len(z):
        return Binning([1], torch.tensor([-EDGE, EDGE], dtype=torch.float64))
    if not isinstance(value, Quantised):
        points, counts = np.unique(z.double().numpy(), return_counts=True)
        edges = torch.from_numpy(0.5 * (points[:-1] + points[1:]))
        return _grained(edges[_starts(counts, max_bins) - 1], torch.empty(0, dtype=torch.float64))
    cells, counts = np.unique(value.index(z.double()).numpy(), return_counts=True)
    below = value.cells(torch.from_numpy(cells))[1]
    above = value.cells(torch.from_numpy(cells) + 1)[1]
    last = np.full(len(cells), value.high is not None) & (cells >= (value.high or 0))
    above = torch.where(torch.from_numpy(last), torch.full_like(above, EDGE), above)
    threshold = max(3.0, len(z) / 2000)
    if (counts >= threshold).sum() > MAX_CELL_GRAINS:
        threshold = float(np.sort(counts)[-MAX_CELL_GRAINS]) + 1
    heavy = torch.from_numpy(counts >= threshold)
    return _grained(below[_starts(counts, max_bins)], torch.cat([below[heavy], above[heavy]]))


def _starts(counts: np.ndarray, max_bins: int) -> np.ndarray:
    """The points at which a new bin starts, by the rank of the middle of each point; the first point is not named."""
    if len(counts) <= max_bins:
        return np.arange(1, len(counts))
    middle = (counts.cumsum() - 0.5 * counts) / counts.sum()
    bins = np.floor(middle * max_bins)
    return np.flatnonzero(np.diff(bins)) + 1


def _grained(starts: Tensor, cuts: Tensor) -> Binning:
    """Bins that start at `starts`, cut into grains at `cuts`."""
    ends = torch.tensor([-EDGE, EDGE], dtype=torch.float64)
    starts = torch.unique(torch.cat([ends, starts.clamp(-EDGE, EDGE)]))
    edges = torch.unique(torch.cat([starts, cuts.clamp(-EDGE, EDGE)]))
    first = torch.searchsorted(edges, starts)
    return Binning(torch.diff(first).tolist(), edges)
