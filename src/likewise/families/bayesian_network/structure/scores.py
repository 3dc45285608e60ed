"""Decomposable scores of discrete networks from counts, each family counted once."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import torch

from likewise.families.bayesian_network.discrete.partitions import Integers

ScoreName = Literal["bic", "bdeu"]

MAX_CELLS = 1 << 22
"""Families whose full table would be larger are not considered."""

Floats = np.ndarray[tuple[int, ...], np.dtype[np.float64]]


class FamilyScores:
    """Scores of families (a child with its parents), cached; a network scores the sum over its families.

    BIC (Schwarz 1978) is `sum_jk n_jk log(n_jk / n_j) - q (r - 1) log(N) / 2` and BDeu (Heckerman et al. 1995, equation
    28 with uniform prior) is `sum_j [lgamma(a/q) - lgamma(a/q + n_j) + sum_k lgamma(a/qr + n_jk) - lgamma(a/qr)]`,
    where n_jk counts rows with parents in configuration j of q and the child in state k of r, and a is the equivalent
    sample size. Both give equivalent networks equal scores.

    Parameters
    ----------
    states : int64 (rows, columns)
    sizes : list of int
        The number of states of each column.
    """

    def __init__(
        self, states: Integers, sizes: list[int], score: ScoreName = "bic", equivalent_sample_size: float = 10.0
    ) -> None:
        self.columns = [np.ascontiguousarray(states[:, i]) for i in range(states.shape[1])]
        self.rows, self.sizes, self.score = len(states), sizes, score
        self.equivalent_sample_size = equivalent_sample_size
        self._cache: dict[tuple[int, frozenset[int]], float] = {}

    def __len__(self) -> int:
        return len(self.columns)

    def family(self, child: int, parents: frozenset[int]) -> float:
        """The score of `child` with `parents`; minus infinity where its table would be too large."""
        key = (child, parents)
        if key not in self._cache:
            self._cache[key] = self._family(child, sorted(parents))
        return self._cache[key]

    def network(self, parents: list[list[int]]) -> float:
        """The score of a whole network."""
        return sum(self.family(child, frozenset(above)) for child, above in enumerate(parents))

    def counts(self, child: int, parents: list[int]) -> Floats:
        """Counts (configurations of the parents, states of the child)."""
        cells = math.prod(self.sizes[p] for p in parents)
        key = np.zeros(self.rows, dtype=np.int64)
        for parent in parents:
            key = key * self.sizes[parent] + self.columns[parent]
        key = key * self.sizes[child] + self.columns[child]
        return np.bincount(key, minlength=cells * self.sizes[child]).reshape(cells, -1).astype(np.float64)

    def _family(self, child: int, parents: list[int]) -> float:
        cells, size = math.prod(self.sizes[p] for p in parents), self.sizes[child]
        if cells * size > MAX_CELLS:
            return -math.inf
        return self.from_counts(self.counts(child, parents))

    def from_counts(self, counts: Floats) -> float:
        """The score of a family with these counts (configurations, states)."""
        cells, size = counts.shape
        total = counts.sum(1)
        if self.score == "bic":
            fit = _n_log_n(counts) - _n_log_n(total)
            return float(fit - 0.5 * math.log(max(self.rows, 1)) * cells * (size - 1))
        prior = self.equivalent_sample_size / cells
        seen, full = counts[counts > 0], total[total > 0]  # the others contribute nothing
        return (
            len(full) * math.lgamma(prior)
            - _log_gammas(prior + full)
            + _log_gammas(prior / size + seen)
            - len(seen) * math.lgamma(prior / size)
        )


def _n_log_n(counts: Floats) -> float:
    return float((counts * np.log(np.maximum(counts, 1.0))).sum())


def _log_gammas(x: Floats) -> float:
    return float(torch.lgamma(torch.from_numpy(x)).sum())


def pair_counts(states: Integers, sizes: list[int], rows_at_once: int = 4096) -> Floats:
    """Counts of all pairs of states of all columns at once, (sum of sizes, sum of sizes): a product of indicators."""
    first = np.cumsum([0, *sizes[:-1]])
    total = int(sum(sizes))
    counts = torch.zeros(total, total, dtype=torch.float64)
    index = torch.from_numpy(states + first)
    for start in range(0, len(index), rows_at_once):
        part = index[start : start + rows_at_once]
        indicators = torch.zeros(len(part), total).scatter_(1, part, 1.0)
        counts += (indicators.T @ indicators).double()
    return counts.numpy()


def mutual_information(states: Integers, sizes: list[int]) -> Floats:
    """Empirical mutual information of all pairs of columns in nats (columns, columns); entropies on the diagonal."""
    counts = pair_counts(states, sizes)
    first = np.cumsum([0, *sizes])
    rows = max(len(states), 1)
    terms = counts * np.log(np.maximum(counts, 1.0))
    by_pair = np.add.reduceat(np.add.reduceat(terms, first[:-1], axis=0), first[:-1], axis=1)
    own = np.diag(by_pair)
    information: Floats = (by_pair - own[:, None] - own[None, :]) / rows + math.log(rows)
    np.fill_diagonal(information, math.log(rows) - own / rows)
    return np.maximum(information, 0.0)
