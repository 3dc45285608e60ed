"""Linear-Gaussian networks against scipy's multivariate normal, and against sums over everything they leave open."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from scipy.stats import chi2, kstest, multivariate_normal, norm

from likewise.errors import NotSupported
from likewise.events import Batch, Categorical, Columns, Entry, Event, Quantised, Real, Restriction
from likewise.families.bayesian_network.family import BayesianNetworkFamily
from likewise.families.bayesian_network.linear_gaussian.regressions import MixedScores, node_order, regress
from likewise.mathematics.monotone import MonotoneMap

UNIT = MonotoneMap.affine(0.0, 1.0)
GRID = Quantised(MonotoneMap.affine(3.0, 2.0), 1.0, 0.0, 0, 6)


@pytest.fixture(scope="module")
def plain() -> tuple[BayesianNetworkFamily, Batch, np.ndarray, np.ndarray]:
    """Three real columns, and the mean and covariance that the fitted network stands for."""
    event = Event(Columns(), tuple(Entry(name, Categorical(1), Real(UNIT)) for name in "abc"))
    rng = np.random.default_rng(0)
    a = rng.normal(size=3000)
    b = 0.8 * a + 0.6 * rng.normal(size=3000)
    c = 0.5 * a - 0.7 * b + 0.4 * rng.normal(size=3000)
    rows = event.complete(torch.zeros(3000, 3, dtype=torch.int64), torch.from_numpy(np.stack([a, b, c], 1)))
    family = BayesianNetworkFamily(event, values="linear_gaussian")
    family.fit_closed_form(rows.rows(slice(0, 2700)), rows.rows(slice(2700, 3000)), 0)
    slopes, start, noise = np.zeros((3, 3)), np.zeros(3), np.zeros(3)
    for i in range(3):
        own = family.network.of(i)
        start[i], noise[i] = own.coefficients[0, 0], own.deviations[0]
        for k, parent in enumerate(own.value_parents):
            slopes[i, parent] = own.coefficients[0, 1 + k]
    mixing = np.linalg.inv(np.eye(3) - slopes)
    return family, rows, mixing @ start, mixing @ np.diag(noise**2) @ mixing.T


@pytest.mark.parametrize("kept", [(0, 1, 2), (0, 1), (0, 2), (1, 2), (0,), (2,)])
def test_scores_are_the_multivariate_normals(plain: tuple[object, ...], kept: tuple[int, ...]) -> None:
    family, rows, mean, covariance = plain
    part = rows.rows(slice(0, 100))
    got = family.log_prob(part.hide([i for i in range(3) if i not in kept])).values.numpy()
    at = list(kept)
    expected = multivariate_normal(mean[at], covariance[np.ix_(at, at)]).logpdf(part.values[:, at].numpy())
    np.testing.assert_allclose(got, expected, atol=1e-9)


def test_conditional_draws_are_the_conditional_normal(plain: tuple[object, ...]) -> None:
    family, rows, mean, covariance = plain
    row = rows.rows(slice(0, 1))
    drawn = family.conditional(row.hide([0]), 20_000, torch.Generator().manual_seed(0)).batch.values[:, 0].numpy()
    gain = np.linalg.solve(covariance[1:, 1:], covariance[1:, 0])
    centre = mean[0] + gain @ (row.values[0, 1:].numpy() - mean[1:])
    spread = np.sqrt(covariance[0, 0] - gain @ covariance[1:, 0])
    assert kstest(drawn, norm(centre, spread).cdf).pvalue > 1e-3


def test_an_interval_on_one_column_is_exact(plain: tuple[object, ...]) -> None:
    family, rows, mean, covariance = plain
    row = rows.rows(slice(0, 1)).hide([0, 1])
    inside = torch.tensor([[[-1.0, -0.5], [0.2, 0.9]]], dtype=torch.float64)
    given = row.restrict(1, Restriction(torch.tensor([[True]]), inside))
    c = float(rows.values[0, 2])
    centre = mean[1] + covariance[1, 2] / covariance[2, 2] * (c - mean[2])
    own = norm(centre, np.sqrt(covariance[1, 1] - covariance[1, 2] ** 2 / covariance[2, 2]))
    share = own.cdf(-0.5) - own.cdf(-1.0) + own.cdf(0.9) - own.cdf(0.2)
    expected = norm(mean[2], np.sqrt(covariance[2, 2])).logpdf(c) + np.log(share)
    assert family.log_prob(given).values.item() == pytest.approx(expected, abs=1e-9)
    b = family.conditional(given, 5000, torch.Generator().manual_seed(1)).batch.values[:, 1].numpy()
    assert (((b >= -1) & (b <= -0.5)) | ((b >= 0.2) & (b <= 0.9))).all()
    first = own.cdf(-0.5) - own.cdf(-1.0)
    count = (b < 0).sum()
    assert abs(count - 5000 * first / share) < 4.5 * np.sqrt(5000 * first / share * (1 - first / share))


def mixed_event() -> Event:
    return Event(
        Columns(),
        (
            Entry("k", Categorical(3)),
            Entry("q", Categorical(2), GRID, missing=1),
            Entry("r", Categorical(2), Real(UNIT)),
            Entry("t", Categorical(1), GRID),
        ),
    )


@pytest.fixture(scope="module")
def mixed() -> tuple[BayesianNetworkFamily, Batch]:
    rng = np.random.default_rng(1)
    size = 3000
    k = rng.integers(0, 3, size)
    q = np.clip(np.round(1.5 + k + rng.normal(size=size)), 0, 6)
    missing = rng.random(size) < 0.2
    r = 0.4 * q * ~missing - 1 + rng.normal(size=size) * 0.5
    spike = rng.random(size) < 0.1 + 0.2 * (k == 1)
    t = np.clip(np.round(3 + r * ~spike + 0.6 * rng.normal(size=size)), 0, 6)
    codes = np.stack([k, missing, spike, 0 * k], 1).astype(np.int64)
    centres = [GRID.map.forward(torch.from_numpy(part)).numpy() for part in (q, t)]
    values = np.stack([0 * r, centres[0], r, centres[1]], 1)
    rows = mixed_event().complete(torch.from_numpy(codes), torch.from_numpy(values))
    edges = [["k", "q"], ["q", "r"], ["k", "r"], ["r", "t"]]
    family = BayesianNetworkFamily(mixed_event(), values="linear_gaussian", structure=edges)
    family.fit_closed_form(rows.rows(slice(0, 2700)), rows.rows(slice(2700, size)), 0)
    return family, rows


@pytest.fixture(scope="module")
def space(mixed: tuple[BayesianNetworkFamily, Batch]) -> tuple[Batch, np.ndarray, np.ndarray]:
    """All joint states with quadrature over r, their probabilities, and keys: k, cell of q or 9, spike, cell of t."""
    nodes, weights = (torch.from_numpy(part) for part in np.polynomial.legendre.leggauss(80))
    z, mass = torch.cat([9 * nodes, torch.zeros(1)]), torch.cat([9 * weights, torch.ones(1)])
    centres = torch.cat([GRID.map.forward(torch.arange(7).double()), torch.zeros(1)]).double()
    k, q, r, t = torch.cartesian_prod(torch.arange(3), torch.arange(8), torch.arange(81), torch.arange(7)).T
    spike = (r == 80).long()
    codes = torch.stack([k, (q == 7).long(), spike, 0 * k], 1)
    batch = mixed_event().complete(codes, torch.stack([0 * z[r], centres[q], z[r], centres[t]], 1))
    density = mixed[0].log_prob(batch).values - torch.where(spike == 0, batch.width[:, 2], 1.0).log()
    keys = torch.stack([k, torch.where(q == 7, 9, q), spike, t], 1)
    return batch, (density.exp() * mass[r]).numpy(), keys.numpy()


def test_probabilities_of_all_records_sum_to_one(space: tuple[Batch, np.ndarray, np.ndarray]) -> None:
    assert space[1].sum() == pytest.approx(1, abs=1e-9)


def test_unknown_codes_cells_and_values_are_summed_out(
    mixed: tuple[BayesianNetworkFamily, Batch], space: tuple[Batch, np.ndarray, np.ndarray]
) -> None:
    batch, shares, keys = space
    picked = np.random.default_rng(0).choice(len(batch), 10, replace=False)
    for size in range(4):
        for hidden in itertools.combinations((0, 1, 3), size):
            kept = [i for i in (0, 1, 3) if i not in hidden]
            got = mixed[0].log_prob(batch.rows(torch.from_numpy(picked)).hide([*hidden, 2])).values.exp().numpy()
            for at, share in zip(picked, got, strict=True):
                same = (keys[:, kept] == keys[at, kept]).all(1)
                assert share == pytest.approx(shares[same].sum(), rel=1e-8)


def test_conditional_draws_follow_the_exact_conditional(
    mixed: tuple[BayesianNetworkFamily, Batch], space: tuple[Batch, np.ndarray, np.ndarray]
) -> None:
    family, rows = mixed
    at = int(((rows.codes[:, 2] == 0) & (rows.codes[:, 1] == 0)).nonzero()[0])
    given = rows.rows(slice(at, at + 1)).hide([0, 1, 2])  # the cell of t alone is known
    drawn = family.conditional(given, 20_000, torch.Generator().manual_seed(0)).batch
    assert (drawn.values[:, 3] == given.values[0, 3]).all()
    cell = torch.where(drawn.codes[:, 1] == 0, GRID.index(drawn.values[:, 1]), 9)
    got = torch.stack([drawn.codes[:, 0], cell, drawn.codes[:, 2]], 1).numpy()
    _, shares, keys = space
    own = keys[:, 3] == int(GRID.index(given.values[0, 3:4]))
    states, which = np.unique(keys[own][:, :3], axis=0, return_inverse=True)
    expected = np.bincount(which.ravel(), shares[own])
    expected *= 20_000 / expected.sum()
    counts = np.array([(got == state).all(1).sum() for state in states])
    assert counts.sum() == 20_000
    large = expected > 5
    assert ((counts - expected)[large] ** 2 / expected[large]).sum() < chi2.ppf(0.9999, large.sum())


@pytest.fixture(scope="module")
def cells() -> tuple[BayesianNetworkFamily, Batch]:
    """A real column above three quantised ones."""
    event = Event(
        Columns(),
        (Entry("a", Categorical(1), Real(UNIT)), *(Entry(name, Categorical(1), GRID) for name in "bcd")),
    )
    rng = np.random.default_rng(0)
    a = rng.normal(size=500)
    below = (np.clip(np.round(3 + slope * a + rng.normal(size=500)), 0, 6) for slope in (1, 2, -1))
    values = [torch.from_numpy(a), *(GRID.map.forward(torch.from_numpy(part)) for part in below)]
    rows = event.complete(torch.zeros(500, 4, dtype=torch.int64), torch.stack(values, 1))
    family = BayesianNetworkFamily(event, values="linear_gaussian", structure=[["a", "b"], ["a", "c"], ["a", "d"]])
    family.fit_closed_form(rows, rows, 0)
    return family, rows


def test_two_cells_below_one_unknown_are_a_sum_over_it(cells: tuple[BayesianNetworkFamily, Batch]) -> None:
    family, rows = cells
    row = rows.rows(slice(0, 1))
    nodes, weights = np.polynomial.legendre.leggauss(200)
    every = row.repeat(200)
    every.values[:, 0], every.width[:, 0] = torch.from_numpy(9 * nodes), 1.0
    joint = family.log_prob(every.hide([3])).values.exp().numpy()
    expected = np.log(9 * (weights * joint).sum())
    assert family.log_prob(row.hide([0, 3])).values.item() == pytest.approx(expected, abs=1e-10)


def test_three_cells_below_one_unknown_are_refused_with_a_sentence(
    cells: tuple[BayesianNetworkFamily, Batch],
) -> None:
    family, rows = cells
    with pytest.raises(NotSupported, match=r"b, c, d are known.*no closed form"):
        family.log_prob(rows.hide([0]))
    with pytest.raises(NotSupported, match="draws under them have no closed form"):
        family.conditional(rows.hide([0, 3]), 1, torch.Generator())
    assert torch.isfinite(family.log_prob(rows.hide([0, 1, 2])).values).all()


def test_regressions_without_a_prior_are_least_squares() -> None:
    rng = np.random.default_rng(0)
    x = np.concatenate([np.ones((400, 1)), rng.normal(size=(400, 2))], 1)
    y = x @ [1.0, -2.0, 0.5] + 0.3 * rng.normal(size=400)
    both = torch.from_numpy(np.concatenate([x, y[:, None]], 1))
    slopes, deviations = regress((both.T @ both)[None], 1e-9)
    expected, residual, *_ = np.linalg.lstsq(x, y, rcond=None)
    np.testing.assert_allclose(slopes[0].numpy(), expected, atol=1e-4)
    assert deviations.item() == pytest.approx(np.sqrt(residual[0] / 400), rel=1e-3)


def test_a_cell_without_rows_has_the_pooled_regression() -> None:
    rng = np.random.default_rng(0)
    both = torch.from_numpy(np.concatenate([np.ones((50, 1)), rng.normal(size=(50, 2))], 1))
    sums = torch.stack([both.T @ both, torch.zeros(3, 3, dtype=torch.float64)])
    slopes, deviations = regress(sums, 10.0)
    torch.testing.assert_close(slopes[0], slopes[1], rtol=1e-4, atol=1e-4)
    assert deviations[0].item() == pytest.approx(deviations[1].item(), rel=1e-2)


def test_gaussian_bic_is_score_equivalent_and_its_formula(plain: tuple[object, ...]) -> None:
    rows = plain[1]
    scores = MixedScores(rows_event(plain), rows, "bic", 1.0)
    forward = scores.family(3, 0) + scores.family(4, 1 << 3)
    backward = scores.family(4, 0) + scores.family(3, 1 << 4)
    assert forward == pytest.approx(backward, abs=1e-2)
    z = rows.values[:, 0].numpy()
    expected = norm(z.mean(), z.std()).logpdf(z).sum() - 0.5 * np.log(len(z)) * 2
    assert scores.family(3, 0) == pytest.approx(expected, abs=1e-3)


def test_equivalent_graphs_score_alike_where_values_determine_each_other_in_some_cells() -> None:
    """All complete graphs over three values, given one code of few records or none."""
    rng = np.random.default_rng(0)
    x, noise, y = rng.normal(size=(3, 60))
    label = rng.integers(0, 4, 60) * rng.integers(0, 2, 60)
    entries = [*(Entry(name, Categorical(1), Real(UNIT)) for name in "abc"), Entry("label", Categorical(4))]
    event = Event(Columns(), tuple(entries))
    codes, values = np.zeros((2, 60, 4))
    codes[:, 3], values[:, :3] = label, np.stack([x, x + 0.006 * noise, x + y], 1)
    scores = MixedScores(event, event.complete(torch.from_numpy(codes).long(), torch.from_numpy(values)), "bic", 1.0)
    assert scores.equivalent
    totals = []
    for order in itertools.permutations((4, 5, 6)):
        above = [1 << 3 | sum(1 << node for node in order[:place]) for place in range(3)]
        totals.append(sum(scores.family(node, parents) for node, parents in zip(order, above, strict=True)))
    np.testing.assert_allclose(totals, totals[0], atol=1e-6)


def test_names_decide_the_order_of_columns_that_are_alike() -> None:
    """Two labels that are as often each code, and two equal numbers."""
    codes, values = np.zeros((4, 4)), np.zeros((4, 4))
    codes[:, 0], codes[:, 1] = [0, 0, 1, 1], [0, 1, 0, 1]
    values[:, 2:] = np.array([[-1.0], [0.0], [0.5], [2.0]])
    found = []
    for names in ("abxy", "bayx"):
        entries = [
            Entry(name, Categorical(2)) if name in "ab" else Entry(name, Categorical(1), Real(UNIT)) for name in names
        ]
        event = Event(Columns(), tuple(entries))
        rows = event.complete(torch.from_numpy(codes).long(), torch.from_numpy(values))
        found.append([names[node % 4] for node in node_order(event, rows)])
    assert found == [list("abxy"), list("abxy")]


def rows_event(plain: tuple[object, ...]) -> Event:
    family = plain[0]
    assert isinstance(family, BayesianNetworkFamily)
    return family.event
