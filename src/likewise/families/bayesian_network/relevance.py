"""What a pattern of evidence leaves to sum over: relevant nodes, classes of their states, factors, a plan.

Nodes below which nothing is known sum to one and are left out. Observed nodes are gathered away. States of a node
between which no relevant child can tell are one class. A tree enters as the table over its parents that are not
observed or, where that would be large, as one more variable, its cell, with a small factor for each such parent:
whether the parent's state can lead to the cell. The plan tries both.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from likewise.families.bayesian_network.graph import ancestors
from likewise.families.bayesian_network.inference import Factor, Plan, plan
from likewise.families.bayesian_network.partitions import Integers, Table, Tree

if TYPE_CHECKING:
    from likewise.families.bayesian_network.network import DiscreteNetwork

SPLIT_AT = (1 << 24, 1 << 20, 1 << 16, 1 << 12, 1 << 8)
"""Trees over more configurations than this are tried by their cells."""

SMALL = 1 << 14
"""A plan that holds no more states than this is good enough."""


@dataclass(frozen=True)
class Query:
    """One pattern of evidence.

    Attributes
    ----------
    observed, relevant : (E,) bool
    restricted : tuple of int
        Entries known to lie in a set.
    classes : entry -> int64 (states,)
        The class of each state, for relevant entries that are not observed.
    split : frozenset of int
        The entries whose tree enters by its cell.
    plan : Plan
        Over entries by number, and cells of the tree of entry i as number E + i.
    """

    observed: tuple[bool, ...]
    relevant: tuple[bool, ...]
    restricted: tuple[int, ...]
    classes: dict[int, Integers]
    split: frozenset[int]
    plan: Plan

    def factors(
        self, network: DiscreteNetwork, states: Tensor, log_weights: dict[int, Tensor]
    ) -> tuple[Tensor, list[Factor]]:
        """The log-probability (B,) of what needs no summing, and the factors of the rest.

        `log_weights` (B or 1, states) weigh the states of entries that are not observed.
        """
        offset = torch.zeros(len(states), dtype=torch.float64, device=states.device)
        weights: dict[int, Tensor] = {}
        for i, logs in log_weights.items():
            top = logs.amax(1)
            offset = offset + top
            weights[i] = (logs - top.clamp(min=-1e300)[:, None]).exp()
        found: list[Factor] = []
        for i in np.flatnonzero(self.relevant).tolist():
            own = network.of(i)
            partition, table = own.partition, own.table.double()
            free = [p for p in partition.parents if not self.observed[p]]
            if not free:
                rows = table[partition.route(states)]
                if self.observed[i]:
                    offset = offset + rows.gather(1, states[:, i : i + 1])[:, 0].log()
                else:
                    found.append(Factor((i,), self._lump(i, rows, weights.get(i))))
            elif isinstance(partition, Table):
                found.append(self._table_factor(i, partition, table, states, weights.get(i)))
            elif i in self.split:
                found += self._cell_factors(i, partition, table, states, weights.get(i))
            else:
                found.append(self._tree_factor(i, partition, table, states, weights.get(i)))
        return offset, [self._masked(factor, weights) for factor in found]

    def _lump(self, i: int, rows: Tensor, weights: Tensor | None) -> Tensor:
        """Probabilities (..., states) of entry `i` times its weights, summed within classes."""
        if weights is not None:
            rows = rows * weights.reshape(len(weights), *(1 for _ in range(rows.dim() - 2)), -1)
        group = torch.from_numpy(self.classes[i]).to(rows.device)
        count = int(self.classes[i].max()) + 1
        if count == rows.shape[-1]:
            return rows
        return rows.new_zeros(*rows.shape[:-1], count).index_add(rows.dim() - 1, group, rows)

    def _masked(self, factor: Factor, weights: dict[int, Tensor]) -> Factor:
        """The factor with 0 where a class has no weight at all, so that scaling looks only at what is possible."""
        table = factor.table
        for axis, i in enumerate(factor.variables):
            if i in weights:
                group = torch.from_numpy(self.classes[i]).to(table.device)
                open_ = weights[i].new_zeros(len(weights[i]), int(group.max()) + 1)
                open_ = (open_.index_add(1, group, (weights[i] > 0).double()) > 0).double()
                shape = [len(open_)] + [1] * len(factor.variables)
                shape[axis + 1] = open_.shape[1]
                table = table * open_.reshape(shape)
        return Factor(factor.variables, table)

    def _table_factor(self, i: int, partition: Table, table: Tensor, states: Tensor, weights: Tensor | None) -> Factor:
        family = [*partition.parents, i]
        cube = table.reshape(*partition.sizes, table.shape[1])
        gathered = [axis for axis, node in enumerate(family) if self.observed[node]]
        free = [axis for axis, node in enumerate(family) if not self.observed[node]]
        cube = cube.permute(*gathered, *free)
        cube = cube[tuple(states[:, family[axis]] for axis in gathered)] if gathered else cube[None]
        if not self.observed[i]:
            # The child is the last axis of the family, so also the last of the free ones.
            cube = self._lump(i, cube, weights)
        return Factor(tuple(family[axis] for axis in free), cube)

    def _tree_factor(self, i: int, tree: Tree, table: Tensor, states: Tensor, weights: Tensor | None) -> Factor:
        """The table over the free parents, one state standing for each class, and over the child unless observed."""
        free = [p for p in tree.parents if not self.observed[p]]
        members = [torch.from_numpy(self._first(p)).to(states.device) for p in free]
        grid = torch.cartesian_prod(*members).reshape(-1, len(free))
        shared = len(free) == len(tree.parents)
        rows = 1 if shared else len(states)
        joint = states[:rows].repeat_interleave(len(grid), 0)
        joint[:, free] = grid.repeat(rows, 1)
        cell = tree.route(joint).reshape(rows, *(len(part) for part in members))
        if not self.observed[i]:
            return Factor(
                (*free, i),
                self._lump(i, table, weights)[cell] if weights is None else self._lump(i, table[cell], weights),
            )
        own = states[:, i].reshape(-1, *(1 for _ in free))
        return Factor(tuple(free), table[cell, own])

    def _first(self, i: int) -> Integers:
        """The first state of each class of entry `i`."""
        first: Integers = np.unique(self.classes[i], return_index=True)[1]
        return first

    def _cell_factors(self, i: int, tree: Tree, table: Tensor, states: Tensor, weights: Tensor | None) -> list[Factor]:
        cell = len(self.observed) + i
        reach = torch.ones(1, len(table), dtype=torch.bool, device=table.device)
        found = []
        for parent, mask in zip(tree.parents, tree.masks, strict=True):
            possible = torch.from_numpy(mask).to(table.device)
            if self.observed[parent]:
                reach = reach & possible.T[states[:, parent]]
                continue
            first = torch.from_numpy(self._first(parent)).to(table.device)
            found.append(Factor((cell, parent), possible[:, first].double()[None]))
        if self.observed[i]:
            found.append(Factor((cell,), reach * table.T[states[:, i]]))
            return found
        if not bool(reach.all()):
            found.append(Factor((cell,), reach.double()))
        found.append(Factor((cell, i), self._lump(i, table[None], weights)))
        return found


def query_of(network: DiscreteNetwork, observed: tuple[bool, ...], restricted: tuple[bool, ...]) -> Query:
    """Everything about a pattern of evidence that does not depend on the values in it."""
    known = [i for i in range(len(observed)) if observed[i] or restricted[i]]
    needed = ancestors(network.parents, known)
    relevant = tuple(i in needed for i in range(len(observed)))
    free = [i for i in sorted(needed) if not observed[i]]
    classes = {i: _classes(network, i, needed) for i in free}
    sizes = {i: int(classes[i].max()) + 1 for i in free}
    trees: list[tuple[int, tuple[int, ...], int]] = []
    for i in sorted(needed):
        partition = network.of(i).partition
        above = tuple(p for p in partition.parents if not observed[p])
        scope = above if observed[i] else (*above, i)
        trees.append((i, scope, 0 if isinstance(partition, Table) or not above else partition.cells))
    best: tuple[frozenset[int], Plan] | None = None
    for threshold in (None, *SPLIT_AT):
        split = frozenset(
            i
            for i, scope, cells in trees
            if threshold is not None and cells and math.prod(sizes[p] for p in scope) > threshold
        )
        scopes: list[tuple[int, ...]] = []
        for i, scope, cells in trees:
            cell = len(observed) + i
            sizes[cell] = cells
            scopes += [(cell, node) for node in scope] or [()] if i in split else [scope]
        # A table is held whole before anything is summed.
        held = max((math.prod(sizes[node] for node in scope) for scope in scopes), default=1)
        found = plan(scopes, sizes)
        found = Plan(found.order, max(found.peak, held))
        if best is None or found.peak < best[1].peak:
            best = split, found
        if best[1].peak <= SMALL:
            break
    assert best is not None
    return Query(observed, relevant, tuple(np.flatnonzero(restricted).tolist()), classes, *best)


def _classes(network: DiscreteNetwork, i: int, needed: set[int]) -> Integers:
    """The class of each state of entry `i`: alike for every relevant child's tree."""
    size = network.nodes.sizes[i]
    signature = np.zeros(size, dtype=np.uint64)
    generator = np.random.default_rng(0)
    for child in sorted(needed):
        partition = network.of(child).partition
        if i not in partition.parents:
            continue
        if isinstance(partition, Table):
            return np.arange(size)
        mask = partition.masks[partition.parents.index(i)]
        # Sums of random 64-bit numbers tell sets of cells apart.
        names = generator.integers(0, 1 << 63, size=len(mask), dtype=np.uint64)
        signature += (mask * names[:, None]).sum(0, dtype=np.uint64)
    first = np.unique(signature, return_index=True)[1]
    ordered = signature[np.sort(first)]
    classes: Integers = (signature[:, None] == ordered[None, :]).argmax(1)
    return classes
