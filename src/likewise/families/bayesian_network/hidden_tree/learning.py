"""Learning a mixture of trees of hidden states by stepwise expectation maximisation."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from likewise.errors import NotSupported
from likewise.events import Batch, Event
from likewise.families.bayesian_network.discrete.cutting import discretise
from likewise.families.bayesian_network.hidden_tree.clusters import assignments, clusters, features
from likewise.families.bayesian_network.hidden_tree.network import HiddenTreeNetwork
from likewise.families.bayesian_network.hidden_tree.pace import Pace, Shares
from likewise.families.bayesian_network.hidden_tree.partition import Groups, Partition
from likewise.families.bayesian_network.hidden_tree.passes import Messages, Shape, Tables, upward, with_unseen
from likewise.families.bayesian_network.hidden_tree.regularisation import chosen
from likewise.families.bayesian_network.hidden_tree.regularisation import start as start_of
from likewise.families.bayesian_network.hidden_tree.setting import Setting, settled
from likewise.families.bayesian_network.hidden_tree.tables import Strengths
from likewise.families.bayesian_network.hidden_tree.tree import expected, too_large

PARTS = 8
"""Trees of a mixture, each for its part of the rows."""

FEWEST_ROWS = 960
"""Rows of a part, about: of fewer rows there are fewer parts."""

PILOTS = 2
"""Parts, the largest, that tell which setting all trees are learned with."""

PILOT_PASSES = 10
"""Passes at most by which a setting is judged."""

PILOT_SHARE = 0.15
"""Of the seconds, which settings are tried in."""

OVERHEAD = 3
"""What a pass takes, with scores and smoothing, in terms of what learning from its rows alone takes, about."""

MAX_MIXTURES = 8
MAX_NUMBERS = 1 << 25
"""Parameters of all trees, 128 MB of a file: no further mixture where one as large as the first would be too many."""

GAIN = 0.003
"""Nats a held-out record that another mixture must add, for more to be learned."""

MAX_BINS = 128

MINIBATCH = 512
MINIBATCHES = 8
"""In a pass at least, about: held-out rows are asked after each."""

FORGETTING = 0.6
"""The power with which steps get smaller (Cappe and Moulines 2009: between one half and one)."""

TABLES_EVERY = 4
"""Minibatches between two estimates of the tables."""

PATIENCE = 5
PROGRESS = 0.001
"""A tree is done after so many passes by which held-out rows have not gained so many nats a row."""

MAX_PARTED = 50_000
"""Rows at most that say which parts there are."""

FEWEST_TESTS = 20
"""Held-out rows at least that a tree is judged by: those that belong to its part most."""

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
    learner = Learner(event, train, held_out, options, seed)
    parts = options.components or max(1, min(PARTS, len(train) // FEWEST_ROWS))
    first = learner.parts(parts)
    setting = learner.settled(first)
    mixtures = [learner.mixture(first, setting)]
    tried = [mixtures[0].facts(learner.values)]
    several = options.components is None and len(held_out) > 0
    most = min(MAX_MIXTURES, MAX_NUMBERS // mixtures[0].numbers)
    while several and len(mixtures) < most and learner.time_left(mixtures[0].seconds):
        another = learner.mixture(learner.parts(parts, resampled=True), setting)
        tried.append(another.facts(learner.values))
        gain = score([*mixtures, another]) - score(mixtures)
        if gain > 0:
            mixtures.append(another)
        if gain < GAIN:
            break
    network, trees = learner.network, [tree for mixture in mixtures for tree in mixture.trees]
    for tree in trees:
        network.add(tree.parents, tree.counts, tree.strengths)
    description = {
        "grains": network.nodes.grains,
        "states": list(network.hidden),
        "trees": [tree.parents for tree in trees],
    }
    record = {
        "structure": "hidden_tree",
        "states": list(network.hidden),
        "components": len(trees),
        "decay": setting.decay,
        "tried": tried,
        "held_out_log_prob": score(mixtures) + learner.values,
    }
    return network, description, record


@dataclass(frozen=True)
class Part:
    """What a tree is learned from: the column above each column, rows, held-out rows to judge by, and a seed."""

    parents: list[int]
    rows: Tensor
    tests: Tensor
    seed: int


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
    weight: float
    scores: Tensor
    passes: int


@dataclass(frozen=True)
class Mixture:
    """Trees whose weights add up to 1."""

    trees: list[Learned]
    seconds: float

    @property
    def scores(self) -> Tensor:
        """The log-probabilities of the states of held-out rows, float64."""
        return torch.stack([tree.scores + math.log(tree.weight) for tree in self.trees]).logsumexp(0)

    @property
    def numbers(self) -> int:
        """How many parameters there are."""
        parts = [part for tree in self.trees for part in (tree.counts.root, tree.counts.steps, tree.counts.leaves)]
        return sum(part.numel() for part in parts)

    def facts(self, values: float) -> dict[str, Any]:
        """What the record of the fit tells; `values` is what held-out values add to scores of states."""
        return {
            "components": len(self.trees),
            "states": [len(tree.counts.root) for tree in self.trees],
            "passes": max(tree.passes for tree in self.trees),
            "seconds": self.seconds,
            "held_out_log_prob": score([self]) + values,
        }


def score(mixtures: Sequence[Mixture]) -> float:
    """The mean log-probability of the states of held-out rows, all mixtures weighing the same."""
    return float((torch.stack([mixture.scores for mixture in mixtures]).logsumexp(0) - math.log(len(mixtures))).mean())


class Learner:
    """Learns mixtures of trees from the same rows; the trees of one are learned side by side.

    Expected counts follow those of minibatches, N <- (1 - eta) N + eta N_minibatch, with steps that get smaller
    (stepwise expectation maximisation: Cappe and Moulines 2009). The counts that score held-out rows best are kept.
    """

    def __init__(
        self,
        event: Event,
        train: Batch,
        held_out: Batch,
        options: Options,
        seed: int,
    ) -> None:
        self.deadline = math.inf if options.seconds is None else time.monotonic() + options.seconds
        self.hidden = options.states
        self.generator = torch.Generator().manual_seed(seed)
        self.stopped = False
        cut = discretise(event, train, options.max_bins or MAX_BINS)
        self.network = network = HiddenTreeNetwork(event, cut.nodes.grains, [], [])
        cut.onto(network.nodes)
        if self.hidden and too_large(len(event), self.hidden, sum(network.sizes)):
            raise NotSupported(
                f"Trees over {len(event)} columns with states={self.hidden} behind each are too large: use fewer, or "
                "states=None for as many as the rows suffice for."
            )
        network.count(train)
        self.rows, self.held_out = network.complete(train), network.nodes.states(held_out)
        self.index = self.rows + torch.tensor(network.starts)
        # What no training row had is no part of the trees: its probability is reserved, whatever the hidden state.
        seen = self.held_out < torch.tensor(network.sizes)
        self.tests = torch.where(seen, self.held_out + torch.tensor(network.starts), sum(network.sizes))
        reserved = torch.tensor([entry.reserved for entry in network.event.all], dtype=torch.float64)
        apart = torch.where(seen, (-reserved).log1p(), reserved.log()).sum(1)
        self.values = float((network.nodes.log_values(held_out) + apart).mean()) if len(held_out) else 0.0
        self.marginals = network.marginals
        self.groups = Groups(network.nodes, self.rows)
        self.columns = features(self.rows, self.marginals)
        self.pace = Pace(self.index[:MINIBATCH], sum(network.sizes))

    def time_left(self, needed: float) -> bool:
        """Whether so many seconds are left."""
        return time.monotonic() + needed < self.deadline

    def late(self, until: float) -> bool:
        """Whether it is that time, or learning beside others has failed or was interrupted."""
        return self.stopped or time.monotonic() >= until

    def settled(self, parts: Sequence[Part]) -> Setting:
        """The setting whose trees score held-out rows of the largest parts best, after few passes."""
        if not len(self.tests):
            return Setting()
        until = time.monotonic() + PILOT_SHARE * (self.deadline - time.monotonic())
        fixed = {"steps"} if self.hidden else set()
        return settled(lambda setting: self.trial(parts[:PILOTS], setting, until), fixed)

    def trial(self, parts: Sequence[Part], setting: Setting, until: float) -> Tensor | None:
        """The scores of the tests of these parts in trees of few passes; None where that would last longer."""
        if until < math.inf:
            needed = [len(part.rows) * self.pace.seconds_a_row(self.states(part, setting)) for part in parts]
            if time.monotonic() + OVERHEAD * PILOT_PASSES * sum(needed) / _workers(parts) > until:
                return None

        def learned(part: Part) -> Learned:
            return self.tree(part, self.states(part, setting), setting.decay, most=PILOT_PASSES)

        trees = self.side_by_side(learned, parts)
        return torch.cat([tree.scores[part.tests] for tree, part in zip(trees, parts, strict=True)])

    def mixture(self, parts: Sequence[Part], setting: Setting) -> Mixture:
        """A tree for every part of the rows."""
        start = time.monotonic()
        shares = Shares(self.deadline, len(self.rows), _workers(parts))

        def learned(part: Part) -> Learned:
            until = shares.until(len(part.rows))
            return self.tree(part, self.states(part, setting, until - time.monotonic()), setting.decay, until)

        return Mixture(self.side_by_side(learned, parts), time.monotonic() - start)

    def states(self, part: Part, setting: Setting, seconds: float = math.inf) -> int:
        """Hidden states of a tree: as many as its rows, and seconds, suffice for, unless told."""
        return self.hidden or self.pace.states(len(part.rows), setting.steps, seconds)

    def side_by_side(self, learned: Callable[[Part], Learned], parts: Sequence[Part]) -> list[Learned]:
        """As many trees at a time as torch has threads: minibatches are too small to be shared among these."""
        threads, workers = torch.get_num_threads(), _workers(parts)
        with ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(threads // workers,)) as pool:
            try:
                return list(pool.map(learned, parts))
            except BaseException:
                self.stopped = True
                raise
            finally:
                torch.set_num_threads(threads)  # which threads that begin later go by

    def parts(self, count: int, *, resampled: bool = False) -> list[Part]:
        """At most so many parts of the rows, the largest first.

        They are found in some rows, drawn with replacement if `resampled`, so that other mixtures have other parts.
        """
        size, generator = len(self.rows), self.generator
        drawn = (
            torch.randint(size, (size,), generator=generator)
            if resampled
            else torch.randperm(size, generator=generator)
        )
        some = drawn[:MAX_PARTED]
        first = clusters(torch.cat([column[some] for column in self.columns], 1), count, generator)
        partition = Partition(self.groups, self.rows[some], first)
        at, held = partition.shares(self.rows).argmax(1), partition.shares(self.held_out)
        found = []
        for t, plain in enumerate(partition.trees):
            rows, tests = (at == t).nonzero()[:, 0], (held.argmax(1) == t).nonzero()[:, 0]
            if len(tests) < FEWEST_TESTS:
                tests = held[:, t].topk(min(FEWEST_TESTS, len(held))).indices
            if len(rows):
                found.append(Part(plain.parents, rows, tests, self.seed()))
        return sorted(found, key=lambda part: -len(part.rows))

    def tree(self, part: Part, states: int, decay: float, until: float = math.inf, most: int | None = None) -> Learned:
        """The tree that scores the part's tests best, out of those met while it learns from the part's rows.

        Passes start until that time; there is one at least, and at most so many, or `MAX_PASSES`.
        """
        generator = torch.Generator().manual_seed(part.seed)
        shape, tests, size = Shape(tuple(part.parents)), part.tests, len(part.rows)
        index = self.index[part.rows]
        asked = self.tests[tests[torch.randperm(len(tests), generator=generator)[:MAX_SMOOTHING_ROWS]]]
        counts = self.started(shape, states, decay, part.rows, generator)
        strengths = chosen(shape, self.marginals, counts, start_of(len(shape)), asked)
        tables = self.marginals.tables(shape, counts, strengths)
        best, best_score = (counts, strengths), self.scores(shape, tables, tests).mean()
        gained, passes, since, steps = best_score, 0, 0, 0
        while passes < (most or MAX_PASSES) and since < PATIENCE and not (passes and self.late(until)):
            passes += 1
            for some in _minibatches(size, generator):
                found = expected(shape, tables, index[some])[1]
                rate = (steps + 1) ** -FORGETTING * min(1.0, 2 * len(some) / min(MINIBATCH, size))
                counts = _towards(counts, found, size / len(some), rate)
                steps += 1
                if steps % TABLES_EVERY == 0:
                    tables = self.marginals.tables(shape, counts, strengths)
            if passes & (passes - 1) == 0:  # after 1, 2, 4, 8 ... passes, since it costs as much as one
                strengths = chosen(shape, self.marginals, counts, strengths, asked)
            tables = self.marginals.tables(shape, counts, strengths)
            now = self.scores(shape, tables, tests).mean()
            since += 1
            if now > best_score or not len(tests):
                best, best_score = (counts, strengths), now
            if now > gained + PROGRESS or not len(tests):
                gained, since = now, 0
        tables = self.marginals.tables(shape, *best)
        return Learned(part.parents, *best, size / len(self.index), self.scores(shape, tables), passes)

    def seed(self) -> int:
        """A seed for what has a generator of its own, since it is learned beside others."""
        return int(torch.randint(1 << 62, (), generator=self.generator))

    def started(self, shape: Shape, k: int, decay: float, rows: Tensor, generator: torch.Generator) -> Tables:
        """Counts of the clusters that rows start in; see `assignments`."""
        network = self.network
        at = assignments(shape, [column[rows] for column in self.columns], k, decay, generator)
        steps = torch.zeros(len(shape), k, k)
        for node, above in enumerate(shape.parents):
            if above >= 0:
                steps[node] = torch.bincount(at[:, above] * k + at[:, node], minlength=k * k).view(k, k)
        leaves = torch.zeros(sum(network.sizes), k)
        leaves.view(-1).index_add_(0, (self.index[rows] * k + at).flatten(), torch.ones(at.numel()))
        return Tables(torch.bincount(at[:, shape.order[0]], minlength=k).float(), steps, leaves)

    def scores(self, shape: Shape, tables: Tables, tests: Tensor | None = None) -> Tensor:
        """The log-probabilities of the states of held-out rows, float64."""
        leaves = with_unseen(tables.leaves)
        found = [
            upward(shape, tables, [Messages(leaves[shown]) for shown in part.T], len(part)).log_prob
            for part in (self.tests if tests is None else self.tests[tests]).split(TILE)
        ]
        return torch.cat(found).double()


def _workers(parts: Sequence[Part]) -> int:
    """How many of these are learned side by side."""
    return min(torch.get_num_threads(), len(parts))


def _minibatches(size: int, generator: torch.Generator) -> list[Tensor]:
    """So many rows in a new order, in minibatches; of few rows several orders."""
    times = max(1, MINIBATCHES * MINIBATCH // max(size, MINIBATCH))
    orders = [torch.randperm(size, generator=generator) for _ in range(times)]
    return [some for order in orders for some in order.split(MINIBATCH)]


def _towards(old: Tables, new: Tables, scale: float, rate: float) -> Tables:
    """(1 - rate) old + rate scale new."""
    return Tables(
        torch.lerp(old.root, new.root * scale, rate),
        torch.lerp(old.steps, new.steps * scale, rate),
        torch.lerp(old.leaves, new.leaves * scale, rate),
    )
