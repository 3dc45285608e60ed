"""Messages in one tree of hidden states: up to the root, and down again.

Every node i of the tree is a hidden state z_i out of k, which chooses what its column shows. What is known of a column
is a weight (B, k) for each of its hidden states; all else is sums over the states of one node after the other. Where
rows agree in all that is known below a node, its message is found once for all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from likewise.families.bayesian_network.structure.graph import ancestors, topological_order


@dataclass(frozen=True)
class Shape:
    """Which node hangs below which: `parents[i]` is the node above i, -1 at the root."""

    parents: tuple[int, ...]

    def __post_init__(self) -> None:
        if sum(above < 0 for above in self.parents) != 1 or not all(-1 <= p < len(self.parents) for p in self.parents):
            raise ValueError("A tree of hidden states has one root, and a node above every other node.")

    def __len__(self) -> int:
        return len(self.parents)

    @cached_property
    def order(self) -> list[int]:
        """The nodes, each after the one above it; ValueError where they form no tree."""
        return topological_order(self.above)

    @cached_property
    def above(self) -> list[list[int]]:
        """The node above each node, as a list of one, or none."""
        return [[above] if above >= 0 else [] for above in self.parents]

    @cached_property
    def children(self) -> list[list[int]]:
        """The nodes that hang below each node."""
        found: list[list[int]] = [[] for _ in self.parents]
        for node, above in enumerate(self.parents):
            if above >= 0:
                found[above].append(node)
        return found


@dataclass(frozen=True)
class Tables:
    """The distributions of one tree.

    Attributes
    ----------
    root : (k,)
        p(z) at the root.
    steps : (nodes, k, k)
        p(z of a node | z of the node above), rows add up to 1; that of the root means nothing.
    leaves : (states of all columns, k)
        p(state of a column | z of its node), one column below the other.
    """

    root: Tensor
    steps: Tensor
    leaves: Tensor

    def double(self) -> Tables:
        return Tables(self.root.double(), self.steps.double(), self.leaves.double())


@dataclass(frozen=True)
class Messages:
    """A weight for each hidden state of each of B rows.

    Attributes
    ----------
    distinct : (n, k)
    at : int64 (B,) or None
        Which of them each row has; None where row number b has number b.
    """

    distinct: Tensor
    at: Tensor | None = None

    def rows(self) -> Tensor:
        """Those of all rows (B, k)."""
        return self.distinct if self.at is None else self.distinct[self.at]

    def of(self, rows: Tensor) -> Tensor:
        """Those of some rows."""
        return self.distinct[rows if self.at is None else self.at[rows]]

    def times(self, other: Messages) -> Messages:
        """The products of both."""
        if self.at is None or other.at is None:
            return Messages(self.rows() * other.rows())
        size = len(other.distinct)
        pairs, at = distinct(self.at * size + other.at)
        return Messages(self.distinct[pairs // size] * other.distinct[pairs % size], at)

    def scaled(self) -> tuple[Messages, Tensor]:
        """With 1 as the largest weight of each row, and the logs (B,) of what was the largest."""
        top = _positive(self.distinct.amax(1))
        logs = top.log()
        return Messages(self.distinct / top[:, None], self.at), logs if self.at is None else logs[self.at]

    def stepped(self, step: Tensor) -> Messages:
        """Given the hidden state of the node above, by the step p(z | z above) between them."""
        return Messages(self.distinct @ step.T, self.at)


def distinct(index: Tensor) -> tuple[Tensor, Tensor | None]:
    """The different numbers of (B,), and which of them each is; themselves and None where few are alike."""
    found, at = index.unique(return_inverse=True)
    return (found, at) if 2 * len(found) <= len(index) else (index, None)


def with_unseen(leaves: Tensor) -> Tensor:
    """The leaves (states of all columns, k) and below them what a state that was never seen says: nothing."""
    return torch.cat([leaves, leaves.new_ones(1, leaves.shape[1])])


@dataclass(frozen=True)
class Upward:
    """What the evidence below and at every node says of its hidden state; None where there is none.

    Attributes
    ----------
    log_prob : (B,)
        Of the evidence; minus infinity where it is impossible.
    messages : nodes of Messages
        In proportion to p(evidence at and below the node | z).
    passed : nodes of Messages
        The same given the hidden state of the node above; None at the root as well.
    """

    log_prob: Tensor
    messages: list[Messages | None]
    passed: list[Messages | None]


def upward(shape: Shape, tables: Tables, weights: Sequence[Messages | None], rows: int) -> Upward:
    """Messages from the leaves to the root for `rows` rows; a node without weights knows nothing of its column."""
    total = torch.zeros(rows, dtype=tables.root.dtype, device=tables.root.device)
    messages = list(weights)
    passed: list[Messages | None] = [None] * len(shape)
    for node in reversed(shape.order):
        message = messages[node]
        for child in shape.children[node]:
            below = passed[child]
            if below is None:
                continue
            # A product of many messages would underflow.
            message, logs = (below if message is None else message.times(below)).scaled()
            total = total + logs
        messages[node] = message
        if shape.parents[node] >= 0 and message is not None:
            passed[node] = message.stepped(tables.steps[node])
    found = messages[shape.order[0]]
    return Upward(total if found is None else total + (found.rows() @ tables.root).log(), messages, passed)


def beliefs(
    shape: Shape,
    tables: Tables,
    up: Upward,
    nodes: Sequence[int] | None = None,
    above: Callable[[int, Tensor], None] | None = None,
) -> dict[int, Tensor]:
    """p(z | all evidence), (B, k), of some nodes, None for all; only the ways down to them are walked.

    `above` is called with every node but the root, and with p(z of the node above | evidence) divided by what the node
    has passed up (B, k).
    """
    wanted = set(shape.order) if nodes is None else ancestors(shape.above, nodes)
    found: dict[int, Tensor] = {}
    for node in shape.order:
        if node not in wanted:
            continue
        message, passed, over = up.messages[node], up.passed[node], shape.parents[node]
        if over < 0:
            belief = tables.root.expand(len(up.log_prob), -1)
        else:
            share = found[over] if passed is None else found[over] / _positive(passed.rows())
            if above is not None:
                above(node, share)
            belief = share @ tables.steps[node]
        if message is not None:
            belief = belief * message.rows()
        found[node] = belief / _positive(belief.sum(1, keepdim=True))
    return found


def _positive(numbers: Tensor) -> Tensor:
    """The numbers, where they are 0 something as good that can be divided by."""
    return numbers.clamp(min=torch.finfo(numbers.dtype).tiny)
