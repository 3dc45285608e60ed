"""A Bayesian network as a graph of cards: what each node is by itself, and how much its parents tell about it."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from markupsafe import Markup, escape

from likewise.board.report.cells import cut, fold, number, percent
from likewise.board.report.data import HiddenStates, Network, NetworkDrawing
from likewise.board.report.drawing import COLOURS
from likewise.board.report.edge_wording import bits, dependencies, edge, from_the_weakest, size
from likewise.mathematics.layered import Gaps, layered

Point = tuple[float, float]

ROOM = 1120.0
"""Pixels across that a layer of cards may take: the width of the page."""

DETAILED = 30
"""Up to how many nodes have cards with a bar for each state."""

BARS = 8
"""States of a node that have a bar of their own."""

FAINTEST = 0.25
"""Bits that the strongest edge has at least for the scale: weaker graphs look weak."""

_EDGE = 3.0
"""Pixels around the drawing: half a line."""

_SMALLEST = 9.0
"""Pixels below which no letters go when a drawing is fitted into a narrow page."""


@dataclass(frozen=True)
class Stroke:
    """How an edge of this strength looks."""

    label: str
    width: float
    opacity: float


@dataclass(frozen=True)
class Graph:
    """What is shown of a network.

    Attributes
    ----------
    model, colour
        Whose it is, and the place of its colour.
    words : str
        The finding.
    drawing : Markup
        Empty where there is none.
    legend : sequence of Stroke
    edges : sequence of (parent, child, bits, share of bootstrap samples)
        The strongest first; none where strengths are not known. The last is empty where no samples were drawn.
    greedy : str
        See `NetworkDrawing`.
    directed : bool
        Whether edges go from parents to children.
    dependencies : sequence of str
        The strongest of them in words.
    hidden : HiddenStates or None
    """

    model: str
    colour: int
    words: str
    drawing: Markup = field(default_factory=Markup)
    legend: Sequence[Stroke] = ()
    edges: Sequence[tuple[str, str, str, str]] = ()
    greedy: str = ""
    directed: bool = True
    dependencies: Sequence[str] = ()
    hidden: HiddenStates | None = None


def graph_section(told: Network, model: str, index: int) -> Graph:
    """What the page shows of the network of the model at this place of the leaderboard, see `networks.html`."""
    network, hidden = told.drawing, told.hidden
    if network is None:
        return Graph(model, index, told.reason, directed=hidden is None, hidden=hidden)
    edges = []
    if network.strengths is not None:
        for e in reversed(from_the_weakest(network)):
            parent, child = (network.names[node] for node in network.edges[e])
            found = "" if network.found is None else percent(network.found[e][0])
            edges.append((parent, child, number(network.strengths[e]), found))
    drawing = graph(network, f"network-{index}", model, index)
    depend = dependencies(network)
    words = f"{size(network, hidden) if depend else finding(network, hidden)} {told.reason}".strip()
    legend, directed = _legend(network), network.directed
    return Graph(model, index, words, drawing, legend, edges, network.greedy, directed, depend, hidden)


def finding(network: NetworkDrawing, hidden: HiddenStates | None = None) -> str:
    """The size of a network and its strongest edge, in a sentence or two."""
    words = size(network, hidden)
    if network.edges and network.strengths is not None:
        words += f" The strongest is {edge(network, from_the_weakest(network)[-1])}."
    return words


def graph(network: NetworkDrawing, name: str, model: str, index: int) -> Markup:
    """An `<svg>` of cards, one for each node, and lines from parents down to children, the stronger the wider.

    `name` must be the drawing's own on the page. Where a pointer rests on a card, its edges stand out.
    """
    detailed = len(network.names) <= DETAILED
    wide, smallest = (_WIDE, 10.0) if detailed else (_COMPACT, 9.5)
    label = min(max((_length(one, 10) for states in network.states for one in states), default=0.0), _LABELS)
    cards = [_detailed(*node, label) if detailed else _compact(*node) for node in _nodes(network)]
    gaps = Gaps(24, 11, 46) if detailed else Gaps(16, 9, 40)
    drawn = layered([(wide, card.height) for card in cards], network.edges, ROOM, gaps)
    ports = _ports(network.edges, drawn.routes, wide)
    scale = _scale(network)
    body = []
    for e in from_the_weakest(network):
        stroke = _UNKNOWN if network.strengths is None else _stroke(network.strengths[e], scale)
        parent, child = network.edges[e]
        route = (*drawn.routes[e][:-1], (drawn.routes[e][-1][0] + ports[e], drawn.routes[e][-1][1]))
        line, head = _line(route, stroke.width, network.directed)
        body.append(
            f'<g class="edge a{parent} a{child}" stroke-width="{stroke.width:.2f}" opacity="{stroke.opacity:.2f}">'
            f'<title>{escape(edge(network, e))}</title><path id="{name}-{e}" d="{line}"/>'
            f'{head}<use class="near" href="#{name}-{e}"/></g>'
        )
    for node, card in enumerate(cards):
        x, y = _short(drawn.x[node] - wide / 2), _short(drawn.y[node])
        body.append(
            f'<g class="node n{node}" transform="translate({x} {y})"><title>{escape(_told(network, node))}</title>'
            f'<rect class="card" width="{wide:g}" height="{card.height:g}" rx="4"/>{card.body}</g>'
        )
    width, height = math.ceil(drawn.width + 2 * _EDGE), math.ceil(drawn.height + 2 * _EDGE)
    return Markup(
        f'<svg id="{name}" class="m{index % COLOURS}" viewBox="{-_EDGE:g} {-_EDGE:g} {width} {height}" '
        f'style="max-width: {width}px; min-width: {math.ceil(width * _SMALLEST / smallest)}px" role="img" '
        f'aria-label="{escape(f"The graph of {model}: {finding(network)}")}">'
        f"{_lit(name, len(cards))}{''.join(body)}</svg>"
    )


# --------------------------------------------------------------------------------------------------------------- cards

_WIDE, _COMPACT, _BOLD = 196.0, 116.0, 1.06
_LABEL, _LABELS, _SHARE, _ROW = 8.0, 98.0, 188.0, 13.0


@dataclass(frozen=True)
class _Card:
    height: float
    body: str


def _nodes(network: NetworkDrawing) -> Iterable[tuple[str, Sequence[str], Sequence[float]]]:
    return zip(network.names, network.states, network.marginals, strict=True)


def _detailed(name: str, states: Sequence[str], marginal: Sequence[float], label: float) -> _Card:
    """A card with a bar for each of the most probable states, in the order of all, after labels of this length."""
    few = len(states) if len(states) <= BARS else BARS - 1
    kept = sorted(sorted(range(len(states)), key=lambda state: -marginal[state])[:few])
    body = [_text(_LABEL, 16, _fitted(name, (_WIDE - 2 * _LABEL) / _BOLD, 12, fold), "name", 12)]
    left = math.ceil(_LABEL + label + 6)
    full = _SHARE - 37 - left  # as long as "<0.1%"
    for row, state in enumerate(kept):
        y = 32 + _ROW * row
        body += [
            _text(_LABEL, y, _fitted(states[state], label, 10), "state", 10),
            f'<rect class="track" x="{left}" y="{y - 7:g}" width="{full:g}" height="7"/>',
            f'<rect class="bar" x="{left}" y="{y - 7:g}" width="{_short(full * marginal[state])}" height="7"/>',
            _text(_SHARE, y, percent(marginal[state]), "share", 10),
        ]
    rows = len(kept)
    if rows < len(states):
        rest = 1 - sum(marginal[state] for state in kept)
        body.append(_text(_LABEL, 32 + _ROW * rows, f"{len(states) - rows} more", "share more", 10))
        body.append(_text(_SHARE, 32 + _ROW * rows, percent(max(rest, 0.0)), "share", 10))
        rows += 1
    return _Card(26 + _ROW * rows, "".join(body))


def _compact(name: str, states: Sequence[str], marginal: Sequence[float]) -> _Card:
    """A card with one bar, divided among the states in their order, and the most probable of them in words."""
    inner = _COMPACT - 12
    body = [_text(6, 13, _fitted(name, inner / _BOLD, 10.5, fold), "name", 10.5)]
    total, left = sum(marginal) or 1.0, 6.0
    for state, probability in enumerate(marginal):
        wide = inner * probability / total
        shade = 1 - 0.8 * state / max(len(states) - 1, 1)
        if wide >= 0.1:
            body.append(
                f'<rect class="bar part" x="{_short(left)}" y="18" width="{_short(wide)}" height="8" '
                f'fill-opacity="{_short(shade)}"/>'
            )
        left += wide
    if states:
        most = max(range(len(states)), key=marginal.__getitem__)
        share = percent(marginal[most])
        body.append(_text(6, 36.5, _fitted(states[most], inner - _length(share, 9.5) - 5, 9.5), "state", 9.5))
        body.append(_text(_COMPACT - 6, 36.5, share, "share", 9.5))
    return _Card(42, "".join(body))


def _text(x: float, y: float, text: str, kind: str, size: float) -> str:
    return f'<text class="{kind}" x="{x:g}" y="{y:g}" font-size="{size:g}">{escape(text)}</text>'


def _fitted(text: str, room: float, size: float, shorten: Callable[[str, int], str] = cut) -> str:
    """A text of at most this length, shortened as far as it must be."""
    letters = len(text)
    short = shorten(text, max(letters, 1))
    while letters > 2 and _length(short, size) > room:
        letters -= 1
        short = shorten(text, letters)
    return short


def _length(text: str, size: float) -> float:
    """About how long a text is in the letters of the page, which may be those of any sans serif."""
    return size * sum(_letter(letter) for letter in text)


def _letter(letter: str) -> float:
    if unicodedata.east_asian_width(letter) in "WF":
        return 1.0
    if letter in "ijltfr.,:;|!'()[] ":
        return 0.36
    if letter in "mwMW@%—…":
        return 0.98
    return 0.7 if letter.isupper() else 0.62


def _told(network: NetworkDrawing, node: int) -> str:
    """The whole name of a node, and all of its states."""
    states = zip(network.states[node], network.marginals[node], strict=True)
    return "\n".join([network.names[node], *(f"{state}: {percent(share)}" for state, share in states)])


# --------------------------------------------------------------------------------------------------------------- edges


def _scale(network: NetworkDrawing) -> float:
    """The strength that is drawn widest."""
    return max([FAINTEST, *(network.strengths or ())])


_UNKNOWN = Stroke("", 1.6, 0.7)


def _stroke(strength: float, scale: float) -> Stroke:
    """Width and opacity grow with the root of the strength, so that weak edges are told apart as well."""
    share = math.sqrt(min(max(strength, 0.0) / scale, 1.0))
    return Stroke(bits(strength), 1.0 + 4.5 * share, 0.42 + 0.43 * share)


def _legend(network: NetworkDrawing) -> list[Stroke]:
    """Three round strengths over the scale."""
    scale = _scale(network)
    return [_stroke(_round(scale / part), scale) for part in (40, 6, 1)] if network.strengths else []


def _round(strength: float) -> float:
    """The greatest of 1, 2 and 5 times a power of ten that a strength reaches."""
    ten = 10.0 ** math.floor(math.log10(strength))
    return float(max(digit * ten for digit in (1, 2, 5) if digit * ten <= strength * (1 + 1e-9)))


def _ports(edges: Sequence[tuple[int, int]], routes: Sequence[Sequence[Point]], wide: float) -> list[float]:
    """How far from the middle of its child each edge ends: side by side, in the order in which they come.

    One that comes from right above goes straight, if there is room.
    """
    ports = [0.0] * len(edges)
    ends: dict[int, list[int]] = {}
    for e, (_, child) in enumerate(edges):
        ends.setdefault(child, []).append(e)
    for coming in ends.values():
        coming.sort(key=lambda e: routes[e][-2][0])
        step = min(13.0, 0.8 * wide / len(coming))
        last = len(coming) - 1
        aside = [routes[e][-2][0] - routes[e][-1][0] for e in coming]
        straight = min(range(len(coming)), key=lambda place: abs(aside[place]))
        first = -step * last / 2
        moved = aside[straight] - step * straight
        if abs(aside[straight]) < step / 2 and max(-moved, moved + step * last) < 0.42 * wide:
            first = moved
        for place, e in enumerate(coming):
            ports[e] = first + step * place
    return ports


def _line(route: Sequence[Point], width: float, directed: bool) -> tuple[str, str]:
    """The path of an edge, straight beside nodes and curved between layers, and its head if it has one."""
    x, y = route[-1]
    long, half = 4.5 + 1.1 * width if directed else 0.0, 2.2 + 0.8 * width
    corners = [*route[:-1], (x, y - long)]
    steps = [f"M{_short(corners[0][0])} {_short(corners[0][1])}"]
    for place, ((x0, y0), (x1, y1)) in enumerate(pairwise(corners)):
        if place % 2 == 0 or abs(x1 - x0) < 0.05:
            steps.append(f"V{_short(y1)}" if y1 != y0 else "")
        else:
            middle = _short((y0 + y1) / 2)
            steps.append(f"C{_short(x0)} {middle} {_short(x1)} {middle} {_short(x1)} {_short(y1)}")
    head = f"M{_short(x - half)} {_short(y - long)}H{_short(x + half)}L{_short(x)} {_short(y)}z"
    return "".join(steps), f'<path class="head" d="{head}"/>' if directed else ""


def _short(value: float) -> str:
    """A number of the drawing, to a tenth of a pixel."""
    text = f"{value:.1f}".removesuffix(".0")
    return "0" if text == "-0" else text


def _lit(name: str, nodes: int) -> str:
    """A style sheet by which the edges of the card under the pointer stand out."""
    if not nodes:
        return ""
    rules = ",".join(f"#{name}:has(.n{node}:hover) .a{node}" for node in range(nodes))
    return f"<style>{rules}{{opacity:1;--line:var(--link)}}</style>"
