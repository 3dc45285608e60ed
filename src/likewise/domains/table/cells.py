"""What a column of text cells is: numbers, truth values, dates, or text after all."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from likewise.domains.table.dtypes import Memory
from likewise.domains.table.vectors import Vector, from_arrow, refuse_infinite

MISSING_MARKERS = frozenset((
    "", "NA", "N/A", "n/a", "nan", "NaN", "NAN", "-nan", "-NaN", "NULL", "Null", "null", "None", "none", "<NA>",
    "#N/A", "#NA", "?", "-",
))  # fmt: skip
"""The cells of a text file that are blanks."""

SENTINELS = (-9999.0, -999.0, -99.0, 9999.0, 99999.0)
"""Numbers that often stand for a blank: reported, never applied."""

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_TRUTH = ({"True", "False"}, {"true", "false"}, {"TRUE", "FALSE"})


@dataclass(frozen=True, eq=False)
class Converted:
    """A column of cells as a vector, the dtype that pandas would give it, and what was noticed."""

    vector: Vector
    memory: Memory
    marker: str = ""
    notes: list[str] = field(default_factory=list)


def is_number(cell: str) -> bool:
    """Whether a cell is written as a number."""
    return _NUMBER.fullmatch(cell.strip()) is not None


def convert(
    name: str, cells: pa.Array, markers: frozenset[str], decimal_comma: bool = False, keep_text: bool = False
) -> Converted:
    """The most specific type that every non-blank cell has."""
    trimmed = pc.utf8_trim_whitespace(cells)
    blank = pc.is_in(trimmed, value_set=pa.array(sorted(markers), type=pa.string()))
    present = trimmed.filter(pc.invert(blank))
    notes: list[str] = []
    marker = _marker(name, trimmed, blank, notes)
    holes = np.asarray(blank.to_numpy(zero_copy_only=False), dtype=bool)
    if not len(present):
        notes.append(f"Column {name!r} has no values at all.")
        return Converted(Vector("number", np.zeros(len(cells)), holes), {"dtype": "float64"}, marker, notes)
    typed, dtype = (None, "str") if keep_text else _typed(name, present, decimal_comma, notes)
    if typed is None:
        whole = pc.if_else(blank, pa.scalar(None, pa.string()), trimmed)
        return Converted(from_arrow(name, whole.cast(pa.large_string())), {"dtype": "str"}, marker, notes)
    found = from_arrow(name, typed)
    data = np.zeros(len(cells), dtype=found.data.dtype)
    data[~holes] = found.data
    if found.family == "number" and not found.integer:
        refuse_infinite(name, data)
    if holes.any():
        dtype = {"int64": "Int64", "bool": "boolean"}.get(dtype, dtype)
    _sentinel(name, found, notes)
    return Converted(Vector(found.family, data, holes, unit=found.unit), {"dtype": dtype}, marker, notes)


def _marker(name: str, trimmed: pa.Array, blank: pa.Array, notes: list[str]) -> str:
    counts = {entry["values"]: entry["counts"] for entry in pc.value_counts(trimmed.filter(blank)).to_pylist()}
    counts.pop("", None)
    if not counts:
        return ""
    words = " and ".join(f"{count} cells {word!r}" for word, count in counts.items())
    notes.append(f"Column {name!r}: {words} were read as missing.")
    return str(max(counts, key=lambda word: counts[word]))


def _typed(name: str, present: pa.Array, decimal_comma: bool, notes: list[str]) -> tuple[pa.Array | None, str]:
    """The cells cast to numbers, truth values or dates, and the dtype; None for text."""

    def all_match(pattern: str) -> bool:
        return bool(pc.all(pc.match_substring_regex(present, pattern)).as_py())

    if all_match(r"^[+-]?\d+$"):
        if not bool(pc.any(pc.match_substring_regex(present, r"^[+-]?0\d")).as_py()):
            try:
                return pc.utf8_ltrim(present, characters="+").cast(pa.int64()), "int64"
            except pa.ArrowInvalid:
                notes.append(f"Column {name!r} holds whole numbers of more than 18 digits and was read as text.")
                return None, "str"
        notes.append(f"Column {name!r} holds numbers with leading zeros and was read as text.")
        return None, "str"
    if decimal_comma and all_match(r"^[+-]?\d*(,\d+)?([eE][+-]?\d+)?$") and all_match(r"\d"):
        notes.append(f"Column {name!r} uses a decimal comma.")
        return pc.utf8_ltrim(pc.replace_substring(present, ",", "."), characters="+").cast(pa.float64()), "float64"
    try:
        return pc.utf8_ltrim(present, characters="+").cast(pa.float64()), "float64"
    except pa.ArrowInvalid:
        pass
    distinct = set(present.unique().slice(0, 3).to_pylist())
    if any(distinct <= words for words in _TRUTH):
        return pc.equal(pc.utf8_lower(present), "true"), "bool"
    if all_match(r"^\d{4}-\d{2}-\d{2}([ T]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-]\d{2}:?\d{2})?)?$"):
        for zone, dtype in ((None, "datetime64[us]"), ("UTC", "datetime64[us, UTC]")):
            try:
                return present.cast(pa.timestamp("us", zone)), dtype
            except pa.ArrowInvalid:
                continue
        notes.append(f"Column {name!r} looks like dates, but not every cell is one (or has a time zone): read as text.")
        return None, "str"
    _odd_one_out(name, present, notes)
    return None, "str"


def _odd_one_out(name: str, present: pa.Array, notes: list[str]) -> None:
    """Notes the text that keeps a column from being numbers."""
    number = pc.match_substring_regex(present, r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$")
    share = pc.mean(number.cast(pa.float64())).as_py()
    if share > 0.5:
        odd = present.filter(pc.invert(number))[0].as_py()
        notes.append(f"Column {name!r} is text because of cells such as {odd!r}; {share:.0%} of it are numbers.")


def _sentinel(name: str, found: Vector, notes: list[str]) -> None:
    if found.family != "number" or len(found) < 20:
        return
    values, counts = np.unique(found.data.astype(np.float64), return_counts=True)
    for end, rest in ((0, values[1:]), (-1, values[:-1])):
        lone = len(rest) > 2 and abs(values[end]) > 3 * np.abs(rest).max()
        if float(values[end]) in SENTINELS and counts[end] > 1 and lone:
            notes.append(
                f"Column {name!r} holds {values[end]:g} {counts[end]} times, which may stand for missing: "
                "pass missing_markers= if it does."
            )
