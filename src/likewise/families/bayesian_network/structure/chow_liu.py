"""The best tree."""

from __future__ import annotations

import numpy as np

from likewise.errors import NotSupported
from likewise.families.bayesian_network.structure.constraints import Constraints
from likewise.families.bayesian_network.structure.counts import Counts, Floats
from likewise.families.bayesian_network.structure.scores import mutual_information


def chow_liu(counts: Counts, constraints: Constraints | None = None) -> list[list[int]]:
    """The parents of each column in the tree of largest likelihood (Chow and Liu 1968).

    The root is the column that tells most about all others. Where edges are required or forbidden it is the forest of
    largest likelihood that obeys the constraints (Edmonds 1967).

    Raises
    ------
    NotSupported
        Where a column has two required parents.
    """
    information = mutual_information(counts)
    if constraints is None or constraints.free:
        return most_telling_tree(information)
    np.fill_diagonal(information, 0.0)
    return _branching(information, constraints)


def most_telling_tree(information: Floats) -> list[list[int]]:
    """The parents of each column in the tree of largest mutual information, from that of all pairs.

    The diagonal is not looked at. The root is the column that tells most about all others.
    """
    others = information * (1.0 - np.eye(len(information)))
    return spanning_tree(others, int(others.sum(1).argmax()))


def spanning_tree(weights: Floats, root: int) -> list[list[int]]:
    """The parents of each node in the spanning tree of largest total weight (Prim 1957)."""
    count = len(weights)
    parents: list[list[int]] = [[] for _ in range(count)]
    outside = np.ones(count, dtype=bool)
    outside[root] = False
    best, link = weights[root].copy(), np.full(count, root)
    for _ in range(count - 1):
        node = int(np.where(outside, best, -np.inf).argmax())
        parents[node] = [int(link[node])]
        outside[node] = False
        closer = outside & (weights[node] > best)
        best[closer], link[closer] = weights[node][closer], node
    return parents


def _branching(weights: Floats, constraints: Constraints) -> list[list[int]]:
    """The parents of each node in the forest of largest total weight that obeys the constraints."""
    import networkx

    if not constraints.fit_trees:
        raise NotSupported("In structure='chow_liu' a column has one parent: it cannot have two required ones.")
    graph = networkx.DiGraph()
    graph.add_nodes_from(range(len(weights)))
    much = float(weights.sum()) + 1.0
    for parent, child in np.argwhere(constraints.allowed).tolist():
        if constraints.required[parent, child]:
            graph.add_edge(parent, child, weight=much)
        elif not constraints.required[:, child].any():
            graph.add_edge(parent, child, weight=float(weights[parent, child]))
    tree = networkx.algorithms.tree.branchings.maximum_branching(graph)
    return [sorted(tree.predecessors(node)) for node in range(len(weights))]
