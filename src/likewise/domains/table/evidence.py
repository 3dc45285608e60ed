"""From the user's words about a column, a value, a set or an interval, to codes and cells."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np
import torch

from likewise.domains.table.columns import Encoded, conform, encode
from likewise.domains.table.schema import Facts
from likewise.domains.table.vectors import Array, Vector, from_objects, is_blank, key, place
from likewise.errors import DataError
from likewise.events import Quantised, Restriction, State
from likewise.mathematics.monotone import EDGE

_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


@dataclass(frozen=True)
class Interval:
    """All values from `low` to `high`, both included; None where it has no end."""

    low: Any = None
    high: Any = None


def parts(given: Any) -> list[Any]:
    """The points and intervals of what is given: a tuple of two is an interval, other collections are sets."""
    if isinstance(given, slice):
        if given.step is not None:
            raise DataError("A slice with a step is no interval; give a set of values instead.")
        return [Interval(given.start, given.stop)]
    if isinstance(given, tuple):
        if len(given) != 2:
            raise DataError(f"{given!r} is no interval (low, high); give a set of values as a list.")
        return [Interval(*given)]
    if isinstance(given, str | bytes) or not isinstance(given, Iterable):
        return [given]
    found: list[Any] = []
    for part in given:
        found.extend(parts(part) if isinstance(part, tuple) else [part])
    if not found:
        raise DataError("An empty set allows nothing; give at least one value.")
    return found


def understand(facts: Facts, given: Any) -> Encoded | Restriction:
    """One row: an observed state where `given` is a single value, else the restriction to a set.

    A set may hold None, which stands for *observed to be missing*.
    """
    pieces = parts(given)
    if len(pieces) == 1 and not isinstance(pieces[0], Interval):
        if is_blank(pieces[0]):
            if facts.missing_code is None:
                raise DataError(f"{place(facts.name)} was never missing in training, so it cannot be given as missing.")
            return encode(facts, conform(facts, _vector(facts, None)))
        return _point(facts, pieces[0])
    codes = torch.zeros(1, facts.codes, dtype=torch.bool)
    spans: list[tuple[float, float]] = []
    for piece in pieces:
        _allow(facts, piece, codes, spans)
    if facts.valued:
        codes[0, 0] = bool(spans)
    if not codes.any():
        raise DataError(f"{place(facts.name)} has no value within {given!r}; {_known(facts)}.")
    merged = _merge(spans) or [(1.0, -1.0)]
    return Restriction(codes, torch.tensor([merged], dtype=torch.float64))


def label_of(facts: Facts, state: State) -> Any:
    """What the user calls a state: a value, an interval (low, high) with None for an open end, or None for *missing*.

    `understand` makes of it the same state again, but for rare texts that share a code.
    """
    if state.low is not None and state.high is not None:
        return _interval_of(facts, state.low, state.high)
    if state.code == facts.missing_code:
        return None
    if state.code == facts.pool_code:
        return f"any of {len(facts.pool)} rare texts"
    value = facts.states[state.code - facts.first_state]
    return written(facts, value) if facts.family == "moment" else value  # type: ignore[arg-type]


def _interval_of(facts: Facts, low: float, high: float) -> Any:
    value = facts.value
    assert value is not None
    ends: list[Any] = [None, None]
    if isinstance(value, Quantised):
        assert facts.grid is not None
        cells = value.index(torch.tensor([low + 1e-9, high - 1e-9], dtype=torch.float64)).numpy()
        # A cell belongs to the side on which its centre lies.
        centres = value.cells(torch.from_numpy(cells))[0]
        cells = cells + np.array([centres[0] < low, -int(centres[1] > high)])
        ends = [
            None if abs(z) >= EDGE else x
            for z, x in zip((low, high), facts.grid.values(cells, facts.whole).tolist(), strict=True)
        ]
        if ends[0] is not None and ends[0] == ends[1]:
            return written(facts, ends[0]) if facts.family == "moment" else ends[0]
    else:
        x = value.map.inverse(torch.tensor([low, high], dtype=torch.float64)).tolist()
        ends = [None if abs(z) >= EDGE else end for z, end in zip((low, high), x, strict=True)]
    if facts.family == "moment":
        ends = [None if end is None else written(facts, end) for end in ends]
    return tuple(ends)


def _allow(facts: Facts, piece: Any, codes: torch.Tensor, spans: list[tuple[float, float]]) -> None:
    if isinstance(piece, Interval):
        low, high = _edges(facts, piece)
        for state, code in zip(facts.states, range(facts.first_state, facts.codes), strict=False):
            codes[0, code] |= bool(low <= state <= high)
        if facts.valued:
            spans.extend(_span(facts, low, high))
        return
    if is_blank(piece):
        if facts.missing_code is None:
            raise DataError(f"{place(facts.name)} was never missing in training, so it cannot be given as missing.")
        codes[0, facts.missing_code] = True
        return
    found = _point(facts, piece)
    code = int(found.codes[0])
    if facts.valued and code == 0:
        if not isinstance(facts.value, Quantised):
            raise DataError(
                f"{place(facts.name)} is continuous, so a set of points has probability zero; give an interval such as "
                f"({piece} - 0.1, {piece} + 0.1)."
            )
        spans.append((float(found.lower[0]), float(found.lower[0] + found.width[0])))
    elif facts.pool and code == facts.pool_code:
        raise DataError(
            f"{place(facts.name)}: {piece!r} is one of the rare texts that share a code; it can be given alone only."
        )
    else:
        codes[0, code] = True


def _edges(facts: Facts, piece: Interval) -> tuple[Any, Any]:
    if facts.family in ("label", "boolean"):
        raise DataError(f"{place(facts.name)} has no order, so an interval says nothing; give a list of its values.")
    low = -math.inf if is_blank(piece.low) else _number(facts, piece.low)
    high = math.inf if is_blank(piece.high) else _number(facts, piece.high)
    if low > high:
        raise DataError(
            f"{place(facts.name)}: the interval from {piece.low} to {piece.high} is empty; expected low <= high."
        )
    return low, high


def _span(facts: Facts, low: Any, high: Any) -> list[tuple[float, float]]:
    """The interval in model units: whole cells of a grid; none where it holds no value."""
    value = facts.value
    if isinstance(value, Quantised):
        assert facts.grid is not None
        first = -(2**50) if low == -math.inf else math.ceil(facts.grid.position(low) - Fraction(1, 10**9))
        last = 2**50 if high == math.inf else math.floor(facts.grid.position(high) + Fraction(1, 10**9))
        first = first if value.low is None else max(first, value.low)
        last = last if value.high is None else min(last, value.high)
        if first > last:
            return []
        _, lower, width = value.cells(torch.tensor([first, last], dtype=torch.int64).clamp(-(2**50), 2**50))
        below = -EDGE if low == -math.inf else float(lower[0])
        above = EDGE if high == math.inf else float(lower[1] + width[1])
        return [(below, above)]
    assert value is not None
    low, high = max(float(low), value.map.low), min(float(high), value.map.high)
    if not low < high:
        if low == high and low not in facts.states:
            raise DataError(
                f"{place(facts.name)} is continuous, so the point {low} alone has probability zero; widen the interval."
            )
        return []
    ends = torch.tensor([low if math.isfinite(low) else 0.0, high if math.isfinite(high) else 0.0], dtype=torch.float64)
    z = value.map.forward(ends)
    return [(-EDGE if low == -math.inf else float(z[0]), EDGE if high == math.inf else float(z[1]))]


def _merge(spans: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Disjoint intervals, ascending; cells that touch become one."""
    merged: list[tuple[float, float]] = []
    for low, high in sorted(spans):
        if merged and low <= merged[-1][1] + 1e-12:
            merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
        else:
            merged.append((low, high))
    return merged


def _point(facts: Facts, given: Any) -> Encoded:
    """A single value as an observed state."""
    if facts.family == "label" and isinstance(given, str) and key(given) in facts.code_of:
        return _stated(facts.code_of[key(given)])
    if facts.family in ("number", "moment"):
        number = _number(facts, given)
        if facts.valued and facts.grid is not None and number not in facts.states:
            position = facts.grid.position(number)
            if abs(position - round(position)) > Fraction(1, 10**6):
                raise DataError(
                    f"{place(facts.name)} never takes the value {given}; {_known(facts)}; give an interval."
                )
        data = np.array([number]).astype(np.int64 if facts.whole else np.float64)
        vector = Vector(facts.family, data, np.zeros(1, dtype=bool), unit=facts.unit)
    else:
        vector = conform(facts, _vector(facts, given))
    found = encode(facts, vector)
    code = int(found.codes[0])
    if code < 0 or code == facts.unseen_code:
        raise DataError(f"{place(facts.name)} never takes the value {given!r}; {_known(facts)}.")
    return found


@lru_cache(maxsize=1024)
def _stated(code: int) -> Encoded:
    """One cell with a code and no value; not to be written into."""
    zero = torch.zeros(1, dtype=torch.float64)
    return Encoded(torch.tensor([code]), zero, zero, torch.ones(1, dtype=torch.float64), torch.tensor([False]))


def _vector(facts: Facts, given: Any) -> Vector:
    cell: Array = np.empty(1, dtype=object)
    cell[0] = given
    return from_objects(facts.name, cell)


def _known(facts: Facts) -> str:
    """What the column does take, in words."""
    if facts.family == "label" or not facts.valued:
        shown = ", ".join(repr(state) for state in facts.states[:8])
        return f"expected one of {shown}" + (" and others" if len(facts.states) > 8 or facts.pool else "")
    assert facts.limits is not None
    low, high = facts.limits
    if facts.family == "moment":
        return f"expected dates from {written(facts, low)} to {written(facts, high)}"
    grid = f" in steps of {facts.grid.step / facts.grid.scale:g}" if facts.grid is not None else ""
    return f"expected numbers from {low:g} to {high:g}{grid}"


def _number(facts: Facts, given: Any) -> Any:
    """A number, or a moment in the units of the column."""
    if facts.family == "moment":
        return moment(facts, given)
    if isinstance(given, np.generic):
        given = given.item()
    if isinstance(given, str):
        try:
            given = float(given) if not given.lstrip("+-").isdigit() else int(given)
        except ValueError:
            raise DataError(f"{place(facts.name)} holds numbers, and {given!r} was given; {_known(facts)}.") from None
    try:
        number = given if isinstance(given, int) else float(given)
    except (TypeError, ValueError):
        raise DataError(f"{place(facts.name)} holds numbers, and {given!r} was given; {_known(facts)}.") from None
    return int(number) if isinstance(number, float) and number.is_integer() else number


def moment(facts: Facts, given: Any) -> int:
    """A date, a time or a text of one, in the units of the column since 1970 or midnight."""
    try:
        if isinstance(given, dt.time):
            since = dt.timedelta(
                hours=given.hour, minutes=given.minute, seconds=given.second, microseconds=given.microsecond
            )
            return _in_units(facts, Fraction(since // dt.timedelta(microseconds=1), 10**6))
        if isinstance(given, str) and ":" in given and "-" not in given:
            return moment(facts, dt.time.fromisoformat(given))
        if isinstance(given, dt.timedelta | np.timedelta64):
            return int(np.timedelta64(given).astype(f"m8[{facts.unit}]").astype(np.int64))
        if isinstance(given, str):
            given = dt.datetime.fromisoformat(given)
        if isinstance(given, dt.datetime) and given.tzinfo is not None:
            given = given.astimezone(dt.UTC).replace(tzinfo=None)
        return int(np.datetime64(given).astype(f"M8[{facts.unit}]").astype(np.int64))
    except (ValueError, TypeError, OverflowError):
        raise DataError(
            f"{place(facts.name)} holds dates, and {given!r} was given; expected such as '2020-01-31'."
        ) from None


def _in_units(facts: Facts, seconds: Fraction) -> int:
    return int(seconds * _PER_SECOND.get(facts.unit, 1))


def written(facts: Facts, units: float | int) -> str:
    """A moment of the column as text."""
    if facts.span == "duration":
        return str(np.array(int(units)).astype(f"m8[{facts.unit}]"))
    text = str(np.array(int(units)).astype(f"M8[{facts.unit}]"))
    return text.split("T")[-1] if facts.span == "clock" else text
