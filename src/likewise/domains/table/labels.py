"""Labels: what stands beside the records, one or several to a record."""

from __future__ import annotations

from typing import Any

import numpy as np

from likewise.domains.table.sources import Source, read
from likewise.domains.table.vectors import from_numpy, from_objects
from likewise.errors import DataError


def read_labels(labels: Any, size: int) -> Source:
    """Labels of `size` records: a list, array or Series of one each, or a table of several; "label" where unnamed."""
    plain = isinstance(labels, list | tuple) or (isinstance(labels, np.ndarray) and labels.ndim == 1)
    source = _read_array(labels) if plain and not _structured(labels) else read(labels)
    if source.names == ("x0",):
        source = Source(("label",), source.vectors, source.memory, source.notes)
    if len(source) != size:
        raise DataError(f"There are {len(source)} labels and {size} records; expected as many.")
    return source


def _structured(labels: Any) -> bool:
    return isinstance(labels, np.ndarray) and labels.dtype.names is not None


def _read_array(labels: Any) -> Source:
    """One label each, remembered as an array of its dtype."""
    if isinstance(labels, np.ndarray):
        array = labels
    else:
        array = np.empty(len(labels), dtype=object)
        array[:] = list(labels)
    vector = from_objects("label", array) if array.dtype == object else from_numpy("label", array)
    dtypes = [{"dtype": array.dtype.str, "blank": "None"}]
    return Source(("label",), (vector,), {"container": "vector", "names": ["label"], "dtypes": dtypes})
