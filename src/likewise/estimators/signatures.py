"""The signature is the schema: whether JSON data fit the annotations of a constructor."""

from __future__ import annotations

import math
import types
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints


def misfit(cls: type, values: Mapping[str, Any]) -> str | None:
    """The name of a value that the constructor of `cls` does not declare, or declares otherwise; None where all fit.

    Examples
    --------
    >>> class Model:
    ...     def __init__(self, width: int, order: Literal["any", "fixed"], rates: list[float] | None): ...
    >>> misfit(Model, {"width": 4, "order": "any", "rates": [0.1, 1]}) is None
    True
    >>> misfit(Model, {"width": 4.0}), misfit(Model, {"order": "none"}), misfit(Model, {"depth": 1})
    ('width', 'order', 'depth')
    """
    hints = _hints(cls)
    for name, value in values.items():
        if name not in hints or not fits(value, hints[name]):
            return name
    return None


@cache
def _hints(cls: type) -> dict[str, Any]:
    return get_type_hints(cls.__init__)  # type: ignore[misc]


def fits(value: Any, hint: Any) -> bool:
    """Whether JSON data are of the type that an annotation says; tuples and sequences are lists in JSON."""
    if hint is Any:
        return True
    origin, parts = get_origin(hint), get_args(hint)
    if origin is Literal:
        return any(value == part and type(value) is type(part) for part in parts)
    if origin in (Union, types.UnionType):
        return any(fits(value, part) for part in parts)
    if origin in (list, tuple, Sequence) or hint in (list, tuple, Sequence):
        if not isinstance(value, list):
            return False
        if origin is tuple and parts and parts[-1] is not ...:
            return len(value) == len(parts) and all(map(fits, value, parts))
        return not parts or all(fits(part, parts[0]) for part in value)
    if origin in (dict, Mapping) or hint in (dict, Mapping):
        return isinstance(value, dict) and (not parts or all(fits(part, parts[1]) for part in value.values()))
    if hint in (None, type(None)):
        return value is None
    if hint is float:
        return type(value) in (int, float) and math.isfinite(value)
    return hint in (int, str, bool) and type(value) is hint
