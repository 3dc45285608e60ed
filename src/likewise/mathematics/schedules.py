"""Noise schedules: Gaussian paths from data to noise, the levels that training draws and those that samplers visit.

A path is z = alpha x + sigma eps. Its *level* is s = sigma / alpha, from 0 (data) to far above 1 (noise), and in the
coordinate y = z / alpha = x + s eps all paths are one (Karras et al. 2022, equation 4): samplers and likelihoods know
levels alone, and a schedule says how the network is shown y, and how often a level is met.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor

Schedule = Literal["linear", "cosine", "edm", "flow"]
Prediction = Literal["noise", "velocity", "data"]

CHAIN = 1000
"""Steps of the discrete chains (Ho et al. 2020, section 4)."""


def even_levels(least: float, greatest: float, steps: int) -> list[float]:
    """Levels (steps + 1,), rising evenly in their logarithm."""
    return torch.linspace(math.log(least), math.log(greatest), steps + 1, dtype=torch.float64).exp().tolist()


@dataclass(frozen=True)
class Path:
    """alpha and sigma at some levels, and their rates along the path, shaped like the levels."""

    alpha: Tensor
    sigma: Tensor
    alpha_rate: Tensor
    sigma_rate: Tensor

    def target(self, prediction: Prediction, x: Tensor, noise: Tensor) -> Tensor:
        """What the network learns to say of z = alpha x + sigma noise."""
        if prediction == "noise":
            return noise
        return x if prediction == "data" else self.alpha_rate * x + self.sigma_rate * noise

    def clean(self, prediction: Prediction, said: Tensor, z: Tensor) -> Tensor:
        """The record x that the network means by what it says of z: the inverse of `target`."""
        if prediction == "noise":
            return (z - self.sigma * said) / self.alpha
        if prediction == "data":
            return said
        turn = self.alpha * self.sigma_rate - self.sigma * self.alpha_rate
        return (self.sigma_rate * z - self.sigma * said) / turn


class NoiseSchedule(ABC):
    """How noise grows."""

    @property
    @abstractmethod
    def least(self) -> float:
        """The lowest level above 0."""

    @property
    @abstractmethod
    def greatest(self) -> float:
        """The level at which nothing of a record is left."""

    @abstractmethod
    def draw(self, uniform: Tensor) -> Tensor:
        """Levels of training, at quantiles in (0, 1)."""

    @abstractmethod
    def levels(self, steps: int) -> Tensor:
        """The levels (steps + 1,) float64 that a sampler visits, falling, the last one 0."""

    def path(self, level: Tensor) -> Path:
        """The variance-preserving path: alpha^2 + sigma^2 = 1, velocity as in Salimans and Ho (2022)."""
        alpha = torch.rsqrt(1 + level * level)
        sigma = level * alpha
        return Path(alpha, sigma, -sigma, alpha)


@dataclass(frozen=True)
class Chain(NoiseSchedule):
    """The discrete chain q(z_t | z_{t-1}) = N(sqrt(1 - beta_t) z_{t-1}, beta_t I) of Ho et al. (2020), equation 2."""

    betas: tuple[float, ...]

    @cached_property
    def kept(self) -> Tensor:
        """alpha-bar_t (T,), the product of 1 - beta up to t: what is left of the variance of the data."""
        return torch.cumprod(1 - torch.tensor(self.betas, dtype=torch.float64), 0)

    @cached_property
    def every(self) -> Tensor:
        """The level of each state (T,), rising."""
        return torch.sqrt((1 - self.kept) / self.kept)

    @property
    def least(self) -> float:
        return float(self.every[0])

    @property
    def greatest(self) -> float:
        return float(self.every[-1])

    def draw(self, uniform: Tensor) -> Tensor:
        """t uniform in 1 .. T (Ho et al. 2020, algorithm 1)."""
        t = (uniform * len(self.betas)).long().clamp(max=len(self.betas) - 1)
        return self.every.to(uniform)[t]

    def levels(self, steps: int) -> Tensor:
        """Every state of the chain, or as evenly spaced ones as there are steps (Song et al. 2021, section 4.2)."""
        size = len(self.betas)
        t = torch.linspace(size - 1, 0, min(steps, size), dtype=torch.float64).round().long()
        return torch.cat([self.every[t], torch.zeros(1, dtype=torch.float64)])

    def step(self, z: Tensor, t: int, generator: torch.Generator) -> Tensor:
        """z_t given z_{t-1}, t from 1: one step of the forward chain."""
        beta = self.betas[t - 1]
        noise = torch.randn(z.shape, generator=generator, device=z.device, dtype=z.dtype)
        return math.sqrt(1 - beta) * z + math.sqrt(beta) * noise

    def jump(self, x: Tensor, t: int, generator: torch.Generator) -> Tensor:
        """z_t given the record x in closed form (Ho et al. 2020, equation 4)."""
        kept = float(self.kept[t - 1])
        noise = torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
        return math.sqrt(kept) * x + math.sqrt(1 - kept) * noise

    def reverse(self, z: Tensor, noise_said: Tensor, t: int, generator: torch.Generator) -> Tensor:
        """z_{t-1} given z_t and the noise that a network finds in it (Ho et al. 2020, algorithm 2, line 4).

        The variance is that of q(z_{t-1} | z_t, x), beta-tilde of equation 7.
        """
        beta, kept = self.betas[t - 1], float(self.kept[t - 1])
        mean = (z - beta / math.sqrt(1 - kept) * noise_said) / math.sqrt(1 - beta)
        if t == 1:
            return mean
        variance = (1 - float(self.kept[t - 2])) / (1 - kept) * beta
        noise = torch.randn(z.shape, generator=generator, device=z.device, dtype=z.dtype)
        return mean + math.sqrt(variance) * noise


def linear(size: int = CHAIN) -> Chain:
    """beta from 1e-4 to 0.02 (Ho et al. 2020, section 4)."""
    return Chain(tuple(torch.linspace(1e-4, 0.02, size, dtype=torch.float64).tolist()))


def cosine(size: int = CHAIN, offset: float = 0.008) -> Chain:
    """alpha-bar falls like a squared cosine (Nichol and Dhariwal 2021, equation 17)."""
    t = torch.arange(size + 1, dtype=torch.float64) / size
    kept = torch.cos((t + offset) / (1 + offset) * math.pi / 2).square()
    return Chain(tuple((1 - kept[1:] / kept[:-1]).clamp(max=0.999).tolist()))


@dataclass(frozen=True)
class LogNormal(NoiseSchedule):
    """Levels whose logarithm is normal (Karras et al. 2022, table 1), visited evenly in it.

    For data of unit variance, as model units are, its preconditioning is the variance-preserving velocity. Karras et
    al. visit more of the low levels (equation 5); with exact denoisers of mixtures of normals and as many steps, that
    makes errors half as large again or more (`benchmarks/README.md`).
    """

    mean: float
    deviation: float
    low: float = 0.002
    high: float = 80.0

    @property
    def least(self) -> float:
        return self.low

    @property
    def greatest(self) -> float:
        return self.high

    def draw(self, uniform: Tensor) -> Tensor:
        normal = torch.special.ndtri(uniform.clamp(1e-6, 1 - 1e-6))
        return torch.exp(self.mean + self.deviation * normal).clamp(self.low, self.high)

    def levels(self, steps: int) -> Tensor:
        rising = even_levels(self.low, self.high, steps - 1) if steps > 1 else [self.high]
        return torch.tensor([*reversed(rising), 0.0], dtype=torch.float64)


@dataclass(frozen=True)
class Straight(NoiseSchedule):
    """The straight path z = (1 - t) x + t eps, t uniform, whose velocity is eps - x (Lipman et al. 2023)."""

    margin: float = 1e-3

    @property
    def least(self) -> float:
        return self.margin / (1 - self.margin)

    @property
    def greatest(self) -> float:
        return (1 - self.margin) / self.margin

    def draw(self, uniform: Tensor) -> Tensor:
        t = self.margin + (1 - 2 * self.margin) * uniform
        return t / (1 - t)

    def levels(self, steps: int) -> Tensor:
        t = torch.linspace(1, 0, steps + 1, dtype=torch.float64).clamp(max=1 - self.margin)
        return t / (1 - t)

    def path(self, level: Tensor) -> Path:
        alpha = 1 / (1 + level)
        one = torch.ones_like(alpha)
        return Path(alpha, level * alpha, -one, one)


def noise_schedule(name: Schedule, mean: float, deviation: float) -> NoiseSchedule:
    """The schedule called `name`; mean and deviation are those of "edm"."""
    if name == "edm":
        return LogNormal(mean, deviation)
    if name == "flow":
        return Straight()
    return linear() if name == "linear" else cosine()
