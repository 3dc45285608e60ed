"""Normalisers by annealed importance sampling: exact ones are met, and so is the coverage of their intervals."""

import itertools
import math

import pytest
import torch

from likewise.mathematics.annealed_importance import annealed_importance, log_mean
from likewise.mathematics.gibbs_with_gradients import gibbs_with_gradients
from likewise.mathematics.langevin import Walkers, metropolis_langevin

EXPONENTS = [(k + 1) / 20 for k in range(20)]

PRECISION = torch.tensor([[3.0, 1.2], [1.2, 2.0]], dtype=torch.float64)
CENTRE = torch.tensor([0.8, -0.5], dtype=torch.float64)


def gaussian(chains):
    """log Z of exp(-(x - m)' P (x - m) / 2) relative to that of exp(-x' x / 2), whose truth is -log |P| / 2."""
    generator = torch.Generator().manual_seed(0)

    def ratio(x):
        return -0.5 * ((x - CENTRE) @ PRECISION * (x - CENTRE)).sum(1) + 0.5 * x.square().sum(1)

    def move(x, b):
        def evaluate(y):
            slope = -(1 - b) * y - b * (y - CENTRE) @ PRECISION
            return -0.5 * y.square().sum(1) + b * ratio(y), slope

        return metropolis_langevin(Walkers.at(x, evaluate), evaluate, 0.7, generator)[0].points

    start = torch.randn(chains, 2, generator=generator, dtype=torch.float64)
    return annealed_importance(start, ratio, move, EXPONENTS)


BONDS = [(4 * r + c, 4 * r + (c + 1) % 4) for r in range(4) for c in range(4)]
BONDS += [(4 * r + c, 4 * ((r + 1) % 4) + c) for r in range(4) for c in range(4)]
BLOCKS = [slice(2 * i, 2 * i + 2) for i in range(16)]
COUPLINGS = torch.zeros(16, 16, dtype=torch.float64)
for a, b in BONDS:
    COUPLINGS[a, b] += 0.15
    COUPLINGS[b, a] += 0.15


def spins(x):
    return x[:, 1::2] - x[:, ::2]


def agreement(x):
    """The sum over bonds of a torus of 4 x 4 spins: .15 for neighbours that agree, -.15 for others."""
    s = spins(x)
    return 0.5 * ((s @ COUPLINGS) * s).sum(1)


def ising(chains):
    """log Z of the Ising model relative to that of 16 free spins."""
    generator = torch.Generator().manual_seed(0)

    def move(x, b):
        def evaluate(y):
            field = b * (spins(y) @ COUPLINGS)
            return b * agreement(y), torch.stack([-field, field], 2).flatten(1)

        walkers = Walkers.at(x, evaluate)
        for _ in range(2):
            walkers, _ = gibbs_with_gradients(walkers, evaluate, BLOCKS, generator)
        return walkers.points

    codes = torch.randint(2, (chains, 16), generator=generator)
    start = torch.nn.functional.one_hot(codes, 2).double().flatten(1)
    return annealed_importance(start, agreement, move, EXPONENTS[1::2])


def exact_ising():
    states = torch.tensor(list(itertools.product([-1.0, 1.0], repeat=16)), dtype=torch.float64)
    return float(torch.logsumexp(0.5 * ((states @ COUPLINGS) * states).sum(1), 0)) - 16 * math.log(2)


def exact_gaussian():
    return -0.5 * float(torch.logdet(PRECISION))


@pytest.mark.parametrize(("estimate", "truth"), [(gaussian, exact_gaussian), (ising, exact_ising)])
def test_the_normaliser_is_within_three_errors_of_the_truth_and_the_interval_covers_it(estimate, truth):
    """Of 200 intervals of 95%, each from 100 chains of its own, between 90% and 99% contain the truth."""
    found = estimate(chains=200 * 100)
    assert abs(found.log_ratio - truth()) < 3 * found.standard_error
    level, error = log_mean(found.log_weight.view(200, 100))
    apart = (level - truth()) / error
    assert 0.90 <= float((apart.abs() < 1.96).double().mean()) <= 0.99


def test_weighted_ends_are_a_sample_of_the_target():
    found = gaussian(chains=20_000)
    weight = found.log_weight.softmax(0)
    mean = weight @ found.points
    spread = (found.points - mean).t() @ ((found.points - mean) * weight.unsqueeze(1))
    assert torch.allclose(mean, CENTRE, atol=0.02)
    assert torch.allclose(spread, PRECISION.inverse(), atol=0.02)


def test_without_moves_it_is_importance_sampling():
    """Of weights exp(t x) on standard normals the mean is exp(t^2 / 2)."""
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(100_000, generator=generator, dtype=torch.float64)
    found = annealed_importance(start, lambda x: 0.8 * x, lambda x, b: x, [0.3, 1.0])
    assert found.log_ratio == pytest.approx(0.32, abs=4 * found.standard_error)
    assert found.standard_error == pytest.approx(math.sqrt((math.exp(0.64) - 1) / 100_000), rel=0.05)


def test_the_log_of_a_mean_of_one_weight_has_no_error_to_tell():
    level, error = log_mean(torch.tensor([[1.5]], dtype=torch.float64))
    assert level.tolist() == [1.5]
    assert error.tolist() == [math.inf]
