"""Base distributions: what a flow maps its data to."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Base = Literal["normal", "student", "mixture"]


class BaseDistribution(nn.Module, ABC):
    """A distribution over (B, D) of which any coordinates may be absent: those are summed out."""

    @abstractmethod
    def log_prob(self, z: Tensor, present: Tensor | None = None) -> Tensor:
        """The log-density (B,) of the coordinates that are present."""

    @abstractmethod
    def sample(self, size: int, generator: torch.Generator) -> Tensor:
        """Draws (size, D)."""


class StandardNormal(BaseDistribution):
    """N(0, I)."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def log_prob(self, z: Tensor, present: Tensor | None = None) -> Tensor:
        return _sum(-0.5 * (z * z + math.log(2 * math.pi)), present)

    def sample(self, size: int, generator: torch.Generator) -> Tensor:
        return torch.randn(size, self.size, generator=generator, device=generator.device)


class StudentT(BaseDistribution):
    """Independent Student-t coordinates, each with learned degrees of freedom (Jaini et al. 2020 for heavy tails)."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.raw = nn.Parameter(torch.full((size,), 8.0))

    @property
    def degrees(self) -> Tensor:
        """Degrees of freedom (D,), above 1."""
        return 1 + F.softplus(self.raw)

    def log_prob(self, z: Tensor, present: Tensor | None = None) -> Tensor:
        n = self.degrees
        constant = torch.lgamma((n + 1) / 2) - torch.lgamma(n / 2) - 0.5 * torch.log(n * math.pi)
        return _sum(constant - (n + 1) / 2 * torch.log1p(z * z / n), present)

    def sample(self, size: int, generator: torch.Generator) -> Tensor:
        n = self.degrees.detach()
        shape = (size, len(n))
        normal = torch.randn(shape, generator=generator, device=generator.device)
        # Gamma draws by the method of torch itself, which takes a generator.
        gamma = torch._standard_gamma((n / 2).expand(shape).contiguous(), generator=generator)
        return normal * torch.sqrt(n / (2 * gamma.clamp(min=1e-12)))


class NormalMixture(BaseDistribution):
    """A mixture of normals with diagonal covariances; it starts as well-spread copies of the standard normal."""

    def __init__(self, size: int, components: int) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.zeros(components))
        self.location = nn.Parameter(torch.randn(components, size))
        self.log_scale = nn.Parameter(torch.zeros(components, size))

    def log_prob(self, z: Tensor, present: Tensor | None = None) -> Tensor:
        log_scale = 4 * torch.tanh(self.log_scale / 4)
        a = (z.unsqueeze(1) - self.location) * torch.exp(-log_scale)
        each = -0.5 * (a * a + math.log(2 * math.pi)) - log_scale
        each = each.sum(2) if present is None else (each * present.unsqueeze(1)).sum(2)
        return torch.logsumexp(torch.log_softmax(self.logits, 0) + each, 1)

    def sample(self, size: int, generator: torch.Generator) -> Tensor:
        weight = torch.softmax(self.logits.detach(), 0)
        k = torch.multinomial(weight, size, replacement=True, generator=generator)
        normal = torch.randn(size, self.location.shape[1], generator=generator, device=generator.device)
        scale = torch.exp(4 * torch.tanh(self.log_scale.detach() / 4))
        return self.location.detach()[k] + scale[k] * normal


def base_distribution(base: Base, size: int, components: int = 16) -> BaseDistribution:
    """The base distribution called `base` over `size` coordinates."""
    if base == "normal":
        return StandardNormal(size)
    return StudentT(size) if base == "student" else NormalMixture(size, components)


def _sum(each: Tensor, present: Tensor | None) -> Tensor:
    return each.sum(1) if present is None else (each * present).sum(1)
