"""Whatever a column was stored as, it comes back so: dtype, values, blanks, categories, order of columns."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import polars.testing
import pyarrow as pa
import pytest
import torch

from likewise.domains.table import Table

SIZE = 60
RNG = np.random.default_rng(0)
WHOLE = RNG.integers(0, 100, SIZE)
REAL = RNG.normal(size=SIZE)
TRUTH = RNG.random(SIZE) < 0.4
WORDS = RNG.choice(["red", "green", "blue"], SIZE)
DAYS = np.datetime64("2020-01-01") + RNG.integers(0, 900, SIZE)
BLANK = RNG.random(SIZE) < 0.2
BLANK[:2] = True, False


def with_blanks(values: Any) -> list[Any]:
    return [None if blank else value for value, blank in zip(list(values), BLANK, strict=True)]


def there_and_back(records: Any, table: Table | None = None) -> Any:
    """Records through a schema that was stored and restored in between."""
    fitted = (table or Table()).fit(records)
    description, tensors = fitted.state()
    restored = Table.restore(json.loads(json.dumps(description, allow_nan=False)), tensors)
    return restored.decode(restored.encode(records), torch.Generator())


PANDAS = {
    "int8": pd.Series(WHOLE, dtype="int8"),
    "int16": pd.Series(WHOLE - 50, dtype="int16"),
    "int32": pd.Series(WHOLE * 1000, dtype="int32"),
    "int64": pd.Series(WHOLE * 10**12, dtype="int64"),
    "uint8": pd.Series(WHOLE, dtype="uint8"),
    "uint64": pd.Series(WHOLE, dtype="uint64"),
    "Int64 with blanks": pd.Series(with_blanks(WHOLE), dtype="Int64"),
    "UInt8 with blanks": pd.Series(with_blanks(WHOLE), dtype="UInt8"),
    "Int32 without blanks": pd.Series(WHOLE, dtype="Int32"),
    "float64": pd.Series(REAL),
    "float64 with blanks": pd.Series(REAL).mask(BLANK),
    "float32": pd.Series(REAL, dtype="float32"),
    "float32 decimals": pd.Series(WHOLE / 10, dtype="float32"),
    "float16": pd.Series(WHOLE / 4, dtype="float16"),
    "Float64 with blanks": pd.Series(with_blanks(REAL), dtype="Float64"),
    "decimal grid": pd.Series(WHOLE * 0.1).round(1),
    "cents": pd.Series(WHOLE * 0.01).round(2),
    "bool": pd.Series(TRUTH),
    "boolean with blanks": pd.Series(with_blanks(TRUTH), dtype="boolean"),
    "object bools with blanks": pd.Series(with_blanks(TRUTH), dtype=object),
    "category": pd.Series(pd.Categorical(WORDS)),
    "ordered category with unused levels": pd.Series(
        pd.Categorical(WORDS, categories=["red", "black", "green", "blue"], ordered=True)
    ).mask(BLANK),
    "category of ints": pd.Series(pd.Categorical(WHOLE % 5)),
    "category of floats": pd.Series(pd.Categorical((WHOLE % 5) / 4)),
    "category of bools": pd.Series(pd.Categorical(TRUTH)),
    "category of dates": pd.Series(pd.Categorical(pd.to_datetime(DAYS[WHOLE % 5]))),
    "category of intervals": pd.Series(pd.cut(REAL, [-9, -1, 0, 1, 9])),
    "category of open intervals": pd.Series(pd.cut(REAL, [-np.inf, -0.5, 0.5, np.inf], right=False)),
    "str": pd.Series(WORDS, dtype="str"),
    "str with blanks": pd.Series(with_blanks(WORDS), dtype="str"),
    "string with blanks": pd.Series(with_blanks(WORDS), dtype="string"),
    "object text with None": pd.Series(with_blanks(WORDS), dtype=object),
    "object of mixed types": pd.Series([["a", 1, True, 2.5][i % 4] for i in WHOLE], dtype=object),
    "object ints": pd.Series(WHOLE.tolist(), dtype=object),
    "object dates": pd.Series(with_blanks(DAYS.astype("O")), dtype=object),
    "object times": pd.Series([dt.time(int(h) % 24, int(h) % 60) for h in WHOLE], dtype=object),
    "object decimals": pd.Series([Decimal(int(w)) / 100 for w in WHOLE], dtype=object),
    "datetime64[s]": pd.Series(DAYS.astype("M8[s]")),
    "datetime64[us]": pd.Series(DAYS.astype("M8[us]") + WHOLE.astype("m8[m]")),
    "datetime64[ns] with blanks": pd.Series(DAYS.astype("M8[ns]") + WHOLE.astype("m8[s]")).mask(BLANK),
    "datetime with zone": pd.Series(DAYS.astype("M8[us]") + WHOLE.astype("m8[h]"))
    .dt.tz_localize("UTC")
    .dt.tz_convert("Europe/Berlin"),
    "timedelta": pd.Series(WHOLE.astype("m8[s]")).mask(BLANK),
    "period": pd.Series(pd.PeriodIndex(DAYS, freq="M")),
    "sparse": pd.Series(pd.arrays.SparseArray(np.where(BLANK, WHOLE, 0).astype(float), fill_value=0.0)),
    "dates as text": pd.Series(DAYS.astype(str)),
    "german dates as text": pd.Series([f"{d:%d.%m.%Y}" for d in DAYS.astype("O")]),
    "american dates as text": pd.Series([f"{d.month}/{d.day}/{d.year}" for d in DAYS.astype("O")]),
    "clock as text with blanks": pd.Series(with_blanks(f"{h % 24:02d}:{h % 60:02d}" for h in WHOLE)),
    "arrow int": pd.Series(with_blanks(WHOLE), dtype=pd.ArrowDtype(pa.int32())),
    "arrow text": pd.Series(with_blanks(WORDS), dtype=pd.ArrowDtype(pa.string())),
    "arrow decimal": pd.Series([Decimal(int(w)) / 100 for w in WHOLE], dtype=pd.ArrowDtype(pa.decimal128(9, 2))),
    "arrow timestamp": pd.Series(DAYS.astype("M8[us]")).astype(pd.ArrowDtype(pa.timestamp("us", "UTC"))),
    "constant int": pd.Series([7] * SIZE, dtype="int16"),
    "constant text": pd.Series(["same"] * SIZE),
    "constant date": pd.Series([np.datetime64("2020-02-29", "us")] * SIZE),
    "constant category": pd.Series(pd.Categorical(["one"] * SIZE, categories=["one", "two"])),
    "all missing float": pd.Series([np.nan] * SIZE),
    "all missing object": pd.Series([None] * SIZE, dtype=object),
    "extremes": pd.Series(np.where(BLANK, np.iinfo(np.int64).max, np.iinfo(np.int64).min)),
    "huge": pd.Series(REAL * 1e299),
    "tiny": pd.Series(np.abs(REAL) * 1e-299),
}


@pytest.mark.parametrize("name", PANDAS)
def test_pandas_dtypes_come_back(name: str) -> None:
    frame = pd.DataFrame({"z": WORDS, "column": PANDAS[name], "a": REAL})
    back = there_and_back(frame)
    assert list(back.columns) == ["z", "column", "a"]
    exact = not name.startswith(("huge", "tiny", "float64", "Float64"))
    pd.testing.assert_frame_equal(back[["z", "column"]], frame[["z", "column"]], check_exact=exact, rtol=1e-13)
    np.testing.assert_allclose(back["a"], frame["a"], rtol=1e-13)


def test_a_whole_pandas_frame_with_odd_names_comes_back() -> None:
    frame = pd.DataFrame({name: column for name, column in PANDAS.items() if name not in ("huge", "tiny")})
    frame.columns = [*range(5), *frame.columns[5:]]
    back = there_and_back(frame)
    for name, kept in frame.items():
        if kept.dtype.kind == "f" and frame[name].nunique() == len(frame):
            np.testing.assert_allclose(back[name], kept, rtol=1e-13)
        else:
            pd.testing.assert_series_equal(
                back[name], kept, check_exact=not str(kept.dtype).lower().startswith("float")
            )
    assert back.columns.equals(frame.columns)


POLARS = {
    "Int8": pl.Series(WHOLE, dtype=pl.Int8),
    "UInt64": pl.Series(WHOLE, dtype=pl.UInt64),
    "Int64 with blanks": pl.Series(with_blanks(WHOLE.tolist()), dtype=pl.Int64),
    "Float32": pl.Series(REAL.astype(np.float32)),
    "Float64 on a grid": pl.Series(WHOLE / 10),
    "Boolean with blanks": pl.Series(with_blanks(TRUTH.tolist())),
    "String with blanks": pl.Series(with_blanks(WORDS.tolist())),
    "Categorical": pl.Series(WORDS.tolist(), dtype=pl.Categorical),
    "Enum": pl.Series(with_blanks(WORDS.tolist()), dtype=pl.Enum(["black", "red", "green", "blue"])),
    "Date": pl.Series(with_blanks(DAYS.astype("O"))),
    "Datetime ms": pl.Series(DAYS.astype("M8[ms]")),
    "Datetime zone": pl.Series(DAYS.astype("M8[us]")).dt.replace_time_zone("UTC").dt.convert_time_zone("Asia/Tokyo"),
    "Duration": pl.Series(WHOLE.astype("m8[ms]")),
    "Time": pl.Series([dt.time(int(w) % 24, int(w) % 60) for w in WHOLE]),
    "Decimal": pl.Series([Decimal(int(w)) / 100 for w in WHOLE], dtype=pl.Decimal(12, 2)),
    "Null": pl.Series([None] * SIZE, dtype=pl.Null),
    "all missing text": pl.Series([None] * SIZE, dtype=pl.String),
}


@pytest.mark.parametrize("name", POLARS)
def test_polars_dtypes_come_back(name: str) -> None:
    frame = pl.DataFrame({"z": WHOLE, "column": POLARS[name]})
    back = there_and_back(frame)
    polars.testing.assert_frame_equal(back, frame)
    lazy = there_and_back(frame.lazy())
    assert isinstance(lazy, pl.LazyFrame)
    polars.testing.assert_frame_equal(lazy.collect(), frame)


ARROW = {
    "int8": pa.array(WHOLE, type=pa.int8()),
    "uint32 with blanks": pa.array(with_blanks(WHOLE.tolist()), type=pa.uint32()),
    "float": pa.array(REAL.astype(np.float32)),
    "bool": pa.array(with_blanks(TRUTH.tolist())),
    "string": pa.array(with_blanks(WORDS.tolist()), type=pa.string()),
    "large string": pa.array(WORDS.tolist(), type=pa.large_string()),
    "string view": pa.array(WORDS.tolist(), type=pa.string_view()),
    "dictionary": pa.array(with_blanks(WORDS.tolist())).dictionary_encode(),
    "dictionary of ints": pa.array((WHOLE % 5).tolist()).dictionary_encode(),
    "date32": pa.array(with_blanks(DAYS.astype("O"))),
    "date64": pa.array(DAYS.astype("O").tolist(), type=pa.date64()),
    "timestamp": pa.array(DAYS.astype("M8[ns]"), type=pa.timestamp("ns", "America/Lima")),
    "time32": pa.array([int(w) * 60 for w in WHOLE], type=pa.int32()).cast(pa.time32("s")),
    "time64": pa.array([dt.time(int(w) % 24, 1, 2, 3000) for w in WHOLE], type=pa.time64("us")),
    "duration": pa.array(WHOLE, type=pa.int64()).cast(pa.duration("s")),
    "decimal": pa.array([Decimal(int(w)) / 1000 for w in WHOLE], type=pa.decimal128(10, 3)),
    "null": pa.nulls(SIZE),
}


@pytest.mark.parametrize("name", ARROW)
def test_arrow_types_come_back(name: str) -> None:
    table = pa.table({"z": WHOLE, "column": ARROW[name]})
    back = there_and_back(table)
    assert back.schema.equals(table.schema)
    if name.startswith("dictionary"):  # the levels may come in another order
        assert back["column"].to_pylist() == table["column"].to_pylist()
    else:
        assert back.equals(table)


@pytest.mark.parametrize("dtype", ["f8", "f4", "i8", "u1", "?", "O", "U8"])
def test_arrays_come_back(dtype: str) -> None:
    values = {"?": TRUTH, "U8": WORDS, "O": WORDS.astype(object)}.get(dtype, WHOLE.astype(float))
    array = np.column_stack([values, values[::-1], np.roll(values, 7)]).astype(dtype)
    back = there_and_back(array)
    assert back.dtype == array.dtype
    np.testing.assert_array_equal(back, array)


def test_structured_arrays_lists_dicts_and_series_come_back() -> None:
    structured = np.zeros(SIZE, dtype=[("a", "i4"), ("b", "U5"), ("c", "M8[D]"), ("d", "?")])
    structured["a"], structured["b"], structured["c"], structured["d"] = WHOLE, WORDS, DAYS, TRUTH
    np.testing.assert_array_equal(there_and_back(structured), structured)
    columns = {
        "a": WHOLE.tolist(),
        "b": with_blanks(WORDS.tolist()),
        "c": [dt.date(2020, 1, 1 + w % 28) for w in WHOLE],
    }
    assert there_and_back(columns) == columns
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    assert there_and_back(rows) == rows
    series = pd.Series(WHOLE, name="counts")
    pd.testing.assert_series_equal(there_and_back(series), series)


def test_nanoseconds_over_years_come_back_to_within_a_microsecond() -> None:
    frame = pd.DataFrame({"t": DAYS.astype("M8[ns]") + RNG.integers(0, 10**6, SIZE).astype("m8[ns]")})
    assert (there_and_back(frame)["t"] - frame["t"]).abs().max() < pd.Timedelta("1us")


def test_labels_come_back() -> None:
    for labels in (WORDS, WHOLE % 3, pd.Series(WORDS, name="colour"), TRUTH, list(WORDS)):
        table = Table().fit({"a": WHOLE}, labels)
        batch = table.encode({"a": WHOLE}, labels)
        assert table.event.labels[0].name == ("colour" if isinstance(labels, pd.Series) else "label")
        back = table.decode_labels(batch, torch.Generator())
        np.testing.assert_array_equal(np.asarray(back), np.asarray(labels))
