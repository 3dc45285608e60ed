"""Scores equal their formulas, searches find the best graph where it is known, trees say what they mean."""

from __future__ import annotations

import itertools
import json
import math

import numpy as np
import pytest
import torch
from scipy.special import gammaln

from likewise.events import Categorical, Columns, Entry, Event, Quantised, Real
from likewise.families.bayesian_network.discrete.binning import bin_values
from likewise.families.bayesian_network.discrete.growth import column, grow
from likewise.families.bayesian_network.discrete.partitions import Table, Tree
from likewise.families.bayesian_network.discrete.smoothing import Smoothing, group_counts, smoothed
from likewise.families.bayesian_network.family import BayesianNetworkFamily
from likewise.families.bayesian_network.inference.elimination import best_order
from likewise.families.bayesian_network.structure.graph import topological_order
from likewise.families.bayesian_network.structure.hill_climbing import HillClimb, chow_liu, column_ranks
from likewise.families.bayesian_network.structure.scores import FamilyScores, mutual_information
from likewise.mathematics.monotone import EDGE, MonotoneMap


def alarm_like(rows: int, seed: int = 0) -> tuple[np.ndarray, list[int], set[frozenset[int]]]:
    """Rows of a small network with a collider: 0 -> 2 <- 1, 2 -> 3, 1 -> 4."""
    rng = np.random.default_rng(seed)
    a, b = rng.integers(0, 2, rows), rng.integers(0, 3, rows)
    c = (rng.random(rows) < np.array([[0.05, 0.5, 0.9], [0.8, 0.2, 0.6]])[a, b]).astype(int)
    d = (c + (rng.random(rows) < 0.15)) % 2
    e = (b + (rng.random(rows) < 0.2)) % 3
    edges = {frozenset(pair) for pair in ((0, 2), (1, 2), (2, 3), (1, 4))}
    return np.stack([a, b, c, d, e], 1), [2, 3, 2, 2, 3], edges


def test_bic_is_its_formula() -> None:
    states, sizes, _ = alarm_like(200)
    expected = 0.0
    for a, b in itertools.product(range(2), range(3)):
        part = states[(states[:, 0] == a) & (states[:, 1] == b), 2]
        for k in range(2):
            n = (part == k).sum()
            expected += n * math.log(n / len(part)) if n else 0.0
    expected -= 0.5 * math.log(200) * 6 * 1
    assert FamilyScores(states, sizes, "bic").family(2, frozenset({0, 1})) == pytest.approx(expected, abs=1e-9)


def test_bdeu_is_its_formula() -> None:
    states, sizes, _ = alarm_like(200)
    sample, expected = 7.0, 0.0
    for a, b in itertools.product(range(2), range(3)):
        part = states[(states[:, 0] == a) & (states[:, 1] == b), 2]
        expected += gammaln(sample / 6) - gammaln(sample / 6 + len(part))
        for k in range(2):
            expected += gammaln(sample / 12 + (part == k).sum()) - gammaln(sample / 12)
    assert FamilyScores(states, sizes, "bdeu", sample).family(2, frozenset({0, 1})) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("score", ["bic", "bdeu"])
def test_equivalent_networks_score_alike(score: str) -> None:
    states, sizes, _ = alarm_like(500)
    scores = FamilyScores(states, sizes, score, 5.0)
    chain, fork = [[1], [2], [], [], []], [[], [0], [1], [], []]  # 2 -> 1 -> 0 and 0 -> 1 -> 2
    other = [[1], [], [1], [], []]  # 0 <- 1 -> 2
    collider = [[], [0, 2], [], [], []]
    assert scores.network(chain) == pytest.approx(scores.network(fork), abs=1e-8)
    assert scores.network(chain) == pytest.approx(scores.network(other), abs=1e-8)
    assert abs(scores.network(chain) - scores.network(collider)) > 1


def test_mutual_information_of_pairs_is_the_sum_over_their_table() -> None:
    states, sizes, _ = alarm_like(300)
    got = mutual_information(states, sizes)
    joint = np.zeros((3, 3))
    np.add.at(joint, (states[:, 1], states[:, 4]), 1 / 300)
    product = joint.sum(1)[:, None] * joint.sum(0)[None]
    kept = joint > 0
    assert got[1, 4] == pytest.approx((joint[kept] * np.log(joint[kept] / product[kept])).sum(), abs=1e-10)


def test_chow_liu_is_the_best_of_all_trees() -> None:
    rng = np.random.default_rng(3)
    states = rng.integers(0, 3, (400, 5))
    states[:, 3] = np.where(rng.random(400) < 0.6, states[:, 1], states[:, 3])
    states[:, 4] = np.where(rng.random(400) < 0.5, states[:, 3], states[:, 4])
    sizes = [3] * 5
    information = mutual_information(states, sizes)

    def is_tree(edges: tuple[tuple[int, int], ...]) -> bool:
        group = list(range(5))
        for u, v in edges:
            if group[u] == group[v]:
                return False
            group = [group[u] if g == group[v] else g for g in group]
        return True

    pairs = list(itertools.combinations(range(5), 2))
    best = max(sum(information[u, v] for u, v in edges) for edges in itertools.combinations(pairs, 4) if is_tree(edges))
    found = chow_liu(states, sizes)
    assert sum(map(len, found)) == 4
    assert sum(information[p, i] for i, above in enumerate(found) for p in above) == pytest.approx(best, abs=1e-10)


@pytest.mark.parametrize("score", ["bic", "bdeu"])
def test_hill_climbing_finds_the_best_graph_of_a_small_network(score: str) -> None:
    states, sizes, edges = alarm_like(5000)
    scores = FamilyScores(states, sizes, score)
    found = HillClimb(scores, column_ranks(states, sizes), 3).run()
    assert {frozenset((p, i)) for i, above in enumerate(found) for p in above} == edges
    assert found[2] == [0, 1]  # the collider is oriented
    best = -math.inf  # over all graphs on the first four columns, in every order
    first = FamilyScores(states[:, :4], sizes[:4], score)
    for order in itertools.permutations(range(4)):
        total = 0.0
        for place, i in enumerate(order):
            before = order[:place]
            subsets = itertools.chain.from_iterable(itertools.combinations(before, k) for k in range(len(before) + 1))
            total += max(first.family(i, frozenset(subset)) for subset in subsets)
        best = max(best, total)
    climbed = HillClimb(first, column_ranks(states[:, :4], sizes[:4]), 3).run()
    assert first.network(climbed) == pytest.approx(best, abs=1e-6)


def test_hill_climbing_does_not_depend_on_the_order_of_columns() -> None:
    states, sizes, _ = alarm_like(3000, seed=1)
    found = HillClimb(FamilyScores(states, sizes), column_ranks(states, sizes), 3).run()
    straight = {(p, i) for i, above in enumerate(found) for p in above}
    for order in ([4, 3, 2, 1, 0], [2, 0, 4, 1, 3]):
        shuffled, own = states[:, order], [sizes[i] for i in order]
        other = HillClimb(FamilyScores(shuffled, own), column_ranks(shuffled, own), 3).run()
        assert {(order[p], order[i]) for i, above in enumerate(other) for p in above} == straight


def test_tabu_never_ends_below_the_local_optimum() -> None:
    rng = np.random.default_rng(0)
    states = np.cumsum(rng.integers(0, 2, (800, 7)), 1) % 3 + 0
    scores, ranks = FamilyScores(states, [3] * 7), column_ranks(states, [3] * 7)
    plain = scores.network(HillClimb(scores, ranks, 3).run())
    assert scores.network(HillClimb(scores, ranks, 3, tabu=10).run()) >= plain - 1e-9


def test_a_cycle_is_refused() -> None:
    with pytest.raises(ValueError, match="cycle"):
        topological_order([[1], [0]])


def test_the_width_of_a_loop_is_three() -> None:
    scopes = [(i, (i + 1) % 6) for i in range(6)]
    assert best_order(scopes, dict.fromkeys(range(6), 5)).peak == 125
    assert best_order(scopes[:-1], dict.fromkeys(range(6), 5)).peak == 25


def test_a_tree_finds_an_exclusive_or_that_no_single_parent_shows() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 2, 4000), rng.integers(0, 5, 4000)
    y = np.where(a == 0, b >= 3, b < 2).astype(int)
    columns = [column(part, size, 0 if size == 2 else 5, 32, 32) for part, size in ((a, 2), (b, 5), (y, 2))]
    tree = grow(columns[2], [(0, columns[0]), (1, columns[1])], 1.0, 2)
    cells = tree.route(torch.from_numpy(np.stack([a, b, y], 1))).numpy()
    for cell in range(tree.cells):
        assert len(np.unique(y[cells == cell])) == 1


def test_the_cells_of_a_tree_are_products_of_sets() -> None:
    splits = [[0, "3"], [1, "5"], 0, 0, [1, "2"], 0, [0, "4"], 0, 0]
    tree = Tree([3, 1], [4, 3], splits)
    joint = torch.cartesian_prod(torch.arange(1), torch.arange(3), torch.arange(1), torch.arange(4))
    cell = tree.route(joint).numpy()
    first, second = tree.masks
    inside = first[:, joint[:, 3].numpy()] & second[:, joint[:, 1].numpy()]
    assert (inside.sum(0) == 1).all()
    np.testing.assert_array_equal(inside.argmax(0), cell)
    # Cutting at the right branch of the root leaves the left one as it was.
    groups = np.zeros(len(splits), dtype=bool)
    groups[np.flatnonzero(np.argsort(tree.depth, kind="stable") == 4)] = True
    cut = tree.cut(groups)
    assert cut.splits == [[0, "3"], [1, "5"], 0, 0, 0]


def test_smoothing_backs_off_to_the_coarser_partition() -> None:
    table = Table([0, 1], [2, 2])
    counts = np.array([[3.0, 1.0], [0.0, 0.0], [0.0, 4.0], [2.0, 2.0]])
    totals = group_counts(counts, table.hierarchy)
    got = smoothed(totals, table.hierarchy, Smoothing(2.0), np.array([0.5, 0.5]))[table.hierarchy.cell]
    root = (np.array([5.0, 7.0]) + 2 * 0.5) / 14
    zero = (np.array([3.0, 1.0]) + 2 * root) / 6
    np.testing.assert_allclose(got[0], (np.array([3.0, 1.0]) + 2 * zero) / 6)
    np.testing.assert_allclose(got[1], zero)  # a cell without rows has the distribution of its group


def test_bins_end_where_cells_end_and_heavy_cells_stand_alone() -> None:
    grid = Quantised(MonotoneMap.affine(40.0, 10.0), 1.0, 0.0, 1, 99)
    rng = np.random.default_rng(0)
    x = np.where(rng.random(5000) < 0.4, 40, np.clip(np.round(rng.normal(40, 12, 5000)), 1, 99))
    binning = bin_values(grid, grid.map.forward(torch.from_numpy(x)), 16)
    assert len(binning.grains) <= 16
    lower = grid.cells(torch.arange(1, 100))[1]
    for edge in binning.edges[1:-1]:
        assert (lower - edge).abs().min() < 1e-12
    _, low, width = grid.cells(torch.tensor([40]))
    assert (binning.edges - low).abs().min() < 1e-12
    assert (binning.edges - low - width).abs().min() < 1e-12
    assert binning.edges[0] == -EDGE
    assert binning.edges[-1] == EDGE


def test_few_cells_get_a_bin_each() -> None:
    grid = Quantised(MonotoneMap.affine(2.0, 2.0), 1.0, 0.0, 0, 5)
    binning = bin_values(grid, grid.map.forward(torch.tensor([0.0, 1, 1, 2, 3, 3, 4, 5])), 16)
    assert binning.grains == [1] * 6


# -------------------------------------------------------------------------------------------------------- model files


def small(**settings: object) -> tuple[BayesianNetworkFamily, Event]:
    event = Event(
        Columns(),
        (
            Entry("a", Categorical(3)),
            Entry("x", Categorical(2), Real(MonotoneMap.affine(0, 1))),
            Entry("b", Categorical(2)),
        ),
    )
    rng = np.random.default_rng(0)
    a = rng.integers(0, 3, 600)
    codes = np.stack([a, rng.random(600) < 0.2, (a > 0) ^ (rng.random(600) < 0.1)], 1).astype(np.int64)
    values = np.stack([0 * a, a + rng.normal(size=600), 0 * a], 1)
    rows = event.complete(torch.from_numpy(codes), torch.from_numpy(values))
    family = BayesianNetworkFamily(event, **settings)  # type: ignore[arg-type]
    family.fit_closed_form(rows.rows(slice(0, 500)), rows.rows(slice(500, 600)), 0)
    return family, event


@pytest.mark.parametrize("settings", [{}, {"conditionals": "tables"}, {"values": "linear_gaussian"}])
def test_settings_and_tensors_give_the_same_model_back(settings: dict[str, object]) -> None:
    family, event = small(**settings)
    description = json.loads(json.dumps(family.settings))
    with torch.device("meta"):
        BayesianNetworkFamily(event, **description)
    again = BayesianNetworkFamily(event, **description)
    again.load_state_dict(family.state_dict())
    rows = family.sample(50, torch.Generator().manual_seed(0))
    torch.testing.assert_close(again.log_prob(rows).values, family.log_prob(rows).values, rtol=0, atol=0)
    torch.testing.assert_close(again.sample(50, torch.Generator().manual_seed(0)).values, rows.values, rtol=0, atol=0)


HOSTILE: list[tuple[str, object]] = [
    ("structure", "random"),
    ("conditionals", 3),
    ("max_parents", 0),
    ("max_bins", 2.5),
    ("max_bins", 10**9),
    ("smoothing", float("nan")),
    ("smoothing", True),
    ("tabu", -1),
    ("max_memory", "much"),
    ("values", "splines"),
    ("structure", [["a"]]),
    ("structure", [["a", "nobody"]]),
    ("structure", [[0, 0]]),
    ("structure", [[0, 99]]),
    ("equivalent_sample_size", -1),
    ("network", 3),
    ("network", {}),
    ("network", {"conditionals": [], "grains": []}),
]


@pytest.mark.parametrize(("name", "value"), HOSTILE)
def test_bad_settings_are_refused(name: str, value: object) -> None:
    _, event = small(structure="chow_liu")
    with pytest.raises((ValueError, TypeError, KeyError)):
        BayesianNetworkFamily(event, **{name: value})  # type: ignore[arg-type]


def test_hostile_networks_are_refused_before_anything_is_allocated() -> None:
    family, event = small(structure="chow_liu")
    good = json.dumps(family.settings)

    def broken(change: object) -> dict[str, object]:
        settings = json.loads(good)
        change(settings["network"])  # type: ignore[operator]
        return settings  # type: ignore[no-any-return]

    def deep(network: dict[str, object]) -> None:
        network["grains"][1] = [10**12]  # type: ignore[index]

    def cyclic(network: dict[str, list[dict[str, object]]]) -> None:
        for i, part in enumerate(network["conditionals"]):
            part["parents"], part["splits"] = [(i + 1) % 3], None

    def unending(network: dict[str, list[dict[str, object]]]) -> None:
        network["conditionals"][0].update(parents=[1], splits=[[0, "1"]] * 50)

    def outside(network: dict[str, list[dict[str, object]]]) -> None:
        network["conditionals"][0].update(parents=[2], splits=[[0, "f" * 10**6], 0, 0])

    def endless(network: dict[str, list[dict[str, object]]]) -> None:
        network["conditionals"][0]["smoothing"] = [float("inf"), 0.0]

    def nested(network: dict[str, object]) -> None:
        network["grains"] = [[[]]]

    for change in (deep, cyclic, unending, outside, endless, nested):
        with pytest.raises((ValueError, TypeError, KeyError)):
            BayesianNetworkFamily(event, **broken(change))  # type: ignore[arg-type]
