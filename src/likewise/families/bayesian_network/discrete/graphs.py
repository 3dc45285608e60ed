"""The graphs that a discrete network may have: those that the searches find, of which held-out rows choose."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import numpy as np

from likewise.events import Batch
from likewise.families.bayesian_network.discrete.growth import column
from likewise.families.bayesian_network.discrete.nodes import Nodes
from likewise.families.bayesian_network.discrete.options import Options, Rows
from likewise.families.bayesian_network.discrete.partitions import Bools, Integers
from likewise.families.bayesian_network.structure.bootstrap import directions
from likewise.families.bayesian_network.structure.constraints import Constraints
from likewise.families.bayesian_network.structure.counts import Counts, Floats
from likewise.families.bayesian_network.structure.graph import topological_order
from likewise.families.bayesian_network.structure.scores import mutual_information
from likewise.families.bayesian_network.structure.search import SearchName, find_graph

GRAPH_GROUPS = 8
MAX_CANDIDATES = 32


def graphs(rows: Rows, options: Options) -> list[tuple[str, list[list[int]]]]:
    """The candidate parents of every column for each structure that is to be tried."""
    structure = options.structure
    count = len(rows.sizes)
    if not isinstance(structure, str):
        parents: list[list[int]] = [[] for _ in range(count)]
        for above, child in structure:
            parents[child].append(above)
        topological_order(parents)
        return [("edges", parents)]
    trees = options.conditionals == "trees"
    states, sizes = group(rows, options)
    constraints = options.constraints(count)

    def found(method: SearchName) -> list[list[int]]:
        return find_graph(
            states, sizes, method, constraints, options.score, options.equivalent_sample_size, options.climb
        )

    tried: list[SearchName] = ["chow_liu", "hill_climbing", "ges"]
    searched = {name: found(name) for name in tried if structure in (name, "auto")}
    if structure == "exact":
        searched["exact"] = found("exact")
    out: list[tuple[str, list[list[int]]]] = list(searched.items())
    if structure == "ordered" or (structure == "auto" and trees):
        order = topological_order(searched.get("hill_climbing") or found("hill_climbing"))
        out.append(("ordered", _earlier(order, mutual_information(Counts(states, sizes)), constraints)))
    return out


def graph_finder(nodes: Nodes, records: Batch, options: Options) -> Callable[[Integers], Bools]:
    """What the search of `options` finds in some rows of the records, as `bootstrap` counts it."""
    states = nodes.states(records).numpy()
    ordered = [0 if (own := nodes.of(i)) is None else own.size for i in range(len(nodes.sizes))]
    rows = Rows(states, states[:0], nodes.sizes, ordered, [nodes.unseen(i) for i in range(len(ordered))])
    grouped, sizes = group(rows, options)
    constraints = options.constraints(len(sizes))

    def find(chosen: Integers) -> Bools:
        method, sample_size = cast(SearchName, options.structure), options.equivalent_sample_size
        part = grouped[chosen]
        parents = find_graph(part, sizes, method, constraints, options.score, sample_size, options.climb)
        return directions(parents, constraints.settled)

    return find


def group(rows: Rows, options: Options) -> tuple[Integers, list[int]]:
    """The states that searches see, and how many of them each column has."""
    limit = GRAPH_GROUPS if options.conditionals == "trees" else max(rows.sizes)
    grouped = [column(rows.train[:, i], rows.sizes[i], rows.ordered[i], limit, limit) for i in range(len(rows.sizes))]
    # States that no row has, such as the unseen one, would be counted as parameters.
    found = [np.unique(part.grouped, return_inverse=True) for part in grouped]
    return np.stack([states for _, states in found], 1), [max(len(kept), 1) for kept, _ in found]


def _earlier(order: list[int], information: Floats, constraints: Constraints) -> list[list[int]]:
    """For every column those before it in the order, the `MAX_CANDIDATES` that tell most about it."""
    earlier: list[list[int]] = [[] for _ in order]
    for place, i in enumerate(order):
        before = [p for p in order[:place] if constraints.allowed[p, i]]
        told = sorted(before, key=lambda p: (not constraints.required[p, i], -information[p, i], p))
        kept = set(told[:MAX_CANDIDATES])
        earlier[i] = [p for p in before if p in kept]
    return earlier
