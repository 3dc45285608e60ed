"""What is not modelled, and what was given, put back into decoded columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from likewise.domains.table.columns import conform
from likewise.domains.table.schema import Facts
from likewise.domains.table.text_dates import to_text
from likewise.domains.table.vectors import Scalar, Vector, from_objects, is_blank, key


def single_values(given: Mapping[str, Any]) -> dict[str, Vector]:
    """The columns of which one value is said, rather than a set, an interval or nothing, as vectors of one row."""
    collections = (list, tuple, set, frozenset, slice, range, np.ndarray)
    found = {}
    for name, said in given.items():
        if not isinstance(said, collections) and not is_blank(said):
            cell = np.empty(1, dtype=object)
            cell[0] = said
            found[str(name)] = from_objects(str(name), cell)
    return found


def lay_over(facts: Facts, made: Vector, said: Vector) -> Vector:
    """The decoded column with the cells of `said` that are not blank in place of its own.

    `said` has a row for each so many rows of `made`.
    """
    said = conform(facts, said).rows(np.repeat(np.arange(len(said)), len(made) // max(len(said), 1)))
    if facts.text_format:
        said = to_text(said, facts.text_format)
    take = ~said.missing
    if made.family != "label":
        data = np.where(take, said.data, made.data).astype(made.data.dtype)
        return replace(made, data=data, missing=made.missing & ~take)
    data = np.where(take, said.data + len(made.levels), made.data)
    levels = made.levels + said.levels
    first: dict[tuple[str, Scalar], int] = {}
    again = np.array([first.setdefault(key(level), i) for i, level in enumerate(levels)] or [0], dtype=np.int64)
    return Vector("label", again[data], made.missing & ~take, levels)


def constant(facts: Facts, size: int) -> Vector:
    """A constant or ignored column: its value, or blanks."""
    blank = np.full(size, not facts.states)
    if facts.family == "label":
        return Vector("label", np.zeros(size, dtype=np.int64), blank, facts.states[:1])
    data = np.full(size, facts.states[0] if facts.states else 0, dtype=facts.dtype)
    made = Vector(facts.family, data, blank, unit=facts.unit, span=facts.span)
    return to_text(made, facts.text_format) if facts.text_format else made
