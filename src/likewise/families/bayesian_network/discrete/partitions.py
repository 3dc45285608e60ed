"""How a node looks at its parents: a partition of their joint states into cells, each with its own distribution.

A full table has a cell for every configuration of the parents. A tree splits on one parent at a time, so that a node
can have many parents and few cells (context-specific independence: Boutilier et al. 1996; learned as by Friedman and
Goldszmidt 1996). Both know their coarser partitions, towards which the parameters of a cell are smoothed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

MAX_CELLS = 1 << 22
"""No node has more cells than this: a limit on what a model file may ask for."""

Bools = np.ndarray[tuple[int, ...], np.dtype[np.bool_]]
Integers = np.ndarray[tuple[int, ...], np.dtype[np.int64]]


@dataclass(frozen=True)
class Hierarchy:
    """Groups of cells, coarser above finer. Group 0 holds all; groups are sorted by depth; `up[0]` is -1.

    Attributes
    ----------
    up : int64 (groups,)
        The next coarser group.
    depth : int64 (groups,)
    cell : int64 (cells,)
        The finest group of each cell.
    """

    up: Integers
    depth: Integers
    cell: Integers


class Table:
    """A cell for every configuration of the parents, the last parent changing fastest.

    Parameters
    ----------
    parents : list of int
        In the order in which smoothing forgets them: the last first.
    sizes : list of int
        The number of states of each.
    """

    def __init__(self, parents: list[int], sizes: list[int]) -> None:
        self.parents, self.sizes = parents, sizes
        self.cells = math.prod(sizes)
        if self.cells > MAX_CELLS:
            raise ValueError(f"A table over {self.cells} configurations of parents; at most {MAX_CELLS} are possible.")

    def route(self, states: Tensor) -> Tensor:
        """The cell (B,) of each row of the states (B, E) of all nodes."""
        cell = torch.zeros(len(states), dtype=torch.int64, device=states.device)
        for parent, size in zip(self.parents, self.sizes, strict=True):
            cell = cell * size + states[:, parent]
        return cell

    @cached_property
    def hierarchy(self) -> Hierarchy:
        counts = np.cumprod([1, *self.sizes])
        first = np.cumsum([0, *counts])
        up = [np.array([-1])]
        for level, size in enumerate(self.sizes):
            up.append(first[level] + np.arange(counts[level + 1]) // size)
        depth = np.repeat(np.arange(len(counts)), counts)
        return Hierarchy(np.concatenate(up), depth, first[-2] + np.arange(self.cells))


class Tree:
    """Cells at the leaves of a binary tree; an inner node asks whether the state of one parent is in a set.

    Parameters
    ----------
    parents : list of int
    sizes : list of int
        The number of states of each parent.
    splits : list
        Inner nodes and leaves, a node before its left and then its right branch: `[position, states]` sends rows whose
        parent number `position` has one of the states, written as a hexadecimal bit mask, to the left; 0 is a leaf.
    """

    def __init__(self, parents: list[int], sizes: list[int], splits: list[Any]) -> None:
        self.parents, self.sizes, self.splits = parents, sizes, splits
        if not isinstance(splits, list) or not splits or len(splits) > 2 * MAX_CELLS:
            raise ValueError("A tree needs a list of splits.")
        count, width = len(splits), max(sizes, default=1)
        if count * width > 1 << 26:
            raise ValueError("A tree is larger than any that is ever learned.")
        self.feature = np.full(count, -1)
        self.left_states = np.zeros((count, width), dtype=bool)
        self.children = np.zeros((count, 2), dtype=np.int64)
        self.up = np.full(count, -1)
        self.depth = np.zeros(count, dtype=np.int64)
        waiting: list[tuple[int, int]] = [(-1, 0)]
        for node, split in enumerate(splits):
            if not waiting:
                raise ValueError("A tree has more nodes than its splits lead to.")
            above, side = waiting.pop()
            if above >= 0:
                self.up[node], self.depth[node] = above, self.depth[above] + 1
                self.children[above, side] = node
            if split == 0 and type(split) is int:
                continue
            position, mask = split
            if type(position) is not int or not 0 <= position < len(parents) or not isinstance(mask, str):
                raise ValueError("A split needs the position of a parent and a mask of its states.")
            self.feature[node] = position
            self.left_states[node, : sizes[position]] = _unpack(mask, sizes[position])
            waiting += [(node, 1), (node, 0)]
        if waiting:
            raise ValueError("A tree ends before its branches do.")
        leaves = np.flatnonzero(self.feature < 0)
        self.cells = len(leaves)
        self.leaf = np.full(count, -1)
        self.leaf[leaves] = np.arange(self.cells)
        self.leaf_nodes = leaves

    def route(self, states: Tensor) -> Tensor:
        """The cell (B,) of each row of the states (B, E) of all nodes."""
        device = states.device
        node = torch.zeros(len(states), dtype=torch.int64, device=device)
        if self.cells == 1:
            return node
        column, goes_left, children, leaf = (part.to(device) for part in self._tensors)
        active = torch.arange(len(states), device=device)
        here = node
        while len(active):
            state = states[active, column[here]]
            here = children[here, (~goes_left[here, state]).long()]
            node[active] = here
            inner = leaf[here] < 0
            active, here = active[inner], here[inner]
        return leaf[node]

    @cached_property
    def _tensors(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        column = np.where(self.feature >= 0, np.array([*self.parents, 0])[self.feature], 0)
        return (
            torch.from_numpy(column),
            torch.from_numpy(self.left_states),
            torch.from_numpy(self.children),
            torch.from_numpy(self.leaf),
        )

    @cached_property
    def hierarchy(self) -> Hierarchy:
        order = np.argsort(self.depth, kind="stable")
        place = np.empty_like(order)
        place[order] = np.arange(len(order))
        up = np.where(self.up >= 0, place[self.up], -1)[order]
        return Hierarchy(up, self.depth[order], place[self.leaf_nodes])

    @cached_property
    def masks(self) -> list[Bools]:
        """For each parent the states (cells, states) with which each cell can be reached; a cell is their product."""
        count = len(self.splits)
        reach = [np.ones((count, size), dtype=bool) for size in self.sizes]
        for node in range(1, count):
            above = self.up[node]
            for position, part in enumerate(reach):
                part[node] = part[above]
                if self.feature[above] == position:
                    left = self.left_states[above, : self.sizes[position]]
                    part[node] &= left if self.children[above, 0] == node else ~left
        return [part[self.leaf_nodes] for part in reach]

    def cut(self, groups: Bools) -> Tree:
        """The tree in which the given groups of its hierarchy are leaves; parents no longer asked for are dropped."""
        order = np.argsort(self.depth, kind="stable")
        ends = np.zeros(len(order), dtype=bool)
        ends[order] = groups
        kept: list[int] = []
        waiting = [0]
        while waiting:
            node = waiting.pop()
            kept.append(node)
            if self.feature[node] >= 0 and not ends[node]:
                waiting += [self.children[node, 1], self.children[node, 0]]
        inner = [node for node in kept if self.feature[node] >= 0 and not ends[node]]
        used = sorted({int(self.feature[node]) for node in inner})
        place = {position: rank for rank, position in enumerate(used)}
        asked = set(inner)
        splits = [[place[int(self.feature[node])], self.splits[node][1]] if node in asked else 0 for node in kept]
        return Tree([self.parents[p] for p in used], [self.sizes[p] for p in used], splits)


Partition = Table | Tree


def pack(states: Bools) -> str:
    """A set of states as a hexadecimal bit mask, state 0 in the lowest bit."""
    return f"{int.from_bytes(np.packbits(states, bitorder='little').tobytes(), 'little'):x}"


def _unpack(mask: str, size: int) -> Bools:
    if len(mask) > size // 4 + 1:
        raise ValueError("A split names states that its parent does not have.")
    number = int(mask, 16)
    if number < 0 or number >> size:
        raise ValueError("A split names states that its parent does not have.")
    bits = np.frombuffer(number.to_bytes((size + 7) // 8, "little"), dtype=np.uint8)
    return np.unpackbits(bits, count=size, bitorder="little").astype(bool)
