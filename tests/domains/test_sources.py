"""Files and frames of every sort are read, said and, where they cannot be, refused in one clear sentence."""

from __future__ import annotations

import datetime as dt
import gzip
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse
import torch

from likewise.domains.table import Table
from likewise.domains.table.sources import read, write
from likewise.errors import DataError

# --------------------------------------------------------------------------------------------------- well-formed files


def written(folder: Path, content: str | bytes, name: str = "data.csv") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


ROWS = [["1", "2,5", "rot", "2020-01-31"], ["2", "-0,25", "grün", "2020-02-29"], ["3", "1000", "rot", "2021-12-01"]]


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "latin-1", "cp1252"])
def test_delimiter_encoding_and_decimal_comma_are_sniffed(tmp_path: Path, delimiter: str, encoding: str) -> None:
    text = "\r\n".join(delimiter.join(row) for row in [["id", "wert", "farbe", "tag"], *ROWS])
    frame = write(read(written(tmp_path, text.encode(encoding))).memory, read(tmp_path / "data.csv").vectors)
    assert frame["id"].tolist() == [1, 2, 3]
    assert frame["wert"].tolist() == [2.5, -0.25, 1000.0]
    assert frame["farbe"].tolist() == ["rot", "grün", "rot"]
    assert frame["tag"].dt.day.tolist() == [31, 29, 1]
    notes = " ".join(read(tmp_path / "data.csv").notes)
    assert "decimal comma" in notes
    assert "Fields are separated by" in notes


def test_what_pandas_reads_is_read_the_same(tmp_path: Path) -> None:
    text = (
        "whole,real,text,truth,blank whole,quoted,exponent\n"
        '1,0.1,a,True,1,"x, y",1e-3\n'
        '-2,2.25,b,False,,"line\nbreak",2E5\n'
        '3,-3.5,a,True,3,"say ""no""",+4.0\n'
    )
    path = written(tmp_path, text)
    frame = write(read(path).memory, read(path).vectors)
    expected = pd.read_csv(path).astype({"blank whole": "Int64"})
    pd.testing.assert_frame_equal(frame, expected)


def test_compressed_files_and_parquet(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": [1, 2, 3], "b": ["x", "y", "x"], "c": pd.Categorical(["u", "v", "u"])})
    packed = written(tmp_path, gzip.compress(frame.to_csv(index=False).encode()), "data.csv.gz")
    pd.testing.assert_frame_equal(write(read(packed).memory, read(packed).vectors)[["a", "b"]], frame[["a", "b"]])
    frame.to_parquet(tmp_path / "data.parquet")
    stored = read(str(tmp_path / "data.parquet"))
    pd.testing.assert_frame_equal(write(stored.memory, stored.vectors), frame)


def test_missing_markers_are_found_said_and_overridable(tmp_path: Path) -> None:
    path = written(tmp_path, "a,b,c\n1,?,x\nNA,2.5,-\n3,null,NULL\n,4,y\n")
    source = read(path)
    assert source.vector("a").scalars() == [1, None, 3, None]
    assert source.vector("b").scalars() == [None, 2.5, None, 4.0]
    assert source.vector("c").scalars() == ["x", None, None, "y"]
    assert any("'?'" in note and "'b'" in note for note in source.notes)
    assert source.markers["a"] == "NA"
    kept = read(path, missing_markers=["?", "null"])
    assert kept.vector("c").scalars() == ["x", "-", "NULL", "y"]
    assert kept.vector("a").scalars() == ["1", "NA", "3", None]


def test_a_sentinel_is_reported_and_not_applied(tmp_path: Path) -> None:
    values = [*range(40), -999, -999]
    source = read(written(tmp_path, "a\n" + "\n".join(map(str, values)) + "\n"))
    assert source.vector("a").scalars() == values
    assert any("-999" in note for note in source.notes)


def test_a_header_that_looks_like_data_is_doubted_and_names_help(tmp_path: Path) -> None:
    path = written(tmp_path, "5.1,3.5,setosa\n4.9,3.0,setosa\n6.2,2.9,virginica\n")
    assert any("pass names=" in note for note in read(path).notes)
    source = read(path, names=["length", "width", "kind"])
    assert source.names == ("length", "width", "kind")
    assert len(source) == 3
    assert not any("pass names=" in note for note in source.notes)


def test_leading_zeros_and_long_numbers_stay_text(tmp_path: Path) -> None:
    source = read(written(tmp_path, "zip,card\n00123,12345678901234567890\n10115,99999999999999999999\n"))
    assert source.vector("zip").scalars() == ["00123", "10115"]
    assert source.vector("card").scalars() == ["12345678901234567890", "99999999999999999999"]


def test_a_number_that_is_none_is_named_in_the_notes(tmp_path: Path) -> None:
    source = read(written(tmp_path, "a,b\n" + "".join(f"{i},1\n" for i in range(20)) + "oops,1\n"))
    assert any("'oops'" in note and "'a'" in note for note in source.notes)


@pytest.mark.parametrize("name", ["wine", "breast_cancer", "digits", "iris", "diabetes", "linnerud"])
def test_bundled_sets_by_name(name: str) -> None:
    table = Table().fit(name)
    frame = table.decode(table.encode(name), torch.Generator())
    assert isinstance(frame, pd.DataFrame)
    assert len(frame) >= 20
    if name == "wine":
        assert frame["target"].cat.categories.tolist() == ["class_0", "class_1", "class_2"]


# ------------------------------------------------------------------------------------------------------ malformed files

FILES: dict[str, tuple[str | bytes, str]] = {
    "empty": ("", "empty"),
    "blank lines only": ("\n\n \n", "empty"),
    "header only": ("a,b,c\n", "no rows"),
    "one row": ("a,b\n1,2\n", "at least 2 records"),
    "duplicate names": ("a,b,a\n1,2,3\n4,5,6\n", "'a' twice"),
    "a row too short": ("a,b,c\n1,2,3\n4,5\n6,7,8\n", "Row 2 .*2 fields; expected 3"),
    "a row too long": ("a,b\n1,2\n3,4\n5,6,7\n", "Row 3 .*3 fields; expected 2"),
    "binary": (bytes(range(256)) * 20, "not text"),
    "zip": (b"PK\x03\x04" + bytes(range(128)) * 8, "not text"),
    "broken UTF-16": ("a,b\n1,2\n".encode("utf-16")[:-1], "damaged"),
    "broken gzip": (gzip.compress(b"a,b\n1,2\n" * 100)[:-12], "cannot be read"),
    "an open quote": ('a,b\n1,"x\n2,y\n', "row 1 .* never closed"),
    "infinite": ("a,b\n1.5,x\ninf,y\n2.5,x\n", "'a', row 2 .*inf"),
    "minus infinite": ("a\n1\n-Infinity\n", "'a', row 2"),
    "beyond all numbers": ("a\n1e400\n2\n3\n", "'a', row 1"),
}


@pytest.mark.parametrize("name", FILES)
def test_malformed_files_are_refused_in_one_sentence(tmp_path: Path, name: str) -> None:
    content, expected = FILES[name]
    with pytest.raises(DataError, match=expected) as caught:
        Table().fit(written(tmp_path, content))
    assert "\n" not in str(caught.value)


USEFUL: dict[str, str | bytes] = {
    "all missing column": "a,b\n" + "".join(f",{i / 7}\n" for i in range(30)),
    "all missing table": "a,b\n,\n,\n,\n",
    "one column": "a\n" + "".join(f"{i % 7}\n" for i in range(40)),
    "one column of blanks": "a\n1\n\n2\n\n3\n",
    "mixed types": "a,b\n1,x\ntwo,y\n3.5,x\nTrue,y\n",
    "ten thousand categories": "a,b\n" + "".join(f"word{i % 10_000} x{i * 7919 % 10_000},{i}\n" for i in range(12_000)),
    "1e300": "a,b\n" + "".join(f"{i}e299,{i}\n" for i in range(-9, 10)),
    "tiny numbers": "a\n" + "".join(f"{i}e-300\n" for i in range(1, 30)),
    "dates out of range": "a\n2020-01-01\n2020-13-01\n2020-02-30\n9999-12-31\n",
    "year one to 9999": "a\n" + "".join(f"{y:04d}-06-15\n" for y in range(1, 9999, 250)),
    "only text": "a\nhello\nworld\n",
    "spaces in names": " a , b \n 1 , x \n 2 , y \n",
    "no newline at the end": "a,b\n1,2\n3,4",
    "old mac newlines": "a,b\r1,2\r3,4\r5,6\r",
    "blank name": ",b\n0,x\n1,y\n2,x\n",
    "unicode": "名前,größe\n太郎,1.5\n花子,2.5\n",
    "emoji": "a,b\n😀,1\n😁,2\n😀,3\n",
    "numbers with units": "a\n5 kg\n6 kg\n7 kg\n",
    "percent": "a\n5%\n6%\n7%\n",
    "negative zero": "a\n-0.0\n0.0\n1.5\n2.5\n",
    "huge integers": "a\n" + "".join(f"{2**63 - 1 - i}\n" for i in range(30)),
    "both ends of int64": f"a\n{2**63 - 1}\n{-(2**63)}\n0\n",
    "long text": "a,b\n" + "".join(f"{'x' * 5000}{i},{i}\n" for i in range(5)),
    "many columns": ",".join(f"c{i}" for i in range(300)) + "\n" + ("1," * 299 + "1\n") * 2 + "2," * 299 + "2\n",
    "constant": "a,b\n1,x\n1,x\n1,x\n",
    "identifiers only besides one": "id,b\n" + "".join(f"{i},{i % 2}\n" for i in range(60)),
    "nul in utf-8": "a,b\n1,x\n2,y\n".replace("x", "x"),
    "times": "a\n10:30\n11:45\n23:59\n",
    "booleans with blanks": "a\ntrue\nfalse\n\ntrue\n",
    "two rows": "a,b\n1,2\n3,4\n",
}


@pytest.mark.parametrize("name", USEFUL)
def test_odd_files_give_a_schema_and_come_back(tmp_path: Path, name: str) -> None:
    path = written(tmp_path, USEFUL[name])
    table = Table().fit(path)
    batch = table.encode(path)
    assert bool(torch.isfinite(batch.values).all())
    assert float(batch.values.abs().max()) < 7
    assert bool((batch.width > 0).all())
    back = table.decode(batch, torch.Generator().manual_seed(0))
    source = read(path)
    frame = write(source.memory, source.vectors)
    assert tuple(back.columns) == source.names
    for facts, vector in zip(table.facts, source.vectors, strict=True):
        if facts.kind not in ("identifier", "text", "real"):
            pd.testing.assert_series_equal(back[facts.name], frame[facts.name])
        assert len(back) == len(vector)


def test_files_that_are_not_there(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.csv", tmp_path, "no such set"):
        with pytest.raises(DataError, match="expected a file or one of"):
            read(path)
    with pytest.raises(DataError, match="cannot be read as Parquet"):
        read(written(tmp_path, "a,b\n1,2\n", "fake.parquet"))


def test_wrong_names(tmp_path: Path) -> None:
    path = written(tmp_path, "1,2\n3,4\n")
    with pytest.raises(DataError, match=r"3 names .* 2 columns"):
        read(path, names=["a", "b", "c"])
    with pytest.raises(DataError, match="'a' twice"):
        read(path, names=["a", "a"])


# ---------------------------------------------------------------------------------------------------- malformed records


class Strange:
    """Something that no table can hold."""


RECORDS: dict[str, tuple[Callable[[], Any], str]] = {
    "nothing": (lambda: None, "not supported"),
    "a number": (lambda: 5, "not supported"),
    "an empty list": (list, "empty"),
    "a list of numbers": (lambda: [1, 2, 3], "Reshape your data"),
    "ragged lists": (lambda: [[1, 2], [3]], "Row 2 has 1 values; expected 2"),
    "a dict among lists": (lambda: [{"a": 1}, [2]], "Row 2 is a list"),
    "unequal lists": (lambda: {"a": [1, 2], "b": [1]}, "'b' has 1 rows"),
    "a dict of numbers": (lambda: {"a": 1}, "expected a list"),
    "an empty dict": (dict, "no columns"),
    "1-D": (lambda: np.arange(5.0), "Expected 2D array, got 1D"),
    "0-D": (lambda: np.array(5.0), "Expected 2D array, got 0D"),
    "3-D": (lambda: np.zeros((2, 2, 2)), "Expected 2D array, got 3D"),
    "no column": (lambda: np.zeros((5, 0)), "0 feature"),
    "no row": (lambda: np.zeros((0, 5)), "at least 2 records"),
    "one row": (lambda: np.zeros((1, 5)), "n_samples=1"),
    "complex": (lambda: np.ones((3, 2), complex), "Complex data not supported"),
    "complex objects": (lambda: [{"a": 1j}, {"a": 2j}], "Complex data not supported"),
    "sparse": (lambda: scipy.sparse.eye(5), "Sparse"),
    "sparse array": (lambda: scipy.sparse.csr_array(np.eye(5)), "Sparse"),
    "infinite": (lambda: np.array([[1.0, 2.0], [np.inf, 3.0]]), "'x0', row 2 .*inf"),
    "too large": (lambda: np.array([[1.0], [1e305]]), "row 2"),
    "huge whole numbers": (lambda: {"a": [1, 10**400]}, "'a', row 2"),
    "bytes": (lambda: np.array([[b"a"], [b"b"]]), "bytes"),
    "byte objects": (lambda: pd.DataFrame({"a": ["x", b"y"]}), "'a', row 2 holds a bytes"),
    "lists in cells": (lambda: pd.DataFrame({"a": [[1], [2]]}), "'a', row 1 holds a list"),
    "a dict in a cell": (lambda: pd.DataFrame({"b": [1, {"k": 1}]}), "'b', row 2 holds a dict"),
    "an object": (lambda: [{"a": 1}, {"a": Strange()}], "'a', row 2 holds a Strange"),
    "an array in a cell": (lambda: [{"a": np.ones(2)}, {"a": np.ones(2)}], "'a', row 1 holds a ndarray"),
    "arrow lists": (lambda: pa.table({"a": [[1], [2]]}), "'a', row 1"),
    "arrow structs": (lambda: pa.table({"a": [{"x": 1}, {"x": 2}]}), "'a', row 1"),
    "arrow bytes": (lambda: pa.table({"a": [b"x", b"y"]}), "'a', row 1"),
    "polars lists": (lambda: pl.DataFrame({"a": [[1], [2]]}), "'a', row 1"),
    "polars structs": (lambda: pl.DataFrame({"a": [{"x": 1}, {"x": 2}]}), "'a', row 1"),
    "polars bytes": (lambda: pl.DataFrame({"a": [b"x", b"y"]}), "'a', row 1"),
    "pandas without columns": (lambda: pd.DataFrame(index=range(5)), "no columns"),
    "pandas without rows": (lambda: pd.DataFrame({"a": []}), "at least 2 records"),
    "several levels of names": (
        lambda: pd.DataFrame(np.eye(2), columns=pd.MultiIndex.from_tuples([("a", "b"), ("a", "c")])),
        "several levels",
    ),
    "duplicate names": (lambda: pd.DataFrame(np.eye(2), columns=["a", "a"]), "Two columns are called 'a'"),
    "names that look the same": (lambda: pd.DataFrame(np.eye(2), columns=[1, "1"]), "Two columns are called '1'"),
    "duplicate arrow names": (lambda: pa.table([[1], [2]], names=["a", "a"]), "Two columns"),
    "intervals of dates": (
        lambda: pd.DataFrame({"a": pd.cut(pd.to_datetime(["2020-01-01", "2021-01-01"]), 2)}),
        "'a'",
    ),
    "dates out of range": (lambda: [{"a": dt.timedelta.max}, {"a": dt.timedelta.min}], "'a'"),
    "only identifiers": (lambda: pd.DataFrame({"id": [f"user-{i}" for i in range(30)]}), "No column is left"),
}


@pytest.mark.parametrize("name", RECORDS)
def test_malformed_records_are_refused_in_one_sentence(name: str) -> None:
    make, expected = RECORDS[name]
    with pytest.raises(DataError, match=expected) as caught:
        Table().fit(make())
    assert "\n" not in str(caught.value)


ODD: dict[str, Callable[[], Any]] = {
    "mixed types": lambda: [{"a": 1, "b": "x"}, {"a": "one", "b": 2.5}, {"a": True, "c": None}],
    "decimals and floats": lambda: {"a": [Decimal("1.5"), 2.5, None, 3]},
    "dates and texts": lambda: {"a": [dt.date(2020, 1, 1), "never", None]},
    "numpy scalars": lambda: {"a": [np.float32(1.5), np.int8(2), np.nan], "b": [np.str_("x"), np.str_("y"), None]},
    "pd.NA and NaT": lambda: {"a": [1, pd.NA, 3], "b": [pd.NaT, pd.Timestamp("2020-01-01"), None]},
    "int64 extremes": lambda: np.array([[2**63 - 1, 1], [-(2**63), 2], [0, 3]]),
    "uint64 extremes": lambda: np.array([[2**64 - 1], [0], [2**63]], dtype=np.uint64),
    "two records": lambda: [[1.5, "a"], [2.5, "b"]],
    "torch tensors": lambda: torch.arange(10.0).reshape(5, 2),
    "record batches": lambda: pa.RecordBatch.from_pydict({"a": [1, 2, 3]}),
    "all blank": lambda: pd.DataFrame({"a": [None, None], "b": [np.nan, np.nan]}),
    "constant": lambda: np.zeros((5, 3)),
    "booleans": lambda: np.eye(4, dtype=bool),
    "half floats": lambda: np.arange(12, dtype=np.float16).reshape(6, 2) / 3,
    "denormals": lambda: np.arange(12.0).reshape(6, 2) * 5e-324,
    "wild scales": lambda: np.array([[10.0 ** (20 * i)] for i in range(-15, 15)]),
    "both ends": lambda: np.array([[-1e300], [1e300], [0.0], [1.0]]),
    "close together": lambda: 1e9 + np.arange(20.0).reshape(10, 2) * 1e-7,
    "times": lambda: {"a": [dt.time(1, 2), dt.time(3, 4), None]},
    "years": lambda: {"a": [dt.datetime(1, 1, 1), dt.datetime(9999, 12, 31), dt.datetime(2000, 1, 1)]},
    "numpy years": lambda: {"a": np.array(["2001", "2002", "NaT"], dtype="M8[Y]")},
}


@pytest.mark.parametrize("name", ODD)
def test_odd_records_give_a_schema_and_finite_scores(name: str) -> None:
    records = ODD[name]()
    table = Table().fit(records)
    batch = table.encode(records)
    assert bool(torch.isfinite(batch.values).all())
    assert bool(torch.isfinite(batch.lower + batch.width).all())
    assert bool((batch.width > 0).all())
    assert float(batch.values.abs().max()) < 7
    assert len(table.decode(batch, torch.Generator())) > 0
