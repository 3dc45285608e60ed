"""What the schema finds in data of known nature, and what it makes of values that training did not have."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from likewise.domains.table import Table
from likewise.domains.table.table import CONSTANTS
from likewise.errors import DataError
from likewise.events import Quantised, Real, Status

SIZE = 400
RNG = np.random.default_rng(1)


def facts_of(column: Any, name: str = "a", **options: Any) -> Any:
    return Table(**options).fit(pd.DataFrame({name: column, "other": RNG.normal(size=len(column))})).facts[0]


# -------------------------------------------------------------------------------------------------------------- kinds


@pytest.mark.parametrize(
    ("column", "kind", "step"),
    [
        (RNG.normal(size=SIZE), "real", None),
        (RNG.integers(0, 1000, SIZE), "quantised", 1),
        (RNG.integers(0, 1000, SIZE) * 25, "quantised", 25),
        (RNG.integers(0, 1000, SIZE) * 5 + 3, "quantised", 5),
        (RNG.integers(0, 1000, SIZE) / 10, "quantised", 0.1),
        (RNG.integers(-300, 300, SIZE) / 100, "quantised", 0.01),
        (RNG.integers(0, 100, SIZE) * 0.25, "quantised", 0.25),
        ((RNG.integers(0, 100, SIZE) / 10).astype(np.float32), "quantised", 0.1),
        (RNG.integers(0, 5, SIZE), "categorical", None),
        (RNG.choice([0.5, 0.25, 1 / 3], SIZE), "categorical", None),
        (RNG.random(SIZE) < 0.5, "boolean", None),
        (RNG.choice(["u", "v"], SIZE), "categorical", None),
        (RNG.choice([f"w{i}" for i in range(250)], 2000), "text", None),
        ([f"user {i} said {i * i}" for i in range(SIZE)], "identifier", None),
        (np.arange(SIZE), "identifier", None),
        (RNG.permutation(SIZE) + 1000, "identifier", None),
        (np.full(SIZE, 3.5), "constant", None),
        (np.datetime64("2020-01-01") + RNG.integers(0, 900, SIZE), "datetime", None),
    ],
)
def test_kinds_and_steps_are_found(column: Any, kind: str, step: float | None) -> None:
    facts = facts_of(column)
    assert facts.kind == kind
    if step is not None:
        assert facts.grid.step / facts.grid.scale == step


def test_time_grids_are_whole_minutes_hours_and_days() -> None:
    days = np.datetime64("2021-03-01", "us") + RNG.integers(0, 500, SIZE).astype("m8[D]")
    for extra, words in (
        (0, "1 day"),
        (RNG.integers(0, 24, SIZE) * 60, "1 hour"),
        (RNG.integers(0, 288, SIZE) * 5, "5 minutes"),
    ):
        table = Table().fit(pd.DataFrame({"t": days + np.asarray(extra).astype("m8[m]"), "b": RNG.normal(size=SIZE)}))
        assert table.describe()[0]["step"] == words


def test_fine_decimals_without_ties_are_real_and_keep_their_decimals() -> None:
    column = np.round(RNG.normal(size=SIZE) * 1000, 4)
    table = Table().fit({"a": column})
    assert isinstance(table.event.entries[0].value, Real)
    np.testing.assert_array_equal(table.decode(table.encode({"a": column}), torch.Generator())["a"], column)


# -------------------------------------------------------------------------------------------------------------- atoms


def test_zero_inflation_caps_and_spikes_are_atoms() -> None:
    smooth = RNG.gamma(2.0, 20.0, 5000)
    inflated = np.where(RNG.random(5000) < 0.4, 0.0, smooth)
    assert facts_of(inflated).states == (0.0,)
    capped = np.minimum(smooth, 90.0)
    assert facts_of(capped).states == (90.0,)
    hours = np.where(RNG.random(5000) < 0.4, 40, RNG.integers(1, 99, 5000))
    assert facts_of(hours).states == (40,)


def test_heaps_next_to_each_other_are_all_atoms() -> None:
    rounded = RNG.random(5000) < 0.7
    minutes = np.where(rounded, 5 * RNG.integers(1, 20, 5000), RNG.integers(1, 100, 5000))
    assert facts_of(minutes).states == tuple(range(5, 100, 5))


def test_smooth_counts_have_no_atoms() -> None:
    for column in (
        RNG.poisson(30, 5000),
        RNG.integers(17, 90, 5000),
        RNG.normal(100, 15, 5000).round(),
        RNG.geometric(0.05, 5000),
    ):
        assert facts_of(column).states == ()


def test_a_few_values_off_the_usual_grid_are_states_of_their_own() -> None:
    ages = np.resize(np.arange(1.0, 80.0), SIZE)
    ages[:3] = 0.42, 0.67, 0.42
    facts = facts_of(ages)
    assert facts.grid.step == facts.grid.scale == 1
    assert facts.states == (0.42, 0.67)


def test_few_repeated_values_far_from_filling_their_grid_are_codes() -> None:
    assert facts_of(RNG.choice(RNG.integers(0, 10**6, 40), 2000)).kind == "categorical"


def test_codes_that_are_numbers_lie_among_the_values() -> None:
    hours = np.where(RNG.random(5000) < 0.4, 40, RNG.integers(1, 99, 5000)).astype(float)
    hours[:50] = np.nan
    found = facts_of(hours)
    assert found.states == (40.0,)
    assert found.missing
    between = found.map.forward(torch.tensor([39.0, 40.0, 41.0], dtype=torch.float64)).tolist()
    value, spike, *others = found.entry.coordinates
    assert value is None
    assert others == [None, None]
    assert between[0] < spike < between[2]
    assert spike == pytest.approx(between[1])
    sentinel = np.where(RNG.random(5000) < 0.1, -999, RNG.integers(1, 99, 5000))
    assert facts_of(sentinel).entry.coordinates[1] == pytest.approx(-4.0)
    grades = facts_of(np.resize([1, 2, 4, 5], SIZE))
    assert grades.kind == "categorical"
    assert grades.entry.coordinates == (-2.0, -1.0, 1.0, 2.0, None)
    off_grid = np.resize(np.arange(1.0, 80.0), SIZE)
    off_grid[:3] = 0.42, 0.67, 0.42
    assert np.diff(facts_of(off_grid).entry.coordinates[1:3])[0] > 0
    assert facts_of(np.resize(["low", "high"], SIZE)).entry.coordinates == ()
    assert facts_of(np.resize([True, False], SIZE)).entry.coordinates == ()


def test_atoms_may_be_told() -> None:
    column = RNG.integers(0, 1000, SIZE)
    assert facts_of(column, atoms={"a": [int(column[0])]}).states == (int(column[0]),)
    inflated = np.where(RNG.random(SIZE) < 0.4, 0.0, RNG.random(SIZE))
    assert facts_of(inflated, atoms={"a": []}).states == ()


def _shared(name: str) -> Path:
    roots = [os.environ.get("LIKEWISE_DATA"), Path(__file__).parents[3] / "shared" / "data"]
    for root in roots:
        if root is not None and (Path(root) / name).exists():
            return Path(root) / name
    pytest.skip(f"{name} is not here; set LIKEWISE_DATA to the folder that holds it")


def test_adult() -> None:
    table = Table().fit(_shared("record_tables/adult/train.csv"))
    facts = {column.name: column for column in table.facts}
    assert {40, 50, 60} <= set(facts["hours-per-week"].states)
    assert set(facts["age"].states) <= {90}
    assert facts["fnlwgt"].states == ()
    assert {0, 99999, 15024, 7688} <= set(facts["capital-gain"].states)
    encoded = table.encode(_shared("record_tables/adult/train.csv"))
    gains = encoded.codes[:, table.event.index("capital-gain")]
    assert float((gains > 0).double().mean()) > 0.99
    assert facts["workclass"].kind == "categorical"
    assert facts["education-num"].kind == "categorical"
    assert float(encoded.values.abs().max()) < 6


# ------------------------------------------------------------------------------------------------------- the unforeseen


def trained() -> tuple[Table, pd.DataFrame]:
    frame = pd.DataFrame(
        {
            "real": RNG.gamma(2.0, size=SIZE),
            "count": RNG.integers(0, 50, SIZE),
            "word": RNG.choice(["red", "green"], SIZE),
            "flag": RNG.random(SIZE) < 0.5,
            "same": 7,
        }
    )
    return Table().fit(frame), frame


def test_what_training_did_not_have_is_the_unseen_state() -> None:
    table, frame = trained()
    odd = pd.DataFrame(
        {
            "real": [np.nan, -1.0, 1.0],
            "count": pd.array([None, -3, 7], dtype="Int64"),
            "word": [None, "blue", "red"],
            "flag": [True, False, True],
            "same": [None, 8, 7],
        }
    )
    batch = table.encode(odd)
    for name in ("real", "count", "word", CONSTANTS):
        entry = table.event.all[table.event.index(name)]
        codes = batch.codes[:, table.event.index(name)].tolist()
        assert codes[:2] == [entry.unseen, entry.unseen]
        assert codes[2] != entry.unseen
        assert entry.reserved == pytest.approx(1 / (SIZE + 1))
    flag = table.event.all[table.event.index("flag")]
    assert flag.unseen is None
    assert flag.code.size == 2
    assert bool(table.encode(frame).fully_observed)


def test_blanks_are_missing_or_unknown() -> None:
    frame = pd.DataFrame({"a": [1.5, None, 2.5, 3.25] * 20, "b": ["x", "y", None, "x"] * 20})
    table = Table().fit(frame)
    missing = table.encode(frame)
    unknown = table.encode(frame, blanks="unknown")
    for i, entry in enumerate(table.event.entries):
        holes = torch.from_numpy(frame.iloc[:, i].isna().to_numpy().copy())
        assert bool((missing.codes[holes, i] == entry.missing).all())
        assert bool((unknown.status[holes, i] == Status.UNKNOWN).all())
        assert not bool(unknown.status[~holes, i].any())
        assert not bool(unknown.codes[holes, i].any())


def test_a_blank_in_a_boolean_column_that_had_none_is_refused() -> None:
    table, frame = trained()
    odd = frame.head(3).astype({"flag": "boolean"})
    odd.loc[1, "flag"] = pd.NA
    with pytest.raises(DataError, match="'flag', row 2 is blank"):
        table.encode(odd)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda f: f.drop(columns="word"), "no column 'word'"),
        (lambda f: f.assign(count="many"), "'count', row 1 holds 'many'; expected a number"),
        (lambda f: f.assign(word=3.5), "'word', row 1 holds 3.5; expected a text"),
        (lambda f: f.assign(flag="yes"), "'flag', row 1 holds 'yes'; expected true or false"),
        (lambda f: f.assign(real=np.inf), "'real', row 1 .*inf"),
        (lambda f: f.to_numpy()[:, :3], "3 features, but Table is expecting 5"),
    ],
)
def test_records_of_another_schema_are_refused(change: Any, expected: str) -> None:
    table, frame = trained()
    with pytest.raises(DataError, match=expected):
        table.encode(change(frame))


def test_columns_go_by_name_and_extra_ones_are_ignored() -> None:
    table, frame = trained()
    shuffled = frame[["same", "word", "real", "flag", "count"]].assign(more=1)
    assert torch.equal(table.encode(shuffled).codes, table.encode(frame).codes)
    assert torch.equal(table.encode(shuffled).values, table.encode(frame).values)


def test_a_record_is_encoded_alike_in_any_company() -> None:
    table, frame = trained()
    whole, alone = table.encode(frame), table.encode(frame.iloc[5:6])
    for name in ("codes", "values", "lower", "width"):
        assert torch.equal(getattr(whole, name)[5:6], getattr(alone, name))


# ------------------------------------------------------------------------------------------------- identifiers and text


def made(column: Any, name: str, size: int = 50) -> Any:
    frame = pd.DataFrame({name: column, "b": RNG.normal(size=len(column))})
    table = Table().fit(frame)
    assert table.facts[0].kind == "identifier"
    assert [entry.name for entry in table.event.entries] == ["b"]
    batch = table.encode(frame.head(size))
    return table.decode(batch, torch.Generator().manual_seed(0))[name]


def test_identifiers_are_made_anew_in_the_same_pattern() -> None:
    assert made(np.arange(100, 200), "n").tolist() == list(range(200, 250))
    assert made(np.arange(0, 1000, 10), "n").tolist()[:3] == [1000, 1010, 1020]
    assert made([f"C{i:05d}" for i in range(100)], "customer").tolist()[:2] == ["C00100", "C00101"]
    uuids = made([f"{i:08x}-0000-4000-8000-{i:012x}" for i in range(100)], "key")
    assert uuids.str.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}").all()
    assert uuids.nunique() == 50
    plates = made(
        [f"{a}{b}-{i * 37 % 900 + 100}" for i, (a, b) in enumerate(zip("ABCDE" * 20, "VWXYZ" * 20, strict=True))],
        "plate",
    )
    assert plates.str.fullmatch(r"[A-Z]{2}-\d{3}").all()
    names = [f"{a} {b}".title() for a in ("ann", "bob", "cy", "di") for b in "abcdefghijklmnopqrstuvwxy"]
    people = made(names, "name")
    assert not set(people) & set(names)
    random = made(RNG.choice(10**8, 100, replace=False), "customer_id")
    assert random.between(0, 10**8).all()


def test_rare_texts_share_a_code_and_their_shares_sum_to_one() -> None:
    words = np.array([f"w{i}" for i in RNG.zipf(1.3, 5000) % 1000])
    frame = pd.DataFrame({"word": words})
    table = Table(max_categories=50, identifier_share=1.1).fit(frame)
    facts, entry = table.facts[0], table.event.entries[0]
    assert facts.kind == "text"
    assert entry.code.size == 49 + 1 + 1
    batch = table.encode({"word": [*facts.states, *facts.pool]})
    assert float(batch.width.sum()) == pytest.approx(49 + 1)
    assert table.event.log_share(batch).exp().sum().item() == pytest.approx(50)
    pooled = batch.rows(torch.full((20_000,), 49))
    drawn = table.decode(pooled, torch.Generator().manual_seed(0))["word"]
    counts = drawn.value_counts(normalize=True)
    for text, share in list(zip(facts.pool, facts.pool_shares, strict=True))[:5]:
        assert counts.get(text, 0.0) == pytest.approx(share, abs=5 * np.sqrt(share / 20_000))


# ---------------------------------------------------------------------------------------------------- grids and volumes


def test_the_cells_of_a_grid_carry_the_whole_mass_once() -> None:
    table = Table().fit({"a": RNG.poisson(30, SIZE)})
    value = table.event.entries[0].value
    assert isinstance(value, Quantised)
    assert value.low == 0
    _, lower, width = value.cells(torch.arange(0, 200))
    upper = lower + width
    torch.testing.assert_close(upper[:-1], lower[1:], rtol=0, atol=1e-9)
    normal = torch.distributions.Normal(0.0, 1.0)
    assert float((normal.cdf(upper) - normal.cdf(lower)).sum()) == pytest.approx(1.0, abs=1e-6)


def test_bounds_are_kept_in_samples() -> None:
    frame = pd.DataFrame(
        {"real": RNG.beta(1, 3, SIZE), "count": RNG.integers(0, 60, SIZE), "positive": RNG.gamma(1.0, size=SIZE)}
    )
    table = Table(bounds={"real": (0, 1), "count": (0, 59)}).fit(frame)
    z = torch.randn(5000, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 3
    back = table.decode(table.event.complete(torch.zeros(5000, 3, dtype=torch.int64), z), torch.Generator())
    assert back["real"].between(0, 1).all()
    assert back["count"].between(0, 59).all()
    assert (back["positive"] > 0).all()
    assert table.event.entries[1].value.size == 60  # type: ignore[union-attr]


def test_an_affine_map_keeps_gaps_that_normal_scores_close() -> None:
    """Of two groups far apart, the gap is nearly two standard deviations, but little in normal scores."""
    rng = np.random.default_rng(0)
    side = rng.integers(0, 2, SIZE) * 2.0 - 1
    frame = pd.DataFrame(
        {"x": 50 * side + rng.normal(size=SIZE), "count": rng.poisson(30, SIZE), "part": rng.random(SIZE)}
    )
    wishes = {"x": "affine", "count": "affine", "part": "affine"}
    straight, normal = (Table(maps=maps, bounds={"part": (0, 1)}).fit(frame) for maps in (wishes, None))  # type: ignore[arg-type]
    z, scores = (table.encode(frame).values.numpy() for table in (straight, normal))
    np.testing.assert_allclose(z, (frame - frame.mean()) / frame.std(ddof=0), atol=1e-9)
    gaps = [values[side > 0, 0].min() - values[side < 0, 0].max() for values in (z, scores)]
    assert gaps[0] > 1.8
    assert gaps[1] < 0.5
    back = straight.decode(straight.encode(frame), torch.Generator())
    pd.testing.assert_frame_equal(back, frame, rtol=1e-9)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"kinds": {"nope": "real"}}, "there is no column 'nope'"),
        ({"kinds": {"word": "real"}}, "'word' holds text"),
        ({"kinds": {"real": "colour"}}, "'colour'; expected one of"),
        ({"kinds": {"count": "boolean"}}, "a boolean has two"),
        ({"kinds": {"count": "constant"}}, "no constant"),
        ({"steps": {"real": 0.5}}, "'real', row .* no multiple"),
        ({"steps": {"count": -1}}, "expected a positive number"),
        ({"bounds": {"count": (5, 20)}}, "'count', row .* outside the bounds"),
        ({"bounds": {"count": (5, 1)}}, "low < high"),
        ({"bounds": {"count": 5}}, "expected a pair"),
        ({"atoms": {"count": "a"}}, "expected a list"),
        ({"maps": {"real": "log"}}, "'log'; expected one of normal, affine"),
        ({"maps": {"word": "affine"}}, "'word' is (text|categorical); only"),
        ({"kinds": ["real"]}, "expected a dict"),
    ],
)
def test_wrong_wishes_are_refused(options: dict[str, Any], expected: str) -> None:
    _, frame = trained()
    with pytest.raises(DataError, match=expected):
        Table(**options).fit(frame)


def test_a_thousand_columns() -> None:
    array = np.random.default_rng(0).normal(size=(50, 1000)).round(2)
    table = Table().fit(array)
    np.testing.assert_array_equal(table.decode(table.encode(array), torch.Generator()), array)


# ---------------------------------------------------------------------------------------------------------------- state

NUMBERS = st.one_of(
    st.floats(-1e300, 1e300, allow_nan=False),
    st.integers(-(2**62), 2**62),
    st.integers(-1000, 1000).map(lambda k: k / 100),
    st.just(0.0),
)
CELLS = st.one_of(st.none(), NUMBERS, st.text(max_size=5), st.booleans(), st.dates(), st.datetimes())
KINDS = (NUMBERS, st.integers(-5, 5), st.text(max_size=3), st.booleans(), st.dates(), st.datetimes(), st.times(), CELLS)
COLUMNS = st.one_of(*(st.lists(st.one_of(st.none(), kind), min_size=12, max_size=12) for kind in KINDS))


@settings(max_examples=80, deadline=None, derandomize=True)
@given(st.lists(COLUMNS, min_size=1, max_size=4))
def test_any_table_has_a_schema_that_can_be_stored_and_finite_scores(columns: list[list[Any]]) -> None:
    records = {f"c{i}": column for i, column in enumerate(columns)}
    table = Table().fit(records)
    batch = table.encode(records)
    for part in (batch.values, batch.lower, batch.width):
        assert bool(torch.isfinite(part).all())
    assert bool((batch.width > 0).all())
    assert float(batch.values.abs().max()) < 7
    assert batch.fully_observed
    description, tensors = table.state()
    again = Table.restore(json.loads(json.dumps(description, allow_nan=False)), tensors)
    assert torch.equal(again.encode(records).values, batch.values)
    assert torch.equal(again.encode(records).codes, batch.codes)
    back = again.decode(batch, torch.Generator())
    for facts, column in zip(table.facts, columns, strict=True):
        if facts.kind in ("quantised", "categorical", "boolean", "constant") and facts.family != "label":
            for old, new in zip(column, back[facts.name], strict=True):
                assert (old is None and (new is None or new != new)) or old == new
    table.evidence(dict.fromkeys(records))


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    st.integers(0, 9), st.integers(1, 500), st.lists(st.integers(-(10**6), 10**6), min_size=2, max_size=60, unique=True)
)
def test_decimals_come_back_to_the_last_digit(decimals: int, step: int, cells: list[int]) -> None:
    column = np.array([k * step / 10**decimals for k in cells] * 3)
    frame = pd.DataFrame({"a": column})
    table = Table(kinds={"a": "quantised"}).fit(frame)
    back = table.decode(table.encode(frame), torch.Generator())
    assert list(map(repr, back["a"].tolist())) == list(map(repr, column.tolist()))


def test_a_damaged_state_is_refused() -> None:
    table, _ = trained()
    description, tensors = table.state()
    text = json.dumps(description)
    for old, new in (
        ('"kind": "real"', '"kind": "unreal"'), ('"family": "number"', '"family": "label"'),
        ('"whole": true', '"whole": 3'),
        ('"grid": {', '"grid": 3, "grim": {'), ('"step": 1', '"step": 0'), ('"memory": {', '"memory": 3, "m": {'),
        ('"dtype": "int64"', '"dtype": "os.system"'), ('"container": "pandas"', '"container": "pickle"'),
        ('"states": ["green", "red"]', '"states": ["green", "green"]'), ('"reserved": ', '"reserved": -'),
        ('"settings": {', '"settings": {"evil": 1, '), ('"distinct": ', '"distinct": "x", "d": '),
    ):  # fmt: skip
        damaged = json.loads(text.replace(old, new))
        assert damaged != description
        with pytest.raises((ValueError, KeyError, TypeError)):
            Table.restore(damaged, tensors)
    name = next(iter(tensors))
    for tensor in (tensors[name].float(), tensors[name] * float("nan"), tensors[name][:0], tensors[name].flip(0)):
        with pytest.raises((ValueError, KeyError, TypeError)):
            Table.restore(description, {**tensors, name: tensor})


def test_description_is_plain_data() -> None:
    table, _ = trained()
    rows = table.describe()
    assert json.loads(json.dumps(rows)) == rows
    assert [row["kind"] for row in rows] == ["real", "quantised", "categorical", "boolean", "constant"]
