"""The last layer of the generator: every column's own distribution, set by counting rather than by a critic."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor, nn

from likewise.dense_view import DenseView
from likewise.events import Event
from likewise.mathematics.monotone import EDGE

Marginals = Literal["counted", "learned"]

LEVELS = 64
"""Quantiles of a generated value that are tracked."""

KNOTS = 2048
"""Quantiles of a real value that are kept."""

ENOUGH = 16
"""Values that a minibatch must have for their quantiles to be looked at."""

MEMORY = 0.98
"""Decay, a turn, of what is known of generated values."""

STEP = 0.05
"""Of the stochastic approximation of the code shifts."""

IMPOSSIBLE = -1e4
"""The logit of a state that no training record had: it is never drawn."""


class Calibration(nn.Module):
    """Makes each column alone distributed as in the training records, whatever the generator says.

    Code logits are shifted by constants, found by stochastic approximation (Robbins and Monro 1951). A value goes
    through the monotone map that takes its tracked quantiles to those of the training records, piecewise linear in
    normal scores. How columns depend on each other is left to the generator. With marginals "learned" all of this is
    left to the generator, but for codes that no training record had.
    """

    def __init__(self, event: Event, marginals: Marginals = "counted") -> None:
        super().__init__()
        self.counted = marginals == "counted"
        self.view = DenseView(event)
        self._place = {i: v for v, i in enumerate(event.value_entries)}
        self._gates = {i: self.view.code_columns[i].start if event.code_sizes[i] > 1 else None for i in self._place}
        self.frequency = nn.Buffer(torch.zeros(self.view.size))
        self.shift = nn.Buffer(torch.zeros(self.view.size))
        self.real = nn.Buffer(normal_levels(KNOTS).repeat(len(self._place), 1))
        self.fake = nn.Buffer(normal_levels(LEVELS).repeat(len(self._place), 1))

    @torch.no_grad()
    def prepare(self, dense: Tensor) -> None:
        """Takes up training records (n, size)."""
        self.frequency.copy_(dense.mean(0))
        self.shift.zero_()
        for i, columns in enumerate(self.view.code_columns):
            self.shift[columns] = torch.where(self.frequency[columns] > 0, 0.0, IMPOSSIBLE)
            if i in self._place:
                present = self._present(i, dense[:, self.view.value_columns[i]], dense)
                if len(present):
                    self.real[self._place[i]] = quantiles(present, KNOTS)
                    self.fake[self._place[i]] = quantiles(present, LEVELS)

    def value(self, i: int, raw: Tensor) -> Tensor:
        """The value (B,) of entry `i`, from what the generator says."""
        if not self.counted:
            return raw
        v = self._place[i]
        levels = normal_levels(LEVELS).to(raw), normal_levels(KNOTS).to(raw)
        return interpolate(interpolate(raw, self.fake[v], levels[0]), levels[1], self.real[v])

    @torch.no_grad()
    def update(self, drawn: Tensor, raw: Mapping[int, Tensor], real: Tensor) -> None:
        """Learns from a minibatch: records drawn (B, size), their values before calibration, real records (B, size)."""
        self.frequency.lerp_(real.mean(0), 5e-4)
        if not self.counted:
            return
        share = drawn.mean(0)
        # The exact zeros of the training records stay: what none of them was is not approached.
        gap = (self.frequency - share) / (self.frequency + share + 2 / len(drawn))
        moved = (self.shift + STEP * gap).clamp(-10, 10)
        self.shift.copy_(torch.where(self.shift > 0.5 * IMPOSSIBLE, moved, self.shift))
        for i, raw_value in raw.items():
            v, present = self._place[i], self._present(i, raw_value, drawn)
            if len(present) >= ENOUGH:
                self.fake[v] = self.fake[v].lerp(quantiles(present, LEVELS), 1 - MEMORY)

    def _present(self, i: int, values: Tensor, dense: Tensor) -> Tensor:
        gate = self._gates[i]
        return values if gate is None else values[dense[:, gate] > 0.5]


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
    return found + 1e-7 * torch.arange(count, device=values.device)


def interpolate(at: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """The piecewise linear function through knots (K,), increasing in x, at points (B,); the end pieces go on."""
    k = (torch.searchsorted(x, at.detach().contiguous()) - 1).clamp(0, len(x) - 2)
    slope = (y[1:] - y[:-1]) / (x[1:] - x[:-1]).clamp(min=1e-9)
    found: Tensor = y[k] + (at - x[k]) * slope[k]
    return found
