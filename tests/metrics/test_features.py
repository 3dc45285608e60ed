"""Distances, codes and identity of records, where they are known."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

from likewise.domains.table import Table
from likewise.metrics.features import LINEAR, OTHER, WIDEST, Features


def frame(rows: int = 400, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "size": rng.normal(loc=10, size=rows),
            "kind": rng.choice(["a", "b", "c"], rows, p=[0.2, 0.5, 0.3]),
            "day": pd.to_datetime("2020-01-01") + pd.to_timedelta(rng.integers(0, 900, rows), unit="D"),
            "sold": rng.random(rows) < 0.5,
            "id": np.arange(rows),
            "always": "x",
        }
    )


def seen_by(records: pd.DataFrame) -> Features:
    return Features(Table().fit(records), records)


def test_identifiers_and_constants_are_left_out():
    assert seen_by(frame()).names == ("size", "kind", "day", "sold")


def test_columns_carry_values_levels_and_units():
    records = frame()
    size, kind, day, sold = seen_by(records).columns(records)
    np.testing.assert_array_equal(size.values, records["size"])
    assert [kind.levels[code] for code in kind.values] == records["kind"].tolist()
    np.testing.assert_array_equal(
        day.values.astype(np.int64).view(day.unit), records["day"].to_numpy().astype(day.unit)
    )
    assert sold.levels == ("False", "True")
    np.testing.assert_array_equal(sold.values, records["sold"])


def test_blanks_are_nan_in_numbers_and_the_code_after_the_last_level():
    records = frame()
    records.loc[5, "size"] = np.nan
    records.loc[7, "kind"] = None
    size, kind = seen_by(records).columns(records)[:2]
    assert np.flatnonzero(size.missing).tolist() == [5]
    assert np.flatnonzero(kind.missing).tolist() == [7]
    assert kind.values[7] == len(kind.levels)
    flat = seen_by(records).flat(records)
    assert np.argwhere(np.isnan(flat)).tolist() == [[5, 0], [7, 1]]


def test_a_state_that_training_did_not_have_is_other():
    records = frame()
    strange = records.assign(kind="never seen")
    column = seen_by(records).columns(strange)[1]
    assert {column.levels[code] for code in column.values} == {OTHER}


def test_two_categories_are_one_apart_and_so_is_a_blank_from_a_number():
    records = pd.DataFrame({"kind": ["a", "b"] * 50, "size": np.r_[np.nan, np.random.default_rng(0).normal(size=99)]})
    features = seen_by(records)
    probe = pd.DataFrame({"kind": ["a", "b", "a"], "size": [records["size"].median()] * 2 + [np.nan]})
    points = features.matrix(probe)
    assert np.linalg.norm(points[0] - points[1]) == pytest.approx(1.0, abs=1e-6)
    assert np.linalg.norm(points[0] - points[2]) == pytest.approx(1.0, abs=1e-2)


def test_numbers_count_in_units_of_their_spread_and_logarithmically_far_out():
    records = pd.DataFrame({"x": np.random.default_rng(0).normal(scale=7, size=20_000)})
    points = seen_by(records).matrix(pd.DataFrame({"x": [0.0, 7.0, 7e6]}))
    assert np.linalg.norm(points[1] - points[0]) == pytest.approx(1.0, rel=0.05)
    assert np.linalg.norm(points[2] - points[0]) == pytest.approx(LINEAR + np.log(1e6), rel=0.05)


def test_wide_spaces_are_projected_but_records_that_are_alike_stay_alike():
    rng = np.random.default_rng(0)
    records = pd.DataFrame({f"c{i}": rng.choice([f"v{k}" for k in range(40)], 2000) for i in range(30)})
    features = seen_by(records)
    points = features.matrix(pd.concat([records, records.iloc[:10]]))
    assert points.shape[1] == WIDEST
    np.testing.assert_array_equal(points[:10], points[-10:])
    differing = (records.iloc[0] != records.iloc[1]).sum()
    assert np.linalg.norm(points[0] - points[1]) ** 2 == pytest.approx(differing, rel=0.2)


def test_keys_are_equal_exactly_where_records_are_and_across_containers():
    records = frame().drop(columns=["day"])
    records.loc[3, "size"] = np.nan
    features = seen_by(records)
    keys = features.keys(records)
    assert len(np.unique(keys)) == len(records)
    order = np.random.default_rng(1).permutation(len(records))
    np.testing.assert_array_equal(features.keys(records.iloc[order]), keys[order])
    np.testing.assert_array_equal(features.keys(pl.from_pandas(records)), keys)
    np.testing.assert_array_equal(features.keys(records.assign(id=0)), keys)
    moved = records.assign(size=np.nextafter(records["size"], np.inf))
    assert (features.keys(moved) != keys).sum() == len(records) - 1


def test_keys_tell_rare_texts_apart_that_share_a_code():
    rng = np.random.default_rng(0)
    words = rng.choice([f"word {k}" for k in range(400)], 2000)
    records = pd.DataFrame({"text": words, "size": rng.integers(0, 3, 2000).astype(float)})
    features = Features(Table(max_categories=5, kinds={"text": "text"}).fit(records), records)
    assert len(np.unique(features.keys(records))) == len(records.drop_duplicates())
    assert len(features.columns(records)[0].levels) <= 7


def test_times_keep_their_resolution_in_single_precision():
    seconds = pd.to_datetime("2024-05-01") + pd.to_timedelta(np.arange(3000) * 7, unit="s")
    records = pd.DataFrame({"at": seconds.to_numpy(), "k": ["a", "b", "a"] * 1000})
    flat = Features(Table(kinds={"at": "datetime"}).fit(records), records).flat(records)
    assert len(np.unique(flat[:, 0])) == 3000
