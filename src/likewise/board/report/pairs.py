"""Two columns together: a mirror of all associations, and single pairs as they lie."""

from __future__ import annotations

from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from likewise.board.report.cells import cut, shares
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

_SIDE = 190.0


def mirror(real: Floats, generated: Floats, names: list[str], colour: str, name: str, model: str) -> Markup:
    """Associations: below the diagonal those of real records, above it the generated ones; faithful is symmetric."""
    size = len(names)
    off = ~np.eye(size, dtype=bool)
    error = float(np.abs(real - generated)[off].mean()) if size > 1 else 0.0

    def paint(figure: Figure) -> None:
        margin = 52 / (_SIDE + 60)
        axes = figure.add_axes((margin, 0.01, 0.98 - margin, 0.98 - margin))
        for values, below, paper in ((real, True, INK), (generated, False, colour)):
            shade = np.ceil(np.clip(values, 0, 1) * SHADES).astype(int)
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
        letters = 9
        places = np.arange(size) + 0.5
        axes.set_yticks(places, [cut(one, letters) for one in names], fontsize=7)
        axes.xaxis.tick_top()
        axes.set_xticks(places, [cut(one, letters) for one in names], fontsize=7, rotation=90)
        for side in axes.spines.values():
            side.set_visible(False)

    alt = (
        f"Associations of {size} columns, real below the diagonal, {model} above; they differ by {error:.2f} on average"
    )
    if size > 1:
        i, j = np.unravel_index(np.abs(real - generated).argmax(), real.shape)
        alt += f", most for {names[i]} and {names[j]}: real {real[i, j]:.2f}, generated {generated[i, j]:.2f}"
    return draw(paint, _SIDE + 60, _SIDE + 60, name=name, alt=alt + ".")


def pair_panel(x: Column, y: Column, ruled: tuple[Ruled, Ruled], colour: str, name: str, whose: str) -> Markup:
    """Records as dots on two columns, or as squares as large as their share where both are categories."""

    def paint(figure: Figure) -> None:
        axes = figure.add_axes((0.24, 0.2, 0.74, 0.77))
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
            dots(axes, places[0][inside], places[1][inside], colour, 2.4, 0.55)
        for rule, axis in zip(ruled, "xy", strict=True):
            if rule.scale is not None:
                rule.scale.lay(axes, axis)
            else:
                _lay_levels(axes, rule.real, axis)
        axes.spines["left"].set_visible(True)
        axes.set_xlabel(cut(x.name, 28))
        axes.set_ylabel(cut(y.name, 24))

    return draw(paint, _SIDE, _SIDE * 0.86, name=name, alt=f"{y.name} against {x.name}: {whose}.")


def _kept(real: Column) -> Codes:
    """The most frequent levels, in their own order."""
    return np.sort(np.argsort(-shares(real)[:-1], kind="stable")[:LEVELS])


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
    names = [cut(real.levels[index], 7) for index in kept]
    if axis == "x":
        axes.set_xlim(-0.5, len(kept) - 0.5)
        axes.set_xticks(np.arange(len(kept)), names, rotation=30 if len(kept) > 3 else 0)
    else:
        axes.set_ylim(-0.5, len(kept) - 0.5)
        axes.set_yticks(np.arange(len(kept)), names)
