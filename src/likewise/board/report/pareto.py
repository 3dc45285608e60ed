"""Score against time."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from likewise.board.report.cells import number
from likewise.board.report.drawing import INK, QUIET, RULE, draw

_WIDTH, _HEIGHT = 400.0, 270.0

_REACH = (-0.03, 1.06)
"""From where to where score is drawn."""


@dataclass(frozen=True)
class Mark:
    """One model in the picture."""

    model: str
    colour: str
    seconds: float
    score: float
    low: float
    high: float


def pareto(marks: Sequence[Mark], lines: Sequence[tuple[str, float]], what: str, name: str) -> Markup:
    """Score against seconds: marks with their intervals, the frontier, and a line for each reference row."""
    front = [marks[index] for index in frontier([m.seconds for m in marks], [m.score for m in marks])]

    def paint(figure: Figure) -> None:
        axes = figure.add_axes((0.07, 0.09, 0.75, 0.9))
        left, right = _span(marks)
        axes.set_xscale("log")
        axes.set_xlim(left, right)
        axes.set_ylim(*_REACH)
        for label, level in lines:
            axes.axhline(level, color=QUIET, linewidth=0.9, dashes=(4, 3))
            axes.text(1.01, level, label, transform=axes.get_yaxis_transform(), color=QUIET, fontsize=10, va="center")
        axes.step(
            [*(mark.seconds for mark in front), right],
            [*(mark.score for mark in front), front[-1].score],
            where="post",
            color=RULE,
            linewidth=1.4,
        )
        for mark in marks:
            axes.vlines(mark.seconds, mark.low, mark.high, color=mark.colour, linewidth=1.8)
            axes.plot([mark.seconds], [mark.score], "o", color=mark.colour, markersize=8)
        _label(axes, marks, [level for _, level in lines])
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 3.0) if right / left < 300 else (1.0,)))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda seconds, _: duration(seconds)))
        axes.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0", "", ".5", "", "1"])
        axes.tick_params(labelsize=10)
        axes.grid(axis="y", color=RULE, linewidth=0.6)
        axes.spines["left"].set_visible(False)

    parts = [f"{mark.model} {mark.score:.2f} in {duration(mark.seconds)}" for mark in marks]
    alt = f"Score against {what}: {'; '.join(parts)}. On the frontier: "
    return draw(paint, _WIDTH, _HEIGHT, name=name, alt=alt + ", ".join(mark.model for mark in front) + ".")


def frontier(seconds: Sequence[float], score: Sequence[float]) -> list[int]:
    """The positions of those that no other beats in both, from the fastest on.

    Examples
    --------
    >>> frontier([1.0, 2.0, 3.0, 4.0], [0.2, 0.5, 0.4, 0.9])
    [0, 1, 3]
    """
    found: list[int] = []
    for index in sorted(range(len(seconds)), key=lambda i: (seconds[i], -score[i])):
        if not found or score[index] > score[found[-1]]:
            found.append(index)
    return found


def duration(seconds: float) -> str:
    """A time for people to read.

    Examples
    --------
    >>> duration(0.0312), duration(4.27), duration(75), duration(5400), duration(300)
    ('31 ms', '4.3 s', '1 min 15 s', '1.5 h', '5 min')
    """
    if seconds < 0.9995:
        return f"{number(float(f'{1000 * seconds:.2g}'))} ms"
    if seconds < 59.5:
        return f"{number(float(f'{seconds:.2g}'))} s"
    if seconds < 3570:
        minutes, rest = divmod(round(seconds), 60)
        return f"{minutes} min" + (f" {rest} s" if rest and minutes < 10 else "")
    return f"{number(float(f'{seconds / 3600:.2g}'))} h"


def _span(marks: Sequence[Mark]) -> tuple[float, float]:
    """The range of time to show, at least a factor of ten and with room at both ends."""
    powers = np.log10([max(mark.seconds, 1e-4) for mark in marks])
    middle, half = (powers.min() + powers.max()) / 2, max((powers.max() - powers.min()) * 0.62, 0.6)
    return float(10 ** (middle - half)), float(10 ** (middle + half))


def _label(axes: Axes, marks: Sequence[Mark], levels: Sequence[float]) -> None:
    """Names beside the marks, each in that corner where it covers least of what is there already."""
    left, right = np.log(axes.get_xlim())
    across = [float((np.log(mark.seconds) - left) / (right - left)) for mark in marks]
    up = [(mark.score - _REACH[0]) / (_REACH[1] - _REACH[0]) for mark in marks]
    lines = [(level - _REACH[0]) / (_REACH[1] - _REACH[0]) for level in levels]
    taken = [(x - 0.015, y - 0.02, x + 0.015, y + 0.02) for x, y in zip(across, up, strict=True)]
    steps = frontier([mark.seconds for mark in marks], [mark.score for mark in marks])
    taken += [(across[b] - 0.01, up[a], across[b] + 0.01, up[b]) for a, b in itertools.pairwise(steps)]
    for mark, x, y in sorted(zip(marks, across, up, strict=True), key=lambda item: -item[2]):
        wide, tall = 0.019 * len(mark.model), 0.05
        corners = []
        for before in (False, True):
            for rise in (0.035, -0.035):
                start = x - 0.03 - wide if before else x + 0.03
                box = (start, y + rise - tall / 2, start + wide, y + rise + tall / 2)
                cost = sum(_overlap(box, other) for other in taken)
                cost += sum(wide * tall for line in lines if box[1] < line < box[3])
                cost += 9 * (max(-start, 0) + max(start + wide - 1, 0)) * tall
                cost += 9 * max(-box[1], 0) * wide
                corners.append((cost, before, rise, box))
        _, before, rise, box = min(corners)
        taken.append(box)
        place = (x - 0.03 if before else x + 0.03, y + rise)
        side = "right" if before else "left"
        axes.text(*place, mark.model, transform=axes.transAxes, ha=side, va="center", color=INK, fontsize=10)


def _overlap(one: tuple[float, float, float, float], other: tuple[float, float, float, float]) -> float:
    """The area that two boxes (left, bottom, right, top) share."""
    wide, tall = min(one[2], other[2]) - max(one[0], other[0]), min(one[3], other[3]) - max(one[1], other[1])
    return max(wide, 0) * max(tall, 0)
