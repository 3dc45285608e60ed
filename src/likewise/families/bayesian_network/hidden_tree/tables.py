"""From expected counts to the distributions of a tree of hidden states: every one is smoothed towards a simpler one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from likewise.families.bayesian_network.hidden_tree.passes import Shape, Tables

ROOT = 1.0
"""Pseudo-count of every state at the root."""

FLOOR = 1e-9
"""Added to every probability: what a state can never show would be impossible, and denormal numbers are slow."""

SPREAD = 0.02
"""Prior variance of values given a hidden state, in squared standard deviations of the column."""

SPREAD_WEIGHT = 3.0
"""Records that this prior counts for."""

WHOLE = 100.0
"""Records that a column's distribution in all rows counts for in that of the rows of one tree."""


@dataclass(frozen=True)
class Strengths:
    """How many records the simpler distribution counts for, of every node (nodes,).

    Attributes
    ----------
    step :
        Of a simpler step, `Marginals.simpler`, in every row of a step.
    leaf :
        Of the column's own distribution in the tree's rows, for every hidden state.
    shape :
        Of the distribution of its numbers made as narrow, and moved as far, as values given the hidden state are.
    """

    step: Tensor
    leaf: Tensor
    shape: Tensor


class Marginals:
    """The columns' own distributions, which leaves are smoothed towards.

    Parameters
    ----------
    counts : (states of all columns,)
        Of the training rows.
    sizes : list of int
        The number of states of each column, without the unseen one.
    numbers : list of int64 (n,)
        Which of these are numbers, ascending.
    """

    def __init__(self, counts: Tensor, sizes: Sequence[int], numbers: Sequence[Tensor]) -> None:
        self.sizes, self.numbers = list(sizes), list(numbers)
        self.shares: list[Tensor] = []
        self.places: list[Tensor | None] = []
        for own, ordered in zip(counts.split(self.sizes), numbers, strict=True):
            raised = own.double() + 1.0 / len(own)
            self.shares.append(raised / raised.sum())
            if len(ordered) < 2:
                self.places.append(None)
                continue
            # Where a number lies among all, as a normal score.
            values = raised[ordered] / raised[ordered].sum()
            self.places.append(torch.special.ndtri(values.cumsum(0) - 0.5 * values))

    def within(self, counts: Tables) -> Marginals:
        """Those of the rows that a tree is for, from its expected counts."""
        return Marginals(counts.leaves.double().sum(1) + WHOLE * torch.cat(self.shares), self.sizes, self.numbers)

    def tilted(self, i: int, counts: Tensor) -> Tensor:
        """The numbers of column `i` (n, k), moved and narrowed to the mean and variance of their counts (n, k).

        A standard normal times exp(a z + b z^2) is normal again: so are the shares of numbers where these are normal
        scores, and numbers that are heavier than their neighbours stay so.
        """
        places = self.places[i]
        assert places is not None
        z, shares = places.to(counts)[:, None], self.shares[i][self.numbers[i]].to(counts)[:, None]
        size = counts.sum(0)
        mean = (counts * z).sum(0) / (size + 1e-9)
        variance = (counts * (z - mean) ** 2).sum(0)
        variance = (variance + SPREAD_WEIGHT * SPREAD) / (size + SPREAD_WEIGHT)
        return torch.softmax(0.5 * z**2 - 0.5 * (z - mean) ** 2 / variance + shares.log(), 0)

    def leaf(self, i: int, counts: Tensor, leaf: float, shape: float, tilted: Tensor | None = None) -> Tensor:
        """p(state | z) of column `i`, (states, k), from expected counts; `tilted` where it is known already."""
        numbers = self.numbers[i]
        shares = self.shares[i].to(counts)[:, None]
        raised = counts + leaf * shares
        if len(numbers) < 2:
            return _floored(raised, 0)
        values = counts[numbers]
        size = values.sum(0)
        tilted = self.tilted(i, values) if tilted is None else tilted
        shaped = (values + shape * tilted) / (size + shape)
        raised[numbers] = shaped * (size + leaf * shares[numbers].sum())
        return _floored(raised, 0)

    def simpler(self, shape: Shape, counts: Tables, leaves: Tensor) -> Tensor:
        """What steps are smoothed towards, (nodes, k, k), given the leaves p(x | z).

        The mean of two steps z above -> x above -> z and z above -> x -> z: in one the state above matters by what its
        column shows alone, in the other the state itself does. So hidden states that show the same lend each other
        what follows from them, and a step that was hardly ever seen keeps the dependence of the columns.
        """
        shown = leaves.split(self.sizes)
        found = torch.full_like(counts.steps, 1.0 / counts.steps.shape[-1])
        for node, over in enumerate(shape.parents):
            if over < 0:
                continue
            pairs, own, above = counts.steps[node], shown[node], shown[over]
            # States whatever the one above: these count for one record in either step.
            alone = _shares(pairs.sum(0) + 1.0, 0)
            by_above = above.T @ _shares(above @ pairs + alone, 1)
            by_own = _shares(pairs + alone, 1) @ own.T @ _shares(own * alone, 1)
            found[node] = 0.5 * (by_above + by_own)
        return found

    @staticmethod
    def step(counts: Tensor, strength: Tensor, simpler: Tensor) -> Tensor:
        """p(z | z above), (..., k, k), from expected counts; the strength broadcasts."""
        return _floored(counts + strength * simpler, -1)

    def tables(self, shape: Shape, counts: Tables, strengths: Strengths) -> Tables:
        """The distributions of a tree from the expected counts of its hidden states and of what they show."""
        root, own = counts.root + ROOT, self.within(counts)
        leaves = torch.cat(
            [
                own.leaf(i, part, float(strengths.leaf[i]), float(strengths.shape[i]))
                for i, part in enumerate(counts.leaves.split(self.sizes))
            ]
        )
        simpler = self.simpler(shape, counts, leaves)
        steps = self.step(counts.steps, strengths.step.to(counts.steps)[:, None, None], simpler)
        return Tables(_shares(root, 0), steps, leaves)


def _shares(weights: Tensor, axis: int) -> Tensor:
    """Distributions along an axis, in proportion to the weights."""
    return weights / weights.sum(axis, keepdim=True)


def _floored(weights: Tensor, axis: int) -> Tensor:
    """Distributions along an axis, in proportion to the weights but for `FLOOR`."""
    shares = _shares(weights, axis) + FLOOR
    return shares / (1.0 + FLOOR * weights.shape[axis])
