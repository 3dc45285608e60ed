"""Numbers cut into the bins that become states of a network: equal counts, or bins that suit a graph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
from torch import Tensor

from likewise.events import Batch, Event
from likewise.families.bayesian_network.discrete.binning import bin_values
from likewise.families.bayesian_network.discrete.graphs import given, searcher
from likewise.families.bayesian_network.discrete.growth import column
from likewise.families.bayesian_network.discrete.nodes import Nodes
from likewise.families.bayesian_network.discrete.options import Options, Rows
from likewise.families.bayesian_network.discrete.partitions import Integers
from likewise.families.bayesian_network.structure.discretisation import Bins, Search, alternate
from likewise.families.bayesian_network.structure.search import SearchName

FINE = 32
"""Bins of equal counts of which bins that suit a graph are made."""

START = 8
"""Bins of equal counts with which the first graph is searched."""


@dataclass(frozen=True)
class Cut:
    """The grain edges of every column with values, and the nodes they make, with grains counted in training rows."""

    edges: list[Tensor | None]
    nodes: Nodes

    @classmethod
    def of(cls, event: Event, edges: list[Tensor | None], grains: list[list[int] | None], train: Batch) -> Cut:
        """Bins of so many grains each."""
        cut = cls(edges, Nodes(event, grains))
        cut.onto(cut.nodes)
        cut.nodes.count(train)
        return cut

    def onto(self, nodes: Nodes) -> None:
        """Gives these edges to nodes of as many grains."""
        for i, part in enumerate(self.edges):
            own = nodes.of(i)
            if own is not None and part is not None:
                own.edges.copy_(part)

    def log_density(self, held_out: Batch) -> float:
        """The mean log-density of held-out values within their bins, with grains weighted by training rows."""
        return float(self.nodes.log_values(held_out).mean()) if len(held_out) else 0.0


def discretise(event: Event, train: Batch, max_bins: int) -> Cut:
    """At most `max_bins` bins of equal counts for every column with values."""
    edges: list[Tensor | None] = []
    grains: list[list[int] | None] = []
    for i, entry in enumerate(event.all):
        binning = None
        if entry.value is not None:
            binning = bin_values(entry.value, train.values[train.codes[:, i] == 0, i], max_bins)
        edges.append(None if binning is None else binning.edges)
        grains.append(None if binning is None else binning.grains)
    return Cut.of(event, edges, grains, train)


def rows_of(nodes: Nodes, train: Batch, held_out: Batch) -> Rows:
    bins = [nodes.of(i) for i in range(len(nodes.sizes))]
    return Rows(
        nodes.states(train).numpy(),
        nodes.states(held_out).numpy(),
        nodes.sizes,
        [0 if own is None else own.size for own in bins],
        [nodes.unseen(i) for i in range(len(bins))],
    )


def suited(event: Event, train: Batch, options: Options) -> Cut:
    """Bins that suit the graph that a search finds with them, or the one that is given; see `Bins`."""
    cut = discretise(event, train, FINE)
    rows = rows_of(cut.nodes, train, train.rows(slice(0, 0)))
    coarse: list[Integers] = []
    for i, ordered in enumerate(rows.ordered):
        # The unseen state is the last; it would be counted as parameters.
        size = int(rows.train[:, i].max()) + 1
        coarse.append(column(rows.train[:, i], size, ordered, START, size).group_of)
    found = alternate(Bins(rows.train, rows.ordered, coarse), _search(options, len(coarse)), options.names)
    grains: list[list[int] | None] = []
    for i, own in enumerate(map(cut.nodes.of, range(len(event)))):
        parts = None if own is None else np.bincount(found.coarse[i][: own.size], own.grains).astype(int).tolist()
        grains.append(parts)
    return Cut.of(event, cut.edges, grains, train)


def _search(options: Options, columns: int) -> Search:
    if not isinstance(options.structure, str):
        graph = given(options.structure, columns)
        return lambda states, sizes: graph
    if options.structure in ("chow_liu", "hill_climbing", "exact"):
        return searcher(options, columns, cast(SearchName, options.structure))
    return searcher(options, columns, "hill_climbing" if options.score == "k2" else "ges", brief=True)
