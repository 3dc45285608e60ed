"""How much every distribution of a tree is smoothed: what predicts held-out rows best, node by node."""

from __future__ import annotations

import torch
from torch import Tensor

from likewise.families.bayesian_network.hidden_tree.passes import Messages, Shape, Tables, beliefs, upward, with_unseen
from likewise.families.bayesian_network.hidden_tree.tables import Marginals, Strengths

STEPS = (0.1, 0.3, 1.0, 3.0)
"""Records that what steps are smoothed towards may count for: with ten, held-out rows are more probable and draws less
like real rows."""

LEAVES = (0.1, 0.3, 1.0)
SHAPES = (10.0, 30.0, 100.0, 300.0)

START = (1.0, 1.0, 30.0)
"""Strengths of steps, leaves and shapes before anything was held out."""


def start(nodes: int) -> Strengths:
    """The strengths that learning starts with."""
    return Strengths(*(torch.full((nodes,), strength) for strength in START))


def chosen(shape: Shape, marginals: Marginals, counts: Tables, old: Strengths, index: Tensor) -> Strengths:
    """The strengths with which held-out rows (B, nodes) are most probable, each changed while the others are as before.

    Rows are numbers of rows of `with_unseen(leaves)`. What no row tells of stays as it was.

    A record's probability is linear in every table: with the messages of all other nodes, those of many versions of one
    table need no pass of their own.
    """
    if not len(index):
        return old
    tables, own = marginals.tables(shape, counts, old), marginals.within(counts)
    simpler = marginals.simpler(shape, counts, tables.leaves)
    leaves = with_unseen(tables.leaves)
    up = upward(shape, tables, [Messages(leaves[shown]) for shown in index.T], len(index))
    step, leaf, shaped = old.step.clone(), old.leaf.clone(), old.shape.clone()

    def choose_step(node: int, share: Tensor) -> None:
        message = up.messages[node]
        assert message is not None
        pairs, towards = counts.steps[node], simpler[node]
        versions = [Marginals.step(pairs, torch.tensor(strength), towards) for strength in STEPS]
        scores = [((share @ version) * message.rows()).sum(1).log().sum() for version in versions]
        step[node] = STEPS[int(torch.stack(scores).argmax())]

    found = beliefs(shape, tables, up, above=choose_step)
    start = 0
    for i, part in enumerate(counts.leaves.split(marginals.sizes)):
        seen = index[:, i] < len(tables.leaves)
        shown = index[seen, i]
        outside = found[i][seen] / leaves[shown]
        outside = outside / outside.sum(1, keepdim=True)
        numbers = own.numbers[i]
        tilted = own.tilted(i, part[numbers]) if len(numbers) > 1 else None
        best = -torch.inf
        for weight in LEAVES if len(shown) else ():
            for width in SHAPES if len(numbers) > 1 else SHAPES[:1]:
                version = own.leaf(i, part, weight, width, tilted)
                score = float((outside * version[shown - start]).sum(1).log().sum())
                if score > best:
                    best, leaf[i], shaped[i] = score, weight, width
        start += len(part)
    return Strengths(step, leaf, shaped)
