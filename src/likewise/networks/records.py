"""Networks between records and vectors: an encoder of records of which parts may be hidden, and a decoder."""

from __future__ import annotations

from collections.abc import Sequence as SequenceOf

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from likewise.events import Event
from likewise.networks.constant import Constant
from likewise.networks.prefix import Residual
from likewise.networks.smooth import smooth_centres, steps_and_bumps


class EntryEmbedding(nn.Module):
    """The sum of embeddings of some entries of a record, of which each may be hidden.

    A code has an embedding of its own, *hidden* has one for each entry, and a value, or a code that is a number, is
    seen through smooth steps and bumps, all absent where the value is.

    Parameters
    ----------
    event : Event
    entries : sequence of int
        Those that are looked at.
    width, bumps : int
        Size of the embedding, features of a value.
    """

    def __init__(self, event: Event, entries: SequenceOf[int], width: int, bumps: int = 24) -> None:
        super().__init__()
        every = event.all
        self.entries = list(entries)
        self._start = [0]
        for i in self.entries:
            self._start.append(self._start[-1] + event.code_sizes[i] + 1)
        numbers = [k for k, i in enumerate(self.entries) if every[i].value is not None or every[i].coordinates]
        self._numbers = numbers
        self._valued = [every[self.entries[k]].value is not None for k in numbers]
        coordinates = np.full(self._start[-1], np.nan, dtype=np.float32)
        for k in numbers:
            own = every[self.entries[k]].coordinates
            coordinates[self._start[k] : self._start[k] + len(own)] = np.array(own, dtype=np.float32)
        self._coordinates = Constant(coordinates)
        self.centres = nn.Buffer(smooth_centres(bumps))
        self.codes = nn.Parameter(0.3 * torch.randn(self._start[-1], width))
        self.values = nn.Parameter(0.15 * torch.randn(len(numbers) * (2 * bumps + 1), width))

    def forward(self, codes: Tensor, values: Tensor, known: Tensor, exact: Tensor | None = None) -> Tensor:
        """Embeddings (B, width) of records (B, E) of which `known` (B, E) says what is not hidden.

        Of an entry that is known, only the code may be seen: its value too where `exact` (B, E), by default everywhere.
        """
        start = torch.tensor(self._start, device=codes.device)
        exact = known if exact is None else known & exact
        codes, values, known, exact = (part[:, self.entries] for part in (codes, values, known, exact))
        place = torch.where(known, codes + start[:-1], start[1:] - 1)
        embedded = F.embedding_bag(place, self.codes, mode="sum")
        if self._numbers:
            at = self._numbers
            carried = exact[:, at] & (codes[:, at] == 0) & torch.tensor(self._valued, device=codes.device)
            coordinate = self._coordinates.on(codes.device)[place[:, at]]
            value = torch.where(carried, values[:, at].to(self.centres.dtype), coordinate.to(self.centres.dtype))
            absent = value.isnan()
            value = value.masked_fill(absent, 0.0).clamp(-8, 8)
            features = torch.cat([value.unsqueeze(-1), steps_and_bumps(value, self.centres)], -1)
            embedded = embedded + features.masked_fill(absent.unsqueeze(-1), 0.0).flatten(1) @ self.values
        return embedded


class ResidualStack(nn.Module):
    """Residual layers on vectors (B, width), normalised at the end."""

    def __init__(self, width: int, hidden: int, layers: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Residual(width, hidden, dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(width)

    def forward(self, h: Tensor, generator: torch.Generator | None = None) -> Tensor:
        h = h.unsqueeze(1)
        for layer in self.layers:
            h = layer(h, generator)
        out: Tensor = self.norm(h.squeeze(1))
        return out


class RecordEncoder(nn.Module):
    """Records, parts of which may be hidden, to numbers (B, outputs) by residual layers.

    Parameters
    ----------
    event : Event
    outputs : int
    width, hidden, layers : int
        Size of the embedding of a record, of the residual layers, their number.
    dropout : float
    """

    def __init__(self, event: Event, outputs: int, width: int, hidden: int, layers: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.embedding = EntryEmbedding(event, range(len(event)), width)
        self.stack = ResidualStack(width, hidden, layers, dropout)
        self.leave = nn.Linear(width, outputs)

    def forward(self, codes: Tensor, values: Tensor, known: Tensor, generator: torch.Generator | None = None) -> Tensor:
        out: Tensor = self.leave(self.stack(self.embedding(codes, values, known), generator))
        return out


class RecordDecoder(nn.Module):
    """Latents (B, latent), and what is known of a record's labels where they are given, to numbers (B, outputs).

    Parameters
    ----------
    event : Event
    latent, outputs : int
    width, hidden, layers : int
        Size of the first layer, of the residual layers, their number.
    dropout : float
    given : sequence of int
        Entries that the decoder is told.
    """

    def __init__(
        self,
        event: Event,
        latent: int,
        outputs: int,
        width: int,
        hidden: int,
        layers: int,
        dropout: float = 0.0,
        given: SequenceOf[int] = (),
    ) -> None:
        super().__init__()
        self.enter = nn.Linear(latent, width)
        self.told = EntryEmbedding(event, given, width) if given else None
        self.stack = ResidualStack(width, hidden, layers, dropout)
        self.leave = nn.Linear(width, outputs)
        with torch.no_grad():
            self.leave.weight.mul_(0.1)

    def forward(
        self,
        latent: Tensor,
        given: tuple[Tensor, Tensor, Tensor] | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Numbers (B, outputs); `given` are codes, values (B, E) and which of them are known, for `told` entries."""
        h = self.enter(latent)
        if self.told is not None:
            assert given is not None
            h = h + self.told(*given)
        out: Tensor = self.leave(self.stack(h, generator))
        return out
