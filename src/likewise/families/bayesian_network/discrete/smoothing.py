"""Parameters from counts: Dirichlet smoothing, of each cell towards the coarser partition around it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from likewise.families.bayesian_network.discrete.partitions import Hierarchy

Floats = np.ndarray[tuple[int, ...], np.dtype[np.float64]]


@dataclass(frozen=True)
class Smoothing:
    """How far a cell's counts are trusted.

    The distribution of group g with counts n (their sum N, d of them above 0) and coarser group u is

        p_g(s) = (max(n_s - D, 0) + (A + D d) p_u(s)) / (N + A),

    the Dirichlet posterior mean with prior A p_u where D = 0 (MacKay and Peto 1995), the Pitman-Yor one otherwise
    (Teh 2006, interpolated Kneser-Ney). `p` of the coarsest group is smoothed towards the uniform distribution.

    Attributes
    ----------
    strength : float
        A, pseudo-counts.
    discount : float
        D, in [0, 1).
    """

    strength: float
    discount: float = 0.0

    def __post_init__(self) -> None:
        if not (np.isfinite(self.strength) and self.strength > 0 and 0 <= self.discount < 1):
            raise ValueError("Smoothing needs a positive strength and a discount within [0, 1).")


def group_counts(counts: Floats, hierarchy: Hierarchy) -> Floats:
    """The counts (groups, states) of every group from those of the cells (cells, states)."""
    totals = np.zeros((len(hierarchy.up), counts.shape[1]))
    np.add.at(totals, hierarchy.cell, counts)
    for depth in range(int(hierarchy.depth[-1]), 0, -1):
        start, stop = np.searchsorted(hierarchy.depth, [depth, depth + 1])
        np.add.at(totals, hierarchy.up[start:stop], totals[start:stop])
    return totals


def smoothed(totals: Floats, hierarchy: Hierarchy, smoothing: Smoothing, base: Floats) -> Floats:
    """The distribution (groups, states) of every group from the counts of all; `base` lies above the coarsest."""
    strength, discount = smoothing.strength, smoothing.discount
    out = np.empty_like(totals)
    for depth in range(int(hierarchy.depth[-1]) + 1):
        start, stop = np.searchsorted(hierarchy.depth, [depth, depth + 1])
        own = totals[start:stop]
        above = out[hierarchy.up[start:stop]] if depth else base[None]
        back = strength + discount * (own > 0).sum(1, keepdims=True)
        part = np.maximum(own - discount, 0.0) + back * above
        out[start:stop] = part / part.sum(1, keepdims=True)
    return out
