"""Trees say what they mean, bins end where they should, model files are read without trust."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from likewise.events import Categorical, Columns, Entry, Event, Quantised, Real
from likewise.families.bayesian_network.discrete.binning import bin_values
from likewise.families.bayesian_network.discrete.growth import column, grow
from likewise.families.bayesian_network.discrete.partitions import Table, Tree
from likewise.families.bayesian_network.discrete.smoothing import Smoothing, group_counts, smoothed
from likewise.families.bayesian_network.family import BayesianNetworkFamily
from likewise.families.bayesian_network.inference.elimination import best_order
from likewise.mathematics.monotone import EDGE, MonotoneMap


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
    ("equivalent_sample_size", "much"),
    ("score", "bge"),
    ("restarts", -1),
    ("required", [["a", "nobody"]]),
    ("required", [["a", "b"], ["b", "a"]]),
    ("forbidden", [3]),
    ("tiers", [["a"], ["a"]]),
    ("tiers", [[99]]),
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
