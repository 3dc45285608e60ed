"""Priors of latents: the standard normal, and distributions fitted to the aggregated posterior."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Literal

import torch
from torch import Tensor, nn

from likewise.families.vae.bounds import standard_log_density
from likewise.networks.coupling import Coupling, Spline, splits
from likewise.networks.invertible import Composition, Invertible
from likewise.networks.triangular import Triangular

PriorName = Literal["gaussian", "mixture", "flow"]

SHRUNK = 0.7
"""How far from the centre the means of a mixture start, of the distance of their records."""

_LOG_TAU = math.log(2 * math.pi)


class Prior(nn.Module, ABC):
    """A distribution of latents (N, d), which may depend on a context (N, C)."""

    @abstractmethod
    def log_density(self, latent: Tensor, context: Tensor | None = None) -> Tensor:
        """log p(z | context), (N,)."""

    @abstractmethod
    def transport(self, uniform: Tensor, context: Tensor | None = None) -> Tensor:
        """Latents (N, d) that uniform noise (N, d + 1) is sent to, one for each row of the context if there is one."""

    def draw(self, size: int, dimension: int, generator: torch.Generator, context: Tensor | None = None) -> Tensor:
        """Latents (size, dimension)."""
        shape = (size, dimension + 1)
        uniform = torch.rand(shape, generator=generator, device=generator.device, dtype=torch.float64)
        return self.transport(uniform, context).float()

    def start(self, latent: Tensor) -> None:
        """Starts from encoded records (N, d)."""


def normal(uniform: Tensor) -> Tensor:
    """Standard normal noise from uniform noise in float64."""
    noise: Tensor = torch.special.ndtri(uniform.clamp(min=1e-300))
    return noise


class GaussianPrior(Prior):
    """N(0, I), whatever the context."""

    def log_density(self, latent: Tensor, context: Tensor | None = None) -> Tensor:
        return standard_log_density(latent)

    def transport(self, uniform: Tensor, context: Tensor | None = None) -> Tensor:
        return normal(uniform[:, 1:])


class MixturePrior(Prior):
    """sum_k w_k N(mean_k, diag scale_k^2), all learned; the logarithms of weights are linear in the context."""

    LEAST_LOG_SCALE = -5.0

    def __init__(self, dimension: int, components: int, context: int = 0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(components))
        self.told = nn.Linear(context, components, bias=False) if context else None
        self.mean = nn.Parameter(torch.randn(components, dimension))
        self.log_scale = nn.Parameter(torch.zeros(components, dimension))

    def start(self, latent: Tensor) -> None:
        """Means at records, drawn nearer to their centre, so that the whole is as wide as the records are."""
        with torch.no_grad():
            centre, some = latent.mean(0), latent[torch.arange(len(self.mean), device=latent.device) % len(latent)]
            scale = ((1 - SHRUNK**2) * latent.var(0)).sqrt().clamp(min=0.05)
            self.mean.copy_(centre + SHRUNK * (some - centre))
            self.log_scale.copy_(scale.log().expand_as(self.log_scale))

    def log_density(self, latent: Tensor, context: Tensor | None = None) -> Tensor:
        log_scale = self.log_scale.clamp(min=self.LEAST_LOG_SCALE)
        precision = torch.exp(-2 * log_scale)
        # (z - m)^2 / s^2 multiplied out: three products of matrices instead of a tensor (N, K, d).
        square = latent.square() @ precision.T - 2 * latent @ (self.mean * precision).T
        square = square + (self.mean.square() * precision).sum(1)
        log_part = -0.5 * (square + self.mean.shape[1] * _LOG_TAU) - log_scale.sum(1)
        return torch.logsumexp(self._log_weight(context) + log_part, 1)

    def _log_weight(self, context: Tensor | None) -> Tensor:
        """Log-weights (1 or N, K)."""
        logits = self.weight.unsqueeze(0)
        if self.told is not None:
            assert context is not None
            logits = logits + self.told(context)
        return torch.log_softmax(logits, 1)

    def transport(self, uniform: Tensor, context: Tensor | None = None) -> Tensor:
        cumulative = self._log_weight(context).exp().double().cumsum(1)
        chosen = (uniform[:, :1] * cumulative[:, -1:] > cumulative).sum(1).clamp(max=len(self.mean) - 1)
        scale = self.log_scale.clamp(min=self.LEAST_LOG_SCALE).exp()
        return self.mean[chosen] + scale[chosen] * normal(uniform[:, 1:])


class FlowPrior(Prior):
    """A standard normal sent through coupling layers of rational-quadratic splines (Durkan et al. 2019)."""

    BINS, BOUND = 8, 6.0

    def __init__(self, dimension: int, width: int, layers: int, context: int = 0) -> None:
        super().__init__()
        self.dimension = dimension
        spline = Spline(self.BINS, self.BOUND)
        parts: list[Invertible] = []
        for moved in splits(dimension, layers):
            parts += [Triangular(list(range(dimension))), Coupling(moved, spline, context, width, 1)]
        self.flow = Composition(parts)

    def log_density(self, latent: Tensor, context: Tensor | None = None) -> Tensor:
        base, log_det = self.flow(latent, None, context)
        found: Tensor = standard_log_density(base) + log_det
        return found

    def transport(self, uniform: Tensor, context: Tensor | None = None) -> Tensor:
        noise = normal(uniform[:, 1:]).to(next(self.parameters()).dtype)
        return self.flow.inverse(noise, None, context)


def prior_of(
    name: PriorName, dimension: int, components: int, width: int, layers: int, context: int = 0
) -> Prior | None:
    """The learned prior called `name`, None for the Gaussian one, where nothing is learned."""
    if name == "flow":
        return FlowPrior(dimension, width, layers, context)
    return MixturePrior(dimension, components, context) if name == "mixture" else None
