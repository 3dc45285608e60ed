"""Mixtures of logistics against scipy's logistic distribution."""

import numpy as np
import pytest
import torch
from scipy import stats

from likewise.mathematics.mixtures import LogisticMixture, logistic_log_mass
from likewise.mathematics.monotone import EDGE


@pytest.fixture
def mixture() -> LogisticMixture:
    noise = torch.Generator().manual_seed(0)
    log_weight, location, log_scale = (torch.randn(5, 4, generator=noise, dtype=torch.float64) for _ in range(3))
    return LogisticMixture(torch.log_softmax(log_weight, 1), location, log_scale)


def cdf(mixture: LogisticMixture, z: np.ndarray) -> np.ndarray:
    parts = stats.logistic.cdf(z[:, None], mixture.location.numpy(), mixture.log_scale.exp().numpy())
    return np.asarray((mixture.log_weight.exp().numpy() * parts).sum(1))


def test_mass_and_density_are_those_of_the_logistic(mixture: LogisticMixture) -> None:
    lower, width = torch.linspace(-3, 2, 5).double(), torch.tensor([0.1, 1.0, 5.0, 0.3, 2.0]).double()
    expected = cdf(mixture, (lower + width).numpy()) - cdf(mixture, lower.numpy())
    np.testing.assert_allclose(mixture.log_mass(lower, width).exp(), expected, rtol=1e-10)
    step = 1e-5
    slope = (cdf(mixture, lower.numpy() + step) - cdf(mixture, lower.numpy() - step)) / (2 * step)
    np.testing.assert_allclose(mixture.log_density(lower).exp(), slope, rtol=1e-6)


def test_mass_keeps_its_digits_in_far_tails_and_narrow_cells() -> None:
    start = torch.tensor([40.0, -700.0, 0.0, 0.3], dtype=torch.float64)
    length = torch.tensor([1.0, 1.0, 1e-14, 1e-200], dtype=torch.float64)
    expected = [-40 + np.log1p(-np.exp(-1)), -699 + np.log1p(-np.exp(-1)), np.log(1e-14 / 4)]
    np.testing.assert_allclose(logistic_log_mass(start, length)[:3], expected, rtol=1e-12)
    assert torch.isfinite(logistic_log_mass(start, length)).all()


def test_gradients_are_finite_at_infinite_edges() -> None:
    location = torch.zeros(2, 3, requires_grad=True)
    log_scale = torch.full((2, 3), -7.0, requires_grad=True)
    mixture = LogisticMixture(torch.log_softmax(torch.zeros(2, 3), 1), location, log_scale)
    mixture.log_mass(torch.tensor([-EDGE, 2.0]), torch.tensor([EDGE + 1.0, EDGE])).sum().backward()
    assert location.grad is not None
    assert log_scale.grad is not None
    assert torch.isfinite(location.grad).all()
    assert torch.isfinite(log_scale.grad).all()


def test_draws_follow_the_distribution_within_a_union_of_intervals(mixture: LogisticMixture) -> None:
    one = LogisticMixture(
        *(part[:1].expand(20_000, -1) for part in (mixture.log_weight, mixture.location, mixture.log_scale))
    )
    intervals = torch.tensor([[[-2.0, -1.0], [0.5, 0.6], [3.0, 1.0]]], dtype=torch.float64).expand(20_000, -1, -1)
    noise = torch.Generator().manual_seed(1)
    drawn = one.draw(torch.rand(20_000, 2, generator=noise, dtype=torch.float64), intervals).numpy()
    inside = ((drawn >= -2) & (drawn <= -1)) | ((drawn >= 0.5) & (drawn <= 0.6))
    assert inside.all()
    row = LogisticMixture(*(part[:1] for part in (mixture.log_weight, mixture.location, mixture.log_scale)))
    masses = [float(cdf(row, np.array([b]))[0] - cdf(row, np.array([a]))[0]) for a, b in ((-2, -1), (0.5, 0.6))]
    observed = np.array([(drawn < 0).sum(), (drawn > 0).sum()])
    expected = np.array(masses) / sum(masses) * 20_000
    assert stats.chisquare(observed, expected).pvalue > 1e-3
    np.testing.assert_allclose(row.log_set(intervals[:1]).exp(), sum(masses), rtol=1e-9)


def test_draws_stay_in_intervals_far_in_the_tails() -> None:
    one = LogisticMixture(torch.zeros(3, 1), torch.zeros(3, 1), torch.full((3, 1), -7.0))
    intervals = torch.tensor([[[2.0, 2.1]], [[-3.0, -2.9]], [[5.0, EDGE]]], dtype=torch.float64)
    drawn = one.draw(torch.full((3, 2), 0.5, dtype=torch.float64), intervals)
    assert ((drawn >= intervals[:, 0, 0]) & (drawn <= intervals[:, 0, 1])).all()


def test_quadrature_nodes_integrate_smooth_functions(mixture: LogisticMixture) -> None:
    z, log_weight = mixture.nodes(24)
    np.testing.assert_allclose(log_weight.exp().sum(1), 1, rtol=1e-12)
    mean = (mixture.log_weight.exp() * mixture.location).sum(1)
    np.testing.assert_allclose((log_weight.exp() * z).sum(1), mean, atol=1e-8)
    for row in range(5):
        part = LogisticMixture(*(p[row : row + 1] for p in (mixture.log_weight, mixture.location, mixture.log_scale)))
        edges = torch.linspace(-60, 60, 100_001, dtype=torch.float64)
        copies = LogisticMixture(*(p.expand(100_000, -1) for p in (part.log_weight, part.location, part.log_scale)))
        mass = copies.log_mass(edges[:-1], edges.diff()).exp()
        expected = float((mass * torch.tanh((edges[:-1] + edges[1:]) / 4)).sum())
        assert float((log_weight[row].exp() * torch.tanh(z[row] / 2)).sum()) == pytest.approx(expected, abs=1e-4)
