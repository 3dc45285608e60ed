"""Linear-Gaussian distributions of values: sufficient statistics, scores, coefficients."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from likewise.events import Batch, Event
from likewise.families.bayesian_network.discrete.partitions import Integers, Table
from likewise.families.bayesian_network.structure.scores import FamilyScores, ScoreName

FLOOR = 1e-6
"""No value is known better than this standard deviation, in normal scores, whatever its parents."""


def features(event: Event, codes: Tensor, values: Tensor, parents: list[int]) -> Tensor:
    """(B, 1 + 2 len(parents)): one, the values of the parents (0 where absent), and whether each is absent."""
    present = event.present(codes)[:, parents]
    ones = torch.ones(len(codes), 1, dtype=torch.float64, device=codes.device)
    return torch.cat([ones, torch.where(present, values.double()[:, parents], 0.0), (~present).double()], 1)


def moments(x: Tensor, y: Tensor, cell: Tensor, cells: int) -> Tensor:
    """Sums of products (cells, F + 1, F + 1) of the features and, last, the value; [0, 0] counts rows."""
    both = torch.cat([x, y[:, None]], 1)
    size = both.shape[1]
    out = torch.zeros(cells, size * size, dtype=torch.float64, device=x.device)
    for start in range(0, len(both), 65_536):
        part = both[start : start + 65_536]
        out.index_add_(0, cell[start : start + 65_536], (part[:, :, None] * part[:, None, :]).flatten(1))
    return out.reshape(cells, size, size)


def regress(sums: Tensor, strength: float) -> tuple[Tensor, Tensor]:
    """Coefficients (cells, F) and standard deviations (cells,) of normal values given their features.

    Each cell's regression is the posterior mean under a prior worth `strength` rows of all cells pooled; the pooled one
    has a ridge of a thousandth of a row. So a cell without rows has the pooled regression.
    """
    pooled = sums.sum(0)
    size = pooled.shape[0] - 1
    rows = pooled[0, 0].clamp(min=1.0)
    ridge = 1e-3 * torch.eye(size, dtype=torch.float64, device=sums.device)
    ridge[0, 0] = 1e-9
    prior = (pooled[:size, :size] + ridge) / rows
    centre = torch.linalg.solve(prior, pooled[:size, size] / rows)
    spread = _residual(pooled, centre) / rows
    matrix = sums[:, :size, :size] + strength * prior
    target = sums[:, :size, size] + strength * (prior @ centre)
    coefficients = torch.linalg.solve(matrix, target[:, :, None])[:, :, 0]
    away = coefficients - centre
    shrink = strength * torch.einsum("ci,ij,cj->c", away, prior, away)
    variance = (_residual(sums, coefficients) + shrink + strength * spread) / (sums[:, 0, 0] + strength)
    # Prior of one hundredth of a row on a unit variance: values are normal scores.
    return coefficients, (variance + 0.01 / (rows + 1)).clamp(min=FLOOR**2).sqrt()


def _residual(sums: Tensor, coefficients: Tensor) -> Tensor:
    size = sums.shape[-1] - 1
    fit = torch.einsum("...i,...i->...", coefficients, sums[..., :size, size])
    bent = torch.einsum("...i,...ij,...j->...", coefficients, sums[..., :size, :size], coefficients)
    return (sums[..., size, size] - 2 * fit + bent).clamp(min=0.0)


class MixedScores:
    """BIC of conditional Gaussian networks (Lauritzen and Wermuth 1989) over codes and values.

    Node i < E is the code of entry i, node E + i its value, which is present where the code is 0. A code has codes as
    parents; a value has codes (a regression for each configuration) and values (its regressors).

    Parameters
    ----------
    event : Event
    train : Batch
        Fully observed rows.
    """

    def __init__(self, event: Event, train: Batch, score: ScoreName, equivalent_sample_size: float) -> None:
        self.event, self.rows, self.train = event, len(train), train
        self.codes = FamilyScores(train.codes.numpy(), list(event.code_sizes), score, equivalent_sample_size)
        self.present = event.present(train.codes)
        self._cache: dict[tuple[int, frozenset[int]], float] = {}

    def __len__(self) -> int:
        return 2 * len(self.event)

    def family(self, child: int, parents: frozenset[int]) -> float:
        """The score of one family; minus infinity where the model has no such family."""
        count = len(self.event)
        sizes = self.event.code_sizes
        discrete = sorted(p for p in parents if p < count)
        values = sorted(p - count for p in parents if p >= count)
        if any(sizes[p] == 1 for p in discrete) or any(p not in self.event.value_entries for p in values):
            return -math.inf
        if child < count:
            return -math.inf if values else self.codes.family(child, frozenset(discrete))
        if child - count not in self.event.value_entries:
            return 0.0 if not parents else -math.inf
        if child - count in discrete:
            return -math.inf
        key = (child, parents)
        if key not in self._cache:
            self._cache[key] = self._value(child - count, discrete, values)
        return self._cache[key]

    def _value(self, i: int, discrete: list[int], values: list[int]) -> float:
        sizes = self.event.code_sizes
        cells = math.prod(sizes[p] for p in discrete)
        if cells > 4096:
            return -math.inf
        sums = sufficient(self.event, self.train, i, discrete, values)
        rows, size = sums[:, 0, 0], sums.shape[1] - 1
        eye = 1e-6 * torch.eye(size, dtype=torch.float64)
        slopes = torch.linalg.solve(sums[:, :size, :size] + eye, sums[:, :size, size:])[:, :, 0]
        # The floor on the variance keeps columns that determine each other from scores without bound.
        variance = (_residual(sums, slopes) / rows.clamp(min=1.0)).clamp(min=1e-4)
        fit = -0.5 * (rows * (variance.log() + math.log(2 * math.pi) + 1)).sum()
        free = 2 + len(values) + sum(sizes[p] > 1 for p in values)
        return float(fit) - 0.5 * math.log(max(self.rows, 1)) * cells * free


def sufficient(event: Event, batch: Batch, i: int, discrete: list[int], values: list[int]) -> Tensor:
    """The moments of value entry `i` given code parents and value parents, over the rows in which it is present."""
    at = (batch.codes[:, i] == 0).nonzero()[:, 0]
    codes, z = batch.codes[at], batch.values[at].double()
    table = Table(discrete, [event.code_sizes[p] for p in discrete])
    return moments(features(event, codes, z, values), z[:, i], table.route(codes), table.cells)


def node_ranks(event: Event, train: Batch) -> Integers:
    """The rank of each node of `MixedScores` by facts that do not depend on the order of the columns."""
    count = len(event)
    facts: list[tuple[float, ...]] = []
    for node in range(2 * count):
        i = node % count
        z = train.values[train.codes[:, i] == 0, i]
        shape = (float(z.double().pow(3).mean()), float(z.double().pow(4).mean())) if len(z) else (0.0, 0.0)
        facts.append((node // count, event.code_sizes[i], len(z), *(round(part, 6) for part in shape)))
    ranks: Integers = np.empty(2 * count, dtype=np.int64)
    ranks[np.lexsort(np.array(facts).T[::-1])] = np.arange(2 * count)
    return ranks
