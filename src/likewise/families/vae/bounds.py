"""Bounds of log p(x) from a Gaussian posterior: divergence, free bits, importance-weighted means of weights."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

ACTIVE = 0.01
"""A latent dimension is active where its posterior mean varies by more over records (Burda et al. 2016)."""

LEAST_LOG_SCALE, MOST_LOG_SCALE = -6.0, 3.0
"""Posteriors are neither narrower nor wider."""

_LOG_SQRT_TAU = 0.5 * math.log(2 * math.pi)


def standard_log_density(latent: Tensor) -> Tensor:
    """log N(z; 0, I) of latents (..., d)."""
    return -(0.5 * latent.square() + _LOG_SQRT_TAU).sum(-1)


def standard_noise(shape: tuple[int, ...] | torch.Size, generator: torch.Generator) -> Tensor:
    """Draws of N(0, 1)."""
    return torch.randn(shape, generator=generator, device=generator.device)


@dataclass(frozen=True)
class Posterior:
    """q(z | x) = N(mean, diag exp(2 log_scale)); both (..., d)."""

    mean: Tensor
    log_scale: Tensor

    @classmethod
    def from_raw(cls, raw: Tensor) -> Posterior:
        """The posterior that outputs (..., 2 d) of an encoder tell."""
        mean, log_scale = raw.chunk(2, -1)
        room = MOST_LOG_SCALE - LEAST_LOG_SCALE
        return cls(mean, LEAST_LOG_SCALE + F.softplus(log_scale - LEAST_LOG_SCALE).clamp(max=room))

    def latent(self, noise: Tensor) -> Tensor:
        """Latents (..., d), reparameterised: mean + scale * noise (Kingma and Welling 2014, equation 9)."""
        return self.mean + self.log_scale.exp() * noise

    def log_density(self, latent: Tensor) -> Tensor:
        """log q(z | x)."""
        return standard_log_density((latent - self.mean) * torch.exp(-self.log_scale)) - self.log_scale.sum(-1)

    def divergence(self) -> Tensor:
        """KL(q || N(0, I)) of each dimension, (..., d) nats: (mean^2 + scale^2 - 1) / 2 - log scale."""
        return 0.5 * (self.mean.square() + torch.expm1(2 * self.log_scale)) - self.log_scale

    def active_dimensions(self) -> int:
        """How many dimensions are active over records (B, d), of which there are at least two."""
        return int((self.mean.var(0) > ACTIVE).sum())

    def unsqueeze(self) -> Posterior:
        """The same posterior for several latents of a record, (..., 1, d)."""
        return Posterior(self.mean.unsqueeze(-2), self.log_scale.unsqueeze(-2))

    def detach(self) -> Posterior:
        return Posterior(self.mean.detach(), self.log_scale.detach())


def with_free_bits(divergence: Tensor, free: float) -> Tensor:
    """The divergence of a minibatch (B, d) in nats a record, a scalar: sum_j max(free, mean_b KL_j).

    Dimensions below `free` nats are not pushed further to the prior (Kingma et al. 2016, equation 15).
    """
    mean = divergence.mean(0)
    return (mean.clamp(min=free) if free > 0 else mean).sum()


def log_mean_exp(log_weight: Tensor) -> Tensor:
    """log (1/k) sum_k w_k (...,) of log-weights (..., k): the bound of Burda et al. (2016), equation 8."""
    return torch.logsumexp(log_weight, -1) - math.log(log_weight.shape[-1])


def relative_error(log_weight: Tensor) -> Tensor:
    """The standard error (...,) of `log_mean_exp`, to first order: that of the mean weight, relative to it."""
    size = log_weight.shape[-1]
    relative = torch.exp(log_weight - log_mean_exp(log_weight).unsqueeze(-1)).nan_to_num(0.0)
    return torch.zeros_like(log_weight[..., 0]) if size == 1 else (relative.var(-1) / size).sqrt()


def doubly_reparameterised(latent: Tensor, log_weight: Tensor) -> Tensor:
    """The mean bound, a scalar, of log-weights (B, k), with the gradients of Tucker et al. (2019), equation 8.

    `log_weight` must have been computed from `latent` (B, k, d) with a detached posterior density. With w the softmax
    of the log-weights, the gradient of the decoder is sum_k w_k d(log weight_k), and what reaches the encoder through
    a latent has w_k^2 in place of w_k: its noise then does not grow with k.
    """
    weight = torch.softmax(log_weight.detach(), -1)
    if latent.requires_grad:
        latent.register_hook(lambda gradient: weight.unsqueeze(-1) * gradient)
    weighted = (weight * log_weight).sum(-1).mean()
    return weighted - weighted.detach() + log_mean_exp(log_weight.detach()).mean()
