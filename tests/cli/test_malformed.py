"""Tables as they come: each ends with a useful result, or with exit code 2 and one clear sentence."""

import gzip
import io
import json
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

RNG = np.random.default_rng(0)


def rows(*columns: object, header: str = "a,b", size: int = 60) -> str:
    """A header and `size` rows; a column is a value, a list to cycle through, or a function of the row number."""

    def cell(column: object, i: int) -> object:
        return column(i) if callable(column) else column[i % len(column)] if isinstance(column, list) else column

    return header + "\n" + "".join(",".join(str(cell(column, i)) for column in columns) + "\n" for i in range(size))


def wide(size: int) -> str:
    """Forty rows of so many columns."""
    cells = RNG.integers(0, 3, (40, size)).astype(str)
    return "\n".join([",".join(f"c{i}" for i in range(size)), *(",".join(row) for row in cells)]) + "\n"


def parquet(**columns: object) -> bytes:
    buffer = io.BytesIO()
    pd.DataFrame(columns).to_parquet(buffer)
    return buffer.getvalue()


def png() -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"\x00" * 72)) + chunk(b"IEND", b"")


PLAIN = rows(lambda i: i % 13, ["x", "y", "z"])

MALFORMED: dict[str, str | bytes | Callable[[Path], None]] = {
    # nothing, or next to nothing
    "empty.csv": "",
    "blank.csv": "   \n  \n\n",
    "newline.csv": "\n",
    "bom_only.csv": b"\xef\xbb\xbf",
    "header_only.csv": "a,b,c\n",
    "header_without_newline.csv": "a,b,c",
    "header_only_semicolons.csv": "a;b;c\n",
    "one_row.csv": "a,b\n1,x\n",
    "two_rows.csv": "a,b\n1,x\n2,y\n",
    "one_cell.csv": "7",
    "only_delimiters.csv": ",,,\n,,,\n,,,\n",
    "only_delimiters_with_header.csv": "a,b,c\n" + ",,\n" * 30,
    "only_comments.csv": "# nothing here\n# at all\n",
    "one_column.csv": "a\n" + "\n".join(str(i % 9) for i in range(80)) + "\n",
    "one_text_column.csv": "a\n" + "\n".join("uvw"[i % 3] for i in range(80)) + "\n",
    # headers
    "duplicate_names.csv": rows(1, [2, 3], header="a,a"),
    "duplicate_names_but_for_spaces.csv": rows([1, 2, 3], [2, 3], header="a, a"),
    "unnamed_column.csv": rows(lambda i: i, [2, 3], header=",b"),
    "all_unnamed.csv": rows([4, 5, 6], [2, 3], header=","),
    "numeric_header.csv": rows([4, 5, 6], [2, 3], header="1,2"),
    "header_longer_than_rows.csv": rows([4, 5, 6], [2, 3], header="a,b,c"),
    "header_shorter_than_rows.csv": rows([4, 5, 6], [2, 3], [7, 8], header="a,b"),
    "very_long_name.csv": rows([4, 5, 6], [2, 3], header="a" * 20_000 + ",b"),
    "newline_in_name.csv": rows([4, 5, 6], [2, 3], header='"a\nb",c'),
    "name_of_the_constants.csv": rows([4, 5, 6], 1, header="(constants),b"),
    "name_of_the_label.csv": rows([4, 5, 6], ["x", "y"], header="label,target"),
    "emoji_names.csv": rows([4, 5, 6], ["x", "y"], header="🐧,größe"),
    # shapes
    "ragged_short.csv": PLAIN + "5\n" + PLAIN.split("\n", 1)[1],
    "ragged_long.csv": PLAIN + "5,x,9,9\n",
    "ragged_throughout.csv": "a,b,c\n" + "".join(",".join("1" * (i % 5 + 1)) + "\n" for i in range(40)),
    "trailing_delimiters.csv": "a,b,\n" + "".join(f"{i % 7},{'xy'[i % 2]},\n" for i in range(40)),
    "unclosed_quote.csv": PLAIN + '5,"x\n' + PLAIN.split("\n", 1)[1],
    "unclosed_quote_in_header.csv": 'a,"b\n' + PLAIN.split("\n", 1)[1],
    "stray_quotes.csv": rows(lambda i: i % 5, ['5" pipe', 'a "big" one', "plain"]),
    "newlines_in_cells.csv": rows(lambda i: i % 5, ['"two\nlines"', '"three\nmore\nlines"', "one"]),
    "carriage_returns.csv": PLAIN.replace("\n", "\r").encode(),
    "mixed_line_ends.csv": PLAIN.replace("\n", "\r\n", 20).encode(),
    "blank_lines_between.csv": PLAIN.replace("\n", "\n\n"),
    "a_thousand_columns.csv": wide(1000),
    "a_hundred_columns.csv": wide(100),
    "a_thousand_columns_one_row.csv": ",".join(f"c{i}" for i in range(1000)) + "\n" + ",".join("1" * 1000) + "\n",
    "a_huge_cell.csv": PLAIN + "5," + "x" * 3_000_000 + "\n",
    "spaces_for_delimiters.csv": PLAIN.replace(",", " "),
    "many_delimiters.csv": PLAIN.replace(",", "|;\t,"),
    # encodings and formats
    "latin_1.csv": rows(lambda i: i % 7, ["Größe", "Läufer"]).encode("latin-1"),
    "cp1252.csv": rows(lambda i: i % 7, ["“quoted”", "€ 5"]).encode("cp1252"),
    "utf_16.csv": PLAIN.encode("utf-16"),
    "utf_16_be_without_bom.csv": PLAIN.encode("utf-16-be"),
    "utf_32.csv": PLAIN.encode("utf-32"),
    "broken_utf_8.csv": PLAIN.encode() + b"5,\xff\xfe\xc3\n" + PLAIN.split("\n", 1)[1].encode(),
    "shift_jis.csv": rows(lambda i: i % 7, ["東京", "大阪"]).encode("shift-jis"),
    "nul_bytes.csv": PLAIN.encode().replace(b"x", b"\x00"),
    "nul_bytes_only.csv": b"\x00" * 4096,
    "random_bytes.csv": RNG.bytes(5000),
    "a_png.csv": png(),
    "a_png.parquet": png(),
    "json_array.csv": json.dumps([{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]),
    "json_lines.csv": "".join(json.dumps({"a": i % 5, "b": "x"}) + "\n" for i in range(40)),
    "html.csv": "<!DOCTYPE html>\n<html><body>\n<h1>404, not found</h1>\n</body></html>\n",
    "a_model.csv": b"\x02\x00\x00\x00\x00\x00\x00\x00{}",
    "zip_as.csv": b"PK\x03\x04" + b"\x00" * 200,
    "gz_whole.csv.gz": gzip.compress(PLAIN.encode()),
    "gz_truncated.csv.gz": gzip.compress(PLAIN.encode())[:40],
    "gz_under_a_false_name.csv": gzip.compress(PLAIN.encode()),
    "not_gz.csv.gz": b"a,b\n1,2\n",
    "spreadsheet.xlsx": b"PK\x03\x04" + b"\x00" * 200,
    "no_ending": PLAIN,
    # numbers
    "infinite.csv": rows([1.5, "inf", 2.5], ["x", "y"]),
    "minus_infinite.csv": rows([1.5, "-Infinity", 2.5], ["x", "y"]),
    "nan_words.csv": rows([1.5, "nan", 2.5], ["x", "y"]),
    "huge.csv": rows(lambda i: f"{i + 1}e300", ["x", "y"]),
    "huge_and_small.csv": rows(["1e300", "1e-300", "-1e300", "0.5"], ["x", "y"]),
    "beyond_floats.csv": rows(["1e400", "1", "2"], ["x", "y"]),
    "one_outlier.csv": rows(lambda i: "1e300" if i == 30 else f"{i * 0.37 % 5:.4f}", ["x", "y"]),
    "denormal.csv": rows(lambda i: f"{i + 1}e-320", ["x", "y"]),
    "beyond_int64.csv": rows(lambda i: 10**25 + i * 7919, ["x", "y"]),
    "edge_of_int64.csv": rows([2**63 - 1, -(2**63), 0, 5], ["x", "y"]),
    "beyond_float_integers.csv": rows(lambda i: 2**53 + i * i, ["x", "y"]),
    "thousands.csv": rows(['"1,234"', '"12,345,678"', "17"], ["x", "y"]),
    "decimal_comma.csv": PLAIN.replace(",", ";").replace("\n1;", "\n1,5;"),
    "currency.csv": rows(["$5.00", "$12.50", "$3.99"], ["x", "y"]),
    "percent.csv": rows(["5%", "12.5%", "99%"], ["x", "y"]),
    "hexadecimal.csv": rows(["0x1F", "0xff", "0x0"], ["x", "y"]),
    "leading_zeros.csv": rows(["007", "042", "100"], ["x", "y"]),
    "numbers_with_underscores.csv": rows(["1_000", "2_000"], ["x", "y"]),
    "numbers_with_spaces.csv": rows([" 1 ", "2  ", "  3"], ["x", "y"]),
    "signs_only.csv": rows(["+", "-", "+-1"], ["x", "y"]),
    "arabic_digits.csv": rows(["١", "٢", "٣"], ["x", "y"]),
    "nearly_equal.csv": rows(lambda i: f"{1 + i * 2.3e-16:.17g}", ["x", "y"]),
    # columns
    "all_missing.csv": rows("", "", size=40),
    "one_column_all_missing.csv": rows([1, 2, 3], "NA"),
    "one_value_present.csv": rows(lambda i: 5 if i == 3 else "", ["x", "y"]),
    "mostly_missing.csv": rows(lambda i: i % 5 if i % 20 == 0 else "?", ["x", "y"]),
    "all_constant.csv": rows(1, "x"),
    "only_identifiers.csv": rows(lambda i: i, lambda i: f"id-{i:04d}", header="id,key"),
    "ten_thousand_categories.csv": rows(lambda i: f"word{i * 7919 % 10_000}", lambda i: i % 5, size=20_000),
    "every_text_different.csv": rows(lambda i: f"text {i * 7919 % 1000} of {i}", lambda i: i % 5, size=300),
    "mixed_types.csv": rows([1, "two", 3.5, "2020-01-01", "True", ""], ["x", "y"]),
    "numbers_but_one.csv": rows(lambda i: "oops" if i == 40 else i % 7, ["x", "y"]),
    "truth_of_every_spelling.csv": rows(["True", "yes", "T", "1", "false", "no"], ["x", "y"]),
    "lists_in_cells.csv": rows(['"[1, 2]"', '"[3]"', '"[]"'], ["x", "y"]),
    "json_in_cells.csv": rows(['"{""k"": 1}"', '"{""k"": [2]}"'], ["x", "y"]),
    "long_texts.csv": rows(lambda i: "lorem ipsum " * 200 + str(i % 3), ["x", "y"]),
    "formulas.csv": rows(["=SUM(A1:A9)", "@cmd", "+1-1"], ["x", "y"]),
    "markup.csv": rows(["[bold]x[/bold]", "[red]", "[/]"], ["x", "y"]),
    "surrogate_escapes.csv": rows(["\\ud800", "\\x00"], ["x", "y"]),
    "dates.csv": rows(lambda i: f"2020-{i % 12 + 1:02d}-{i % 28 + 1:02d}", ["x", "y"]),
    "dates_out_of_range.csv": rows(["2020-13-45", "2020-01-01", "2021-02-30"], ["x", "y"]),
    "dates_far_away.csv": rows(["0001-01-01", "9999-12-31", "2020-01-01"], ["x", "y"]),
    "dates_of_both_zones.csv": rows(["2020-01-01T00:00:00Z", "2020-01-01T00:00:00+02:00"], ["x", "y"]),
    "dates_of_many_formats.csv": rows(["01/02/2020", "2020-02-01", "1 Feb 2020"], ["x", "y"]),
    # parquet
    "truncated.parquet": parquet(a=list(range(50)), b=["x"] * 50)[:100],
    "tail_only.parquet": b"PAR1" + b"\x00" * 20 + b"PAR1",
    "empty.parquet": b"",
    "no_rows.parquet": parquet(a=pd.Series([], dtype="int64")),
    "no_columns.parquet": parquet(),
    "lists.parquet": parquet(a=[[1, 2], [3]] * 20, b=range(40)),
    "structs.parquet": parquet(a=[{"k": 1}, {"k": 2}] * 20, b=range(40)),
    "binary.parquet": parquet(a=[b"\x00\xff", b"x"] * 20, b=[i % 3 for i in range(40)]),
    "infinite.parquet": parquet(a=[1.0, np.inf] * 20),
    "nulls.parquet": parquet(a=[None] * 40, b=[i % 3 for i in range(40)]),
    "csv_named.parquet": PLAIN,
    # things that are no files
    "a_folder.csv": lambda path: path.mkdir(),
    "nowhere.csv": lambda path: None,
    "dangling.csv": lambda path: path.symlink_to(path.parent / "gone.csv"),
    "a_loop.csv": lambda path: path.symlink_to(path),
}


@pytest.fixture
def table(request, tmp_path) -> str:
    content = MALFORMED[request.param]
    path = tmp_path / request.param
    if callable(content):
        content(path)
    else:
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return request.param


def check(result, verb: str) -> None:
    """A useful result, or exit code 2 and one sentence."""
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert "Traceback" not in result.output
    if result.exit_code == 0:
        return
    assert result.exit_code == 2, (verb, result.output)
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("Error: ")
    assert lines[0].endswith(".")
    # A sentence for people: no names of Python's types, no numbers of errors.
    assert 20 < len(lines[0]) < 400, lines[0]
    assert not any(word in lines[0] for word in ("Errno", "Exception", "pyarrow.", "numpy.", "NoneType", "object at"))


# A structure search looks at every pair of columns, and at many more: these take half a minute and more.
FAST = [name for name in MALFORMED if name not in ("a_hundred_columns.csv", "a_thousand_columns.csv")]


def test_a_thousand_columns_are_described(likewise, tmp_path):
    (tmp_path / "wide.csv").write_text(MALFORMED["a_thousand_columns.csv"])
    result = likewise("inspect", "wide.csv", "--json", "-")
    check(result, "inspect")
    assert len(json.loads(result.stdout)["columns"]) == 1000


@pytest.mark.parametrize("table", FAST, indirect=True)
def test_inspect_and_fit_agree_on_what_is_a_table(likewise, table):
    inspected = likewise("inspect", table)
    check(inspected, "inspect")
    fitted = likewise("fit", table, "--family", "bayesian_network", "--out", "model.safetensors", "-q")
    check(fitted, "fit")
    assert Path("model.safetensors").exists() == (fitted.exit_code == 0)
    if fitted.exit_code == 0:
        assert inspected.exit_code == 0
        sampled = likewise("sample", "model.safetensors", "-n", 3, "-q", "--out", "new.csv")
        assert sampled.exit_code == 0, sampled.output
        scored = likewise("score", "model.safetensors", table, "--json", "-")
        assert scored.exit_code == 0, scored.output
        assert np.isfinite(json.loads(scored.stdout)["mean_log_likelihood"])


FOR_GRADIENTS = (
    "two_rows.csv",
    "only_delimiters_with_header.csv",
    "one_column.csv",
    "a_hundred_columns.csv",
    "huge.csv",
    "huge_and_small.csv",
    "one_outlier.csv",
    "denormal.csv",
    "edge_of_int64.csv",
    "beyond_float_integers.csv",
    "nearly_equal.csv",
    "one_value_present.csv",
    "all_constant.csv",
    "ten_thousand_categories.csv",
    "dates_far_away.csv",
    "nulls.parquet",
)


@pytest.mark.parametrize("table", FOR_GRADIENTS, indirect=True)
def test_a_fit_by_gradients_ends_as_well(likewise, table):
    fitted = likewise("fit", table, "--max-steps", 2, "--out", "model.safetensors", "-q")
    check(fitted, "fit")
    if fitted.exit_code == 0:
        sampled = likewise("sample", "model.safetensors", "-n", 3, "-q", "--out", "new.csv")
        assert sampled.exit_code == 0, sampled.output
        assert len(pd.read_csv("new.csv")) == 3


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="needs a file that may not be read")
def test_a_file_that_may_not_be_read(likewise, tmp_path):
    (tmp_path / "secret.csv").write_text(PLAIN)
    (tmp_path / "secret.csv").chmod(0)
    check(likewise("inspect", "secret.csv"), "inspect")


def test_there_are_as_many_as_promised():
    assert len(MALFORMED) >= 60
