"""Messages in one tree of hidden states: up to the root, and down again.

Every node i of the tree is a hidden state z_i out of k, which chooses what its column shows. What is known of a column
is a weight (B, k) for each of its hidden states; all else is sums over the states of one node after the other.
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
class Upward:
    """What the evidence below and at every node says of its hidden state; None where there is none.

    Attributes
    ----------
    log_prob : (B,)
        Of the evidence; minus infinity where it is impossible.
    messages : nodes of (B, k)
        In proportion to p(evidence at and below the node | z).
    passed : nodes of (B, k)
        The same given the hidden state of the node above; None at the root as well.
    """

    log_prob: Tensor
    messages: list[Tensor | None]
    passed: list[Tensor | None]


def upward(shape: Shape, tables: Tables, weights: Sequence[Tensor | None], rows: int) -> Upward:
    """Messages from the leaves to the root for `rows` rows; a node without weights knows nothing of its column."""
    total = torch.zeros(rows, dtype=tables.root.dtype, device=tables.root.device)
    messages: list[Tensor | None] = list(weights)
    passed: list[Tensor | None] = [None] * len(shape)
    for node in reversed(shape.order):
        message = messages[node]
        for child in shape.children[node]:
            below = passed[child]
            if below is None:
                continue
            message = below if message is None else message * below
            # A product of many messages would underflow.
            top = _positive(message.amax(1))
            message = message / top[:, None]
            total = total + top.log()
        messages[node] = message
        if shape.parents[node] >= 0 and message is not None:
            passed[node] = message @ tables.steps[node].T
    found = messages[shape.order[0]]
    return Upward(total if found is None else total + (found @ tables.root).log(), messages, passed)


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
            share = found[over] if passed is None else found[over] / _positive(passed)
            if above is not None:
                above(node, share)
            belief = share @ tables.steps[node]
        if message is not None:
            belief = belief * message
        found[node] = belief / _positive(belief.sum(1, keepdim=True))
    return found


def _positive(numbers: Tensor) -> Tensor:
    """The numbers, where they are 0 something as good that can be divided by."""
    return numbers.clamp(min=torch.finfo(numbers.dtype).tiny)
