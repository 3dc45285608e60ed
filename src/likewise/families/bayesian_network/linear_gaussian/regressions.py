"""Linear-Gaussian distributions of values: sufficient statistics, scores, coefficients."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from likewise.events import Batch, Event
from likewise.families.bayesian_network.discrete.partitions import Table
from likewise.families.bayesian_network.structure.counts import Floats, members
from likewise.families.bayesian_network.structure.gaussian_scores import FLOOR as FLOOR_OF_SCORES
from likewise.families.bayesian_network.structure.gaussian_scores import lifted
from likewise.families.bayesian_network.structure.scores import FamilyScores, ScoreName

FLOOR = 1e-6
"""No value is known better than this standard deviation, in normal scores, whatever its parents."""

MOST_COVARIANCES = 1 << 24
"""Numbers that are kept of the covariances within configurations of codes."""


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
        self.sizes = seen_codes(train)
        self.codes = FamilyScores(train.codes.numpy(), self.sizes, score, equivalent_sample_size)
        always = all(self.sizes[i] == 1 for i in event.value_entries)
        self.equivalent = self.codes.equivalent and always
        self._cache: dict[tuple[int, int], float] = {}
        self._place = {i: place for place, i in enumerate(event.value_entries)}
        self._within: dict[tuple[int, ...], tuple[Tensor, Tensor]] = {}
        self._sets: dict[int, float] = {}

    def __len__(self) -> int:
        return 2 * len(self.event)

    def family(self, child: int, parents: int) -> float:
        """The score of one family; minus infinity where the model has no such family.

        Where values are never absent a code with values as parents has a score too, by which equivalent graphs have
        equal ones: what their set is worth more with the code.
        """
        if self.equivalent and child < len(self.event) <= parents.bit_length() - 1:
            return self._set(parents | 1 << child) - self._set(parents)
        return self._family(child, parents)

    def _set(self, nodes: int) -> float:
        """The value of a set of nodes: the score of a complete graph on it, codes before values."""
        if nodes not in self._sets:
            before, total = 0, 0.0
            for node in members(nodes):
                total += self._family(node, before)
                before |= 1 << node
            self._sets[nodes] = total
        return self._sets[nodes]

    def _family(self, child: int, parents: int) -> float:
        count, sizes = len(self.event), self.sizes
        above = list(members(parents))
        discrete = [p for p in above if p < count]
        values = [p - count for p in above if p >= count]
        if any(sizes[p] == 1 for p in discrete) or any(p not in self.event.value_entries for p in values):
            return -math.inf
        if child < count:
            return -math.inf if values else self.codes.family(child, parents)
        if child - count not in self.event.value_entries:
            return 0.0 if not parents else -math.inf
        if child - count in discrete:
            return -math.inf
        key = (child, parents)
        if key not in self._cache:
            self._cache[key] = self._value(child - count, discrete, values)
        return self._cache[key]

    def _value(self, i: int, discrete: list[int], values: list[int]) -> float:
        sizes = self.sizes
        cells = math.prod(sizes[p] for p in discrete)
        if cells > 4096:
            return -math.inf
        if self.equivalent:
            rows, variance = self._left(i, discrete, values)
        else:
            sums = sufficient(self.event, self.train, i, discrete, values)
            rows, size = sums[:, 0, 0], sums.shape[1] - 1
            eye = 1e-6 * torch.eye(size, dtype=torch.float64)
            slopes = torch.linalg.solve(sums[:, :size, :size] + eye, sums[:, :size, size:])[:, :, 0]
            variance = _residual(sums, slopes) / rows.clamp(min=1.0)
        # The floor on the variance keeps columns that determine each other from scores without bound.
        fit = -0.5 * (rows * (variance.clamp(min=FLOOR_OF_SCORES).log() + math.log(2 * math.pi) + 1)).sum()
        free = 2 + len(values) + sum(sizes[p] > 1 for p in values)
        return float(fit) - 0.5 * math.log(max(self.rows, 1)) * cells * free

    def _left(self, i: int, discrete: list[int], values: list[int]) -> tuple[Tensor, Tensor]:
        """The rows of each configuration of codes that has any, and what its values leave of one more."""
        rows, covariances = self._covariances(tuple(discrete))
        own, given = self._place[i], [self._place[p] for p in values]
        across = covariances[:, given, own][:, :, None]
        told = across * torch.linalg.solve(covariances[:, given][:, :, given], across)
        return rows, covariances[:, own, own] - told.sum((1, 2))

    def _covariances(self, discrete: tuple[int, ...]) -> tuple[Tensor, Tensor]:
        """The rows (n,) of each configuration of codes that has any, and `lifted` covariances of all values there.

        No value is absent anywhere.
        """
        if discrete not in self._within:
            table = Table(list(discrete), [self.event.code_sizes[p] for p in discrete])
            cell = table.route(self.train.codes).unique(return_inverse=True)[1]
            sizes = torch.bincount(cell)
            values = self.train.values[:, list(self._place)].double()[cell.argsort()].numpy()
            parts = np.split(values, sizes.cumsum(0)[:-1].numpy())
            found = [np.atleast_2d(np.cov(part.T, bias=True)) for part in parts]
            if sum(own.numel() for _, own in self._within.values()) > MOST_COVARIANCES:
                self._within.clear()
            self._within[discrete] = sizes.double(), torch.from_numpy(lifted(np.stack(found)))
        return self._within[discrete]


class Chosen:
    """The scores of some nodes, in an order.

    Parameters
    ----------
    scores : MixedScores
    nodes : list of int
    """

    def __init__(self, scores: MixedScores, nodes: list[int]) -> None:
        self.scores, self.nodes = scores, nodes
        self.rows, self.equivalent = scores.rows, scores.equivalent

    def __len__(self) -> int:
        return len(self.nodes)

    def family(self, child: int, parents: int) -> float:
        return self.scores.family(self.nodes[child], self._own(parents))

    def additions(self, child: int, parents: int) -> Floats:
        found = np.full(len(self), -np.inf)
        taken = parents | 1 << child
        for place in range(len(self)):
            if not taken >> place & 1:
                found[place] = self.family(child, parents | 1 << place)
        return found

    def _own(self, places: int) -> int:
        return sum(1 << self.nodes[place] for place in members(places))


def sufficient(event: Event, batch: Batch, i: int, discrete: list[int], values: list[int]) -> Tensor:
    """The moments of value entry `i` given code parents and value parents, over the rows in which it is present."""
    at = (batch.codes[:, i] == 0).nonzero()[:, 0]
    codes, z = batch.codes[at], batch.values[at].double()
    table = Table(discrete, [event.code_sizes[p] for p in discrete])
    return moments(features(event, codes, z, values), z[:, i], table.route(codes), table.cells)


def seen_codes(train: Batch) -> list[int]:
    """How many codes of each entry some record has; the unseen one, always the last, has none."""
    return (train.codes.amax(0) + 1).tolist() if len(train) else [1] * train.codes.shape[1]


def node_order(event: Event, train: Batch) -> list[int]:
    """The nodes of `MixedScores` that stand for something, by facts that do not depend on the order of the columns."""
    count = len(event)
    sizes = seen_codes(train)
    nodes = [i for i in range(count) if sizes[i] > 1] + [count + i for i in event.value_entries]

    def facts(node: int) -> tuple[object, ...]:
        i = node % count
        if node < count:
            return 0, sizes[i], torch.bincount(train.codes[:, i]).tolist(), event.all[i].name
        z = train.values[train.codes[:, i] == 0, i].double()
        shape = [float(z.pow(power).mean()) if len(z) else 0.0 for power in (1, 2, 3, 4)]
        return 1, len(z), [round(part, 6) for part in shape], event.all[i].name

    return sorted(nodes, key=facts)
