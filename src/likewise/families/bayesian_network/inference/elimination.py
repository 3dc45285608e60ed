"""Orders in which variables are summed out of a product of factors, and what they cost.

Eliminating a variable joins its neighbours: the order decides how large the tables of exact inference are, and to find
the best one is NP-hard (Arnborg, Corneil and Proskurowski 1987). Greedy rules are good (Kjaerulff 1990), and the best
of several tries with ties broken at random is better (Fishelson and Geiger 2004). Sets of variables are bits of whole
numbers.
"""

from __future__ import annotations

import math
import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

Scope = tuple[int, ...]

TRIES = 12
"""At most so many orders are tried."""

PRICE = 15_000.0
"""A further try has to be worth its time. One over V variables takes as long as 1/20 of so many states times V^1.7."""


@dataclass(frozen=True)
class Order:
    """An elimination order.

    Attributes
    ----------
    variables : tuple of int
    peak : int
        The states of the largest table that it makes.
    total : int
        The states of all of them.
    """

    variables: tuple[int, ...]
    peak: int
    total: int


def best_order(
    scopes: Sequence[Scope],
    sizes: Mapping[int, int],
    last: Collection[int] = (),
    uses: int = 1,
) -> Order:
    """The best order found over all variables of the scopes; those in `last` come after all others.

    `uses` is for how many rows it will serve: where they are many, or tables large, more orders are tried.
    """
    best: Order | None = None
    for attempt in range(TRIES):
        rule = ("weight", "fill", "weighted fill")[attempt % 3]
        found = _greedy(scopes, sizes, frozenset(last), rule, random.Random(attempt) if attempt >= 3 else None)
        if best is None or found.total < best.total:
            best = found
        if best.total * uses <= PRICE * len(best.variables) ** 1.7 * (attempt or 0.1):
            break
    assert best is not None
    return best


def least_peak(scopes: Sequence[Scope], sizes: Mapping[int, int]) -> int:
    """The largest table, in states, of the better of a min-weight and a min-fill order."""
    return min(_greedy(scopes, sizes, frozenset(), rule, None).peak for rule in ("weight", "fill"))


def cliques(scopes: Sequence[Scope], sizes: Mapping[int, int], variables: Sequence[int]) -> list[Scope]:
    """The variables of the table that each elimination of the given order makes."""
    graph = _Graph(scopes, sizes)
    found = []
    for name in variables:
        at = graph.number[name]
        found.append((name, *(graph.names[other] for other in members(graph.around[at]))))
        graph.eliminate(at)
    return found


class _Graph:
    """The graph in which variables that share a factor are neighbours."""

    def __init__(self, scopes: Sequence[Scope], sizes: Mapping[int, int]) -> None:
        self.names = sorted({name for scope in scopes for name in scope})
        self.number = {name: at for at, name in enumerate(self.names)}
        self.sizes = [sizes[name] for name in self.names]
        self.logs = [math.log(size) for size in self.sizes]
        self.around = [0] * len(self.names)
        for scope in scopes:
            clique = sum(1 << self.number[name] for name in scope)
            for name in scope:
                self.around[self.number[name]] |= clique
        for at in range(len(self.names)):
            self.around[at] &= ~(1 << at)

    def table(self, at: int) -> int:
        """The states of the table that eliminating `at` makes."""
        return self.sizes[at] * math.prod(self.sizes[other] for other in members(self.around[at]))

    def fill(self, at: int, weighted: bool) -> float:
        """The edges that eliminating `at` adds, each counted once or by the product of its ends' sizes."""
        around = self.around[at]
        total = 0
        for other in members(around):
            missing = around & ~self.around[other] & ~(1 << other)
            if weighted:
                total += self.sizes[other] * sum(self.sizes[end] for end in members(missing))
            else:
                total += missing.bit_count()
        return total / 2

    def eliminate(self, at: int) -> int:
        """Joins the neighbours of `at` and takes it out; returns the states of the table this makes."""
        size = self.table(at)
        around = self.around[at]
        for other in members(around):
            self.around[other] = (self.around[other] | around) & ~(1 << other) & ~(1 << at)
        self.around[at] = 0
        return size


def members(bits: int) -> list[int]:
    """The positions of the bits that are set.

    Examples
    --------
    >>> members(0b1011)
    [0, 1, 3]
    """
    found = []
    while bits:
        low = bits & -bits
        found.append(low.bit_length() - 1)
        bits ^= low
    return found


def _greedy(
    scopes: Sequence[Scope], sizes: Mapping[int, int], last: frozenset[int], rule: str, chance: random.Random | None
) -> Order:
    graph = _Graph(scopes, sizes)
    held_back = {graph.number[name] for name in last if name in graph.number}

    def rank(at: int) -> tuple[bool, float, float, float]:
        table = graph.logs[at] + sum(graph.logs[other] for other in members(graph.around[at]))
        first = table if rule == "weight" else graph.fill(at, rule == "weighted fill")
        return at in held_back, first, table, chance.random() if chance else at

    ranks = {at: rank(at) for at in range(len(graph.names))}
    order, peak, total = [], 1, 0
    while ranks:
        at = min(ranks, key=ranks.__getitem__)
        del ranks[at]
        order.append(graph.names[at])
        around = graph.around[at]
        size = graph.eliminate(at)
        peak, total = max(peak, size), total + size
        touched = around
        if rule != "weight":
            for other in members(around):
                touched |= graph.around[other]
        for other in members(touched):
            ranks[other] = rank(other)
    return Order(tuple(order), peak, total)
