"""Learning a mixture of trees of hidden states by stepwise expectation maximisation."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from likewise.events import Batch, Event
from likewise.families.bayesian_network.discrete.cutting import discretise
from likewise.families.bayesian_network.discrete.graphs import GRAPH_GROUPS
from likewise.families.bayesian_network.discrete.growth import column
from likewise.families.bayesian_network.discrete.nodes import Nodes
from likewise.families.bayesian_network.hidden_tree.clusters import assignments, features
from likewise.families.bayesian_network.hidden_tree.network import HiddenTreeNetwork
from likewise.families.bayesian_network.hidden_tree.passes import Shape, Tables, upward
from likewise.families.bayesian_network.hidden_tree.regularisation import chosen, with_unseen
from likewise.families.bayesian_network.hidden_tree.regularisation import start as start_of
from likewise.families.bayesian_network.hidden_tree.tables import Strengths
from likewise.families.bayesian_network.hidden_tree.tree import expected
from likewise.families.bayesian_network.structure.chow_liu import chow_liu
from likewise.families.bayesian_network.structure.counts import Counts

STATES = 256
MAX_BINS = 128
MAX_COMPONENTS = 16
GAIN = 0.003
"""Nats a held-out record that another tree must add, for more to be learned."""

MINIBATCH = 512
FORGETTING = 0.6
"""The power with which steps get smaller (Cappe and Moulines 2009: between one half and one)."""

TABLES_EVERY = 4
"""Minibatches between two estimates of the tables."""

PATIENCE = 6
"""Passes through the rows without a better score of held-out rows, after which a tree is done."""

MAX_PASSES = 200
TILE = 2048


@dataclass(frozen=True)
class Options:
    """What the learner is asked for; see `BayesianNetworkFamily`."""

    states: int | None = None
    components: int | None = None
    max_bins: int | None = None
    seconds: float | None = None


def fit(
    event: Event, train: Batch, held_out: Batch, options: Options, seed: int
) -> tuple[HiddenTreeNetwork, dict[str, Any], Mapping[str, Any]]:
    """The network, its description for the settings, and a record of the fit."""
    start = time.monotonic()
    generator = torch.Generator().manual_seed(seed)
    cut = discretise(event, train, options.max_bins or MAX_BINS)
    states = options.states or STATES
    grains = [None if own is None else own.grains for own in map(cut.nodes.of, range(len(event)))]
    description: dict[str, Any] = {"grains": grains, "states": states, "trees": []}
    network = HiddenTreeNetwork(event, grains, states, [])
    for i, part in enumerate(cut.edges):
        own = network.nodes.of(i)
        if own is not None and part is not None:
            own.edges.copy_(part)
    network.count(train)
    deadline = None if options.seconds is None else start + options.seconds
    climb = Climb(network, train, held_out, options, generator, deadline)
    tried: list[dict[str, float]] = []
    held: list[Tensor] = []
    most = options.components or MAX_COMPONENTS
    while len(held) < most and (not held or climb.time_left(tried[-1]["seconds"])):
        parents = chow_liu_tree(network.nodes, climb.rows, generator, resampled=bool(held))
        found, strengths, scores, facts = climb.tree(parents)
        gain = _mixed([*held, scores]) - _mixed(held) if held else math.inf
        if options.components is None and gain <= 0:
            break
        network.add(parents, found, strengths)
        description["trees"].append(parents)
        held.append(scores)
        facts["held_out_log_prob"] = _mixed(held) + climb.values
        tried.append(facts)
        if options.components is None and gain < GAIN:
            break
    record = {
        "structure": "hidden_tree",
        "states": states,
        "components": tried,
        "held_out_log_prob": tried[-1]["held_out_log_prob"],
    }
    return network, description, record


def _mixed(held: list[Tensor]) -> float:
    return float((torch.stack(held).logsumexp(0) - math.log(len(held))).mean())


def chow_liu_tree(nodes: Nodes, rows: Tensor, generator: torch.Generator, *, resampled: bool) -> list[int]:
    """The tree of largest likelihood over the columns, of the rows or of as many drawn from them."""
    if resampled:
        rows = rows[torch.randint(len(rows), (len(rows),), generator=generator)]
    grouped = []
    for i, size in enumerate(nodes.sizes):
        own = nodes.of(i)
        states: Any = rows[:, i].numpy()
        grouped.append(column(states, size, 0 if own is None else own.size, GRAPH_GROUPS, GRAPH_GROUPS))
    found = chow_liu(Counts(np.stack([part.grouped for part in grouped], 1), [part.groups for part in grouped]))
    return [above[0] if above else -1 for above in found]


class Climb:
    """Learns one tree after the other from the same rows.

    Expected counts follow those of minibatches, N <- (1 - eta) N + eta N_minibatch, with steps that get smaller
    (stepwise expectation maximisation: Cappe and Moulines 2009). The counts that score held-out rows best are kept.
    """

    def __init__(
        self,
        network: HiddenTreeNetwork,
        train: Batch,
        held_out: Batch,
        options: Options,
        generator: torch.Generator,
        deadline: float | None,
    ) -> None:
        self.network, self.options, self.generator, self.deadline = network, options, generator, deadline
        self.rows, self.held_out = network.nodes.states(train), network.nodes.states(held_out)
        self.index = self.rows + torch.tensor(network.starts)
        # What no training row had is no part of the trees: its probability is reserved, whatever the hidden state.
        seen = self.held_out < torch.tensor(network.sizes)
        self.tests = torch.where(seen, self.held_out + torch.tensor(network.starts), sum(network.sizes))
        reserved = torch.tensor([entry.reserved for entry in network.event.all], dtype=torch.float64)
        apart = torch.where(seen, (-reserved).log1p(), reserved.log()).sum(1)
        self.values = float((network.nodes.log_values(held_out) + apart).mean()) if len(held_out) else 0.0
        self.marginals = network.marginals
        self.columns = features(self.rows, network.sizes, self.marginals.places)

    def time_left(self, needed: float) -> bool:
        """Whether so many seconds are left."""
        return self.deadline is None or time.monotonic() + needed < self.deadline

    def tree(self, parents: list[int]) -> tuple[Tables, Strengths, Tensor, dict[str, float]]:
        """Counts and strengths of the best tree met, the log-probabilities of the held-out states, and facts."""
        start = time.monotonic()
        shape, size = Shape(tuple(parents)), len(self.index)
        counts = self.started(shape)
        strengths = chosen(shape, self.marginals, counts, start_of(len(shape)), self.tests)
        tables = self.marginals.tables(counts, strengths)
        best, scores = (counts, strengths), self.scores(shape, tables)
        passes = since = steps = 0
        while passes < MAX_PASSES and since < PATIENCE and (not passes or self.time_left(0.0)):
            passes += 1
            for part in torch.randperm(size, generator=self.generator).split(MINIBATCH):
                found = expected(shape, tables, self.index[part])[1]
                rate = (steps + 1) ** -FORGETTING * min(1.0, 2 * len(part) / min(MINIBATCH, size))
                counts = _towards(counts, found, size / len(part), rate)
                steps += 1
                if steps % TABLES_EVERY == 0:
                    tables = self.marginals.tables(counts, strengths)
            strengths = chosen(shape, self.marginals, counts, strengths, self.tests)
            tables = self.marginals.tables(counts, strengths)
            now = self.scores(shape, tables)
            since += 1
            if now.mean() > scores.mean():
                best, scores, since = (counts, strengths), now, 0
        alone = float(scores.mean()) + self.values
        return *best, scores, {"passes": passes, "seconds": time.monotonic() - start, "alone": alone}

    def started(self, shape: Shape) -> Tables:
        """Counts of the clusters that rows start in."""
        k, network = self.network.hidden, self.network
        at = assignments(shape, self.columns, k, self.generator)
        steps = torch.zeros(len(shape), k, k)
        for node, above in enumerate(shape.parents):
            if above >= 0:
                steps[node] = torch.bincount(at[:, above] * k + at[:, node], minlength=k * k).view(k, k)
        leaves = torch.zeros(sum(network.sizes), k)
        leaves.view(-1).index_add_(0, (self.index * k + at).flatten(), torch.ones(at.numel()))
        return Tables(torch.bincount(at[:, shape.order[0]], minlength=k).float(), steps, leaves)

    def scores(self, shape: Shape, tables: Tables) -> Tensor:
        """The log-probabilities of the states of held-out rows, float64."""
        leaves = with_unseen(tables.leaves)
        found = [
            upward(shape, tables, [leaves[part[:, i]] for i in range(len(shape))], len(part)).log_prob
            for part in self.tests.split(TILE)
        ]
        return torch.cat(found).double()


def _towards(old: Tables, new: Tables, scale: float, rate: float) -> Tables:
    """(1 - rate) old + rate scale new."""
    return Tables(
        torch.lerp(old.root, new.root * scale, rate),
        torch.lerp(old.steps, new.steps * scale, rate),
        torch.lerp(old.leaves, new.leaves * scale, rate),
    )
