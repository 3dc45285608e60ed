"""Discrete choices that gradients pass."""

from __future__ import annotations

import torch
from torch import Tensor


def gumbel(like: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Standard Gumbel noise of the shape, dtype and device of `like`."""
    uniform = torch.rand(like.shape, generator=generator, device=like.device).to(like).clamp(1e-7, 1 - 1e-7)
    return -torch.log(-torch.log(uniform))


def gumbel_softmax(
    logits: Tensor, temperature: float, hard: bool = False, generator: torch.Generator | None = None
) -> Tensor:
    """Relaxed one-hot samples (B, K) of the codes with these logits (Jang et al. 2017, equation 2).

    With `hard` the forward pass is the indicator of the largest, and gradients pass as if it were relaxed (their
    straight-through estimator).

    Examples
    --------
    >>> gumbel_softmax(torch.tensor([[0.0, 40.0]]), 1.0, hard=True)
    tensor([[0., 1.]])
    """
    soft = torch.softmax((logits + gumbel(logits, generator)) / temperature, 1)
    if not hard:
        return soft
    indicator = torch.zeros_like(soft).scatter_(1, soft.detach().argmax(1, keepdim=True), 1.0)
    return indicator + soft - soft.detach() if soft.requires_grad else indicator
