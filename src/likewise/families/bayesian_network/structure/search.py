"""One door to all searches for a graph over discrete columns, whatever the order in which these come."""

from __future__ import annotations

from typing import Literal

import numpy as np

from likewise.errors import NotSupported
from likewise.families.bayesian_network.discrete.partitions import Integers
from likewise.families.bayesian_network.structure.chow_liu import chow_liu
from likewise.families.bayesian_network.structure.constraints import Constraints
from likewise.families.bayesian_network.structure.counts import Counts
from likewise.families.bayesian_network.structure.equivalence_search import EquivalenceSearch
from likewise.families.bayesian_network.structure.exact_search import exact
from likewise.families.bayesian_network.structure.hill_climbing import GREEDY, Climb, HillClimb
from likewise.families.bayesian_network.structure.scores import (
    FamilyScores,
    ScoreName,
    Scores,
    mutual_information,
)

SearchName = Literal["chow_liu", "hill_climbing", "ges", "exact"]


def find_graph(
    states: Integers,
    sizes: list[int],
    method: SearchName,
    constraints: Constraints,
    score: ScoreName,
    equivalent_sample_size: float,
    climb: Climb = GREEDY,
) -> list[list[int]]:
    """The parents of each column in the graph found.

    Columns are searched in an order that depends on what is in them alone, so the graph does too.
    """
    order = canonical_order(states, sizes)
    counts = Counts(states[:, order], [sizes[i] for i in order])
    own = constraints.reordered(order)
    if method == "chow_liu":
        found = chow_liu(counts, own)
    else:
        scores = FamilyScores(counts, counts.sizes, score, equivalent_sample_size)
        found = search(scores, method, own, climb)
    parents: list[list[int]] = [[] for _ in sizes]
    for place, above in enumerate(found):
        parents[order[place]] = sorted(order[p] for p in above)
    return parents


def search(scores: Scores, method: SearchName, constraints: Constraints, climb: Climb = GREEDY) -> list[list[int]]:
    """The parents of each column in the graph that a search on scores finds."""
    if method == "exact":
        return exact(scores, constraints)
    if method == "ges":
        if not scores.equivalent:
            raise NotSupported(
                "structure='ges' compares classes of equivalent graphs, whose scores must be the same: use "
                "structure_score='bdeu' or 'bic', or structure='hill_climbing'."
            )
        return EquivalenceSearch(scores, constraints).run()
    return HillClimb(scores, constraints, climb).run()


def canonical_order(states: Integers, sizes: list[int]) -> list[int]:
    """The columns by facts that do not change when columns are reordered."""
    facts = [
        (size, np.bincount(states[:, i], minlength=size).tolist()) if len(states) else (size, [])
        for i, size in enumerate(sizes)
    ]
    told = [0.0] * len(sizes)
    if len({(size, *counts) for size, counts in facts}) < len(facts):
        told = mutual_information(Counts(states, sizes)).sum(1).round(9).tolist()
    return sorted(range(len(sizes)), key=lambda i: (facts[i], told[i]))
