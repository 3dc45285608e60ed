"""Exact inference says what enumerating all joint states says, however the rows are put together."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from scipy.stats import chisquare

from likewise.errors import DataError, NotSupported
from likewise.families.bayesian_network.discrete.partitions import Partition, Table, Tree, pack
from likewise.families.bayesian_network.inference import planning
from likewise.families.bayesian_network.inference.elimination import best_order, cliques
from likewise.families.bayesian_network.inference.exact import Evidence, Inference
from likewise.families.bayesian_network.inference.parameters import Parameters


def random_tree(rng: np.random.Generator, parents: list[int], sizes: list[int]) -> Tree:
    """A tree that splits twice where it can."""
    splits: list[object] = []

    def grow(depth: int) -> None:
        if depth == 2 or not parents:
            splits.append(0)
            return
        position = int(rng.integers(len(parents)))
        states = np.zeros(sizes[position], dtype=bool)
        states[rng.permutation(sizes[position])[: int(rng.integers(1, sizes[position]))]] = True
        splits.append([position, pack(states)])
        grow(depth + 1)
        grow(depth + 1)

    grow(0)
    return Tree(parents, sizes, splits)


def random_network(rng: np.random.Generator, nodes: int, trees: bool = False, zeros: float = 0.0) -> Parameters:
    """Up to three parents a node, in a random order of nodes."""
    sizes = rng.integers(2, 5, nodes).tolist()
    place = rng.permutation(nodes)
    partitions: list[Partition] = []
    tables = []
    for i in range(nodes):
        before = np.flatnonzero(place < place[i])
        parents = rng.permutation(before)[: int(rng.integers(0, 4))].tolist()
        own = [sizes[p] for p in parents]
        partition = random_tree(rng, parents, own) if trees and rng.random() < 0.6 else Table(parents, own)
        table = rng.gamma(0.5, size=(partition.cells, sizes[i])) + 1e-6
        table[rng.random(table.shape) < zeros] = 0.0
        table[:, 0] += 1e-6
        partitions.append(partition)
        tables.append(table / table.sum(1, keepdims=True))
    return Parameters(sizes, partitions, tables, [None] * nodes)


def joint_states(parameters: Parameters) -> np.ndarray:
    return np.array(list(itertools.product(*(range(size) for size in parameters.sizes))))


def joint_logs(parameters: Parameters, cut: frozenset[int] = frozenset()) -> np.ndarray:
    """log p of every joint state, cut nodes being given."""
    every = joint_states(parameters)
    total = np.zeros(len(every))
    with np.errstate(divide="ignore"):
        for i, partition in enumerate(parameters.partitions):
            if i not in cut:
                cell = partition.route(torch.from_numpy(every)).numpy()
                total += np.log(parameters.tables[i][every[:, i], cell])
    return total


def row_logs(parameters: Parameters, evidence: Evidence, row: int) -> np.ndarray:
    """log p of every joint state with the evidence of a row."""
    every, logs = joint_states(parameters), joint_logs(parameters, evidence.cut)
    for i in range(len(parameters.sizes)):
        if evidence.observed[row, i]:
            logs = np.where(every[:, i] == evidence.states[row, i], logs, -np.inf)
        elif i in evidence.log_weights:
            logs = logs + evidence.log_weights[i][row][every[:, i]]
    return logs


def random_evidence(rng: np.random.Generator, parameters: Parameters, rows: int, cut: bool = False) -> Evidence:
    """Rows that can happen, with columns observed, in a set, weighed, or set from outside."""
    every, logs = joint_states(parameters), joint_logs(parameters)
    states = every[rng.choice(len(every), rows, p=np.exp(logs) / np.exp(logs).sum())]
    observed = rng.random(states.shape) < rng.choice([0.1, 0.5, 0.9])
    weights = {}
    for i, size in enumerate(parameters.sizes):
        if rng.random() < 0.4:
            logs_of = np.zeros((rows, size))
            for row in np.flatnonzero(rng.random(rows) < 0.5):
                if rng.random() < 0.5:
                    logs_of[row] = np.where(rng.random(size) < 0.6, 0.0, -np.inf)
                    logs_of[row, states[row, i]] = 0.0
                else:
                    logs_of[row] = 3 * rng.normal(size=size)
            weights[i] = logs_of
    do = frozenset()
    if cut:
        do = frozenset(rng.permutation(len(parameters.sizes))[:2].tolist())
        observed[:, list(do)] = True
    return Evidence(states, observed, weights, do)


def engine(parameters: Parameters, max_memory: int = 1 << 28) -> Inference:
    return Inference(parameters, [f"x{i}" for i in range(len(parameters.sizes))], max_memory)


@pytest.fixture(params=["together", "apart"])
def grouping(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Whether rows of different patterns are answered together, or go as separate ways as they can."""
    if request.param == "together":
        monkeypatch.setattr(planning, "PLANNING", 1e9)
    else:
        monkeypatch.setattr(planning, "PLANNING", 0.0)
        monkeypatch.setattr(planning, "PER_STATE", 1.0)
    return str(request.param)


@pytest.mark.parametrize("part", range(10))
def test_two_hundred_random_networks_answer_as_enumeration_does(part: int, grouping: str) -> None:
    for seed in range(10 * part, 10 * part + 10):
        rng = np.random.default_rng([seed, grouping == "apart"])
        parameters = random_network(rng, int(rng.integers(2, 7)), trees=seed % 2 == 1, zeros=0.2 * (seed % 3 == 0))
        evidence = random_evidence(rng, parameters, 8, cut=seed % 4 == 0)
        every = joint_states(parameters)
        logs = np.stack([row_logs(parameters, evidence, row) for row in range(8)])
        totals = np.logaddexp.reduce(logs, 1)
        possible = np.isfinite(totals)
        found = engine(parameters).log_prob(evidence)
        np.testing.assert_allclose(found[possible], totals[possible], atol=1e-10)
        assert np.isneginf(found[~possible]).all()
        if not possible.all():
            with pytest.raises(DataError, match="probability zero"):
                engine(parameters).most_probable(evidence)
            evidence, logs, totals = evidence.rows(possible), logs[possible], totals[possible]
        targets = list(range(len(parameters.sizes)))
        for asked in (targets, targets[:1], targets[1:]):
            answers = engine(parameters).posterior(evidence, asked)
            for i, answer in zip(asked, answers, strict=True):
                weights = np.exp(logs - totals[:, None])
                expected = np.stack([weights[:, every[:, i] == k].sum(1) for k in range(parameters.sizes[i])], 1)
                np.testing.assert_allclose(answer, expected, atol=1e-12, rtol=1e-10)
        best, total, given = engine(parameters).most_probable(evidence)
        np.testing.assert_allclose(total, logs.max(1), atol=1e-10)
        np.testing.assert_allclose(given, logs.max(1) - totals, atol=1e-10)
        index = np.ravel_multi_index(tuple(best.T), parameters.sizes)
        np.testing.assert_allclose(logs[np.arange(len(best)), index], logs.max(1), atol=1e-10)


@pytest.mark.parametrize("seed", range(20))
def test_the_most_probable_states_of_some_columns_are_those_of_their_marginal(seed: int) -> None:
    rng = np.random.default_rng(seed)
    parameters = random_network(rng, 6, trees=seed % 2 == 1)
    evidence = random_evidence(rng, parameters, 4)
    every = joint_states(parameters)
    targets = sorted(rng.permutation(6)[:3].tolist())
    best, total, _ = engine(parameters).most_probable(evidence, targets)
    for row in range(4):
        logs = row_logs(parameters, evidence, row)
        marginal: dict[tuple[int, ...], float] = {}
        for states, log in zip(every[:, targets].tolist(), logs, strict=True):
            marginal[tuple(states)] = np.logaddexp(marginal.get(tuple(states), -np.inf), log)
        assert total[row] == pytest.approx(max(marginal.values()), abs=1e-10)
        assert marginal[tuple(best[row, targets].tolist())] == pytest.approx(total[row], abs=1e-10)
    others = [i for i in range(6) if i not in targets]
    assert (best[:, others][~evidence.observed[:, others]] == -1).all()


def naive_bayes(features: int, rare: float) -> Parameters:
    """A class of three, and features that each speak `rare` to one against its first state."""
    table = np.array([[rare, 1 - rare], [0.5, 0.5], [0.25, 0.75]])
    partitions: list[Partition] = [Table([], []), *(Table([0], [3]) for _ in range(features))]
    return Parameters(
        [3] + [2] * features, partitions, [np.full((1, 3), 1 / 3)] + [table] * features, [None] * (features + 1)
    )


@pytest.mark.parametrize("features", [50, 300, 1500])
def test_evidence_of_any_improbability_keeps_its_digits(features: int) -> None:
    parameters = naive_bayes(features, 1e-2)
    states = np.zeros((2, features + 1), dtype=np.int64)
    states[1, 1::2] = 1
    observed = np.ones_like(states, dtype=bool)
    observed[:, 0] = False
    observed[:, -1] = False
    evidence = Evidence(states, observed)
    for row, ones in enumerate((0, (features - 1) - (features - 1) // 2)):
        zeros = features - 1 - ones
        logs = [zeros * math.log(p) + ones * math.log(1 - p) - math.log(3) for p in (1e-2, 0.5, 0.25)]
        total = np.logaddexp.reduce(logs)
        assert engine(parameters).log_prob(evidence)[row] == pytest.approx(total, rel=1e-12)
        posterior = engine(parameters).posterior(evidence, [0, features])
        # Relative to the number itself, however small.
        np.testing.assert_allclose(
            np.log(posterior[0][row] + 1e-300), np.maximum(logs - total, math.log(1e-300)), rtol=1e-9, atol=1e-9
        )


def test_what_would_underflow_is_found_in_logarithms() -> None:
    # Two piles of evidence contradict each other: the largest terms of one meet the smallest of the other.
    features = 160
    strong = np.array([[1e-4, 1 - 1e-4], [1 - 1e-4, 1e-4]])
    partitions: list[Partition] = [Table([], []), Table([0], [2]), *(Table([k % 2], [2]) for k in range(2 * features))]
    same = np.array([[1.0, 0.0], [0.0, 1.0]])
    parameters = Parameters(
        [2] * (2 * features + 2),
        partitions,
        [np.array([[0.3, 0.7]]), same, *[strong] * (2 * features)],
        [None] * (2 * features + 2),
    )
    states = np.zeros((1, 2 * features + 2), dtype=np.int64)
    states[0, 2::2] = 1  # those below node 0 say 0, those below node 1 say 1, and the two are the same
    observed = np.ones_like(states, dtype=bool)
    observed[:, :2] = False
    observed[:, 2:4] = False
    posterior = engine(parameters).posterior(Evidence(states, observed), [0, 1, 2])
    np.testing.assert_allclose(posterior[0][0], [0.3, 0.7], rtol=1e-9)
    np.testing.assert_allclose(posterior[1][0], [0.3, 0.7], rtol=1e-9)


@pytest.mark.parametrize("trees", [False, True])
def test_draws_follow_the_posterior(trees: bool) -> None:
    rng = np.random.default_rng(5)
    parameters = random_network(rng, 5, trees)
    evidence = random_evidence(rng, parameters, 3)
    evidence.observed[:, :3] = False
    draws = 20_000
    every = joint_states(parameters)
    for rows, query, chosen in engine(parameters).draw(evidence, draws, torch.Generator().manual_seed(0)):
        for k, row in enumerate(rows):
            entries = [i for i in chosen if i < 5]
            assert all(len(query.classes[i]) == query.classes[i].max() + 1 for i in entries) or trees
            lumped = np.stack([query.classes[i][every[:, i]] for i in entries], 1)
            logs = row_logs(parameters, evidence, int(row))
            weights = np.exp(logs - np.logaddexp.reduce(logs))
            shape = [int(query.classes[i].max()) + 1 for i in entries]
            expected = np.bincount(np.ravel_multi_index(tuple(lumped.T), shape), weights, math.prod(shape))
            own = np.stack([chosen[i][k * draws : (k + 1) * draws] for i in entries])
            counts = np.bincount(np.ravel_multi_index(tuple(own), shape), minlength=math.prod(shape))
            assert counts[expected == 0].sum() == 0
            likely = expected * draws > 5
            test = chisquare(counts[likely], expected[likely] * counts[likely].sum() / expected[likely].sum())
            assert test.pvalue > 1e-4


def test_an_order_is_as_good_as_known_ones() -> None:
    # A ladder has width two; a grid of 5 x 5 has width five.
    ladder = [(i, i + 2) for i in range(18)] + [(i, i + 1) for i in range(0, 20, 2)]
    assert best_order(ladder, dict.fromkeys(range(20), 2)).peak == 8
    grid = [(5 * r + c, 5 * r + c + 1) for r in range(5) for c in range(4)]
    grid += [(5 * r + c, 5 * r + 5 + c) for r in range(4) for c in range(5)]
    order = best_order(grid, dict.fromkeys(range(25), 2), uses=10**6)
    assert order.peak == 64
    tables = [math.prod([2] * len(clique)) for clique in cliques(grid, dict.fromkeys(range(25), 2), order.variables)]
    assert (max(tables), sum(tables)) == (order.peak, order.total)


def test_a_question_that_is_too_wide_says_how_wide() -> None:
    rng = np.random.default_rng(0)
    parameters = random_network(rng, 8)
    evidence = Evidence(np.zeros((1, 8), dtype=np.int64), np.zeros((1, 8), dtype=bool))
    with pytest.raises(NotSupported, match=r"tables of .* numbers .* max_memory"):
        engine(parameters, max_memory=200).posterior(evidence, [0, 1])


def test_the_row_that_cannot_be_is_named() -> None:
    parameters = Parameters([2, 2], [Table([], []), Table([0], [2])], [np.array([[1.0, 0.0]]), np.eye(2)], [None, None])
    states = np.array([[0, 0], [0, 1], [0, 0]])
    evidence = Evidence(states, np.array([[False, True]] * 3))
    with pytest.raises(DataError, match="Row 1"):
        engine(parameters).posterior(evidence, [0])
    with pytest.raises(DataError, match="Row 1"):
        list(engine(parameters).draw(evidence, 2, torch.Generator()))
    assert engine(parameters).log_prob(evidence).tolist() == [0.0, -np.inf, 0.0]


def test_what_was_never_seen_is_drawn_nowhere_and_may_be_observed() -> None:
    """The last state of each node stands for what was never seen."""
    rng = np.random.default_rng(3)
    for trees in (False, True):
        plain = random_network(rng, 5, trees)
        tables = [table.T for table in plain.tables]
        parameters = Parameters(plain.sizes, plain.partitions, tables, [size - 1 for size in plain.sizes])
        every = joint_states(parameters)
        evidence = random_evidence(rng, plain, 40)
        evidence.observed[:, 0] = np.arange(40) % 2
        evidence.states[::2, 0] = plain.sizes[0] - 1
        evidence.states[1::4, 0] = plain.sizes[0] - 1
        logs = np.stack([row_logs(parameters, evidence, row) for row in range(40)])
        for i, size in enumerate(plain.sizes):
            hidden = ~evidence.observed[:, i]
            logs[hidden] = np.where(every[:, i] == size - 1, -np.inf, logs[hidden])
        possible = np.isfinite(logs).any(1)
        evidence, logs = evidence.rows(possible), logs[possible]
        weights = np.exp(logs - np.logaddexp.reduce(logs, 1)[:, None])
        for i, answer in enumerate(engine(parameters).posterior(evidence, list(range(5)))):
            expected = np.stack([weights[:, every[:, i] == k].sum(1) for k in range(plain.sizes[i])], 1)
            np.testing.assert_allclose(answer, expected, atol=1e-12)
        np.testing.assert_allclose(engine(parameters).most_probable(evidence)[1], logs.max(1), atol=1e-10)
