"""Score against time."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from likewise.board.report.cells import fold, number
from likewise.board.report.drawing import QUIET, RULE, draw

_WIDTH, _HEIGHT, _LETTERS = 340.0, 250.0, 9

_LEFT, _BELOW, _WIDE, _HIGH = 20.0, 22.0, 258.0, 224.0
"""The place of the axes, in points."""

_Box = tuple[float, float, float, float]
"""Left, bottom, right and top, in points from the corner of the axes."""

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
        axes = figure.add_axes((_LEFT / _WIDTH, _BELOW / _HEIGHT, _WIDE / _WIDTH, _HIGH / _HEIGHT))
        left, right = _span(marks)
        axes.set_xscale("log")
        axes.set_xlim(left, right)
        axes.set_ylim(*_REACH)
        for _, level in lines:
            axes.axhline(level, color=QUIET, linewidth=0.9, dashes=(4, 3))
        for (label, _), place in zip(lines, _apart([_up(level) for _, level in lines]), strict=True):
            beside: dict[str, Any] = {"transform": axes.transAxes, "va": "center", "linespacing": 1}
            axes.text(1.01, place / _HIGH, label, color=QUIET, fontsize=_LETTERS, **beside)
        axes.step(
            [*(mark.seconds for mark in front), right],
            [*(mark.score for mark in front), front[-1].score],
            where="post",
            color=RULE,
            linewidth=1.4,
        )
        for mark in marks:
            axes.vlines(mark.seconds, mark.low, mark.high, color=mark.colour, linewidth=1.8)
            axes.plot([mark.seconds], [mark.score], "o", color=mark.colour, markersize=7)
        _label(axes, marks, [level for _, level in lines])
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 3.0) if right / left < 300 else (1.0,)))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda seconds, _: duration(seconds)))
        axes.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0", "", ".5", "", "1"])
        axes.tick_params(labelsize=_LETTERS)
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
    """Names in the colours of their marks, each where it covers least; one that stands off has a line to its mark."""
    left, right = np.log(axes.get_xlim())
    across = [_WIDE * float((np.log(mark.seconds) - left) / (right - left)) for mark in marks]
    up = [_up(mark.score) for mark in marks]
    dots = [(x - 6, y - 6, x + 6, y + 6) for x, y in zip(across, up, strict=True)]
    strokes = [(x - 1, _up(mark.low), x + 1, _up(mark.high)) for x, mark in zip(across, marks, strict=True)]
    strokes += [(0.0, _up(level) - 1, _WIDE, _up(level) + 1) for level in levels]
    steps = frontier([mark.seconds for mark in marks], [mark.score for mark in marks])
    strokes += [(across[b] - 1, up[a], across[b] + 1, up[b]) for a, b in itertools.pairwise(steps)]
    ends = [*(across[b] for b in steps[1:]), _WIDE]
    strokes += [(across[a], up[a] - 1, end, up[a] + 1) for a, end in zip(steps, ends, strict=True)]
    names: list[_Box] = []
    for at in sorted(range(len(marks)), key=lambda index: -up[index]):
        text, x, y = fold(marks[at].model, 24), across[at], up[at]
        others = [box for index, box in enumerate(dots) if index != at]
        box, before, rise = _place((x, y), 0.62 * _LETTERS * len(text), [*names, *dots], strokes, others)
        names.append(box)
        end = (x - 9 if before else x + 9, y + rise)
        ink: dict[str, Any] = {"transform": axes.transAxes, "color": marks[at].colour}
        if abs(rise) > 9:
            axes.plot([x / _WIDE, end[0] / _WIDE], [y / _HIGH, end[1] / _HIGH], linewidth=0.7, **ink)
        side = "right" if before else "left"
        axes.text(end[0] / _WIDE, end[1] / _HIGH, text, va="center", ha=side, fontsize=_LETTERS, **ink)


def _place(
    mark: tuple[float, float], wide: float, filled: Sequence[_Box], strokes: Sequence[_Box], others: Sequence[_Box]
) -> tuple[_Box, bool, int]:
    """Where a name stands beside its mark: its box, whether it is left of it, and how far up."""
    x, y = mark
    found = []
    for before, rise in itertools.product((False, True), (9, -9, 0, 18, -18, 28, -28, 40, -40, 54, -54, 70, -70)):
        start = x - 9 - wide if before else x + 9
        box = (start, y + rise - 6, start + wide, y + rise + 6)
        cost = 4 * abs(rise) + before + 20 * _covered(box, filled) + 3 * _covered(box, strokes)
        # Between its mark and another it would seem to belong to either.
        cost += 8 * _covered((min(start, x - 14), y + rise - 9, max(start + wide, x + 14), y + rise + 9), others)
        cost += 40 * sum(max(out, 0) for out in (-start, start + wide - _WIDE, -box[1], box[3] - _HIGH))
        found.append((cost, box, before, rise))
    return min(found)[1:]


def _apart(places: list[float]) -> list[float]:
    """The heights of at most two labels of two lines, moved apart as far as they need."""
    if len(places) < 2:
        return places
    first, second = places
    lack, way = max(22 - abs(first - second), 0) / 2, 1 if first >= second else -1
    return [first + way * lack, second - way * lack]


def _up(score: float) -> float:
    """How high a score stands, in points."""
    return _HIGH * (score - _REACH[0]) / (_REACH[1] - _REACH[0])


def _covered(box: _Box, others: Sequence[_Box]) -> float:
    """The area in square points that a box shares with others."""
    return sum(_overlap(box, other) for other in others)


def _overlap(one: _Box, other: _Box) -> float:
    wide, tall = min(one[2], other[2]) - max(one[0], other[0]), min(one[3], other[3]) - max(one[1], other[1])
    return max(wide, 0) * max(tall, 0)
