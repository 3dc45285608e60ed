"""A latent space: where records lie in it, what moving in it does, and what linear models read from it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from likewise.board.report.cells import cut, fold, number, present
from likewise.board.report.data import Floats, LatentMap
from likewise.board.report.drawing import INK, QUIET, RULE, dots, draw, frame, model_colour, tiles
from likewise.metrics.features import Column
from likewise.metrics.probes import Probe
from likewise.tasks.latent_wording import amount

if TYPE_CHECKING:
    from likewise.tasks.representation import LatentReport

LEVELS, BINS = 6, 5
"""Levels of a category, and groups of equal size of a number, that a map tells apart."""

LATENTS, COLUMNS = 12, 16
"""Rows and columns of the table of effects."""

PROBES = 12
"""Columns whose probes are drawn."""

SHADES = 12
"""Steps of the strength of a colour."""

_MAP, _HIGH, _SIDE, _LINE = 330.0, 210.0, 330.0, 17.0


class _Group(NamedTuple):
    """Records of one colour on a map."""

    name: str
    rows: np.ndarray[Any, np.dtype[np.bool_]]
    colour: str
    alpha: float


# ----------------------------------------------------------------------------------------------------------------- map


def latent_map(found: LatentMap, name: str, model: str, colour: str) -> Markup:
    """Records as dots on two latent dimensions, in colours by a column."""
    groups = [_Group("", np.ones(len(found.points), bool), colour, 0.7)]
    if found.column is not None:
        groups = _groups(found.column)
    share = 0.68 if found.column is not None else 0.9

    def paint(figure: Figure) -> None:
        axes = figure.add_axes((0.1, 30 / _HIGH, share - 0.1, 1 - 36 / _HIGH))
        low, high = (np.quantile(found.points, q, axis=0) for q in (0.002, 0.998))
        middle, reach = (low + high) / 2, np.maximum((high - low) / 2 * 1.08, 1e-6)
        for group in reversed(groups):
            x, y = np.clip(found.points[group.rows], middle - reach, middle + reach).T
            dots(axes, x, y, group.colour, 3.2, group.alpha)
        axes.set_xlim(middle[0] - reach[0], middle[0] + reach[0])
        axes.set_ylim(middle[1] - reach[1], middle[1] + reach[1])
        frame(axes, left=True)
        axes.set_xticks([])
        axes.set_yticks([])
        axes.set_xlabel("1st principal component of latents" if found.principal else "z1")
        axes.set_ylabel("2nd" if found.principal else "z2")
        if found.column is not None:
            _legend(figure, groups, found.column.name, share)

    by = "" if found.column is None else f", in colours by {found.column.name}"
    alt = f"{len(found.points)} held-out records in the latent space of {model}{by}."
    return draw(paint, _MAP, _HIGH, name=name, alt=alt)


def _groups(column: Column) -> list[_Group]:
    """The levels, or groups of equal size, of a column."""
    groups = []
    if column.kind == "category":
        counts = np.bincount(column.values[~column.missing].astype(np.int64), minlength=len(column.levels))
        kept = [int(k) for k in np.argsort(-counts, kind="stable")[:LEVELS] if counts[k]]
        groups = [
            _Group(column.levels[k], column.values == k, model_colour(i), 0.85) for i, k in enumerate(sorted(kept))
        ]
        rest = ~column.missing & ~np.isin(column.values, kept)
    else:
        cuts = np.unique(np.quantile(present(column), np.arange(1, BINS) / BINS))
        bins = np.searchsorted(cuts, column.values, side="right")
        ends = [float(present(column).min()), *map(float, cuts), float(present(column).max())]
        colours = _diverging(len(cuts) + 1)
        for i, (colour, alpha) in enumerate(colours):
            label = f"{number(ends[i], column.unit)} to {number(ends[i + 1], column.unit)}"
            groups.append(_Group(label, (bins == i) & ~column.missing, colour, alpha))
        rest = np.zeros(len(column), bool)
    if rest.any():
        groups.append(_Group("others", rest, QUIET, 0.8))
    if column.missing.any():
        groups.append(_Group("blank", column.missing, INK, 0.95))
    return groups


def _diverging(count: int) -> list[tuple[str, float]]:
    """So many steps from one colour over grey to another."""
    scale = [
        (model_colour(0), 0.95),
        (model_colour(0), 0.55),
        (QUIET, 0.6),
        (model_colour(1), 0.55),
        (model_colour(1), 0.95),
    ]
    return [scale[round(place)] for place in np.linspace(0, len(scale) - 1, count)]


def _legend(figure: Figure, groups: list[_Group], title: str, share: float) -> None:
    """The colours beside the map."""
    axes = figure.add_axes((share, 0.0, 1 - share, 1.0))
    axes.set_xlim(0, _MAP * (1 - share))
    axes.set_ylim(_HIGH, 0)
    axes.set_axis_off()
    axes.text(10, 14, fold(title, 16), color=INK, va="center")
    for place, group in enumerate(groups):
        y = 33 + 16 * place
        dots(axes, np.array([14.0]), np.array([y]), group.colour, 7, group.alpha)
        axes.text(23, y, cut(group.name, 15), color=QUIET, va="center")


# ------------------------------------------------------------------------------------------------------------- effects


def effects_table(report: LatentReport, name: str, model: str, colour: str) -> Markup:
    """Which latent moves which column: the stronger the colour, the more."""
    rows = rows_of(report)
    kept = np.sort(np.argsort(-report.effects.max(0), kind="stable")[:COLUMNS])
    effects = report.effects[np.ix_(rows, kept)]
    labels = [fold(report.columns[j], 14) for j in kept]
    above, left, key = 14 + 5.6 * max(map(len, labels)), 34.0, 30.0
    side = min((_SIDE - left) / len(kept), 24.0)
    height = above + side * len(rows) + key

    def paint(figure: Figure) -> None:
        wide, tall = side * len(kept) / _SIDE, side * len(rows) / height
        axes = figure.add_axes((left / _SIDE, key / height, wide, tall))
        shade = np.round(np.clip(effects, 0, 1) * SHADES).astype(int)
        for level in range(SHADES + 1):
            cells = [(j + 0.04, i + 0.04, 0.92, 0.92) for i, j in zip(*np.nonzero(shade == level), strict=True)]
            tiles(axes, cells, colour if level else RULE, level / SHADES if level else 0.35)
        axes.set_xlim(0, len(kept))
        axes.set_ylim(len(rows), 0)
        frame(axes, bottom=False)
        axes.set_yticks(np.arange(len(rows)) + 0.5, [report.coordinates[i].name for i in rows])
        axes.set_xticks([])
        for place, label in enumerate(labels):
            axes.text(place + 0.5, -0.2, label, rotation=90, rotation_mode="anchor", va="center", color=QUIET)
        _shades(figure.add_axes((left / _SIDE, 0, 1 - left / _SIDE, 18 / height)), colour)

    i, j = np.unravel_index(effects.argmax(), effects.shape)
    most = amount(float(effects[i, j]), report.kinds[kept[j]])
    alt = (
        f"What each of {len(rows)} latents of {model} does to {len(kept)} columns; "
        f"{report.coordinates[rows[i]].name} moves {report.columns[kept[j]]} most, by {most}."
    )
    return draw(paint, _SIDE, height, name=name, alt=alt)


def rows_of(report: LatentReport) -> np.ndarray[Any, np.dtype[np.int64]]:
    """The latents that move most, in their order, without those that would leave their whole row blank."""
    order = np.argsort(-report.effects.sum(1), kind="stable")[:LATENTS]
    seen = order[report.effects[order].max(1) * SHADES >= 0.5]
    return np.sort(seen if len(seen) else order[:1])


def _shades(axes: Axes, colour: str) -> None:
    """What the strengths of the colour stand for."""
    axes.set_xlim(0, _SIDE - 34)
    axes.set_ylim(18, 0)
    axes.set_axis_off()
    axes.text(0, 9, "0", color=QUIET, va="center")
    for step in range(5):
        level = step * SHADES // 4
        tiles(axes, [(12 + 15 * step, 3, 13, 12)], colour if level else RULE, level / SHADES if level else 0.35)
    axes.text(91, 9, "1 standard deviation, or 100%, and more", color=QUIET, va="center")


# -------------------------------------------------------------------------------------------------------------- probes


def probe_panel(probes: list[Probe], name: str, model: str, colour: str) -> Markup:
    """What linear models read from latents, and from as many principal components, a line a column."""
    left, below, key = 96.0, 34.0, 22.0
    height = below + _LINE * len(probes) + key
    low = min(0.0, max(-0.5, *(min(one.latents.value, one.components.value) - 0.05 for one in probes)))

    def paint(figure: Figure) -> None:
        axes = figure.add_axes((left / _SIDE, below / height, 1 - (left + 10) / _SIDE, 1 - (below + key) / height))
        for place, one in enumerate(probes):
            axes.plot([low, 1], [place, place], color=RULE, linewidth=0.6)
            _between(axes, one, place, colour, low)
        axes.set_xlim(low - 0.02, 1.03)  # room for half a dot
        axes.set_ylim(len(probes) - 0.4, -0.6)
        frame(axes)
        axes.set_yticks(np.arange(len(probes)), [fold(one.column, 15) for one in probes])
        axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
        axes.set_xlabel("accuracy of categories, R² of numbers")
        _signs(figure.add_axes((0, 1 - 16 / height, 1, 16 / height)), colour)

    better = sum(one.gain.value > 0 for one in probes)
    alt = (
        f"What linear models predict from latents of {model}: more than from as many principal components for {better} "
        f"of {len(probes)} columns; best for {probes[0].column}, {probes[0].latents.value:.2f}."
    )
    return draw(paint, _SIDE, height, name=name, alt=alt)


def _between(axes: Axes, one: Probe, place: float, colour: str, low: float) -> None:
    """One line: the guess that needs nothing, components, latents with their interval."""
    at: Floats = np.clip([one.baseline, one.components.value, one.latents.value], low, 1)
    ends = np.clip([one.latents.low, one.latents.high], low, 1)
    axes.plot([at[0], at[0]], [place - 0.3, place + 0.3], color=QUIET, linewidth=1)
    axes.plot(at[1], place, **_RING)
    axes.plot(ends, [place, place], color=colour, linewidth=1.6)
    axes.plot(at[2], place, marker="o", markersize=4.6, color=colour, markeredgewidth=0)


_RING: dict[str, Any] = {
    "marker": "o", "markersize": 6, "markerfacecolor": "none", "markeredgecolor": QUIET, "markeredgewidth": 1.1,
}  # fmt: skip


def _signs(axes: Axes, colour: str) -> None:
    """What the signs on a line stand for."""
    axes.set_xlim(0, _SIDE)
    axes.set_ylim(16, 0)
    axes.set_axis_off()
    axes.plot([4, 20], [8, 8], color=colour, linewidth=1.6)
    axes.plot(12, 8, marker="o", markersize=4.6, color=colour, markeredgewidth=0)
    axes.plot(82, 8, **_RING)
    axes.plot([212, 212], [3, 13], color=QUIET, linewidth=1)
    for place, label in ((26, "latents"), (91, "principal components"), (219, "the best constant")):
        axes.text(place, 8, label, color=QUIET, va="center")
