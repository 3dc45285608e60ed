"""The monotone map: increasing, smooth, invertible, and its derivative is its derivative."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from likewise.domains.table.maps import gaps_in, normal_scores
from likewise.mathematics.monotone import EDGE, MonotoneMap


def fitted(sample: np.ndarray, **options: float) -> MonotoneMap:
    values, counts = np.unique(sample, return_counts=True)
    return normal_scores(values, counts, **options)


RNG = np.random.default_rng(0)
SAMPLES = {
    "normal": RNG.normal(size=3000),
    "two modes": np.r_[RNG.normal(-5, 0.1, 1000), RNG.normal(5, 2, 1000)],
    "heavy tails": RNG.standard_cauchy(3000),
    "heavier": np.exp(20 * RNG.normal(size=2000)),
    "around 1e300": RNG.normal(size=500) * 1e299,
    "around 1e-300": RNG.normal(size=500) * 1e-280,
    "far from zero": 1e9 + RNG.random(500),
    "three values": np.array([1.0, 2.0, 4.0]),
    "two values": np.array([1.0, 1.0, 3.0]),
    "one value": np.array([5.0, 5.0]),
}


@pytest.mark.parametrize("name", SAMPLES)
def test_maps_increase_and_invert(name: str) -> None:
    sample = torch.from_numpy(np.sort(SAMPLES[name]))
    map_ = fitted(SAMPLES[name])
    z, slope = map_.with_derivative(sample)
    assert bool(torch.isfinite(z).all())
    assert bool((slope > 0).all())
    assert bool(torch.isfinite(slope.log()).all())
    assert bool((z.diff() >= 0).all())
    assert float(z.abs().max()) < 6
    spread = float(sample[-1] - sample[0]) or 1.0
    error = (map_.inverse(z) - sample).abs()
    assert bool((error <= 1e-9 * sample.abs() + 1e-12 * spread + 1e-6 * 1e-9 * abs(float(sample[0]))).all())
    wide = torch.linspace(-50, 50, 4001, dtype=torch.float64)
    x = map_.inverse(wide)
    assert bool(torch.isfinite(x).all())
    assert bool((x.diff() >= 0).all())
    assert bool(torch.isfinite(map_.inverse(torch.tensor([-EDGE, EDGE], dtype=torch.float64))).all())


@pytest.mark.parametrize("name", ["normal", "two modes", "heavy tails", "three values"])
def test_the_derivative_is_the_derivative(name: str) -> None:
    map_ = fitted(SAMPLES[name])
    x = torch.from_numpy(np.linspace(SAMPLES[name].min() - 3, SAMPLES[name].max() + 3, 2001)).requires_grad_()
    (slope,) = torch.autograd.grad(map_.forward(x).sum(), x)
    torch.testing.assert_close(slope, map_.derivative(x.detach()), rtol=1e-8, atol=1e-12)


def test_the_derivative_is_continuous_at_knots_and_tails() -> None:
    map_ = fitted(SAMPLES["normal"])
    near = 1e-9
    below, above = map_.derivative(map_.x - near), map_.derivative(map_.x + near)
    torch.testing.assert_close(below, above, rtol=1e-4, atol=0)


@pytest.mark.parametrize("name", ["normal", "two modes", "heavy tails"])
def test_scores_are_standard_normal(name: str) -> None:
    z = fitted(SAMPLES[name]).forward(torch.from_numpy(SAMPLES[name]))
    levels = torch.special.ndtr(z.sort().values)
    expected = (torch.arange(len(z), dtype=torch.float64) + 0.5) / len(z)
    assert float((levels - expected).abs().max()) < 0.015


def test_the_log_derivative_is_as_smooth_as_the_density() -> None:
    """With z standard normal, log dz/dx is log p(x) - log phi(z): the truth is known for a normal sample."""
    map_ = fitted(np.random.default_rng(1).normal(3.0, 2.0, 20_000))
    x = torch.linspace(-1, 7, 400, dtype=torch.float64)
    error = map_.derivative(x).log() + math.log(2.0)
    assert float(error.abs().max()) < 0.2
    assert float(error.pow(2).mean().sqrt()) < 0.08


def test_bounds_are_never_crossed() -> None:
    map_ = fitted(RNG.gamma(1.0, size=1000), low=0.0)
    z = torch.linspace(-60, 60, 500, dtype=torch.float64)
    assert bool((map_.inverse(z) >= 0).all())
    assert float(map_.forward(torch.tensor([1e-300], dtype=torch.float64))) < -4
    close = torch.tensor([1e-12, 1e-9, 1e-5], dtype=torch.float64)
    torch.testing.assert_close(map_.inverse(map_.forward(close)), close, rtol=1e-7, atol=0)
    inside = fitted(RNG.random(1000), low=0.0, high=1.0).inverse(z)
    assert bool(((inside >= 0) & (inside <= 1)).all())


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.lists(st.floats(-1e300, 1e300), min_size=1, max_size=60))
def test_any_sample_has_a_finite_map(sample: list[float]) -> None:
    map_ = fitted(np.array(sample))
    x = torch.tensor(sample, dtype=torch.float64)
    z, slope = map_.with_derivative(x)
    assert bool(torch.isfinite(z).all())
    assert bool((slope > 0).all())
    assert bool(torch.isfinite(slope).all())
    assert float(z.abs().max()) < 7
    assert bool(torch.isfinite(map_.inverse(z)).all())


def test_a_gap_takes_hardly_any_normal_scores() -> None:
    """Normal scores come back as values that lie where the sample does, and not between its groups."""
    groups = np.array([-4.0, 0.0, 3.0])
    sample = np.random.default_rng(0).choice(groups, 9000) + 0.05 * np.random.default_rng(1).normal(size=9000)
    drawn = fitted(sample).inverse(torch.randn(50_000, dtype=torch.float64)).numpy()
    far = {
        name: (abs(part[:, None] - groups).min(1) > 0.2).mean() for name, part in (("real", sample), ("drawn", drawn))
    }
    assert far["real"] < 1e-3
    assert far["drawn"] < 1e-3


def test_heavy_tails_and_ties_have_no_gaps() -> None:
    for name in ("normal", "heavy tails", "heavier", "around 1e300", "three values"):
        assert not len(gaps_in(np.unique(SAMPLES[name]))), name
