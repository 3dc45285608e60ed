"""A residual network from numbers to numbers, the workhorse of conditioners, encoders and decoders."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class ResidualNetwork(nn.Module):
    """Numbers (B, inputs) to numbers (B, outputs): a linear layer, residual layers h + W2 s(W1 s(h)), a linear layer.

    The last layer starts at zero, so that whatever the outputs parametrise starts where zeros put it.

    Parameters
    ----------
    inputs, outputs, width, layers : int
    dropout : float
        Of the inner units of each residual layer, while learning.
    """

    def __init__(self, inputs: int, outputs: int, width: int, layers: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.dropout = dropout
        self.enter = nn.Linear(inputs, width)
        self.first = nn.ModuleList(nn.Linear(width, width) for _ in range(layers))
        self.second = nn.ModuleList(nn.Linear(width, width) for _ in range(layers))
        self.leave = nn.Linear(width, outputs)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)

    def forward(self, inputs: Tensor, generator: torch.Generator | None = None) -> Tensor:
        out: Tensor = self.leave(self._last_units(inputs, generator))
        return out

    def in_rows(self, inputs: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """The same outputs as (outputs, B): what follows runs along records, which lie side by side."""
        return torch.addmm(self.leave.bias.unsqueeze(1), self.leave.weight, self._last_units(inputs, generator).t())

    def _last_units(self, inputs: Tensor, generator: torch.Generator | None) -> Tensor:
        h = self.enter(inputs)
        for first, second in zip(self.first, self.second, strict=True):
            inner = F.silu(first(F.silu(h)))
            if self.training and self.dropout > 0:
                # Torch's own dropout knows no generators.
                keep = torch.empty_like(inner).bernoulli_(1 - self.dropout, generator=generator)
                inner = inner * (keep / (1 - self.dropout))
            h = h + second(inner)
        return F.silu(h)
