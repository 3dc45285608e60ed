"""Monotone rational-quadratic splines with learned knots: a bijection of the line that is the identity far out."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

LEAST_BIN = 1e-3
"""The smallest share of the box that a bin takes, in either direction (Durkan et al. 2019)."""

LEAST_SLOPE = 1e-3
"""The smallest slope at a knot (Durkan et al. 2019)."""

_ONE = math.log(math.expm1(1 - LEAST_SLOPE))
"""Where softplus is 1 - LEAST_SLOPE: numbers of zero are then slopes of one."""


def spline_size(bins: int) -> int:
    """How many numbers a spline takes: widths, heights and inner slopes."""
    return 3 * bins - 1


def rational_quadratic(x: Tensor, raw: Tensor, bound: float, inverse: bool = False) -> tuple[Tensor, Tensor]:
    """The spline with parameters `raw` at `x`, and the logarithm of its slope there.

    In each bin it is the monotone rational-quadratic piece of Gregory and Delbourgo (1982) (Durkan et al. 2019,
    equations 4 to 8); outside [-bound, bound] it is the identity. Parameters of zero are the identity throughout.
    It can be differentiated once. It is fastest where the first dimension of `raw` lies side by side in memory.

    Parameters
    ----------
    x : Tensor (B, ...)
        In single or double precision: lower ones are not enough.
    raw : Tensor (B, ..., 3 bins - 1)
        Unconstrained widths, heights and inner slopes of at least two bins.
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
    found: tuple[Tensor, Tensor] = _RationalQuadratic.apply(x, raw, bound, inverse)  # type: ignore[no-untyped-call]
    return found


class _Piece(NamedTuple):
    """The pieces of splines in which numbers lie, and where in them; all tensors (..., B).

    With q = t (1 - t), y = low + height t (secant t + d0 (1 - t)) / under and dy/dx = secant^2 over / under^2.
    """

    t: Tensor
    """Where in its bin, from 0 to 1."""
    width: Tensor
    height: Tensor
    secant: Tensor
    """Height over width."""
    d0: Tensor
    """The slope at the left end."""
    d1: Tensor
    """The slope at the right end."""
    bend: Tensor
    """d0 + d1 - 2 secant."""
    under: Tensor
    """secant + bend q."""
    over: Tensor
    """d1 t^2 + 2 secant q + d0 (1 - t)^2."""

    @staticmethod
    def at(t: Tensor, width: Tensor, height: Tensor, d0: Tensor, d1: Tensor) -> _Piece:
        """The piece at t."""
        secant, u = height / width, 1 - t
        q, bend = t * u, d0 + d1 - 2 * secant
        over = d1 * t * t + 2 * secant * q + d0 * u * u
        return _Piece(t, width, height, secant, d0, d1, bend, torch.addcmul(secant, bend, q), over)

    def risen(self) -> Tensor:
        """(y - low) / height."""
        t, d0 = self.t, self.d0
        return t * torch.addcmul(d0, self.secant - d0, t) / self.under


class _RationalQuadratic(torch.autograd.Function):
    """The spline with its derivatives written out, which takes a fraction of the operations of recorded ones.

    Within, the first dimension comes last: operations then run along records rather than along a handful of bins.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, raw: Tensor, bound: float, inverse: bool) -> tuple[Tensor, Tensor]:
        bins = (raw.shape[-1] + 1) // 3
        side = 1 / (1 - LEAST_BIN * bins)
        scale, least = 2 * bound / side, LEAST_BIN * side
        x, raw = x.movedim(0, -1).contiguous(), raw.movedim(0, -1).contiguous()
        # What lies outside is moved to the edge before the mathematics: `where` alone would let NaN into gradients.
        outside, inside = x.abs() > bound, x.clamp(-bound, bound)
        # Widths and heights (..., 2, bins, B) in a box of this side, and their sums up to the end of each bin.
        share = torch.softmax(raw[..., : 2 * bins, :].unflatten(-2, (2, bins)), -2)
        extent = share + least
        end = extent.cumsum(-2)
        passed = (inside / scale + side / 2).unsqueeze(-2) >= end[..., int(inverse), :, :]
        k = passed.sum(-2, keepdim=True).clamp_(max=bins - 1)
        at = k.unsqueeze(-3).expand(*share.shape[:-2], 1, -1)
        size = extent.gather(-2, at).squeeze(-2)
        start = end.gather(-2, at).squeeze(-2) - size
        width, height = (size * scale).unbind(-2)
        left, low = (start * scale - bound).unbind(-2)
        # At either end of the box the slope is one, the slope of a number of zero.
        knots = F.pad(raw[..., 2 * bins :, :], (0, 0, 1, 1))
        steep = knots.gather(-2, torch.cat([k, k + 1], -2)) + _ONE
        d0, d1 = (F.softplus(steep) + LEAST_SLOPE).unbind(-2)
        if inverse:
            piece = _solved(inside - low, width, height, d0, d1)
            found = left + piece.t * width
        else:
            piece = _Piece.at(((inside - left) / width).clamp_(0, 1), width, height, d0, d1)
            found = low + height * piece.risen()
        log_slope = 2 * (piece.secant.log() - piece.under.log()) + piece.over.log()
        ctx.scale, ctx.least, ctx.inverse = scale, least, inverse
        ctx.save_for_backward(outside, passed, k, share, size, start, steep, *piece)
        found = torch.where(outside, x, found)
        log_slope = (-log_slope if inverse else log_slope).masked_fill_(outside, 0.0)
        return found.movedim(-1, 0), log_slope.movedim(-1, 0)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, by_found: Tensor, by_log: Tensor) -> tuple[Tensor, Tensor, None, None]:
        outside, passed, k, share, size, start, steep, *rest = ctx.saved_tensors
        piece = _Piece(*rest)
        by_found, by_log = by_found.movedim(0, -1), by_log.movedim(0, -1).masked_fill(outside, 0.0)
        by_y = by_found.masked_fill(outside, 0.0)
        if ctx.inverse:
            # x = g(y): dx = (dy - the change of f at x) / f'(x), and the logarithm is that of 1 / f'(x).
            by_log = -by_log
        log_by_x, slope = _log_slope_by_x(piece, by_log), (piece.secant / piece.under).square_() * piece.over
        if ctx.inverse:
            by_input = (by_y + log_by_x) / slope
            by_y, by_x = -by_input, -by_y
        else:
            by_input = by_x = by_y * slope + log_by_x
        by_width, by_height, by_d0, by_d1 = _by_piece(piece, by_x, by_y, by_log)
        by_size = torch.stack([by_width, by_height], -2) * ctx.scale
        by_start = torch.stack([-by_x, by_y], -2) * ctx.scale
        bins, least = share.shape[-2], ctx.least
        by_raw = share.new_empty(*share.shape[:-3], 3 * bins - 1, share.shape[-1])
        # Of the softmax: each share times (the derivative by it - the mean of these derivatives).
        mean = by_size * (size - least) + by_start * torch.sub(start, k, alpha=least)
        by_share = by_raw[..., : 2 * bins, :].unflatten(-2, (2, bins))
        torch.where(passed.unsqueeze(-3), (by_start - mean).unsqueeze(-2), -mean.unsqueeze(-2), out=by_share)
        at = k.unsqueeze(-3).expand(*share.shape[:-2], 1, -1)
        by_share.scatter_(-2, at, (by_size - mean).unsqueeze(-2)).mul_(share)
        by_knots = by_raw.new_zeros(*share.shape[:-3], bins + 1, share.shape[-1])
        by_steep = torch.stack([by_d0, by_d1], -2).mul_(torch.sigmoid(steep))
        by_raw[..., 2 * bins :, :] = by_knots.scatter_(-2, torch.cat([k, k + 1], -2), by_steep)[..., 1:-1, :]
        by_input = torch.where(outside, by_found, by_input)
        return by_input.movedim(-1, 0), by_raw.movedim(-1, 0), None, None


def _log_slope_by_x(piece: _Piece, by_log: Tensor) -> Tensor:
    """The derivative by the place of the logarithm of the slope, times `by_log`."""
    t, width, _, secant, d0, d1, bend, under, over = piece
    tilt = 1 - 2 * t
    above = d1 * t - d0 * (1 - t) + secant * tilt
    return 2 * by_log * (above / over - bend * tilt / under) / width


def _by_piece(piece: _Piece, by_x: Tensor, by_y: Tensor, by_log: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Derivatives by width, height and the slopes at both ends.

    They are given those by the place in the bin (which a wider bin draws back, by t a unit), by y, and by the logarithm
    of the slope.
    """
    t, width, height, secant, _, _, _, under, over = piece
    u, risen = 1 - t, piece.risen()
    square, q = t * t, t * u
    above, below, along = by_log / over, 2 * by_log / under, by_y * height / under
    drawn = torch.addcmul(below, along, risen)
    by_d0 = above * u * u + q * (along - drawn)
    by_d1 = above * square - q * drawn
    by_secant = along * square + 2 * (by_log / secant + above * q) - drawn * (1 - 2 * q)
    by_height = by_y * risen + by_secant / width
    return -(by_x * t + by_secant * secant / width), by_height, by_d0, by_d1


def _solved(rise: Tensor, width: Tensor, height: Tensor, d0: Tensor, d1: Tensor) -> _Piece:
    """The piece at the t at which it has risen by `rise`."""
    secant = height / width
    bend = d0 + d1 - 2 * secant
    a, b, c = height * (secant - d0) + rise * bend, height * d0 - rise * bend, -secant * rise
    root = torch.sqrt((b * b - 4 * a * c).clamp(min=0))  # rounding takes it below zero (nflows#87)
    piece = _Piece.at((2 * c / (-b - root)).clamp(0, 1), width, height, d0, d1)
    # Where the slope is small the root has lost half its digits; a step of Newton's brings them back.
    miss = (height * piece.risen() - rise) * piece.under.square() / (height * secant * piece.over)
    return _Piece.at((piece.t - miss).clamp_(0, 1), width, height, d0, d1)
