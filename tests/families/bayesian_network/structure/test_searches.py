"""Searches find the best graph where it is known, obey constraints, and do not depend on the order of columns."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from likewise.errors import NotSupported
from likewise.families.bayesian_network.structure.chow_liu import chow_liu
from likewise.families.bayesian_network.structure.constraints import constraints
from likewise.families.bayesian_network.structure.counts import Counts
from likewise.families.bayesian_network.structure.equivalence import pattern_of
from likewise.families.bayesian_network.structure.equivalence_search import EquivalenceSearch, State
from likewise.families.bayesian_network.structure.gaussian_scores import GaussianScores
from likewise.families.bayesian_network.structure.graph import topological_order
from likewise.families.bayesian_network.structure.hill_climbing import Climb, HillClimb
from likewise.families.bayesian_network.structure.scores import FamilyScores, mutual_information, network_score
from likewise.families.bayesian_network.structure.search import find_graph, search, without_idle_parents


def drawn(parents: list[list[int]], rows: int, seed: int, states: int = 3) -> tuple[np.ndarray, list[int]]:
    """Rows of a network with random tables, whose columns have a few states more or less."""
    rng = np.random.default_rng(seed)
    sizes = [states + i % 2 for i in range(len(parents))]
    found = np.zeros((rows, len(parents)), dtype=np.int64)
    for i in topological_order(parents):
        shape = [sizes[p] for p in parents[i]]
        table = rng.dirichlet(np.full(sizes[i], 0.4), size=shape) if shape else rng.dirichlet(np.full(sizes[i], 2.0))
        ends = np.broadcast_to(table[tuple(found[:, p] for p in parents[i])], (rows, sizes[i])).cumsum(1)
        found[:, i] = (rng.random((rows, 1)) * ends[:, -1:] >= ends).sum(1)
    return found, sizes


def random_graph(nodes: int, seed: int, most: int = 2, share: float = 0.5) -> list[list[int]]:
    rng = np.random.default_rng(seed)
    order = rng.permutation(nodes).tolist()
    parents: list[list[int]] = [[] for _ in range(nodes)]
    for place, i in enumerate(order):
        chosen = [p for p in order[:place] if rng.random() < share]
        parents[i] = sorted(chosen[:most])
    return parents


def pattern(parents: list[list[int]]) -> np.ndarray:
    return pattern_of([sum(1 << p for p in above) for above in parents], topological_order(parents)).matrix()


def edges(parents: list[list[int]]) -> set[tuple[int, int]]:
    return {(p, i) for i, above in enumerate(parents) for p in above}


def all_graphs(nodes: int) -> list[list[list[int]]]:
    """Every acyclic graph."""
    pairs = list(itertools.combinations(range(nodes), 2))
    found = []
    for kinds in itertools.product(range(3), repeat=len(pairs)):
        parents: list[list[int]] = [[] for _ in range(nodes)]
        for (u, v), kind in zip(pairs, kinds, strict=True):
            if kind:
                parents[v if kind == 1 else u].append(u if kind == 1 else v)
        try:
            topological_order(parents)
        except ValueError:
            continue
        found.append(parents)
    return found


# ------------------------------------------------------------------------------------------------------ exact search


@pytest.mark.parametrize("score", ["bdeu", "bic", "k2"])
def test_exact_search_is_the_best_of_all_graphs(score: str) -> None:
    graphs = all_graphs(4)
    assert len(graphs) == 543  # Robinson 1973
    for seed in range(3):
        states, sizes = drawn(random_graph(4, seed), 200, seed)
        scores = FamilyScores(states, sizes, score)  # type: ignore[arg-type]
        best = max(network_score(scores, graph) for graph in graphs)
        found = search(scores, "exact", constraints(4))
        assert network_score(scores, found) == pytest.approx(best, abs=1e-9)


def test_exact_search_is_the_best_of_all_graphs_that_obey_constraints() -> None:
    states, sizes = drawn(random_graph(5, 1), 400, 1)
    scores = FamilyScores(states, sizes, "bdeu", 1.0)
    asked = constraints(5, 2, [(0, 3)], [(1, 2), (2, 1)], [[4], [0, 1]])
    best = max(network_score(scores, graph) for graph in all_graphs(5) if asked.obeyed(graph))
    found = search(scores, "exact", asked)
    assert asked.obeyed(found)
    assert network_score(scores, found) == pytest.approx(best, abs=1e-9)


def test_exact_search_refuses_too_many_columns() -> None:
    states = np.zeros((4, 21), dtype=np.int64)
    with pytest.raises(NotSupported, match="at most 20 columns, not of 21"):
        search(FamilyScores(states, [1] * 21), "exact", constraints(21))


# ------------------------------------------------------------------------------------------- equivalence-class search


@pytest.mark.parametrize("seed", range(6))
def test_class_search_recovers_the_class_from_many_records(seed: int) -> None:
    truth = random_graph(6, seed)
    states, sizes = drawn(truth, 60_000, seed, states=2)
    found = EquivalenceSearch(FamilyScores(states, sizes, "bdeu", 1.0), constraints(6)).run()
    scores = FamilyScores(states, sizes, "bdeu", 1.0)
    exact = search(scores, "exact", constraints(6))
    # Tables drawn at random can leave an edge too weak to be seen: the best graph of all decides.
    assert network_score(scores, found) == pytest.approx(network_score(scores, exact), abs=1e-6)


class Watched(EquivalenceSearch):
    """Holds every step to its promise: what it says it gains is what the score gains."""

    steps = 0

    def _apply(self, state: State, operator: tuple[float, int, int, int, int]) -> bool:
        before = sum(self.scores.family(i, above) for i, above in enumerate(state.graph))
        taken = super()._apply(state, operator)
        if taken:
            after = sum(self.scores.family(i, above) for i, above in enumerate(state.graph))
            assert after - before == pytest.approx(-operator[0], abs=1e-6)
            order = topological_order([[p for p in range(len(self.scores)) if a >> p & 1] for a in state.graph])
            assert pattern_of(state.graph, order) == state.pattern
            self.steps += 1
        return taken


@pytest.mark.parametrize("seed", range(4))
def test_every_step_gains_what_it_says_and_the_end_is_a_fixed_point(seed: int) -> None:
    states, sizes = drawn(random_graph(9, seed, 3, 0.6), 1500, seed)
    watched = Watched(FamilyScores(states, sizes, "bdeu", 1.0), constraints(9))
    found = watched.run()
    assert watched.steps > 10
    scores = watched.scores
    own = network_score(scores, found)
    # No graph one edge away from a graph of the class is better.
    for graph in neighbours_of_class(found):
        assert network_score(scores, graph) <= own + 1e-6


def neighbours_of_class(parents: list[list[int]]) -> list[list[list[int]]]:
    """Graphs with one edge more or less than the given graph, or one that differs by covered turns."""
    seen = {tuple(map(tuple, parents))}
    waiting, members_of_class = [parents], [parents]
    while waiting and len(seen) < 60:
        graph = waiting.pop()
        for p, i in edges(graph):
            if set(graph[i]) - {p} == set(graph[p]):
                turned = [list(above) for above in graph]
                turned[i].remove(p)
                turned[p] = sorted([*turned[p], i])
                if (key := tuple(map(tuple, turned))) not in seen:
                    seen.add(key)
                    waiting.append(turned)
                    members_of_class.append(turned)
    out = []
    for graph in members_of_class:
        for u, v in itertools.permutations(range(len(graph)), 2):
            other = [list(above) for above in graph]
            if u in other[v]:
                other[v].remove(u)
            elif v not in other[u]:
                other[v] = sorted([*other[v], u])
            try:
                topological_order(other)
            except ValueError:
                continue
            out.append(other)
    return out


def test_forced_deletions_never_lower_the_score() -> None:
    for seed in range(3):
        states, sizes = drawn(random_graph(8, seed, 3, 0.7), 500, seed)
        scores = FamilyScores(states, sizes, "bic")
        plain = EquivalenceSearch(scores, constraints(8), extended=False).run()
        assert network_score(scores, EquivalenceSearch(scores, constraints(8)).run()) >= network_score(scores, plain)


def test_class_search_needs_a_score_of_classes() -> None:
    states, sizes = drawn([[], [0]], 50, 0)
    with pytest.raises(NotSupported, match="structure_score='bdeu' or 'bic'"):
        search(FamilyScores(states, sizes, "k2"), "ges", constraints(2))


def test_class_search_finds_the_class_of_real_columns() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(4000, 5))
    x[:, 2] += 0.7 * x[:, 0] - 0.8 * x[:, 1]
    x[:, 3] += 0.9 * x[:, 2]
    x[:, 4] += 0.6 * x[:, 1]
    truth = pattern([[], [], [0, 1], [2], [1]])
    for score in ("bic", "bge"):
        found = search(GaussianScores(x, score), "ges", constraints(5))  # type: ignore[arg-type]
        np.testing.assert_array_equal(pattern(found), truth)


# ----------------------------------------------------------------------------------------------------- hill climbing


@pytest.mark.parametrize("score", ["bic", "bdeu", "k2"])
def test_hill_climbing_ends_where_no_move_gains(score: str) -> None:
    states, sizes = drawn(random_graph(7, 2), 800, 2)
    scores = FamilyScores(states, sizes, score)  # type: ignore[arg-type]
    found = HillClimb(scores, constraints(7)).run()
    own = network_score(scores, found)
    for u, v in itertools.permutations(range(7), 2):
        other = [list(above) for above in found]
        if u in other[v]:
            other[v].remove(u)
        else:
            other[v].append(u)
            if v in other[u]:
                other[u].remove(v)
        try:
            topological_order(other)
        except ValueError:
            continue
        assert network_score(scores, other) <= own + 1e-6


def test_gains_and_reachability_kept_along_the_way_are_those_found_anew() -> None:
    states, sizes = drawn(random_graph(8, 4, 3), 500, 4)
    scores = FamilyScores(states, sizes, "bdeu", 1.0)
    climb = HillClimb(scores, constraints(8, 3))
    rng = np.random.default_rng(0)
    for _ in range(60):
        climb._disturb(rng)
        graph = [[p for p in range(8) if above >> p & 1] for above in climb.parents]
        topological_order(graph)
        fresh = HillClimb(scores, constraints(8, 3))
        fresh.start(graph)
        np.testing.assert_array_equal(climb.reach, fresh.reach)
        np.testing.assert_allclose(climb.change, fresh.change, atol=1e-9)
        assert climb.own.sum() == pytest.approx(network_score(scores, graph))


def test_tabu_and_restarts_never_end_below_the_local_optimum() -> None:
    for seed in range(3):
        states, sizes = drawn(random_graph(8, seed, 3, 0.6), 300, seed)
        scores = FamilyScores(states, sizes, "bdeu", 1.0)
        plain = network_score(scores, HillClimb(scores, constraints(8, 3)).run())
        tabu = network_score(scores, HillClimb(scores, constraints(8, 3), Climb(tabu=10)).run())
        again = network_score(scores, HillClimb(scores, constraints(8, 3), Climb(tabu=10, restarts=3)).run())
        assert tabu >= plain - 1e-9
        assert again >= tabu - 1e-9


@pytest.mark.parametrize("method", ["hill_climbing", "ges", "exact"])
def test_columns_that_determine_each_other_are_searched_to_the_end(method: str) -> None:
    rng = np.random.default_rng(0)
    x, noise, _, y = rng.normal(size=(4, 500))
    scores = GaussianScores(np.stack([x, x + 0.006 * noise, x - 0.006 * noise, noise, x + noise, y], 1))
    found = search(scores, method, constraints(6), Climb(0))  # type: ignore[arg-type]
    best = network_score(scores, search(scores, "exact", constraints(6)))
    assert best - 30 < network_score(scores, found) <= best + 1e-6
    assert [5 in above for above in found] == [False] * 6
    assert found[5] == []


def test_a_copy_of_one_column_joins_no_others() -> None:
    """A chain a -> b -> c of little noise is still one where d, and d in other units, are beside it."""
    for seed in range(5):
        a, first, second, d = np.random.default_rng(seed).normal(size=(4, 2000))
        b = a + 0.03 * first
        scores = GaussianScores(np.stack([a, b, b + 0.03 * second, d, d / 2.54], 1))
        found = {frozenset(edge) for edge in edges(search(scores, "ges", constraints(5)))}
        assert found == {frozenset({0, 1}), frozenset({1, 2}), frozenset({3, 4})}


def test_hill_climbing_leaves_no_parent_that_tells_nothing() -> None:
    rng = np.random.default_rng(0)
    whole = rng.choice(11, 3000, p=rng.dirichlet(np.full(11, 2.0)))
    # All but the last column are functions of the first, which BDeu joins to each other as well.
    columns = [
        whole,
        whole % 5,
        whole // 2,
        rng.permutation(11)[whole],
        (whole > 3).astype(int),
        rng.integers(0, 2, 3000),
    ]
    states, sizes = np.stack(columns, 1), [11, 5, 6, 11, 2, 2]
    counts, free = Counts(states, sizes), constraints(6)
    climbed = search(FamilyScores(states, sizes, "bdeu", 1.0), "hill_climbing", free, Climb(10))
    found = without_idle_parents(counts, climbed, free)
    likelihood = FamilyScores(states, sizes, "aic")

    def told(child: int, above: list[int]) -> float:
        cells = math.prod(sizes[p] for p in above)
        return likelihood.family(child, sum(1 << p for p in above)) + cells * (sizes[child] - 1)

    assert edges(found) < edges(climbed)
    # Whoever asks for a graph gets none of them, in whatever order columns are searched.
    asked = find_graph(states, sizes, "hill_climbing", free, "bdeu", 1.0, Climb(10))
    for child, above in enumerate(asked):
        assert all(told(child, [p for p in above if p != parent]) < told(child, above) - 1e-6 for parent in above)
    for child, above in enumerate(found):
        assert told(child, above) == pytest.approx(told(child, climbed[child]), abs=1e-6)
        for parent in above:
            assert told(child, [p for p in above if p != parent]) < told(child, above) - 1e-6
    # What is required stays, though it tells nothing.
    parent, child = min(edges(climbed) - edges(found))
    required = without_idle_parents(counts, climbed, constraints(6, None, [(parent, child)]))
    assert (parent, child) in edges(required)


# ------------------------------------------------------------------------------------------------------------- trees


def test_chow_liu_is_the_best_of_all_trees() -> None:
    rng = np.random.default_rng(1)
    states = rng.integers(0, 3, (400, 5))
    states[:, 3] = np.where(rng.random(400) < 0.6, states[:, 0], states[:, 3])
    states[:, 4] = np.where(rng.random(400) < 0.5, states[:, 3], states[:, 4])
    counts = Counts(states, [3] * 5)
    information = mutual_information(counts)

    def is_tree(chosen: tuple[tuple[int, int], ...]) -> bool:
        group = list(range(5))
        for u, v in chosen:
            if group[u] == group[v]:
                return False
            group = [group[u] if g == group[v] else g for g in group]
        return True

    pairs = list(itertools.combinations(range(5), 2))
    best = max(
        sum(information[u, v] for u, v in chosen) for chosen in itertools.combinations(pairs, 4) if is_tree(chosen)
    )
    found = chow_liu(counts)
    assert sum(map(len, found)) == 4
    assert sum(information[p, i] for p, i in edges(found)) == pytest.approx(best, abs=1e-10)


def test_a_tree_has_one_parent_for_a_column() -> None:
    states, sizes = drawn([[], [], [0, 1]], 100, 0)
    with pytest.raises(NotSupported, match="one parent"):
        chow_liu(Counts(states, sizes), constraints(3, None, [(0, 2), (1, 2)]))


# -------------------------------------------------------------------------------------------- all searches, one by one


@pytest.mark.parametrize("method", ["chow_liu", "hill_climbing", "ges", "exact"])
def test_constraints_are_obeyed(method: str) -> None:
    for seed in range(4):
        truth = random_graph(8, seed, 3, 0.6)
        states, sizes = drawn(truth, 600, seed)
        order = topological_order(truth)
        # Against the truth, so that they bind: its first edges are forbidden, its last columns come first.
        forbidden = sorted(edges(truth))[:3]
        late, early = order[-3:], order[:2]
        required = [(late[0], late[1])] if (late[0], late[1]) not in forbidden else []
        asked = constraints(8, 2, required, forbidden, [late, early])
        found = find_graph(states, sizes, method, asked, "bdeu", 1.0, Climb(5, 1))  # type: ignore[arg-type]
        topological_order(found)
        assert asked.obeyed(found)
        assert len(edges(found)) > len(required)


@pytest.mark.parametrize("method", ["chow_liu", "hill_climbing", "ges", "exact"])
def test_the_order_of_columns_does_not_matter(method: str) -> None:
    states, sizes = drawn(random_graph(8, 3, 3, 0.5), 700, 3)
    straight = edges(find_graph(states, sizes, method, constraints(8), "bdeu", None, Climb(5, 1)))  # type: ignore[arg-type]
    rng = np.random.default_rng(0)
    for _ in range(3):
        order = rng.permutation(8).tolist()
        other = find_graph(
            states[:, order], [sizes[i] for i in order], method, constraints(8), "bdeu", None, Climb(5, 1)
        )  # type: ignore[arg-type]
        assert {(order[p], order[i]) for p, i in edges(other)} == straight


@pytest.mark.parametrize("method", ["chow_liu", "hill_climbing", "ges", "exact"])
def test_tables_of_few_columns_or_rows_are_searched_too(method: str) -> None:
    for rows, sizes in ((0, [2, 2, 3]), (1, [2, 2, 3]), (5, [2]), (5, [1, 1]), (50, [2, 2])):
        states = np.zeros((rows, len(sizes)), dtype=np.int64)
        found = find_graph(states, sizes, method, constraints(len(sizes)), "bdeu", None)  # type: ignore[arg-type]
        assert len(found) == len(sizes)


@pytest.mark.parametrize("method", ["hill_climbing", "ges", "exact"])
def test_required_parents_with_too_many_states_are_refused_by_name(method: str) -> None:
    states = np.random.default_rng(0).integers(0, 50, (100, 5))
    asked = constraints(5, None, [(i, 4) for i in range(4)])
    with pytest.raises(NotSupported, match=r"above 'e', 'a', 'b', 'c', 'd', has too many states"):
        find_graph(states, [50] * 5, method, asked, "bdeu", 1.0, names=list("abcde"))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"tiers": [[0], [0, 1]]}, "a is in two tiers"),
        ({"required": [(0, 1)], "forbidden": [(0, 1)]}, "a -> b is required, but is also forbidden"),
        ({"required": [(1, 0)], "tiers": [[0], [1]]}, "b -> a is required, but comes in a later tier|later tier"),
        ({"required": [(0, 1), (1, 2), (2, 0)]}, "cycle through a"),
        ({"required": [(0, 2), (1, 2)], "max_parents": 1}, "c has 2 required parents; max_parents is 1"),
    ],
)
def test_contradictory_constraints_are_named(asked: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        constraints(3, names=["a", "b", "c"], **asked)  # type: ignore[arg-type]
