"""Places across by which edges are straight."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from likewise.mathematics.layered.layers import Net
from likewise.mathematics.layered.order import Ends, Rows

ROUNDS = 60
"""Sweeps that make edges straight."""

LEAST = (1.0, 0.03, 0.004)
"""Shares of the width below which ways count as squares, from the first sweeps to the last."""

EXCHANGES = 4
"""How often neighbours change places for straighter edges."""

ALIGNMENTS = 3
"""How often nodes and trunks are put where edges are quite straight, one after another."""

PULLS = (1.0, 2.0, 8.0)
"""How much it matters that an edge is straight between two nodes, at an end of a trunk, and along it."""


@dataclass(frozen=True)
class Gaps:
    """The least room between two nodes of a layer, between an edge and what it passes, and between layers."""

    nodes: float = 20.0
    lines: float = 10.0
    layers: float = 44.0


@dataclass(frozen=True)
class Row:
    """What a layer needs: the widths of nodes (trunks have none), and gaps."""

    widths: Sequence[float]
    gaps: Gaps

    def wide(self, one: int) -> float:
        """The width of a node or piece."""
        return self.widths[one] if one < len(self.widths) else 0.0

    def apart(self, one: int, other: int) -> float:
        """The least distance between the middles of two neighbours."""
        nodes = len(self.widths)
        gap = self.gaps.nodes if one < nodes and other < nodes else self.gaps.lines
        return (self.wide(one) + self.wide(other)) / 2 + gap

    def offsets(self, row: Sequence[int]) -> list[float]:
        """The middles of a layer that is as narrow as it may be."""
        places = [self.wide(row[0]) / 2]
        for one, other in pairwise(row):
            places.append(places[-1] + self.apart(one, other))
        return places

    def needed(self, row: Sequence[int]) -> float:
        """The least width of a layer."""
        return self.offsets(row)[-1] + self.wide(row[-1]) / 2


def placed(net: Net, rows: Rows, row: Row, width: float) -> list[float]:
    """The middle of each node and trunk, from 0 on: those for which edges go least sideways, weighted by `PULLS`.

    Neighbours in `rows` change places where that makes edges straighter and no more of them cross.
    """
    width = max(width, *(row.needed(layer) for layer in rows))
    places = _Places(net, rows, row, width)
    for _ in range(EXCHANGES):
        places.straighten()
        if not places.exchange():
            break
    else:
        places.straighten()
    places.align()
    left = min(place - row.wide(one) / 2 for one, place in enumerate(places.x))
    return [place - left for place in places.x]


class _Places:
    """Middles that become better step by step."""

    def __init__(self, net: Net, rows: Rows, row: Row, width: float) -> None:
        self.net, self.rows, self.row, self.width = net, rows, row, width
        self.near = [[*above, *below] for above, below in zip(net.above, net.below, strict=True)]
        self.pulls = [[self._pull(one, other) for other in near] for one, near in enumerate(self.near)]
        self.x = [0.0] * net.size
        for layer in rows:
            spare = (width - row.needed(layer)) / 2
            for one, place in zip(layer, row.offsets(layer), strict=True):
                self.x[one] = place + spare

    def _pull(self, one: int, other: int) -> float:
        """How much it matters that this edge is straight."""
        return PULLS[(one >= self.net.nodes) + (other >= self.net.nodes)]

    def straighten(self) -> None:
        """Sweeps over layers, each of which goes where weighted squares of sideways ways are least.

        Subject to order and gaps that is isotonic regression. Weights are over the last way, so that in the end it is
        the ways that are least, not their squares: many edges are straight, and others bend once.
        """
        offsets = [self.row.offsets(layer) for layer in self.rows]
        for sweep in range(ROUNDS):
            least = self.width * LEAST[sweep * len(LEAST) // ROUNDS]
            order = range(len(self.rows))
            for at in order if sweep % 2 == 0 else reversed(order):
                self._settle(self.rows[at], offsets[at], least)

    def _settle(self, layer: Sequence[int], offsets: Sequence[float], least: float) -> None:
        x = self.x
        targets, weights = [], []
        for one, offset in zip(layer, offsets, strict=True):
            total = moment = 0.0
            for other, pull in zip(self.near[one], self.pulls[one], strict=True):
                weight = pull / max(abs(x[one] - x[other]), least)
                total += weight
                moment += weight * x[other]
            targets.append((moment / total if total else x[one]) - offset)
            weights.append(total or 1.0)
        spare = self.width - offsets[-1] - self.row.wide(layer[-1]) / 2
        for one, offset, place in zip(layer, offsets, increasing(targets, weights), strict=True):
            x[one] = offset + min(max(place, 0.0), spare)

    def exchange(self) -> bool:
        """Exchanges neighbours of a layer where edges are straighter after it and no more of them cross."""
        changed = False
        for layer in self.rows:
            ends = Ends(layer, self.rows, self.net)
            for at in range(len(layer) - 1):
                one, other = layer[at], layer[at + 1]
                left = self.x[one] - self.row.wide(one) / 2 + self.row.wide(other) / 2
                right = self.x[other] + self.row.wide(other) / 2 - self.row.wide(one) / 2
                before = self._aside(one, self.x[one]) + self._aside(other, self.x[other])
                after = self._aside(one, right) + self._aside(other, left)
                if after < before - 1e-6 * self.width and ends.gain(one, other) >= 0:
                    layer[at], layer[at + 1] = other, one
                    self.x[one], self.x[other] = right, left
                    changed = True
        return changed

    def _aside(self, one: int, place: float) -> float:
        ways = zip(self.near[one], self.pulls[one], strict=True)
        return sum(pull * abs(place - self.x[other]) for other, pull in ways)

    def align(self) -> None:
        """Puts nodes right where most pulls them, and makes trunks straight for as many layers as there is room."""
        beside: dict[int, tuple[int | None, int | None]] = {}
        for layer in self.rows:
            for left, one, right in zip([None, *layer], layer, [*layer[1:], None], strict=False):
                beside[one] = left, right
        runs = [[one] for layer in self.rows for one in layer if one < self.net.nodes]
        trunks: dict[int, list[int]] = {}
        for (parent, _), piece in sorted(self.net.trunks.items()):
            trunks.setdefault(parent, []).append(piece)
        for _ in range(ALIGNMENTS):
            for line in [*runs, *trunks.values()]:
                run: list[int] = []
                low = high = 0.0
                for one in line:
                    least, most = self._free(one, *beside[one])
                    if run and max(low, least) <= min(high, most):
                        low, high = max(low, least), min(high, most)
                    else:
                        self._move(run, low, high)
                        run, low, high = [], least, most
                    run.append(one)
                self._move(run, low, high)

    def _free(self, one: int, left: int | None, right: int | None) -> tuple[float, float]:
        """Where a node or piece may lie while its neighbours stay."""
        half = self.row.wide(one) / 2
        least = half if left is None else self.x[left] + self.row.apart(left, one)
        most = self.width - half if right is None else self.x[right] - self.row.apart(one, right)
        return least, max(least, most)

    def _move(self, run: Sequence[int], low: float, high: float) -> None:
        """Moves all to one place, the nearest at which edges to others go least sideways: a weighted median."""
        joined = [
            (self.x[other], pull)
            for one in run
            for other, pull in zip(self.near[one], self.pulls[one], strict=True)
            if other not in run
        ]
        if not joined:
            return
        half = sum(pull for _, pull in joined) / 2
        first, last = _passing(sorted(joined), half), _passing(sorted(joined, reverse=True), half)
        place = min(max(self.x[run[0]], first), last)
        for one in run:
            self.x[one] = min(max(place, low), high)


def _passing(weighted: Sequence[tuple[float, float]], bound: float) -> float:
    """The first number with which the sum of weights reaches a bound."""
    sums = accumulate(weight for _, weight in weighted)
    return next(
        (number for (number, _), passed in zip(weighted, sums, strict=True) if passed >= bound), weighted[-1][0]
    )


def increasing(targets: Sequence[float], weights: Iterable[float]) -> list[float]:
    """The numbers that never decrease with the least weighted squares to targets: pool adjacent violators.

    Examples
    --------
    >>> increasing([1.0, 4.0, 2.0, 5.0], [1.0, 1.0, 3.0, 1.0])
    [1.0, 2.5, 2.5, 5.0]
    """
    blocks: list[tuple[float, float, int]] = []
    for target, weight in zip(targets, weights, strict=True):
        mean, total, count = target, weight, 1
        while blocks and blocks[-1][0] > mean:
            other, more, several = blocks.pop()
            mean = (mean * total + other * more) / (total + more)
            total, count = total + more, count + several
        blocks.append((mean, total, count))
    return [mean for mean, _, count in blocks for _ in range(count)]
