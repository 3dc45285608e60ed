"""Classes, distances and separation in graphs, against small known cases and other libraries."""

from __future__ import annotations

import itertools
from typing import Any

import networkx
import numpy as np
import pandas as pd
import pytest

import likewise as lw
from likewise.families.bayesian_network.discrete.cutting import rows_of
from likewise.families.bayesian_network.discrete.graphs import graph_finder, graphs
from likewise.families.bayesian_network.discrete.network import DiscreteNetwork
from likewise.families.bayesian_network.discrete.options import Options
from likewise.families.bayesian_network.family import BayesianNetworkFamily
from likewise.families.bayesian_network.structure.bootstrap import directions, edge_strengths
from likewise.families.bayesian_network.structure.graph import topological_order
from likewise.families.bayesian_network.structure.search import SearchName


def random_dag(nodes: int, share: float, rng: np.random.Generator) -> networkx.DiGraph:
    order = rng.permutation(nodes)
    found = networkx.DiGraph()
    found.add_nodes_from(range(nodes))
    found.add_edges_from(
        (int(order[a]), int(order[b])) for a, b in itertools.combinations(range(nodes), 2) if rng.random() < share
    )
    return found


def test_a_cycle_is_refused() -> None:
    with pytest.raises(ValueError, match="cycle"):
        topological_order([[1], [0]])
    with pytest.raises(ValueError, match="cycle"):
        lw.graphs.cpdag([("a", "b"), ("b", "c"), ("c", "a")])


def test_classes_of_small_graphs() -> None:
    def undirected(*pairs: str) -> set[tuple[str, str]]:
        return {(a, b) for a, b in pairs} | {(b, a) for a, b in pairs}

    assert set(lw.graphs.cpdag(["ab", "bc"]).edges) == undirected("ab", "bc")
    assert set(lw.graphs.cpdag(["ab", "cb"]).edges) == {("a", "b"), ("c", "b")}
    # What a collider points at is directed; a triangle is not.
    assert set(lw.graphs.cpdag(["ab", "cb", "bd"]).edges) == {("a", "b"), ("c", "b"), ("b", "d")}
    assert set(lw.graphs.cpdag(["ab", "bc", "ac"]).edges) == undirected("ab", "bc", "ac")
    # An edge that closes a directed cycle if turned: a -> d by way of the colliders at d.
    assert set(lw.graphs.cpdag(["ab", "ac", "bd", "cd", "ad"]).edges) == {
        *undirected("ab", "ac", "ad") - {("d", "a")},
        ("b", "d"),
        ("c", "d"),
    }


def test_graphs_are_in_one_class_where_edges_and_colliders_are_the_same() -> None:
    """Verma and Pearl 1990, over all graphs of four nodes."""
    names = range(4)
    classes: dict[tuple[object, object], set[frozenset[tuple[int, int]]]] = {}
    pairs = list(itertools.combinations(names, 2))
    count = 0
    for kinds in itertools.product(range(3), repeat=6):
        edges = [(u, v) if kind == 1 else (v, u) for (u, v), kind in zip(pairs, kinds, strict=True) if kind]
        graph = networkx.DiGraph(edges)
        graph.add_nodes_from(names)
        if not networkx.is_directed_acyclic_graph(graph):
            continue
        count += 1
        skeleton = frozenset(frozenset(edge) for edge in edges)
        colliders = frozenset(
            (frozenset((a, b)), c)
            for c in names
            for a, b in itertools.combinations(graph.predecessors(c), 2)
            if frozenset((a, b)) not in skeleton
        )
        classes.setdefault((skeleton, colliders), set()).add(frozenset(lw.graphs.cpdag(graph).edges))
    assert count == 543
    assert len(classes) == 185  # Gillispie and Perlman 2002
    assert all(len(own) == 1 for own in classes.values())
    assert len({next(iter(own)) for own in classes.values()}) == 185


def test_classes_agree_with_causal_learn() -> None:
    dag2cpdag = pytest.importorskip("causallearn.utils.DAG2CPDAG").dag2cpdag
    from causallearn.graph.Dag import Dag
    from causallearn.graph.GraphNode import GraphNode

    rng = np.random.default_rng(0)
    for _ in range(10):
        graph = random_dag(8, 0.35, rng)
        nodes = [GraphNode(str(i)) for i in range(8)]
        theirs = Dag(nodes)
        for u, v in graph.edges:
            theirs.add_directed_edge(nodes[u], nodes[v])
        matrix = dag2cpdag(theirs).graph  # [v, u] is 1 and [u, v] is -1 for u -> v
        expected = {(u, v) for u in range(8) for v in range(8) if matrix[u, v] == -1}
        assert set(lw.graphs.cpdag(graph).edges) == expected


def test_a_graph_of_a_class_is_in_it() -> None:
    rng = np.random.default_rng(1)
    for _ in range(30):
        own = lw.graphs.cpdag(random_dag(9, 0.4, rng))
        member = lw.graphs.dag(own)
        assert networkx.is_directed_acyclic_graph(member)
        assert set(lw.graphs.cpdag(member).edges) == set(own.edges)
    square = [(a, b) for pair in ("ab", "bc", "cd", "da") for a, b in (pair, pair[::-1])]
    with pytest.raises(ValueError, match="No acyclic graph"):
        lw.graphs.dag(square)


def test_distances_of_small_graphs() -> None:
    truth = [("a", "c"), ("b", "c"), ("c", "d")]
    distance = lw.graphs.structural_hamming_distance
    assert distance(truth, truth) == 0
    assert distance(truth, truth[:2]) == 1  # one missing
    assert distance(truth, [*truth, ("a", "b")]) == 4  # one more, which takes the direction from all others
    assert distance(truth, [("c", "a"), ("b", "c"), ("c", "d")]) == 3
    assert distance(truth, [("c", "a"), ("b", "c"), ("c", "d")], classes=False) == 1
    assert distance(truth, []) == 3
    # A class and a graph of it.
    assert distance(lw.graphs.cpdag(truth[2:]), [("d", "c")]) == 0


def test_separation_agrees_with_networkx() -> None:
    rng = np.random.default_rng(2)
    seen = set()
    for _ in range(40):
        graph = random_dag(7, 0.35, rng)
        for _ in range(12):
            order = rng.permutation(7).tolist()
            first, second, given = order[: rng.integers(1, 3)], order[3:4], order[4 : rng.integers(4, 8)]
            expected = networkx.is_d_separator(graph, set(first), set(second), set(given))
            assert lw.graphs.d_separated(graph, first, second, given) == expected
            seen.add(expected)
    assert seen == {True, False}


def test_separation_refuses_what_is_not_there() -> None:
    with pytest.raises(ValueError, match="no column 'z'"):
        lw.graphs.d_separated([("a", "b")], "a", "z")
    with pytest.raises(ValueError, match="'a' is asked for in two ways"):
        lw.graphs.d_separated([("a", "b")], "a", "b", ["a"])


# --------------------------------------------------------------------------------------------------------- bootstrap


def test_strengths_count_edges_and_directions() -> None:
    none = np.zeros((3, 3), dtype=bool)
    graphs = iter([[[], [0], []], [[], [0], []], [[], [], [0, 1]], [[], [], []]])
    strength, direction = edge_strengths(lambda rows: directions(next(graphs), none), 10, 3, 4, 0)
    assert strength[0, 1] == strength[1, 0] == 0.5
    assert direction[0, 1] == direction[1, 0] == 0.5
    assert strength[0, 2] == 0.25
    assert direction[0, 2] == 1.0
    assert direction[2, 0] == 0.0


def test_a_strong_edge_is_always_found_and_an_absent_one_hardly_ever() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 3, 800), rng.integers(0, 2, 800)
    c = (rng.random(800) < np.array([[0.05, 0.5], [0.3, 0.9], [0.6, 0.99]])[a, b]).astype(int)
    records = {name: part.astype(str) for name, part in (("a", a), ("b", b), ("c", c), ("d", rng.integers(0, 3, 800)))}
    model = lw.BayesianNetwork(structure="ges", random_state=0).fit(records)
    found = model.edge_confidence(records, resamples=30, random_state=0).set_index(["from", "to"])
    assert found.loc[("a", "c"), "strength"] == 1.0
    assert found.loc[("a", "c"), "direction"] > 0.6  # a collider has directions, and resampled a and b often depend
    assert found.loc[("b", "c"), "strength"] == 1.0
    weak = found[[("d" in pair) for pair in found.index]]
    assert (weak["strength"] < 0.3).all()


@pytest.mark.parametrize("search", ["ges", "hill_climbing", "chow_liu"])
def test_resamples_are_searched_as_the_records_are_in_a_fit(search: SearchName) -> None:
    frame = lw.datasets.load("wine")
    model = lw.BayesianNetwork(structure=[], random_state=0).fit(frame)
    assert isinstance(model.family_, BayesianNetworkFamily)
    assert isinstance(model.family_.network, DiscreteNetwork)
    nodes, batch = model.family_.network.nodes, model.domain_.encode(model.domain_.read(frame))
    ((_, parents),) = graphs(rows_of(nodes, batch, batch.rows(slice(0, 0))), Options(search))
    found = graph_finder(nodes, batch, Options(search), search)(np.arange(len(frame)))
    assert found.any()
    assert np.array_equal(found, directions(parents, np.zeros(found.shape, dtype=bool)))


def test_the_search_that_auto_chose_is_done_again() -> None:
    rng = np.random.default_rng(0)
    a = rng.integers(0, 3, 400).astype(str)
    model = lw.BayesianNetwork(conditionals="tables", random_state=0).fit({"a": a, "b": np.roll(a, 1)})
    assert isinstance(model.family_, BayesianNetworkFamily)
    assert model.family_.structure == model.training_record_["structure"] == "chow_liu"
    assert model.family_.search == "chow_liu"
    more = model.partial_fit({"a": a[:100], "b": a[:100]})
    assert isinstance(more.family_, BayesianNetworkFamily)
    assert more.family_.structure == "chow_liu"
    for settings, structure, search in (
        ({"structure": [("a", "b")]}, "edges", "ges"),
        ({"structure": "ordered"}, "ordered", "ges"),
        ({"structure": "ordered", "structure_score": "k2"}, "ordered", "hill_climbing"),
        ({"structure": "exact"}, "exact", "exact"),
    ):
        family = lw.BayesianNetwork(random_state=0).set_params(**settings).fit({"a": a, "b": a}).family_
        assert isinstance(family, BayesianNetworkFamily)
        assert (family.structure, family.search) == (structure, search)


def test_strengths_of_a_tree_of_hidden_states() -> None:
    rng = np.random.default_rng(0)
    a = rng.integers(0, 4, 2000)
    b = np.where(rng.random(2000) < 0.2, rng.integers(0, 3, 2000), a % 3)
    c = np.where(rng.random(2000) < 0.2, rng.integers(0, 3, 2000), b) + rng.random(2000).round(1)
    frame = {"a": a.astype(str), "c": c, "b": b.astype(str)}
    model = lw.BayesianNetwork(structure="hidden_tree", states=2, components=1, random_state=0).fit(frame)
    assert {frozenset(edge) for edge in model.edges_} == {frozenset("ab"), frozenset("bc")}
    found = model.edge_confidence(frame, resamples=10, random_state=0).set_index(["from", "to"])
    for edge in model.edges_:
        assert found.loc[edge, "strength"] == 1.0
        assert found.loc[edge, "direction"] == 0.5  # a tree has no directions


def test_strengths_of_real_columns() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(500, 2))
    frame = {"a": x[:, 0], "b": x[:, 0] + x[:, 1], "c": rng.normal(size=500)}
    model = lw.BayesianNetwork(values="linear_gaussian", structure="ges", structure_score="bge", random_state=0)
    assert {frozenset(edge) for edge in model.fit(frame).edges_} == {frozenset("ab")}
    found = model.edge_confidence(frame, resamples=10, random_state=0).set_index(["from", "to"])
    assert found.loc[("a", "b"), "strength"] == 1.0
    assert found.loc[("a", "b"), "direction"] == pytest.approx(0.5, abs=0.1)  # nothing tells the direction


def test_strengths_of_given_edges_over_codes_and_real_columns() -> None:
    rng = np.random.default_rng(0)
    kind = rng.integers(0, 2, 300)
    blank = np.where(rng.random(300) < 0.2, np.nan, rng.normal(size=300) + 2 * kind)
    frame = {"kind": kind.astype(str), "size": blank}
    model = lw.BayesianNetwork(values="linear_gaussian", structure=[("kind", "size")], random_state=0).fit(frame)
    found = model.edge_confidence(frame, resamples=5, random_state=0).set_index(["from", "to"])
    assert found.loc[("kind", "size"), "strength"] == 1.0


# ------------------------------------------------------------------------------------------------- what may be required


def majority() -> pd.DataFrame:
    """Columns a to f of coins, and g, which most of the first five decide."""
    coins = np.random.default_rng(0).integers(0, 2, (300, 6))
    frame = pd.DataFrame(coins.astype(str), columns=list("abcdef"))
    return frame.assign(g=(coins[:, :5].sum(1) > 2).astype(str))


@pytest.mark.parametrize("settings", [{}, {"conditionals": "tables"}, {"values": "linear_gaussian"}])
def test_two_required_parents_leave_the_best_tree_out(settings: dict[str, Any]) -> None:
    asked = [("a", "c"), ("b", "c")]
    model = lw.BayesianNetwork(required=asked, random_state=0, **settings).fit(majority())
    assert {*asked} <= {*model.edges_}
    assert "chow_liu" not in model.training_record_["held_out"]


@pytest.mark.parametrize("structure", ["hill_climbing", "ges", "ordered"])
def test_more_parents_may_be_required_than_are_searched_for(structure: str) -> None:
    asked = [(name, "g") for name in "abcde"]
    model = lw.BayesianNetwork(structure=structure, required=asked, random_state=0).fit(majority())
    assert {*asked} <= {*model.edges_}


def test_a_table_of_too_many_parents_is_refused_by_name() -> None:
    states = np.random.default_rng(0).integers(0, 50, (400, 5)).astype(str)
    frame = pd.DataFrame(states, columns=list("abcdy"))
    model = lw.BayesianNetwork(structure=[(name, "y") for name in "abcd"], conditionals="tables")
    with pytest.raises(lw.NotSupported, match=r"The 4 parents of 'y' have \d+ configurations"):
        model.fit(frame)


@pytest.mark.parametrize("settings", [{"required": [("x", "label")]}, {"structure": [("x", "label")]}])
def test_no_category_is_asked_to_depend_on_a_number_of_a_linear_gaussian(settings: dict[str, Any]) -> None:
    x = np.random.default_rng(0).normal(size=200)
    frame = pd.DataFrame({"x": x, "label": np.where(x > 0, "more", "less")})
    with pytest.raises(lw.NotSupported, match="'label' cannot on 'x': turn the edge"):
        lw.BayesianNetwork(values="linear_gaussian", **settings).fit(frame)
    assert lw.BayesianNetwork(values="linear_gaussian", structure="chow_liu").fit(frame).edges_ == [("label", "x")]


def test_what_is_required_of_one_column_lifts_no_limit_of_others() -> None:
    coins = np.random.default_rng(0).integers(0, 2, (3000, 8))
    frame = pd.DataFrame(coins, columns=list("abcdefgh")).assign(t=coins[:, :6].sum(1) > 3, z=coins[:, 7])
    asked = [(name, "z") for name in "abcdef"]
    edges = lw.BayesianNetwork(structure="ges", required=asked, random_state=0).fit(frame.astype(str)).edges_
    assert sum(child == "z" for _, child in edges) >= 6
    assert sum(child == "t" for _, child in edges) <= 4


@pytest.mark.parametrize("name", ["required", "forbidden", "tiers"])
def test_trees_of_hidden_states_have_no_edges_to_ask_for(name: str) -> None:
    asked = [["a"], ["b"]] if name == "tiers" else [("a", "b")]
    with pytest.raises(lw.DataError, match="structure='hidden_tree' joins hidden states"):
        lw.BayesianNetwork(structure="hidden_tree", **{name: asked}).fit(majority())


# ------------------------------------------------------------------------------------------------ the order of columns


@pytest.mark.parametrize("settings", [{"structure": "ordered"}, {"structure": "chow_liu", "values": "linear_gaussian"}])
def test_what_is_found_does_not_depend_on_the_order_of_columns(settings: dict[str, Any]) -> None:
    wine = lw.datasets.load("wine").iloc[:, [0, 1, 2, 4, 5, 9]]
    found = [
        lw.BayesianNetwork(random_state=0, **settings).fit(wine.iloc[:, order]).edges_
        for order in (range(6), [3, 1, 5, 0, 4, 2], [5, 4, 3, 2, 1, 0])
    ]
    assert {*found[0]} == {*found[1]} == {*found[2]}


def test_nodes_come_in_the_order_preferred_where_there_is_a_choice() -> None:
    assert topological_order([[], [], [3], []], [3, 1, 0, 2]) == [3, 1, 0, 2]
    assert topological_order([[2], [], [], [0]], [3, 2, 1, 0]) == [2, 1, 0, 3]
