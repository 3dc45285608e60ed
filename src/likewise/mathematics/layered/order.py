"""The order within layers by which few edges cross."""

from __future__ import annotations

import random
from bisect import bisect_left, bisect_right, insort
from collections.abc import Sequence

from likewise.mathematics.layered.layers import Net

STARTS, SWEEPS = 6, 10
"""Orders that are begun with, and sweeps down and up over each."""

Rows = list[list[int]]


def ordered(net: Net) -> Rows:
    """The order of each layer that crosses fewest edges, of all that were found.

    Sweeps put each node at the mean of its neighbours' places, then exchange neighbours in a layer while that helps
    (Gansner et al. 1993, section 3), from walks through the graph and from chance orders.
    """
    rng, best, fewest = random.Random(0), net.rows(), -1
    for start in range(STARTS):
        rows = _walked(net, start, rng)
        for sweep in range(SWEEPS):
            down = sweep % 2 == 0
            for row in rows if down else reversed(rows):
                _centre(row, rows, net, down=down, flip=sweep % 4 > 1)
            while _exchange(rows, net):
                pass
            crossed = crossings(rows, net)
            if fewest < 0 or crossed < fewest:
                best, fewest = [list(row) for row in rows], crossed
            if not fewest:
                return best
    return best


def _walked(net: Net, start: int, rng: random.Random) -> Rows:
    """An order to begin with: as met on a walk from above, from below, or from anywhere by chance."""
    rows: Rows = [[] for _ in range(max(net.layer) + 1)]
    firsts, seen = sorted(range(net.size), key=lambda one: net.layer[one]), set[int]()
    if start == 1:
        firsts.reverse()
    elif start > 1:
        rng.shuffle(firsts)
    for first in firsts:
        stack = [first]
        while stack:
            one = stack.pop()
            if one in seen:
                continue
            seen.add(one)
            rows[net.layer[one]].append(one)
            near = [*net.above[one], *net.below[one]]
            if start > 1:
                rng.shuffle(near)
            stack += reversed(near)
    return rows


def _centre(row: list[int], rows: Rows, net: Net, *, down: bool, flip: bool) -> None:
    """Sorts a layer by the mean place of neighbours in the layer before; who has none there stays."""
    layer, near = net.layer[row[0]], net.above if down else net.below
    before = layer - 1 if down else layer + 1
    if not 0 <= before < len(rows):
        return
    place = {one: at for at, one in enumerate(rows[before])}
    free = [one for one in row if near[one]]
    mean = {one: sum(place[other] for other in near[one]) / len(near[one]) for one in free}
    # Equals change their order now and then, or they would never.
    following = iter(sorted(reversed(free) if flip else free, key=mean.__getitem__))
    row[:] = [next(following) if near[one] else one for one in row]


def _exchange(rows: Rows, net: Net) -> bool:
    """Exchanges neighbours of a layer where fewer edges cross after it; whether there were any."""
    changed = False
    for row in rows:
        ends = Ends(row, rows, net)
        for at in range(len(row) - 1):
            one, other = row[at], row[at + 1]
            if ends.gain(one, other) > 0:
                row[at], row[at + 1] = other, one
                changed = True
    return changed


class Ends:
    """Where the edges of a layer end in the layers beside it."""

    def __init__(self, row: Sequence[int], rows: Rows, net: Net) -> None:
        layer = net.layer[row[0]]
        self._sides = []
        for before, near in ((layer - 1, net.above), (layer + 1, net.below)):
            place = {one: at for at, one in enumerate(rows[before])} if 0 <= before < len(rows) else {}
            self._sides.append({one: sorted(place[other] for other in near[one]) for one in row})

    def gain(self, one: int, other: int) -> int:
        """How many crossings fewer there are when `one` changes places with its right neighbour `other`."""
        return sum(_crossed(side[one], side[other]) - _crossed(side[other], side[one]) for side in self._sides)


def _crossed(left: Sequence[int], right: Sequence[int]) -> int:
    """Crossings of edges to these sorted places from a node and from its right neighbour."""
    if not left or not right or left[-1] <= right[0]:
        return 0
    return sum(bisect_left(right, at) for at in left)


def crossings(rows: Rows, net: Net) -> int:
    """Crossings of edges between neighbouring layers."""
    place = {one: at for row in rows for at, one in enumerate(row)}
    found = 0
    for row in rows:
        met: list[int] = []
        for one in row:
            ends = sorted(place[other] for other in net.below[one])
            found += sum(len(met) - bisect_right(met, end) for end in ends)
            for end in ends:
                insort(met, end)
    return found
