"""One door to all searches for a graph over discrete columns, whatever the order in which these come."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
from scipy.special import xlogy

from likewise.errors import NotSupported
from likewise.families.bayesian_network.discrete.partitions import Integers
from likewise.families.bayesian_network.structure.chow_liu import chow_liu
from likewise.families.bayesian_network.structure.constraints import Constraints
from likewise.families.bayesian_network.structure.counts import Counts, members
from likewise.families.bayesian_network.structure.equivalence_search import EquivalenceSearch
from likewise.families.bayesian_network.structure.exact_search import exact
from likewise.families.bayesian_network.structure.hill_climbing import GREEDY, TIE, Climb, HillClimb
from likewise.families.bayesian_network.structure.sample_size import evident_sample_size
from likewise.families.bayesian_network.structure.scores import (
    DEFAULT_SAMPLE_SIZE,
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
    equivalent_sample_size: float | None,
    climb: Climb = GREEDY,
    brief: bool = False,
    names: Sequence[str] = (),
) -> list[list[int]]:
    """The parents of each column in the graph found.

    Columns are searched in an order that depends on what is in them alone, so the graph does too. Without an equivalent
    sample size it is 1, and in hill climbing the one the records are most probable under. Hill climbing with BDeu
    leaves no parent that tells nothing.
    """
    counts = Counts(states, sizes)
    order = canonical_order(counts, names)
    counts = counts.reordered(order)
    own = constraints.reordered(order)
    if method == "chow_liu":
        found = chow_liu(counts, own)
    else:
        if equivalent_sample_size is None:
            told = method == "hill_climbing" and score == "bdeu"
            equivalent_sample_size = evident_sample_size(counts) if told else DEFAULT_SAMPLE_SIZE
        scores = FamilyScores(counts, counts.sizes, score, equivalent_sample_size)
        found = search(scores, method, own, climb, brief, [names[i] for i in order] if names else ())
        if method == "hill_climbing" and score == "bdeu":
            found = without_idle_parents(counts, found, own)
    parents: list[list[int]] = [[] for _ in sizes]
    for place, above in enumerate(found):
        parents[order[place]] = sorted(order[p] for p in above)
    return parents


def search(
    scores: Scores,
    method: SearchName,
    constraints: Constraints,
    climb: Climb = GREEDY,
    brief: bool = False,
    names: Sequence[str] = (),
) -> list[list[int]]:
    """The parents of each column in the graph that a search on scores finds; a brief one ends where it could go on.

    Raises
    ------
    NotSupported
        Where the columns required above one have too many states together for a score.
    """
    for child, required in enumerate(constraints.required.T):
        above = np.flatnonzero(required).tolist()
        if above and scores.family(child, sum(1 << p for p in above)) == -math.inf:
            own, *others = [repr(names[i]) if names else f"column {i}" for i in (child, *above)]
            raise NotSupported(
                f"What is required above {own}, {', '.join(sorted({*others}))}, has too many states together to be "
                "scored: require less, or give the graph as a list of edges."
            )
    if method == "exact":
        return exact(scores, constraints)
    if method == "ges":
        if not scores.equivalent:
            raise NotSupported(
                "structure='ges' compares classes of equivalent graphs, whose scores must be the same: use "
                "structure_score='bdeu' or 'bic', or structure='hill_climbing'."
            )
        return EquivalenceSearch(scores, constraints, extended=not brief).run()
    return HillClimb(scores, constraints, climb).run()


def without_idle_parents(counts: Counts, parents: list[list[int]], constraints: Constraints) -> list[list[int]]:
    """The graph without parents that tell nothing of a child whose other parents are known, unless they are required.

    Where the others decide a child, BDeu gains by any parent that splits no configuration further, though the records
    are no more probable with it (Suzuki 2017). Of parents that tell the same, those of many states go first.
    """

    def told(child: int, above: int) -> float:
        """The largest log-likelihood of a child given some columns."""
        both, alone = counts.joint(above | 1 << child), counts.joint(above)
        return float(xlogy(both, both).sum() - xlogy(alone, alone).sum())

    tie = TIE * max(counts.rows, 1)
    found = []
    for child, above in enumerate(parents):
        kept = sum(1 << p for p in above)
        most = told(child, kept) if above else 0.0
        for parent in sorted(above, key=lambda p: (-counts.sizes[p], p)):
            if not constraints.required[parent, child] and told(child, kept ^ 1 << parent) >= most - tie:
                kept ^= 1 << parent
        found.append(list(members(kept)))
    return found


def canonical_order(counts: Counts, names: Sequence[str] = ()) -> list[int]:
    """The columns by facts that do not change when columns are reordered; names decide between columns that are alike.

    Greedy search takes the first of several equal moves, such as the two directions of an edge: columns of which others
    tell the smallest share come first, as roots do. No order is best everywhere: that of sizes does better on insurance
    and alarm, and far worse on hailfinder (benchmarks/README.md).
    """
    information = mutual_information(counts)
    entropy = np.diag(information).copy()
    np.fill_diagonal(information, 0.0)
    share = information.sum(1) / np.maximum(entropy, 1e-9)
    own = [part.tolist() for part in counts.alone]

    def facts(i: int) -> tuple[object, ...]:
        return round(float(share[i]), 9), counts.sizes[i], own[i], names[i] if names else ""

    return sorted(range(len(counts)), key=facts)
