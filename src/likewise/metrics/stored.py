"""Frozen dataclasses of plain data as JSON, and back by their annotations."""

from __future__ import annotations

import math
import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, Union, get_args, get_origin, get_type_hints

import numpy as np

DIGITS = 6
"""Significant digits of the numbers in arrays."""


def stored(value: Any) -> Any:
    """JSON data of a dataclass whose fields are numbers, texts, arrays, tuples, mappings and such dataclasses.

    Numbers that JSON does not have are texts.

    Examples
    --------
    >>> from likewise.metrics.interval import Interval
    >>> stored(Interval(0.5, 0.25, math.inf))
    {'value': 0.5, 'low': 0.25, 'high': 'inf'}
    """
    if is_dataclass(value):
        return {field.name: stored(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, np.ndarray):
        return [float(f"{x:.{DIGITS}g}") for x in value.tolist()] if value.dtype.kind == "f" else value.tolist()
    if isinstance(value, Mapping):
        return {name: stored(part) for name, part in value.items()}
    if isinstance(value, tuple):
        return [stored(part) for part in value]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else str(float(value))
    return value


def restored(kind: Any, plain: Any) -> Any:
    """The inverse of `stored` for a value of an annotated type; ValueError, KeyError or TypeError where it is not one.

    Examples
    --------
    >>> from likewise.metrics.interval import Interval
    >>> restored(Interval, {"value": 0.5, "low": 0.25, "high": "inf"})
    Interval(value=0.5, low=0.25, high=inf)
    """
    origin = get_origin(kind)
    if is_dataclass(kind):
        hints = get_type_hints(kind)
        if not isinstance(plain, Mapping) or set(plain) != set(hints):
            raise ValueError(f"not a stored {getattr(kind, '__name__', kind)}")
        return kind(**{name: restored(hint, plain[name]) for name, hint in hints.items()})  # type: ignore[operator]
    if origin in (types.UnionType, Union):
        return (
            None if plain is None else restored(next(part for part in get_args(kind) if part is not type(None)), plain)
        )
    if origin is tuple:
        if not isinstance(plain, list):
            raise TypeError("expected a list")
        parts = get_args(kind)
        if parts[-1] is Ellipsis:
            return tuple(restored(parts[0], part) for part in plain)
        return tuple(restored(part, value) for part, value in zip(parts, plain, strict=True))
    if origin is not None and issubclass(origin, Mapping):
        if not isinstance(plain, Mapping):
            raise TypeError("expected a mapping")
        return {str(name): restored(get_args(kind)[1], part) for name, part in plain.items()}
    if origin is np.ndarray:
        return np.array(plain, dtype=np.int64 if all(isinstance(x, int) for x in plain) else np.float64)
    if kind is float:
        return float(plain)
    if not isinstance(plain, kind) or (kind is int and isinstance(plain, bool)):
        raise TypeError(f"expected {kind.__name__}")
    return plain
