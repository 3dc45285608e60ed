"""What a network says depends on what, in words."""

from __future__ import annotations

from likewise.board.report.cells import number, percent
from likewise.board.report.data import HiddenStates, NetworkDrawing

SENTENCES = 5

TELLING = 0.01
"""Bits below which nothing is said to depend on anything."""

SURE = 0.95
"""The share of bootstrap samples from which on the direction of an arrow needs no remark."""


def edge(network: NetworkDrawing, e: int) -> str:
    """An edge in words.

    Examples
    --------
    >>> drawing = NetworkDrawing(("age", "smoker"), ((0, 1),), (0.21,), ((), ()), ((), ()))
    >>> edge(drawing, 0)
    'age → smoker: 0.21 bits'
    """
    parent, child = (network.names[node] for node in network.edges[e])
    joined = f"{parent} {'→' if network.directed else '—'} {child}"
    return joined + ("" if network.strengths is None else f": {bits(network.strengths[e])}")


def bits(strength: float) -> str:
    """A number of bits."""
    text = number(strength)
    return f"{text} {'bit' if text == '1' else 'bits'}"


def from_the_weakest(network: NetworkDrawing) -> list[int]:
    """The edges, the strongest last; as they are where strengths are not known."""
    return sorted(range(len(network.edges)), key=lambda e: 0.0 if network.strengths is None else network.strengths[e])


def dependencies(network: NetworkDrawing) -> list[str]:
    """What the columns that depend on others most depend on most, the strongest dependence first.

    Examples
    --------
    >>> drawing = NetworkDrawing(("age", "smoker"), ((0, 1),), (0.21,), ((), ()), ((), ()), True, ((0.98, 1.0),), 100)
    >>> dependencies(drawing)
    ['smoker depends most on age: 0.21 bits, in 98 of 100 bootstrap samples.']
    """
    if network.strengths is None:
        return []
    told: dict[int, str] = {}
    for e in reversed(from_the_weakest(network)):
        parent, child = network.edges[e]
        if child in told or network.strengths[e] < TELLING:
            continue
        words = f"{network.names[child]} depends most on {network.names[parent]}: {bits(network.strengths[e])}"
        told[child] = words + _found(network, e) + "."
    return list(told.values())[:SENTENCES]


def _found(network: NetworkDrawing, e: int) -> str:
    if network.found is None:
        return ""
    share, way = network.found[e]
    count = round(share * network.resamples)
    counted = "graphs of a greedy search" if network.greedy else "bootstrap samples"
    words = f", in {count} of {network.resamples} {counted}"
    return words + (f" ({percent(way)} of them this way round)" if count and way < SURE else "")


def size(network: NetworkDrawing, hidden: HiddenStates | None) -> str:
    """How large a network is, in a sentence."""
    nodes, edges = len(network.names), len(network.edges)
    if hidden is None:
        return f"{nodes} {_plural('node', nodes)} and {edges or 'no'} {_plural('edge', edges)}."
    columns = f"{nodes} {_plural('column', nodes)}"
    behind = f"{hidden.states} hidden {_plural('state', hidden.states)} behind each"
    if hidden.trees == 1:
        return f"{columns} with {behind}, in one tree."
    first = f"The first is drawn, with {behind}, and its weight is {percent(hidden.share)}."
    return f"{columns}, in a mixture of {hidden.trees} trees. {first}"


def _plural(word: str, count: int) -> str:
    return word if count == 1 else f"{word}s"
