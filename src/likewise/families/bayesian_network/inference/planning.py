"""Which rows of evidence are answered together, and what is gathered away for them.

Rows with the same columns observed share one small problem: observed axes are gathered away. Rows with different ones
can be answered together too, each weighing the states of what only others have observed; the problem is then that of
the columns that some row has not observed, so it is larger for every row but paid for once. The rule is a price:

    seconds = PER_VARIABLE * variables + PER_STATE * rows * states of the tables

summed over the groups. Two moves lower it greedily. Unobserved columns that observed ones separate from the others
make a small problem of their own, the same in all rows that have it, whatever else they observe; a column whose whole
Markov blanket is observed is the smallest. And a group is split by whether a column is observed, as long as that pays.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from likewise.families.bayesian_network.inference.contraction import Array, Bools, Integers
from likewise.families.bayesian_network.inference.elimination import Scope, best_order, cliques
from likewise.families.bayesian_network.inference.enumeration import MOST

PER_VARIABLE = 3e-4
"""Seconds: a few dozen array operations, and a share of making the plan."""

PER_PART = 1e-4
"""Seconds for a separate part whose joint states are few: they are enumerated, without a plan."""

PLANNING = 2e-5
"""Seconds a row that this grouping itself takes: where one group costs no more, there is one group."""

PER_STATE = 6e-9
"""Seconds: three passes over a table of doubles."""


@dataclass(frozen=True)
class Group:
    """Rows answered together; of `asked` columns, all where it is None."""

    rows: Integers
    asked: tuple[int, ...] | None = None


class Prices:
    """What the parts of a network cost, by one elimination order of the whole."""

    def __init__(self, parents: Sequence[Sequence[int]], sizes: Sequence[int]) -> None:
        count = len(sizes)
        scopes: list[Scope] = [(i, *above) for i, above in enumerate(parents)]
        order = best_order(scopes, dict(enumerate(sizes)), uses=100)
        self.logs: Array = np.zeros((count, count))
        self.own: Integers = np.array(order.variables)
        for k, clique in enumerate(cliques(scopes, dict(enumerate(sizes)), order.variables)):
            self.logs[k, list(clique)] = [math.log(sizes[i]) for i in clique]
        self.sizes: Array = np.log(sizes)
        self.shares: Array = 1 - 1 / np.array(sizes, dtype=np.float64)
        # Two columns hang together, as long as neither is observed, where they share a factor.
        pairs = {(a, b) for scope in scopes for a in scope for b in scope if a < b}
        self.pairs: Integers = np.array(sorted(pairs), dtype=np.int64).reshape(-1, 2)

    def tables(self, free: Bools) -> Array:
        """The states of the tables (..., V) where the columns `free` (..., V) are not gathered away."""
        found: Array = np.exp(np.minimum(free.astype(np.float64) @ self.logs.T, 600.0)) * free[..., self.own]
        return found

    def group(self, free: Bools, rows: int) -> float:
        """Seconds for a group of rows."""
        return PER_VARIABLE * float(free.sum()) + PER_STATE * rows * float(self.tables(free).sum())

    def saved(self, free: Bools) -> Array:
        """By how many states the tables are smaller without each of the columns (V,)."""
        return (self.tables(free) @ (self.logs > 0)) * self.shares * free


def groups(prices: Prices, observed: Bools, separable: bool) -> list[Group]:
    """The rows in groups; `separable` where only marginals are asked, so that parts of a row may go separate ways."""
    rows = np.arange(len(observed))
    if not len(rows):
        return []
    some: Bools = np.logical_not(observed.all(0))
    if prices.group(some, len(rows)) < PLANNING * len(rows) or not (observed[0] ^ observed).any():
        return [Group(rows)]
    best, price = _divided(prices, observed, rows)
    if not separable:
        return best
    parts, paid, left = _components(prices, observed, price / len(rows))
    others, more = _divided(prices, observed, left)
    return [*parts, *others] if paid + more < price else best


def _divided(prices: Prices, observed: Bools, rows: Integers) -> tuple[list[Group], float]:
    """The given rows in groups by which columns are observed, and the price."""
    if not len(rows):
        return [], 0.0
    alike = rows_alike(np.packbits(observed[rows], axis=1))
    free = ~observed[rows[[same[0] for same in alike]]]
    found, total = [], 0.0
    for part, price in _splits(prices, free, np.array([len(same) for same in alike])):
        found.append(Group(rows[np.sort(np.concatenate([alike[k] for k in part]))]))
        total += price
    return found, total


def rows_alike(table: np.ndarray[Any, Any]) -> list[Integers]:
    """The rows of each kind of a table (B, columns)."""
    if not len(table):
        return []
    _, which = np.unique(table, axis=0, return_inverse=True)
    order = np.argsort(which.ravel(), kind="stable")
    return np.split(order, np.cumsum(np.bincount(which.ravel()))[:-1])


def _splits(prices: Prices, free: Bools, counts: Integers) -> Iterator[tuple[Integers, float]]:
    """Patterns (P, V) in groups with their prices, split by whether a column is observed as long as that pays."""
    waiting = [np.arange(len(free))]
    while waiting:
        part = waiting.pop()
        some: Bools = np.asarray(free[part].any(0))
        rows = counts[part]
        now = prices.group(some, int(rows.sum()))
        if len(part) == 1:
            yield part, now
            continue
        best: tuple[float, list[Integers]] | None = None
        gains = prices.saved(some) * (rows @ ~free[part])
        for column in np.argsort(-gains)[:4]:
            if not gains[column]:
                break
            sides = [part[free[part, column] == side] for side in (False, True)]
            if not all(len(side) for side in sides):
                continue
            then = sum(prices.group(np.asarray(free[side].any(0)), int(counts[side].sum())) for side in sides)
            if best is None or then < best[0]:
                best = then, sides
        if best is None or best[0] >= now:
            yield part, now
        else:
            waiting += best[1]


def _components(prices: Prices, observed: Bools, most: float) -> tuple[list[Group], float, Integers]:
    """Rows whose separated parts are answered part by part, with all rows that have the same part.

    These are the rows of which that costs less than `most` seconds each. Returns the groups, their price, and the rows
    that are left.
    """
    rows, columns = observed.shape
    free = ~observed
    a, b = prices.pairs.T
    row, edge = np.nonzero(free[:, a] & free[:, b])
    graph = coo_array(
        (np.ones(len(row), dtype=np.int8), (row * columns + a[edge], row * columns + b[edge])),
        shape=(rows * columns, rows * columns),
    )
    _, label = connected_components(graph, directed=False)
    at = np.flatnonzero(free.ravel())
    names = np.random.default_rng(0).integers(1, 1 << 62, size=columns, dtype=np.uint64)
    marks = np.zeros(int(label.max()) + 1, dtype=np.uint64)
    np.add.at(marks, label[at], names[at % columns])
    parts, first = np.unique(label[at], return_index=True)
    owner = at[first] // columns  # the row of each part
    _, kind = np.unique(marks[parts], return_inverse=True)
    size = np.bincount(label[at], minlength=len(marks))[parts]
    # The states of a part: the tables of its columns, which no other part of the row enters.
    tables = np.zeros((rows, columns))
    tables[:, prices.own] = prices.tables(free)
    states = np.bincount(label[at], weights=tables.ravel()[at], minlength=len(marks))[parts]
    joint = np.bincount(label[at], weights=prices.sizes[at % columns], minlength=len(marks))[parts]
    kept = np.ones(rows, dtype=bool)
    for _ in range(3):
        members = np.bincount(kind, weights=kept[owner])
        overhead = np.where(joint <= math.log(MOST), PER_PART, PER_VARIABLE * size)
        price = overhead / np.maximum(members[kind], 1) + PER_STATE * states
        own = np.bincount(owner, weights=price, minlength=rows)
        kept = own < most
    chosen = np.flatnonzero(kept[owner])
    found = []
    by_part = at[np.argsort(label[at], kind="stable")] % columns
    start = np.cumsum(size) - size
    order = chosen[np.argsort(kind[chosen], kind="stable")]
    for same in np.split(order, np.flatnonzero(np.diff(kind[order])) + 1):
        if not len(same):
            continue
        part = same[0]
        found.append(Group(owner[same], tuple(by_part[start[part] : start[part] + size[part]].tolist())))
    return found, float(own[kept].sum()), np.flatnonzero(~kept)
