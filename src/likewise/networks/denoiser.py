"""A network that tells from a partly hidden, partly noised record what is hidden and what was noise."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from likewise.events import Event
from likewise.networks.constant import Constant
from likewise.networks.records import EntryEmbedding, ResidualStack
from likewise.networks.smooth import smooth_centres, steps_and_bumps

FREQUENCIES = 16
"""Of the sines and cosines through which a level is seen (Tancik et al. 2020)."""


class RecordDenoiser(nn.Module):
    """What is seen of a record without noise is its *context*, from which hidden codes and noised values are told.

    Known entries are embedded as encoders embed them; values with noise are seen through smooth steps and bumps of
    their own, the level of the noise through sines and cosines of its logarithm. Residual layers work on the sum.

    Parameters
    ----------
    event : Event
    values : sequence of int
        The entries whose values may have noise.
    width, hidden, layers, dropout : of the residual layers
    bumps : int
        Steps, and bumps, of a value with noise.
    """

    def __init__(
        self, event: Event, values: Sequence[int], width: int, hidden: int, layers: int, dropout: float, bumps: int
    ) -> None:
        super().__init__()
        self.embedding = EntryEmbedding(event, range(len(event)), width)
        self.centres = nn.Buffer(smooth_centres(bumps))
        self.noised = nn.Parameter(0.15 * torch.randn(len(values) * (2 * bumps + 1), width))
        self._frequencies = Constant(np.geomspace(0.1, 16.0, FREQUENCIES).astype(np.float32))
        self.level = nn.Sequential(nn.Linear(2 * FREQUENCIES + 1, width), nn.SiLU(), nn.Linear(width, width))
        self.stack = ResidualStack(width, hidden, layers, dropout)
        self.leave_codes = nn.Linear(width, sum(event.code_sizes))
        self.leave_values = nn.Linear(width, len(values)) if values else None
        with torch.no_grad():
            self.leave_codes.weight.mul_(0.05)
            if self.leave_values is not None:
                self.leave_values.weight.zero_()

    def context(self, codes: Tensor, values: Tensor, known: Tensor, exact: Tensor) -> Tensor:
        """Contexts (B, width) of records (B, E): codes where `known`, with their values where `exact` besides."""
        found: Tensor = self.embedding(codes, values, known, exact)
        return found

    def codes(self, context: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Logits (B, sum of code sizes) of every code."""
        found: Tensor = self.leave_codes(self.stack(context, generator))
        return found

    def values(
        self, context: Tensor, noised: Tensor, here: Tensor, level: Tensor, generator: torch.Generator | None = None
    ) -> Tensor:
        """A number for every value (B, V), of those with noise `here` (B, V) of a level (B,)."""
        if self.leave_values is None:
            return noised
        noised = noised.to(self.centres.dtype).clamp(-8, 8)
        features = torch.cat([noised.unsqueeze(-1), steps_and_bumps(noised, self.centres)], -1)
        h = context + (features * here.unsqueeze(-1)).flatten(1) @ self.noised
        found: Tensor = self.leave_values(self.stack(h + self.level(self._seen(level)), generator))
        return found

    def _seen(self, level: Tensor) -> Tensor:
        """Features (B, 2 n + 1) of levels (B,)."""
        scaled = (level.to(self.centres.dtype).log() / 4).clamp(-3, 3).unsqueeze(1)
        angle = 2 * math.pi * scaled * self._frequencies.on(level.device).to(scaled.dtype)
        return torch.cat([scaled, angle.sin(), angle.cos()], 1)
