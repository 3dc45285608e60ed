"""One column to codes and model units, and back."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from likewise.domains.table.schema import Facts
from likewise.domains.table.text_dates import from_text, to_text
from likewise.domains.table.vectors import Array, Scalar, Vector, has_text, key, place
from likewise.errors import DataError
from likewise.events import Quantised


@dataclass(frozen=True, eq=False)
class Encoded:
    """A column of a batch: int64 codes, float64 values, lower edges and widths, and where the cell was blank."""

    codes: Tensor
    values: Tensor
    lower: Tensor
    width: Tensor
    blank: Tensor


def encode(facts: Facts, vector: Vector) -> Encoded:
    """Codes and model units of a column whose family is that of the facts (see `conform`)."""
    codes = np.zeros(len(vector), dtype=np.int64)
    width = np.ones(len(vector))
    if vector.family == "label":
        codes, width = _label_codes(facts, vector)
    else:
        states = np.array(facts.states, dtype=vector.data.dtype)
        order = np.argsort(states, kind="stable")
        at = np.searchsorted(states[order], vector.data).clip(max=max(len(states) - 1, 0))
        known = states[order][at] == vector.data if len(states) else np.zeros(len(vector), dtype=bool)
        other = 0 if facts.valued else facts.unseen_code or 0
        codes = np.where(known, facts.first_state + (order[at] if len(states) else 0), other)
        if not facts.valued and facts.kind == "boolean" and not known[~vector.missing].all():
            row = int(np.flatnonzero(~known & ~vector.missing)[0])
            raise DataError(f"{place(facts.name, row)} holds {vector.data[row]}; expected one of {list(facts.states)}.")
    blank = vector.missing
    if blank.any():
        missing = facts.missing_code if facts.missing_code is not None else facts.unseen_code
        codes = np.where(blank, -1 if missing is None else missing, codes)
        width = np.where(blank, 1.0, width)
    values, lower = np.zeros(len(vector)), np.zeros(len(vector))
    if facts.valued:
        present = codes == 0
        part = _measure(facts, vector.data[present])
        inside = part[0]
        rows = np.flatnonzero(present)
        codes[rows[~inside]] = facts.codes - 1
        rows = rows[inside]
        values[rows], lower[rows], width[rows] = part[1], part[2], part[3]
    tensors = (
        torch.from_numpy(np.require(part, requirements=["C", "W"])) for part in (codes, values, lower, width, blank)
    )
    return Encoded(*tensors)


def _label_codes(facts: Facts, vector: Vector) -> tuple[Array, Array]:
    """Codes and shares by level, then by row."""
    unseen = facts.unseen_code
    by_level = np.zeros(max(len(vector.levels), 1), dtype=np.int64)
    shares = np.ones(max(len(vector.levels), 1))
    for i, level in enumerate(vector.levels):
        name = key(level)
        if name in facts.code_of:
            by_level[i] = facts.code_of[name]
        elif name in facts.share_of and facts.pool_code is not None:
            by_level[i], shares[i] = facts.pool_code, facts.share_of[name]
        else:
            by_level[i] = -1 if unseen is None else unseen
    return by_level[vector.data], shares[vector.data]


def _measure(facts: Facts, data: Array) -> tuple[Array, Array, Array, Array]:
    """Which values the support holds, and the coordinate, lower edge and width of those."""
    value = facts.value
    assert value is not None
    if isinstance(value, Quantised):
        assert facts.grid is not None
        k = facts.grid.cells(data)
        inside = np.ones(len(k), dtype=bool)
        if value.low is not None:
            inside &= k >= value.low
        if value.high is not None:
            inside &= k <= value.high
        distinct, at = np.unique(k[inside], return_inverse=True)
        centre, lower, width = (part.numpy()[at] for part in value.cells(torch.from_numpy(distinct)))
        return inside, centre, lower, width
    x = data.astype(np.float64)
    inside = (x > value.map.low) & (x < value.map.high)
    points = torch.from_numpy(x[inside])
    z, slope = (part.numpy() for part in value.map.with_derivative(points))
    return inside, z, z, slope


def decode(facts: Facts, codes: Tensor, values: Tensor, generator: torch.Generator) -> Vector:
    """The column of a batch as a vector of the family it came from; blank where missing or never seen."""
    code = codes.cpu().numpy()
    first, count = facts.first_state, len(facts.states)
    stated = (code >= first) & (code < first + count)
    missing = np.zeros(len(code), dtype=bool)
    for blank in (facts.missing_code, facts.unseen_code):
        if blank is not None:
            missing |= code == blank
    if facts.family == "label":
        return _decode_labels(facts, code, missing, generator)
    data: Array = np.zeros(len(code), dtype=facts.dtype)
    if count:
        data[stated] = np.array(facts.states, dtype=facts.dtype)[code[stated] - first]
    if facts.valued:
        present = code == 0
        data[present] = _values(facts, values.detach().cpu().double()[torch.from_numpy(present)])
    made = Vector(facts.family, data, missing, unit=facts.unit, span=facts.span)
    return to_text(made, facts.text_format) if facts.text_format else made


def _decode_labels(facts: Facts, code: Array, missing: Array, generator: torch.Generator) -> Vector:
    data = np.where(missing, 0, code)
    pooled = np.flatnonzero(code == facts.pool_code) if facts.pool_code is not None else np.zeros(0, dtype=np.int64)
    if len(pooled):
        shares = torch.from_numpy(facts.pool_shares)
        drawn = torch.multinomial(shares, len(pooled), replacement=True, generator=generator)
        data[pooled] = len(facts.states) + drawn.numpy()
    return Vector("label", data, missing, facts.states + facts.pool)


def _values(facts: Facts, z: Tensor) -> Array:
    value = facts.value
    assert value is not None
    if isinstance(value, Quantised):
        assert facts.grid is not None
        return facts.grid.values(value.index(z).numpy(), facts.whole)
    x: Array = value.map.inverse(z).numpy()
    if facts.decimals is not None:
        x = np.where(
            np.abs(x) < 2.0**53 / 10.0**facts.decimals, np.rint(x * 10.0**facts.decimals) / 10.0**facts.decimals, x
        )
    x = np.clip(x, np.nextafter(value.map.low, np.inf), np.nextafter(value.map.high, -np.inf))  # open bounds
    if facts.low is not None or facts.high is not None:
        x = np.clip(x, facts.low, facts.high)
    return np.asarray(np.rint(x).astype(np.int64) if facts.whole else x)


def conform(facts: Facts, vector: Vector) -> Vector:
    """The vector in the family of the facts, where its values can be read so; DataError naming the cell otherwise."""
    if vector.missing.all():
        data: Array = np.zeros(len(vector), dtype=facts.dtype)
        return Vector(facts.family, data, vector.missing, facts.states[:1], facts.unit, facts.span)
    if vector.family != facts.family:
        vector = _translate(facts, vector)
    if facts.family == "number" and facts.whole != vector.integer:
        return _retype(facts, vector)
    if facts.family == "moment" and vector.unit != facts.unit:
        return _rescale(facts, vector)
    return vector


def _translate(facts: Facts, vector: Vector) -> Vector:
    expected = {"number": "a number", "boolean": "true or false", "moment": "a date or a time", "label": "a text"}
    if facts.family == "label":
        kinds = {key(state)[0] for state in (*facts.states, *facts.pool)}
        levels, data = np.unique(vector.data, return_inverse=True)
        if vector.family in ("number", "boolean") and ("b" if vector.family == "boolean" else "n") in kinds:
            return Vector("label", data.astype(np.int64), vector.missing, tuple(levels.tolist()))
    elif (
        facts.family == "boolean" and vector.family == "number" and np.isin(vector.data[~vector.missing], (0, 1)).all()
    ):
        return Vector("boolean", vector.data.astype(bool), vector.missing)
    elif facts.family == "number" and vector.family == "boolean":
        return Vector("number", vector.data.astype(np.int64), vector.missing)
    elif vector.family == "label":
        made = _from_labels(facts, vector)
        if made is not None:
            return made
    row, cell = next((i, cell) for i, cell in enumerate(vector.scalars()) if cell is not None and _odd(facts, cell))
    raise DataError(f"{place(facts.name, row)} holds {cell!r}; expected {expected[facts.family]} as in training.")


def _odd(facts: Facts, cell: Scalar) -> bool:
    """Whether a cell is not of the family."""
    if facts.family == "number":
        return isinstance(cell, str)
    return True


def _from_labels(facts: Facts, vector: Vector) -> Vector | None:
    """Labels that are numbers or dates after all (a column of mixed types, dates as text); None where they are not."""
    if facts.family == "number" and not any(isinstance(level, str) for level in vector.levels):
        return Vector("number", np.array(vector.levels, dtype=np.float64)[vector.data], vector.missing)
    if facts.family == "moment" and has_text(vector):
        if facts.text_format:
            return from_text(vector, facts.text_format)
        try:
            moments = np.array([np.datetime64(str(level)) for level in vector.levels]).astype(f"M8[{facts.unit}]")
        except ValueError:
            return None
        return Vector("moment", moments.astype(np.int64)[vector.data], vector.missing, unit=facts.unit)
    return None


def _retype(facts: Facts, vector: Vector) -> Vector:
    if not facts.whole:
        return Vector("number", vector.data.astype(np.float64), vector.missing)
    # A fraction among whole numbers counts as the whole number whose cell it falls in.
    data = np.rint(np.clip(vector.data, -9.2e18, 9.2e18)).astype(np.int64)
    return Vector("number", data, vector.missing)


def _rescale(facts: Facts, vector: Vector) -> Vector:
    per_second = {"D": 1 / 86400, "s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
    ratio = per_second[facts.unit] / per_second[vector.unit]
    finer = ratio >= 1
    data = vector.data * round(ratio) if finer else np.floor_divide(vector.data, round(1 / ratio))
    return replace(vector, data=data, unit=facts.unit)
