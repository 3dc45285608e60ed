"""Smooth features of a value, through which networks see fine detail of a marginal."""

from __future__ import annotations

import torch
from torch import Tensor

REACH = 3.0
"""Steps and bumps stand within so many normal scores."""


def smooth_centres(bumps: int) -> Tensor:
    """The places (bumps,) of the steps and bumps."""
    return torch.linspace(-REACH, REACH, bumps)


def steps_and_bumps(values: Tensor, centres: Tensor) -> Tensor:
    """Logistic steps and Gaussian bumps (..., 2 bumps) of values (...), as wide as their centres lie apart.

    Values beyond 8 normal scores count as 8.

    Examples
    --------
    >>> steps_and_bumps(torch.zeros(1), smooth_centres(3))
    tensor([[0.8808, 0.5000, 0.1192, 0.6065, 1.0000, 0.6065]])
    """
    distance = (values.clamp(-8, 8).unsqueeze(-1) - centres) * ((len(centres) - 1) / (2 * REACH))
    return torch.cat([torch.sigmoid(2 * distance), torch.exp(-0.5 * distance**2)], -1)
