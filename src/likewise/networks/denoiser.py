"""A network that tells from a partly hidden, partly noised record what is hidden and what was noise."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from likewise.events import Event
from likewise.networks.constant import Constant
from likewise.networks.records import EntryEmbedding, ResidualStack
from likewise.networks.smooth import smooth_centres, steps_and_bumps

FREQUENCIES = 16
"""Of the sines and cosines through which a level is seen (Tancik et al. 2020)."""


class Sight(NamedTuple):
    """What a denoiser is shown of records (B, E): each entry is hidden, or its code is known, or also its value.

    Attributes
    ----------
    codes, values : (B, E)
        Values as they are where `exact`, with noise where `noised`.
    known, exact, noised : (B, E) bool
        Whose code is seen; whose value; whose value with noise. A value is seen only with its code.
    level : (B,)
        The level of the noise.
    """

    codes: Tensor
    values: Tensor
    known: Tensor
    exact: Tensor
    noised: Tensor
    level: Tensor


class RecordDenoiser(nn.Module):
    """From a `Sight` to a number for every value (B, V), and logits of every code (B, sum of code sizes).

    Exact entries are embedded as encoders embed them; values with noise are seen through smooth steps and bumps of
    their own, the level through sines and cosines of its logarithm. Residual layers work on the sum.

    Parameters
    ----------
    event : Event
    width, hidden, layers, dropout : of the residual layers
    bumps : int
        Steps, and bumps, of a value.
    """

    def __init__(self, event: Event, width: int, hidden: int, layers: int, dropout: float, bumps: int) -> None:
        super().__init__()
        self.places = list(event.value_entries)
        self.embedding = EntryEmbedding(event, range(len(event)), width)
        self.centres = nn.Buffer(smooth_centres(bumps))
        self.noised = nn.Parameter(0.15 * torch.randn(len(self.places) * (2 * bumps + 1), width))
        self._frequencies = Constant(np.geomspace(0.1, 16.0, FREQUENCIES).astype(np.float32))
        self.level = nn.Sequential(nn.Linear(2 * FREQUENCIES + 1, width), nn.SiLU(), nn.Linear(width, width))
        self.stack = ResidualStack(width, hidden, layers, dropout)
        self.leave_values = nn.Linear(width, len(self.places)) if self.places else None
        self.leave_codes = nn.Linear(width, sum(event.code_sizes))
        with torch.no_grad():
            if self.leave_values is not None:
                self.leave_values.weight.zero_()
            self.leave_codes.weight.mul_(0.05)

    def forward(self, sight: Sight, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        h = self.embedding(sight.codes, sight.values, sight.known, sight.exact)
        if self.places:
            here = sight.noised[:, self.places].unsqueeze(-1)
            values = sight.values[:, self.places].to(self.centres.dtype).clamp(-8, 8)
            features = torch.cat([values.unsqueeze(-1), steps_and_bumps(values, self.centres)], -1)
            h = h + (features * here).flatten(1) @ self.noised
        h = h + self.level(self._seen(sight.level.to(self.centres.dtype)))
        h = self.stack(h, generator)
        return h[:, :0] if self.leave_values is None else self.leave_values(h), self.leave_codes(h)

    def _seen(self, level: Tensor) -> Tensor:
        """Features (B, 2 n + 1) of levels (B,)."""
        scaled = (level.log() / 4).clamp(-3, 3).unsqueeze(1)
        angle = 2 * math.pi * scaled * self._frequencies.on(level.device).to(level.dtype)
        return torch.cat([scaled, angle.sin(), angle.cos()], 1)
