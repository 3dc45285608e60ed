"""Records of any kind become columns free of their library, with a memory of the kind that went in."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import pyarrow as pa
import pyarrow.parquet

from likewise.datasets import BUNDLED, load
from likewise.domains.table.dtypes import (
    Memory,
    arrow_memory,
    arrow_type,
    object_memory,
    read_pandas,
    read_polars,
    write_numpy,
    write_objects,
    write_pandas,
    write_polars,
)
from likewise.domains.table.text_files import read_text_file
from likewise.domains.table.vectors import Array, Vector, from_arrow, from_numpy, from_objects, place, to_arrow
from likewise.errors import DataError


@dataclass(frozen=True, eq=False)
class Source:
    """Records, read: names and columns, the kind of thing they came from, and what was found out in reading them.

    `memory` is JSON data: the container, the original names, and a dtype for each column.
    """

    names: tuple[str, ...]
    vectors: tuple[Vector, ...]
    memory: Memory
    notes: tuple[str, ...] = ()
    markers: Mapping[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.vectors[0])

    def vector(self, name: str) -> Vector:
        return self.vectors[self.names.index(name)]

    def rows(self, index: Array) -> Source:
        """The records at these positions."""
        return replace(self, vectors=tuple(vector.rows(index) for vector in self.vectors))


def read(
    records: Any,
    *,
    names: Sequence[str] | None = None,
    missing_markers: Collection[str] | None = None,
    text_columns: Collection[str] = (),
) -> Source:
    """Reads data frames, arrow tables, arrays, lists of dicts, dicts of lists, paths, and names of bundled sets.

    Raises
    ------
    DataError
        One sentence naming the column and the first row that cannot be used, and what was expected.

    Examples
    --------
    >>> source = read({"a": [1, 2], "b": ["x", None]})
    >>> source.names, source.vector("b").scalars()
    (('a', 'b'), ['x', None])
    """
    if isinstance(records, Source):
        return records
    if isinstance(records, str | os.PathLike):
        return _read_path(records, names, missing_markers, text_columns)
    depend = nw.dependencies
    if depend.is_pandas_dataframe(records) or depend.is_pandas_series(records):
        return _read_pandas(records)
    if depend.is_polars_lazyframe(records):
        return _read_polars(records.collect(), "polars lazy")
    if depend.is_polars_dataframe(records):
        return _read_polars(records, "polars")
    if depend.is_pyarrow_table(records) or isinstance(records, pa.RecordBatch):
        return _read_arrow(pa.table(records))
    if isinstance(records, np.ndarray):
        return _read_array(records, names)
    if isinstance(records, Mapping):
        return _read_columns(records)
    if hasattr(records, "toarray") and hasattr(records, "nnz"):
        raise DataError("Sparse matrices are not supported: pass a dense array, such as records.toarray().")
    if hasattr(records, "__arrow_c_stream__"):
        return _read_arrow(pa.table(records))
    if isinstance(records, list | tuple):
        return _read_list(records, names)
    if hasattr(records, "__dataframe__") or hasattr(records, "__narwhals_dataframe__"):
        return _read_arrow(nw.from_native(records, eager_only=True).to_arrow())
    if hasattr(records, "__array__"):
        return _read_array(np.asarray(records), names)
    raise DataError(
        f"Records of type {type(records).__name__} are not supported; expected a data frame, an array, an arrow table, "
        "a list of dicts, a dict of lists, a path, or the name of a bundled set."
    )


def write(memory: Mapping[str, Any], vectors: Sequence[Vector]) -> Any:
    """The inverse of `read`: records of the remembered kind, names and dtypes."""
    kind, names, dtypes = memory["container"], memory["names"], memory["dtypes"]
    if kind in ("pandas", "pandas series"):
        import pandas as pd

        series = [write_pandas(vector, dtype) for vector, dtype in zip(vectors, dtypes, strict=True)]
        frame = pd.concat(series, axis=1) if series else pd.DataFrame()
        frame.columns = pd.Index(names)
        return frame if kind == "pandas" else frame.iloc[:, 0].rename(names[0] if memory.get("named") else None)
    if kind in ("polars", "polars lazy"):
        import polars as pl

        columns = [write_polars(str(n), v, d) for n, v, d in zip(names, vectors, dtypes, strict=True)]
        made = pl.DataFrame(columns)
        return made.lazy() if kind == "polars lazy" else made
    if kind == "arrow":
        arrays = [to_arrow(vector, arrow_type(dtype)) for vector, dtype in zip(vectors, dtypes, strict=True)]
        return pa.table(arrays, names=[str(name) for name in names])
    if kind in ("array", "structured"):
        return _write_array(kind, names, vectors, dtypes)
    if kind == "vector":
        return _write_array("array", names, vectors, dtypes)[:, 0]
    cells = [write_objects(vector, dtype).tolist() for vector, dtype in zip(vectors, dtypes, strict=True)]
    if kind == "columns":
        return dict(zip(names, cells, strict=True))
    if kind == "rows":
        return [dict(zip(names, row, strict=True)) for row in zip(*cells, strict=True)]
    raise ValueError(f"unknown container {kind!r}")


_CONTAINERS = (
    "pandas", "pandas series", "polars", "polars lazy", "arrow", "array", "structured", "columns", "rows", "vector",
)  # fmt: skip


def check_memory(memory: Any, vectors: Sequence[Vector]) -> None:
    """ValueError, KeyError or TypeError where `memory` cannot put such columns back; they may be empty."""
    names, dtypes = memory["names"], memory["dtypes"]
    if memory["container"] not in _CONTAINERS or not isinstance(names, list) or not isinstance(dtypes, list):
        raise ValueError("the memory of the records is not as written")
    if len(names) != len(vectors) or len(dtypes) != len(vectors):
        raise ValueError("the memory of the records is of other columns")
    if not all(isinstance(dtype, dict) for dtype in dtypes):
        raise TypeError("a dtype is not as written")
    if not all(isinstance(name, str | int | float | bool) for name in names):
        raise TypeError("a name is neither text nor a number")
    try:
        write(memory, vectors)
    except ImportError:
        pass  # the library that the records came from is not installed here; decoding will say so
    except (ValueError, KeyError, TypeError):
        raise
    except Exception as error:
        raise ValueError(f"the memory of the records is not as written: {error}") from None


def _source(container: str, names: Sequence[Any], read: Sequence[tuple[Vector, Memory]], **memory: Any) -> Source:
    texts = tuple(str(name) for name in names)
    if not texts:
        raise DataError("The records have no columns (0 feature(s)) while a minimum of 1 is required.")
    for i, name in enumerate(texts):
        if name in texts[:i]:
            raise DataError(
                f"Two columns are called {name!r} ({texts.index(name) + 1} and {i + 1}); expected one of each."
            )
    kept = [name if isinstance(name, str | int | float | bool) else str(name) for name in names]
    remembered = {"container": container, "names": kept, "dtypes": [dtype for _, dtype in read], **memory}
    return Source(texts, tuple(vector for vector, _ in read), remembered)


# -------------------------------------------------------------------------------------------------- frames and tables


def _read_pandas(records: Any) -> Source:
    if nw.dependencies.is_pandas_series(records):
        name = "x0" if records.name is None else records.name
        return _source("pandas series", [name], [read_pandas(str(name), records)], named=records.name is not None)
    if records.columns.nlevels > 1:
        raise DataError("The columns have several levels (a MultiIndex); expected one name for each column.")
    names = [name.item() if isinstance(name, np.generic) else name for name in records.columns]
    _unique([str(name) for name in names])
    columns = [read_pandas(str(name), records.iloc[:, i]) for i, name in enumerate(names)]
    return _source("pandas", names, columns)


def _unique(names: Sequence[str]) -> None:
    if len(set(names)) < len(names):
        _source("", names, [])


def _read_polars(frame: Any, kind: str) -> Source:
    return _source(kind, frame.columns, [read_polars(name, frame[name]) for name in frame.columns])


def _read_arrow(table: pa.Table) -> Source:
    _unique(table.column_names)
    columns = [(from_arrow(n, c), arrow_memory(c.type)) for n, c in zip(table.column_names, table.columns, strict=True)]
    return _source("arrow", table.column_names, columns)


def _read_columns(records: Mapping[Any, Any]) -> Source:
    columns = []
    length: tuple[str, int] | None = None
    for name, values in records.items():
        if isinstance(values, str | bytes | Mapping) or not hasattr(values, "__len__"):
            raise DataError(
                f"{place(str(name))} is a {type(values).__name__}; expected a list with a value for each row."
            )
        array = values if isinstance(values, np.ndarray) and values.ndim == 1 else _objects(list(values))
        if length is not None and len(array) != length[1]:
            raise DataError(
                f"{place(str(name))} has {len(array)} rows and {length[0]!r} has {length[1]}; expected as many."
            )
        length = length or (str(name), len(array))
        vector = from_numpy(str(name), array)
        columns.append((vector, object_memory(array.astype(object), vector.missing)))
    return _source("columns", list(records), columns)


def _objects(values: Sequence[Any]) -> Array:
    out = np.empty(len(values), dtype=object)
    out[:] = values
    return out


# ---------------------------------------------------------------------------------------------------- arrays and lists


def _read_list(records: Sequence[Any], names: Sequence[str] | None) -> Source:
    if not records:
        raise DataError("The list of records is empty; expected at least one.")
    if isinstance(records[0], Mapping):
        keys: dict[Any, None] = {}
        for i, row in enumerate(records):
            if not isinstance(row, Mapping):
                raise DataError(f"Row {i + 1} is a {type(row).__name__}; expected a dict like the first row.")
            keys.update(dict.fromkeys(row))
        columns = []
        for name in keys:
            cells = _objects([row.get(name) for row in records])
            vector = from_objects(str(name), cells)
            columns.append((vector, object_memory(cells, vector.missing)))
        return _source("rows", list(keys), columns)
    widths = [len(row) if isinstance(row, list | tuple | np.ndarray) else -1 for row in records]
    for i, width in enumerate(widths):
        if width != widths[0]:
            raise DataError(f"Row {i + 1} has {width} values; expected {widths[0]} like the first row.")
    if any(isinstance(cell, str) for row in records if isinstance(row, list | tuple) for cell in row):
        table = np.empty((len(records), widths[0]), dtype=object)
        for i, row in enumerate(records):
            table[i] = _objects(list(row))
        return _read_array(table, names)
    return _read_array(np.asarray(records), names)


def _read_array(array: Array, names: Sequence[str] | None) -> Source:
    if array.dtype.names is not None and array.ndim == 1:
        fields = list(array.dtype.names)
        vectors = [from_numpy(f, array[f]) for f in fields]
        columns = [
            (vector, {"dtype": array.dtype[f].str, **_blank(array[f], vector)})
            for f, vector in zip(fields, vectors, strict=True)
        ]
        return _source("structured", fields, columns)
    if array.ndim != 2:
        raise DataError(
            f"Expected 2D array, got {array.ndim}D array instead, of shape {array.shape}. Reshape your data using "
            "array.reshape(-1, 1) for one column or array.reshape(1, -1) for one record."
        )
    if names is not None and len(names) != array.shape[1]:
        raise DataError(
            f"names= gives {len(names)} names and the array has {array.shape[1]} columns; expected as many."
        )
    if not array.shape[1]:
        raise DataError(f"The array has 0 feature(s) (shape={array.shape}) while a minimum of 1 is required.")
    titles = [f"x{i}" for i in range(array.shape[1])] if names is None else list(names)
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        for title, column in zip(titles, array.T, strict=True):
            from_numpy(title, column)  # an infinite value is reported before anything is copied
    vectors = [from_numpy(title, array[:, i]) for i, title in enumerate(titles)]
    columns = [(vector, {"dtype": array.dtype.str, **_blank(array[:, i], vector)}) for i, vector in enumerate(vectors)]
    return _source("array", titles, columns)


def _blank(column: Array, vector: Vector) -> Memory:
    return object_memory(column, vector.missing) if column.dtype == object else {}


def _write_array(kind: str, names: Sequence[Any], vectors: Sequence[Vector], dtypes: Sequence[Memory]) -> Array:
    columns = []
    for vector, memory in zip(vectors, dtypes, strict=True):
        objects = memory["dtype"] in ("object", "|O")
        dtype = np.dtype(object if objects else memory["dtype"])
        if vector.missing.any() and dtype.kind in "iub":
            dtype = np.dtype(np.float64)  # no integer is a blank
            vector = Vector("number", vector.data.astype(np.float64), vector.missing)
        columns.append(write_objects(vector, memory) if objects else write_numpy(vector, dtype))
    if kind == "structured":
        out = np.empty(len(columns[0]), dtype=[(str(n), c.dtype) for n, c in zip(names, columns, strict=True)])
        for name, column in zip(names, columns, strict=True):
            out[str(name)] = column
        return out
    return np.column_stack(columns)


# --------------------------------------------------------------------------------------------------------- files, sets


def _read_path(
    given: str | os.PathLike[str],
    names: Sequence[str] | None,
    missing_markers: Collection[str] | None,
    text_columns: Collection[str],
) -> Source:
    path = Path(given)
    if isinstance(given, str) and given in BUNDLED and not path.exists():
        return _read_pandas(load(given))
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise DataError(f"The file {str(given)!r} {what}; expected a file or one of {', '.join(BUNDLED)}.")
    if path.suffix.lower() in (".parquet", ".pq"):
        return _read_parquet(path)
    table = read_text_file(path, names, missing_markers, text_columns)
    made = _source("pandas", table.names, list(zip(table.vectors, table.memory, strict=True)))
    return Source(made.names, made.vectors, made.memory, tuple(table.notes), table.markers)


def _read_parquet(path: Path) -> Source:
    try:
        table = pa.parquet.ParquetFile(path).read()
        _unique(table.column_names)
        for name, column in zip(table.column_names, table.columns, strict=True):
            from_arrow(name, column)  # what arrow calls an unsupported value is better said of the column
        frame = table.to_pandas()
    except (pa.ArrowException, OSError, OverflowError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        text = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"The file {path.name!r} cannot be read as Parquet: {text.rstrip('.')}.") from None
    return _read_pandas(frame.reset_index() if frame.index.name is not None else frame)
