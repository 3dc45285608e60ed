"""Bins of numeric columns that suit a graph: cut where the score of the column's neighbourhood gains most.

A column comes in many fine bins. Coarse ones tell less of its neighbours, and cost fewer parameters; inside a coarse
bin values have the same density whatever the neighbours, n_f / n_c for the fine bins f of the coarse bin c, which is
part of the score, so that few bins and many can be compared (Friedman and Goldszmidt 1996, section 3). Graph and bins
are found in turn until the score of both together stops growing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from likewise.families.bayesian_network.discrete.partitions import Integers
from likewise.families.bayesian_network.structure.counts import Counts, Floats
from likewise.families.bayesian_network.structure.scores import FamilyScores, network_score
from likewise.families.bayesian_network.structure.search import canonical_order

ROUNDS = 2
MOST = 16
"""Bins of a column, as parents of others; further ones hardly ever gain."""

Graph = list[list[int]]
Search = Callable[[Integers, list[int]], Graph]
"""From states and their numbers to the parents of each column."""


class Bins:
    """Fine states of all columns, and the coarse state of each.

    Parameters
    ----------
    fine : int64 (rows, columns)
    ordered : list of int
        The first `ordered` fine states of each column follow a value; 0 where none do.
    coarse : list of int64 (fine states,)
        For each column the coarse state of each fine one; those that follow a value come first, in its order.
    """

    def __init__(self, fine: Integers, ordered: list[int], coarse: list[Integers]) -> None:
        self.fine, self.ordered, self.coarse = fine, ordered, coarse

    @property
    def sizes(self) -> list[int]:
        return [int(own.max(initial=0)) + 1 for own in self.coarse]

    @property
    def states(self) -> Integers:
        """Coarse states (rows, columns)."""
        return np.stack([own[self.fine[:, i]] for i, own in enumerate(self.coarse)], 1)

    def suited(self, graph: Graph, order: list[int]) -> Bins:
        """Bins that suit a graph: those of each column in turn, others as they are by then."""
        found = Bins(self.fine, self.ordered, list(self.coarse))
        for i in order:
            if self.ordered[i] > 1 and (graph[i] or any(i in above for above in graph)):
                found.coarse[i] = found._cut(i, graph)
        return found

    def score(self, graph: Graph) -> float:
        """BIC of fine bins given coarse ones, and of these in the graph."""
        total = network_score(FamilyScores(self.states, self.sizes, "bic"), graph)
        for i, own in enumerate(self.coarse):
            if self.ordered[i]:
                fine = np.bincount(self.fine[:, i], minlength=len(own))
                coarse = np.bincount(own, fine, minlength=int(own.max()) + 1)
                total += float(_n_log_n(fine).sum() - _n_log_n(coarse).sum())
                total -= self._price * (len(own) - len(coarse))
        return total

    @property
    def _price(self) -> float:
        return 0.5 * math.log(max(len(self.fine), 1))

    def _cut(self, column: int, graph: Graph) -> Integers:
        """The bins of one column, from one by cutting one in two wherever that gains most."""
        count, price, tables = self.ordered[column], 0.0, []
        configurations, cells = self._configurations(graph[column])
        own = self._histogram(configurations, column)
        tables += [(1.0, own), (-1.0, own.sum(0, keepdims=True))]
        price += self._price * (cells - 1)
        for child, above in enumerate(graph):
            if column in above:
                others = [p for p in above if p != column]
                tables.append((1.0, self._histogram(self._configurations([*others, child])[0], column)))
                configurations, cells = self._configurations(others)
                tables.append((-1.0, self._histogram(configurations, column)))
                price += self._price * cells * (self.sizes[child] - 1)
        sums = [(sign, np.pad(part[:, :count].cumsum(1), ((0, 0), (1, 0)))) for sign, part in tables]
        edges = [0, count]
        waiting = [self._best(sums, 0, count)]
        while waiting and len(edges) <= MOST:
            gain, cut, low, high = waiting.pop(int(np.argmax([part[0] for part in waiting])))
            # A column keeps two bins, lest no later search sees that others depend on it.
            if (gain <= price and len(edges) > 2) or not math.isfinite(gain):
                break
            edges.append(cut)
            waiting += [self._best(sums, low, cut), self._best(sums, cut, high)]
        edges.sort()
        coarse = np.searchsorted(np.array(edges[1:]), np.arange(count), side="right")
        codes = self.coarse[column][count:]
        if len(codes):
            coarse = np.concatenate([coarse, coarse.max() + 1 + codes - codes.min()])
        return coarse.astype(np.int64)

    def _configurations(self, columns: list[int]) -> tuple[Integers, int]:
        """The joint coarse state of each row, numbered among those that occur, and how many there could be."""
        key = np.zeros(len(self.fine), dtype=np.int64)
        cells = 1
        for i in columns:
            size = int(self.coarse[i].max(initial=0)) + 1
            key = key * size + self.coarse[i][self.fine[:, i]]
            cells *= size
        return np.unique(key, return_inverse=True)[1].reshape(-1), cells

    def _histogram(self, configurations: Integers, column: int) -> Integers:
        """Counts (configurations, fine states)."""
        size = len(self.coarse[column])
        most = int(configurations.max(initial=0)) + 1
        counts = np.bincount(configurations * size + self.fine[:, column], minlength=most * size)
        return counts.reshape(most, size)

    def _best(self, sums: list[tuple[float, Any]], low: int, high: int) -> tuple[float, int, int, int]:
        """The largest gain of cutting a bin in two, and where."""
        if high - low < 2:
            return -math.inf, low, low, high
        gains = np.zeros(high - low - 1)
        for sign, part in sums:
            left = part[:, low + 1 : high] - part[:, low : low + 1]
            both = part[:, high : high + 1] - part[:, low : low + 1]
            gains += sign * (_n_log_n(left) + _n_log_n(both - left) - _n_log_n(both)).sum(0)
        at = int(gains.argmax())
        return float(gains[at]), low + 1 + at, low, high


def alternate(bins: Bins, search: Search, names: Sequence[str] = ()) -> Bins:
    """Bins that suit the graph that a search finds with them, found in turn."""
    order = canonical_order(Counts(bins.fine, [len(own) for own in bins.coarse]), names)
    graph = search(bins.states, bins.sizes)
    best = bins.score(graph)
    for _ in range(ROUNDS):
        further = bins.suited(graph, order)
        again = search(further.states, further.sizes)
        score = further.score(again)
        if score <= best:
            break
        graph, bins, best = again, further, score
    return bins


def _n_log_n(counts: Any) -> Floats:
    found: Floats = counts * np.log(np.maximum(counts, 1))
    return found
