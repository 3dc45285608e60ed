"""Strays, uncovered records and omissions, where their shares are known."""

import numpy as np
import pytest

import likewise as lw
from likewise.domains.table import Table
from likewise.metrics.features import Column, Features
from likewise.metrics.support import WORST, Omission, Support, beyond, of_points, omissions, support


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


def test_fresh_records_neither_stray_nor_leave_anything_out():
    found = of_points(normal(2000, 3, seed=1), normal(2000, 3, seed=2), normal(2000, 3, seed=3))
    assert found.strays.value < 0.005
    assert found.excess.value < 0.002
    assert found.uncovered.value < 0.005


@pytest.mark.parametrize("share", [0.01, 0.05, 0.2])
def test_the_share_of_far_strays_is_found(share):
    made = normal(2000, 3, seed=1)
    made[: int(share * 2000)] += 40
    found = of_points(made, normal(2000, 3, seed=2), normal(2000, 3, seed=3))
    assert found.strays.value == pytest.approx(share, abs=0.005)
    assert found.excess.value == pytest.approx(share * WORST, rel=0.15)


def test_the_share_of_a_lost_mode_is_found():
    def modes(seed: int) -> np.ndarray:
        return normal(2000, 2, seed=seed) + 12 * (np.arange(2000) % 5)[:, None]

    kept = modes(1)[np.arange(2000) % 5 > 0]
    found = of_points(kept, modes(2), modes(3))
    assert found.uncovered.value == pytest.approx(0.2, abs=0.02)
    assert found.uncovered_real < 0.01
    assert found.strays.value < 0.01


def test_a_heavy_tail_is_no_stray():
    def tail(seed: int) -> np.ndarray:
        return np.random.default_rng(seed).standard_t(2, size=(2000, 2))

    found = of_points(tail(1), tail(2), tail(3))
    assert found.strays.low <= found.strays_real + 0.005


def test_points_that_are_all_alike_stray_nowhere():
    same = np.ones((100, 2), np.float32)
    found = of_points(same, same, same)
    assert (found.strays.value, found.uncovered.value) == (0.0, 0.0)


def test_a_lost_category_a_lost_spike_and_a_lost_range_are_named():
    rng = np.random.default_rng(0)
    codes, values = rng.integers(0, 3, 2000), rng.uniform(0, 1, 2000)
    spike = np.where(rng.random(2000) < 0.3, 0.0, rng.uniform(1, 2, 2000))
    real = [
        Column("kind", "category", codes, ("a", "b", "c")),
        Column("size", "number", values),
        Column("gain", "number", spike),
    ]
    kept = (codes != 2) & (values < 0.8) & (spike > 0)
    found = omissions([column.rows(kept) for column in real], real)
    assert {(one.column, one.what) for one in found if one.column != "size"} == {("kind", "c"), ("gain", "0")}
    ranges = [one for one in found if one.column == "size"]
    assert sum(one.real for one in ranges) == pytest.approx(0.2, abs=0.02)
    assert all(float(one.what.split(" to ")[0]) > 0.79 for one in ranges)
    assert found[0].real >= found[-1].real
    assert omissions([column.rows(slice(0, 1000)) for column in real], [c.rows(slice(1000, 2000)) for c in real]) == ()


def test_lost_blanks_are_named():
    values = np.where(np.arange(400) % 4 == 0, np.nan, np.arange(400.0))
    whole = np.arange(400.0)
    found = omissions([Column("x", "number", whole)], [Column("x", "number", values)])
    assert [(one.what, one.real) for one in found] == [("missing", 0.25)]


def test_what_chance_may_leave_out_is_not_named():
    rare = np.r_[np.zeros(995, np.int64), np.ones(5, np.int64)]
    assert omissions([Column("k", "category", np.zeros(1000, np.int64), ("a", "b"))],
                     [Column("k", "category", rare, ("a", "b"))]) == ()  # fmt: skip


def test_blanks_and_categories_are_beyond_no_range():
    real = [Column("x", "number", np.array([0.0, 1.0])), Column("k", "category", np.array([0, 1]), ("a", "b"))]
    made = [Column("x", "number", np.array([np.nan, 1.2])), Column("k", "category", np.array([2, 1]), ("a", "b"))]
    assert not beyond(made, real).any()


def test_records_of_a_table_are_looked_at_whole():
    toy = lw.datasets.toy("mixed")
    train, held_out, made = (toy.sample(800, random_state=i) for i in range(3))
    features = Features(Table().fit(train), train)
    assert support(made, train, held_out, features).omissions == ()
    made = made[made["group"] != "west"].copy()
    made.iloc[:40, 1] = -500.0
    found = support(made, train, held_out, features)
    assert found.omissions[0] == Omission("group", "west", pytest.approx(0.2, abs=0.05), 0.0)
    assert found.strays.value >= 40 / len(made)
    assert Support.from_json(found.to_json()) == found
