"""Annealing against closed forms: linear-Gaussian posteriors, mixtures, and what it says of its own error."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from likewise.mathematics.annealing import PARTICLES, Annealed, Source, anneal


def noise(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def gaussian(matrix: Tensor, observed: Tensor, spread: float, particles: int) -> Callable[[Tensor], Tensor]:
    """log N(observed; matrix u, spread^2 I) of particles, for observations (rows, M) and a matrix (M, D)."""

    def log_likelihood(u: Tensor) -> Tensor:
        gap = (observed.repeat_interleave(particles, 0) - u @ matrix.T) / spread
        return -0.5 * gap.square().sum(1) - len(matrix) * math.log(spread * math.sqrt(2 * math.pi))

    return log_likelihood


def solved(matrix: Tensor, observed: Tensor, spread: float) -> tuple[Tensor, Tensor, Tensor]:
    """Posterior mean (rows, D), posterior covariance (D, D) and log-normaliser (rows,) in closed form."""
    one = torch.eye(matrix.shape[1], dtype=torch.float64)
    covariance = torch.linalg.inv(one + matrix.T @ matrix / spread**2)
    whole = matrix @ matrix.T + spread**2 * torch.eye(len(matrix), dtype=torch.float64)
    marginal = torch.distributions.MultivariateNormal(torch.zeros(len(matrix), dtype=torch.float64), whole)
    return observed @ matrix / spread**2 @ covariance, covariance, marginal.log_prob(observed)


@pytest.mark.parametrize(
    ("seen", "dimension", "spread"), [(1, 1, 0.3), (1, 1, 1e-3), (2, 4, 0.1), (4, 4, 1e-3), (3, 12, 0.2)]
)
def test_gaussian_posteriors_agree_with_their_closed_form(seen: int, dimension: int, spread: float) -> None:
    rows = 24
    matrix = torch.randn(seen, dimension, generator=noise(1), dtype=torch.float64)
    observed = torch.randn(rows, dimension, generator=noise(2), dtype=torch.float64) @ matrix.T
    mean, covariance, log_normaliser = solved(matrix, observed, spread)
    likelihood = gaussian(matrix, observed, spread, PARTICLES)
    found = anneal(likelihood, rows, PARTICLES, dimension, noise(3))
    error = (found.log_normaliser - log_normaliser) / found.standard_error
    assert float(error.abs().max()) < 4
    assert 0.6 < float(error.square().mean().sqrt()) < 1.6
    assert bool((found.standard_error < 0.5).all())
    scale = covariance.diagonal().sqrt()
    shift = (found.points.mean(1) - mean) / scale * found.effective_sample_size.unsqueeze(1).sqrt()
    assert float(shift.abs().max()) < 5
    assert 0.6 < float(shift.square().mean().sqrt()) < 1.6
    assert float((found.points.var(1) / scale**2).mean()) == pytest.approx(1, abs=0.06)
    assert bool((found.effective_sample_size > PARTICLES / 8).all())
    assert bool((found.effective_sample_size <= PARTICLES).all())


def test_both_of_two_narrow_modes_are_found_with_their_shares() -> None:
    """Likelihood .3 N(u; -1.5, .05) + .7 N(u; 1.5, .05): the symmetric reference keeps the shares."""
    rows = 40

    def log_likelihood(u: Tensor) -> Tensor:
        parts = [math.log(w) - 0.5 * ((u[:, 0] - c) / 0.05).square() for w, c in ((0.3, -1.5), (0.7, 1.5))]
        return torch.logaddexp(*parts)

    found = anneal(log_likelihood, rows, PARTICLES, 1, noise())
    variance = 1 + 0.05**2
    expected = math.log(0.05) - 0.5 * 1.5**2 / variance - 0.5 * math.log(variance)
    assert float(((found.log_normaliser - expected) / found.standard_error).abs().max()) < 4
    share = (found.points[..., 0] > 0).double().mean(1)
    assert float(share.mean()) == pytest.approx(0.7, abs=0.02)
    # Shares of modes are what moves cannot mend: the effective sample size is that of their scatter.
    scatter = float((share - 0.7).square().mean())
    assert 0.3 < float((0.21 / found.effective_sample_size).mean()) / scatter < 3


def test_without_any_evidence_draws_are_those_of_the_reference() -> None:
    found = anneal(lambda u: torch.zeros(len(u)), 3, 256, 5, noise())
    assert not found.log_normaliser.any()
    assert not found.standard_error.any()
    assert float(found.effective_sample_size.min()) == pytest.approx(256)
    assert float(found.points.var()) == pytest.approx(1, abs=0.05)


def test_rows_depend_on_their_own_likelihood_alone() -> None:
    matrix, rows = torch.ones(1, 2, dtype=torch.float64), 4
    observed = torch.arange(rows, dtype=torch.float64).unsqueeze(1)

    def run(observed: Tensor, spread: float, source: Source) -> Annealed:
        scale = torch.full((rows, 1), 0.5, dtype=torch.float64)[: len(observed)]
        scale[1:] = spread  # the other rows take more or fewer levels

        def log_likelihood(u: Tensor) -> Tensor:
            gap = (observed.repeat_interleave(128, 0) - u @ matrix.T) / scale.repeat_interleave(128, 0)
            return -0.5 * gap.square().sum(1)

        return anneal(log_likelihood, len(observed), 128, 2, source)

    first, second = run(observed, 0.5, noise()), run(-observed, 1e-3, noise())
    for mine, again in zip(first, second, strict=True):
        torch.testing.assert_close(mine[0], again[0], rtol=0, atol=1e-12)
        assert not torch.equal(mine[1], again[1])
    # With a generator of its own a row is the same in any company.
    every = run(observed, 0.1, [noise(k) for k in range(rows)])
    alone = run(observed[:1], 0.1, [noise(0)])
    torch.testing.assert_close(every.points[0], alone.points[0], rtol=0, atol=1e-12)


def test_too_few_effective_particles_show() -> None:
    """A needle that one particle in a hundred thousand hits, and no slope that leads to it."""

    def needle(u: Tensor) -> Tensor:
        return torch.where((u - 4.5).square().sum(1) < 0.3, 0.0, torch.where(u[:, 0] > 2.5, -1.0, -torch.inf))

    found = anneal(needle, 20, 256, 1, noise())
    assert bool((found.effective_sample_size < 0.1 * 256).all())
    reached = ~torch.isneginf(found.log_normaliser)
    assert bool((found.standard_error[reached] > 0.3).all())


def test_evidence_that_no_particle_meets_has_no_probability() -> None:
    rows = torch.tensor([0.0, -torch.inf, torch.nan]).repeat_interleave(64)
    found = anneal(lambda u: rows + 0 * u[:, 0], 3, 64, 2, noise())
    assert found.log_normaliser.tolist() == [0.0, -math.inf, -math.inf]
    assert found.effective_sample_size[1:].tolist() == [0.0, 0.0]
    assert bool(found.points.isfinite().all())
