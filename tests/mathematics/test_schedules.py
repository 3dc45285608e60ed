"""Noise schedules: the chain step by step and in one, and what networks are asked to say of it."""

import math

import pytest
import torch

from likewise.mathematics.schedules import LogNormal, Straight, cosine, linear, noise_schedule

SIZE = 40_000


def _generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("chain", [linear(200), cosine(200)], ids=["linear", "cosine"])
@pytest.mark.parametrize("t", [1, 60, 200])
def test_the_chain_in_one_jump_is_the_chain_step_by_step(chain, t):
    x = torch.full((SIZE,), 1.5, dtype=torch.float64)
    noise = _generator(1)
    stepped = x
    for k in range(1, t + 1):
        stepped = chain.step(stepped, k, noise)
    jumped = chain.jump(x, t, _generator(2))
    kept = float(chain.kept[t - 1])
    for found in (stepped, jumped):
        assert abs(float(found.mean()) - math.sqrt(kept) * 1.5) < 5 * math.sqrt((1 - kept) / SIZE) + 1e-9
        assert math.isclose(float(found.var()), 1 - kept, rel_tol=0.05)


@pytest.mark.parametrize("chain", [linear(), cosine()], ids=["linear", "cosine"])
def test_at_the_end_of_the_chain_nothing_is_left(chain):
    x = torch.tensor([[3.0, -3.0, 0.0]], dtype=torch.float64).expand(SIZE, -1)
    end = chain.jump(x, len(chain.betas), _generator())
    assert torch.allclose(end.mean(0), torch.zeros(3, dtype=torch.float64), atol=0.04)
    assert torch.allclose(torch.cov(end.t()), torch.eye(3, dtype=torch.float64), atol=0.04)


def test_betas_of_the_linear_chain_are_those_of_ho_et_al():
    chain = linear()
    assert (len(chain.betas), chain.betas[0], chain.betas[-1]) == (1000, 1e-4, 0.02)
    # Their figure 2 needs alpha-bar to end near 4e-5.
    assert math.isclose(float(chain.kept[-1]), 4.036e-5, rel_tol=1e-3)


@pytest.mark.parametrize("name", ["linear", "cosine", "edm", "flow"])
@pytest.mark.parametrize("prediction", ["noise", "velocity", "data"])
def test_what_a_perfect_network_says_gives_the_record_back(name, prediction):
    schedule = noise_schedule(name, -1.2, 1.2)
    level = schedule.draw(torch.linspace(0.02, 0.98, 30, dtype=torch.float64)).unsqueeze(1)
    x, noise = (torch.randn(30, 4, generator=_generator(seed), dtype=torch.float64) for seed in (0, 1))
    path = schedule.path(level)
    assert torch.allclose(path.sigma / path.alpha, level)
    z = path.alpha * x + path.sigma * noise
    assert torch.allclose(path.clean(prediction, path.target(prediction, x, noise), z), x, atol=1e-8)


@pytest.mark.parametrize("name", ["linear", "cosine", "edm", "flow"])
def test_velocity_is_the_rate_of_the_path(name):
    schedule = noise_schedule(name, -1.2, 1.2)
    straight = isinstance(schedule, Straight)
    # The path by its own time: t for the straight one, the angle for those that preserve the variance.
    time = torch.tensor([0.3], dtype=torch.float64)

    def level(at):
        return at / (1 - at) if straight else torch.tan(at)

    def z(at):
        path = schedule.path(level(at))
        return path.alpha * 2.0 + path.sigma * 0.7

    rate = (z(time + 1e-6) - z(time - 1e-6)) / 2e-6
    two, noise = torch.tensor(2.0, dtype=torch.float64), torch.tensor(0.7, dtype=torch.float64)
    assert torch.allclose(schedule.path(level(time)).target("velocity", two, noise), rate, atol=1e-8)


@pytest.mark.parametrize("name", ["linear", "cosine", "edm", "flow"])
@pytest.mark.parametrize("steps", [1, 7, 50])
def test_levels_fall_to_nothing(name, steps):
    schedule = noise_schedule(name, -1.2, 1.2)
    levels = schedule.levels(steps)
    assert len(levels) == steps + 1
    assert bool((levels[1:] < levels[:-1]).all())
    assert float(levels[-1]) == 0.0
    assert math.isclose(float(levels[0]), schedule.greatest, rel_tol=1e-9)


def test_levels_of_training_have_the_distribution_that_was_asked_for():
    drawn = LogNormal(-1.0, 0.8).draw((torch.arange(SIZE, dtype=torch.float64) + 0.5) / SIZE).log()
    assert math.isclose(float(drawn.mean()), -1.0, abs_tol=1e-3)
    assert math.isclose(float(drawn.std()), 0.8, rel_tol=1e-3)
    t = linear().draw((torch.arange(1000, dtype=torch.float64) + 0.5) / 1000)
    assert torch.equal(t, linear().every)
