"""The factors of a product, before the evidence and after: conditional distributions over what is not observed.

A conditional distribution is looked up by the state of its node and the cell of its parents; observed ones are looked
up row by row, and the axes of the others remain.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from likewise.families.bayesian_network.discrete.partitions import Partition, Tree
from likewise.families.bayesian_network.inference.contraction import Array, Bools, Integers
from likewise.families.bayesian_network.inference.elimination import Scope
from likewise.families.bayesian_network.inference.parameters import strides_of


class Factor(Protocol):
    """A factor of the product.

    Attributes
    ----------
    scope : variables
    wide : bool
        Whether it differs between rows.
    floor : float
        A lower bound of the logs of its positive numbers, but for weights.
    weighed : int or None
        The entry whose weights it contains.
    """

    @property
    def scope(self) -> Scope: ...
    @property
    def wide(self) -> bool: ...
    @property
    def floor(self) -> float: ...
    @property
    def weighed(self) -> int | None: ...

    def numbers(self, states: Integers, weights: Mapping[int, Array]) -> Array:
        """The array (states of the scope, ..., rows or 1)."""
        ...


@dataclass(frozen=True, eq=False)
class Fixed:
    """A factor that no evidence changes; `source` is the conditional distribution that it is, if any."""

    scope: Scope
    array: Array
    source: Child | None = None
    wide: bool = False
    weighed: int | None = None

    @property
    def floor(self) -> float:
        """That of the conditional distribution; else it holds zeros and ones."""
        return 0.0 if self.source is None else self.source.floor

    def numbers(self, states: Integers, weights: Mapping[int, Array]) -> Array:
        return self.array


@dataclass(frozen=True, eq=False)
class Weights:
    """How well each state of a variable agrees with what is known of it."""

    scope: Scope
    wide: bool = True
    floor: float = 0.0

    @property
    def weighed(self) -> int:
        return self.scope[0]

    def numbers(self, states: Integers, weights: Mapping[int, Array]) -> Array:
        return weights[self.scope[0]]


@dataclass(frozen=True, eq=False)
class Cells:
    """Which cell of a partition a configuration of the free parents leads to, given the observed ones."""

    partition: Partition
    free: Scope
    members: tuple[Integers, ...]
    """For each free parent the states that stand for its classes."""

    @property
    def wide(self) -> bool:
        return len(self.free) < len(self.partition.parents)

    def at(self, states: Integers) -> Integers:
        """The cells (classes of the free parents, ..., rows or 1)."""
        if isinstance(self.partition, Tree):
            return self._routed(self.partition, states)
        offsets, known = self._offsets
        for parent, step in known:
            offsets = offsets + states[:, parent] * step
        return offsets

    @cached_property
    def _offsets(self) -> tuple[Integers, list[tuple[int, int]]]:
        """The cells (classes, ..., 1) where observed parents are in state 0, and how far their states move them."""
        cell: Integers = np.zeros([1] * len(self.free) + [1], dtype=np.int64)
        known = []
        for parent, step in strides_of(-1, self.partition)[:-1]:
            if parent in self.free:
                axis = self.free.index(parent)
                cell = cell + step * self.members[axis].reshape([-1, *(1 for _ in self.free[axis:])])
            else:
                known.append((parent, step))
        return cell, known

    def _routed(self, tree: Tree, states: Integers) -> Integers:
        """As `at`: a cell of a tree is a box, the product of a set of states of each parent."""
        rows = len(states) if self.wide else 1
        found: Integers = np.zeros((*(len(part) for part in self.members), rows), dtype=np.int64)
        for cell in range(tree.cells):
            reached: Bools = np.ones(rows, dtype=bool)
            sides: list[Bools] = [reached] * len(self.free)
            for parent, mask in zip(tree.parents, tree.masks, strict=True):
                if parent in self.free:
                    axis = self.free.index(parent)
                    sides[axis] = mask[cell, self.members[axis]]
                else:
                    reached = reached & mask[cell, states[:, parent]]
            found[np.ix_(*sides, reached)] = cell
        return found


@dataclass(frozen=True, eq=False)
class Likelihood:
    """p(observed state | parents) over the free parents."""

    scope: Scope
    floor: float
    node: int
    table: Array
    cells: Cells
    wide: bool = True
    weighed: int | None = None

    def numbers(self, states: Integers, weights: Mapping[int, Array]) -> Array:
        found: Array = self.table.ravel()[self.cells.at(states) + states[:, self.node] * self.table.shape[1]]
        return found


@dataclass(frozen=True, eq=False)
class Child:
    """p(state | parents) over the node and its free parents; `groups`, if any, are classes whose states are summed."""

    scope: Scope
    floor: float
    node: int
    table: Array
    cells: Cells
    groups: Integers | None
    weighed: int | None
    wide: bool = True

    def numbers(self, states: Integers, weights: Mapping[int, Array]) -> Array:
        cells = self.cells.at(states)
        if self.groups is None:
            return self.table.take(cells, axis=1)
        if self.weighed is None:
            return _lumped(self.table, self.groups).take(cells, axis=1)
        found = self.table.take(cells, axis=1)
        own = weights[self.weighed]
        return _lumped(found * own.reshape(len(own), *(1 for _ in self.scope[1:]), -1), self.groups)

    def unfolded(self, joint: Array, states: Integers, weights: Mapping[int, Array]) -> Array:
        """The marginal (states, rows) of the node from the joint one (classes, free parents, ..., rows) of its classes.

        Given its class and the cell, a state depends on nothing else.
        """
        assert self.groups is not None
        classes, rows, cells = len(joint), joint.shape[-1], self.table.shape[1]
        cell = np.broadcast_to(self.cells.at(states)[None] * rows + np.arange(rows), joint.shape)
        first = np.arange(classes).reshape(-1, *(1 for _ in joint.shape[1:])) * (cells * rows)
        by_cell = np.bincount((cell + first).ravel(), joint.ravel(), classes * cells * rows)
        own = self.table[..., None]
        if self.weighed is not None:
            own = own * weights[self.weighed][:, None, :]
        total = _lumped(own, self.groups)
        share = own / np.where(total > 0, total, 1.0)[self.groups]
        found: Array = (by_cell.reshape(classes, cells, rows)[self.groups] * share).sum(1)
        return found


@dataclass(frozen=True, eq=False)
class Reach:
    """Which cells of a tree the observed parents allow, times the likelihood of the node's state if it is observed."""

    scope: Scope
    floor: float
    node: int
    table: Array | None
    masks: Mapping[int, Array]
    wide: bool = True
    weighed: int | None = None

    def numbers(self, states: Integers, weights: Mapping[int, Array]) -> Array:
        found: Array = np.ones((1, 1))
        for parent, mask in self.masks.items():
            found = found * mask[:, states[:, parent]]
        return found if self.table is None else found * self.table[states[:, self.node]].T


def _lumped(array: Array, groups: Integers) -> Array:
    """Sums the first axis within groups."""
    out: Array = np.zeros((int(groups.max()) + 1, *array.shape[1:]))
    np.add.at(out, groups, array)
    return out
