"""The numbers of a discrete network as exact inference wants them: tables by state, who is above whom."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from likewise.families.bayesian_network.discrete.partitions import Partition, Table
from likewise.families.bayesian_network.inference.contraction import Array


class Parameters:
    """The numbers of a network as inference wants them.

    Attributes
    ----------
    sizes : list of int
    partitions : list of Partition
    tables : list of float64 (states, cells)
    unseen : list of int or None
        The state of each node, if any, that stands for what was never seen: it is the last.
    """

    def __init__(
        self, sizes: list[int], partitions: list[Partition], tables: list[Array], unseen: list[int | None]
    ) -> None:
        self.sizes, self.partitions, self.unseen = sizes, partitions, unseen
        self.tables = [np.ascontiguousarray(table.T) for table in tables]
        self.parents = [partition.parents for partition in partitions]
        self.floors = [_floor(table) for table in tables]
        self.children: list[list[int]] = [[] for _ in sizes]
        for child, parents in enumerate(self.parents):
            for parent in parents:
                self.children[parent].append(child)
        self.above = _ancestries(self.parents)
        self.flat = [table.ravel() for table in self.tables]
        # Where a node has a table: how far each state of a member of its family moves in it, the node itself last.
        self.strides = [strides_of(i, partition) for i, partition in enumerate(partitions)]

    @cached_property
    def ancestry(self) -> Array:
        """1 where a node (V,) has another above it (V,), or is it; 0 elsewhere."""
        count = len(self.sizes)
        return np.array([[float(bits >> node & 1) for node in range(count)] for bits in self.above])

    def seen(self, i: int) -> int:
        """How many states of node `i`, the first ones, were ever seen."""
        return self.sizes[i] - (self.unseen[i] is not None)


def strides_of(i: int, partition: Partition) -> list[tuple[int, int]]:
    if not isinstance(partition, Table):
        return []
    found, step = [], 1
    for parent, size in zip(reversed(partition.parents), reversed(partition.sizes), strict=True):
        found.append((parent, step))
        step *= size
    return [*reversed(found), (i, step)]


def _floor(numbers: Array) -> float:
    """The log of the least positive number."""
    positive = numbers[numbers > 0]
    return float(np.log(positive.min())) if len(positive) else 0.0


def _ancestries(parents: list[list[int]]) -> list[int]:
    """For each node the bits of itself and all nodes above it."""
    found = [0] * len(parents)

    def ancestry(node: int) -> int:
        waiting = [node]
        while waiting:
            at = waiting[-1]
            missing = [p for p in parents[at] if not found[p]]
            if missing:
                waiting += missing
                continue
            waiting.pop()
            bits = 1 << at
            for p in parents[at]:
                bits |= found[p]
            found[at] = bits
        return found[node]

    for node in range(len(parents)):
        ancestry(node)
    return found
