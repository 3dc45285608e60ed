"""Bins that suit a graph are where the dependence is, and their score is that of a likelihood."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

import likewise as lw
from likewise.families.bayesian_network.structure.constraints import constraints
from likewise.families.bayesian_network.structure.discretisation import Bins, alternate
from likewise.families.bayesian_network.structure.search import find_graph


def stepped(rows: int, seed: int = 0) -> np.ndarray:
    """A column of 16 fine bins, another that only asks whether it is below 5 or above 10, and one by itself."""
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 16, rows)
    y = np.where(rng.random(rows) < 0.15, rng.integers(0, 3, rows), (x >= 5).astype(int) + (x >= 11))
    return np.stack([x, y, rng.integers(0, 16, rows)], 1)


def equal(count: int, bins: int) -> np.ndarray:
    return np.arange(count) * bins // count


def test_cuts_are_where_neighbours_change() -> None:
    fine = stepped(3000)
    start = Bins(fine, [16, 0, 16], [equal(16, 4), np.arange(3), equal(16, 4)])
    for graph in ([[], [0], []], [[1], [], []]):
        found = start.suited(graph, [0, 1, 2])
        assert np.flatnonzero(np.diff(found.coarse[0])).tolist() == [4, 10]
        assert found.coarse[2].tolist() == start.coarse[2].tolist()  # nobody's neighbour stays as it is
        assert found.score(graph) > start.score(graph)


def test_the_score_is_the_likelihood_of_fine_bins_and_its_price() -> None:
    fine = stepped(500)
    coarse = np.searchsorted([5, 11], np.arange(16), side="right")
    bins = Bins(fine, [16, 0, 0], [coarse, np.arange(3), np.zeros(16, dtype=np.int64)])
    x, y = fine[:, 0], fine[:, 1]
    total = 0.0
    for k in range(3):
        inside = coarse[x] == k
        total += inside.sum() * math.log(inside.mean())
        for f in range(16):
            if coarse[f] == k and (x == f).any():
                total += (x == f).sum() * math.log((x == f).sum() / inside.sum())
        for state in range(3):
            both = (inside & (y == state)).sum()
            total += both * math.log(both / inside.sum()) if both else 0.0
    free = 2 + 13 + 3 * 2
    assert bins.score([[], [0], []]) == pytest.approx(total - free * math.log(500) / 2)


def test_codes_of_a_numeric_column_keep_their_states() -> None:
    rng = np.random.default_rng(0)
    fine = stepped(3000)
    fine[rng.random(3000) < 0.1, 0] = 16  # a spike
    fine[rng.random(3000) < 0.1, 0] = 17
    start = Bins(fine, [16, 0, 0], [np.concatenate([equal(16, 8), [8, 9]]), np.arange(3), np.arange(16)])
    found = start.suited([[], [0], []], [0, 1, 2]).coarse[0]
    assert found[16:].tolist() == [found[15] + 1, found[15] + 2]
    assert found[15] == 2


def test_bins_and_graph_found_in_turn_score_no_less_than_the_first() -> None:
    fine = stepped(2000)
    start = Bins(fine, [16, 0, 16], [equal(16, 3), np.arange(3), equal(16, 3)])

    def search(states: np.ndarray, sizes: list[int]) -> list[list[int]]:
        return find_graph(states, sizes, "ges", constraints(len(sizes)), "bdeu", 1.0)

    found = alternate(start, search)
    assert found.score(search(found.states, found.sizes)) >= start.score(search(start.states, start.sizes))
    assert [frozenset((p, i)) for i, above in enumerate(search(found.states, found.sizes)) for p in above] == [
        frozenset((0, 1))
    ]


# ------------------------------------------------------------------------------------------------------ as users see it


def numbers(rows: int, seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=rows)
    y = np.where((x > 1.0) ^ (rng.random(rows) < 0.05), "high", "low")
    return {"x": x, "y": y, "z": x + 0.3 * rng.normal(size=rows), "w": rng.normal(size=rows)}


def test_tables_may_have_bins_of_their_own() -> None:
    model = lw.BayesianNetwork(conditionals="tables", structure="ges", random_state=0).fit(numbers(2500, 0))
    tried = model.training_record_["held_out"]
    assert any(name.endswith("own bins") for name in tried)
    assert model.training_record_["held_out_log_prob"] == pytest.approx(max(tried.values()), abs=0.05)
    assert set(model.training_record_["bins"]) == {"x", "z", "w"}
    fresh = numbers(2000, 1)
    independent = lw.BayesianNetwork(conditionals="tables", structure=[], random_state=0).fit(numbers(2500, 0))
    assert model.score_samples(fresh).mean() > independent.score_samples(fresh).mean() + 0.5


@pytest.mark.parametrize("conditionals", ["trees", "tables"])
@pytest.mark.parametrize("structure", ["auto", "chow_liu", "hill_climbing", "ges", "exact"])
def test_every_structure_obeys_constraints_by_name(structure: str, conditionals: str) -> None:
    asked = {"required": [("w", "y")], "forbidden": [("x", "z")], "tiers": [["w"], ["z"], ["x", "y"]]}
    model = lw.BayesianNetwork(
        structure=structure,  # type: ignore[arg-type]
        conditionals=conditionals,  # type: ignore[arg-type]
        max_parents=2,
        max_bins=6 if conditionals == "tables" else None,
        random_state=0,
        **asked,  # type: ignore[arg-type]
    ).fit(numbers(600, 0))
    edges = set(model.edges_)
    assert ("w", "y") in edges
    assert not edges & {("x", "z"), ("x", "w"), ("y", "w"), ("z", "w"), ("y", "z")}
    assert all(sum(child == name for _, child in edges) <= 2 for name in "xyzw")
    again = model.sample(20, random_state=0)
    assert np.isfinite(model.score_samples(again)).all()


@pytest.mark.parametrize("structure", ["hill_climbing", "ges", "exact"])
def test_linear_gaussian_networks_obey_constraints_by_name(structure: str) -> None:
    model = lw.BayesianNetwork(
        structure=structure,  # type: ignore[arg-type]
        values="linear_gaussian",
        random_state=0,
        required=[("w", "x")],
        tiers=[["z"], ["x"]],
    ).fit(numbers(600, 0))
    edges = set(model.edges_)
    assert ("w", "x") in edges
    assert ("z", "x") in edges
    assert ("x", "z") not in edges


def test_the_order_of_columns_does_not_matter_to_a_user() -> None:
    rng = np.random.default_rng(0)
    a = rng.integers(0, 3, 800)
    records = {"a": a, "twin": a, "b": (a + (rng.random(800) < 0.2)) % 3, "c": rng.integers(0, 2, 800)}
    records = {name: part.astype(str) for name, part in records.items()}
    found = set()
    for order in itertools.permutations(records):
        model = lw.BayesianNetwork(structure="ges", random_state=0, smoothing=1.0)
        found.add(frozenset(model.fit({name: records[name] for name in order}).edges_))
    assert len(found) == 1


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"required": [("x", "nobody")]}, "nobody"),
        ({"tiers": [["x"], ["x", "y"]]}, "x is in two tiers"),
        ({"forbidden": [("x", "y")], "required": [("x", "y")]}, "x -> y is required, but is also forbidden"),
        ({"structure": [("x", "y")], "forbidden": [("y", "x")]}, "list of edges already"),
        ({"structure_score": "bge"}, "linear_gaussian"),
    ],
)
def test_what_cannot_be_is_said_in_one_sentence(asked: dict[str, object], words: str) -> None:
    with pytest.raises(lw.DataError, match=words):
        lw.BayesianNetwork(random_state=0, **asked).fit(numbers(60, 0))  # type: ignore[arg-type]
