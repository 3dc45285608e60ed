"""The distribution of one entry given its context: a categorical over codes, a logistic mixture over values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import log, log1p

import torch
from torch import Tensor

from likewise.events import Batch, Entry, Event, Quantised, Restriction, Status
from likewise.mathematics.gaussians import Gaussian
from likewise.mathematics.mixtures import LogisticMixture

LEAST_LOG_SCALE = -7.0
"""Components are no narrower than about a thousandth of a normal score."""

MOST_CELLS = 512
"""A bounded grid of at most so many cells is summed cell by cell; a finer one by quadrature."""

NODES = 24
"""Quadrature nodes for each mixture component."""


ValueReader = Callable[[Tensor], LogisticMixture | Gaussian]
"""How the outputs that a network gave for a value become its distribution."""


def logistic_values(raw: Tensor) -> LogisticMixture:
    """A logistic mixture from its 3 K outputs (..., 3 K)."""
    return LogisticMixture.from_raw(raw, LEAST_LOG_SCALE)


def starting_outputs(event: Event, index: int, train: Batch, components: int) -> Tensor:
    """Outputs (n,) at which an entry has its marginal: code frequencies, components spread over the normal scores."""
    entry, parts = event.all[index], []
    if entry.code.size > 1:
        seen = train.codes[:, index][train.status[:, index] == Status.OBSERVED]
        parts.append((torch.bincount(seen, minlength=entry.code.size).float() + 0.5).log())
    if entry.value is not None:
        device = train.codes.device
        spread = torch.linspace(-2.2, 2.2, components, device=device) if components > 1 else torch.zeros(1).to(device)
        # Neighbours overlap; one alone has the spread of a standard normal.
        scale = torch.full_like(spread, -1.2 if components > 1 else -0.6)
        parts += [torch.zeros_like(spread), spread, scale]
    return torch.cat(parts) if parts else torch.zeros(0)


def output_sizes(event: Event, components: int) -> tuple[int, ...]:
    """How many numbers the conditional of each entry takes."""
    return tuple(
        (entry.code.size if entry.code.size > 1 else 0) + (3 * components if entry.value is not None else 0)
        for entry in event.all
    )


def log_codes(entry: Entry, logits: Tensor) -> Tensor:
    """log-probabilities (B, K) of the codes of an entry from their logits.

    A state that no training record had keeps its reserved probability, whatever the context.
    """
    if entry.unseen is None:
        return torch.log_softmax(logits, 1)
    seen = torch.log_softmax(logits[:, :-1], 1) + log1p(-entry.reserved)
    return torch.cat([seen, torch.full_like(seen[:, :1], log(entry.reserved))], 1)


def log_sure(entry: Entry, codes: Tensor) -> Tensor:
    """The log-probability (B,) float64 of codes (B,) of an entry of which training records had only one."""
    assert entry.unseen is not None
    unseen = (codes == entry.unseen).double()
    return unseen * log(entry.reserved) + (1 - unseen) * log1p(-entry.reserved)


@dataclass(frozen=True)
class Branches:
    """The states an entry can take, N a row: codes, coordinates that networks see, log-probabilities; all (B, N)."""

    codes: Tensor
    values: Tensor
    log_prob: Tensor


class EntryConditional:
    """p(entry | context) for a batch of contexts, from the outputs (B, n) that a network gave for it.

    The outputs are logits of the codes, where there are several, and then whatever `values` reads a distribution from.
    """

    def __init__(self, event: Event, index: int, raw: Tensor, values: ValueReader = logistic_values) -> None:
        self._event, self._index, self._size = event, index, len(raw)
        self.entry: Entry = event.all[index]
        codes = self.entry.code.size if self.entry.code.size > 1 else 0
        self.log_codes = log_codes(self.entry, raw[:, :codes]) if codes else raw.new_zeros(len(raw), 1)
        self.mixture = values(raw[:, codes:]) if self.entry.value is not None else None

    def log_prob(self, codes: Tensor, lower: Tensor, width: Tensor) -> Tensor:
        """log-probability (B,) of observed states, in the user's units."""
        out = self.log_codes.gather(1, codes.unsqueeze(1)).squeeze(1)
        if self.mixture is None:
            return out
        if isinstance(self.entry.value, Quantised):
            value = self.mixture.log_mass(lower, width)
        else:
            value = self.mixture.log_density(lower) + width.log()
        return out + torch.where(codes == 0, value, torch.zeros_like(value))

    def log_set(self, allowed: Restriction) -> Tensor:
        """log-probability (B,) of a set of states."""
        return torch.logsumexp(self._log_allowed(allowed), 1)

    def _log_allowed(self, allowed: Restriction | None) -> Tensor:
        """log-probability of each code within the allowed set, (B, K)."""
        if allowed is None:
            return self.log_codes
        out = torch.where(allowed.codes, self.log_codes, -torch.inf)
        if self.mixture is not None:
            value = out[:, 0] + self.mixture.log_set(allowed.intervals.to(out.dtype))
            out = torch.cat([value.unsqueeze(1), out[:, 1:]], 1)
        return out

    def draw(self, uniform: Tensor, allowed: Restriction | None = None) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Codes, coordinates, lower edges and widths (B,) drawn with `uniform` (B, 3) noise, within a set if given."""
        log_codes = self._log_allowed(allowed)
        cumulative = torch.softmax(log_codes[:, : self.entry.seen], 1).double().cumsum(1)
        beyond = uniform[:, :1].double() * cumulative[:, -1:] > cumulative
        codes = beyond.sum(1).clamp(max=cumulative.shape[1] - 1)
        zero = torch.zeros(self._size, dtype=torch.float64, device=codes.device)
        if self.mixture is None:
            return codes, zero, zero, zero + 1
        intervals = None if allowed is None else allowed.intervals.to(self.log_codes.dtype)
        values, lower, width = self._event.measure(self._index, self.mixture.draw(uniform[:, 1:], intervals))
        present = codes == 0
        return (
            codes,
            torch.where(present, values, zero),
            torch.where(present, lower, zero),
            torch.where(present, width, zero + 1),
        )

    def most_probable(self) -> tuple[Tensor, Tensor]:
        """The most probable code (B,), never one that was not seen, and the median value (B,) float64 in its cell."""
        codes = self.log_codes[:, : self.entry.seen].argmax(1)
        if self.mixture is None:
            return codes, torch.zeros_like(codes, dtype=torch.float64)
        values = self._event.measure(self._index, self.mixture.median())[0]
        return codes, torch.where(codes == 0, values, torch.zeros_like(values))

    def branches(self, allowed: Restriction | None = None) -> Branches:
        """Every state of the entry: each code, each cell of a short grid, quadrature nodes of other values."""
        log_codes = self.log_codes if allowed is None else torch.where(allowed.codes, self.log_codes, -torch.inf)
        first = 0 if self.mixture is None else 1
        codes = torch.arange(first, log_codes.shape[1], device=log_codes.device).expand(self._size, -1)
        values = torch.zeros_like(codes, dtype=torch.float64)
        out = Branches(codes, values, log_codes[:, first:].double())
        if self.mixture is None:
            return out
        values, log_values = self._value_branches(None if allowed is None else allowed.intervals.double())
        log_values = log_values + log_codes[:, :1].double()
        return Branches(
            torch.cat([torch.zeros_like(values, dtype=torch.int64), out.codes], 1),
            torch.cat([values, out.values], 1),
            torch.cat([log_values, out.log_prob], 1),
        )

    def _value_branches(self, intervals: Tensor | None) -> tuple[Tensor, Tensor]:
        assert self.mixture is not None
        value = self.entry.value
        if not isinstance(value, Quantised) or value.size is None or value.size > MOST_CELLS:
            z, log_weight = self.mixture.nodes(NODES, intervals)
            return self._event.measure(self._index, z)[0], log_weight
        assert value.low is not None
        assert value.high is not None
        k, size = torch.arange(value.low, value.high + 1, device=self.log_codes.device), self._size
        centre, lower, width = (part.to(self.log_codes.dtype) for part in value.cells(k))
        cells = zip(lower, width, strict=True)
        log_mass = torch.stack([self.mixture.log_mass(low.expand(size), wide.expand(size)) for low, wide in cells], 1)
        centre = centre.expand(size, -1).double()
        if intervals is not None:
            inside = (centre.unsqueeze(2) >= intervals[:, None, :, 0]) & (
                centre.unsqueeze(2) <= intervals[:, None, :, 1]
            )
            log_mass = torch.where(inside.any(2), log_mass, -torch.inf)
        return centre, log_mass.double()
