"""Edges and tiers as people write them, by the names or numbers of columns."""

from __future__ import annotations

from typing import Any

from likewise.events import Event


def edge_of(event: Event, edge: Any) -> list[int]:
    """An edge (parent, child) by numbers."""
    if not isinstance(edge, list | tuple) or len(edge) != 2:
        raise ValueError(f"An edge is a pair (parent, child); {edge!r} is none.")
    ends = [_column(event, end) for end in edge]
    if ends[0] == ends[1]:
        raise ValueError(f"An edge joins two columns; {edge!r} does not.")
    return ends


def tier_of(event: Event, tier: Any) -> list[int]:
    """A tier by the numbers of its columns."""
    if not isinstance(tier, list | tuple) or not tier:
        raise ValueError(f"A tier is a list of columns; {tier!r} is none.")
    return [_column(event, column) for column in tier]


def _column(event: Event, column: Any) -> int:
    if isinstance(column, str):
        try:
            return event.index(column)
        except KeyError:
            raise ValueError(f"There is no column {column!r} for an edge or a tier.") from None
    if type(column) is not int or not 0 <= column < len(event):
        raise ValueError(f"An edge or a tier has columns by name or number; {column!r} is none.")
    return column
