"""Greedy hill climbing over acyclic graphs, with a tabu list and random restarts."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

import numpy as np

from likewise.families.bayesian_network.discrete.partitions import Bools, Integers
from likewise.families.bayesian_network.structure.constraints import Constraints
from likewise.families.bayesian_network.structure.counts import Floats, members
from likewise.families.bayesian_network.structure.scores import Scores

TIE = 1e-9
"""Gains below this, times the row count, are rounding: scores of equivalent graphs differ by it."""

ADD, DELETE, TURN = range(3)

Move = tuple[int, int, int]
"""Kind, parent, child."""


@dataclass(frozen=True)
class Climb:
    """How hill climbing goes on beyond the first local optimum.

    Attributes
    ----------
    tabu : int
        How many moves beyond a local optimum are tried, never undoing one of the last `tabu` moves (Glover 1989).
    restarts : int
        How often the best graph is disturbed, and climbed from anew.
    disturbance : int
        How many random moves disturb it.
    seed : int
        Of these.
    """

    tabu: int = 0
    restarts: int = 0
    disturbance: int = 8
    seed: int = 0


GREEDY = Climb()


class HillClimb:
    """Greedy search by adding, deleting and reversing one edge (Heckerman et al. 1995).

    The gains of all moves are kept; a move changes those of one or two children only, for which the scores of all
    further parents come from one pass over the records. Which nodes reach which is kept as well.

    Parameters
    ----------
    scores : Scores
    constraints : Constraints
    """

    def __init__(self, scores: Scores, constraints: Constraints, climb: Climb = GREEDY) -> None:
        self.scores, self.constraints, self.climb = scores, constraints, climb
        self.nodes = len(scores)
        self.tie = TIE * max(scores.rows, 1)
        self.start([np.flatnonzero(constraints.required[:, i]).tolist() for i in range(self.nodes)])

    def start(self, parents: list[list[int]]) -> None:
        """Goes on from a graph."""
        self.parents = [sum(1 << p for p in above) for above in parents]
        self.edges: Bools = np.zeros((self.nodes, self.nodes), dtype=bool)  # [parent, child]
        for child, above in enumerate(parents):
            self.edges[above, child] = True
        self.reach = _reachable(self.edges)
        self.change: Floats = np.full((self.nodes, self.nodes), -math.inf)  # gain of adding or deleting parent -> child
        self.own = np.zeros(self.nodes)
        for child in range(self.nodes):
            self._refresh(child)

    def run(self) -> list[list[int]]:
        """The parents of each column in the best graph met."""
        rng = np.random.default_rng(self.climb.seed)
        found = self._climb()
        best = self.own.sum()
        for _ in range(self.climb.restarts):
            self.start(found)
            for _ in range(self.climb.disturbance):
                self._disturb(rng)
            again = self._climb()
            if self.own.sum() > best + self.tie:
                best, found = self.own.sum(), again
        return found

    def _climb(self) -> list[list[int]]:
        """Climbs from where it stands to the best graph met, which it leaves standing only where there is no tabu."""
        total = best = 0.0
        found, own = list(self.parents), self.own.copy()
        undone: deque[Move] = deque(maxlen=max(self.climb.tabu, 1))
        since = 0
        while since <= self.climb.tabu:
            gain, move = self.best_move(undone if self.climb.tabu else ())
            if move is None or (gain <= self.tie and not self.climb.tabu):
                break
            self.take(*move)
            undone.append(_inverse(*move))
            total += gain
            since += 1
            if total > best + self.tie:
                best, found, own, since = total, list(self.parents), self.own.copy(), 0
        self.own = own
        return [list(members(above)) for above in found]

    def _disturb(self, rng: np.random.Generator) -> None:
        """Makes a random legal move, of any kind with equal probability."""
        for kind in rng.permutation(3).tolist():
            gains, (above, below) = self._gains(())[kind]
            legal = np.flatnonzero(np.isfinite(gains))
            if len(legal):
                at = int(rng.choice(legal))
                self.take(kind, *(divmod(at, self.nodes) if kind == ADD else (int(above[at]), int(below[at]))))
                return

    # ---------------------------------------------------------------------------------------------------------- moves

    def best_move(self, taboo: deque[Move] | tuple[()] = ()) -> tuple[float, Move | None]:
        """The largest gain of a legal move, and that move."""
        best, chosen = -math.inf, None
        for kind, (gains, (above, below)) in enumerate(self._gains(taboo)):
            at = int(gains.argmax()) if gains.size else 0
            if gains.size and gains.flat[at] > best + self.tie:
                best = float(gains.flat[at])
                chosen = (kind, *divmod(at, self.nodes)) if kind == ADD else (kind, int(above[at]), int(below[at]))
        return best, chosen

    def _gains(self, taboo: deque[Move] | tuple[()]) -> list[tuple[Floats, tuple[Integers, Integers]]]:
        """The gains of adding any edge (nodes, nodes), of deleting and of turning each edge, and the edges' ends."""
        add = np.where(self.edges | self.reach.T | ~self.constraints.allowed, -math.inf, self.change)
        above, below = self.edges.nonzero()
        delete = self.change[above, below]
        required = self.constraints.required[above, below]
        delete[required] = -math.inf
        # Turning u -> v closes a cycle where another child of u reaches v.
        detour = (self.edges[above] & self.reach[:, below].T).sum(1) > 1
        turn = delete + self.change[below, above]
        turn[detour | ~self.constraints.allowed[below, above]] = -math.inf
        place = {(int(u), int(v)): at for at, (u, v) in enumerate(zip(above, below, strict=True))} if taboo else {}
        for kind, parent, child in taboo:
            if kind == ADD:
                add[parent, child] = -math.inf
            elif (parent, child) in place:
                (delete if kind == DELETE else turn)[place[parent, child]] = -math.inf
        return [(add, (above, below)), (delete, (above, below)), (turn, (above, below))]

    def take(self, kind: int, parent: int, child: int) -> None:
        """Makes a move."""
        if kind == ADD:
            self._add(parent, child)
        else:
            self.parents[child] ^= 1 << parent
            self.edges[parent, child] = False
            # Only what reached the parent may reach less.
            self._reach_again(self.reach[:, parent])
        if kind == TURN:
            self._add(child, parent)
            self._refresh(parent)
        self._refresh(child)

    def _add(self, parent: int, child: int) -> None:
        self.parents[child] |= 1 << parent
        self.edges[parent, child] = True
        self.reach[self.reach[:, parent]] |= self.reach[child]

    def _reach_again(self, nodes: Bools) -> None:
        """What each of these nodes reaches; with each node all that reach it are among them."""
        waiting = np.flatnonzero(nodes)
        # A node that reached more came before: its order among these is still one that goes downwards.
        for node in waiting[np.argsort(self.reach[waiting].sum(1), kind="stable")]:
            reached = np.logical_or.reduce(self.reach[self.edges[node]], axis=0)
            reached[node] = True
            self.reach[node] = reached

    def _refresh(self, child: int) -> None:
        """The gains of all single changes to the parents of a child."""
        own = self.parents[child]
        now = self.scores.family(child, own)
        if own.bit_count() < self.constraints.most[child]:
            self.change[:, child] = self.scores.additions(child, own) - now
        else:
            self.change[:, child] = -math.inf
        for parent in members(own):
            self.change[parent, child] = self.scores.family(child, own ^ (1 << parent)) - now
        self.own[child] = now


def _inverse(kind: int, parent: int, child: int) -> Move:
    return (TURN, child, parent) if kind == TURN else (DELETE if kind == ADD else ADD, parent, child)


def _reachable(edges: Bools) -> Bools:
    """[u, v]: a directed path leads from u to v; every node reaches itself."""
    reach = edges | np.eye(len(edges), dtype=bool)
    while True:
        further = (reach.astype(np.float32) @ reach.astype(np.float32)) > 0
        if (further == reach).all():
            return reach
        reach = further
