"""Facts as JSON data and tensors, and back without trust."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from likewise.domains.table.grids import EXACT, Grid
from likewise.domains.table.identifiers import Identifier
from likewise.domains.table.schema import KINDS, Facts
from likewise.domains.table.text_dates import FORMATS
from likewise.mathematics.monotone import MonotoneMap

_FAMILIES = ("number", "boolean", "label", "moment")
_PLAIN = (
    "name", "kind", "family", "whole", "unit", "span", "missing", "missing_share", "distinct", "reserved", "decimals",
    "low", "high", "text_format", "closed",
)  # fmt: skip


def facts_state(facts: Facts, prefix: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Facts as JSON data, and their arrays as tensors whose names start with `prefix`."""
    state: dict[str, Any] = {name: getattr(facts, name) for name in _PLAIN}
    state |= {name: list(getattr(facts, name)) for name in ("states", "pool", "warnings")}
    state["limits"] = None if facts.limits is None else list(facts.limits)
    state["grid"] = None if facts.grid is None else dict(facts.grid.__dict__)
    state["identifier"] = None if facts.identifier is None else facts.identifier.state()
    tensors = {}
    if facts.pool:
        tensors[f"{prefix}.pool_shares"] = torch.from_numpy(facts.pool_shares)
    state["map"] = None
    if facts.map is not None:
        state["map"] = [None if math.isinf(bound) else bound for bound in (facts.map.low, facts.map.high)]
        tensors |= {f"{prefix}.{part}": getattr(facts.map, part) for part in ("x", "z", "slope")}
    return state, tensors


def restore_facts(state: Mapping[str, Any], tensors: Mapping[str, Tensor], prefix: str) -> Facts:
    """The inverse of `facts_state`; ValueError, KeyError or TypeError on anything it did not write."""
    _require(isinstance(state, Mapping), "facts are no mapping")
    state = {"closed": False, **state}  # files older than this have none
    _require(isinstance(state["name"], str), "a column has no name")
    _require(state["kind"] in KINDS and state["family"] in _FAMILIES, "a column is of an unknown kind")
    _require(
        all(isinstance(state[name], bool) for name in ("whole", "missing", "closed")),
        "a flag is neither true nor false",
    )
    _require(state["unit"] in ("", "D", "s", "ms", "us", "ns"), "unknown unit")
    _require(state["text_format"] in ("", *FORMATS), "unknown format of dates")
    _require(state["span"] in ("", "clock", "duration"), "unknown span")
    _require(isinstance(state["distinct"], int), "a count is no whole number")
    for name in ("missing_share", "reserved"):
        _require(
            0.0 <= _real(state[name]) < 1.0 or (name == "missing_share" and state[name] == 1), f"{name} is no share"
        )
    decimals = state["decimals"]
    _require(decimals is None or (isinstance(decimals, int) and 0 <= decimals <= 20), "decimals are out of range")
    for name in ("low", "high"):
        _require(state[name] is None or math.isfinite(_real(state[name])), f"{name} is no number")
    states, pool = (_scalars(state[name], state) for name in ("states", "pool"))
    shares = np.zeros(0)
    if pool:
        shares = _vector(tensors, f"{prefix}.pool_shares", len(pool)).numpy()
        _require(bool((shares > 0).all()) and abs(float(shares.sum()) - 1.0) < 1e-6, "shares do not sum to one")
    limits = state["limits"]
    if limits is not None:
        _require(isinstance(limits, list) and len(limits) == 2, "limits are no pair")
        limits = (_real(limits[0]), _real(limits[1]))
    mapped = None if state["map"] is None else _map(state["map"], tensors, prefix)
    valued = state["kind"] in ("real", "quantised", "datetime")
    _require(valued == (mapped is not None), "a value without a map, or a map without a value")
    _require(not mapped or state["family"] in ("number", "moment"), "a map of something that is no number")
    _require(state["kind"] != "identifier" or state["identifier"] is not None, "an identifier without a pattern")
    facts = Facts(
        **{name: state[name] for name in _PLAIN},
        states=states,
        pool=pool,
        pool_shares=shares,
        warnings=tuple(str(warning) for warning in state["warnings"]),
        limits=limits,
        grid=None if state["grid"] is None else _grid(state["grid"]),
        identifier=None if state["identifier"] is None else Identifier.restore(state["identifier"]),
        map=mapped,
    )
    _require(len(facts.code_of) == len(states) and len(facts.share_of) == len(pool), "a state appears twice")
    _require(not facts.closed or facts.kind == "categorical", "a closed column is not categorical")
    _require(facts.codes > 0 or not facts.modelled, "a column without states")
    return facts


def _require(fact: bool, otherwise: str) -> None:
    if not fact:
        raise ValueError(otherwise)


def _real(value: Any) -> float | int:
    _require(isinstance(value, int | float) and not isinstance(value, bool), f"{value!r} is no number")
    return value  # type: ignore[no-any-return]


def _scalars(values: Any, state: Mapping[str, Any]) -> tuple[Any, ...]:
    _require(isinstance(values, list), "states are no list")
    kind: Any = str | int | float | bool
    if state["family"] in ("number", "moment"):
        kind = int if state["whole"] else float
    elif state["family"] == "boolean":
        kind = bool
    for value in values:
        _require(isinstance(value, kind), f"the state {value!r} is of another type than its column")
        _require(not isinstance(value, int) or -(2**63) <= value < 2**63, "a state is out of range")
        _require(not isinstance(value, float) or math.isfinite(value), "a state is not finite")
    return tuple(values)


def _vector(tensors: Mapping[str, Tensor], name: str, size: int | None = None) -> Tensor:
    tensor = tensors[name]
    _require(tensor.dtype == torch.float64 and tensor.ndim == 1 and len(tensor) > 0, f"{name} is no float64 vector")
    _require(size is None or len(tensor) == size, f"{name} has {len(tensor)} numbers")
    _require(bool(torch.isfinite(tensor).all()), f"{name} is not finite")
    return tensor


def _map(bounds: Any, tensors: Mapping[str, Tensor], prefix: str) -> MonotoneMap:
    _require(isinstance(bounds, list) and len(bounds) == 2, "bounds are no pair")
    low = -math.inf if bounds[0] is None else float(_real(bounds[0]))
    high = math.inf if bounds[1] is None else float(_real(bounds[1]))
    x = _vector(tensors, f"{prefix}.x")
    z, slope = (_vector(tensors, f"{prefix}.{part}", len(x)) for part in ("z", "slope"))
    _require(
        bool((x.diff() > 0).all()) and bool((z.diff() > 0).all()) and bool((slope > 0).all()), "a map does not rise"
    )
    _require(low < float(x[0]) and float(x[-1]) < high, "a map leaves its bounds")
    return MonotoneMap(x, z, slope, low, high)


def _grid(state: Any) -> Grid:
    origin, step, decimals, relative = (state[name] for name in ("origin", "step", "decimals", "relative"))
    whole = all(isinstance(part, int) and not isinstance(part, bool) for part in (origin, step, decimals))
    _require(whole and isinstance(relative, bool), "a grid is not of whole numbers")
    _require(step > 0 and abs(origin) < 2**63 and 0 <= decimals <= 20 and step < 2**63, "a grid is out of range")
    _require(relative or abs(origin) < EXACT, "a grid is out of range")
    return Grid(origin, step, decimals, relative)
