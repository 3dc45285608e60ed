"""How sure a search is of each edge: how often it finds the edge in resampled records (Friedman et al. 1999)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from likewise.families.bayesian_network.discrete.partitions import Bools, Integers
from likewise.families.bayesian_network.structure.counts import Floats
from likewise.families.bayesian_network.structure.equivalence import pattern_of
from likewise.families.bayesian_network.structure.graph import topological_order


def edge_strengths(
    search: Callable[[Integers], Bools], rows: int, columns: int, resamples: int, seed: int
) -> tuple[Floats, Floats]:
    """In which share of resamples two columns are joined, and in which share of these the edge goes from u to v.

    An edge both ways counts half for each (Scutari and Nagarajan 2013).

    Parameters
    ----------
    search : callable
        The graph found from these rows, as `directions` gives it.

    Returns
    -------
    strength, direction : float64 (columns, columns)
        `direction[u, v] + direction[v, u]` is 1 where `strength[u, v]` is not 0.
    """
    rng = np.random.default_rng(seed)
    joined, directed = np.zeros((columns, columns)), np.zeros((columns, columns))
    for _ in range(resamples):
        found = search(rng.integers(0, rows, rows))
        joined += found | found.T
        directed += np.where(found & found.T, 0.5, found)
    return joined / resamples, directed / np.maximum(joined, 1)


def directions(parents: Sequence[Sequence[int]], settled: Bools) -> Bools:
    """[u, v]: an equivalent graph has u -> v; where `settled[u, v]` something else says the direction, as it is."""
    own = np.zeros(settled.shape, dtype=bool)
    for child, above in enumerate(parents):
        own[list(above), child] = True
    pattern = pattern_of([sum(1 << p for p in above) for above in parents], topological_order(parents)).matrix()
    found: Bools = np.where(settled | settled.T, own, pattern)
    return found
