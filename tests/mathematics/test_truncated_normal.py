"""The restricted normal against scipy, in the middle and far out in the tails."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import norm, truncnorm

from likewise.mathematics import truncated_normal


@pytest.mark.parametrize(
    ("low", "high"), [(-1.0, 2.0), (-1e6, 0.3), (5.0, 1e6), (-30.0, -29.0), (2.0, 2.004), (7.0, 7.1)]
)
def test_mass_is_the_difference_of_distribution_functions(low: float, high: float) -> None:
    got = truncated_normal.log_mass(torch.tensor(low, dtype=torch.float64), torch.tensor(high, dtype=torch.float64))
    a, b = (low, high) if high <= 0 else (-high, -low)
    expected = norm.logcdf(b) + np.log(-np.expm1(norm.logcdf(a) - norm.logcdf(b)))
    assert got.item() == pytest.approx(expected, abs=1e-9)


def test_masses_of_touching_intervals_add_up() -> None:
    edges = torch.linspace(-9, 9, 5001, dtype=torch.float64)
    total = truncated_normal.log_mass(edges[:-1], edges[1:]).exp().sum()
    assert total.item() == pytest.approx(norm.cdf(9) - norm.cdf(-9), abs=1e-12)


def test_an_empty_interval_has_no_mass() -> None:
    assert truncated_normal.log_mass(torch.tensor(1.0), torch.tensor(0.5)).item() == -np.inf


@pytest.mark.parametrize(("low", "high"), [(-1.0, 2.0), (3.0, 4.0), (-1e6, -4.0), (12.0, 1e6), (-25.0, -24.5)])
def test_quantiles_are_scipys(low: float, high: float) -> None:
    u = torch.linspace(0.01, 0.99, 25, dtype=torch.float64)
    at = (torch.tensor(edge, dtype=torch.float64) for edge in (low, high))
    np.testing.assert_allclose(truncated_normal.quantile(u, *at), truncnorm.ppf(u.numpy(), low, high), atol=1e-7)


def test_quantiles_stay_inside_beyond_where_the_normal_has_any_mass() -> None:
    low, high = torch.tensor(60.0, dtype=torch.float64), torch.tensor(61.0, dtype=torch.float64)
    z = truncated_normal.quantile(torch.tensor([0.0, 0.5, 1.0], dtype=torch.float64), low, high)
    assert ((z >= 60) & (z <= 61)).all()
    # The tail at 60 is exponential with rate 60: its median is log(2) / 60 further out.
    assert z[1].item() == pytest.approx(60 + np.log(2) / 60, abs=1e-5)
