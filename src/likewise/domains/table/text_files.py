"""Delimited text files: encoding, delimiter, header, missing markers and decimal commas are sniffed, and said."""

from __future__ import annotations

import csv
import gzip
import io
import itertools
import zlib
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.csv

from likewise.domains.table.cells import MISSING_MARKERS, convert, is_number
from likewise.domains.table.dtypes import Memory
from likewise.domains.table.vectors import Vector
from likewise.errors import DataError

DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars", " ": "spaces"}


@dataclass(frozen=True, eq=False)
class TextTable:
    """A parsed file: a vector and a dtype for each name, and what was found out on the way."""

    names: list[str]
    vectors: list[Vector]
    memory: list[Memory]
    notes: list[str]
    markers: dict[str, str]


def read_text_file(
    path: Path,
    names: Sequence[str] | None = None,
    missing_markers: Collection[str] | None = None,
    text_columns: Collection[str] = (),
) -> TextTable:
    """Reads a CSV, TSV or otherwise delimited file, compressed by gzip or not; DataError when it is none.

    Parameters
    ----------
    names : names of the columns of a file without a header
    missing_markers : the cells that are blanks; by default `MISSING_MARKERS`
    text_columns : columns to leave as text whatever they look like
    """
    notes: list[str] = []
    text = _decode(path, _content(path), notes).rstrip("\r\n")
    if not text.strip():
        raise DataError(f"The file {path.name!r} is empty; expected a header and at least one row.")
    delimiter = _delimiter(text)
    if delimiter != ",":
        notes.append(f"Fields are separated by {DELIMITERS[delimiter]}.")
    first = next(row for row in csv.reader(io.StringIO(text, newline=None), delimiter=delimiter) if row)
    table = _parse(path, text, delimiter, len(first))
    cells = [column.combine_chunks() for column in table.columns]
    head = [column[0].as_py().strip() for column in cells]
    header, skip = _header(path, head, names, notes)
    _refuse_open_quote(path, text, cells)
    cells = [column.slice(skip) for column in cells]
    if not len(cells[0]):
        raise DataError(f"The file {path.name!r} has a header and no rows; expected at least one row.")
    markers = MISSING_MARKERS if missing_markers is None else frozenset(missing_markers) | {""}
    out = TextTable(header, [], [], notes, {})
    for name, column in zip(header, cells, strict=True):
        found = convert(name, column, markers, decimal_comma=delimiter != ",", keep_text=name in text_columns)
        out.vectors.append(found.vector)
        out.memory.append(found.memory)
        notes.extend(found.notes)
        if found.marker:
            out.markers[name] = found.marker
    if skip and names is None:
        _doubt_header(head, out)
    return out


def _content(path: Path) -> bytes:
    try:
        content = path.read_bytes()
        return gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"The file {str(path)!r} cannot be read: {error}.") from None


def _decode(path: Path, content: bytes, notes: list[str]) -> str:
    """The text of a file, by its byte-order mark, else UTF-8, else Western European bytes."""
    for mark, encoding in ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if content.startswith(mark):
            notes.append(
                f"The file starts with a byte-order mark and was read as {encoding.removesuffix('-sig').upper()}."
            )
            return _strictly(path, content, encoding)
    if b"\0" in content[:4096]:
        for encoding, zeros in (("utf-16-le", content[1:4096:2]), ("utf-16-be", content[0:4096:2])):
            if zeros.count(0) > 0.7 * len(zeros):
                notes.append("The file was read as UTF-16.")
                return _strictly(path, content, encoding)
    strange = sum(content[:65536].count(byte) for byte in [*range(9), 11, *range(14, 32), 127])
    if strange > 0.002 * len(content[:65536]):
        raise DataError(f"The file {path.name!r} is not text; expected a CSV, TSV or Parquet file.")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        pass
    try:
        text = content.decode("cp1252")
        notes.append("The file is not UTF-8 and was read as Windows-1252 (Western European).")
    except UnicodeDecodeError:
        text = content.decode("latin-1")
        notes.append("The file is not UTF-8 and was read as Latin-1.")
    return text


def _strictly(path: Path, content: bytes, encoding: str) -> str:
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        raise DataError(f"The file {path.name!r} is damaged: {error.reason} at byte {error.start}.") from None


def _delimiter(text: str) -> str:
    """The separator that splits the first records most evenly, into at least two fields."""
    start = text[:200_000]
    best, best_score = ",", 0.0
    for delimiter in DELIMITERS:
        try:
            rows = [
                row
                for row in itertools.islice(csv.reader(io.StringIO(start, newline=None), delimiter=delimiter), 200)
                if row
            ]
        except csv.Error:
            continue
        rows = rows[:-1] if len(text) > len(start) and len(rows) > 1 else rows
        (fields, votes), *_ = Counter(len(row) for row in rows).most_common(1)
        if fields < 2 or (delimiter == " " and not all(is_number(cell) for row in rows[1:] for cell in row if cell)):
            continue
        # Even splitting counts first, then whether the first record agrees, then the number of fields.
        score = votes / len(rows) + (len(rows[0]) == fields) + 0.001 * min(fields, 100)
        if score > best_score + (0.05 if best_score else 0.0):
            best, best_score = delimiter, score
    return best


def _parse(path: Path, text: str, delimiter: str, fields: int) -> pa.Table:
    """All cells as strings; DataError naming the first row with another number of fields."""
    ragged: list[pa.csv.InvalidRow] = []

    def remember(row: pa.csv.InvalidRow) -> str:
        ragged.append(row)
        return "error"

    content = (text + "\n").encode("utf-8", errors="replace")
    options = {
        "read_options": pa.csv.ReadOptions(
            autogenerate_column_names=True, use_threads=False, block_size=max(1 << 20, min(len(content) + 1, 1 << 30))
        ),
        "parse_options": pa.csv.ParseOptions(
            delimiter=delimiter, newlines_in_values=True, ignore_empty_lines=fields > 1, invalid_row_handler=remember
        ),
        "convert_options": pa.csv.ConvertOptions(
            column_types={f"f{i}": pa.string() for i in range(fields)}, strings_can_be_null=False
        ),
    }
    try:
        return pa.csv.read_csv(io.BytesIO(content), **options)
    except pa.ArrowException as error:
        if ragged:
            row = ragged[0]
            where = f"Row {row.number - 1}" if row.number is not None else f"The row {row.text[:40]!r}"
            raise DataError(
                f"{where} of {path.name!r} has {row.actual_columns} fields; expected {row.expected_columns} like the "
                f"first row (separated by {DELIMITERS[delimiter]})."
            ) from None
        raise DataError(f"The file {path.name!r} cannot be parsed: {str(error).splitlines()[0]}.") from None


def _refuse_open_quote(path: Path, text: str, cells: Sequence[pa.Array]) -> None:
    """DataError where a quotation mark that is never closed swallowed the rest of the file."""
    if text.count('"') % 2 and any("\n" in column[-1].as_py() for column in cells):
        raise DataError(f"In row {len(cells[0]) - 1} of {path.name!r} a quotation mark is opened and never closed.")


def _header(path: Path, head: list[str], names: Sequence[str] | None, notes: list[str]) -> tuple[list[str], int]:
    """The names of the columns, and how many rows at the top are no records."""
    if names is not None:
        given = [str(name) for name in names]
        if len(given) != len(head):
            raise DataError(
                f"names= gives {len(given)} names and {path.name!r} has {len(head)} columns; expected as many."
            )
        if len(set(given)) < len(given):
            twice = next(name for name in given if given.count(name) > 1)
            raise DataError(f"names= gives {twice!r} twice; expected a name of its own for each column.")
        return given, int(given == head)
    out = []
    for i, name in enumerate(head):
        if not name:
            notes.append(f"Column {i + 1} has no name in the header and is called 'Unnamed: {i}'.")
        out.append(name or f"Unnamed: {i}")
    for i, name in enumerate(out):
        if name in out[:i]:
            raise DataError(
                f"The header names {name!r} twice (columns {out.index(name) + 1} and {i + 1}); expected another name "
                "for each column (a file without a header needs names=)."
            )
    return out, 1


def _doubt_header(head: list[str], table: TextTable) -> None:
    """Notes a first row that looks like data."""
    numbers = [i for i, vector in enumerate(table.vectors) if vector.family == "number"]
    if numbers and all(is_number(head[i]) for i in numbers):
        shown = ", ".join(head[i] for i in numbers[:3])
        table.notes.append(f"The first row was read as the header but looks like data ({shown}): pass names= if it is.")
        return
    texts = [v for v in table.vectors if v.family == "label"]
    if (
        not numbers
        and len(texts) == len(head)
        and len(head) > 1
        and all(name in vector.levels for name, vector in zip(head, texts, strict=True))
    ):
        table.notes.append(
            "The first row was read as the header but holds values seen below: pass names= if it is data."
        )
