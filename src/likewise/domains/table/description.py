"""The learned schema as rows of plain data, for people to read."""

from __future__ import annotations

from typing import Any

from likewise.domains.table.evidence import written
from likewise.domains.table.schema import Facts
from likewise.domains.table.vectors import Scalar

SHOWN = 6
"""How many categories or atoms are shown of many."""


def describe(facts: Facts, role: str = "column") -> dict[str, Any]:
    """One column: name, role, kind, range, step, categories, atoms, distinct, missing (a share) and warnings.

    `range` and `step` are texts, "" where there is none; `categories` and `atoms` are lists of texts, the first few of
    many; `distinct` counts the different values in training.
    """
    return {
        "name": facts.name,
        "role": role,
        "kind": facts.kind,
        "range": _range(facts),
        "step": _step(facts),
        "categories": [] if facts.valued else _few(facts, facts.states),
        "atoms": _few(facts, facts.states) if facts.valued else [],
        "distinct": facts.distinct,
        "missing": facts.missing_share,
        "warnings": list(facts.warnings),
    }


def _few(facts: Facts, states: tuple[Scalar, ...]) -> list[str]:
    shown = [_state(facts, state) for state in states[:SHOWN]]
    rest = len(states) + len(facts.pool) - len(shown)
    return [*shown, f"and {rest} more"] if rest > 0 else shown


def _state(facts: Facts, state: Scalar) -> str:
    if facts.family == "moment" and isinstance(state, int):
        return written(facts, state)
    return f"{state:.6g}" if isinstance(state, float) else str(state)


def _range(facts: Facts) -> str:
    if facts.limits is None:
        return ""
    low, high = (_state(facts, limit) for limit in facts.limits)
    return f"{low} to {high}"


def _step(facts: Facts) -> str:
    """The step of the grid, of moments in the largest unit that divides it."""
    if facts.grid is None:
        return "" if facts.decimals is None else f"{facts.decimals} decimals"
    if facts.family != "moment":
        return f"{facts.grid.step / facts.grid.scale:g}"
    ticks = {"D": 86_400 * 10**9, "s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}[facts.unit] * facts.grid.step
    for name, size in (("day", 86_400 * 10**9), ("hour", 3_600 * 10**9), ("minute", 60 * 10**9), ("second", 10**9)):
        if ticks % size == 0:
            return f"{ticks // size} {name}" + ("s" if ticks > size else "")
    return f"{ticks / 10**9:g} seconds"
