"""Rational-quadratic splines: bijections whose derivatives, written out by hand, are their derivatives."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from likewise.mathematics.splines import rational_quadratic, spline_size

BOUND = 5.0


def numbers(size: int, spread: float, bins: int = 8) -> Tensor:
    return spread * torch.randn(size, spline_size(bins), dtype=torch.float64)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def test_numbers_of_zero_are_the_identity():
    x = torch.linspace(-7, 7, 301, dtype=torch.float64)
    for inverse in (False, True):
        y, log_slope = rational_quadratic(x, torch.zeros(301, spline_size(8)).double(), BOUND, inverse)
        torch.testing.assert_close(y, x, rtol=0, atol=1e-14)
        assert float(log_slope.abs().max()) < 1e-13


@pytest.mark.parametrize("spread", [1.0, 10.0])
@pytest.mark.parametrize("inverse", [False, True])
def test_it_is_increasing_and_the_box_is_mapped_to_itself(spread, inverse):
    x = torch.linspace(-7, 7, 5001, dtype=torch.float64)
    for raw in numbers(10, spread):
        y, log_slope = rational_quadratic(x, raw.expand(len(x), -1), BOUND, inverse)
        assert bool((y.diff() > 0).all())
        within = x.abs() <= BOUND
        assert float(y[within].abs().max()) <= BOUND
        assert torch.equal(y[~within], x[~within])
        assert bool((log_slope[~within] == 0).all())
    edges = torch.tensor([-BOUND, BOUND], dtype=torch.float64)
    y, _ = rational_quadratic(edges, numbers(2, spread), BOUND, inverse)
    torch.testing.assert_close(y, edges, rtol=1e-14, atol=0)


@pytest.mark.parametrize("bins", [2, 3, 8])
@pytest.mark.parametrize("inverse", [False, True])
def test_derivatives_are_those_of_differences(bins, inverse):
    x = torch.linspace(-6.1, 6.2, 13, dtype=torch.float64).requires_grad_()
    raw = numbers(13, 1.0, bins).requires_grad_()
    assert torch.autograd.gradcheck(lambda x, raw: rational_quadratic(x, raw, BOUND, inverse), (x, raw))


@pytest.mark.parametrize("inverse", [False, True])
def test_the_log_slope_is_that_of_the_derivative(inverse):
    x = (3 * torch.randn(2000, dtype=torch.float64)).requires_grad_()
    y, log_slope = rational_quadratic(x, numbers(2000, 2.0), BOUND, inverse)
    (slope,) = torch.autograd.grad(y.sum(), x)
    torch.testing.assert_close(slope.log(), log_slope.detach(), rtol=0, atol=1e-8)


@pytest.mark.parametrize("spread", [1.0, 10.0, 100.0])
def test_it_is_inverted_to_rounding(spread):
    """What the inverse returns is mapped back to its argument, but for the rounding of both of them."""
    y, raw = BOUND * (2 * torch.rand(20_000, dtype=torch.float64) - 1), numbers(20_000, spread)
    x, _ = rational_quadratic(y, raw, BOUND, inverse=True)
    back, log_slope = rational_quadratic(x, raw, BOUND)
    allowed = 1e-14 * (1 + log_slope.exp())
    assert bool(((back - y).abs() <= allowed).all())


def test_shapes_and_layouts_do_not_matter():
    x, raw = 3 * torch.randn(6, 4, 3, dtype=torch.float64), numbers(72, 1.0).view(6, 4, 3, -1)
    y, log_slope = rational_quadratic(x, raw, BOUND)
    flat, flat_slope = rational_quadratic(x.flatten(), raw.flatten(0, 2), BOUND)
    torch.testing.assert_close(y.flatten(), flat)
    torch.testing.assert_close(log_slope.flatten(), flat_slope)
    strided = raw.movedim(0, -1).contiguous().movedim(-1, 0)
    torch.testing.assert_close(rational_quadratic(x, strided, BOUND)[0], y)


@pytest.mark.parametrize("inverse", [False, True])
def test_extremes_are_finite_with_finite_derivatives_in_single_precision(inverse):
    x = torch.cat([10.0 ** torch.arange(-8.0, 9.0), torch.linspace(-BOUND, BOUND, 4000)]).requires_grad_()
    for spread in (1.0, 10.0, 100.0):
        raw = (spread * torch.randn(len(x), spline_size(8))).requires_grad_()
        y, log_slope = rational_quadratic(x, raw, BOUND, inverse)
        by_x, by_raw = torch.autograd.grad((y.sin() + log_slope).sum(), (x, raw))
        for found in (y, log_slope, by_x, by_raw):
            assert bool(torch.isfinite(found).all())


def test_it_works_where_nothing_is_recorded():
    x, raw = torch.randn(5, dtype=torch.float64), numbers(5, 1.0)
    expected, _ = rational_quadratic(x.requires_grad_(), raw, BOUND)
    with torch.inference_mode():
        assert torch.equal(rational_quadratic(x, raw, BOUND)[0], expected.detach())
    with torch.no_grad():
        assert torch.equal(rational_quadratic(x, raw, BOUND)[0], expected.detach())
