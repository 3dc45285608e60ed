"""Monotone rational-quadratic splines with learned knots: a bijection of the line that is the identity far out."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

LEAST_BIN = 1e-3
"""The smallest share of the box that a bin takes, in either direction (Durkan et al. 2019)."""

LEAST_SLOPE = 1e-3
"""The smallest slope at a knot (Durkan et al. 2019)."""

_ONE = 0.5410818611413968
"""Where softplus is 1 - LEAST_SLOPE: numbers of zero are then slopes of one."""


def spline_size(bins: int) -> int:
    """How many numbers a spline takes: widths, heights and inner slopes."""
    return 3 * bins - 1


def rational_quadratic(x: Tensor, raw: Tensor, bound: float, inverse: bool = False) -> tuple[Tensor, Tensor]:
    """The spline with parameters `raw` at `x`, and the logarithm of its slope there.

    In each bin it is the monotone rational-quadratic piece of Gregory and Delbourgo (1982) (Durkan et al. 2019,
    equations 4 to 8); outside [-bound, bound] it is the identity. Parameters of zero are the identity throughout.

    Parameters
    ----------
    x : Tensor (...)
        In single or double precision: lower ones are not enough.
    raw : Tensor (..., 3 bins - 1)
        Unconstrained widths, heights and inner slopes.
    bound : float
    inverse : bool
        Whether to invert it: then the logarithm is of the slope of the inverse.

    Examples
    --------
    >>> x = torch.tensor([-7.0, 0.5], dtype=torch.float64)
    >>> y, log_slope = rational_quadratic(x, torch.ones(2, 3 * 4 - 1).double(), bound=5.0)
    >>> back, _ = rational_quadratic(y, torch.ones(2, 3 * 4 - 1).double(), bound=5.0, inverse=True)
    >>> bool(torch.allclose(back, x)), float(y[0]), float(log_slope[0])
    (True, -7.0, 0.0)
    """
    bins = (raw.shape[-1] + 1) // 3
    wide, high, steep = raw.split([bins, bins, bins - 1], -1)
    left, width = _knots(wide, bound)
    low, height = _knots(high, bound)
    slope = F.pad(LEAST_SLOPE + F.softplus(steep + _ONE), (1, 1), value=1.0)
    # What lies outside is moved to the edge before the mathematics: `where` alone would let NaN into gradients.
    inside = x.clamp(-bound, bound)
    edges = (low if inverse else left)[..., 1:]
    k = (inside.unsqueeze(-1) >= edges).sum(-1, keepdim=True)
    x0, w, y0, h, d0, d1 = (
        part.gather(-1, k).squeeze(-1) for part in (left, width, low, height, slope[..., :-1], slope[..., 1:])
    )
    secant = h / w
    bend = d0 + d1 - 2 * secant
    if inverse:
        rise = inside - y0
        a, b, c = h * (secant - d0) + rise * bend, h * d0 - rise * bend, -secant * rise
        root = torch.sqrt((b * b - 4 * a * c).clamp(min=0))  # rounding takes it below zero (nflows#87)
        t = (2 * c / (-b - root)).clamp(0, 1)
        found = x0 + t * w
    else:
        t = (inside - x0) / w
        found = y0 + h * (secant * t * t + d0 * t * (1 - t)) / (secant + bend * t * (1 - t))
    under = secant + bend * t * (1 - t)
    over = d1 * t * t + 2 * secant * t * (1 - t) + d0 * (1 - t) ** 2
    log_slope = 2 * secant.log() + over.log() - 2 * under.log()
    outside = (x < -bound) | (x > bound)
    log_slope = torch.where(outside, torch.zeros_like(log_slope), -log_slope if inverse else log_slope)
    return torch.where(outside, x, found), log_slope


def _knots(raw: Tensor, bound: float) -> tuple[Tensor, Tensor]:
    """Left edges and widths (..., bins) of the bins into which [-bound, bound] is divided."""
    bins = raw.shape[-1]
    width = 2 * bound * (LEAST_BIN + (1 - LEAST_BIN * bins) * torch.softmax(raw, -1))
    left = F.pad(width.cumsum(-1)[..., :-1], (1, 0)) - bound
    return left, width
