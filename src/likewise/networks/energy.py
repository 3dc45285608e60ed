"""The network of an energy: a smooth function of the dense view of a record, zero at first."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from likewise.dense_view import DenseView
from likewise.events import Event
from likewise.networks.dense import DenseFeatures


class DenseEnergy(nn.Module):
    """A number for each record, from residual layers h + W2 s(W1 s(h)) with s(x) = x sigmoid(x).

    It is twice differentiable, as the gradients of Langevin moves and of score matching want it. A value is gated by
    the indicator of its code, so that no number that stands in place of an absent value is seen, and neither is a state
    that no training record had.

    Parameters
    ----------
    event : Event
    width, layers, bumps : int
    dropout : float
        Of the last layer, while it learns.
    """

    def __init__(self, event: Event, width: int, layers: int, bumps: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.dropout = dropout
        columns = DenseView(event).code_columns
        self.unseen = [
            part.start + entry.unseen
            for part, entry in zip(columns, event.all, strict=True)
            if entry.unseen is not None and part.stop > part.start
        ]
        self.features = DenseFeatures(event, bumps)
        self.enter = nn.Linear(self.features.size, width)
        self.first = nn.ModuleList(nn.Linear(width, width) for _ in range(layers))
        self.second = nn.ModuleList(nn.Linear(width, width) for _ in range(layers))
        self.leave = nn.Linear(width, 1)
        for last in (*self.second, self.leave):
            assert isinstance(last, nn.Linear)
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)

    def forward(self, dense: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """The numbers (B,) of dense views (B, view)."""
        if self.unseen:
            dense = dense.index_fill(1, torch.tensor(self.unseen, device=dense.device), 0.0)
        h = self.enter(self.features(dense))
        for first, second in zip(self.first, self.second, strict=True):
            h = h + second(F.silu(first(F.silu(h))))
        h = F.silu(h)
        if self.training and self.dropout > 0:
            keep = torch.rand(h.shape, generator=generator, device=h.device) >= self.dropout
            h = h * (keep / (1 - self.dropout))
        out: Tensor = self.leave(h)
        return out.squeeze(1)
