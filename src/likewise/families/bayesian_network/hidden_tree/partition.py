"""Which rows each tree of a mixture is for: a mixture of plain Chow-Liu trees says it before hidden states are learned.

Rows that one tree is for are those whose columns depend on each other as in that tree, so that a mixture finds what no
single tree can say. Plain trees over few groups of states find them in seconds (Meila and Jordan 2000).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from likewise.families.bayesian_network.discrete.graphs import GRAPH_GROUPS
from likewise.families.bayesian_network.discrete.growth import column
from likewise.families.bayesian_network.discrete.nodes import Nodes, others
from likewise.families.bayesian_network.structure.chow_liu import most_telling_tree
from likewise.families.bayesian_network.structure.scores import pair_information

SMOOTHING = 5.0
"""Records that a column's own distribution counts for in each row of a table."""

ROUNDS = 30
ENOUGH = 1e-3
"""Nats a record that a round of expectation maximisation has to gain, for there to be another."""

LEAST = 0.01
"""Smaller shares of a row in a tree are left out."""


class Groups:
    """Groups of the states of every column.

    Attributes
    ----------
    of : list of int64 (states,)
        The group of each state of a column.
    sizes : list of int
        How many groups each column has.
    starts : list of int
        Where they begin among those of all columns, and at last how many these are.
    """

    def __init__(self, nodes: Nodes, rows: Tensor) -> None:
        self.of: list[Tensor] = []
        self.sizes: list[int] = []
        for i, size in enumerate(nodes.sizes):
            numbers = nodes.numbers(i)
            rank = torch.cat([numbers, others(numbers, size)]).argsort()
            states: Any = rank[rows[:, i]].numpy()
            part = column(states, size, len(numbers), GRAPH_GROUPS, GRAPH_GROUPS)
            self.of.append(torch.from_numpy(part.group_of)[rank])
            self.sizes.append(part.groups)
        self.starts = [0, *itertools.accumulate(self.sizes)]

    def __call__(self, rows: Tensor) -> Tensor:
        """The groups (rows, columns) of states, by their places among those of all columns."""
        return torch.stack([of[rows[:, i]] + self.starts[i] for i, of in enumerate(self.of)], 1)


@dataclass(frozen=True)
class PlainTree:
    """A tree over groups.

    Attributes
    ----------
    parents : list of int
        The column above each, -1 at the root.
    log_tables : list of (groups of the column above, groups)
        Log-probabilities; a table of one row at the root.
    log_weight : float
        Of the tree in the mixture.
    """

    parents: list[int]
    log_tables: list[Tensor]
    log_weight: float

    def log_prob(self, groups: Tensor, starts: Sequence[int]) -> Tensor:
        """The log of weight times probability (rows,) of groups, by their places."""
        total = torch.full((len(groups),), self.log_weight)
        for i, (above, table) in enumerate(zip(self.parents, self.log_tables, strict=True)):
            own = groups[:, i] - starts[i]
            total += table[groups[:, above] - starts[above] if above >= 0 else torch.zeros_like(own), own]
        return total


class Partition:
    """A mixture of plain trees.

    Parameters
    ----------
    groups : Groups
    rows : int64 (rows, columns)
        States.
    at : int64 (rows,)
        The tree that each row starts in.
    """

    def __init__(self, groups: Groups, rows: Tensor, at: Tensor) -> None:
        self.groups = groups
        found = groups(rows)
        shown = torch.zeros(len(found), groups.starts[-1]).scatter_(1, found, 1.0)
        shares = torch.nn.functional.one_hot(at).float()
        last = -torch.inf
        for _ in range(ROUNDS):
            # A part without a record of its own has no tree; where shares are that small for all, one tree is for all.
            kept = [own for own in shares.T if float(own[own > LEAST].sum()) >= 1.0]
            self.trees = [self._tree(shown, own) for own in kept or [shares.sum(1)]]
            logs = self._logs(found)
            total = logs.logsumexp(1)
            shares = (logs - total[:, None]).exp()
            now = float(total.mean())
            if now - last < ENOUGH:
                break
            last = now

    def _tree(self, shown: Tensor, shares: Tensor) -> PlainTree:
        """The tree of largest likelihood of rows that belong to it by these shares."""
        active = shares > LEAST
        told, weights = shown[active], shares[active]
        pairs, size = (told * weights[:, None]).T @ told, float(weights.sum())
        above = most_telling_tree(pair_information(pairs.double().numpy(), self.groups.sizes, size))
        parents = [part[0] if part else -1 for part in above]
        tables = _log_tables(pairs, parents, self.groups.starts)
        return PlainTree(parents, tables, math.log(float(shares.sum()) / len(shares)))

    def _logs(self, groups: Tensor) -> Tensor:
        return torch.stack([tree.log_prob(groups, self.groups.starts) for tree in self.trees], 1)

    def shares(self, rows: Tensor) -> Tensor:
        """How probable each tree is for each row of states (rows, trees)."""
        return self._logs(self.groups(rows)).softmax(1)


def _log_tables(pairs: Tensor, parents: Sequence[int], starts: Sequence[int]) -> list[Tensor]:
    """The tables of a tree from the weights of pairs of groups."""
    tables = []
    alone = pairs.diagonal()
    for i, above in enumerate(parents):
        own = alone[starts[i] : starts[i + 1]] + 1.0 / (starts[i + 1] - starts[i])
        own = own / own.sum()
        if above < 0:
            tables.append(own.log()[None])
            continue
        counts = pairs[starts[above] : starts[above + 1], starts[i] : starts[i + 1]] + SMOOTHING * own
        tables.append((counts / counts.sum(1, keepdim=True)).log())
    return tables
