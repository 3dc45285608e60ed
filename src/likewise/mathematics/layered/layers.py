"""The layers of a directed acyclic graph, and the trunks of edges that pass some."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field


def layers_of(widths: Sequence[float], edges: Sequence[tuple[int, int]], room: float, gap: float) -> list[int]:
    """The layer of each node: below all of its parents, with no more nodes in one than there is room for.

    Layers are filled from above, with nodes that begin the longest paths first (as in Coffman and Graham 1972); then
    each node moves to where its edges are shortest in total (Nikolov and Tarassov 2006), while any does.

    Examples
    --------
    >>> layers_of([1.0] * 4, [(0, 1), (1, 2), (3, 2)], room=9, gap=1)
    [0, 1, 2, 1]
    """
    parents: list[list[int]] = [[] for _ in widths]
    children: list[list[int]] = [[] for _ in widths]
    for parent, child in edges:
        parents[child].append(parent)
        children[parent].append(child)
    order = _from_parents(parents, children)
    layer, filled = _scheduled(order, parents, children, widths, room, gap)
    moved = True
    while moved:
        moved = False
        for node in [*reversed(order), *order]:
            pull = len(children[node]) - len(parents[node])
            first = max((layer[parent] + 1 for parent in parents[node]), default=0)
            last = min((layer[child] - 1 for child in children[node]), default=len(filled) - 1)
            # Up where there are more parents, down where there are more children: as far as there is room.
            targets = range(last, layer[node], -1) if pull > 0 else range(first, layer[node]) if pull < 0 else ()
            for target in targets:
                if filled[target] < 0 or filled[target] + gap + widths[node] <= room:
                    filled[layer[node]] -= gap + widths[node]
                    filled[target] += gap + widths[node]
                    layer[node], moved = target, True
                    break
    kept = {old: new for new, old in enumerate(sorted(set(layer)))}
    return [kept[one] for one in layer]


def _scheduled(
    order: Sequence[int],
    parents: Sequence[Sequence[int]],
    children: Sequence[Sequence[int]],
    widths: Sequence[float],
    room: float,
    gap: float,
) -> tuple[list[int], list[float]]:
    """The layer of each node, and how full layers are; an empty one holds `-gap`."""
    ahead = [0] * len(order)
    for node in reversed(order):
        ahead[node] = max((1 + ahead[child] for child in children[node]), default=0)
    layer, filled = [-1] * len(order), list[float]()
    left = sorted(order, key=lambda node: (-ahead[node], node))
    while left:
        now = len(filled)
        filled.append(-gap)
        for node in left:
            free = all(0 <= layer[parent] < now for parent in parents[node])
            if free and (filled[now] < 0 or filled[now] + gap + widths[node] <= room):
                layer[node] = now
                filled[now] += gap + widths[node]
        left = [node for node in left if layer[node] < 0]
    return layer, filled


def _from_parents(parents: Sequence[Sequence[int]], children: Sequence[Sequence[int]]) -> list[int]:
    """All nodes, each after its parents."""
    waiting = [len(above) for above in parents]
    order = [node for node, count in enumerate(waiting) if not count]
    for node in order:
        for child in children[node]:
            waiting[child] -= 1
            if not waiting[child]:
                order.append(child)
    if len(order) < len(parents):
        raise ValueError("a layered drawing wants a graph whose edges do not go round")
    return order


@dataclass
class Net:
    """Nodes, and pieces of trunks: one for each layer that edges of a parent pass. All edges join neighbouring layers.

    Attributes
    ----------
    nodes : int
        How many of the numbers, the first, are nodes; the others are pieces of trunks.
    layer : list of int
    above, below : list of list of int
        The neighbours of each in the layers above and below.
    trunks : (parent, layer) -> piece
    """

    nodes: int
    layer: list[int]
    above: list[list[int]]
    below: list[list[int]]
    trunks: dict[tuple[int, int], int] = field(default_factory=dict)

    @classmethod
    def of(cls, layer: Sequence[int], edges: Iterable[tuple[int, int]]) -> Net:
        """The net of a graph whose nodes have these layers."""
        net = cls(len(layer), list(layer), [[] for _ in layer], [[] for _ in layer])
        for parent, child in edges:
            at = parent
            for between in range(layer[parent] + 1, layer[child]):
                if (parent, between) not in net.trunks:
                    net.trunks[parent, between] = net._piece(between)
                    net._join(at, net.trunks[parent, between])
                at = net.trunks[parent, between]
            net._join(at, child)
        return net

    def _piece(self, layer: int) -> int:
        self.layer.append(layer)
        self.above.append([])
        self.below.append([])
        return self.size - 1

    def _join(self, upper: int, lower: int) -> None:
        self.below[upper].append(lower)
        self.above[lower].append(upper)

    @property
    def size(self) -> int:
        """How many nodes and pieces there are."""
        return len(self.layer)

    def rows(self) -> list[list[int]]:
        """What lies in each layer."""
        rows: list[list[int]] = [[] for _ in range(max(self.layer) + 1)]
        for one, layer in enumerate(self.layer):
            rows[layer].append(one)
        return rows
