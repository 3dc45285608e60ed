"""Directed acyclic graphs as lists of parents."""

from __future__ import annotations

import heapq
from collections.abc import Sequence


def topological_order(parents: Sequence[Sequence[int]]) -> list[int]:
    """The nodes, each after its parents, smaller numbers first where there is a choice; ValueError on a cycle.

    Examples
    --------
    >>> topological_order([[2], [0], []])
    [2, 0, 1]
    """
    children: list[list[int]] = [[] for _ in parents]
    missing = [len(above) for above in parents]
    for child, above in enumerate(parents):
        for parent in above:
            children[parent].append(child)
    ready = [node for node, count in enumerate(missing) if count == 0]
    order: list[int] = []
    while ready:
        node = heapq.heappop(ready)
        order.append(node)
        for child in children[node]:
            missing[child] -= 1
            if not missing[child]:
                heapq.heappush(ready, child)
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
