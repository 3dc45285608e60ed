"""Trees of hidden states answer as summing over every hidden and every visible state does."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from scipy.stats import chisquare, norm

from likewise.errors import DataError, NotSupported
from likewise.events import Batch, Categorical, Columns, Entry, Event, Quantised, Real, Restriction, Status
from likewise.families.bayesian_network.hidden_tree.network import MAX_STATES, HiddenTreeNetwork
from likewise.families.bayesian_network.hidden_tree.passes import Messages, Shape, Tables, distinct, upward
from likewise.families.bayesian_network.hidden_tree.tables import Strengths
from likewise.families.bayesian_network.hidden_tree.tree import log_prob
from likewise.families.family import Question
from likewise.mathematics.monotone import MonotoneMap

GRID = Quantised(MonotoneMap.affine(2.0, 2.0), 1.0, 0.0, 0, 6)
UNIT = MonotoneMap.affine(1.0, 2.0)
ENTRIES = (
    Entry("a", Categorical(4), unseen=3, reserved=0.02),
    Entry("q", Categorical(2), GRID, missing=1),
    Entry("r", Categorical(2), Real(UNIT)),
    Entry("b", Categorical(3)),
    Entry("c", Categorical(2)),
)
GRAINS: list[list[int] | None] = [None, [1, 2, 1], [2, 1], None, None]


def random_network(rng: np.random.Generator, columns: int, states: int, trees: int = 1) -> HiddenTreeNetwork:
    """Counts of every kind drawn at random, in trees of random shape."""
    event = Event(Columns(), ENTRIES[:columns])
    network = HiddenTreeNetwork(event, GRAINS[:columns], [], [])
    for i in event.value_entries:
        own = network.nodes.of(i)
        assert own is not None
        inner = np.sort(rng.normal(size=len(own.edges) - 2))
        if i == 1:  # cells are never cut
            inner = np.asarray(GRID.cells(torch.tensor([1, 3, 5]))[1])
        own.edges.copy_(torch.tensor([-40.0, *inner, 40.0], dtype=torch.float64))
        own.counts.copy_(torch.from_numpy(rng.gamma(1.0, 5.0, len(own.counts))))
    network.shown.copy_(torch.from_numpy(rng.gamma(1.0, 20.0, len(network.shown))))
    for k in range(states, states + trees):  # trees differ in their hidden states
        order = rng.permutation(columns).tolist()
        parents = [-1] * columns
        for place, node in enumerate(order[1:], start=1):
            parents[node] = order[int(rng.integers(place))]
        sizes = (k,), (columns, k, k), (len(network.shown), k)
        counts = Tables(*(torch.from_numpy(rng.gamma(0.4, 30.0, size)) for size in sizes))
        strengths = Strengths(*(torch.from_numpy(rng.gamma(1.0, 2.0, columns)) for _ in range(3)))
        network.add(parents, counts, strengths)
    network.weights = torch.from_numpy(rng.dirichlet(np.ones(trees)))
    return network


@dataclass(frozen=True)
class Joint:
    """Every visible state (n, columns), unseen ones included, and its probability (n,)."""

    states: np.ndarray
    shares: np.ndarray


def enumerated(network: HiddenTreeNetwork) -> Joint:
    """The joint distribution of visible states, summed over all hidden states of every tree."""
    columns = len(network.event)
    visible = np.array(list(itertools.product(*(range(size) for size in network.nodes.sizes))))
    total = np.zeros(len(visible))
    for t, tables in enumerate(network.tables):
        hidden = len(tables.root)
        z = np.array(list(itertools.product(range(hidden), repeat=columns)))
        root, steps, leaves = (part.numpy() for part in (tables.root, tables.steps, tables.leaves))
        prior = np.ones(len(z))
        shown = np.ones((len(visible), len(z)))
        for i, above in enumerate(network.of(t).shape.parents):
            prior *= root[z[:, i]] if above < 0 else steps[i][z[:, above], z[:, i]]
            leaf = leaves[network.starts[i] :][: network.sizes[i]]
            reserved = network.event.all[i].reserved
            if network.nodes.unseen(i) is not None:
                leaf = np.concatenate([(1 - reserved) * leaf, np.full((1, hidden), reserved)])
            shown *= leaf[visible[:, i]][:, z[:, i]]
        total += float(network.weights[t]) * (shown @ prior)
    return Joint(visible, total)


def grain_shares(network: HiddenTreeNetwork, i: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Edges, bin of each grain, and its probability given the bin: counts, and one more spread by normal mass."""
    own = network.nodes.of(i)
    assert own is not None
    edges = own.edges.numpy()
    owner = np.repeat(np.arange(own.size), own.grains)
    mass = np.diff(norm.cdf(edges))
    counts = own.counts.numpy() + mass / np.bincount(owner, mass)[owner]
    return edges, owner, counts / np.bincount(owner, counts)[owner]


def inside(network: HiddenTreeNetwork, i: int, intervals: np.ndarray) -> np.ndarray:
    """The share of each bin within a union of intervals (P, 2)."""
    edges, owner, shares = grain_shares(network, i)
    parts = np.zeros(len(shares))
    for low, high in intervals:
        ends = np.clip([low, high], edges[:-1, None], edges[1:, None])
        parts += np.maximum(np.diff(norm.cdf(ends), axis=1)[:, 0], 0) / np.diff(norm.cdf(edges))
    return np.bincount(owner, parts * shares)


def state_and_density(network: HiddenTreeNetwork, batch: Batch, row: int, i: int) -> tuple[int, float]:
    """The state of an observed entry, and the log density or mass of its value given the state."""
    code, z = int(batch.codes[row, i]), float(batch.values[row, i])
    if i not in network.event.value_entries:
        return code, 0.0
    edges, owner, shares = grain_shares(network, i)
    if code > 0:
        return int(owner[-1]) + code, 0.0
    grain = int(np.searchsorted(edges, z)) - 1
    weight = np.log(shares[grain]) - np.log(np.diff(norm.cdf(edges[grain : grain + 2])))[0]
    low, width = float(batch.lower[row, i]), float(batch.width[row, i])
    own = np.log(norm.cdf(low + width) - norm.cdf(low)) if i == 1 else norm.logpdf(z) + np.log(width)
    return int(owner[grain]), float(weight + own)


@dataclass(frozen=True)
class Case:
    """A network, questions to it, and what enumeration makes of every row.

    Attributes
    ----------
    weights : rows of columns of (states,)
        How well each state agrees with what is known.
    logs : (rows,)
        Densities of observed values given their states.
    """

    network: HiddenTreeNetwork
    question: Question
    weights: list[list[np.ndarray]]
    logs: np.ndarray

    @cached_property
    def joint(self) -> Joint:
        return enumerated(self.network)

    def posterior(self, row: int, seen_only: bool) -> tuple[np.ndarray, np.ndarray]:
        """Every visible state, and its probability together with the evidence of a row."""
        joint = self.joint
        shares = joint.shares.copy()
        for i, weights in enumerate(self.weights[row]):
            shares *= weights[joint.states[:, i]]
            unseen = self.network.nodes.unseen(i)
            if seen_only and unseen is not None and self.question.evidence.status[row, i] != Status.OBSERVED:
                shares[joint.states[:, i] == unseen] = 0.0
        return joint.states, shares


def random_case(seed: int, rows: int = 12, soft: bool = False) -> Case:
    """Rows in which each column is observed (perhaps in a state never seen), unknown, or in a set or intervals."""
    rng = np.random.default_rng(seed)
    columns = 3 + seed % 3
    network = random_network(rng, columns, 2 + seed % 3 if columns < 5 else 2 + seed % 2, 1 + seed % 2)
    event = network.event
    codes = np.stack([rng.integers(0, entry.code.size, rows) for entry in event.all], 1)
    values = torch.from_numpy(rng.normal(size=codes.shape))
    values[:, 1] = GRID.map.forward(torch.from_numpy(rng.integers(0, 7, rows)))
    full = event.complete(torch.from_numpy(codes), values)
    status = rng.choice(3, codes.shape, p=[0.4, 0.3, 0.3])
    status[0], status[1], codes[:2, 0] = Status.OBSERVED, Status.UNKNOWN, 3
    restrictions, weights = {}, [[np.ones(size) for size in network.nodes.sizes] for _ in range(rows)]
    logs, likelihoods = np.zeros(rows), {}
    for i, entry in enumerate(event.all):
        allowed = rng.random((rows, entry.code.size)) < 0.6
        allowed[np.arange(rows), rng.integers(0, entry.seen, rows)] = True
        # Disjoint; some are inside a bin, some go across several, some are open.
        ends = np.sort(rng.normal(scale=1.2, size=(rows, 4)), 1)
        ends[rng.random(rows) < 0.3, 3] = 40.0
        intervals = ends.reshape(rows, 2, 2)
        restrictions[i] = Restriction(torch.from_numpy(allowed), torch.from_numpy(intervals))
        for row in range(rows):
            if status[row, i] == Status.OBSERVED:
                state, density = state_and_density(network, full, row, i)
                weights[row][i] = np.eye(network.nodes.sizes[i])[state]
                logs[row] += density
            elif status[row, i] == Status.RESTRICTED:
                weights[row][i] = allowed[row].astype(float)
                if entry.value is not None:
                    own = inside(network, i, intervals[row]) * allowed[row, 0]
                    weights[row][i] = np.concatenate([own, allowed[row, 1:]])
        if soft and rng.random() < 0.6:
            likelihood = rng.gamma(0.5, size=(rows, network.sizes[i])) * (rng.random((rows, network.sizes[i])) < 0.8)
            likelihood[:, 0] += 0.1
            likelihoods[i] = torch.from_numpy(likelihood)
            for row in np.flatnonzero(status[:, i] != Status.OBSERVED):
                weights[row][i][: network.sizes[i]] *= likelihood[row]
    known = torch.from_numpy(status == Status.OBSERVED)
    batch = Batch(
        torch.where(known, full.codes, 0),
        torch.where(known, full.values, 0.0),
        torch.where(known, full.lower, 0.0),
        torch.where(known, full.width, 1.0),
        torch.from_numpy(status.astype(np.uint8)),
        restrictions,
    )
    return Case(network, Question(batch, likelihoods), weights, logs)


@pytest.mark.parametrize("seed", range(12))
def test_probabilities_of_all_states_add_up_to_one(seed: int) -> None:
    assert enumerated(random_case(seed).network).shares.sum() == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("seed", range(24))
def test_any_evidence_is_as_probable_as_enumeration_says(seed: int) -> None:
    case = random_case(seed)
    with np.errstate(divide="ignore"):
        expected = np.log([case.posterior(row, False)[1].sum() for row in range(len(case.logs))]) + case.logs
    np.testing.assert_allclose(case.network.log_prob(case.question.evidence), expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("seed", range(24))
def test_posteriors_are_those_of_enumeration(seed: int) -> None:
    case = random_case(seed, soft=seed % 2 == 1)
    network, columns = case.network, len(case.network.event)
    possible = [row for row in range(len(case.logs)) if case.posterior(row, True)[1].sum() > 0]
    # A target in a state that no training record had is none of the states that answers are about.
    possible = [row for row in possible if not (case.weights[row][0][3] == 1 and case.weights[row][0][:3].sum() == 0)]
    at = torch.tensor(possible)
    soft = {i: part[at] for i, part in case.question.likelihoods.items()}
    asked = Question(case.question.evidence.rows(at), soft)
    for targets in (list(range(columns)), [columns - 1], [1, 0]):
        found = network.posterior(asked, targets)
        for place, i in enumerate(targets):
            for row, answer in zip(possible, found[place].numpy(), strict=True):
                states, shares = case.posterior(row, True)
                own = np.bincount(states[:, i], shares, minlength=network.nodes.sizes[i]) / shares.sum()
                np.testing.assert_allclose(answer, own[: network.sizes[i]], atol=1e-12)
            likeliest, logs = network.most_probable(asked, [i])
            np.testing.assert_array_equal(likeliest[:, 0], found[place].argmax(1))
            np.testing.assert_allclose(logs, found[place].amax(1).log(), atol=1e-12)


def agrees(counts: np.ndarray, shares: np.ndarray) -> bool:
    """Whether counts are no surprise if these are the probabilities; rare states are taken together."""
    expected = shares / shares.sum() * counts.sum()
    assert counts[expected == 0].sum() == 0
    rare = expected < 5
    if rare.any():
        counts = np.append(counts[~rare], counts[rare].sum())
        expected = np.append(expected[~rare], expected[rare].sum())
    counts, expected = counts[expected > 0], expected[expected > 0]
    return len(counts) < 2 or chisquare(counts, expected).pvalue > 1e-3


@pytest.mark.parametrize("seed", range(6))
def test_draws_under_evidence_follow_the_exact_posterior(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(HiddenTreeNetwork, "_rows", 4)  # several tiles
    case = random_case(seed, rows=6)
    network, evidence = case.network, case.question.evidence
    possible = [row for row in range(6) if case.posterior(row, True)[1].sum() > 0]
    evidence, draws = evidence.rows(torch.tensor(possible)), 3000
    drawn = network.conditional(evidence, draws, torch.Generator().manual_seed(seed))
    assert drawn.fully_observed
    found = network.nodes.states(drawn).numpy().reshape(len(possible), draws, -1)
    radix = np.append(np.cumprod(network.nodes.sizes[:0:-1])[::-1], 1)
    for place, row in enumerate(possible):
        _, shares = case.posterior(row, True)
        assert agrees(np.bincount(found[place] @ radix, minlength=len(shares)), shares)
        own = drawn.rows(slice(place * draws, (place + 1) * draws))
        for i in np.flatnonzero(evidence.status[place] == Status.RESTRICTED).tolist():
            within = evidence.restrictions[i]
            assert within.codes[place][own.codes[:, i]].all()
            if i == 2:
                z = own.values[own.codes[:, i] == 0, i, None]
                low, high = within.intervals[place].T
                assert ((low - 1e-9 <= z) & (z <= high + 1e-9)).any(1).all()


def test_values_under_evidence_follow_their_density() -> None:
    """Half of a bin of a real column: where in it a value falls is known in closed form."""
    network = random_network(np.random.default_rng(3), 3, 3, 2)
    edges, _, _ = grain_shares(network, 2)
    low, high = edges[1] + 0.1, edges[2] + 0.5
    within = torch.tensor([[[low, high]]], dtype=torch.float64)
    evidence = Batch.unknown(network.event, 1).restrict(2, Restriction(torch.tensor([[True, False]]), within))
    drawn = network.conditional(evidence, 6000, torch.Generator().manual_seed(0)).values[:, 2].numpy()
    cuts = np.linspace(low, high, 9)
    whole = network.log_prob(evidence).exp()
    shares = [
        float(
            network.log_prob(
                evidence.restrict(
                    2, Restriction(torch.tensor([[True, False]]), torch.tensor([[ends]], dtype=torch.float64))
                )
            ).exp()
            / whole
        )
        for ends in itertools.pairwise(cuts)
    ]
    assert sum(shares) == pytest.approx(1)
    assert agrees(np.histogram(drawn, cuts)[0], np.array(shares))


@pytest.mark.parametrize("seed", range(4))
def test_samples_follow_marginals_and_pairs(seed: int) -> None:
    network = random_network(np.random.default_rng(seed), 3 + seed % 3, 3, 1 + seed % 2)
    joint, sizes = enumerated(network), network.nodes.sizes
    drawn = network.sample(20_000, torch.Generator().manual_seed(seed))
    assert drawn.fully_observed
    states = network.nodes.states(drawn).numpy()
    assert (states < np.array(network.sizes)).all()  # never what no training record had
    seen = (joint.states < np.array(network.sizes)).all(1)
    for i, j in itertools.combinations(range(len(sizes)), 2):
        shares = np.bincount(joint.states[seen] @ np.eye(len(sizes), dtype=int)[i], joint.shares[seen], sizes[i])
        assert agrees(np.bincount(states[:, i], minlength=sizes[i]), shares)
        pairs = np.bincount(joint.states[seen, i] * sizes[j] + joint.states[seen, j], joint.shares[seen])
        assert agrees(np.bincount(states[:, i] * sizes[j] + states[:, j], minlength=len(pairs)), pairs)


def test_impossible_evidence_is_said_to_be_impossible() -> None:
    network = random_network(np.random.default_rng(0), 3, 2)
    unseen_only = Restriction(torch.tensor([[False, False, False, True]]), torch.zeros(1, 0, 2))
    evidence = Batch.unknown(network.event, 1).restrict(0, unseen_only)
    assert float(network.log_prob(evidence)) == pytest.approx(np.log(0.02))
    with pytest.raises(DataError, match="probability zero"):
        network.posterior(Question(evidence), [1])
    nothing = Restriction(torch.zeros(1, 4, dtype=torch.bool), torch.zeros(1, 0, 2))
    assert float(network.log_prob(evidence.restrict(0, nothing))) == -np.inf


def test_rows_are_answered_alike_in_tiles_and_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    case = random_case(4, rows=40)
    network, evidence = case.network, case.question.evidence
    together = network.log_prob(evidence)
    monkeypatch.setattr(HiddenTreeNetwork, "_rows", 7)
    torch.testing.assert_close(network.log_prob(evidence), together, rtol=0, atol=1e-12)
    alone = torch.cat([network.log_prob(evidence.rows(slice(row, row + 1))) for row in range(40)])
    torch.testing.assert_close(alone, together, rtol=0, atol=1e-12)


def test_messages_of_three_hundred_columns_do_not_underflow() -> None:
    rng = np.random.default_rng(0)
    columns, states = 300, 3
    shape = Shape((-1, *[0] * (columns - 1)))
    root, leaf = rng.dirichlet(np.ones(states)), rng.dirichlet([0.1] * 40, (columns, states))
    steps, shown = rng.dirichlet(np.ones(states), (columns, states)), rng.integers(0, 40, (5, columns))
    leaf = (leaf + 1e-9) / (leaf + 1e-9).sum(2, keepdims=True)
    weights = np.stack([leaf[i][:, shown[:, i]].T for i in range(columns)])
    with np.errstate(divide="ignore"):
        below = np.log(np.einsum("cxz,cbz->cbx", steps[1:], weights[1:])).sum(0)
        exact = logsumexp(np.log(root) + np.log(weights[0]) + below, axis=1)
    assert exact.max() < -745  # the smallest number of double precision is exp(-745)
    for kind, error in ((torch.float64, 1e-12), (torch.float32, 1e-5)):
        tables = Tables(*(torch.from_numpy(part).to(kind) for part in (root, steps, leaf.reshape(-1, states))))
        found = upward(shape, tables, [Messages(torch.from_numpy(own).to(kind)) for own in weights], 5).log_prob
        np.testing.assert_allclose(found.double(), exact, rtol=error)


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 2, 0), (2, 0, 1)])
def test_posteriors_given_three_hundred_columns_do_not_underflow(order: tuple[int, ...]) -> None:
    """Of three trees two are about as probable, and the other is e^750 times less so, wherever it stands."""
    rng = np.random.default_rng(1)
    columns, k, size = 300, 2, 12
    event = Event(Columns(), tuple(Entry(f"x{i}", Categorical(size)) for i in range(columns)))
    network = HiddenTreeNetwork(event, [None] * columns, [], [])
    network.shown.fill_(1.0)
    leaves = torch.from_numpy(rng.gamma(1.0, 100.0, (columns, size, k)))
    target = torch.from_numpy(rng.gamma(1.0, 100.0, (2, size, k)))
    rows = torch.from_numpy(rng.integers(0, size, (4, columns)))
    poor = leaves.clone()
    poor[torch.arange(columns), rows[0]] *= 0.01
    steps = torch.from_numpy(rng.gamma(1.0, 100.0, (columns, k, k)))
    kinds = [torch.cat([target[0][None], leaves[1:]]), torch.cat([target[1][None], leaves[1:]]), poor]
    for t in order:
        counts = Tables(torch.full((k,), 100.0, dtype=torch.float64), steps, kinds[t].flatten(0, 1))
        network.add([-1, *range(columns - 1)], counts, Strengths(*torch.full((3, columns), 1e-3)))
    codes = rows.repeat_interleave(size, 0)
    codes[:, 0] = torch.arange(size).repeat(4)
    every = event.complete(codes, torch.zeros(len(codes), 0, dtype=torch.float64))
    logs = network.log_prob(every).view(4, size)
    places = codes + torch.arange(columns) * size
    alone = [log_prob(network.of(t).shape, tables, places)[0] for t, tables in enumerate(network.tables)]
    assert float(logs.max()) < -500
    assert float(alone[order.index(2)] - alone[order.index(0)]) < -745
    evidence = every.rows(torch.arange(4) * size).hide([0])
    found = network.posterior(Question(evidence), [0])[0]
    torch.testing.assert_close(found, logs.softmax(1), rtol=0, atol=1e-9)
    drawn = network.conditional(evidence, 1000, torch.Generator().manual_seed(0)).codes.view(4, 1000, columns)
    assert torch.equal(drawn[:, :, 1:], rows[:, None, 1:].expand(4, 1000, columns - 1))
    for own, expected in zip(drawn[:, :, 0], logs.softmax(1), strict=True):
        assert agrees(np.bincount(own.numpy(), minlength=size), expected.numpy())


@pytest.mark.parametrize("rows", [1, 7, 400])
def test_messages_that_rows_share_are_those_of_each_row(rows: int) -> None:
    rng = np.random.default_rng(rows)
    tables = [torch.from_numpy(rng.dirichlet(np.ones(4), size)) for size in (6, 3)]
    index = [torch.from_numpy(rng.integers(0, len(table), rows)) for table in tables]
    found = [distinct(own) for own in index]
    first, second = (Messages(table[own], at) for table, (own, at) in zip(tables, found, strict=True))
    plain = tables[0][index[0]] * tables[1][index[1]]
    both = first.times(second)
    assert (both.at is not None) == (rows == 400)
    torch.testing.assert_close(both.rows(), plain, rtol=1e-12, atol=0)
    scaled, logs = both.scaled()
    torch.testing.assert_close(scaled.rows() * logs.exp()[:, None], plain, rtol=1e-12, atol=0)
    assert torch.equal(scaled.rows().amax(1), torch.ones(rows, dtype=torch.float64))
    step = torch.from_numpy(rng.dirichlet(np.ones(4), 4))
    some = torch.from_numpy(rng.integers(0, rows, 5))
    torch.testing.assert_close(both.stepped(step).of(some), plain[some] @ step.T, rtol=1e-12, atol=0)
    own = Messages(plain)
    torch.testing.assert_close(own.times(first).rows(), plain * first.rows(), rtol=0, atol=0)
    assert torch.equal(own.of(some), plain[some])


# ------------------------------------------------------------------------------------------------------------ refusals


def test_what_hidden_states_cannot_answer_is_refused() -> None:
    network = random_network(np.random.default_rng(0), 3, 2)
    nothing = Batch.unknown(network.event, 1)
    with pytest.raises(NotSupported, match="most probable state of one column at a time"):
        network.most_probable(Question(nothing), [0, 1])
    observed = network.sample(1, torch.Generator().manual_seed(0))
    with pytest.raises(NotSupported, match="Hidden states stand for no causes"):
        network.posterior(Question(observed, {}, (0,)), [1])
    # Of several targets all but one may be observed.
    states, _ = network.most_probable(Question(observed.hide([1])), [0, 1, 2])
    torch.testing.assert_close(states[:, [0, 2]], network.nodes.states(observed)[:, [0, 2]])


@pytest.mark.parametrize(
    ("states", "trees"),
    [
        ([0], [[-1, 0, 0]]),
        ([-1], [[-1, 0, 0]]),
        ([True], [[-1, 0, 0]]),
        (["8"], [[-1, 0, 0]]),
        ([MAX_STATES + 1], [[-1, 0, 0]]),
        (2, [[-1, 0, 0]]),
        ([], [[-1, 0, 0]]),
        ([2, 2], [[-1, 0, 0]]),
        ([2], {}),
        ([2], [[-1, 0]]),
        ([2], [[-1, 0, 0, 0]]),
        ([2], [[-1, -1, 0]]),
        ([2], [[1, 2, 0]]),
        ([2], [[-1, 2, 1]]),
        ([2], [[-1, 0, 3]]),
        ([2], [[-1, 0, -2]]),
        ([2], [[-1, 0, 0.0]]),
        ([2], [[-1, False, 0]]),
        ([2], [None]),
    ],
)
def test_what_is_no_tree_is_refused(states: Any, trees: Any) -> None:
    with pytest.raises(ValueError, match=r"tree|hidden states|go round|cycle"):
        HiddenTreeNetwork(Event(Columns(), ENTRIES[:3]), GRAINS[:3], states, trees)


def test_a_tree_that_is_too_large_is_refused_before_memory_is_taken() -> None:
    event = Event(Columns(), tuple(Entry(f"x{i}", Categorical(2)) for i in range(600)))
    with pytest.raises(ValueError, match="too large"):
        HiddenTreeNetwork(event, [None] * 600, [MAX_STATES], [[-1, *[0] * 599]])
