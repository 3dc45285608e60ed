"""Langevin moves and changes of codes keep the distributions they are told to keep."""

import math

import pytest
import torch

from likewise.mathematics.gibbs_with_gradients import gibbs_with_gradients
from likewise.mathematics.langevin import Walkers, accepted, langevin, metropolis_langevin

SPREAD = torch.tensor([1.0, 0.5], dtype=torch.float64)


def gaussian(points):
    return -0.5 * (points / SPREAD).square().sum(1), -points / SPREAD**2


def test_an_unadjusted_move_of_a_gaussian_widens_it_as_far_as_algebra_says():
    """x' = (1 - s^2 / 2) x + s e has the stationary variance 1 / (1 - s^2 / 4) on a standard normal."""
    step, generator = 1.0, torch.Generator().manual_seed(0)
    points = torch.randn(200_000, 1, generator=generator)
    for _ in range(30):
        points = langevin(points, -points, step, generator)
    assert float(points.var()) == pytest.approx(1 / (1 - step**2 / 4), rel=0.01)


def test_metropolis_keeps_a_gaussian_at_a_step_that_would_widen_it():
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(50_000, 2, generator=generator, dtype=torch.float64) * SPREAD
    walkers = Walkers.at(start, gaussian)
    shares = []
    for _ in range(20):
        walkers, taken = metropolis_langevin(walkers, gaussian, 0.7, generator)
        shares.append(float(taken.double().mean()))
    assert 0.3 < sum(shares) / 20 < 0.9
    assert walkers.points.std(0).tolist() == pytest.approx(SPREAD.tolist(), rel=0.015)
    again = Walkers.at(walkers.points, gaussian)
    assert torch.equal(again.log_density, walkers.log_density)
    assert torch.equal(again.slope, walkers.slope)


def test_metropolis_finds_a_gaussian_from_far_away():
    generator = torch.Generator().manual_seed(0)
    walkers = Walkers.at(torch.full((2_000, 2), 3.0, dtype=torch.float64), gaussian)
    for _ in range(100):
        walkers, _ = metropolis_langevin(walkers, gaussian, 0.6, generator)
    assert walkers.points.mean(0).tolist() == pytest.approx([0, 0], abs=0.08)
    assert walkers.points.std(0).tolist() == pytest.approx(SPREAD.tolist(), rel=0.05)


def test_coordinates_that_are_held_or_not_named_stay_and_the_others_keep_their_distribution():
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(50_000, 2, generator=generator, dtype=torch.float64) * SPREAD
    held = torch.tensor([0.7, 0.0], dtype=torch.float64)
    by_step, by_name = Walkers.at(start, gaussian), Walkers.at(start, gaussian)
    for _ in range(10):
        by_step, _ = metropolis_langevin(by_step, gaussian, held, generator)
        by_name, _ = metropolis_langevin(by_name, gaussian, 0.7, generator, [0])
    for walkers in (by_step, by_name):
        assert torch.equal(walkers.points[:, 1], start[:, 1])
        assert not torch.equal(walkers.points[:, 0], start[:, 0])
        assert float(walkers.points[:, 0].std()) == pytest.approx(1.0, rel=0.015)


def test_no_move_goes_where_the_density_is_no_number():
    generator = torch.Generator().manual_seed(0)
    assert accepted(torch.tensor([math.nan, -math.inf, math.inf, 0.0]), generator).tolist() == [
        False,
        False,
        True,
        True,
    ]


LEVELS = torch.randn(3, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
"""An energy of two codes of three and four states that depend on each other."""

BLOCKS = [slice(0, 3), slice(3, 7)]


def pair(points):
    first, second = points[:, BLOCKS[0]], points[:, BLOCKS[1]]
    slope = torch.cat([second @ LEVELS.t(), first @ LEVELS], 1)
    return ((first @ LEVELS) * second).sum(1), slope


def _shares(points):
    return (points[:, :3].unsqueeze(2) * points[:, 3:].unsqueeze(1)).mean(0)


def _uniform(size, generator):
    codes = [torch.randint(k, (size,), generator=generator) for k in (3, 4)]
    return torch.cat([torch.nn.functional.one_hot(c, k).double() for c, k in zip(codes, (3, 4), strict=True)], 1)


@pytest.mark.parametrize("honest", [True, False])
def test_changes_of_codes_reach_the_joint_distribution_however_wrong_their_slopes_are(honest):
    generator = torch.Generator().manual_seed(0)
    evaluate = pair if honest else lambda points: (pair(points)[0], torch.zeros_like(points) + points.cumsum(1))
    walkers = Walkers.at(_uniform(10_000, generator), evaluate)
    for _ in range(40):
        walkers, _ = gibbs_with_gradients(walkers, evaluate, BLOCKS, generator)
    assert torch.allclose(_shares(walkers.points), LEVELS.exp() / LEVELS.exp().sum(), atol=0.02)


def test_codes_that_may_not_change_stay_and_the_other_has_its_conditional():
    generator = torch.Generator().manual_seed(0)
    start = _uniform(10_000, generator)
    free = torch.tensor([[True] * 3 + [False] * 4]).expand(len(start), -1)
    walkers = Walkers.at(start, pair)
    for _ in range(40):
        walkers, _ = gibbs_with_gradients(walkers, pair, BLOCKS, generator, free)
    assert torch.equal(walkers.points[:, 3:], start[:, 3:])
    conditional = _shares(walkers.points) / start[:, 3:].mean(0)
    assert torch.allclose(conditional, LEVELS.softmax(0), atol=0.04)


def test_nothing_happens_where_nothing_may_change():
    generator = torch.Generator().manual_seed(0)
    walkers = Walkers.at(_uniform(50, generator), pair)
    after, taken = gibbs_with_gradients(walkers, pair, BLOCKS, generator, torch.zeros(50, 7, dtype=torch.bool))
    assert torch.equal(after.points, walkers.points)
    assert not bool(taken.any())
