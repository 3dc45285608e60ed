"""Base distributions: densities that integrate to one, and draws that agree with them."""

from __future__ import annotations

import pytest
import torch
from torch.distributions import Normal, StudentT

from likewise.networks.base import BaseDistribution, base_distribution

BASES = ["normal", "student", "mixture"]


def a_base(name: str, size: int) -> BaseDistribution:
    torch.manual_seed(1)
    base = base_distribution(name, size, components=3).double()
    for parameter in base.parameters():
        parameter.data += 0.5 * torch.randn_like(parameter)
    return base.requires_grad_(False)


@pytest.mark.parametrize("name", BASES)
def test_densities_integrate_to_one(name):
    """In one dimension with x = tan(a), in two by a grid, both midpoint rules."""
    angle = (torch.arange(20_000, dtype=torch.float64) + 0.5) / 20_000 * torch.pi - torch.pi / 2
    x = angle.tan()
    mass = (a_base(name, 1).log_prob(x.unsqueeze(1)).exp() * (1 + x**2)).sum() * torch.pi / 20_000
    assert float(mass) == pytest.approx(1, abs=1e-6)
    angle = angle[::50]
    x = angle.tan()
    weight = (1 + x**2) * torch.pi / len(x)
    points = torch.cartesian_prod(x, x)
    density = a_base(name, 2).log_prob(points).exp()
    assert float((density * (weight.unsqueeze(1) * weight).flatten()).sum()) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("name", BASES)
def test_absent_coordinates_are_summed_out(name):
    base = a_base(name, 2)
    angle = (torch.arange(20_000, dtype=torch.float64) + 0.5) / 20_000 * torch.pi - torch.pi / 2
    free = angle.tan()
    points = torch.stack([torch.full_like(free, 0.4), free], 1)
    summed = (base.log_prob(points).exp() * (1 + free**2)).sum() * torch.pi / 20_000
    present = torch.tensor([[True, False]])
    marginal = base.log_prob(torch.tensor([[0.4, 0.0]]).double(), present)
    assert float(marginal.exp()) == pytest.approx(float(summed), rel=1e-6)
    nothing = base.log_prob(torch.zeros(1, 2).double(), torch.zeros(1, 2, dtype=torch.bool))
    assert float(nothing) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("name", BASES)
def test_draws_agree_with_the_density(name):
    """Shares of draws below each of nine places, within five standard errors of the integral of the density."""
    base = a_base(name, 1)
    draws = base.sample(40_000, torch.Generator().manual_seed(0)).double().squeeze(1)
    angle = (torch.arange(40_000, dtype=torch.float64) + 0.5) / 40_000 * torch.pi - torch.pi / 2
    x = angle.tan()
    below = (base.log_prob(x.unsqueeze(1)).exp() * (1 + x**2)).detach().cumsum(0) * torch.pi / len(x)
    for place in torch.linspace(-3, 3, 9):
        expected = float(below[torch.searchsorted(x, place.double())])
        error = (expected * (1 - expected) / len(draws)) ** 0.5
        assert abs(float((draws < place).double().mean()) - expected) < 5 * error + 1e-4


def test_closed_forms():
    z = torch.linspace(-4, 4, 50, dtype=torch.float64).view(25, 2)
    torch.testing.assert_close(base_distribution("normal", 2).log_prob(z), Normal(0.0, 1.0).log_prob(z).sum(1))
    student = base_distribution("student", 2).double()
    expected = StudentT(student.degrees).log_prob(z).sum(1)
    torch.testing.assert_close(student.log_prob(z), expected)


@pytest.mark.parametrize("name", BASES)
def test_far_away_is_finite(name):
    z = torch.tensor([[1e4, -1e4]], requires_grad=True)
    value = base_distribution(name, 2).log_prob(z)
    value.sum().backward()
    assert bool(torch.isfinite(value).all())
    assert bool(torch.isfinite(z.grad).all())
