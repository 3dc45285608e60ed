"""Scores equal their formulas and other libraries' figures, and are the same for equivalent graphs."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy.special import gammaln
from scipy.stats import multivariate_t

from likewise.families.bayesian_network.structure.counts import Counts, members
from likewise.families.bayesian_network.structure.gaussian_scores import GaussianScores
from likewise.families.bayesian_network.structure.scores import FamilyScores, mutual_information, network_score

CHAIN, FORK = [[1], [2], [], [], []], [[], [0], [1], [], []]  # 2 -> 1 -> 0 and 0 -> 1 -> 2
OTHER, COLLIDER = [[1], [], [1], [], []], [[], [0, 2], [], [], []]  # 0 <- 1 -> 2 and 0 -> 1 <- 2


def alarm_like(rows: int, seed: int = 0) -> tuple[np.ndarray, list[int]]:
    """Rows of a small network with a collider: 0 -> 2 <- 1, 2 -> 3, 1 -> 4."""
    rng = np.random.default_rng(seed)
    a, b = rng.integers(0, 2, rows), rng.integers(0, 3, rows)
    c = (rng.random(rows) < np.array([[0.05, 0.5, 0.9], [0.8, 0.2, 0.6]])[a, b]).astype(int)
    d = (c + (rng.random(rows) < 0.15)) % 2
    e = (b + (rng.random(rows) < 0.2)) % 3
    return np.stack([a, b, c, d, e], 1), [2, 3, 2, 2, 3]


def tables(states: np.ndarray, sizes: list[int], child: int, parents: list[int]) -> np.ndarray:
    """Counts (configurations of the parents, states of the child), row by row."""
    found = np.zeros([*(sizes[p] for p in parents), sizes[child]])
    for row in states:
        found[tuple(row[[*parents, child]])] += 1
    return found.reshape(-1, sizes[child])


@pytest.mark.parametrize(("child", "parents"), [(2, [0, 1]), (1, []), (4, [0, 1, 3])])
def test_scores_are_their_formulas(child: int, parents: list[int]) -> None:
    states, sizes = alarm_like(200)
    n = tables(states, sizes, child, parents)
    q, r = n.shape
    totals = n.sum(1, keepdims=True)
    fit = (n * np.log(np.where(n > 0, n / np.maximum(totals, 1), 1.0))).sum()

    def dirichlet(a: float) -> float:
        rows = gammaln(a * r) - gammaln(a * r + totals[:, 0]) + (gammaln(a + n) - gammaln(a)).sum(1)
        return float(rows.sum())

    expected = {
        "bic": fit - q * (r - 1) * math.log(200) / 2,
        "aic": fit - q * (r - 1),
        "bdeu": dirichlet(7.0 / (q * r)),
        "k2": dirichlet(1.0),
    }
    above = sum(1 << p for p in parents)
    for score, value in expected.items():
        scores = FamilyScores(states, sizes, score, 7.0)  # type: ignore[arg-type]
        assert scores.family(child, above) == pytest.approx(value, abs=1e-8)


def test_scores_agree_with_pyagrum() -> None:
    gum = pytest.importorskip("pyagrum")
    import pandas as pd

    states, sizes = alarm_like(500)
    template = gum.BayesNet()
    for i, size in enumerate(sizes):
        template.add(gum.RangeVariable(f"x{i}", "", 0, size - 1))
    frame = pd.DataFrame({f"x{i}": states[:, i] for i in range(5)})
    for score, use in (("bic", "useScoreBIC"), ("k2", "useScoreK2")):
        learner = gum.BNLearner(frame, template)
        getattr(learner, use)()
        learner.useNoPrior()
        ours = FamilyScores(states, sizes, score, 1.0)  # type: ignore[arg-type]
        difference = ours.family(2, 0b11) - ours.family(2, 0)
        theirs = learner.score("x2", ["x0", "x1"]) - learner.score("x2")
        # pyAgrum's scores are binary logarithms.
        assert difference == pytest.approx(theirs * math.log(2), rel=1e-5)


def test_scores_agree_with_pgmpy() -> None:
    pytest.importorskip("pgmpy")
    import pandas as pd
    from pgmpy.structure_score import AIC, BIC, K2, BDeu

    states, sizes = alarm_like(500)
    frame = pd.DataFrame({f"x{i}": pd.Categorical(states[:, i]) for i in range(5)})
    for name, theirs in (("bic", BIC(frame)), ("aic", AIC(frame)), ("bdeu", BDeu(frame, 5)), ("k2", K2(frame))):
        ours = FamilyScores(states, sizes, name, 5.0)  # type: ignore[arg-type]
        assert ours.family(2, 0b11) == pytest.approx(theirs.local_score("x2", ("x0", "x1")), abs=1e-6)


@pytest.mark.parametrize("score", ["bic", "aic", "bdeu"])
def test_equivalent_networks_score_alike(score: str) -> None:
    states, sizes = alarm_like(500)
    scores = FamilyScores(states, sizes, score, 5.0)  # type: ignore[arg-type]
    assert scores.equivalent
    totals = [network_score(scores, graph) for graph in (CHAIN, FORK, OTHER, COLLIDER)]
    np.testing.assert_allclose(totals[1:3], totals[0], atol=1e-8)
    assert abs(totals[0] - totals[3]) > 1


def test_k2_is_told_to_differ_between_equivalent_networks() -> None:
    states, sizes = alarm_like(500)
    scores = FamilyScores(states, sizes, "k2")
    assert not scores.equivalent
    assert abs(network_score(scores, CHAIN) - network_score(scores, FORK)) > 1e-3


@pytest.mark.parametrize("score", ["bic", "bdeu", "k2"])
@pytest.mark.parametrize("kind", ["many states", "repeated rows", "wide"])
def test_scores_of_all_further_parents_are_those_of_each(score: str, kind: str) -> None:
    rng = np.random.default_rng(3)
    sizes = {"many states": [2, 40, 3, 9, 2, 1, 7], "repeated rows": [2, 2, 3, 2], "wide": [12, 11, 10, 9, 8]}[kind]
    latent = rng.integers(0, 60, 3000)
    states = np.stack([(latent // (i + 1) + rng.integers(0, 2, 3000)) % size for i, size in enumerate(sizes)], 1)
    every = FamilyScores(states, sizes, score, 3.0)  # type: ignore[arg-type]
    for parents in range(0, 1 << len(sizes), 3):
        for child in range(len(sizes)):
            if parents >> child & 1 or parents.bit_count() > 3:
                continue
            found = every.additions(child, parents)
            single = FamilyScores(states, sizes, score, 3.0)  # type: ignore[arg-type]
            for other in range(len(sizes)):
                if other == child or parents >> other & 1:
                    assert found[other] == -np.inf
                else:
                    assert found[other] == pytest.approx(single.family(child, parents | 1 << other), abs=1e-6)


@pytest.mark.parametrize("rows", [0, 1, 70, 5000])
def test_counts_are_those_of_a_loop(rows: int) -> None:
    rng = np.random.default_rng(rows)
    sizes = [2, 3, 9, 2, 4]
    states = np.stack([rng.integers(0, size, rows) for size in sizes], 1)
    counts = Counts(states, sizes)
    for columns in (0b00001, 0b00110, 0b11001):
        own = list(members(columns))
        found = counts.with_each(columns)
        for (size, places), block in zip(counts.blocks, found.blocks, strict=True):
            for at, column in enumerate(places):
                if column not in own:
                    expected = np.zeros([*(sizes[i] for i in own), size])
                    np.add.at(expected, (*states[:, own].T, states[:, column]), 1)
                    np.testing.assert_array_equal(block[:, at], expected.reshape(-1, size))


def test_a_table_too_large_is_no_family() -> None:
    states = np.zeros((10, 4), dtype=np.int64)
    scores = FamilyScores(states, [100] * 4)
    assert scores.family(0, 0b1110) == -np.inf
    assert (scores.additions(0, 0b0110) == -np.inf).all()
    assert np.isfinite(scores.family(0, 0b0010))


def test_mutual_information_of_pairs_is_the_sum_over_their_table() -> None:
    states, sizes = alarm_like(300)
    got = mutual_information(Counts(states, sizes))
    joint = np.zeros((3, 3))
    np.add.at(joint, (states[:, 1], states[:, 4]), 1 / 300)
    product = joint.sum(1)[:, None] * joint.sum(0)[None]
    kept = joint > 0
    assert got[1, 4] == pytest.approx((joint[kept] * np.log(joint[kept] / product[kept])).sum(), abs=1e-10)


# ----------------------------------------------------------------------------------------------------- real columns


def related(rows: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 4))
    x[:, 1] += 0.8 * x[:, 0]
    x[:, 2] += 0.5 * x[:, 1] - 0.7 * x[:, 3]
    return 3.0 * x + 1.0


def test_gaussian_bic_is_the_likelihood_of_a_regression() -> None:
    x = related(300)
    design = np.column_stack([np.ones(300), x[:, [1, 3]]])
    residual = x[:, 2] - design @ np.linalg.lstsq(design, x[:, 2], rcond=None)[0]
    variance = (residual**2).mean()
    fit = -150 * (math.log(2 * math.pi * variance) + 1)
    assert GaussianScores(x).family(2, 0b1010) == pytest.approx(fit - 4 * math.log(300) / 2, abs=1e-6)
    assert GaussianScores(x, "aic").family(2, 0b1010) == pytest.approx(fit - 4, abs=1e-6)


def test_bge_is_the_marginal_likelihood_of_a_normal_wishart_model() -> None:
    """Of a complete graph: the records, one after another, have multivariate Student distributions."""
    x = related(12)
    mean, scale = x.mean(0), x.std(0)
    z = (x - mean) / scale
    n, alpha_mu, alpha_w = 4, 1.0, 6.0
    t = alpha_mu * (alpha_w - n - 1) / (alpha_mu + 1)
    centre, matrix, weight, degrees = np.zeros(n), t * np.eye(n), alpha_mu, alpha_w
    total = 0.0
    for row in z:
        free = degrees - n + 1
        shape = matrix * (weight + 1) / (weight * free)
        total += multivariate_t.logpdf(row, centre, shape, df=free)
        matrix = matrix + weight / (weight + 1) * np.outer(row - centre, row - centre)
        centre = (weight * centre + row) / (weight + 1)
        weight, degrees = weight + 1, degrees + 1
    scores = GaussianScores(x, "bge")
    found = sum(scores.family(i, (1 << i) - 1) for i in range(n))
    assert found == pytest.approx(total - 12 * np.log(scale).sum(), abs=1e-8)


def dependent(rows: int, seed: int = 0) -> np.ndarray:
    """Columns that determine each other, or nearly."""
    rng = np.random.default_rng(seed)
    x, noise, z = rng.normal(size=(3, rows))
    return np.stack([x, x + 0.006 * noise, x - 0.006 * noise, x + z], 1)


@pytest.mark.parametrize("score", ["bic", "aic", "bge"])
@pytest.mark.parametrize("records", [related, dependent])
def test_equivalent_gaussian_networks_score_alike(records: Callable[[int], np.ndarray], score: str) -> None:
    scores = GaussianScores(records(400), score)  # type: ignore[arg-type]
    complete = []
    for order in itertools.permutations(range(4)):
        graph: list[list[int]] = [[] for _ in range(4)]
        for place, node in enumerate(order):
            graph[node] = list(order[:place])
        complete.append(network_score(scores, graph))
    np.testing.assert_allclose(complete, complete[0], atol=1e-6)
    for parents in range(16):
        for child in range(4):
            if not parents >> child & 1:
                found = scores.additions(child, parents)
                for other in set(range(4)) - {child} - set(members(parents)):
                    assert found[other] == pytest.approx(scores.family(child, parents | 1 << other), abs=1e-6)
