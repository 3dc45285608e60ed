"""Gaussian values against scipy."""

from __future__ import annotations

import math

import pytest
import torch
from scipy import stats

from likewise.mathematics.gaussians import Gaussian

LOCATION = torch.tensor([-1.0, 0.0, 2.5], dtype=torch.float64)
SCALE = 0.4


def test_densities_masses_and_sets_are_those_of_scipy() -> None:
    one, truth = Gaussian(LOCATION, SCALE), stats.norm(LOCATION.numpy(), SCALE)
    z = torch.tensor([-1.3, 0.9, 2.5], dtype=torch.float64)
    torch.testing.assert_close(one.log_density(z), torch.from_numpy(truth.logpdf(z.numpy())))
    mass = truth.cdf(z.numpy() + 0.3) - truth.cdf(z.numpy())
    torch.testing.assert_close(one.log_mass(z, torch.full_like(z, 0.3)).exp(), torch.from_numpy(mass))
    union = torch.tensor([[-2.0, -0.5], [0.0, 3.0]], dtype=torch.float64).expand(3, 2, 2)
    both = truth.cdf(-0.5) - truth.cdf(-2.0) + truth.cdf(3.0) - truth.cdf(0.0)
    torch.testing.assert_close(one.log_set(union).exp(), torch.from_numpy(both))


def test_draws_stay_in_their_intervals_and_follow_the_truncated_gaussian() -> None:
    uniform = torch.rand(20_000, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    one = Gaussian(torch.zeros(20_000, dtype=torch.float64), 1.0)
    union = torch.tensor([[-1.0, 0.0], [1.0, 1e4]], dtype=torch.float64).expand(20_000, 2, 2)
    drawn = one.draw(uniform, union).numpy()
    assert bool((((drawn >= -1) & (drawn <= 0)) | (drawn >= 1)).all())
    left, right = stats.norm.cdf(0) - stats.norm.cdf(-1), 1 - stats.norm.cdf(1)
    assert (drawn <= 0).mean() == pytest.approx(left / (left + right), abs=0.015)
    assert stats.kstest(one.draw(uniform).numpy(), "norm").pvalue > 1e-3


def test_quadrature_integrates_polynomials() -> None:
    z, log_weight = Gaussian(LOCATION, SCALE).nodes(24)
    weight = log_weight.exp()
    torch.testing.assert_close((weight * z).sum(1), LOCATION)
    torch.testing.assert_close((weight * z**2).sum(1), LOCATION**2 + SCALE**2, rtol=1e-2, atol=0)
    assert torch.equal(Gaussian(LOCATION, SCALE).median(), LOCATION)


def test_gradients_are_numbers_for_cells_of_every_size() -> None:
    for lower, width in ((0.0, 1e-9), (-1e4, 1e4 - 3.0), (5.0, 1e4 - 5.0), (30.0, 1e-3), (-1e4, 2e4)):
        location = torch.zeros(1, requires_grad=True)
        mass = Gaussian(location, 0.05).log_mass(torch.tensor([lower]), torch.tensor([width]))
        mass.sum().backward()
        assert location.grad is not None
        assert math.isfinite(float(mass.detach()))
        assert math.isfinite(float(location.grad))
