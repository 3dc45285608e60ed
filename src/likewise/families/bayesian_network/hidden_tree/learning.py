"""Learning a mixture of trees of hidden states by stepwise expectation maximisation."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
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

STATES = (8, 16, 32, 64, 128, 256, 512)
"""Hidden states that are tried one after the other, as long as held-out rows gain `WORTH` nats from more of them."""

ROWS_A_STATE = 120
"""The first number of them that is tried leaves so many rows for each, if there is one."""

WORTH = 0.02

DEARER = 4.0
"""How many times the seconds of a pass one with twice the states takes, about."""

USUAL = 8
"""Passes of a tree with many states, about."""

MAX_BINS = 128
MAX_COMPONENTS = 16
GAIN = 0.003
"""Nats a held-out record that another tree must add, for more to be learned."""

MINIBATCH = 512
MINIBATCHES = 8
"""In a pass at least, about: held-out rows are asked after each."""

FORGETTING = 0.6
"""The power with which steps get smaller (Cappe and Moulines 2009: between one half and one)."""

TABLES_EVERY = 4
"""Minibatches between two estimates of the tables."""

PATIENCE = 2
"""Passes through the rows without a better score of held-out rows, after which a tree is done."""

MAX_SMOOTHING_ROWS = 8192
"""Held-out rows at most that say how much every distribution is smoothed: their messages are in memory together."""

MAX_PASSES = 100
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
    grains = [None if own is None else own.grains for own in map(cut.nodes.of, range(len(event)))]

    def blank(states: int) -> HiddenTreeNetwork:
        network = HiddenTreeNetwork(event, grains, states, [])
        cut.onto(network.nodes)
        network.count(train)
        return network

    deadline = None if options.seconds is None else start + options.seconds
    learner = Learner(blank(1), train, held_out, generator, deadline)
    tried: list[dict[str, Any]] = []
    trees = [_first(learner, (options.states,) if options.states else _sizes(len(train)), tried)]
    most = options.components or MAX_COMPONENTS
    while len(trees) < most and learner.time_left(trees[0].seconds):
        another = learner.tree(learner.parents(resampled=True), trees[0].states)
        gain = _mixed([*trees, another]) - _mixed(trees)
        tried.append(another.facts(learner.values))
        if options.components is None and gain <= 0:
            break
        trees.append(another)
        if options.components is None and gain < GAIN:
            break
    network = blank(trees[0].states)
    for tree in trees:
        network.add(tree.parents, tree.counts, tree.strengths)
    description = {"grains": grains, "states": trees[0].states, "trees": [tree.parents for tree in trees]}
    record = {
        "structure": "hidden_tree",
        "states": trees[0].states,
        "components": len(trees),
        "tried": tried,
        "held_out_log_prob": _mixed(trees) + learner.values,
    }
    return network, description, record


@dataclass(frozen=True)
class Learned:
    """One tree: the column above each column, expected counts, and how well it does.

    Attributes
    ----------
    scores : float64 (held-out rows,)
        Log-probabilities of their states.
    """

    parents: list[int]
    counts: Tables
    strengths: Strengths
    scores: Tensor
    passes: int
    seconds: float

    @property
    def states(self) -> int:
        return len(self.counts.root)

    def facts(self, values: float) -> dict[str, Any]:
        """What the record of the fit tells; `values` is what held-out values add to scores of states."""
        alone = float(self.scores.mean()) + values
        return {"states": self.states, "passes": self.passes, "seconds": self.seconds, "held_out_log_prob": alone}


def _first(learner: Learner, sizes: Sequence[int], tried: list[dict[str, Any]]) -> Learned:
    """The tree of best score among those of growing numbers of states, over the same edges."""
    parents = learner.parents(resampled=False)
    best = learner.tree(parents, sizes[0])
    tried.append(best.facts(learner.values))
    for states in sizes[1:]:
        if not learner.time_left(DEARER * USUAL * best.seconds / best.passes):
            break
        larger = learner.tree(parents, states)
        tried.append(larger.facts(learner.values))
        gain = float(larger.scores.mean() - best.scores.mean())
        best = larger if gain > 0 else best
        if gain < WORTH:
            break
    return best


def _sizes(rows: int) -> Sequence[int]:
    """The numbers of states to be tried."""
    return STATES[max(0, sum(states * ROWS_A_STATE <= rows for states in STATES) - 1) :]


def _mixed(trees: Sequence[Learned]) -> float:
    """The mean log-probability of the states of held-out rows in the mixture of trees."""
    held = torch.stack([tree.scores for tree in trees])
    return float((held.logsumexp(0) - math.log(len(trees))).mean())


def chow_liu_tree(nodes: Nodes, rows: Tensor) -> list[int]:
    """The column above each column in the tree of largest likelihood of the rows, -1 at its root."""
    grouped = []
    for i, size in enumerate(nodes.sizes):
        own = nodes.of(i)
        states: Any = rows[:, i].numpy()
        grouped.append(column(states, size, 0 if own is None else own.size, GRAPH_GROUPS, GRAPH_GROUPS))
    found = chow_liu(Counts(np.stack([part.grouped for part in grouped], 1), [part.groups for part in grouped]))
    return [above[0] if above else -1 for above in found]


class Learner:
    """Learns one tree after the other from the same rows.

    Expected counts follow those of minibatches, N <- (1 - eta) N + eta N_minibatch, with steps that get smaller
    (stepwise expectation maximisation: Cappe and Moulines 2009). The counts that score held-out rows best are kept.
    """

    def __init__(
        self,
        network: HiddenTreeNetwork,
        train: Batch,
        held_out: Batch,
        generator: torch.Generator,
        deadline: float | None,
    ) -> None:
        self.network, self.generator, self.deadline = network, generator, deadline
        self.rows, self.held_out = network.nodes.states(train), network.nodes.states(held_out)
        self.index = self.rows + torch.tensor(network.starts)
        # What no training row had is no part of the trees: its probability is reserved, whatever the hidden state.
        seen = self.held_out < torch.tensor(network.sizes)
        self.tests = torch.where(seen, self.held_out + torch.tensor(network.starts), sum(network.sizes))
        self.smoothing_tests = self.tests
        if len(self.tests) > MAX_SMOOTHING_ROWS:
            self.smoothing_tests = self.tests[torch.randperm(len(self.tests), generator=generator)[:MAX_SMOOTHING_ROWS]]
        reserved = torch.tensor([entry.reserved for entry in network.event.all], dtype=torch.float64)
        apart = torch.where(seen, (-reserved).log1p(), reserved.log()).sum(1)
        self.values = float((network.nodes.log_values(held_out) + apart).mean()) if len(held_out) else 0.0
        self.marginals = network.marginals
        self.columns = features(self.rows, network.sizes, self.marginals.places)

    def time_left(self, needed: float) -> bool:
        """Whether so many seconds are left."""
        return self.deadline is None or time.monotonic() + needed < self.deadline

    def parents(self, *, resampled: bool) -> list[int]:
        """The Chow-Liu tree of the rows, or of as many drawn from them."""
        rows = self.rows
        if resampled:
            rows = rows[torch.randint(len(rows), (len(rows),), generator=self.generator)]
        return chow_liu_tree(self.network.nodes, rows)

    def tree(self, parents: list[int], states: int) -> Learned:
        """The best tree met over these edges."""
        start = time.monotonic()
        shape, size = Shape(tuple(parents)), len(self.index)
        counts = self.started(shape, states)
        strengths = chosen(shape, self.marginals, counts, start_of(len(shape)), self.smoothing_tests)
        tables = self.marginals.tables(counts, strengths)
        best, scores = (counts, strengths), self.scores(shape, tables)
        passes = since = steps = 0
        while passes < MAX_PASSES and since < PATIENCE and (not passes or self.time_left(0.0)):
            passes += 1
            for part in self._parts(size):
                found = expected(shape, tables, self.index[part])[1]
                rate = (steps + 1) ** -FORGETTING * min(1.0, 2 * len(part) / min(MINIBATCH, size))
                counts = _towards(counts, found, size / len(part), rate)
                steps += 1
                if steps % TABLES_EVERY == 0:
                    tables = self.marginals.tables(counts, strengths)
            if passes & (passes - 1) == 0:  # after 1, 2, 4, 8 ... passes, since it costs as much as one
                strengths = chosen(shape, self.marginals, counts, strengths, self.smoothing_tests)
            tables = self.marginals.tables(counts, strengths)
            now = self.scores(shape, tables)
            since += 1
            if now.mean() > scores.mean():
                best, scores, since = (counts, strengths), now, 0
        return Learned(parents, *best, scores, passes, time.monotonic() - start)

    def _parts(self, size: int) -> list[Tensor]:
        """The rows in a new order, in minibatches; of few rows several orders."""
        times = max(1, MINIBATCHES * MINIBATCH // max(size, MINIBATCH))
        orders = [torch.randperm(size, generator=self.generator) for _ in range(times)]
        return [part for order in orders for part in order.split(MINIBATCH)]

    def started(self, shape: Shape, k: int) -> Tables:
        """Counts of the clusters that rows start in."""
        network = self.network
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
