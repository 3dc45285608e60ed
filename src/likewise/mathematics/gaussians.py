"""Gaussians as distributions of a value: densities, masses of cells and sets, truncated draws, quadrature nodes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from likewise.mathematics import truncated_normal
from likewise.mathematics.mixtures import gauss_legendre, whole_line


@dataclass(frozen=True)
class Gaussian:
    """N(location, scale^2), one a row; `location` (...) and `scale`, a number.

    It answers as `LogisticMixture` does, with one component.

    Examples
    --------
    >>> one = Gaussian(torch.zeros(1), 0.5)
    >>> round(one.log_mass(torch.tensor([-0.5]), torch.tensor([1.0])).exp().item(), 4)
    0.6827
    """

    location: Tensor
    scale: float

    def log_density(self, z: Tensor) -> Tensor:
        """log f(z) of points shaped like `location`."""
        scale = torch.as_tensor(self.scale, dtype=self.location.dtype)
        return truncated_normal.log_density((z - self.location) / self.scale) - scale.log()

    def log_mass(self, lower: Tensor, width: Tensor) -> Tensor:
        """log of the mass of the cells [lower, lower + width]."""
        start = (lower.double() - self.location.double()) / self.scale
        return truncated_normal.log_mass(start, start + width.double() / self.scale).to(self.location.dtype)

    def _log_pieces(self, intervals: Tensor) -> Tensor:
        """log of the mass on each interval, (B, P)."""
        edges = (intervals.double() - self.location.double()[:, None, None]) / self.scale
        return truncated_normal.log_mass(edges[..., 0], edges[..., 1]).to(self.location.dtype)

    def log_set(self, intervals: Tensor) -> Tensor:
        """log of the mass of a union of disjoint intervals (B, P, 2); those that end before they start are empty."""
        return torch.logsumexp(self._log_pieces(intervals), 1)

    def draw(self, uniform: Tensor, intervals: Tensor | None = None) -> Tensor:
        """Draws (B,) float64 by inversion of `uniform` (B, 2) noise, within a union of intervals where it is given."""
        if intervals is None:
            intervals = whole_line(uniform)
        cumulative = torch.softmax(self._log_pieces(intervals), 1).double().cumsum(1)
        chosen = (uniform[:, :1].double() * cumulative[:, -1:] > cumulative).sum(1).clamp(max=cumulative.shape[1] - 1)
        edges = intervals[torch.arange(len(chosen), device=chosen.device), chosen].double()
        edges = (edges - self.location.double().unsqueeze(1)) / self.scale
        drawn = truncated_normal.quantile(uniform[:, 1], edges[:, 0], edges[:, 1])
        return drawn * self.scale + self.location.double()

    def median(self) -> Tensor:
        """The median, float64, shaped like `location`."""
        return self.location.double()

    def nodes(self, size: int, intervals: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Points (B, N) and log weights (B, N) of a quadrature against the Gaussian restricted to the intervals."""
        if intervals is None:
            intervals = whole_line(self.location)
        u, weight = (part.to(self.location.device) for part in gauss_legendre(size))
        edges = ((intervals.double() - self.location.double()[:, None, None]) / self.scale).unsqueeze(2)
        shape = (*intervals.shape[:2], size)
        z = truncated_normal.quantile(u.expand(shape), edges[..., 0].expand(shape), edges[..., 1].expand(shape))
        log_weight = self._log_pieces(intervals).double().unsqueeze(-1) + weight.log()
        return (z * self.scale + self.location.double()[:, None, None]).flatten(1), log_weight.flatten(1)
