"""Greedy search over classes of equivalent graphs.

The operators are those of greedy equivalence search (Chickering 2002; turns: Hauser and Buehlmann 2012), in the order
of XGES (Nazaret and Blei 2024): an edge is deleted whenever that gains, else one is turned, else one is inserted, so
that wrong edges go before others are built on them. At the end each edge is deleted by force, kept out, and the
search goes on; what gains is kept.

Sets of nodes are numbers whose bits are nodes.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from likewise.families.bayesian_network.structure.constraints import Constraints
from likewise.families.bayesian_network.structure.counts import Floats, members
from likewise.families.bayesian_network.structure.equivalence import Pattern, extension, pattern_of
from likewise.families.bayesian_network.structure.hill_climbing import TIE
from likewise.families.bayesian_network.structure.scores import Scores

DELETE, TURN, INSERT = range(3)

Operator = tuple[float, int, int, int, int]
"""What it loses, its kind, x, y, and the neighbours of y that become, or stay, its parents; x -> y is inserted or
deleted, or y -> x turned."""


@dataclass
class State:
    """Where a search stands.

    Attributes
    ----------
    pattern : Pattern
    graph : list of int
        The parents of each node in a graph of the class.
    gain : float
        Over the start.
    operators : for each kind, the operators that gain, for each node y, the best first
    kept_out : list of int
        The nodes that must not be joined to each node.
    """

    pattern: Pattern
    graph: list[int]
    gain: float
    operators: list[list[list[Operator]]]
    kept_out: list[int] = field(default_factory=list)

    def copy(self) -> State:
        return State(self.pattern, self.graph, self.gain, [list(part) for part in self.operators], list(self.kept_out))


class EquivalenceSearch:
    """The search; needs scores that are the same for equivalent graphs.

    Parameters
    ----------
    scores : Scores
    constraints : Constraints
        A class takes part when the graph found of it obeys them.
    extended : bool
        Whether edges are deleted by force at the end.
    """

    def __init__(self, scores: Scores, constraints: Constraints, extended: bool = True) -> None:
        self.scores, self.constraints, self.extended = scores, constraints, extended
        self.nodes = len(scores)
        self.tie = TIE * max(scores.rows, 1)
        self._free = constraints.free
        self._gains: dict[tuple[int, int], Floats] = {}

    def run(self) -> list[list[int]]:
        """The parents of each column in a graph of the best class met."""
        required = [sum(1 << int(p) for p in np.flatnonzero(own)) for own in self.constraints.required.T]
        never = ~(self.constraints.allowed | self.constraints.allowed.T)
        apart = [sum(1 << int(p) for p in np.flatnonzero(own)) for own in never]
        pattern = pattern_of(required, _ordered(required))
        graph = self._admitted(pattern, required)
        assert graph is not None, "the required edges are a graph that obeys the constraints"
        state = State(pattern, graph, 0.0, [[[] for _ in apart] for _ in range(3)], apart)
        self._update(state, (1 << self.nodes) - 1)
        self._descend(state)
        if self.extended:
            state = self._force(state)
        return [list(members(above)) for above in state.graph]

    # --------------------------------------------------------------------------------------------------------- search

    def _descend(self, state: State) -> None:
        """Applies the best operator of the first kind that has one, until none gains."""
        while True:
            for kind in (DELETE, TURN, INSERT):
                if self._step(state, heapq.merge(*filter(None, state.operators[kind]))):
                    break
            else:
                return

    def _step(self, state: State, operators: Iterator[Operator]) -> bool:
        return any(self._valid(state, operator) and self._apply(state, operator) for operator in operators)

    def _force(self, state: State) -> State:
        """Deletes each edge in turn, cheapest first, and goes on without it."""
        tried: set[tuple[int, int, int]] = set()
        improved = False
        while True:
            deletes = (op for y in range(self.nodes) for op in self._deletes(state, y, math.inf))
            left = sorted(op for op in deletes if op[2:] not in tried)
            for operator in left:
                tried.add(operator[2:])
                better = self._without(state, operator)
                if better is not None:
                    state, improved = better, True
                    break
            else:
                if not improved:
                    return state
                tried, improved = set(), False

    def _without(self, state: State, operator: Operator) -> State | None:
        """Where the search gets to after a delete that may not be undone, if that is better."""
        _, _, x, y, _ = operator
        trial = state.copy()
        trial.kept_out[x] |= 1 << y
        trial.kept_out[y] |= 1 << x
        if not self._apply(trial, operator):
            return None
        self._descend(trial)
        if trial.gain <= state.gain + self.tie:
            return None
        trial.kept_out = list(state.kept_out)
        self._update(trial, 1 << x | 1 << y)
        self._descend(trial)
        return trial

    # ------------------------------------------------------------------------------------------------------ operators

    def _family_gains(self, child: int, parents: int) -> Floats:
        """What each further parent adds to the score of a child."""
        found = self._gains.get((child, parents))
        if found is None:
            found, own = self.scores.additions(child, parents), self.scores.family(child, parents)
            found = found - own if math.isfinite(own) else np.full(self.nodes, -np.inf)
            self._gains[child, parents] = found
        return found

    def _loss(self, child: int, parents: int, parent: int) -> float:
        """What the score of a child loses with one of its parents."""
        whole = self.scores.family(child, parents | 1 << parent)
        return whole - self.scores.family(child, parents & ~(1 << parent)) if math.isfinite(whole) else math.inf

    def _cliques(self, pattern: Pattern, nodes: int, first: int = 0) -> Iterator[int]:
        """The cliques among some nodes, the empty one too, each with `first`, itself a clique."""
        yield first
        waiting = [(first, nodes & ~first)]
        for node in members(first):
            waiting[0] = (first, waiting[0][1] & pattern.adjacent[node])
        while waiting:
            clique, others = waiting.pop()
            while others:
                low = others & -others
                others ^= low
                yield clique | low
                if further := others & pattern.adjacent[low.bit_length() - 1]:
                    waiting.append((clique | low, further))

    def _inserts(self, state: State, y: int) -> tuple[list[Operator], list[Operator]]:
        """The inserts of, and turns to, an edge into y, that gain."""
        pattern = state.pattern
        above, beside = pattern.parents[y], pattern.neighbours[y]
        taken = pattern.adjacent[y] | 1 << y | state.kept_out[y]
        inserts: list[Operator] = []
        turns: list[Operator] = []
        adjacent = pattern.adjacent
        for clique in self._cliques(pattern, beside):
            if (above | clique).bit_count() >= self.constraints.most[y]:
                continue
            gains = self._family_gains(y, above | clique)
            outside = beside & ~clique
            inserts += [
                (-float(gains[x]), INSERT, x, y, clique)
                for x in (gains > self.tie).nonzero()[0].tolist()
                if not taken >> x & 1 and not adjacent[x] & outside
            ]
            for x in members(pattern.children[y]):
                if not adjacent[x] & outside:
                    gain = float(gains[x]) - self._loss(x, pattern.parents[x], y)
                    if gain > self.tie:
                        turns.append((-gain, TURN, x, y, clique))
        inserts.sort()
        turns.sort()
        return inserts, turns

    def _deletes(self, state: State, y: int, most: float) -> list[Operator]:
        """The deletes of an edge into y, that lose less than `most`."""
        pattern = state.pattern
        above, beside = pattern.parents[y], pattern.neighbours[y]
        found: list[Operator] = []
        for x in members(above | beside):
            for clique in self._cliques(pattern, beside & pattern.adjacent[x]):
                loss = self._loss(y, above | clique, x)
                if loss < most:
                    found.append((loss, DELETE, x, y, clique))
        found.sort()
        return found

    def _update(self, state: State, nodes: int) -> None:
        """Finds the operators of some nodes anew."""
        for y in members(nodes):
            state.operators[DELETE][y] = self._deletes(state, y, -self.tie)
            state.operators[INSERT][y], state.operators[TURN][y] = self._inserts(state, y)

    def _valid(self, state: State, operator: Operator) -> bool:
        """Whether a graph of the class becomes one of a class by the operator."""
        _, kind, x, y, clique = operator
        if kind == DELETE:
            return True
        pattern = state.pattern
        blocked, start = clique, pattern.children[y] | pattern.neighbours[y]
        if kind == TURN:
            blocked |= pattern.neighbours[x]
            start &= ~(1 << x)
        # No path from y to x that goes along its directed edges may avoid what is blocked.
        reached = waiting = start & ~blocked
        children, neighbours, goal = pattern.children, pattern.neighbours, 1 << x
        while waiting:
            if reached & goal:
                return False
            low = waiting & -waiting
            waiting ^= low
            node = low.bit_length() - 1
            fresh = (children[node] | neighbours[node]) & ~blocked & ~reached
            reached |= fresh
            waiting |= fresh
        return not reached & goal

    def _apply(self, state: State, operator: Operator) -> bool:
        """Moves the state to the class that the operator leads to; False where that may not take part."""
        loss, kind, x, y, clique = operator
        old = state.pattern
        parents, neighbours = old.parents.copy(), old.neighbours.copy()

        def direct(sources: int, target: int) -> None:
            parents[target] |= sources
            neighbours[target] &= ~sources
            for source in members(sources):
                neighbours[source] &= ~(1 << target)

        def spread(source: int, targets: int) -> None:
            for target in members(targets):
                direct(1 << source, target)

        direct(clique, y)
        if kind == INSERT:
            parents[y] |= 1 << x
        elif kind == DELETE:
            for one, other in ((x, y), (y, x)):
                parents[one] &= ~(1 << other)
                neighbours[one] &= ~(1 << other)
            others = old.neighbours[y] & old.adjacent[x] & ~clique
            parents[y], neighbours[y] = old.parents[y] & ~(1 << x), old.neighbours[y] & ~(1 << x)
            for node in members(clique):
                neighbours[node] |= 1 << y
            spread(y, others)
            spread(x, others & old.neighbours[x])
        else:
            spread(y, old.neighbours[y] & ~clique)
            spread(x, old.neighbours[x])
        found = extension(Pattern(parents, neighbours))
        if found is None:
            return False
        graph, order = found
        if kind == TURN:
            graph[x] &= ~(1 << y)
            graph[y] |= 1 << x
            order = _ordered(graph)
            if not order:
                return False
        pattern = pattern_of(graph, order)
        admitted = self._admitted(pattern, graph)
        if admitted is None:
            return False
        state.pattern, state.graph, state.gain = pattern, admitted, state.gain - loss
        self._update(state, _touched(old, pattern, x, y))
        return True

    def _admitted(self, pattern: Pattern, graph: list[int]) -> list[int] | None:
        """A graph of the class that obeys the constraints, the given one where nothing is asked of any edge."""
        if not self._free:
            oriented = self._oriented(pattern)
            found = None if oriented is None else extension(oriented)
            # Asked directions may have made a graph of another class.
            if found is None or pattern_of(*found) != pattern:
                return None
            graph = found[0]
        if any(above.bit_count() > most for above, most in zip(graph, self.constraints.most, strict=True)):
            return None
        return graph

    def _oriented(self, pattern: Pattern) -> Pattern | None:
        """The pattern with the directions that the constraints ask for; None where one is impossible."""
        allowed, required = self.constraints.allowed, self.constraints.required
        parents, neighbours = pattern.parents.copy(), pattern.neighbours.copy()
        for child in range(self.nodes):
            for parent in members(pattern.parents[child]):
                if not allowed[parent, child]:
                    return None
            for other in members(pattern.neighbours[child]):
                if not allowed[child, other] or required[other, child]:
                    if not allowed[other, child]:
                        return None
                    parents[child] |= 1 << other
                    neighbours[child] &= ~(1 << other)
                    neighbours[other] &= ~(1 << child)
        for parent, child in np.argwhere(required):
            if not parents[child] >> int(parent) & 1:
                return None
        return Pattern(parents, neighbours)


def _touched(old: Pattern, new: Pattern, x: int, y: int) -> int:
    """The nodes whose operators may have changed."""
    found = 1 << x | 1 << y | new.neighbours[x] | new.neighbours[y] | old.neighbours[x] | old.neighbours[y]
    for node in range(len(old.parents)):
        if (
            old.parents[node] != new.parents[node]
            or old.neighbours[node] != new.neighbours[node]
            or old.children[node] != new.children[node]
        ):
            found |= 1 << node
            found |= new.parents[node] | old.parents[node]
    return found


def _ordered(parents: list[int]) -> list[int]:
    """The nodes, parents first; none where there is a cycle."""
    order: list[int] = []
    done, waiting = 0, list(range(len(parents)))
    while waiting:
        left = []
        for node in waiting:
            if parents[node] & ~done:
                left.append(node)
            else:
                order.append(node)
                done |= 1 << node
        if len(left) == len(waiting):
            return []
        waiting = left
    return order
