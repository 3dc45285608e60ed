"""Decomposable scores of discrete networks from counts.

A score that gives equivalent networks equal scores is a difference of values of *sets* of columns: a family, a child
with its parents, scores `value(parents and child) - value(parents)`. Each set is valued once, whoever its child is.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Literal, Protocol

import numpy as np
from scipy.special import gammaln

from likewise.families.bayesian_network.discrete.partitions import Integers
from likewise.families.bayesian_network.structure.counts import Counts, Floats, Tables, members

ScoreName = Literal["bdeu", "bic", "aic", "k2", "bge"]
"""`bge` is one of regressions: `GaussianScores`."""

EQUIVALENT = ("bic", "aic", "bdeu", "bge")
"""Scores that are the same for equivalent networks."""

DEFAULT_SAMPLE_SIZE = 1.0
"""Of BDeu, where nothing else is told."""

MAX_CELLS = 1 << 22
"""Families whose full table would be larger are not considered."""

TABULATED = 1 << 17
"""Up to this many records, logarithms and log-gammas of counts are looked up."""

MAX_TABLES = 1 << 26
"""Bytes that these tables may take."""


class Scores(Protocol):
    """Decomposable scores of the families of `len(scores)` columns; sets of columns are bits of numbers.

    Attributes
    ----------
    rows : int
    equivalent : bool
        Whether equivalent networks have equal scores.
    """

    rows: int
    equivalent: bool

    def __len__(self) -> int: ...

    def family(self, child: int, parents: int) -> float:
        """The score of one family, -inf where there is no such family."""
        ...

    def additions(self, child: int, parents: int) -> Floats:
        """The scores of the families of `child` with `parents` and one further parent, -inf where it has it already."""
        ...


def network_score(scores: Scores, parents: list[list[int]]) -> float:
    """The score of a whole network."""
    return sum(scores.family(child, sum(1 << p for p in above)) for child, above in enumerate(parents))


class FamilyScores:
    """Scores of the families of a discrete network.

    `n_jk` counts records whose parents are in configuration j of q and whose child is in state k of r.

    - BIC (Schwarz 1978): `sum_jk n_jk log(n_jk / n_j) - q (r - 1) log(N) / 2`; AIC (Akaike 1974) has 1 in place of
      `log(N) / 2`.
    - BDeu (Heckerman et al. 1995, equation 28 with a uniform prior):
      `sum_j [lgamma(a/q) - lgamma(a/q + n_j) + sum_k lgamma(a/qr + n_jk) - lgamma(a/qr)]`, a being the equivalent
      sample size.
    - K2 (Cooper and Herskovits 1992, equation 8): the same with 1 in place of a/qr and r in place of a/q; equivalent
      networks may differ.

    Parameters
    ----------
    states : integers (rows, columns), or Counts
    sizes : list of int
        The number of states of each column.
    """

    def __init__(
        self,
        states: Integers | Counts,
        sizes: list[int],
        score: ScoreName = "bic",
        equivalent_sample_size: float = 10.0,
    ) -> None:
        self.counts = states if isinstance(states, Counts) else Counts(states, sizes)
        self.rows, self.sizes, self.score = self.counts.rows, list(sizes), score
        self.equivalent = score in EQUIVALENT
        self.equivalent_sample_size = equivalent_sample_size
        self._values: dict[tuple[int, int], Floats] = {}
        self._single: dict[tuple[int, int], float] = {}
        self._asked: dict[float, int] = {}
        self._table = lru_cache(max(8, MAX_TABLES // (8 * (self.rows + 1))))(self._tabulated)
        self._block_of = np.concatenate([own for _, own in self.counts.blocks]) if len(self.counts) else np.arange(0)

    def __len__(self) -> int:
        return len(self.sizes)

    def family(self, child: int, parents: int) -> float:
        """The score of `child` with `parents`; -inf where its table would be too large."""
        whole = self._value(parents | 1 << child, 0)
        return whole - self._value(parents, self._kind(child)) if math.isfinite(whole) else -math.inf

    def additions(self, child: int, parents: int) -> Floats:
        """The scores of `child` with `parents` and each single further column."""
        with_child = parents | 1 << child
        whole = self._values_with(with_child, 0)
        kind = self._kind(child)
        given = self._values.get((parents, kind))
        if given is None:
            tables = self.counts.with_each(with_child)
            if tables.shape is None:
                given = self._values_with(parents, kind)
            else:
                tables = tables.without((with_child & ((1 << child) - 1)).bit_count())
                given = self._evaluated(parents, tables, kind)
                self._values[parents, kind] = given
        found = np.where(np.isfinite(whole), whole - np.where(np.isfinite(given), given, 0.0), -np.inf)
        found[list(members(with_child))] = -np.inf
        return found

    def _kind(self, child: int) -> int:
        """What the value of a set of parents depends on but the set: the size of the child in K2, nothing else."""
        return self.sizes[child] if self.score == "k2" else 0

    def _value(self, columns: int, kind: int) -> float:
        """The value of a set."""
        found = self._single.get((columns, kind))
        if found is None:
            vector = self._values.get((columns, kind))
            if vector is not None and columns:
                found = float(vector[columns.bit_length() - 1])  # a set with one of its own columns is the set
            elif self.counts.cells(columns) > MAX_CELLS:
                found = -math.inf
            else:
                found = self._from_one_with_all(columns, kind)
                if found is None:
                    cells = self.counts.cells(columns)
                    counts = self.counts.joint(columns)
                    found = float(self._sum(counts[None], cells, kind)[0]) + self._constant(cells)
            self._single[columns, kind] = found
        return found

    def _from_one_with_all(self, columns: int, kind: int) -> float | None:
        """The value of a set, from those of all sets of one column fewer with each column, where these are known."""
        for column in members(columns):
            vector = self._values.get((columns ^ (1 << column), kind))
            if vector is not None:
                return float(vector[column])
        return None

    def _values_with(self, columns: int, kind: int) -> Floats:
        """The values of a set with each single column (columns,)."""
        found = self._values.get((columns, kind))
        if found is None:
            if self.counts.cells(columns) > MAX_CELLS:
                found = np.full(len(self), -np.inf)
            else:
                found = self._evaluated(columns, self.counts.with_each(columns), kind)
            self._values[columns, kind] = found
        return found

    def _evaluated(self, columns: int, tables: Tables, kind: int) -> Floats:
        cells = self.counts.cells(columns)
        parts = []
        for (size, _), block in zip(self.counts.blocks, tables.blocks, strict=True):
            if cells * size > MAX_CELLS:
                parts.append(np.full(block.shape[1], -np.inf))
            else:
                counts = block.transpose(1, 0, 2).reshape(block.shape[1], -1)
                parts.append(self._sum(counts, cells * size, kind) + self._constant(cells * size))
        found = np.empty(len(self))
        found[self._block_of] = np.concatenate(parts)
        if columns:
            # Among its own columns a table is the set's, with cells that cannot occur.
            own = list(members(columns))
            found[own] = float(self._sum(tables.alone[None], cells, kind)[0]) + self._constant(cells)
        return found

    def _sum(self, counts: Integers, cells: int, kind: int) -> Floats:
        """The sums over the counts (sets, joint states) of what each adds to the value of a set of `cells` states."""
        if self.score in ("bic", "aic"):
            alpha = 0.0
        elif self.score == "bdeu":
            alpha = self.equivalent_sample_size / cells
        else:
            alpha = float(kind) if kind else 1.0
        if self.rows <= TABULATED:
            # A table pays once about as many counts have been asked for as it has entries.
            self._asked[alpha] = self._asked.get(alpha, 0) + counts.size
            if self._asked[alpha] > self.rows:
                looked: Floats = self._table(alpha).take(counts).sum(1)
                return looked
        added: Floats = self._added(counts, alpha).sum(1)
        return added

    def _tabulated(self, alpha: float) -> Floats:
        return self._added(np.arange(self.rows + 1, dtype=np.int64), alpha)

    def _added(self, counts: Integers, alpha: float) -> Floats:
        """n log n, or lgamma(alpha + n) - lgamma(alpha)."""
        if not alpha:
            numbers = counts.astype(np.float64)
            logs: Floats = numbers * np.log(np.maximum(numbers, 1.0))
            return logs
        found: Floats = gammaln(alpha + counts) - gammaln(alpha)
        return found

    def _constant(self, cells: int) -> float:
        """What the value of a set loses for the size of its table: differences count free parameters."""
        if self.score == "bic":
            return -0.5 * math.log(max(self.rows, 1)) * cells
        return -float(cells) if self.score == "aic" else 0.0


def mutual_information(counts: Counts) -> Floats:
    """Empirical mutual information of all pairs of columns in nats (columns, columns); entropies on the diagonal."""
    return pair_information(counts.pairs.astype(np.float64), counts.sizes, counts.rows)


def pair_information(pairs: Floats, sizes: list[int], rows: float) -> Floats:
    """`mutual_information` from how often, or with what weight, pairs of states occur in so many rows.

    Parameters
    ----------
    pairs : (states of all columns, states of all columns)
    """
    first = np.cumsum([0, *sizes])
    rows = max(rows, 1)
    terms = pairs * np.log(np.where(pairs > 0, pairs, 1.0))
    by_pair = np.add.reduceat(np.add.reduceat(terms, first[:-1], axis=0), first[:-1], axis=1)
    own = np.diag(by_pair)
    information: Floats = (by_pair - own[:, None] - own[None, :]) / rows + math.log(rows)
    np.fill_diagonal(information, math.log(rows) - own / rows)
    return np.maximum(information, 0.0)
