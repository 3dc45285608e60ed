"""Two columns together: a mirror of all associations, and single pairs as they lie."""

from __future__ import annotations

from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from likewise.board.report.cells import cut, fold, shares
from likewise.board.report.data import Floats
from likewise.board.report.drawing import INK, QUIET, dots, draw, frame, tiles
from likewise.board.report.scales import Ruled
from likewise.metrics.features import Column

Codes = np.ndarray[Any, np.dtype[np.int64]]

DOTS = 500
"""Records that a pair's drawing shows."""

LEVELS = 6
"""Categories that a pair's drawing tells apart."""

SHADES = 12
"""Steps of darkness of the mirror."""

_MIRROR, _SIDE = 250.0, 170.0


def mirror(real: Floats, generated: Floats, names: list[str], colour: str, name: str, model: str) -> Markup:
    """Associations: below the diagonal those of real records, above it the generated ones; faithful is symmetric."""
    size = len(names)
    off = ~np.eye(size, dtype=bool)
    error = float(np.abs(real - generated)[off].mean()) if size > 1 else 0.0

    size_of = 9 if size <= 13 else 8
    labels = [fold(name, 14) for name in names]
    margin = (4 + 0.62 * size_of * max(map(len, labels))) / _MIRROR

    def paint(figure: Figure) -> None:
        axes = figure.add_axes((margin, 0.01, 0.98 - margin, 0.98 - margin))
        for values, below, paper in ((real, True, INK), (generated, False, colour)):
            shade = np.round(np.clip(values, 0, 1) * SHADES).astype(int)
            for level in range(1, SHADES + 1):
                cells = [
                    (j + 0.04, i + 0.04, 0.92, 0.92)
                    for i in range(size)
                    for j in range(size)
                    if i != j and (i > j) == below and shade[i, j] == level
                ]
                tiles(axes, cells, paper, level / SHADES)
        axes.plot([0, size], [0, size], color=QUIET, linewidth=0.8)
        axes.set_xlim(0, size)
        axes.set_ylim(size, 0)
        frame(axes, bottom=False)
        places = np.arange(size) + 0.5
        axes.set_yticks(places, labels, fontsize=size_of)
        axes.set_xticks([])
        for place, label in zip(places, labels, strict=True):
            axes.text(
                place, -0.15, label, rotation=90, rotation_mode="anchor", va="center", color=QUIET, fontsize=size_of
            )
        for side in axes.spines.values():
            side.set_visible(False)

    alt = (
        f"Associations of {size} columns, real below the diagonal, {model} above; they differ by {error:.2f} on average"
    )
    if size > 1:
        i, j = np.unravel_index(np.abs(real - generated).argmax(), real.shape)
        alt += f", most for {names[i]} and {names[j]}: real {real[i, j]:.2f}, generated {generated[i, j]:.2f}"
    return draw(paint, _MIRROR, _MIRROR, name=name, alt=alt + ".")


def pair_panel(x: Column, y: Column, ruled: tuple[Ruled, Ruled], colour: str, name: str, whose: str) -> Markup:
    """Records as dots on two columns, or as squares as large as their share where both are categories."""

    slanted = ruled[0].scale is None and len(_kept(ruled[0].real)) > 3
    below = 58.0 if slanted else 32.0
    height = below + _SIDE * 0.66

    def paint(figure: Figure) -> None:
        axes = figure.add_axes((0.29, below / height, 0.7, 1 - (below + 3) / height))
        rng = np.random.default_rng(0)
        known = ~x.missing & ~y.missing
        if x.kind == y.kind == "category":
            _squares(axes, x, y, ruled, colour)
        else:
            rows = rng.permutation(np.flatnonzero(known))[:DOTS]
            places = [_place(column, rule.real, rows, rng) for column, rule in zip((x, y), ruled, strict=True)]
            inside = np.ones(len(rows), bool)
            for place, rule in zip(places, ruled, strict=True):
                if rule.scale is not None:
                    inside &= (place >= rule.scale.edges[0]) & (place <= rule.scale.edges[-1])
            dots(axes, places[0][inside], places[1][inside], colour, 2.4, 0.7)
        for rule, axis in zip(ruled, "xy", strict=True):
            if rule.scale is not None:
                rule.scale.lay(axes, axis)
            else:
                _lay_levels(axes, rule.real, axis)
        axes.spines["left"].set_visible(True)
        axes.text(
            0.99, 3 / height, fold(x.name, 24), transform=figure.transFigure, ha="right", va="bottom", color=QUIET
        )
        axes.text(0.0, 0.5, fold(y.name, 20), transform=figure.transFigure, va="center", rotation=90, color=QUIET)

    return draw(paint, _SIDE, height, name=name, alt=f"{y.name} against {x.name}: {whose}.")


def _kept(real: Column) -> Codes:
    """The most frequent levels, in their own order."""
    frequency = shares(real)[:-1]
    kept = np.argsort(-frequency, kind="stable")[:LEVELS]
    return np.sort(kept[frequency[kept] > 0])


def _place(column: Column, real: Column, rows: Codes, rng: np.random.Generator) -> Floats:
    """Where rows lie along an axis; levels are spread a little, and those not told apart lie nowhere."""
    if column.kind == "number":
        return np.asarray(column.values[rows], np.float64)
    place = np.full(len(column.levels), np.nan)
    place[_kept(real)] = np.arange(len(_kept(real)))
    return np.asarray(place[column.values[rows].astype(np.int64)] + rng.uniform(-0.28, 0.28, len(rows)))


def _squares(axes: Axes, x: Column, y: Column, ruled: tuple[Ruled, Ruled], colour: str) -> None:
    """One square a pair of levels, its area the share of records."""
    across, up = _kept(ruled[0].real), _kept(ruled[1].real)
    table = np.array([[np.mean((x.values == a) & (y.values == b)) for a in across] for b in up])
    sides = np.sqrt(table / 0.35).clip(0, 1) * 0.94
    cells = [
        (j - sides[i, j] / 2, i - sides[i, j] / 2, sides[i, j], sides[i, j])
        for i in range(len(up))
        for j in range(len(across))
        if sides[i, j] > 0.02
    ]
    tiles(axes, cells, colour, 0.85)


def _lay_levels(axes: Axes, real: Column, axis: str) -> None:
    kept = _kept(real)
    names = [cut(real.levels[index], 8) for index in kept]
    if axis == "x":
        axes.set_xlim(-0.5, len(kept) - 0.5)
        axes.set_xticks(np.arange(len(kept)), names)
        if len(kept) > 3:
            axes.tick_params("x", rotation=40)
            for label in axes.get_xticklabels():
                label.set(ha="right", rotation_mode="anchor")
    else:
        axes.set_ylim(-0.5, len(kept) - 0.5)
        axes.set_yticks(np.arange(len(kept)), names)
