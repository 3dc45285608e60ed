"""The mass of two dependent normals in a rectangle against scipy, closed forms and identities."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.stats import multivariate_normal, norm
from torch import Tensor

from likewise.mathematics import truncated_normal
from likewise.mathematics.bivariate_normal import log_mass


def mass(first: list[float], second: list[float], correlation: float) -> Tensor:
    load = torch.tensor(correlation, dtype=torch.float64)
    ends = (torch.tensor(part, dtype=torch.float64) for part in (first, second))
    return log_mass(*ends, load, ((1 - load) * (1 + load)).sqrt())


@pytest.mark.parametrize("correlation", [-0.95, -0.3, 0.0, 0.6, 0.99, 0.99999])
def test_rectangles_are_differences_of_the_distribution_function(correlation: float) -> None:
    rng = np.random.default_rng(0)
    law = multivariate_normal([0, 0], [[1, correlation], [correlation, 1]], abseps=1e-12, releps=1e-12)
    for _ in range(10):
        (a, b), (c, d) = (np.sort(rng.normal(size=2)) for _ in range(2))
        expected = law.cdf([b, d], lower_limit=[a, c])
        assert mass([a, b], [c, d], correlation).exp().item() == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("correlation", [-0.999, -0.5, 0.2, 0.9999])
def test_quadrants_are_an_arc_sine(correlation: float) -> None:
    expected = 0.25 + np.arcsin(correlation) / (2 * np.pi)
    assert mass([0, 1e4], [0, 1e4], correlation).exp().item() == pytest.approx(expected, rel=1e-10)


def test_far_out_and_narrow_rectangles_keep_their_digits() -> None:
    rng = np.random.default_rng(1)
    for _ in range(30):
        rho, (a, c) = rng.uniform(-0.9, 0.9), rng.normal(size=2) * 8
        b, d = a + 10 ** rng.uniform(-4, 0), c + 10 ** rng.uniform(-4, 1)
        own = np.sqrt((1 - rho) * (1 + rho))
        peak = mass([a, b], [c, d], rho).item()

        def inner(x: float, ends: tuple[float, ...] = (c, d, own, rho, peak)) -> float:
            low, high, scale, slope, top = ends
            part = [torch.tensor((end - slope * x) / scale, dtype=torch.float64) for end in (low, high)]
            return float(np.exp(norm.logpdf(x) + truncated_normal.log_mass(*part).item() - top))

        assert quad(inner, a, b, epsabs=0, epsrel=1e-11, limit=200)[0] == pytest.approx(1, rel=1e-9)


def test_parts_add_up_and_the_two_may_change_places() -> None:
    ends = torch.tensor([-1e4, -1.0, 0.5, 2.0, 1e4], dtype=torch.float64)
    parts = torch.stack([ends[:-1], ends[1:]], 1)
    load, own = torch.tensor(-0.8, dtype=torch.float64), torch.tensor(0.6, dtype=torch.float64)
    found = log_mass(parts[:, None], parts[None, :], load, own)
    assert found.logsumexp((0, 1)).item() == pytest.approx(0, abs=1e-13)
    torch.testing.assert_close(found, found.T, rtol=1e-12, atol=1e-12)
    singly = truncated_normal.log_mass(parts[:, 0], parts[:, 1])
    torch.testing.assert_close(found.logsumexp(1), singly, rtol=1e-12, atol=1e-12)


def test_an_empty_rectangle_has_no_mass() -> None:
    assert torch.isneginf(mass([1, 1], [0, 1], 0.5))
    assert torch.isneginf(mass([0, 1], [1, -1], 0.5))
