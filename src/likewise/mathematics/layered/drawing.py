"""Layered drawings of directed acyclic graphs (Sugiyama, Tagawa and Toda 1981): every edge goes down.

`layers.py` finds layers that keep the drawing as narrow as it may be, and trunks; `order.py` orders each layer so that
few edges cross; `places.py` makes edges straight. An edge that passes layers goes between their nodes; the edges of one
parent do so together, as one trunk, so that a parent of a hundred takes the room of one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from likewise.mathematics.layered.layers import Net, layers_of
from likewise.mathematics.layered.order import ordered
from likewise.mathematics.layered.places import Gaps, Row, placed

Point = tuple[float, float]

NARROWER = 8
"""How often layers are filled less because trunks make the drawing too wide."""

STEEP, STEEPEST = 0.1, 1.5
"""Of the way that edges go sideways, and of the least gap: how much further layers are apart, and at most."""


@dataclass(frozen=True)
class Layered:
    """Where nodes and edges are drawn, with y downwards from (0, 0).

    Attributes
    ----------
    x, y : tuple of float
        The middle of each node's upper side.
    routes : tuple of tuple of (x, y)
        The corners of each edge, from the lower side of the parent to the upper side of the child. The way to each
        odd corner goes straight down beside nodes, that to each even one from a layer to the next.
    width, height : float
        Of the whole drawing.
    """

    x: tuple[float, ...]
    y: tuple[float, ...]
    routes: tuple[tuple[Point, ...], ...]
    width: float
    height: float


def layered(
    sizes: Sequence[Point], edges: Sequence[tuple[int, int]], width: float, gaps: Gaps | None = None
) -> Layered:
    """A drawing of the graph with nodes of these sizes (width, height) and these edges (parent, child).

    Parts of the graph that no edge joins lie beside and below each other. The drawing is no wider than `width`, except
    where a node is, or so many trunks lie beside each other that there is no other way. The same graph is always drawn
    in the same way. Raises ValueError where edges go round.

    Examples
    --------
    >>> drawn = layered([(10, 5)] * 3, [(0, 1), (0, 2)], 100, Gaps(nodes=2, layers=4))
    >>> [round(x, 3) for x in drawn.x], [round(y, 3) for y in drawn.y]
    ([11.0, 5.0, 17.0], [0.0, 9.6, 9.6])
    """
    gaps = gaps or Gaps()
    x, y = [0.0] * len(sizes), [0.0] * len(sizes)
    routes: list[tuple[Point, ...]] = [()] * len(edges)
    right = top = bottom = reach = 0.0
    for nodes in _parts(len(sizes), edges):
        index = {node: place for place, node in enumerate(nodes)}
        kept = [e for e, (parent, _) in enumerate(edges) if parent in index]
        links = [(index[edges[e][0]], index[edges[e][1]]) for e in kept]
        part = _part([sizes[node] for node in nodes], links, width, gaps)
        if right and right + part.width > width:
            right, top = 0.0, bottom + gaps.layers
        for node, at in index.items():
            x[node], y[node] = right + part.x[at], top + part.y[at]
        for e, route in zip(kept, part.routes, strict=True):
            routes[e] = tuple((right + a, top + b) for a, b in route)
        reach, bottom = max(reach, right + part.width), max(bottom, top + part.height)
        right += part.width + gaps.nodes
    return Layered(tuple(x), tuple(y), tuple(routes), reach, bottom)


def _parts(size: int, edges: Iterable[tuple[int, int]]) -> list[list[int]]:
    """The nodes of each connected part, the largest part first."""
    owner = list(range(size))

    def root(node: int) -> int:
        while owner[node] != node:
            node = owner[node]
        return node

    for parent, child in edges:
        first, second = sorted((root(parent), root(child)))
        owner[second] = first
    parts: dict[int, list[int]] = {}
    for node in range(size):
        parts.setdefault(root(node), []).append(node)
    return sorted(parts.values(), key=len, reverse=True)


def _part(sizes: Sequence[Point], edges: Sequence[tuple[int, int]], width: float, gaps: Gaps) -> Layered:
    """The drawing of a connected graph."""
    row = Row([wide for wide, _ in sizes], gaps)
    net = _net(row, edges, width)
    rows = ordered(net)
    x = placed(net, rows, row, width)
    tops, bottoms = [0.0], []
    for layer in rows:
        bottoms.append(tops[-1] + max((sizes[one][1] for one in layer if one < len(sizes)), default=0.0))
        aside = max((abs(x[one] - x[other]) for one in layer for other in net.below[one]), default=0.0)
        tops.append(bottoms[-1] + gaps.layers + min(STEEP * aside, STEEPEST * gaps.layers))
    routes = []
    for parent, child in edges:
        first, last = net.layer[parent], net.layer[child]
        route = [(x[parent], tops[first] + sizes[parent][1]), (x[parent], bottoms[first])]
        for layer_between in range(first + 1, last):
            at = x[net.trunks[parent, layer_between]]
            route += [(at, tops[layer_between]), (at, bottoms[layer_between])]
        routes.append((*route, (x[child], tops[last])))
    y = [tops[net.layer[node]] for node in range(len(sizes))]
    reach = max(x[one] + row.wide(one) / 2 for one in range(net.size))
    return Layered(tuple(x[: len(sizes)]), tuple(y), tuple(routes), reach, bottoms[-1])


def _net(row: Row, edges: Sequence[tuple[int, int]], width: float) -> Net:
    """Layers and trunks, with layers so full that both fit into the width, or are least wide."""
    best, least, room = None, 0.0, width
    for _ in range(NARROWER):
        net = Net.of(layers_of(row.widths, edges, room, row.gaps.nodes), edges)
        widest = max(row.needed(layer) for layer in net.rows())
        if best is None or widest < least:
            best, least = net, widest
        if least <= width:
            break
        room *= 0.95
    assert best is not None
    return best
