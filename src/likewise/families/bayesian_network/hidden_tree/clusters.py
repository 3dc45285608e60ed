"""Where learning starts: rows in clusters, one clustering for every node of the tree.

Expectation maximisation of many hidden states from a random start stays poor. A state that starts as a cluster of rows
that are alike in the node's column, and less and less in those further away, is nearly what it will be (as Liu et al.
2023 start from the clusters of a larger model's embedding).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from likewise.families.bayesian_network.discrete.nodes import others
from likewise.families.bayesian_network.hidden_tree.passes import Shape
from likewise.families.bayesian_network.hidden_tree.tables import Marginals

ROUNDS = 8
ROWS = 10_000
"""Rows that centres are found from, where there are more; at least `ROWS_EACH` for every cluster."""

ROWS_EACH = 20
TILE = 4096


def features(states: Tensor, marginals: Marginals) -> list[Tensor]:
    """Each column as a matrix (rows, some), centred: normal scores of numbers, indicators of other codes."""
    found = []
    every = zip(states.T, marginals.sizes, marginals.numbers, marginals.places, strict=True)
    for own, size, numbers, place in every:
        if place is None:
            part = torch.nn.functional.one_hot(own, size).float()
        else:
            scores = torch.zeros(size).index_copy(0, numbers, place.float())
            part = torch.cat([scores[own][:, None], (own[:, None] == others(numbers, size)).float()], 1)
        found.append(part - part.mean(0))
    return found


def distances(shape: Shape) -> Tensor:
    """How many steps two nodes are apart (nodes, nodes)."""
    count = len(shape)
    found = torch.zeros(count, count, dtype=torch.int64)
    done: list[int] = []
    for node in shape.order:
        above = shape.parents[node]
        if above >= 0:
            found[node, done] = found[above, done] + 1
            found[done, node] = found[node, done]
        done.append(node)
    return found


def assignments(
    shape: Shape, columns: Sequence[Tensor], states: int, decay: float, generator: torch.Generator
) -> Tensor:
    """The cluster (rows, nodes) that each row starts in at each node, out of `states`.

    A column counts `decay` times as much for every step further along the tree.
    """
    apart = distances(shape)
    # No column counts for more because it varies more.
    columns = [part / part.pow(2).sum(1).mean().sqrt().clamp(min=1e-6) for part in columns]
    found = []
    for node in range(len(shape)):
        # Columns that count for less than a thousandth are left out.
        near = [j for j in range(len(shape)) if decay ** int(apart[node, j]) > 1e-3]
        seen = torch.cat([columns[j] * decay ** int(apart[node, j]) for j in near], 1)
        found.append(clusters(seen, states, generator))
    return torch.stack(found, 1)


def clusters(points: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """The nearest of `count` centres to each point (rows,); k-means (Lloyd 1982) finds them from some of the rows."""
    order = torch.randperm(len(points), generator=generator)
    some = points[order[: max(ROWS, ROWS_EACH * count)]]
    centres = some[torch.arange(count) % len(some)].clone()
    for _ in range(ROUNDS):
        nearest = _nearest(some, centres)
        sizes = torch.bincount(nearest, minlength=count)
        means = torch.zeros_like(centres).index_add_(0, nearest, some) / sizes.clamp(min=1)[:, None]
        empty = sizes == 0
        means[empty] = some[torch.randint(len(some), (int(empty.sum()),), generator=generator)]
        centres = means
    return _nearest(points, centres)


def _nearest(points: Tensor, centres: Tensor) -> Tensor:
    lengths = centres.pow(2).sum(1)
    parts = points.split(TILE)
    return torch.cat([(lengths - 2 * (part @ centres.T)).argmin(1) for part in parts])
