"""Classes of equivalent graphs (Verma and Pearl 1990) as partially directed graphs, and how far two are apart.

An edge that has the same direction in all graphs of a class is directed in its pattern, any other is undirected. Sets
of nodes are numbers whose bits are nodes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from likewise.families.bayesian_network.discrete.partitions import Bools
from likewise.families.bayesian_network.structure.counts import members


@dataclass(frozen=True)
class Pattern:
    """A partially directed graph.

    Attributes
    ----------
    parents, neighbours : list of int
        The nodes with a directed edge to each node, and with an undirected one.
    """

    parents: list[int]
    neighbours: list[int]

    @cached_property
    def children(self) -> list[int]:
        found = [0] * len(self.parents)
        for child, above in enumerate(self.parents):
            own = 1 << child
            for parent in members(above):
                found[parent] |= own
        return found

    @cached_property
    def adjacent(self) -> list[int]:
        return [a | b | c for a, b, c in zip(self.parents, self.neighbours, self.children, strict=True)]

    def matrix(self) -> Bools:
        """[u, v] and not [v, u] is u -> v; both are u - v."""
        found = np.zeros((len(self.parents), len(self.parents)), dtype=bool)
        for node, (above, beside) in enumerate(zip(self.parents, self.neighbours, strict=True)):
            found[list(members(above | beside)), node] = True
        return found


def pattern_of(parents: Sequence[int], order: Sequence[int]) -> Pattern:
    """The pattern of an acyclic graph's class, given its nodes with parents first (Chickering 1995, Label-Edges).

    Whether an edge x -> y is compelled is seen, once for all of y's edges, at the last of y's parents.
    """
    place = [0] * len(parents)
    for at, node in enumerate(order):
        place[node] = at
    compelled = [0] * len(parents)
    for node in order:
        above = parents[node]
        if not above:
            continue
        last = max(members(above), key=place.__getitem__)
        collides = compelled[last] & ~above or above & ~(1 << last) & ~parents[last]
        compelled[node] = above if collides else compelled[last]
    neighbours = [above & ~own for above, own in zip(parents, compelled, strict=True)]
    for node in order:
        for parent in members(parents[node] & ~compelled[node]):
            neighbours[parent] |= 1 << node
    return Pattern(compelled, neighbours)


def extension(pattern: Pattern) -> tuple[list[int], list[int]] | None:
    """Parents in an acyclic graph of these edges and these colliders only, and its order (Dor and Tarsi 1992).

    None where there is no such graph.
    """
    parents, neighbours, children, adjacent = pattern.parents, pattern.neighbours, pattern.children, pattern.adjacent
    found, order = parents.copy(), []
    left = (1 << len(parents)) - 1
    waiting = list(range(len(parents) - 1, -1, -1))
    while waiting:
        kept = []
        for node in waiting:
            beside = neighbours[node] & left
            if children[node] & left:
                kept.append(node)
                continue
            near = adjacent[node] & left
            rest = beside
            while rest:
                low = rest & -rest
                if near & ~low & ~adjacent[low.bit_length() - 1]:
                    break
                rest ^= low
            if rest:
                kept.append(node)
                continue
            found[node] = parents[node] | beside
            order.append(node)
            left ^= 1 << node
        if len(kept) == len(waiting):
            return None
        waiting = kept
    order.reverse()
    return found, order


def distance(first: Bools, second: Bools) -> int:
    """The structural Hamming distance (Tsamardinos et al. 2006): one for each pair of nodes joined in another way.

    Both are matrices as `Pattern.matrix` gives them.
    """
    differ = first != second
    return int(np.triu(differ | differ.T).sum())
