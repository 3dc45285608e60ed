"""How models learned."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from likewise.board.report.cells import number
from likewise.board.report.data import Curve, Floats
from likewise.board.report.drawing import INK, QUIET, draw

_DASHES: tuple[Any, ...] = ((None, None), (4, 2), (1, 1.5))


class _Line(NamedTuple):
    label: str
    values: Floats
    colour: str
    dashes: Any


def learning(curve: Curve, colour: str, name: str, model: str) -> Markup:
    """Losses and validation figure by step: on one axis for one player, one above the other for several."""
    losses = [
        _Line(player if len(curve.losses) > 1 else "loss", values, QUIET, _DASHES[index % 3])
        for index, (player, values) in enumerate(curve.losses.items())
    ]
    held_out = [_Line("held out", curve.figure, colour, _DASHES[0])] if np.isfinite(curve.figure).any() else []
    panels = [part for part in ([losses, held_out] if len(losses) > 1 else [losses + held_out]) if part]
    height = 190.0 if len(panels) == 1 else 250.0

    def paint(figure: Figure) -> None:
        tall = (1 - 34 / height) / len(panels)
        for index, lines in enumerate(panels):
            bottom = 34 / height + (len(panels) - 1 - index) * tall
            axes = figure.add_axes((0.14, bottom + 0.02, 0.68, tall - 0.05))
            _plot(axes, curve, lines, (tall - 0.05) * height)
            if index == len(panels) - 1:
                axes.set_xlabel("step")
            else:
                axes.set_xticklabels([])

    known = curve.figure[np.isfinite(curve.figure)]
    alt = f"{model} over {number(float(curve.steps[-1]))} steps"
    if len(known):
        alt += f": the figure on held-out records went from {number(float(known[0]))} to {number(float(known.min()))}"
    return draw(paint, 320, height, name=name, alt=alt + ".")


def _plot(axes: Axes, curve: Curve, lines: list[_Line], points: float) -> None:
    """Lines over steps in an axes of this height, each with its label at its end."""
    ends = []
    for line in lines:
        measured = np.isfinite(line.values)
        steps, values = curve.steps[measured], line.values[measured]
        axes.plot(steps, values, color=line.colour, linewidth=1 if line.colour == QUIET else 1.8, dashes=line.dashes)
        if len(values):
            ends.append((float(values[-1]), line.label))
        if line.values is curve.figure and curve.best_step is not None and len(steps):
            at = int(np.abs(steps - curve.best_step).argmin())
            axes.plot([steps[at]], [values[at]], "o", color=line.colour, markersize=6)
    axes.set_xlim(0, float(curve.steps[-1]))
    low, high = _range([line.values for line in lines])
    axes.set_ylim(low, high)
    for place, label in _apart(ends, (high - low) * 12 / points, low):
        axes.text(1.02, (place - low) / (high - low), label, transform=axes.transAxes, va="center", color=INK)
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.yaxis.set_major_locator(MaxNLocator(4))


def _range(series: list[Floats]) -> tuple[float, float]:
    """What the curves reach, without the first steep fall."""
    known = np.concatenate([values[np.isfinite(values)] for values in series])
    later = np.concatenate([values[np.isfinite(values)][len(values) // 50 :] for values in series])
    if len(known) == 0:
        return 0.0, 1.0
    low, high = float(known.min()), float(np.quantile(later if len(later) else known, 0.985))
    room = 0.08 * max(high - low, 1e-9 + 1e-6 * abs(high))
    return low - room, high + room


def _apart(ends: list[tuple[float, str]], gap: float, low: float) -> list[tuple[float, str]]:
    """Labels at the ends of lines, from the highest, at least `gap` from each other, none below `low`."""
    placed: list[tuple[float, str]] = []
    for left, (place, label) in zip(reversed(range(len(ends))), sorted(ends, reverse=True), strict=True):
        highest = placed[-1][0] - gap if placed else place
        placed.append((min(max(place, low + left * gap), max(highest, low + left * gap)), label))
    return placed
