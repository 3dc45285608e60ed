"""What the user says of columns becomes exactly the codes and cells that satisfy it."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from likewise.domains.table import Table
from likewise.errors import DataError
from likewise.events import Batch, Status

SIZE = 600
RNG = np.random.default_rng(2)
FRAME = pd.DataFrame(
    {
        "real": np.where(RNG.random(SIZE) < 0.3, 0.0, RNG.gamma(2.0, size=SIZE)),
        "count": np.where(RNG.random(SIZE) < 0.3, 40, RNG.integers(0, 99, SIZE)),
        "price": RNG.integers(100, 999, SIZE) / 100,
        "level": RNG.integers(1, 6, SIZE),
        "word": RNG.choice(["red", "green", "blue"], SIZE),
        "flag": RNG.random(SIZE) < 0.5,
        "day": pd.to_datetime(np.datetime64("2020-01-01") + RNG.integers(0, 700, SIZE)),
        "hole": np.where(RNG.random(SIZE) < 0.3, np.nan, RNG.normal(size=SIZE)),
        "id": np.arange(SIZE),
        "same": "always",
    }
)
TABLE = Table().fit(FRAME)
ENCODED = TABLE.encode(FRAME)


def allowed(name: str, said: Any) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Which records of the frame satisfy the evidence, by codes and cells alone."""
    evidence = TABLE.evidence({name: said})
    i = TABLE.event.index(name)
    codes, lower, width = ENCODED.codes[:, i], ENCODED.lower[:, i], ENCODED.width[:, i]
    if int(evidence.status[0, i]) == Status.OBSERVED:
        return ((codes == evidence.codes[0, i]) & (lower == evidence.lower[0, i])).numpy()
    restriction = evidence.restrictions[i]
    assert restriction.codes.shape == (1, TABLE.event.code_sizes[i])
    assert restriction.intervals.shape[0] == 1
    assert restriction.intervals.shape[2] == 2
    entry = TABLE.event.all[i]
    assert not bool(restriction.codes[0, entry.unseen]) if entry.unseen is not None else True
    inside = torch.zeros(len(codes), dtype=torch.bool)
    middle = ENCODED.values[:, i]
    for low, high in restriction.intervals[0]:
        if entry.value is not None and type(entry.value).__name__ == "Quantised":
            inside |= (lower >= low - 1e-9) & (lower + width <= high + 1e-9)
        else:
            inside |= (middle >= low) & (middle <= high)
    present = TABLE.event.present(ENCODED.codes)[:, i]
    return (restriction.codes[0, codes] & (~present | inside)).numpy()


@pytest.mark.parametrize(
    ("name", "said", "truth"),
    [
        ("count", 40, lambda c: c == 40),
        ("count", 7, lambda c: c == 7),
        ("count", (10, 50), lambda c: c.between(10, 50)),
        ("count", (10, 39), lambda c: c.between(10, 39)),
        ("count", (None, 5), lambda c: c <= 5),
        ("count", (90.5, None), lambda c: c > 90.5),
        ("count", slice(3, 4), lambda c: c.between(3, 4)),
        ("count", [3, 40, 41, 77], lambda c: c.isin([3, 40, 41, 77])),
        ("count", {5}, lambda c: c == 5),
        ("count", [(0, 3), 40, (90, 95)], lambda c: c.between(0, 3) | (c == 40) | c.between(90, 95)),
        ("count", range(20, 30), lambda c: c.between(20, 29)),
        ("count", (None, None), lambda c: c >= 0),
        ("price", 1.23, lambda c: c == 1.23),
        ("price", (2.5, 3.75), lambda c: c.between(2.5, 3.75)),
        ("price", np.array([2.5, 3.75]), lambda c: c.isin([2.5, 3.75])),
        ("real", 0, lambda c: c == 0),
        ("real", (0.5, 1.5), lambda c: c.between(0.5, 1.5)),
        ("real", (0, 1.5), lambda c: c.between(0, 1.5)),
        ("real", (None, 0), lambda c: c == 0),
        ("real", (1, None), lambda c: c >= 1),
        ("level", 3, lambda c: c == 3),
        ("level", (2, 4), lambda c: c.between(2, 4)),
        ("level", [1, 5], lambda c: c.isin([1, 5])),
        ("word", "red", lambda c: c == "red"),
        ("word", ["red", "blue"], lambda c: c.isin(["red", "blue"])),
        ("flag", True, lambda c: c),
        ("flag", [False], lambda c: ~c),
        ("flag", [False, True], lambda c: c | True),
        ("day", "2020-05-17", lambda c: c == "2020-05-17"),
        ("day", ("2020-02-01", "2020-03-15"), lambda c: c.between("2020-02-01", "2020-03-15")),
        ("day", (dt.date(2021, 1, 1), None), lambda c: c >= "2021-01-01"),
        ("day", (pd.Timestamp("2020-06-01"), np.datetime64("2020-07-01")), lambda c: c.between("2020-06", "2020-07")),
        ("hole", [None], lambda c: c.isna()),
        ("hole", [None, (0, None)], lambda c: c.isna() | (c >= 0)),
        ("hole", (None, None), lambda c: c.notna()),
    ],
)  # fmt: skip
def test_evidence_is_what_was_said(name: str, said: Any, truth: Any) -> None:
    np.testing.assert_array_equal(allowed(name, said), np.asarray(truth(FRAME[name]), dtype=bool))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.integers(-10, 110), st.integers(-10, 110))
def test_intervals_hold_the_records_within_them(a: int, b: int) -> None:
    low, high = min(a, b), max(a, b)
    truth = FRAME["count"].between(low, high).to_numpy()
    if max(low, 0) > high:
        with pytest.raises(DataError):
            TABLE.evidence({"count": (low, high)})
    else:
        np.testing.assert_array_equal(allowed("count", (low, high)), truth)


def test_columns_not_named_and_none_are_unknown() -> None:
    evidence = TABLE.evidence({"word": None, "flag": True})
    named = TABLE.event.index("flag")
    expected = [int(Status.OBSERVED) if i == named else int(Status.UNKNOWN) for i in range(len(TABLE.event))]
    assert evidence.status[0].tolist() == expected
    assert TABLE.evidence({}).status[0].tolist() == [int(Status.UNKNOWN)] * len(TABLE.event)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"colour": "red"}, "no column 'colour'"),
        ({"word": "pink"}, "never takes the value 'pink'; expected one of"),
        ({"word": ("a", "b")}, "no order"),
        ({"word": 3}, "expected a text"),
        ({"flag": (0, 1)}, "no order"),
        ({"count": 3.5}, "never takes the value 3.5"),
        ({"count": -1}, "never takes the value -1"),
        ({"count": "many"}, "holds numbers, and 'many'"),
        ({"count": (50, 10)}, "is empty"),
        ({"count": (-9, -3)}, "no value within"),
        ({"count": (3.2, 3.8)}, "no value within"),
        ({"count": (1, 2, 3)}, "no interval"),
        ({"count": []}, "empty set"),
        ({"count": slice(1, 9, 2)}, "step"),
        ({"count": [None]}, "never missing in training"),
        ({"real": [0.5, 1.5]}, "continuous.*give an interval"),
        ({"real": (0.5, 0.5)}, "probability zero"),
        ({"real": -0.5}, "never takes"),
        ({"day": "soon"}, "holds dates, and 'soon'"),
        ({"id": 5}, "names the records"),
        ({"same": "never"}, "never takes the value 'never'"),
    ],
)
def test_evidence_that_says_nothing_possible_is_refused(said: dict[str, Any], expected: str) -> None:
    with pytest.raises(DataError, match=expected):
        TABLE.evidence(said)


def test_a_constant_may_be_given_as_it_is() -> None:
    TABLE.evidence({"same": "always"})


def test_records_with_blanks_are_evidence() -> None:
    some = FRAME[["word", "count"]].head(4).astype({"count": "Int64"})
    some.loc[1, "word"] = None
    some.loc[2, "count"] = pd.NA
    evidence = TABLE.evidence(some)
    word, count = TABLE.event.index("word"), TABLE.event.index("count")
    assert evidence.status[:, word].tolist() == [0, 1, 0, 0]
    assert evidence.status[:, count].tolist() == [0, 0, 1, 0]
    assert torch.equal(evidence.codes[[0, 2, 3], word], ENCODED.codes[[0, 2, 3], word])
    others = [i for i in range(len(TABLE.event)) if i not in (word, count)]
    assert bool((evidence.status[:, others] == Status.UNKNOWN).all())


def test_what_is_given_comes_back_exactly() -> None:
    draws = ENCODED.rows(torch.arange(12))
    said = {"real": 0.1 + 0.2, "word": "blue", "count": (1, 5), "id": None, "price": 3.07}
    back = TABLE.decode(draws, torch.Generator(), given=said)
    assert (back["real"] == 0.1 + 0.2).all()
    assert (back["word"] == "blue").all()
    assert (back["price"] == 3.07).all()
    np.testing.assert_array_equal(back["count"], FRAME["count"].head(12))
    assert back.dtypes.equals(FRAME.dtypes)
    some = FRAME[["id", "hole", "day"]].iloc[[100, 200, 300]]
    back = TABLE.decode(draws, torch.Generator(), given=some)
    assert back["id"].tolist() == [100] * 4 + [200] * 4 + [300] * 4
    np.testing.assert_array_equal(back["day"], np.repeat(some["day"], 4))
    known = np.repeat(some["hole"].notna().to_numpy(), 4)
    np.testing.assert_array_equal(back["hole"][known], np.repeat(some["hole"], 4)[known])


def test_rare_texts_are_evidence_alone_and_come_back() -> None:
    words = [f"w{i % 300}" for i in range(3000)] + ["usual"] * 1000
    table = Table(max_categories=10).fit({"word": words})
    rare = str(table.facts[0].pool[3])
    evidence = table.evidence({"word": rare})
    assert int(evidence.status[0, 0]) == Status.OBSERVED
    assert float(evidence.width[0, 0]) == pytest.approx(table.facts[0].pool_shares[3])
    assert table.decode(evidence, torch.Generator(), given={"word": rare}) == {"word": [rare]}
    with pytest.raises(DataError, match="alone only"):
        table.evidence({"word": [rare, "usual"]})


def test_labels_are_evidence() -> None:
    table = Table().fit(FRAME[["real"]], FRAME["word"])
    evidence = table.evidence({"word": "red"})
    assert evidence.status.tolist() == [[1, 0]]
    assert isinstance(evidence, Batch)
    assert table.encode(FRAME[["real"]]).status[:, 1].unique().tolist() == [int(Status.UNKNOWN)]
