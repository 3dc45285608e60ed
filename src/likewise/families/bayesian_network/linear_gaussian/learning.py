"""Learning a linear-Gaussian network: one search over codes and values, regressions in closed form."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from likewise.errors import NotSupported
from likewise.events import Batch, Event
from likewise.families.bayesian_network.discrete import learning
from likewise.families.bayesian_network.discrete.cutting import discretise
from likewise.families.bayesian_network.discrete.graphs import GRAPH_GROUPS
from likewise.families.bayesian_network.discrete.options import Options
from likewise.families.bayesian_network.discrete.partitions import Bools, Integers
from likewise.families.bayesian_network.linear_gaussian.network import LinearGaussianNetwork, codes_event
from likewise.families.bayesian_network.linear_gaussian.regressions import (
    Chosen,
    MixedScores,
    node_order,
    regress,
    sufficient,
)
from likewise.families.bayesian_network.structure.bootstrap import directions
from likewise.families.bayesian_network.structure.constraints import Constraints
from likewise.families.bayesian_network.structure.gaussian_scores import GaussianScores
from likewise.families.bayesian_network.structure.scores import DEFAULT_SAMPLE_SIZE, Scores
from likewise.families.bayesian_network.structure.search import SearchName, find_graph, search

STRENGTHS = (1.0, 10.0, 100.0, 1000.0)
MAX_PARENTS = 6


def fit(
    event: Event, train: Batch, held_out: Batch, options: Options, max_memory: int
) -> tuple[LinearGaussianNetwork, dict[str, Any], Mapping[str, Any]]:
    """The network, its description for the settings, and a record of the fit."""
    best: tuple[float, LinearGaussianNetwork, dict[str, Any], str] | None = None
    tried: dict[str, float] = {}
    for name, parents in _graphs(event, train, options):
        network, description = _fitted(event, train, held_out, parents, options, max_memory)
        tried[name] = float(network.log_prob(held_out).mean())
        if best is None or tried[name] > best[0]:
            best = tried[name], network, description, name
    assert best is not None
    score, network, description, name = best
    record = {"held_out": tried, "structure": name, "held_out_log_prob": score}
    return network, {"structure": name, **description}, record


def _graphs(event: Event, train: Batch, options: Options) -> list[tuple[str, list[list[int]]]]:
    """Parents over the nodes of `MixedScores` for each structure that is to be tried."""
    structure, possible = options.structure, _possible(event)
    asked = [(above, child) for above, child in (options.required if isinstance(structure, str) else structure)]
    for above, child in asked:
        if not possible[above, child]:
            first, second = options.names[above], options.names[child]
            raise NotSupported(
                f"With values='linear_gaussian' no category depends on a number, and {second!r} cannot on {first!r}: "
                "turn the edge, leave it out, or use values='bins'."
            )
    if not isinstance(structure, str):
        return [("edges", _from_edges(event, asked))]
    graphs = []
    constraints = options.constraints(len(event))
    constraints = replace(constraints, allowed=constraints.allowed & possible)
    if structure == "chow_liu" or (structure == "auto" and constraints.fit_trees):
        nodes = discretise(event, train, GRAPH_GROUPS).nodes
        states = nodes.states(train).numpy()
        tree = find_graph(states, nodes.sizes, "chow_liu", constraints, options.score, None, names=options.names)
        graphs.append(("chow_liu", _from_edges(event, [(p, i) for i, above in enumerate(tree) for p in above])))
    searches: list[SearchName] = ["hill_climbing", "ges", "exact"]
    graphs += [(name, _searched(event, train, options, name)) for name in searches if structure == name]
    if structure == "auto":
        graphs.append(("hill_climbing", _searched(event, train, options, "hill_climbing")))
    return graphs


def graph_finder(event: Event, records: Batch, options: Options) -> Callable[[Integers], Bools]:
    """What the search of `options` finds in some rows of the records, as `bootstrap` counts it."""
    count = len(event)
    settled = _over_nodes(event, options.constraints(count), MAX_PARENTS).settled

    def find(chosen: Integers) -> Bools:
        (_, parents), *_ = _graphs(event, records.rows(torch.from_numpy(chosen)), options)
        nodes = directions(parents, settled).reshape(2, count, 2, count)
        columns: Bools = nodes.any((0, 2)) & ~np.eye(count, dtype=bool)
        return columns

    return find


def _searched(event: Event, train: Batch, options: Options, method: SearchName) -> list[list[int]]:
    """The graph that a search finds over the nodes that stand for something."""
    count, order = len(event), node_order(event, train)
    scores: Scores
    score = options.score if options.score in ("aic", "bge") else "bic"
    if all(node >= count for node in order):
        scores = GaussianScores(train.values.double().numpy()[:, [node - count for node in order]], score)
    elif score == "bge":
        raise NotSupported("structure_score='bge' needs columns that are all numbers, none of them missing or a spike.")
    else:
        mixed = MixedScores(event, train, options.score, options.equivalent_sample_size or DEFAULT_SAMPLE_SIZE)
        if method == "ges" and not mixed.equivalent:
            raise NotSupported(
                "With values='linear_gaussian', structure='ges' needs numbers that are never missing or a spike, and "
                "structure_score='bic', 'aic' or 'bdeu': use structure='hill_climbing'."
            )
        scores = Chosen(mixed, order)
    limit = options.max_parents or MAX_PARENTS
    constraints = _over_nodes(event, options.constraints(count), limit).reordered(order)
    names = [event.all[node % count].name for node in order]
    found = search(scores, method, constraints, options.climb, names=names)
    parents: list[list[int]] = [[] for _ in range(2 * count)]
    for place, above in enumerate(found):
        parents[order[place]] = sorted(order[p] for p in above)
    return parents


def _over_nodes(event: Event, columns: Constraints, limit: int) -> Constraints:
    """Constraints on columns as constraints on their codes and values."""
    count = len(event)
    allowed = np.tile(columns.allowed, (2, 2))
    allowed[count:, :count] = False  # no code depends on a value
    required = np.zeros_like(allowed)
    for child, above in enumerate(_from_edges(event, [(int(p), int(i)) for p, i in np.argwhere(columns.required)])):
        required[above, child] = True
    return Constraints(allowed, required, limit)


def _possible(event: Event) -> Bools:
    """Whether an edge [parent, child] between two columns joins anything: no code depends on a value."""
    coded = np.array([entry.seen > 1 for entry in event.all])
    valued = np.isin(np.arange(len(event)), event.value_entries)
    found: Bools = (coded[:, None] & (coded | valued)) | (valued[:, None] & valued)
    return found


def _from_edges(event: Event, edges: list[tuple[int, int]]) -> list[list[int]]:
    """An edge between entries joins their codes, and their values where both have one."""
    count = len(event)
    parents: list[list[int]] = [[] for _ in range(2 * count)]
    for above, child in edges:
        if event.code_sizes[above] > 1:
            if event.code_sizes[child] > 1:
                parents[child].append(above)
            if child in event.value_entries:
                parents[count + child].append(above)
        if above in event.value_entries and child in event.value_entries:
            parents[count + child].append(count + above)
    return parents


def _fitted(
    event: Event, train: Batch, held_out: Batch, parents: list[list[int]], options: Options, max_memory: int
) -> tuple[LinearGaussianNetwork, dict[str, Any]]:
    count = len(event)
    conditionals = learning.describe(
        learning.fit_tables(
            codes_event(event),
            train,
            held_out,
            [above if event.code_sizes[i] > 1 else [] for i, above in enumerate(parents[:count])],
            options,
        ),
        options,
    )
    regressions = [
        {
            "codes": [p for p in parents[count + i] if p < count],
            "values": [p - count for p in parents[count + i] if p >= count],
            "strength": STRENGTHS[0],
        }
        if i in event.value_entries
        else None
        for i in range(count)
    ]
    network = LinearGaussianNetwork(event, conditionals, regressions, max_memory)
    for i in event.value_entries:
        own, part = network.of(i), regressions[i]
        assert part is not None
        own.moments.copy_(sufficient(event, train, i, own.code_parents, own.value_parents))
        tests = sufficient(event, held_out, i, own.code_parents, own.value_parents)
        scored = []
        for strength in STRENGTHS:
            slopes, deviations = regress(own.moments, strength)
            both = torch.cat([-slopes, torch.ones(len(slopes), 1, dtype=torch.float64)], 1)
            squares = torch.einsum("ci,cij,cj->c", both, tests, both)
            scored.append(float((-0.5 * squares / deviations**2 - tests[:, 0, 0] * deviations.log()).sum()))
        part["strength"] = STRENGTHS[int(np.argmax(scored))]
    description = {"conditionals": conditionals, "regressions": regressions}
    network.codes.add_counts(codes_only(train))
    estimate(network, description, options)
    return network, description


def codes_only(batch: Batch) -> Batch:
    """The codes of a batch, as records of `codes_event`."""
    blank = torch.zeros_like(batch.lower)
    return Batch(batch.codes, blank, blank, torch.ones_like(blank), batch.status)


def add_rows(network: LinearGaussianNetwork, train: Batch) -> None:
    """Adds the sufficient statistics of new records."""
    network.codes.add_counts(codes_only(train))
    for i in network.event.value_entries:
        own = network.of(i)
        own.moments += sufficient(network.event, train, i, own.code_parents, own.value_parents)


def estimate(network: LinearGaussianNetwork, description: Mapping[str, Any], options: Options) -> None:
    """Tables and regressions from sufficient statistics."""
    learning.estimate(network.codes, description["conditionals"], options.smoothing)
    for i in network.event.value_entries:
        own = network.of(i)
        slopes, deviations = regress(own.moments, float(description["regressions"][i]["strength"]))
        own.coefficients.copy_(slopes)
        own.deviations.copy_(deviations)
