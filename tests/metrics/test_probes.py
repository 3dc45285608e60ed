"""Linear probes against what linear algebra knows."""

import numpy as np
import pytest

from likewise.metrics.features import Column
from likewise.metrics.interval import NoFigure
from likewise.metrics.probes import components, halves, numbers, probe


def test_halves_are_disjoint_and_all():
    learned, tested = halves(101, seed=3)
    assert sorted([*learned, *tested]) == list(range(101))
    assert (len(learned), len(tested)) == (51, 50)


def test_principal_components_do_not_depend_on_units():
    x = np.random.default_rng(0).normal(size=(300, 5)) @ np.diag([1, 2, 3, 4, 5.0])
    rows = np.arange(200)
    found, other = components(x, 3, rows), components(x * np.array([100, 1, 0.01, 1, 7.0]) + 3, 3, rows)
    np.testing.assert_allclose(np.abs(found), np.abs(other), atol=1e-8)
    np.testing.assert_allclose(np.cov(found[rows].T), np.diag(np.var(found[rows], axis=0, ddof=1)), atol=1e-9)


def test_there_are_no_more_components_than_columns():
    assert components(np.random.default_rng(0).normal(size=(50, 2)), 7, np.arange(25)).shape == (50, 2)


def test_a_blank_that_only_tested_records_have_spoils_no_component():
    rng = np.random.default_rng(0)
    size, rows = rng.normal(size=60), np.arange(30)
    size[45] = np.nan
    kind = rng.integers(0, 3, 60)
    columns = [Column("size", "number", size), Column("kind", "category", kind, ("a", "b", "c"))]
    columns.append(Column("y", "number", rng.normal(size=60)))
    found = components(numbers(columns), 6, rows)
    assert found.shape == (60, 4)  # size, y, and two directions of three kinds
    told = probe(found, found, columns[2], (rows, np.arange(30, 60)))
    assert told.components.value > 0.98


def test_the_determination_of_a_noisy_line_is_its_share_of_variance():
    rng = np.random.default_rng(0)
    x, noise = rng.normal(size=(2, 8000, 1))
    found = probe(x, noise, Column("y", "number", (2 * x + noise)[:, 0] * 1e6), halves(8000, 0))
    assert found.measure == "R2"
    assert found.latents.low < 0.8 < found.latents.high
    assert found.components.low < 0.2 < found.components.high
    assert found.gain.low < 0.6 < found.gain.high
    assert abs(found.baseline) < 1e-3


def test_the_accuracy_of_a_noisy_threshold_is_that_of_the_best_rule():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(8000, 1))
    flipped = rng.random(8000) < 0.1
    column = Column("k", "category", ((x[:, 0] > 0) ^ flipped).astype(int), ("no", "yes"))
    found = probe(x, rng.normal(size=(8000, 1)), column, halves(8000, 0))
    assert found.latents.low < 0.9 < found.latents.high
    assert abs(found.baseline - 0.5) < 0.03
    assert found.gain.value == pytest.approx(found.latents.value - found.components.value)


def test_intervals_cover_the_truth_about_as_often_as_they_say():
    covered = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        x, noise = rng.normal(size=(2, 800, 1))
        found = probe(x, noise, Column("y", "number", (x + noise)[:, 0]), halves(800, seed))
        covered += found.latents.low < 0.5 < found.latents.high
    assert covered >= 52


def test_blank_cells_do_not_count():
    rng = np.random.default_rng(2)
    x = rng.normal(size=(400, 1))
    whole = Column("y", "number", x[:, 0])
    gaps = Column("y", "number", np.where(rng.random(400) < 0.5, np.nan, x[:, 0]))
    for column in (whole, gaps):
        assert probe(x, x, column, halves(400, 0)).latents.value > 0.99
    assert numbers([gaps]).shape == (400, 2)


def test_categories_whose_levels_are_numbers_are_numbers():
    counts = Column("pixel", "category", np.array([0, 1, 2, 3]), ("0", "7", "(other)"))
    found = numbers([counts])
    np.testing.assert_array_equal(found, [[0, 0], [7, 0], [3.5, 1], [3.5, 1]])
    words = Column("grade", "category", np.array([0, 1, 2]), ("1", "high", "(other)"))
    np.testing.assert_array_equal(numbers([words]), np.eye(3))


@pytest.mark.parametrize(
    ("values", "told"), [(np.ones(40), "vary"), (np.where(np.arange(40) < 30, np.nan, np.arange(40.0)), "too few")]
)
def test_where_there_is_no_figure_the_reason_is_told(values, told):
    x = np.random.default_rng(0).normal(size=(40, 2))
    with pytest.raises(NoFigure, match=told):
        probe(x, x, Column("y", "number", values), halves(40, 0))
