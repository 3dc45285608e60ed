"""Graphs of Bayesian networks: their classes, how far two are apart, what is independent of what in them.

A graph is a `networkx.DiGraph`, such as `BayesianNetwork.to_networkx` gives, or a sequence of edges `(parent, child)`
by name. An undirected edge, as classes have, is two edges in opposite directions.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from likewise.families.bayesian_network.structure.equivalence import Pattern, distance, extension, pattern_of
from likewise.families.bayesian_network.structure.graph import d_separated as separated
from likewise.families.bayesian_network.structure.graph import topological_order

if TYPE_CHECKING:
    from networkx import DiGraph

Graph: TypeAlias = "DiGraph | Iterable[tuple[Hashable, Hashable]]"

__all__ = ["cpdag", "d_separated", "dag", "structural_hamming_distance"]


def cpdag(graph: Graph) -> DiGraph:
    """The class of all graphs with the same independences, as one graph (Verma and Pearl 1990; Chickering 1995).

    Edges that have one direction in all these graphs are directed; any other is two edges in opposite directions.

    Parameters
    ----------
    graph : networkx.DiGraph or edges
        Without cycles.

    Returns
    -------
    networkx.DiGraph

    Raises
    ------
    ValueError
        Where the edges form a cycle.

    Examples
    --------
    >>> import likewise as lw
    >>> sorted(lw.graphs.cpdag([("rain", "wet"), ("sprinkler", "wet")]).edges)
    [('rain', 'wet'), ('sprinkler', 'wet')]
    >>> sorted(lw.graphs.cpdag([("rain", "wet")]).edges)
    [('rain', 'wet'), ('wet', 'rain')]
    """
    names = _names([graph])
    return _drawn(names, _class(names, graph))


def dag(graph: Graph) -> DiGraph:
    """A graph without cycles and undirected edges from the class that is given (Dor and Tarsi 1992).

    Parameters
    ----------
    graph : networkx.DiGraph or edges
        A class, as `cpdag` gives it, or any graph of directed and undirected edges.

    Returns
    -------
    networkx.DiGraph

    Raises
    ------
    ValueError
        Where there is no graph with these directions and colliders.

    Examples
    --------
    >>> import likewise as lw
    >>> sorted(lw.graphs.dag([("a", "b"), ("b", "a"), ("c", "d")]).edges)
    [('a', 'b'), ('c', 'd')]
    """
    names = _names([graph])
    found = extension(_pattern(_matrix(names, graph)))
    if found is None:
        raise ValueError("No acyclic graph has these directions and no other colliders.")
    return _drawn(names, Pattern(found[0], [0] * len(names)))


def structural_hamming_distance(first: Graph, second: Graph, *, classes: bool = True) -> int:
    """How many pairs of columns are joined in one graph and not in the other, or joined in another way.

    A pair counts once, whether its edge is missing, additional, turned, or directed in one and undirected in the other
    (Tsamardinos, Brown and Aliferis 2006).

    Parameters
    ----------
    first, second : networkx.DiGraph or edges
    classes : bool
        Whether graphs without undirected edges are compared by their classes, so that ones of the same independences
        have distance 0, or as they are.

    Examples
    --------
    >>> import likewise as lw
    >>> chain, turned = [("a", "b"), ("b", "c")], [("c", "b"), ("b", "a")]
    >>> lw.graphs.structural_hamming_distance(chain, turned)
    0
    >>> lw.graphs.structural_hamming_distance(chain, turned, classes=False)
    2
    """
    first, second = _kept(first), _kept(second)
    names = _names([first, second])
    matrices = []
    for graph in (first, second):
        matrix = _matrix(names, graph)
        matrices.append(_class(names, graph).matrix() if classes and not (matrix & matrix.T).any() else matrix)
    return distance(*matrices)


def d_separated(
    graph: Graph,
    first: Hashable | Sequence[Hashable],
    second: Hashable | Sequence[Hashable],
    given: Hashable | Sequence[Hashable] = (),
) -> bool:
    """Whether columns are independent of others once the given ones are known, whatever the tables.

    Parameters
    ----------
    graph : networkx.DiGraph or edges
        Without cycles.
    first, second, given : column, or a list of them

    Raises
    ------
    ValueError
        Where a column is not in the graph, or in two of the sets.

    Examples
    --------
    >>> import likewise as lw
    >>> wet = [("rain", "wet"), ("sprinkler", "wet")]
    >>> lw.graphs.d_separated(wet, "rain", "sprinkler"), lw.graphs.d_separated(wet, "rain", "sprinkler", "wet")
    (True, False)
    """
    graph = _kept(graph)
    names = _names([graph])
    place = {name: at for at, name in enumerate(names)}
    sets: list[list[int]] = []
    for part in (first, second, given):
        asked = list(part) if isinstance(part, list | tuple | set | frozenset) else [part]
        for name in asked:
            if name not in place:
                raise ValueError(f"There is no column {name!r} in the graph.")
        sets.append([place[name] for name in asked])
    for i, own in enumerate(sets):
        for other in sets[i + 1 :]:
            if shared := set(own) & set(other):
                raise ValueError(f"{names[shared.pop()]!r} is asked for in two ways.")
    return separated(_parents(_matrix(names, graph)), *sets)


def _kept(graph: Graph) -> Graph:
    """A graph that can be looked at more than once."""
    return graph if hasattr(graph, "nodes") else list(graph)


def _names(graphs: Sequence[Graph]) -> list[Any]:
    """The names of all nodes, in the order in which they come."""
    found: dict[Any, None] = {}
    for graph in graphs:
        if hasattr(graph, "nodes"):
            found.update(dict.fromkeys(graph.nodes))
        else:
            found.update(dict.fromkeys(end for edge in graph for end in edge))
    return list(found)


def _matrix(names: list[Any], graph: Graph) -> Any:
    place = {name: at for at, name in enumerate(names)}
    found = np.zeros((len(names), len(names)), dtype=bool)
    for parent, child in graph.edges if hasattr(graph, "edges") else graph:
        found[place[parent], place[child]] = True
    return found


def _parents(matrix: Any) -> list[list[int]]:
    return [np.flatnonzero(matrix[:, child]).tolist() for child in range(len(matrix))]


def _pattern(matrix: Any) -> Pattern:
    directed, undirected = matrix & ~matrix.T, matrix & matrix.T
    sets = [[sum(1 << p for p in above) for above in _parents(part)] for part in (directed, undirected)]
    return Pattern(sets[0], sets[1])


def _class(names: list[Any], graph: Graph) -> Pattern:
    parents = _parents(_matrix(names, graph))
    return pattern_of([sum(1 << p for p in above) for above in parents], topological_order(parents))


def _drawn(names: list[Any], pattern: Pattern) -> DiGraph:
    import networkx

    found = networkx.DiGraph()
    found.add_nodes_from(names)
    found.add_edges_from((names[u], names[v]) for u, v in np.argwhere(pattern.matrix()).tolist())
    return found
