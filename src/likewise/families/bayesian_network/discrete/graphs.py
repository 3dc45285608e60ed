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
from likewise.families.bayesian_network.structure.discretisation import Bins, Search, alternate
from likewise.families.bayesian_network.structure.graph import topological_order
from likewise.families.bayesian_network.structure.scores import mutual_information
from likewise.families.bayesian_network.structure.search import SearchName, canonical_order, find_graph

GRAPH_GROUPS = 8
FINE_GROUPS = 32
MAX_CANDIDATES = 32


def graphs(rows: Rows, options: Options) -> list[tuple[str, list[list[int]]]]:
    """The candidate parents of every column for each structure that is to be tried."""
    structure = options.structure
    if not isinstance(structure, str):
        return [("edges", given(structure, len(rows.sizes)))]
    trees = options.conditionals == "trees"
    constraints = options.constraints(len(rows.sizes))
    tried = [options.best] if structure == "ordered" else [cast(SearchName, structure)]
    if structure == "auto":
        tree: list[SearchName] = ["chow_liu"] if constraints.fit_trees else []
        tried = list(dict.fromkeys((*tree, "hill_climbing", options.best)))
    plain = states, sizes = group(rows, options)
    count = len(sizes)
    # All searches of "auto" share the bins that the best of them finds.
    seen = plain if tried == ["chow_liu"] else _suited(rows, options, tried[-1])
    searched = {name: searcher(options, count, name)(*(plain if name == "chow_liu" else seen)) for name in tried}
    out: list[tuple[str, list[list[int]]]] = [] if structure == "ordered" else list(searched.items())
    if structure == "ordered" or (structure == "auto" and trees):
        counts = Counts(states, sizes)
        order = topological_order(searched[options.best], canonical_order(counts, options.names))
        out.append(("ordered", _earlier(order, mutual_information(counts), constraints)))
    return out


def given(edges: list[list[int]], columns: int) -> list[list[int]]:
    """The parents of each column in a graph of these edges."""
    parents: list[list[int]] = [[] for _ in range(columns)]
    for above, child in edges:
        parents[child].append(above)
    topological_order(parents)
    return parents


def searcher(options: Options, columns: int, method: SearchName, brief: bool = False) -> Search:
    """A search with the settings of `options`, as a function of states and their numbers."""
    constraints = options.constraints(columns)

    def search(states: Integers, sizes: list[int]) -> list[list[int]]:
        sample_size = options.equivalent_sample_size
        return find_graph(
            states, sizes, method, constraints, options.score, sample_size, options.climb, brief, options.names
        )

    return search


def graph_finder(nodes: Nodes, records: Batch, options: Options, method: SearchName) -> Callable[[Integers], Bools]:
    """What a search finds in some rows of the records, in the bins that suit all of them, as `bootstrap` counts it."""
    states = nodes.states(records).numpy()
    ordered = [0 if (own := nodes.of(i)) is None else own.size for i in range(len(nodes.sizes))]
    rows = Rows(states, states[:0], nodes.sizes, ordered, [nodes.unseen(i) for i in range(len(ordered))])
    if method == "chow_liu":
        grouped, sizes = group(rows, options)
    else:
        shared = options.structure in ("auto", "ordered")
        grouped, sizes = _suited(rows, options, options.best if shared else method)
    search = searcher(options, len(sizes), method)
    settled = options.constraints(len(sizes)).settled

    def find(chosen: Integers) -> Bools:
        return directions(search(grouped[chosen], sizes), settled)

    return find


def _suited(rows: Rows, options: Options, method: SearchName) -> tuple[Integers, list[int]]:
    """The states that a search sees, in bins that suit the graph it finds, and how many of them each column has."""
    if options.conditionals != "trees" or not any(rows.ordered):
        return group(rows, options)
    brief = searcher(options, len(rows.sizes), method, brief=True)
    bins = alternate(ranked(rows), brief, options.names)
    return bins.states, bins.sizes


def group(rows: Rows, options: Options) -> tuple[Integers, list[int]]:
    """The states that searches see, and how many of them each column has."""
    limit = GRAPH_GROUPS if options.conditionals == "trees" else max(rows.sizes)
    grouped = [column(rows.train[:, i], rows.sizes[i], rows.ordered[i], limit, limit) for i in range(len(rows.sizes))]
    # States that no row has, such as the unseen one, would be counted as parameters.
    found = [np.unique(part.grouped, return_inverse=True) for part in grouped]
    return np.stack([states for _, states in found], 1), [max(len(kept), 1) for kept, _ in found]


def ranked(rows: Rows) -> Bins:
    """Fine bins of all columns, merged by rank into as many as searches begin with."""
    fine, coarse, ordered = [], [], []
    for i in range(len(rows.sizes)):
        seen, states = np.unique(rows.train[:, i], return_inverse=True)
        followed = int((seen < rows.ordered[i]).sum())
        part = column(states.reshape(-1), len(seen), followed, FINE_GROUPS, GRAPH_GROUPS)
        start = column(part.grouped, part.groups, part.ordered, GRAPH_GROUPS, GRAPH_GROUPS)
        fine.append(part.grouped)
        coarse.append(start.group_of)
        ordered.append(part.ordered)
    return Bins(np.stack(fine, 1), ordered, coarse)


def _earlier(order: list[int], information: Floats, constraints: Constraints) -> list[list[int]]:
    """For every column those before it in the order, the `MAX_CANDIDATES` that tell most about it."""
    earlier: list[list[int]] = [[] for _ in order]
    for place, i in enumerate(order):
        before = [p for p in order[:place] if constraints.allowed[p, i]]
        told = sorted(before, key=lambda p: (not constraints.required[p, i], -information[p, i]))
        kept = set(told[:MAX_CANDIDATES])
        earlier[i] = [p for p in before if p in kept]
    return earlier
