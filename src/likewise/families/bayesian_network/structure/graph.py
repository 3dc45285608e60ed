"""Directed acyclic graphs as lists of parents."""

from __future__ import annotations

import heapq
from collections.abc import Sequence


def topological_order(parents: Sequence[Sequence[int]], preferred: Sequence[int] | None = None) -> list[int]:
    """The nodes, each after its parents; ValueError on a cycle.

    Where there is a choice those come first that do among all nodes as `preferred`, smaller numbers by default.

    Examples
    --------
    >>> topological_order([[2], [0], []])
    [2, 0, 1]
    """
    first = range(len(parents)) if preferred is None else preferred
    rank = {node: place for place, node in enumerate(first)}
    children: list[list[int]] = [[] for _ in parents]
    missing = [len(above) for above in parents]
    for child, above in enumerate(parents):
        for parent in above:
            children[parent].append(child)
    ready = [place for place, node in enumerate(first) if missing[node] == 0]
    order: list[int] = []
    while ready:
        node = first[heapq.heappop(ready)]
        order.append(node)
        for child in children[node]:
            missing[child] -= 1
            if not missing[child]:
                heapq.heappush(ready, rank[child])
    if len(order) < len(parents):
        raise ValueError("The edges of the network form a cycle.")
    return order


def ancestors(parents: Sequence[Sequence[int]], nodes: Sequence[int]) -> set[int]:
    """The given nodes and all from which they can be reached."""
    found: set[int] = set()
    waiting = list(nodes)
    while waiting:
        node = waiting.pop()
        if node not in found:
            found.add(node)
            waiting += parents[node]
    return found


def d_separated(
    parents: Sequence[Sequence[int]], first: Sequence[int], second: Sequence[int], given: Sequence[int] = ()
) -> bool:
    """Whether `given` blocks every path between two sets of nodes (Pearl 1988, section 3.3).

    A ball is rolled from the first set (Shachter 1998): it passes a node that is not given, unless its two edges there
    collide, and bounces back at a collision whose node, or a descendant of it, is given.

    Examples
    --------
    >>> d_separated([[], [], [0, 1]], [0], [1]), d_separated([[], [], [0, 1]], [0], [1], [2])
    (True, False)
    """
    children: list[list[int]] = [[] for _ in parents]
    for child, above in enumerate(parents):
        for parent in above:
            children[parent].append(child)
    known, opened, goal = set(given), ancestors(parents, given), set(second)
    waiting = [(node, True) for node in first]
    seen: set[tuple[int, bool]] = set()
    while waiting:
        node, from_child = waiting.pop()
        if (node, from_child) in seen:
            continue
        seen.add((node, from_child))
        if node in goal and node not in known:
            return False
        if from_child and node not in known:
            waiting += [(parent, True) for parent in parents[node]]
            waiting += [(child, False) for child in children[node]]
        elif not from_child:
            if node not in known:
                waiting += [(child, False) for child in children[node]]
            if node in opened:
                waiting += [(parent, True) for parent in parents[node]]
    return True
