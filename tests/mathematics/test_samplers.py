"""Samplers, with denoisers that are known in closed form."""

import math

import pytest
import torch

from likewise.mathematics.samplers import ancestral, heun, implicit, inpainted, last, multistep, sampled, start
from likewise.mathematics.schedules import LogNormal, linear

MEAN, DEVIATION = 1.0, 0.5
SIZE = 20_000


def _generator(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(y, level):
    """The denoiser of records N(MEAN, DEVIATION^2)."""
    share = DEVIATION**2 / (DEVIATION**2 + level**2)
    return MEAN + share * (y - MEAN)


def _started(level, size=SIZE):
    return start(torch.randn(size, 1, generator=_generator(), dtype=torch.float64), level)


@pytest.mark.parametrize(("name", "steps"), [("ddpm", 1000), ("ddim", 200), ("heun", 30), ("dpm++", 40)])
def test_samples_have_the_distribution_of_the_denoiser(name, steps):
    levels = linear().levels(steps) if name == "ddpm" else LogNormal(-1.2, 1.2).levels(steps)
    y = _started(float(levels[0]))
    found = last(sampled(name, normal, y, levels, _generator(1)))
    assert math.isclose(float(found.mean()), MEAN, abs_tol=0.02)
    assert math.isclose(float(found.std()), DEVIATION, rel_tol=0.03)


def test_few_steps_keep_the_variance_of_a_standard_normal():
    levels = LogNormal(-1.2, 1.2).levels(32)
    y = start(torch.ones(1, 1, dtype=torch.float64), float(levels[0]))
    found = last(multistep(lambda at, level: at / (1 + level * level), y, levels))
    # Along the levels of Karras et al. (2022), equation 5, it grows by 2.7 percent.
    assert math.isclose(float(found.square()), 1.0, abs_tol=0.015)


def test_the_reverse_chain_is_algorithm_2():
    chain = linear(50)
    z = torch.randn(10, 3, generator=_generator(3), dtype=torch.float64)
    # A sampler moves y = z / sqrt(alpha-bar); the network's noise is what its denoiser leaves over.
    states = ancestral(normal, z / chain.kept[-1].sqrt(), chain.levels(50), _generator(4))
    noise = _generator(4)
    for t, y in zip(range(50, 0, -1), states, strict=True):
        level, kept = float(chain.every[t - 1]), chain.kept[t - 1]
        before = z / kept.sqrt()
        z = chain.reverse(z, (before - normal(before, level)) / level, t, noise)
        scale = chain.kept[t - 2].sqrt() if t > 1 else 1.0
        assert torch.allclose(z, y * scale, atol=1e-9)


def _exact(y, high):
    """Where the flow of the normal denoiser takes y from a level to 0: standard scores stay as they are."""
    return MEAN + (y - MEAN) * DEVIATION / math.sqrt(DEVIATION**2 + high**2)


@pytest.mark.parametrize(("sampler", "order"), [(implicit, 1), (heun, 2), (multistep, 2)])
def test_errors_fall_with_the_order_of_the_sampler(sampler, order):
    y = _started(80.0, 200)
    errors = [
        float((last(sampler(normal, y, LogNormal(-1.2, 1.2).levels(steps))) - _exact(y, 80.0)).abs().max())
        for steps in (40, 80)
    ]
    assert errors[0] / errors[1] > 0.75 * 2**order


def test_inpainting_draws_what_is_left_given_what_is_known():
    # Two coordinates of correlation 0.8: given the first, the second has mean 0.8 times it and variance 0.36.
    covariance = torch.tensor([[1.0, 0.8], [0.8, 1.0]], dtype=torch.float64)

    def denoise(y, level):
        noisy = covariance + level**2 * torch.eye(2, dtype=torch.float64)
        return y @ torch.linalg.solve(noisy, covariance)

    size = 4_000
    known = torch.tensor([[1.5, 0.0]], dtype=torch.float64).expand(size, -1)
    here = torch.tensor([[True, False]]).expand(size, -1)
    levels = linear().levels(200)
    y = start(torch.randn(size, 2, generator=_generator(), dtype=torch.float64), float(levels[0]))
    found = inpainted(denoise, y, levels, known, here, 10, _generator(1))
    assert torch.equal(found[:, 0], known[:, 0])
    assert math.isclose(float(found[:, 1].mean()), 1.2, abs_tol=0.08)
    assert math.isclose(float(found[:, 1].var()), 0.36, rel_tol=0.15)
    # Without resampling the two do not come to agree: that is what resampling is for.
    once = inpainted(denoise, y, levels, known, here, 1, _generator(1))
    assert abs(float(once[:, 1].mean()) - 1.2) > abs(float(found[:, 1].mean()) - 1.2)
