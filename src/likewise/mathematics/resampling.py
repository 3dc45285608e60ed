"""Weighted draws in groups: how much they are worth, and how equally weighted ones are chosen from them."""

from __future__ import annotations

import torch
from torch import Tensor

LEAST_EFFECTIVE = 10.0
"""Draws that are worth fewer independent ones are refused, unless fewer were asked for."""


def effective_sizes(log_weight: Tensor, particles: int) -> Tensor:
    """(sum w)^2 / sum w^2 of consecutive groups of weights (Kong 1992); 0 where all weights are zero."""
    groups = log_weight.view(-1, particles)
    return torch.exp(2 * torch.logsumexp(groups, 1) - torch.logsumexp(2 * groups, 1)).nan_to_num(0.0)


def resample(log_weight: Tensor, particles: int, draws: int, generator: torch.Generator) -> Tensor:
    """Positions of `draws` records for each group, by systematic resampling (Kitagawa 1996)."""
    groups = log_weight.view(-1, particles)
    cumulative = torch.softmax(groups, 1).nan_to_num(1 / particles).cumsum(1)
    offset = torch.rand(len(groups), 1, generator=generator, device=generator.device, dtype=torch.float64)
    steps = (torch.arange(draws, device=groups.device) + offset.to(groups.device)) / draws
    chosen = torch.searchsorted(cumulative, steps * cumulative[:, -1:]).clamp(max=particles - 1)
    return (chosen + particles * torch.arange(len(groups), device=groups.device).unsqueeze(1)).flatten()


def resample_shuffled(log_weight: Tensor, particles: int, draws: int, generator: torch.Generator) -> Tensor:
    """The positions that `resample` gives, those of each group in random order."""
    picked = resample(log_weight, particles, draws, generator).view(-1, draws)
    order = torch.rand(picked.shape, generator=generator, device=generator.device).argsort(1)
    return picked.gather(1, order.to(picked.device)).flatten()
