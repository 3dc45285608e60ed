"""What scikit-learn promises its users about arrays, checked before any domain sees them."""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping, Sequence, Set
from typing import Any

import numpy as np
from scipy.sparse import issparse

from likewise.errors import DataError

_NO_CELLS = (Mapping, Set, list, tuple, np.ndarray)


class CellTypeError(DataError, TypeError):
    """A cell holds something that is no number, string, truth value or date."""


def check_records(records: Any, estimator: Any, *, fitted: bool) -> Any:
    """Records as they were, or an array where they are array-like; frames, tables and paths are the domain's to check.

    Raises
    ------
    DataError
        For sparse or complex data, arrays that are not two-dimensional or hold no sample or feature, cells that are
        containers, and, once fitted, arrays with another number of features.
    """
    if issparse(records):
        raise DataError("Sparse data was passed, but dense data is required: use '.toarray()' to convert it.")
    if not _is_array_like(records):
        return records
    if not isinstance(records, np.ndarray):
        if not _is_ragged(records):
            records = _as_array(records)
        if not isinstance(records, np.ndarray):
            return records
    if records.dtype.names is not None:
        return records
    if records.dtype.kind == "c":
        raise DataError("Complex data not supported: expected numbers, strings, truth values or dates.")
    if records.ndim != 2:
        raise DataError(
            f"Expected 2D array, got {'scalar' if records.ndim == 0 else f'{records.ndim}D'} array instead. "
            "Reshape your data either using array.reshape(-1, 1) if your data has a single feature or "
            "array.reshape(1, -1) if it contains a single sample."
        )
    for size, what in zip(records.shape[::-1], ("feature", "sample"), strict=True):
        if size == 0:
            raise DataError(f"Found array with 0 {what}(s) (shape={records.shape}) while a minimum of 1 is required.")
    if fitted and records.shape[1] != estimator.n_features_in_:
        raise DataError(
            f"X has {records.shape[1]} features, but {type(estimator).__name__} is expecting "
            f"{estimator.n_features_in_} features as input."
        )
    if records.dtype == object:
        _check_cells(records)
    return records


def _is_array_like(records: Any) -> bool:
    """Whether these are arrays or rows of cells, rather than frames, tables, dicts, paths or records by name."""
    if isinstance(records, np.ndarray | numbers.Number | np.generic):
        return True
    if isinstance(records, list | tuple):
        return not (records and isinstance(records[0], Mapping))
    return hasattr(records, "__array__") and not any(
        hasattr(records, name) for name in ("columns", "__arrow_c_stream__", "__dataframe__", "index")
    )


def _is_ragged(records: Any) -> bool:
    if not isinstance(records, list | tuple):
        return False
    lengths = {len(row) if isinstance(row, Sequence) and not isinstance(row, str) else -1 for row in records}
    return len(lengths) > 1


def _as_array(records: Any) -> Any:
    """An array with the cells as they are: texts beside numbers keep both."""
    try:
        array = np.asarray(records)
    except ValueError:  # cells that are lists themselves
        array = np.empty((len(records), len(records[0])), dtype=object)
        for row, cells in enumerate(records):
            array[row] = np.fromiter(cells, dtype=object, count=len(cells))
    return np.array(records, dtype=object) if array.dtype.kind in "US" else array


def _check_cells(records: np.ndarray[Any, np.dtype[Any]]) -> None:
    """Refuses containers in cells; the message is the one that scikit-learn's conversion to numbers has."""
    for column, cells in enumerate(records.T):
        kinds = {type(cell) for cell in cells}
        wrong = next((kind for kind in kinds if issubclass(kind, _NO_CELLS)), None)
        if wrong is not None:
            row = next(i for i, cell in enumerate(cells) if isinstance(cell, wrong))
            raise CellTypeError(
                f"Column {column + 1}, row {row + 1} holds a {wrong.__name__}: every cell's argument must be a string, "
                "a date or a number."
            )


def check_labels(labels: Any, size: int) -> Any:
    """Labels as a column of `size` cells.

    Raises
    ------
    DataError
        When there are more or fewer, they are complex, or they are not one column.
    """
    if isinstance(labels, list | tuple):
        labels = _as_array(labels)
    shape = getattr(labels, "shape", None)
    if shape is not None and len(shape) == 2 and shape[1] == 1:
        labels = labels.reshape(-1) if isinstance(labels, np.ndarray) else labels.iloc[:, 0]
    elif shape is not None and len(shape) != 1:
        raise DataError(f"y should be a 1d array, got an array of shape {tuple(shape)} instead.")
    if getattr(getattr(labels, "dtype", None), "kind", None) == "c":
        raise DataError("Complex data not supported: expected labels that are numbers, strings or truth values.")
    if len(labels) != size:
        raise DataError(
            f"Found input variables with inconsistent numbers of samples: {size} records, {len(labels)} labels."
        )
    return labels


def check_positive(name: str, value: Any, *, zero: bool = False) -> int:
    """A whole number of at least 1 (or 0)."""
    low = 0 if zero else 1
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < low:
        raise DataError(f"{name} must be a whole number of at least {low}, not {value!r}.")
    return int(value)


def check_fraction(name: str, value: Any) -> float:
    """A number in [0, 1)."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or not 0 <= float(value) < 1:
        raise DataError(f"{name} must be at least 0 and below 1, not {value!r}.")
    return float(value)


def check_above_zero(name: str, value: Any) -> float:
    """A finite number above 0."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or not 0 < float(value) < math.inf:
        raise DataError(f"{name} must be a positive number, not {value!r}.")
    return float(value)
