"""One column of records, free of the library it came from: numbers, truth values, labels or moments, and blanks.

Rows are counted from 1 in every message, the header of a file not counted.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID

import numpy as np
import pyarrow as pa

from likewise.errors import DataError

Scalar = str | int | float | bool
Array = np.ndarray[Any, np.dtype[Any]]
Family = Literal["number", "boolean", "label", "moment"]
Span = Literal["", "clock", "duration"]

EXPECTED = "expected a number, a text, a truth value or a date"


@dataclass(frozen=True, eq=False)
class Vector:
    """A column: `data` where not `missing`.

    Attributes
    ----------
    family : "number" (int64 or float64 data), "boolean" (bool), "label" (int64 positions in `levels`), "moment" (int64)
    unit : str
        Of moments: "D", "s", "ms", "us" or "ns".
    span : "" for moments since 1970, "clock" for times since midnight, "duration" for lengths of time
    precision : int
        Bits of the significand that floats came with: 11, 24 or 53.
    """

    family: Family
    data: Array
    missing: Array
    levels: tuple[Scalar, ...] = ()
    unit: str = ""
    span: Span = ""
    precision: int = 53

    def __len__(self) -> int:
        return len(self.data)

    @property
    def integer(self) -> bool:
        """Whether the data are whole numbers by their type."""
        return self.family == "number" and self.data.dtype.kind == "i"

    def rows(self, index: Array) -> Vector:
        return replace(self, data=self.data[index], missing=self.missing[index])

    def scalars(self) -> list[Scalar | None]:
        """The cells as plain Python values, None where blank; moments as whole numbers."""
        levels = self.levels or ("",)
        values = [levels[i] for i in self.data] if self.family == "label" else self.data.tolist()
        return [None if blank else value for value, blank in zip(values, self.missing.tolist(), strict=True)]


def place(name: str, row: int | np.integer[Any] | None = None) -> str:
    """How messages name a column, or a cell of it."""
    return f"column {name!r}" if row is None else f"column {name!r}, row {int(row) + 1}"


def key(value: Scalar) -> tuple[str, Scalar]:
    """Levels are the same when their keys are: 1 and 1.0 are, 1 and True are not."""
    return ("b" if isinstance(value, bool) else "s" if isinstance(value, str) else "n", value)


def labels(values: Sequence[Scalar | None]) -> Vector:
    """A label column from Python values in any mixture; levels in order of first appearance."""
    seen: dict[tuple[str, Scalar], int] = {}
    levels: list[Scalar] = []
    codes = np.zeros(len(values), dtype=np.int64)
    missing = np.zeros(len(values), dtype=bool)
    for i, value in enumerate(values):
        if value is None:
            missing[i] = True
            continue
        at = seen.setdefault(key(value), len(levels))
        if at == len(levels):
            levels.append(value)
        codes[i] = at
    return Vector("label", codes, missing, tuple(levels))


def from_numpy(name: str, array: Array) -> Vector:
    """A column from a one-dimensional numpy array of any dtype."""
    kind = array.dtype.kind
    if kind == "b":
        return Vector("boolean", array.copy(), np.zeros(len(array), dtype=bool))
    if kind in "iu":
        if kind == "u" and len(array) and array.max() > np.iinfo(np.int64).max:
            return Vector("number", array.astype(np.float64), np.zeros(len(array), dtype=bool))
        return Vector("number", array.astype(np.int64), np.zeros(len(array), dtype=bool))
    if kind == "f":
        return _floats(name, array)
    if kind in "mM":
        unit, count = np.datetime_data(array.dtype)
        if unit not in ("D", "s", "ms", "us", "ns") or count != 1:
            unit = "D" if unit in ("Y", "M", "W") else "s" if unit in ("h", "m") else "ns"
            array = array.astype(f"{kind}8[{unit}]" if kind == "M" or unit != "D" else "m8[s]")
            unit = np.datetime_data(array.dtype)[0]
        missing = np.isnat(array)
        data = np.where(missing, 0, array.astype(np.int64))
        return Vector("moment", data, missing, unit=unit, span="duration" if kind == "m" else "")
    if kind == "c":
        raise DataError(f"Complex data not supported: {place(name)} holds complex numbers, {EXPECTED}.")
    if kind in "SV":
        raise DataError(f"{place(name)} holds bytes, {EXPECTED}.")
    return from_objects(name, array.astype(object))


def _floats(name: str, array: Array) -> Vector:
    precision = {2: 11, 4: 24}.get(array.dtype.itemsize, 53)
    data = array.astype(np.float64)
    missing = np.isnan(data)
    refuse_infinite(name, data)
    return Vector("number", np.where(missing, 0.0, data), missing, precision=precision)


def refuse_infinite(name: str, data: Array) -> None:
    """DataError where a number is infinite or too large for arithmetic."""
    with np.errstate(invalid="ignore"):
        bad = np.abs(data) > 1e300
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        what = "an infinite value (inf)" if np.isinf(data[row]) else f"{data[row]:g}"
        raise DataError(f"{place(name, row)} holds {what}; expected finite numbers of at most 1e300.")


def from_objects(name: str, values: Array) -> Vector:
    """A column from Python objects: of one type where possible, else labels of mixed type."""
    if len(values) and isinstance(values[0], (str, type(None), float)):
        only = _only_text(values)
        if only is not None:
            return only
    plain = [_plain(name, i, value) for i, value in enumerate(values)]
    kinds = {type(value) for value in plain if value is not None}
    if not kinds:
        return Vector("label", np.zeros(len(plain), dtype=np.int64), np.ones(len(plain), dtype=bool))
    if kinds <= {int, float}:
        missing = np.array([value is None for value in plain], dtype=bool)
        filled = [0 if value is None else value for value in plain]
        if kinds == {int} and all(-(2**63) <= value < 2**63 for value in filled):
            return Vector("number", np.array(filled, dtype=np.int64), missing)
        try:
            data = np.array([float(value) for value in filled])
        except OverflowError:
            row = next(i for i, value in enumerate(filled) if abs(value) > 1e300)
            raise DataError(f"{place(name, row)} holds a whole number beyond 1e300; expected smaller ones.") from None
        refuse_infinite(name, data)
        return Vector("number", data, missing)
    if kinds == {bool}:
        missing = np.array([value is None for value in plain], dtype=bool)
        return Vector("boolean", np.array([bool(value) for value in plain]), missing)
    if len(kinds) == 1 and kinds <= {dt.date, dt.datetime, dt.time, dt.timedelta, Decimal}:
        try:
            return from_arrow(name, pa.array(plain, from_pandas=True))
        except (pa.ArrowInvalid, OverflowError) as error:
            raise DataError(f"{place(name)} holds values out of range: {_sentence(error)}") from None
    return labels([value if isinstance(value, Scalar) or value is None else str(value) for value in plain])


def _only_text(values: Array) -> Vector | None:
    """The column where every object is a string or blank; None otherwise."""
    try:
        array = pa.array(values, from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError, ValueError):
        return None
    return _dictionary(array) if pa.types.is_string(array.type) or pa.types.is_large_string(array.type) else None


def is_blank(value: Any) -> bool:
    """Whether a cell is None, a NaN, a NaT or pandas' NA."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, float | np.floating | np.datetime64 | np.timedelta64 | Decimal) and bool(value != value)


def _plain(name: str, row: int, value: Any) -> Any:
    """A cell as a plain Python value: None where blank, DataError where it is nothing a table can hold."""
    if type(value) in (str, int, bool):
        return value
    if is_blank(value):
        return None
    if isinstance(value, np.generic):
        if isinstance(value, np.datetime64 | np.timedelta64):
            return value.astype("M8[us]" if isinstance(value, np.datetime64) else "m8[us]").item()
        value = value.item()
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, complex):
        raise DataError(f"Complex data not supported: {place(name, row)} holds a complex number, {EXPECTED}.")
    if isinstance(value, str):
        return str(value)
    if isinstance(value, bool | int | float | Decimal | dt.date | dt.time | dt.timedelta):
        return value
    raise DataError(f"{place(name, row)} holds a {type(value).__name__}, {EXPECTED}.")


def from_arrow(name: str, column: pa.Array | pa.ChunkedArray) -> Vector:
    """A column from an arrow array of any type."""
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if isinstance(array, pa.ChunkedArray):  # an empty column has no chunk to combine
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], type=array.type)
    if isinstance(array, pa.ExtensionArray):
        array = array.storage
    type_, missing = array.type, np.asarray(array.is_null().to_numpy(zero_copy_only=False), dtype=bool)
    if pa.types.is_null(type_):
        return Vector("label", np.zeros(len(array), dtype=np.int64), np.ones(len(array), dtype=bool))
    if pa.types.is_boolean(type_):
        return Vector("boolean", array.fill_null(False).to_numpy(zero_copy_only=False), missing)
    if pa.types.is_integer(type_):
        whole = from_numpy(name, array.fill_null(0).to_numpy(zero_copy_only=False))
        return replace(whole, missing=missing)
    if pa.types.is_floating(type_):
        return _floats(name, array.to_numpy(zero_copy_only=False))
    if pa.types.is_decimal(type_):
        cells = [np.nan if cell is None else float(cell) for cell in array.to_pylist()]
        return _floats(name, np.array(cells, dtype=np.float64))
    if pa.types.is_string(type_) or pa.types.is_large_string(type_) or type_ == pa.string_view():
        return _dictionary(array.cast(pa.large_string()))
    if pa.types.is_dictionary(type_):
        return _decoded(name, array, missing)
    if pa.types.is_date(type_):
        days = array.cast(pa.date32()).cast(pa.int32())
        return Vector("moment", days.fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64), missing, unit="D")
    if pa.types.is_timestamp(type_) or pa.types.is_duration(type_) or pa.types.is_time(type_):
        whole = array.cast(pa.int32()).cast(pa.int64()) if pa.types.is_time32(type_) else array.cast(pa.int64())
        span: Span = "" if pa.types.is_timestamp(type_) else "duration" if pa.types.is_duration(type_) else "clock"
        data = whole.fill_null(0).to_numpy(zero_copy_only=False)
        return Vector("moment", data, missing, unit=type_.unit, span=span)
    row = int(np.flatnonzero(~missing)[0]) if not missing.all() else 0
    raise DataError(f"{place(name, row)} holds a value of type {type_}, {EXPECTED}.")


def _dictionary(array: pa.Array) -> Vector:
    coded = array.dictionary_encode()
    missing = np.asarray(array.is_null().to_numpy(zero_copy_only=False), dtype=bool)
    codes = coded.indices.fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
    levels = coded.dictionary.to_pylist()
    order = sorted(range(len(levels)), key=levels.__getitem__)  # the schema must not depend on the order of the rows
    rank = np.empty(max(len(levels), 1), dtype=np.int64)
    rank[order] = np.arange(len(levels))
    return Vector("label", np.where(missing, 0, rank[codes]), missing, tuple(levels[i] for i in order))


def _decoded(name: str, array: pa.DictionaryArray, missing: Array) -> Vector:
    """A dictionary column: labels whatever the type of its values."""
    levels = array.dictionary.to_pylist()
    codes = array.indices.fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
    if levels:
        missing = missing | np.array([level is None for level in levels])[codes]
    plain = [_plain(name, 0, level) for level in levels]
    kept = tuple("" if v is None else v if isinstance(v, Scalar) else str(v) for v in plain)
    return Vector("label", np.where(missing, 0, codes), missing, kept)


def _sentence(error: Exception) -> str:
    text = str(error).splitlines()[0].strip() if str(error) else type(error).__name__
    return text if text.endswith(".") else text + "."


def counted(vector: Vector) -> tuple[Array, Array]:
    """The distinct non-blank data of a column, sorted, and how often each occurs."""
    present = vector.data[~vector.missing]
    if vector.family == "label":
        counts = np.bincount(present, minlength=len(vector.levels))
        return np.flatnonzero(counts), counts[counts > 0]
    values, counts = np.unique(present, return_counts=True)
    return values, counts


def has_text(vector: Vector) -> bool:
    """Whether the labels of a column are all strings."""
    return vector.family == "label" and all(isinstance(level, str) for level in vector.levels)


def to_arrow(vector: Vector, type_: pa.DataType) -> pa.Array:
    """The arrow array of a column in the type given."""
    mask = vector.missing
    if pa.types.is_null(type_):
        return pa.nulls(len(vector))
    if pa.types.is_dictionary(type_):
        levels = pa.array(list(vector.levels), type=type_.value_type)
        codes = pa.array(vector.data, mask=mask).cast(type_.index_type)
        return pa.DictionaryArray.from_arrays(codes, levels, ordered=type_.ordered)
    if vector.family == "label":
        levels = pa.array([*vector.levels, None], type=pa.large_string() if type_ == pa.string_view() else type_)
        return levels.take(pa.array(vector.data, mask=mask)).cast(type_)
    if pa.types.is_decimal(type_):
        scaled = np.rint(vector.data.astype(np.float64) * 10.0**type_.scale)
        cells = [None if blank else Decimal(int(v)).scaleb(-type_.scale) for v, blank in zip(scaled, mask, strict=True)]
        return pa.array(cells, type=type_)
    if pa.types.is_integer(type_):
        dtype = np.dtype(type_.to_pandas_dtype())
        return pa.array(whole_numbers(vector.data, dtype), mask=mask)
    if pa.types.is_floating(type_):
        return pa.array(vector.data.astype(type_.to_pandas_dtype()), mask=mask)
    if pa.types.is_time32(type_) or pa.types.is_date32(type_):
        return pa.array(vector.data.astype(np.int32), mask=mask).cast(type_)
    if pa.types.is_date64(type_):
        return pa.array(vector.data.astype(np.int32), mask=mask).cast(pa.date32()).cast(type_)
    return pa.array(vector.data, mask=mask).cast(type_)


def whole_numbers(data: Array, dtype: np.dtype[Any]) -> Array:
    """Data in an integer dtype, at its ends where it would not fit."""
    if data.dtype.kind == "i" and dtype == np.int64:
        return data
    limits = np.iinfo(dtype)
    if data.dtype.kind == "f":
        rounded = np.rint(data)
        inside = np.clip(rounded, float(limits.min), float(limits.max))
        top = rounded >= float(limits.max)
        out: Array = np.where(top, 0, inside).astype(dtype)
        out[top] = limits.max
        return out
    return np.clip(data, max(limits.min, np.iinfo(np.int64).min), min(limits.max, np.iinfo(np.int64).max)).astype(dtype)


def canonical(vector: Vector) -> pa.DataType:
    """The arrow type that suits a column of unknown origin."""
    if vector.family == "label":
        return pa.large_string()
    if vector.family == "boolean":
        return pa.bool_()
    if vector.family == "moment":
        if vector.span == "clock":
            return pa.time64(vector.unit) if vector.unit in ("us", "ns") else pa.time32(vector.unit)
        if vector.span == "duration":
            return pa.duration(vector.unit)
        return pa.date32() if vector.unit == "D" else pa.timestamp(vector.unit)
    return pa.int64() if vector.integer else pa.float64()
