"""Searches for the graph of a discrete network: the best tree, and greedy hill climbing."""

from __future__ import annotations

import math
from collections import deque
from typing import Protocol

import numpy as np

from likewise.families.bayesian_network.discrete.partitions import Bools, Integers
from likewise.families.bayesian_network.structure.scores import Floats, mutual_information

TIE = 1e-7
"""Scores of equivalent graphs differ by rounding alone: gains are compared on this grid, relative to the row count."""


def chow_liu(states: Integers, sizes: list[int]) -> list[list[int]]:
    """The parents of each column in the tree of largest likelihood (Chow and Liu 1968).

    The root is the column that tells most about all others.
    """
    information = mutual_information(states, sizes)
    np.fill_diagonal(information, 0.0)
    return _spanning_tree(information, int(information.sum(1).argmax()))


def _spanning_tree(weights: Floats, root: int) -> list[list[int]]:
    """The parents of each node in the spanning tree of largest total weight (Prim 1957)."""
    count = len(weights)
    parents: list[list[int]] = [[] for _ in range(count)]
    outside = np.ones(count, dtype=bool)
    outside[root] = False
    best, link = weights[root].copy(), np.full(count, root)
    for _ in range(count - 1):
        node = int(np.where(outside, best, -np.inf).argmax())
        parents[node] = [int(link[node])]
        outside[node] = False
        closer = outside & (weights[node] > best)
        best[closer], link[closer] = weights[node][closer], node
    return parents


def column_ranks(states: Integers, sizes: list[int]) -> Integers:
    """The rank of each column by facts that do not change when columns are reordered; it decides between equals."""
    information = mutual_information(states, sizes)
    entropy = np.diag(information).round(9)
    shared = (information.sum(1) - np.diag(information)).round(9)
    ranks: Integers = np.empty(len(sizes), dtype=np.int64)
    ranks[np.lexsort((shared, entropy, np.array(sizes)))] = np.arange(len(sizes))
    return ranks


class Scorer(Protocol):
    """Decomposable scores of the families of `len(scorer)` nodes."""

    rows: int

    def __len__(self) -> int: ...

    def family(self, child: int, parents: frozenset[int]) -> float: ...


class HillClimb:
    """Greedy search over acyclic graphs by adding, deleting and reversing one edge (Heckerman et al. 1995).

    The gains of all moves are kept; a move changes those of one or two children only. The result does not depend on the
    order of the columns.

    Parameters
    ----------
    scores : FamilyScores, or anything that scores families
    ranks : int64 (columns,)
        Which column goes first where two moves gain the same.
    max_parents : int
    tabu : int
        How many moves beyond a local optimum are tried, never undoing one of the last `tabu` moves.
    """

    def __init__(self, scores: Scorer, ranks: Integers, max_parents: int, tabu: int = 0) -> None:
        self.scores, self.ranks, self.max_parents, self.tabu = scores, ranks, max_parents, tabu
        count = len(scores)
        self.parents: list[frozenset[int]] = [frozenset() for _ in range(count)]
        self.edges: Bools = np.zeros((count, count), dtype=bool)  # [parent, child]
        self.change: Floats = np.full((count, count), -math.inf)  # gain of adding or deleting parent -> child
        for child in range(count):
            self._refresh(child)

    def run(self, max_moves: int = 100_000) -> list[list[int]]:
        """The parents of each column in the best graph met."""
        total = best = 0.0
        found = list(self.parents)
        undone: deque[tuple[str, int, int]] = deque(maxlen=max(self.tabu, 1))
        since = 0
        for _ in range(max_moves):
            gain, move = self._best(undone if self.tabu else ())
            if move is None or (gain <= TIE * self.scores.rows and not self.tabu):
                break
            self._take(*move)
            undone.append(_inverse(*move))
            total += gain
            since += 1
            if total > best + TIE * self.scores.rows:
                best, found, since = total, list(self.parents), 0
            if since > self.tabu:
                break
        return [sorted(above) for above in found]

    def _refresh(self, child: int) -> None:
        """Recomputes the gains of all single changes to the parents of `child`."""
        own = self.parents[child]
        now = self.scores.family(child, own)
        for other in range(len(self.parents)):
            if other == child:
                continue
            if other in own:
                self.change[other, child] = self.scores.family(child, own - {other}) - now
            elif len(own) < self.max_parents:
                self.change[other, child] = self.scores.family(child, own | {other}) - now
            else:
                self.change[other, child] = -math.inf

    def _best(self, forbidden: deque[tuple[str, int, int]] | tuple[()]) -> tuple[float, tuple[str, int, int] | None]:
        reach = _reachable(self.edges)
        add = np.where(self.edges | reach.T, -math.inf, self.change)
        delete = np.where(self.edges, self.change, -math.inf)
        # Reversing u -> v closes a cycle where another path leads from u to v.
        detour = (self.edges.astype(np.float64) @ (reach & ~np.eye(len(reach), dtype=bool)).astype(np.float64)) > 0
        room = np.array([len(above) < self.max_parents for above in self.parents])
        turn = np.where(self.edges & ~detour & room[:, None], self.change + self._turned(), -math.inf)
        for name, parent, child in forbidden:
            {"add": add, "delete": delete, "turn": turn}[name][parent, child] = -math.inf
        best, chosen, key = -math.inf, None, (0, 0, 0)
        grid = TIE * max(self.scores.rows, 1)
        for kind, (name, gains) in enumerate((("add", add), ("delete", delete), ("turn", turn))):
            top = gains.max(initial=-math.inf)
            if not math.isfinite(top) or top < best - grid:
                continue
            for parent, child in np.argwhere(gains >= top - grid):
                own = (kind, int(self.ranks[child]), int(self.ranks[parent]))
                if top > best + grid or chosen is None or own < key:
                    best, chosen, key = max(top, best), (name, int(parent), int(child)), own
        return best, chosen

    def _turned(self) -> Floats:
        """[u, v]: the gain of giving u the parent v, for edges u -> v."""
        out = np.full(self.change.shape, -math.inf)
        for parent, child in np.argwhere(self.edges).tolist():
            own = self.parents[parent]
            out[parent, child] = self.scores.family(parent, own | {child}) - self.scores.family(parent, own)
        return out

    def _take(self, name: str, parent: int, child: int) -> None:
        if name != "add":
            self.parents[child] -= {parent}
            self.edges[parent, child] = False
        else:
            self.parents[child] |= {parent}
            self.edges[parent, child] = True
        if name == "turn":
            self.parents[parent] |= {child}
            self.edges[child, parent] = True
            self._refresh(parent)
        self._refresh(child)


def _inverse(name: str, parent: int, child: int) -> tuple[str, int, int]:
    return {"add": ("delete", parent, child), "delete": ("add", parent, child), "turn": ("turn", child, parent)}[name]


def _reachable(edges: Bools) -> Bools:
    """[u, v]: a directed path leads from u to v; every node reaches itself."""
    reach = edges | np.eye(len(edges), dtype=bool)
    while True:
        further = (reach.astype(np.float32) @ reach.astype(np.float32)) > 0
        if (further == reach).all():
            return reach
        reach = further
