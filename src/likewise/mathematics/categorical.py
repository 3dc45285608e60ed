"""States drawn from distributions over finitely many, by their distribution functions."""

from __future__ import annotations

import torch
from torch import Tensor

FEW_STATES = 24
"""Fewer states than this are told apart by a comparison each."""


def from_table(table: Tensor, row: Tensor, generator: torch.Generator) -> Tensor:
    """A state (n,) for each `row` (n,), with probabilities in proportion to that row of a table (rows, states).

    Examples
    --------
    >>> table = torch.tensor([[0.0, 1.0], [2.0, 0.0]])
    >>> from_table(table, torch.tensor([1, 0, 1]), torch.Generator().manual_seed(0)).tolist()
    [0, 1, 0]
    """
    states = table.shape[1]
    u = torch.rand(len(row), generator=generator, device=generator.device, dtype=torch.float64).to(table)
    if states < FEW_STATES:
        ends = table.T.cumsum(0)
        ends = (ends / ends[-1]).contiguous()
        found = torch.zeros_like(row)
        for end in ends[:-1]:
            found += u >= end[row]
        return found
    ends = table.cumsum(1)
    # Row r of the distribution functions is shifted by r, so that one search serves all rows.
    shifted = ends / ends[:, -1:] + torch.arange(len(table), device=ends.device)[:, None]
    return (torch.searchsorted(shifted.flatten(), u + row, right=True) - row * states).clamp(0, states - 1)


def from_weights(weights: Tensor, generator: torch.Generator) -> Tensor:
    """A state (n,) for each row, with probabilities in proportion to its weights (n, states)."""
    ends = weights.cumsum(1)
    u = torch.rand(len(ends), 1, generator=generator, device=generator.device, dtype=torch.float64).to(ends)
    return torch.searchsorted(ends, u * ends[:, -1:], right=True)[:, 0].clamp(max=ends.shape[1] - 1)
