"""How a column was stored, remembered as JSON, and put back: dtypes of pandas, polars, arrow and numpy."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from likewise.domains.table.vectors import (
    Array,
    Vector,
    canonical,
    from_arrow,
    from_numpy,
    from_objects,
    key,
    place,
    to_arrow,
    whole_numbers,
)
from likewise.errors import DataError

Memory = dict[str, Any]

_ARROW = {
    str(t): t
    for t in (
        pa.null(),
        pa.bool_(),
        pa.int8(),
        pa.int16(),
        pa.int32(),
        pa.int64(),
        pa.uint8(),
        pa.uint16(),
        pa.uint32(),
        pa.uint64(),
        pa.float16(),
        pa.float32(),
        pa.float64(),
        pa.string(),
        pa.large_string(),
        pa.string_view(),
        pa.date32(),
        pa.date64(),
        pa.time32("s"),
        pa.time32("ms"),
        pa.time64("us"),
        pa.time64("ns"),
    )
}
_POLARS = frozenset((
    "Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64", "Float32", "Float64", "Boolean",
    "String", "Date", "Time", "Categorical", "Null", "Object"))  # fmt: skip
_UNITS = ("s", "ms", "us", "ns")

# ------------------------------------------------------------------------------------------------------------- arrow


def arrow_memory(type_: pa.DataType) -> Memory:
    """An arrow type as JSON data."""
    if isinstance(type_, pa.BaseExtensionType):
        type_ = type_.storage_type
    if str(type_) in _ARROW:
        return {"type": str(type_)}
    if pa.types.is_timestamp(type_):
        return {"type": "timestamp", "unit": type_.unit, "tz": type_.tz}
    if pa.types.is_duration(type_):
        return {"type": "duration", "unit": type_.unit}
    if pa.types.is_decimal(type_):
        return {"type": "decimal", "precision": type_.precision, "scale": type_.scale}
    if pa.types.is_dictionary(type_):
        index, value = arrow_memory(type_.index_type), arrow_memory(type_.value_type)
        return {"type": "dictionary", "index": index, "value": value, "ordered": bool(type_.ordered)}
    return {"type": str(type_)}


def arrow_type(memory: Mapping[str, Any]) -> pa.DataType:
    """The inverse of `arrow_memory`; ValueError on anything else."""
    name = memory["type"]
    if name in _ARROW:
        return _ARROW[name]
    if name == "timestamp":
        return pa.timestamp(_choice(memory["unit"], _UNITS), None if memory["tz"] is None else str(memory["tz"]))
    if name == "duration":
        return pa.duration(_choice(memory["unit"], _UNITS))
    if name == "decimal":
        precision, scale = int(memory["precision"]), int(memory["scale"])
        return pa.decimal128(precision, scale) if precision <= 38 else pa.decimal256(precision, scale)
    if name == "dictionary":
        return pa.dictionary(arrow_type(memory["index"]), arrow_type(memory["value"]), bool(memory["ordered"]))
    raise ValueError(f"unknown arrow type {name!r}")


def _choice(value: Any, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        raise ValueError(f"{value!r} is not one of {', '.join(allowed)}")
    return str(value)


# ------------------------------------------------------------------------------------------------------------ pandas


def read_pandas(name: str, series: Any) -> tuple[Vector, Memory]:
    """A pandas Series as a vector, and the memory of its dtype."""
    import pandas as pd

    dtype = series.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return _read_categories(name, series)
    if isinstance(dtype, pd.ArrowDtype):
        return from_arrow(name, pa.array(series.array)), {"dtype": "arrow", **arrow_memory(dtype.pyarrow_dtype)}
    if isinstance(dtype, pd.SparseDtype):
        dense, memory = read_pandas(name, series.sparse.to_dense())
        fill = None if dtype.fill_value != dtype.fill_value else np.asarray(dtype.fill_value).item()
        return dense, {"dtype": "sparse", "of": memory, "fill": fill}
    if isinstance(dtype, pd.PeriodDtype):
        missing = series.isna().to_numpy()
        ordinals = np.where(missing, 0, series.array.asi8)
        return Vector("number", ordinals.astype(np.int64), missing), {"dtype": str(dtype)}
    if isinstance(dtype, pd.DatetimeTZDtype):
        return from_numpy(name, series.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy()), {"dtype": str(dtype)}
    if isinstance(dtype, pd.StringDtype):
        text = pa.array(series.array, from_pandas=True)
        return from_arrow(name, text), {"dtype": "str" if dtype.na_value is not pd.NA else "string"}
    if isinstance(dtype, np.dtype) and dtype != np.dtype(object):
        return from_numpy(name, series.to_numpy()), {"dtype": str(dtype)}
    if hasattr(series.array, "_mask"):  # the nullable integers, floats and booleans
        missing = series.isna().to_numpy()
        plain = from_numpy(name, series.to_numpy(dtype=dtype.numpy_dtype, na_value=dtype.numpy_dtype.type(0)))
        return Vector(plain.family, plain.data, missing, precision=plain.precision), {"dtype": str(dtype)}
    objects = series.to_numpy(dtype=object)
    vector = from_objects(name, objects)
    return vector, object_memory(objects, vector.missing)


def object_memory(values: Array, missing: Array) -> Memory:
    """What an object column held: the arrow type of dates, times and decimals, and how it wrote a blank."""
    present = None if missing.all() else values[int(missing.argmin())]
    blank = values[int(missing.argmax())] if missing.any() else None
    memory: Memory = {"dtype": "object", "blank": "nan" if isinstance(blank, float) else "None"}
    if present is not None and not isinstance(present, str | bool | int | float | np.generic):
        with contextlib.suppress(pa.ArrowException, OverflowError):  # a mixture: its cells come back as text
            memory |= {"of": arrow_memory(pa.array(values, from_pandas=True).type)}
    return memory


def _read_categories(name: str, series: Any) -> tuple[Vector, Memory]:
    import pandas as pd

    categories = series.cat.categories
    codes = series.cat.codes.to_numpy().astype(np.int64)
    memory: Memory = {"dtype": "category", "ordered": bool(series.cat.ordered)}
    if isinstance(categories, pd.IntervalIndex):
        if categories.dtype.subtype.kind not in "iuf":
            raise DataError(
                f"{place(name)} has intervals of {categories.dtype.subtype} as categories; turn them into text."
            )
        edges = [[_edge(side) for side in pair] for pair in zip(categories.left, categories.right, strict=True)]
        memory |= {"intervals": edges, "closed": categories.closed}
        levels: tuple[Any, ...] = tuple(str(interval) for interval in categories)
    else:
        held, of = read_pandas(name, categories.to_series())
        memory |= {"of": of, "family": held.family, "unit": held.unit}
        memory["categories"] = held.scalars()
        levels = tuple(str(c) for c in categories) if held.family == "moment" else tuple(held.scalars())
    missing = codes < 0
    return Vector("label", np.where(missing, 0, codes) if missing.any() else codes, missing, levels), memory


def _edge(value: Any) -> float | str:
    """The edge of an interval as JSON data, which knows no infinity."""
    value = np.asarray(value).item()
    return str(value) if value in (math.inf, -math.inf) else value


def write_pandas(vector: Vector, memory: Mapping[str, Any]) -> Any:
    """A pandas Series of the remembered dtype."""
    import pandas as pd

    dtype = memory["dtype"]
    if dtype == "category":
        return pd.Series(_write_categories(vector, memory))
    if dtype == "arrow":
        type_ = arrow_type(memory)
        return pd.Series(pd.array(to_arrow(vector, type_), dtype=pd.ArrowDtype(type_)))
    if dtype == "object":
        return pd.Series(write_objects(vector, memory), dtype=object)
    if dtype == "sparse":
        dense = write_pandas(vector, memory["of"])
        fill = np.nan if memory["fill"] is None else memory["fill"]
        return dense.astype(pd.SparseDtype(dense.dtype, dense.dtype.type(fill)))
    target = pd.api.types.pandas_dtype(dtype)
    if vector.family == "label":
        cells = np.empty(len(vector), dtype=object)
        cells[:] = vector.scalars()
        return pd.Series(cells, dtype=target)
    blank = bool(vector.missing.any())
    if isinstance(target, pd.PeriodDtype):
        ordinals = np.where(vector.missing, np.iinfo(np.int64).min, vector.data)
        return pd.Series(pd.PeriodIndex.from_ordinals(ordinals, freq=target.freq))
    if vector.family == "moment":
        return _write_moments(vector, target)
    numpy = getattr(target, "numpy_dtype", getattr(target, "subtype", target))
    numpy = np.dtype(numpy)
    data = whole_numbers(vector.data, numpy) if numpy.kind in "iu" else vector.data.astype(numpy)
    if numpy.kind == "f":
        data = np.where(vector.missing, np.asarray(np.nan, dtype=numpy), data).astype(numpy)
        return (
            pd.Series(data).astype(target) if not hasattr(target, "numpy_dtype") else _masked(pd, data, vector, target)
        )
    if isinstance(target, np.dtype) and not blank:
        return pd.Series(data)
    if isinstance(target, np.dtype):  # a blank needs the nullable dtype of the same width
        target = pd.api.types.pandas_dtype(
            "boolean" if numpy.kind == "b" else str(numpy).replace("i", "I").replace("u", "U").replace("UI", "UI")
        )
    return _masked(pd, data, vector, target) if hasattr(target, "numpy_dtype") else pd.Series(data).astype(target)


def _masked(pd: Any, data: Array, vector: Vector, target: Any) -> Any:
    return pd.Series(target.construct_array_type()(data, vector.missing.copy()))


def _write_moments(vector: Vector, target: Any) -> Any:
    import pandas as pd

    nat = np.iinfo(np.int64).min
    data = np.where(vector.missing, nat, vector.data)
    if isinstance(target, pd.DatetimeTZDtype):
        return pd.Series(data.view(f"M8[{target.unit}]")).dt.tz_localize("UTC").dt.tz_convert(target.tz)
    return pd.Series(data.view(target))


def _write_categories(vector: Vector, memory: Mapping[str, Any]) -> Any:
    import pandas as pd

    if "intervals" in memory:
        sides = [[float(edge) if isinstance(edge, str) else edge for edge in pair] for pair in memory["intervals"]]
        categories: Any = pd.IntervalIndex.from_tuples([tuple(pair) for pair in sides], closed=memory["closed"])
        names: list[Any] = [str(interval) for interval in categories]
    else:
        held = memory["categories"]
        if memory["family"] == "moment":
            plain = Vector(
                "moment", np.array(held, dtype=np.int64), np.zeros(len(held), dtype=bool), unit=memory["unit"]
            )
        else:
            plain = from_objects("categories", np.array([*held, None], dtype=object)[:-1])
        if plain.family == "label" and memory["of"]["dtype"] not in ("str", "string", "object", "arrow"):
            raise ValueError("categories and their dtype disagree")
        categories = pd.Index(write_pandas(plain, memory["of"]))
        names = [str(c) for c in categories] if memory["family"] == "moment" else list(held)
    at = {key(name): i for i, name in enumerate(names)}
    lookup = np.array([at.get(key(level), -1) for level in vector.levels] or [-1], dtype=np.int64)
    codes = np.where(vector.missing, -1, lookup[np.where(vector.missing, 0, vector.data)])
    return pd.Categorical.from_codes(codes, categories=categories, ordered=bool(memory["ordered"]))


# ----------------------------------------------------------------------------------------------------- polars, arrays


def read_polars(name: str, series: Any) -> tuple[Vector, Memory]:
    """A polars Series as a vector, and the memory of its dtype."""
    import polars as pl

    dtype = series.dtype
    kind = str(dtype.base_type())
    if dtype == pl.Object:
        values = np.empty(len(series), dtype=object)
        values[:] = series.to_list()
        return from_objects(name, values), {"dtype": "Object"}
    memory: Memory = {"dtype": kind}
    if dtype == pl.Enum:
        memory["categories"] = dtype.categories.to_list()
    elif dtype == pl.Datetime:
        memory |= {"unit": dtype.time_unit, "tz": dtype.time_zone}
    elif dtype == pl.Duration:
        memory["unit"] = dtype.time_unit
    elif dtype == pl.Decimal:
        memory |= {"precision": dtype.precision, "scale": dtype.scale}
    return from_arrow(name, series.to_arrow()), memory


def write_polars(name: str, vector: Vector, memory: Mapping[str, Any]) -> Any:
    """A polars Series of the remembered dtype."""
    import polars as pl

    kind = memory["dtype"]
    if kind == "Object":
        return pl.Series(name, vector.scalars(), dtype=pl.Object)
    dtype: Any
    if kind == "Enum":
        dtype = pl.Enum([str(category) for category in memory["categories"]])
    elif kind == "Datetime":
        dtype = pl.Datetime(_choice(memory["unit"], _UNITS), memory["tz"])  # type: ignore[arg-type]
    elif kind == "Duration":
        dtype = pl.Duration(_choice(memory["unit"], _UNITS))  # type: ignore[arg-type]
    elif kind == "Decimal":
        dtype = pl.Decimal(int(memory["precision"]), int(memory["scale"]))
    elif kind in _POLARS:
        dtype = getattr(pl, kind)
    else:
        raise ValueError(f"unknown polars dtype {kind!r}")
    if vector.family == "label":
        levels = pl.Series(name, [None if level is None else str(level) for level in vector.levels], dtype=pl.String)
        codes = pl.Series(name, pa.array(vector.data, mask=vector.missing))
        return (
            levels.gather(codes).alias(name).cast(dtype)
            if len(levels)
            else pl.Series(name, codes).cast(pl.Null).cast(dtype)
        )
    types = {"Datetime": pa.timestamp, "Duration": pa.duration}
    if kind in types:
        column = to_arrow(vector, types[kind](memory["unit"]))
        series = pl.Series(name, column)
        return series.dt.replace_time_zone("UTC").dt.convert_time_zone(memory["tz"]) if memory.get("tz") else series
    if kind == "Decimal":
        column = to_arrow(vector, pa.decimal128(int(memory["precision"] or 38), int(memory["scale"])))
    elif kind == "Time":
        column = to_arrow(vector, pa.time64("ns"))
    elif kind == "Date":
        column = to_arrow(vector, pa.date32())
    else:
        column = to_arrow(
            vector, _ARROW.get(kind.lower().replace("boolean", "bool").replace("float", "float"), canonical(vector))
        )
    return pl.Series(name, column).cast(dtype)


def write_objects(vector: Vector, memory: Mapping[str, Any]) -> Array:
    """An array of Python objects of the remembered types."""
    if "of" in memory and vector.family != "label":
        cells = to_arrow(vector, arrow_type(memory["of"])).to_pylist()
    else:
        cells = vector.scalars()
    if memory["blank"] == "nan":
        cells = [np.nan if cell is None else cell for cell in cells]
    out = np.empty(len(cells), dtype=object)
    out[:] = cells
    return out


def write_numpy(vector: Vector, dtype: np.dtype[Any]) -> Array:
    """A numpy array of the dtype; a blank in a dtype that has none is a DataError of the caller's making."""
    if dtype.kind in "iu":
        return whole_numbers(vector.data, dtype)
    if dtype.kind == "f":
        return np.where(vector.missing, np.nan, vector.data).astype(dtype)
    if dtype.kind in "mM":
        nat = np.iinfo(np.int64).min
        return np.where(vector.missing, nat, vector.data).view(f"{dtype.kind}8[{vector.unit}]").astype(dtype)
    if dtype.kind in "US":
        return np.array(["" if cell is None else str(cell) for cell in vector.scalars()], dtype=dtype)
    return vector.data.astype(dtype)
