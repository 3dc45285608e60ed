"""The best graph of all, by dynamic programming over subsets of columns (Silander and Myllymaeki 2006)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import Any

import numpy as np

from likewise.errors import NotSupported
from likewise.families.bayesian_network.structure.constraints import Constraints
from likewise.families.bayesian_network.structure.counts import Floats
from likewise.families.bayesian_network.structure.scores import Scores

MOST = 20
"""Columns; each further one doubles the time and the memory, of which 20 take 400 MB."""


def exact(scores: Scores, constraints: Constraints) -> list[list[int]]:
    """The parents of each column in a graph of largest score among those that obey the constraints.

    A best graph on a set of columns has a column without children: it has the best parents among the others, on which
    the graph is a best one again. Arrays are indexed by sets of columns, written as bits.

    Raises
    ------
    NotSupported
        Where there are more columns than `MOST`.
    """
    nodes = len(scores)
    if nodes > MOST:
        raise NotSupported(
            f"structure='exact' compares all graphs of at most {MOST} columns, not of {nodes}: use structure='ges'."
        )
    families = _families(scores, constraints)
    within = [_best_within(family, nodes) for family in families]
    subsets = np.arange(1 << nodes)
    sizes = np.bitwise_count(subsets)
    best: Floats = np.full(1 << nodes, -np.inf)
    last = np.zeros(1 << nodes, dtype=np.int8)
    best[0] = 0.0
    for size in range(1, nodes + 1):
        layer = np.flatnonzero(sizes == size)
        for node in range(nodes):
            own = layer[layer >> node & 1 == 1]
            others = own ^ (1 << node)
            value = best[others] + within[node][others]
            better = value > best[own]
            best[own[better]], last[own[better]] = value[better], node
    parents: list[list[int]] = [[] for _ in range(nodes)]
    left = (1 << nodes) - 1
    while left:
        node = int(last[left])
        left ^= 1 << node
        chosen = np.flatnonzero((families[node] == within[node][left]) & (subsets & ~left == 0))[0]
        parents[node] = [i for i in range(nodes) if chosen >> i & 1]
    return parents


def _families(scores: Scores, constraints: Constraints) -> list[Floats]:
    """For each child the score with each set of parents, -inf where it may not have these."""
    nodes = len(scores)
    out: list[Floats] = [np.full(1 << nodes, -np.inf) for _ in range(nodes)]
    for child in range(nodes):
        out[child][0] = scores.family(child, 0)
        # A set is reached from the one without its largest column.
        for parents in _sets(nodes, min(constraints.most[child], nodes - 1) - 1, child):
            found = scores.additions(child, parents)
            first = parents.bit_length()
            for further in range(first, nodes):
                if further != child:
                    out[child][parents | 1 << further] = found[further]
    subsets = np.arange(1 << nodes)
    for child, own in enumerate(out):
        never = sum(1 << int(p) for p in np.flatnonzero(~constraints.allowed[:, child]))
        always = sum(1 << int(p) for p in np.flatnonzero(constraints.required[:, child]))
        own[(subsets & never != 0) | (subsets & always != always)] = -np.inf
    return out


def _sets(nodes: int, most: int, child: int) -> Iterator[int]:
    """All sets of at most `most` columns but one."""
    others = [i for i in range(nodes) if i != child]
    for size in range(most + 1):
        for chosen in combinations(others, size):
            yield sum(1 << i for i in chosen)


def _best_within(family: Floats, nodes: int) -> Floats:
    """The largest score with any parents among the columns of each set."""
    found = family.copy()
    for node in range(nodes):
        pairs: Any = found.reshape(-1, 2, 1 << node)
        np.maximum(pairs[:, 1], pairs[:, 0], out=pairs[:, 1])
    return found
