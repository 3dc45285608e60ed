"""How a column of numbers is laid out in a drawing: states that stand apart, and bins for the rest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes

from likewise.board.report.cells import number, present
from likewise.board.report.data import Floats
from likewise.metrics.features import Column

BINS = 28
"""About how many bins a histogram has."""

DISCRETE = 24
"""Up to how many different values each have a bar of their own."""

BLANKS = 0.01
"""From which share on blanks are drawn."""

SPIKE = 0.2
"""A value that so large a share of a column with many values has stands apart from the others."""


@dataclass(frozen=True)
class Scale:
    """The layout of one column of numbers, chosen by its real values.

    Attributes
    ----------
    spike : float or None
        A value so frequent that its bar would dwarf all others.
    blanks : bool
        Whether missing values are many enough to be drawn.
    edges : float array (bins + 1,)
        Of the bins of the other values; what lies beyond is counted in the outermost.
    logarithmic : bool
    unit : str
        Of moments and durations, see `Column.unit`.
    """

    spike: float | None
    blanks: bool
    edges: Floats
    logarithmic: bool
    unit: str

    @classmethod
    def of(cls, real: Column) -> Scale:
        """The scale that suits these values."""
        values = present(real)
        spike = None
        distinct, counts = np.unique(values, return_counts=True)
        if len(distinct) > DISCRETE and counts.max() > SPIKE * len(values):
            spike = float(distinct[counts.argmax()])
            values, distinct = values[values != spike], distinct[distinct != spike]
        skewed = not real.unit and _skewed(values)
        edges = _edges(values, distinct, skewed)
        return cls(spike, bool(real.missing.mean() >= BLANKS), edges, skewed, real.unit)

    @property
    def states(self) -> tuple[str, ...]:
        """The names of what stands apart."""
        spike = () if self.spike is None else (number(self.spike, self.unit),)
        return (*spike, *(("blank",) if self.blanks else ()))

    def divide(self, column: Column) -> tuple[Floats, Floats]:
        """The shares of the states that stand apart, and the shares of the bins."""
        values, total = present(column), max(len(column.values), 1)
        apart = []
        if self.spike is not None:
            apart.append(float((values == self.spike).sum()) / total)
            values = values[values != self.spike]
        if self.blanks:
            apart.append(float(column.missing.sum()) / total)
        inside = np.clip(values, self.edges[0], self.edges[-1])
        return np.array(apart), np.histogram(inside, self.edges)[0] / total

    @property
    def widths(self) -> Floats:
        """The widths of the bins, as long as they are drawn."""
        return np.diff(np.log(self.edges)) if self.logarithmic else np.diff(self.edges)

    def lay(self, axes: Axes, axis: str = "x", ticks: int = 3) -> None:
        """Gives an axes its limits, scale and a few ticks along "x" or "y"."""
        along = axes.xaxis if axis == "x" else axes.yaxis
        set_scale, set_limits = (axes.set_xscale, axes.set_xlim) if axis == "x" else (axes.set_yscale, axes.set_ylim)
        if self.logarithmic:
            set_scale("log")
        set_limits(self.edges[0], self.edges[-1])
        places = self._places(ticks)
        along.set_ticks(places, [number(place, self.unit) for place in places])
        along.set_ticks([], minor=True)

    def _places(self, ticks: int) -> list[float]:
        from matplotlib.ticker import LogLocator, MaxNLocator

        low, high = float(self.edges[0]), float(self.edges[-1])
        if self.unit:
            return [low + (high - low) * share for share in (0.2, 0.8)]
        # A label at the very end would stand beyond the drawing.
        locator: Any = LogLocator(numticks=ticks + 1) if self.logarithmic else MaxNLocator(ticks, steps=[1, 2, 5, 10])
        places = [float(place) for place in locator.tick_values(low, high) if low <= place <= high]
        ahead = [place for place in places if self._share(place) < 0.93]
        return ahead if len(ahead) > 1 else places

    def _share(self, place: float) -> float:
        """How far along the axis a value lies."""
        low, high, at = (float(np.log(x)) if self.logarithmic else x for x in (self.edges[0], self.edges[-1], place))
        return (at - low) / (high - low)


class Ruled(NamedTuple):
    """A real column with its scale, which is None for categories."""

    real: Column
    scale: Scale | None

    @classmethod
    def of(cls, real: Column) -> Ruled:
        """The column with the scale that suits it."""
        return cls(real, Scale.of(real) if real.kind == "number" else None)


def _skewed(values: Floats) -> bool:
    """Whether positive values spread over orders of magnitude."""
    if len(values) < 20 or values.min() <= 0:
        return False
    low, middle, high = np.quantile(values, [0.02, 0.5, 0.98])
    return bool(high / middle > 6 and high / low > 30)


def _edges(values: Floats, distinct: Floats, logarithmic: bool) -> Floats:
    if len(distinct) == 0:
        return np.array([0.0, 1.0])
    if len(distinct) == 1:
        return np.array([distinct[0] - 0.5, distinct[0] + 0.5])
    if len(distinct) <= DISCRETE and not logarithmic:
        middle = (distinct[1:] + distinct[:-1]) / 2
        return np.concatenate([[2 * distinct[0] - middle[0]], middle, [2 * distinct[-1] - middle[-1]]])
    low, high = _core(np.log(values) if logarithmic else values)
    if logarithmic:
        return np.asarray(np.exp(np.linspace(low, high, BINS + 1)))
    step = float(np.diff(distinct).min())
    # Bins that hold unequal numbers of grid points would show a comb that is not in the data.
    if (high - low) / step < 40 * BINS and np.allclose(np.round((distinct - low) / step) * step + low, distinct):
        width = max(round((high - low) / BINS / step), 1) * step
        count = int(np.ceil((high - low + step) / width))
        return np.asarray(low - step / 2 + width * np.arange(count + 1))
    return np.linspace(low, high, BINS + 1)


def _core(values: Floats) -> tuple[float, float]:
    """The range to show: all of it, unless a few values lie far away."""
    low, high = np.quantile(values, [0.005, 0.995])
    reach = 0.4 * (high - low)
    least, most = float(values.min()), float(values.max())
    return (least if low - least <= reach else float(low)), (most if most - high <= reach else float(high))
