"""The standard normal restricted to an interval: its mass and its quantiles, exact far out in the tails."""

from __future__ import annotations

import math

import torch
from torch import Tensor

_LOG_SQRT_TAU = 0.5 * math.log(2 * math.pi)


def log_density(z: Tensor) -> Tensor:
    """log phi(z) of the standard normal."""
    return -0.5 * z * z - _LOG_SQRT_TAU


def log_mass(low: Tensor, high: Tensor) -> Tensor:
    """log(Phi(high) - Phi(low)) in float64, with gradients that are numbers; minus infinity where `high <= low`.

    Examples
    --------
    >>> import torch
    >>> at = lambda x: torch.tensor([x], dtype=torch.float64)
    >>> round(log_mass(at(-1e6), at(0.0)).exp().item(), 12)
    0.5
    >>> round(log_mass(at(40.0), at(1e6)).item(), 6)
    -804.608442
    """
    low, high = low.double(), high.double()
    flip = low + high > 0  # the left tail keeps its digits, the right one does not
    a, b = torch.where(flip, -high, low), torch.where(flip, -low, high)
    middle, h = 0.5 * (a + b), b - a
    is_narrow = h * (1 + middle.abs()) < 1e-2
    # What is not used must have a gradient all the same: there an interval of length one stands in.
    log_b, log_a = torch.special.log_ndtr(b), torch.special.log_ndtr(torch.where(is_narrow, b - 1, a))
    wide = log_b + torch.log(-torch.expm1((log_a - log_b).clamp(max=0.0)))
    # Narrow intervals: phi(m) h (1 + h^2 (m^2 - 1) / 24), next term below 1e-11 of the mass.
    series = (h * h * (middle * middle - 1) / 24).clamp(-0.5, 0.5)
    narrow = log_density(middle) + h.clamp(min=1e-300).log() + torch.log1p(series)
    mass = torch.where(is_narrow, narrow, wide)
    return torch.where(h > 0, mass, torch.full_like(mass, float("-inf")))


def quantile(u: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """The value below which lies the share `u` of the normal restricted to [low, high]; float64."""
    u, low, high = u.double(), low.double(), high.double()
    flip = low + high > 0
    a, b, u = torch.where(flip, -high, low), torch.where(flip, -low, high), torch.where(flip, 1 - u, u)
    log_a, log_b = torch.special.log_ndtr(a), torch.special.log_ndtr(b)
    # log of Phi(a) + u (Phi(b) - Phi(a)), relative to Phi(b) <= 1.
    share = (log_a - log_b).clamp(max=0.0).exp()
    target = log_b + torch.log((share + u * (1 - share)).clamp(min=1e-300))
    z = torch.special.ndtri(target.exp())
    # Beyond -20 the inverse is Newton's on log Phi, started from its leading term.
    far = target < -200
    if bool(far.any()):
        tail = -torch.sqrt((-2 * target).clamp(min=1.0))
        for _ in range(6):
            log_tail = torch.special.log_ndtr(tail)
            tail = tail - (log_tail - target) * torch.exp(log_tail - log_density(tail))
        z = torch.where(far, tail, z)
    z = torch.minimum(torch.maximum(torch.nan_to_num(z, nan=0.0), a), b)
    return torch.where(flip, -z, z)
