"""What gives records a low energy: contrast with noise, with chains, with one entry changed; scores of values."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

Objective = Literal["auto", "noise_contrastive", "contrastive_divergence", "score_matching", "sliced_score_matching"]


def noise_contrastive(real: Tensor, noise: Tensor) -> Tensor:
    """-log s(f(x) - log v) - v mean log s(log v - f(y)), for each real x (B,) and v records y of the base to each.

    The mean is least where f is the log-ratio of the data to the base, normaliser and all (Gutmann and Hyvarinen 2010,
    equation 8).

    Examples
    --------
    >>> (noise_contrastive(torch.zeros(4), torch.zeros(4)) / math.log(2)).tolist()
    [2.0, 2.0, 2.0, 2.0]
    """
    times = len(noise) / len(real)
    shift = math.log(times)
    return F.softplus(shift - real) + times * F.softplus(noise - shift).mean()


def contrastive_divergence(real: Tensor, chains: Tensor, penalty: float) -> Tensor:
    """mean f(chains) - f(x), whose gradient is that of -log p(x) (Hinton 2002), and a penalty on f^2: (B,).

    Without the penalty nothing holds the level of f (Du and Mordatch 2019, section 3.3).
    """
    return chains.mean() - real + penalty * (chains.square().mean() + real.square())


def one_entry_changed(real: Tensor, changed: Tensor) -> Tensor:
    """-log s(f(x) - f(x')) (B,), where one entry of x' was drawn from the base given the others.

    It is conditional noise contrast (Ceylan and Gutmann 2018, equation 10): what the base says of the two is what the
    draw says, so that only f is left. No normaliser is met.
    """
    return F.softplus(changed - real)


def denoising(score: Tensor, noise: Tensor, sigma: float, present: Tensor) -> Tensor:
    """sum of (sigma s(z + sigma e) + e)^2 / 2 over the values that are present: (B,) (Vincent 2011, equation 11)."""
    return (0.5 * (sigma * score + noise).square() * present).sum(1)


def sliced(score: Tensor, at: Tensor, direction: Tensor, present: Tensor) -> Tensor:
    """v' (ds / dz) v + (v' s)^2 / 2 (B,), for directions v of signs (Song et al. 2019, equation 8).

    `score` (B, D) was computed from `at` (B, D); the columns `present` count.
    """
    along = (score * direction * present).sum(1)
    (slope,) = torch.autograd.grad(along.sum(), at, create_graph=True)
    return (slope * direction * present).sum(1) + 0.5 * along.square()
