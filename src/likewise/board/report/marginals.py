"""Each column by itself: real and generated in one small drawing."""

from __future__ import annotations

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from likewise.board.report.cells import cut, number, percent, present, shares
from likewise.board.report.data import Floats
from likewise.board.report.drawing import INK, QUIET, REAL, draw, frame
from likewise.board.report.scales import Scale
from likewise.metrics.features import Column

LEVELS = 7
"""How many categories have a bar; the rarest others share one."""

_WIDTH, _HIGH = 176.0, 80.0


def numeric_panel(real: Column, generated: Column, scale: Scale, colour: str, name: str, model: str) -> Markup:
    """A histogram: real values filled, generated ones as a line, with spikes and blanks apart on the left."""
    apart, bins = scale.divide(real)
    apart_generated, bins_generated = scale.divide(generated)

    def paint(figure: Figure) -> None:
        # Each state that stands apart has 27 points of the width.
        left, below = 9 + 27 * len(apart), 17 / _HIGH
        axes = figure.add_axes((left / _WIDTH, below, 1 - (left + 6) / _WIDTH, 0.97 - below))
        _steps(axes, scale, bins, bins_generated, colour)
        if len(apart):
            beside = figure.add_axes((4 / _WIDTH, below, (left - 14) / _WIDTH, 0.97 - below))
            _states(beside, scale, apart, apart_generated, colour)

    alt = f"{real.name} under {model}. Real: {_words(real, scale)}. Generated: {_words(generated, scale)}."
    return draw(paint, _WIDTH, _HIGH, name=name, alt=alt)


def category_panel(real: Column, generated: Column, colour: str, name: str, model: str) -> Markup:
    """Bars: real shares filled, generated ones as a mark."""
    names, real_shares, generated_shares = _pooled(real, generated)

    def paint(figure: Figure) -> None:
        height = 16 * len(names) + 4
        axes = figure.add_axes((0.43, 2 / height, 0.55, 1 - 4 / height))
        places = np.arange(len(names))
        axes.barh(places, real_shares, height=0.62, color=REAL)
        axes.vlines(generated_shares, places - 0.42, places + 0.42, color=colour, linewidth=2.4)
        axes.hlines(places, 0, generated_shares, color=colour, linewidth=1)
        axes.set_xlim(0, max(real_shares.max(), generated_shares.max(), 1e-9) * 1.04)
        axes.set_ylim(len(names) - 0.45, -0.55)
        frame(axes, left=True, bottom=False)
        axes.set_yticks(places, [cut(label, 12) for label in names])

    parts = [
        f"{label}: real {percent(a)}, generated {percent(b)}"
        for label, a, b in zip(names, real_shares, generated_shares, strict=True)
    ]
    return draw(paint, _WIDTH, 16 * len(names) + 4, name=name, alt=f"{real.name} under {model}. {'; '.join(parts)}.")


def _steps(axes: Axes, scale: Scale, real: Floats, generated: Floats, colour: str) -> None:
    heights, heights_generated = real / scale.widths, generated / scale.widths
    axes.stairs(heights, scale.edges, fill=True, color=REAL)
    axes.stairs(heights_generated, scale.edges, color=colour, linewidth=1.5)
    scale.lay(axes)
    axes.set_ylim(0, max(heights.max(), heights_generated.max(), 1e-300) * 1.04)
    frame(axes)


def _states(axes: Axes, scale: Scale, real: Floats, generated: Floats, colour: str) -> None:
    places = np.arange(len(real))
    axes.bar(places, real, width=0.62, color=REAL)
    axes.hlines(generated, places - 0.42, places + 0.42, color=colour, linewidth=2.4)
    axes.vlines(places, 0, generated, color=colour, linewidth=1)
    axes.set_xlim(-0.6, len(real) - 0.4)
    axes.set_ylim(0, 1)
    frame(axes)
    axes.set_xticks(places, [cut(label, 6) for label in scale.states], color=QUIET)
    for place, a, b in zip(places, real, generated, strict=True):
        above = float(max(a, b))
        axes.text(
            float(place),
            above + 0.03 if above < 0.8 else 0.02,
            percent(a),
            ha="center",
            va="bottom",
            color=INK,
            fontsize=8.5,
        )


def _words(column: Column, scale: Scale) -> str:
    values = present(column)
    if len(values) == 0:
        return "nothing but blanks"
    low, middle, high = (number(float(place), scale.unit) for place in np.quantile(values, [0.25, 0.5, 0.75]))
    parts = [f"median {middle}, middle half {low} to {high}"]
    parts += [f"{percent(share)} {state}" for state, share in zip(scale.states, scale.divide(column)[0], strict=True)]
    return ", ".join(parts)


def _pooled(real: Column, generated: Column) -> tuple[list[str], Floats, Floats]:
    """Names and shares of the most frequent real levels, of all others together, and of blanks, where there are any."""
    both = np.array([shares(real), shares(generated)])
    by_share = np.argsort(-both[0, :-1], kind="stable")
    seen = by_share[both[0, by_share] > 0]
    kept = seen if len(seen) <= LEVELS + 1 else seen[:LEVELS]
    rest = np.delete(both[:, :-1], kept, axis=1).sum(1)
    parts = [(real.levels[index], both[:, index]) for index in kept]
    parts += [("all others", rest)] if rest.max() > 0 else []
    parts += [("blank", both[:, -1])] if both[0, -1] > 0 or both[1, -1] > 0 else []
    return [name for name, _ in parts], *np.array([part for _, part in parts]).T
