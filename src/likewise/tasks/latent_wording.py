"""A latent report as text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from likewise.metrics.interval import Interval
from likewise.metrics.probes import Probe

if TYPE_CHECKING:
    from likewise.tasks.representation import LatentReport

SHOWN, MOVED = 24, 4
"""Coordinates, and probes, that the text shows; columns that are named as moved by a coordinate."""

NOTICEABLE = 0.02
"""A smaller effect is not worth a word."""


def text(report: LatentReport) -> str:
    """The report for people to read."""
    distance = report.prior_distance
    size = f"{len(report.coordinates)} latents of {report.family}, {report.active} active (variance above 0.01)"
    lines = [
        f"{size}, told by {report.records:,} records",
        f"energy distance to the prior: {_between(distance)}; 0 where they are alike",
        "",
        *_coordinates(report),
        "",
        f"linear probes, tested on {report.tested:,} records: from latents, and from {beside(report)}",
    ]
    if report.labels:
        said = "the model learned from them" if report.labels_learned else "the model never saw them"
        lines += [f"  labels ({said})", *_probes(report.labels)]
    lines += ["  columns (parts of the record that is encoded: what is kept, and how plainly)", *_probes(report.probes)]
    lines += [f"  {name}: no probe, {why}" for name, why in report.reasons.items()]
    return "\n".join(line.rstrip() for line in lines)


def _coordinates(report: LatentReport) -> list[str]:
    """A line a coordinate, those that move most first: its statistics and the columns that it moves."""
    order = np.argsort(-report.effects.sum(1), kind="stable")
    rows = [["latent", "mean", "deviation", "skew", "moves, by one deviation"]]
    for i in order[:SHOWN]:
        one = report.coordinates[i]
        moved = [j for j in np.argsort(-report.effects[i], kind="stable") if report.effects[i, j] >= NOTICEABLE]
        told = ", ".join(f"{report.columns[j]} {amount(report.effects[i, j], report.kinds[j])}" for j in moved[:MOVED])
        rest = f" and {len(moved) - MOVED} more" if len(moved) > MOVED else ""
        name = one.name if one.active else f"{one.name} (idle)"
        rows.append([name, f"{one.mean:.2f}", f"{one.deviation:.2f}", f"{one.skew:.2f}", told + rest or "nothing"])
    left_out = len(order) - len(rows) + 1
    return [*_aligned(rows), *([f"and {left_out} more"] if left_out else [])]


def beside(report: LatentReport) -> str:
    """The principal components that latents are held against, in words."""
    if report.whole:
        return f"all {report.components} principal components, which hold the whole record"
    return f"as many principal components ({report.components})"


def amount(effect: float, kind: str) -> str:
    """An effect in words: a share of categories, or standard deviations of a number.

    Examples
    --------
    >>> amount(0.31, "category"), amount(0.42, "number")
    ('31%', '0.42 sd')
    """
    return f"{effect:.0%}" if kind == "category" else f"{effect:.2f} sd"


def _probes(probes: Sequence[Probe]) -> list[str]:
    if not probes:
        return ["  none"]
    rows = [["  column", "measure", "latents", "components", "gain", "baseline"]]
    for one in probes[:SHOWN]:
        figures = [_between(one.latents), _between(one.components), _between(one.gain), f"{one.baseline:.3f}"]
        rows.append([f"  {one.column}", one.measure, *figures])
    left_out = len(probes) - len(rows) + 1
    return [*_aligned(rows), *([f"  and {left_out} more"] if left_out else [])]


def _between(found: Interval) -> str:
    return f"{found.value:.3f} [{found.low:.3f}, {found.high:.3f}]"


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
