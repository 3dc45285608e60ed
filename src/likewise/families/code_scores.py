"""Codes as numbers: the normal score of the middle of a code's step of its distribution function, and back."""

from __future__ import annotations

import torch
from torch import Tensor


def score_of(codes: Tensor, cumulative: Tensor) -> Tensor:
    """The normal scores (B,) of codes (B,) with cumulative probabilities (B, K).

    Examples
    --------
    >>> cumulative = torch.tensor([[0.5, 0.75, 1.0]]).expand(3, -1)
    >>> score_of(torch.tensor([0, 1, 2]), cumulative)
    tensor([-0.6745,  0.3186,  1.1503])
    """
    here = codes.clamp(max=cumulative.shape[1] - 1).unsqueeze(1)
    below = torch.cat([torch.zeros_like(cumulative[:, :1]), cumulative], 1).gather(1, here)
    middle = 0.5 * (below + cumulative.gather(1, here)).squeeze(1)
    found: Tensor = torch.special.ndtri(middle.clamp(1e-12, 1 - 1e-12))
    return found


def code_at(level: Tensor, cumulative: Tensor) -> Tensor:
    """The codes (B,) whose steps hold the levels (B,), numbers from 0 to 1.

    Examples
    --------
    >>> code_at(torch.tensor([0.2, 0.6, 1.0]), torch.tensor([[0.5, 0.75, 1.0]]).expand(3, -1))
    tensor([0, 1, 2])
    """
    return (level.unsqueeze(1) > cumulative).sum(1).clamp(max=cumulative.shape[1] - 1)
