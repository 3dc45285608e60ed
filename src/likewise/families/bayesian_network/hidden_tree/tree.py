"""One tree of hidden states as a module: its expected counts, and the tables they make."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from likewise.families.bayesian_network.hidden_tree.passes import Messages, Shape, Tables, Upward, beliefs, upward
from likewise.families.bayesian_network.hidden_tree.tables import Strengths

MAX_PARAMETERS = 1 << 28
"""No tree is larger: a limit on what a model file may ask for."""


def too_large(nodes: int, states: int, shown: int) -> bool:
    """Whether a tree has more than `MAX_PARAMETERS`; see `HiddenTree`."""
    return nodes * states**2 + shown * states > MAX_PARAMETERS


class HiddenTree(nn.Module):
    """A tree with a hidden state behind every column.

    Parameters
    ----------
    parents : list of int
        The column above each, -1 at the root.
    states : int
        Hidden states of every node, k.
    shown : int
        The states of all columns together.

    Attributes
    ----------
    root, steps, leaves : float32 (k,), (nodes, k, k), (shown, k)
        Expected counts: of the hidden state at the root, of hidden states with those above, and of what is shown.
    smoothing : float32 (3, nodes)
        The strengths of steps, leaves and shapes.
    """

    def __init__(self, parents: Any, states: int, shown: int) -> None:
        super().__init__()
        if not isinstance(parents, list) or not all(type(p) is int for p in parents):
            raise ValueError("A tree of hidden states is a list of the columns above each column.")
        if too_large(len(parents), states, shown):
            raise ValueError(f"A tree of {len(parents)} times {states} hidden states is too large.")
        self.shape = Shape(tuple(parents))
        assert len(self.shape.order) == len(parents)
        self.root: Tensor
        self.steps: Tensor
        self.leaves: Tensor
        self.register_buffer("root", torch.zeros(states))
        self.register_buffer("steps", torch.zeros(len(parents), states, states))
        self.smoothing: Tensor
        self.register_buffer("leaves", torch.zeros(shown, states))
        self.register_buffer("smoothing", torch.ones(3, len(parents)))

    @property
    def counts(self) -> Tables:
        """The expected counts."""
        return Tables(self.root, self.steps, self.leaves)

    @property
    def strengths(self) -> Strengths:
        """How the tables are smoothed."""
        return Strengths(*self.smoothing)

    def keep(self, counts: Tables, strengths: Strengths | None = None) -> None:
        """Takes over expected counts, and how they are to be smoothed."""
        if strengths is not None:
            self.smoothing.copy_(torch.stack([strengths.step, strengths.leaf, strengths.shape]))
        self.root.copy_(counts.root)
        self.steps.copy_(counts.steps)
        self.leaves.copy_(counts.leaves)


def log_prob(shape: Shape, tables: Tables, index: Tensor) -> Tensor:
    """The log-probabilities (B,) of complete rows; `index` (B, nodes) is the row of `tables.leaves` of each column."""
    return _complete(shape, tables, index).log_prob


def _complete(shape: Shape, tables: Tables, index: Tensor) -> Upward:
    return upward(shape, tables, [Messages(tables.leaves[shown]) for shown in index.T], len(index))


def expected(shape: Shape, tables: Tables, index: Tensor, weights: Tensor | None = None) -> tuple[Tensor, Tables]:
    """The log-probabilities (B,) of complete rows, and the counts of hidden states to be expected given them.

    `index` (B, nodes) says which row of `tables.leaves` each column shows, `weights` (B,) how often each row counts:
    the E-step of expectation maximisation (Dempster, Laird and Rubin 1977).
    """
    up = _complete(shape, tables, index)
    steps = torch.zeros_like(tables.steps)

    def weighed(rows: Tensor) -> Tensor:
        return rows if weights is None else rows * weights[:, None]

    def pairs(node: int, share: Tensor) -> None:
        message = up.messages[node]
        assert message is not None
        torch.mm(weighed(share).T, message.rows(), out=steps[node])

    found = beliefs(shape, tables, up, above=pairs)
    shown = torch.cat([weighed(found[i]) for i in range(len(shape))])
    leaves = torch.zeros_like(tables.leaves).index_add_(0, index.T.flatten(), shown)
    return up.log_prob, Tables(weighed(found[shape.order[0]]).sum(0), steps.mul_(tables.steps), leaves)
