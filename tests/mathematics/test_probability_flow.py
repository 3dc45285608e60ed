"""The probability flow of records whose denoiser is known in closed form."""

import math

import torch

from likewise.mathematics.probability_flow import log_density, transport
from likewise.mathematics.schedules import even_levels

COVARIANCE = torch.tensor([[1.0, 0.6, 0.0], [0.6, 0.8, -0.2], [0.0, -0.2, 0.5]], dtype=torch.float64)
MEAN = torch.tensor([0.5, -1.0, 0.0], dtype=torch.float64)
NORMAL = torch.distributions.MultivariateNormal(MEAN, COVARIANCE)


def denoise(y, level):
    noisy = COVARIANCE + level**2 * torch.eye(3, dtype=torch.float64)
    return MEAN + (y - MEAN) @ torch.linalg.solve(noisy, COVARIANCE)


def records(size=50):
    noise = torch.randn(size, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return MEAN + noise @ torch.linalg.cholesky(COVARIANCE).t()


def test_the_density_of_a_normal_is_the_closed_form():
    x = records()
    found, _ = log_density(denoise, x, even_levels(1e-3, 2e4, 60))
    assert torch.allclose(found, NORMAL.log_prob(x), atol=2e-3)


def test_probes_estimate_the_same_density():
    x = records(20)
    signs = torch.randint(0, 2, (400, 20, 3), generator=torch.Generator().manual_seed(1)).double() * 2 - 1
    found, _ = log_density(denoise, x, even_levels(1e-3, 2e4, 40), signs)
    error = found.std(0) / math.sqrt(len(signs))
    assert bool(((found.mean(0) - NORMAL.log_prob(x)).abs() < 4.5 * error + 5e-3).all())


def test_there_and_back_is_where_it_began():
    x = records()
    rising = even_levels(0.002, 80.0, 24)
    there = transport(denoise, x, rising)
    # What is left is the noise of the record: its standard scores.
    scores = torch.linalg.solve_triangular(torch.linalg.cholesky(COVARIANCE), (x - MEAN).t(), upper=False).t()
    assert torch.allclose(there.square().sum(1), scores.square().sum(1), rtol=0.05, atol=0.05)
    assert torch.allclose(transport(denoise, there, rising[::-1]), x, atol=1e-4)
