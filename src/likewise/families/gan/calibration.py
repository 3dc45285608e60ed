"""The last layer of the generator: every column's own distribution, set by counting rather than by a critic."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from likewise.events import Batch, DenseView, Event
from likewise.mathematics.monotone import EDGE

LEVELS = 64
"""Quantiles of a generated value that are tracked."""

KNOTS = 512
"""Quantiles of a real value that are kept."""

MEMORY = 0.98
"""Decay, a turn, of what is known of generated values."""

STEP = 0.05
"""Of the stochastic approximation of the code shifts."""

IMPOSSIBLE = -1e4
"""The logit of a state that no training record had: it is never drawn."""


class Calibration(nn.Module):
    """Maps the outputs of a generator so that each column alone is distributed as in the training records.

    Code logits are shifted by constants, found by stochastic approximation (Robbins and Monro 1951). A value goes
    through the monotone map that takes its tracked quantiles to those of the training records, piecewise linear in
    normal scores. How columns depend on each other is left to the generator.
    """

    def __init__(self, event: Event) -> None:
        super().__init__()
        self.view = DenseView(event)
        places = [i for i, column in enumerate(self.view.value_columns) if column is not None]
        self.values = [column for column in self.view.value_columns if column is not None]
        self.gates = [self.view.code_columns[i].start if event.code_sizes[i] > 1 else None for i in places]
        self.frequency = nn.Buffer(torch.zeros(self.view.size))
        self.shift = nn.Buffer(torch.zeros(self.view.size))
        self.real = nn.Buffer(normal_levels(KNOTS).repeat(len(places), 1))
        self.fake = nn.Buffer(normal_levels(LEVELS).repeat(len(places), 1))

    @torch.no_grad()
    def prepare(self, train: Batch) -> Tensor:
        """Takes up the training records; the logits (size,) of their code frequencies."""
        dense = self.view.dense(train)
        self.frequency.copy_(dense.mean(0))
        self.shift.zero_()
        logits = torch.zeros_like(self.shift)
        for columns in self.view.code_columns:
            share = self.frequency[columns]
            logits[columns] = torch.where(share > 0, (share + 1e-9).log(), 0.0)
            self.shift[columns] = torch.where(share > 0, 0.0, IMPOSSIBLE)
        for v, (column, gate) in enumerate(zip(self.values, self.gates, strict=True)):
            present = dense[:, column] if gate is None else dense[dense[:, gate] > 0, column]
            if len(present):
                self.real[v] = quantiles(present, KNOTS)
        return logits

    def possible(self, outputs: Tensor) -> Tensor:
        """Outputs of a generator without the states that no training record had."""
        return outputs + self.shift.clamp(max=0.0) * (self.shift <= 0.5 * IMPOSSIBLE)

    def forward(self, outputs: Tensor) -> Tensor:
        """Outputs of a generator (B, size), calibrated."""
        out = outputs + self.shift
        if not self.values:
            return out
        values = outputs[:, self.values].t().contiguous()
        scores = interpolate(values, self.fake, normal_levels(LEVELS).to(values).expand_as(self.fake))
        mapped = interpolate(scores, normal_levels(KNOTS).to(values).expand_as(self.real), self.real)
        out[:, self.values] = mapped.t()
        return out

    @torch.no_grad()
    def update(self, outputs: Tensor, drawn: Tensor, real: Tensor) -> None:
        """Learns from a minibatch: outputs of the generator, hard records drawn from them calibrated, real records."""
        size = len(drawn)
        self.frequency.lerp_(real.mean(0), 5e-4)
        share = drawn.mean(0)
        for columns in self.view.code_columns:
            gap = (self.frequency[columns] - share[columns]) / (self.frequency[columns] + share[columns] + 2 / size)
            shift = self.shift[columns]
            self.shift[columns] = torch.where(shift > 0.5 * IMPOSSIBLE, (shift + STEP * gap).clamp(-10, 10), shift)
        for v, (column, gate) in enumerate(zip(self.values, self.gates, strict=True)):
            present = outputs[:, column] if gate is None else outputs[drawn[:, gate] > 0.5, column]
            if len(present) >= 16:
                self.fake[v] = self.fake[v].lerp(quantiles(present, LEVELS), 1 - MEMORY)


def normal_levels(count: int) -> Tensor:
    """Normal scores of the levels (k + 1/2) / count."""
    levels = (torch.arange(count, dtype=torch.float64) + 0.5) / count
    scores: Tensor = torch.special.ndtri(levels)
    return scores.float()


def quantiles(values: Tensor, count: int) -> Tensor:
    """The quantiles (count,) at levels (k + 1/2) / count, strictly increasing."""
    ordered = values.float().clamp(-EDGE, EDGE).sort().values
    place = ((torch.arange(count, device=values.device) + 0.5) / count * len(ordered) - 0.5).clamp(0, len(ordered) - 1)
    low = place.floor().long()
    high = (low + 1).clamp(max=len(ordered) - 1)
    found = ordered[low] + (place - low) * (ordered[high] - ordered[low])
    return found + 1e-6 * torch.arange(count, device=values.device)


def interpolate(at: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Piecewise linear functions through knots (V, K), increasing in x, at points (V, B); the end pieces go on."""
    k = (torch.searchsorted(x.contiguous(), at) - 1).clamp(0, x.shape[1] - 2)
    x0, x1, y0, y1 = x.gather(1, k), x.gather(1, k + 1), y.gather(1, k), y.gather(1, k + 1)
    found: Tensor = y0 + (at - x0) * (y1 - y0) / (x1 - x0).clamp(min=1e-9)
    return found
