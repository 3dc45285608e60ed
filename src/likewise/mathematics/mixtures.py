"""Mixtures of logistic distributions: densities, masses of cells and sets, truncated draws, quadrature nodes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from likewise.mathematics.monotone import EDGE


def logistic_log_mass(start: Tensor, length: Tensor) -> Tensor:
    """log(sigmoid(start + length) - sigmoid(start)) of the standard logistic, without cancellation at any length.

    Uses sigmoid(b) - sigmoid(a) = sigmoid(b) sigmoid(-a) (1 - exp(a - b)).
    """
    tiny = torch.finfo(length.dtype).tiny
    return F.logsigmoid(start + length) + F.logsigmoid(-start) + torch.log((-torch.expm1(-length)).clamp(min=tiny))


@dataclass(frozen=True)
class LogisticMixture:
    """sum_k w_k Logistic(location_k, exp(log_scale_k)), one mixture a row; all parts (..., K).

    Examples
    --------
    >>> one = LogisticMixture(torch.zeros(1, 1), torch.zeros(1, 1), torch.zeros(1, 1))
    >>> one.log_mass(torch.tensor([-1e6]), torch.tensor([1e6])).exp().item()
    0.5
    """

    log_weight: Tensor
    location: Tensor
    log_scale: Tensor

    @staticmethod
    def from_raw(raw: Tensor, least_log_scale: float) -> LogisticMixture:
        """A mixture from unconstrained numbers (..., 3 K): weights, locations, scales."""
        weight, location, log_scale = raw.chunk(3, dim=-1)
        # Scales above e^3 normal scores mean nothing; the soft floor keeps a density from collapsing on one value.
        log_scale = least_log_scale + F.softplus(log_scale - least_log_scale).clamp(max=3.0 - least_log_scale)
        return LogisticMixture(torch.log_softmax(weight, -1), location, log_scale)

    def _standard(self, z: Tensor) -> Tensor:
        return (z.unsqueeze(-1) - self.location) * torch.exp(-self.log_scale)

    def log_density(self, z: Tensor) -> Tensor:
        """log f(z) of points (...)."""
        a = self._standard(z)
        return torch.logsumexp(self.log_weight + F.logsigmoid(a) + F.logsigmoid(-a) - self.log_scale, -1)

    def log_mass(self, lower: Tensor, width: Tensor) -> Tensor:
        """log of the mass of the cells [lower, lower + width], both (...)."""
        length = width.unsqueeze(-1) * torch.exp(-self.log_scale)
        return torch.logsumexp(self.log_weight + logistic_log_mass(self._standard(lower), length), -1)

    def _log_pieces(self, intervals: Tensor) -> Tensor:
        """log of the mass that each component puts on each interval, (B, K, P)."""
        scale = torch.exp(-self.log_scale).unsqueeze(-1)
        start = (intervals[:, None, :, 0] - self.location.unsqueeze(-1)) * scale
        length = (intervals[:, None, :, 1] - intervals[:, None, :, 0]) * scale
        mass = logistic_log_mass(start, length.clamp(min=0))
        return self.log_weight.unsqueeze(-1) + torch.where(length > 0, mass, -torch.inf)

    def log_set(self, intervals: Tensor) -> Tensor:
        """log of the mass of a union of disjoint intervals (B, P, 2); those that end before they start are empty."""
        return torch.logsumexp(self._log_pieces(intervals).flatten(1), 1)

    def draw(self, uniform: Tensor, intervals: Tensor | None = None) -> Tensor:
        """Draws (B,) float64 by inversion of `uniform` (B, 2) noise, within a union of intervals where it is given."""
        if intervals is None:
            intervals = whole_line(uniform)
        pieces = self._log_pieces(intervals)
        cumulative = torch.softmax(pieces.flatten(1), 1).double().cumsum(1)
        chosen = (uniform[:, :1].double() * cumulative[:, -1:] > cumulative).sum(1).clamp(max=cumulative.shape[1] - 1)
        k, p = chosen // intervals.shape[1], chosen % intervals.shape[1]
        row = torch.arange(len(k), device=k.device)
        return _within(
            uniform[:, 1].double(),
            self.location[row, k].double(),
            self.log_scale[row, k].double().exp(),
            intervals[row, p].double(),
        )

    def median(self) -> Tensor:
        """The medians, float64, by bisection: they lie between the least and the greatest of the locations."""
        weight, location, scale = (
            part.double() for part in (self.log_weight.exp(), self.location, self.log_scale.exp())
        )
        low, high = location.amin(-1), location.amax(-1)
        for _ in range(60):
            middle = 0.5 * (low + high)
            below = (weight * torch.sigmoid((middle.unsqueeze(-1) - location) / scale)).sum(-1) < 0.5
            low, high = torch.where(below, middle, low), torch.where(below, high, middle)
        return 0.5 * (low + high)

    def nodes(self, size: int, intervals: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Points (B, N) and log weights (B, N) of a quadrature against the mixture restricted to the intervals.

        Each component is integrated over its own quantiles: the sum over k of w_k int g(F_k^{-1}(u)) du, with
        Gauss-Legendre nodes in u, so that a narrow component costs no more points than a wide one.
        """
        if intervals is None:
            intervals = whole_line(self.location)
        u, weight = (part.to(self.location.device) for part in gauss_legendre(size))
        pieces = self._log_pieces(intervals).double()
        shape = (*pieces.shape, size)
        z = _within(
            u.expand(shape),
            self.location.double()[:, :, None, None].expand(shape),
            self.log_scale.double().exp()[:, :, None, None].expand(shape),
            intervals.double()[:, None, :, None, :].expand(*shape, 2),
        )
        return z.flatten(1), (pieces.unsqueeze(-1) + weight.log()).flatten(1)


def whole_line(like: Tensor) -> Tensor:
    """The one interval (B, 1, 2) that holds everything, for as many rows as `like` has."""
    return torch.tensor([[-EDGE, EDGE]], dtype=like.dtype, device=like.device).expand(len(like), 1, 2)


def _within(uniform: Tensor, location: Tensor, scale: Tensor, interval: Tensor) -> Tensor:
    """The quantile at `uniform` of a logistic truncated to an interval, accurate in both tails."""
    a, b = (interval[..., 0] - location) / scale, (interval[..., 1] - location) / scale
    flip = a > 0  # the upper tail is worked in the lower one, where sigmoids keep their digits
    a, b = torch.where(flip, -b, a), torch.where(flip, -a, b)
    uniform = torch.where(flip, 1 - uniform, uniform)
    low = torch.sigmoid(a)
    quantile = (low + uniform * (torch.sigmoid(b) - low)).clamp(1e-300, 1 - 1e-16)
    x = torch.minimum(torch.maximum(torch.logit(quantile), a), b)
    return torch.where(flip, -x, x) * scale + location


@cache
def gauss_legendre(size: int) -> tuple[Tensor, Tensor]:
    """Nodes and weights (size,) of the Gauss-Legendre rule on [0, 1], float64."""
    nodes, weights = np.polynomial.legendre.leggauss(size)
    return torch.from_numpy((nodes + 1) / 2), torch.from_numpy(weights / 2)
