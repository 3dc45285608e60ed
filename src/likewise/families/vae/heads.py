"""The decoder's heads: independent distributions of all entries given a latent, read from one row of outputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log, log1p
from typing import Literal

import torch
from torch import Tensor

from likewise.events import Batch, Event, Quantised, Status
from likewise.families.entry import EntryConditional, ValueReader, logistic_values, starting_outputs
from likewise.mathematics.gaussians import Gaussian

Noise = Literal["learned", "fixed"]


@dataclass(frozen=True)
class CodeGroup:
    """Entries whose codes are computed together: their outputs stand from `start`, `room` for each."""

    entries: list[int]
    start: int
    room: int


class Heads:
    """p(x | z) = prod_i p(x_i | z): categoricals of codes, and of values logistic mixtures or fixed Gaussians.

    Outputs stand in groups, so that a few operations on tensors (B, entries, outputs) serve all entries: entries whose
    numbers of codes have the same power of two above them, then quantised values, then real ones.

    Parameters
    ----------
    event : Event
    entries : sequence of int
        Those that are generated.
    components : int
        Of the mixture of a value.
    noise : "learned" or "fixed"
        With "fixed" a value is Gaussian around its output with standard deviation `noise_scale` in model units.
    noise_scale : float
    """

    def __init__(
        self, event: Event, entries: Sequence[int], components: int, noise: Noise = "learned", noise_scale: float = 0.1
    ) -> None:
        self.event, self.entries, self.components = event, list(entries), components
        self._learned, self._scale = noise == "learned", noise_scale
        coded = [i for i in entries if event.code_sizes[i] > 1]
        rooms = {i: 1 << (event.code_sizes[i] - 1).bit_length() for i in coded}
        self.groups: list[CodeGroup] = []
        at = 0
        for room in sorted(set(rooms.values())):
            members = [i for i in coded if rooms[i] == room]
            self.groups.append(CodeGroup(members, at, room))
            at += room * len(members)
        values = [i for i in entries if event.all[i].value is not None]
        self.quantised = [i for i in values if isinstance(event.all[i].value, Quantised)]
        self.real = [i for i in values if i not in set(self.quantised)]
        self._each = 3 * components if self._learned else 1
        self._values_size = len(values) * self._each
        self.size = at + self._values_size
        self._code_start = {i: g.start + k * g.room for g in self.groups for k, i in enumerate(g.entries)}
        self._value_start = {i: at + k * self._each for k, i in enumerate([*self.quantised, *self.real])}
        # Where the column of an entry stands among the columns of groups, and of values; one of zeros comes last.
        codes = [i for group in self.groups for i in group.entries]
        self._code_column = [codes.index(i) if i in self._code_start else len(codes) for i in range(len(event))]
        carriers = [*self.quantised, *self.real]
        self._value_column = [carriers.index(i) if i in self._value_start else len(carriers) for i in range(len(event))]

    @property
    def reader(self) -> ValueReader:
        """How outputs of a value become its distribution."""
        return logistic_values if self._learned else self._fixed

    def _fixed(self, raw: Tensor) -> Gaussian:
        return Gaussian(raw.squeeze(-1), self._scale)

    def outputs(self, i: int) -> list[int]:
        """Where the outputs of entry `i` stand in a row, in the order in which `EntryConditional` takes them."""
        start, value = self._code_start.get(i), self._value_start.get(i)
        codes = [] if start is None else range(start, start + self.event.code_sizes[i])
        return [*codes, *([] if value is None else range(value, value + self._each))]

    def entry(self, i: int, raw: Tensor) -> EntryConditional:
        """The distribution of entry `i` for rows of outputs (N, size)."""
        return EntryConditional(self.event, i, raw[:, self.outputs(i)], self.reader)

    def starting_outputs(self, train: Batch) -> Tensor:
        """Outputs (size,) at which every entry has its marginal distribution among the records."""
        out = torch.zeros(self.size, device=train.codes.device)
        for i in self.entries:
            components = self.components if self._learned else 1
            start = starting_outputs(self.event, i, train, components)
            at = self.outputs(i)
            out[at] = start[: len(at)].to(out)
        return out

    def log_prob(self, raw: Tensor, batch: Batch) -> Tensor:
        """log p(x_i | z) (N, E) of observed states, in the user's units; zero for entries that are not generated.

        `raw` (N, size) has as many rows as `batch`.
        """
        zero = raw.new_zeros(len(raw), 1)
        # Split, not sliced: the gradient of the parts is put together once.
        *logits, values = raw.split([*(len(group.entries) * group.room for group in self.groups), self._values_size], 1)
        found = [self._codes(group, part, batch.codes) for group, part in zip(self.groups, logits, strict=True)]
        out = torch.cat([*found, zero], 1)[:, self._code_column]
        if self._value_start:
            out = out + torch.cat([*self._values(values, batch), zero], 1)[:, self._value_column]
        return out

    def log_joint(self, raw: Tensor, batch: Batch, shown: Tensor) -> Tensor:
        """log p(shown entries | z) (N,), with `shown` (N, E) bool."""
        log_prob = self.log_prob(raw, batch)
        return torch.where(shown, log_prob, torch.zeros_like(log_prob)).sum(1)

    def draw(self, raw: Tensor, told: Batch, generator: torch.Generator) -> Batch:
        """Records drawn at rows of outputs (N, size), within their sets; what `told` observes stays."""
        parts = [part.clone() for part in (told.codes, told.values, told.lower, told.width)]
        for i in self.entries:
            uniform = torch.rand(len(raw), 3, generator=generator, device=generator.device, dtype=torch.float64)
            drawn: tuple[Tensor, ...] = self.entry(i, raw).draw(uniform)
            restricted, free = (told.status[:, i] == kind for kind in (Status.RESTRICTED, Status.UNKNOWN))
            if i in told.restrictions:
                within = self.entry(i, raw).draw(uniform, told.restrictions[i])
                drawn = tuple(torch.where(restricted, a, b) for a, b in zip(within, drawn, strict=True))
            for part, new in zip(parts, drawn, strict=True):
                part[:, i] = torch.where(restricted | free, new.to(part.dtype), part[:, i])
        codes, values, lower, width = parts
        return Batch(codes, values, lower, width, torch.zeros_like(told.status))

    def _codes(self, group: CodeGroup, raw: Tensor, codes: Tensor) -> Tensor:
        """log-probabilities (N, n) of the codes of a group, from its outputs."""
        n, members = len(group.entries), [self.event.all[i] for i in group.entries]
        logits = raw.reshape(len(raw), n, group.room)
        # What is neither a code nor one that was seen in training takes no part.
        seen = torch.tensor([e.seen for e in members], device=raw.device)
        places = torch.arange(group.room, device=raw.device)
        nothing = torch.where(places >= seen.unsqueeze(1), -torch.inf, 0.0).to(raw.dtype)
        log_codes = torch.log_softmax(logits + nothing, -1)
        mine = codes[:, group.entries]
        out = log_codes.gather(-1, mine.unsqueeze(-1)).squeeze(-1)
        reserved = [e.reserved if e.unseen is not None else 0.0 for e in members]
        if not any(reserved):
            return out
        kept = torch.tensor([log1p(-share) for share in reserved], dtype=raw.dtype, device=raw.device)
        left = [log(share) if share > 0 else -torch.inf for share in reserved]
        other = torch.tensor(left, dtype=raw.dtype, device=raw.device)
        return torch.where(mine == seen, other, out + kept)

    def _values(self, raw: Tensor, batch: Batch) -> list[Tensor]:
        """log-probabilities (N, n) of quantised values and of real ones, 0 where absent, from their outputs."""
        sizes = [len(self.quantised), len(self.real)]
        of_cells, of_reals = raw.reshape(len(raw), sum(sizes), self._each).split(sizes, 1)
        found = []
        if self.quantised:
            at = self.quantised
            found.append(self.reader(of_cells).log_mass(batch.lower[:, at], batch.width[:, at]))
        if self.real:
            at = self.real
            found.append(self.reader(of_reals).log_density(batch.lower[:, at]) + batch.width[:, at].log())
        parts = zip(found, [at for at in (self.quantised, self.real) if at], strict=True)
        return [torch.where(batch.codes[:, at] == 0, part, torch.zeros_like(part)) for part, at in parts]
