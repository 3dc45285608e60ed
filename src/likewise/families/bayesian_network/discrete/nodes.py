"""Nodes of a network: entries of an event as discrete states, and the density of a value inside its state.

A value entry has one state a bin of its value, then one state a code above 0; any other entry has one state a code.
Bins are made of *grains*, disjoint intervals of z that fill the line. Given its bin, a value falls in a grain with the
grain's weight and is a standard normal restricted to the grain: values are normal scores, so that is nearly the truth,
and a heavy cell of a quantised value (30 years, 40 hours) is a grain of its own.
"""

from __future__ import annotations

import itertools
from typing import Any

import torch
from torch import Tensor, nn

from likewise.events import Batch, Event, Quantised, State, Status
from likewise.mathematics import truncated_normal
from likewise.mathematics.monotone import EDGE

MAX_GRAINS = 1 << 16
"""No column is cut finer than this: a limit on what a model file may ask for."""

GRAIN_PRIOR = 1.0
"""Pseudo-count of a bin, spread over its grains by their normal mass."""


class Bins(nn.Module):
    """The bins of one value entry.

    Parameters
    ----------
    grains : list of int
        The number of grains of each bin, in increasing order of the value.
    quantised : bool
        Whether the value is scored by the mass of its cell rather than by a density.
    """

    def __init__(self, grains: list[int], quantised: bool) -> None:
        super().__init__()
        if not (isinstance(grains, list) and grains and all(type(g) is int and g >= 1 for g in grains)):
            raise ValueError("Bins need a list of positive numbers of grains.")
        if sum(grains) > MAX_GRAINS:
            raise ValueError(f"A column has at most {MAX_GRAINS} grains.")
        self.grains = grains
        self.quantised = quantised
        self.edges: Tensor
        self.counts: Tensor
        self.register_buffer("edges", torch.zeros(sum(grains) + 1, dtype=torch.float64))
        self.register_buffer("counts", torch.zeros(sum(grains), dtype=torch.float64))

    @property
    def size(self) -> int:
        """The number of bins."""
        return len(self.grains)

    def ends(self) -> Tensor:
        """Where bins begin, and at last where they end (bins + 1,)."""
        return self.edges[torch.tensor([0, *self.grains], device=self.edges.device).cumsum(0)]

    def owner(self) -> Tensor:
        """The bin of each grain."""
        sizes = torch.tensor(self.grains, device=self.edges.device)
        return torch.arange(self.size, device=self.edges.device).repeat_interleave(sizes)

    def log_weights(self) -> Tensor:
        """The log-probability of each grain given its bin."""
        owner = self.owner()
        mass = self.log_masses()
        top = torch.full((self.size,), float("-inf"), dtype=mass.dtype, device=mass.device)
        top = top.scatter_reduce(0, owner, mass, "amax")
        share = (mass - top[owner]).exp()
        weights = self.counts + GRAIN_PRIOR * share / self._totals(share, owner)[owner]
        return (weights / self._totals(weights, owner)[owner]).log()

    def log_masses(self) -> Tensor:
        """The log of the standard normal mass of each grain."""
        return truncated_normal.log_mass(self.edges[:-1], self.edges[1:])

    def _totals(self, parts: Tensor, owner: Tensor) -> Tensor:
        return torch.zeros(self.size, dtype=parts.dtype, device=parts.device).index_add(0, owner, parts)

    def grain(self, z: Tensor) -> Tensor:
        """The grain in which `z` lies."""
        return torch.searchsorted(self.edges[1:-1], z.double().contiguous(), right=True)

    def bin(self, z: Tensor) -> Tensor:
        """The bin in which `z` lies."""
        return self.owner()[self.grain(z)]

    def log_prob(self, z: Tensor, lower: Tensor, width: Tensor) -> Tensor:
        """The log mass or density (user's units) of values given their bins; all arguments are columns of a batch."""
        grain = self.grain(z)
        lower, width = lower.double(), width.double()
        own = (
            truncated_normal.log_mass(lower, lower + width)
            if self.quantised
            else (truncated_normal.log_density(z.double()) + width.log())
        )
        return own + (self.log_weights() - self.log_masses())[grain]

    def log_fraction(self, intervals: Tensor) -> Tensor:
        """The log share of each bin's mass inside a union of disjoint intervals (B, P, 2): (B, bins)."""
        return _log_totals(self._log_parts(intervals).logsumexp(1), self.owner(), self.size)

    def _log_parts(self, intervals: Tensor) -> Tensor:
        """The log probability, given its bin, of each grain within each interval: (B, P, grains)."""
        low = torch.maximum(intervals[..., :1].double(), self.edges[:-1])
        high = torch.minimum(intervals[..., 1:].double(), self.edges[1:])
        inside = truncated_normal.log_mass(low, high) - self.log_masses()
        return inside.clamp(max=0.0) + self.log_weights()

    def draw(self, bins: Tensor, generator: torch.Generator, intervals: Tensor | None = None) -> Tensor:
        """Values within `bins` (B,), and within the intervals (B, P, 2) where given."""
        u = torch.rand(2, len(bins), generator=generator, device=generator.device, dtype=torch.float64).to(bins.device)
        if intervals is None:
            first = torch.tensor([0, *self.grains], device=bins.device).cumsum(0)
            # Weights of a bin end at 1: one search over all bins at once.
            ends = self.log_weights().exp().cumsum(0)
            low = torch.cat([ends.new_zeros(1), ends])[first[:-1]][bins]
            high = ends[first[1:] - 1][bins]
            grain = torch.searchsorted(ends, low + u[0] * (high - low), right=True)
            grain = grain.clamp(first[:-1][bins], first[1:][bins] - 1)
            return truncated_normal.quantile(u[1], self.edges[grain], self.edges[grain + 1])
        parts = self._log_parts(intervals)
        parts = parts.masked_fill((self.owner() != bins[:, None])[:, None, :], float("-inf")).flatten(1)
        weights = (parts - parts.amax(1, keepdim=True)).exp()
        ends = weights.cumsum(1)
        chosen = torch.searchsorted(ends, u[0][:, None] * ends[:, -1:], right=True).clamp(max=ends.shape[1] - 1)[:, 0]
        piece, grain = chosen // (len(self.edges) - 1), chosen % (len(self.edges) - 1)
        chosen_piece = intervals.double()[torch.arange(len(bins), device=bins.device), piece]
        low = torch.maximum(chosen_piece[:, 0], self.edges[grain])
        high = torch.minimum(chosen_piece[:, 1], self.edges[grain + 1])
        return truncated_normal.quantile(u[1], low, high)


def _log_totals(parts: Tensor, owner: Tensor, size: int) -> Tensor:
    """log of the sums of exp(parts) (B, grains) over the grains of each bin, each bin on its own scale: (B, bins)."""
    top = torch.full((len(parts), size), float("-inf"), dtype=parts.dtype, device=parts.device)
    top = top.scatter_reduce(1, owner.expand(len(parts), -1), parts, "amax")
    scale = top.clamp(min=-1e300)
    totals = parts.new_zeros(len(parts), size).index_add(1, owner, (parts - scale[:, owner]).exp())
    return torch.where(torch.isinf(top), top, scale + totals.log())


class Nodes(nn.Module):
    """The nodes of an event.

    Parameters
    ----------
    event : Event
    grains : list
        For each entry of the event, the numbers of grains of its bins, or None where it carries no value.
    """

    def __init__(self, event: Event, grains: list[Any]) -> None:
        super().__init__()
        if not (isinstance(grains, list) and len(grains) == len(event)):
            raise ValueError("The network has another number of columns than its event.")
        self.event = event
        self.bins = nn.ModuleDict()
        self.sizes: list[int] = []
        for i, (entry, parts) in enumerate(zip(event.all, grains, strict=True)):
            if (entry.value is None) != (parts is None):
                raise ValueError(f"Column {entry.name}: bins belong to columns with values, and to all of them.")
            if parts is None:
                self.sizes.append(int(entry.code.size))
            else:
                self.bins[str(i)] = Bins(parts, isinstance(entry.value, Quantised))
                self.sizes.append(len(parts) + int(entry.code.size) - 1)

    def of(self, i: int) -> Bins | None:
        """The bins of entry `i`, None where it carries no value."""
        key = str(i)
        if key not in self.bins:
            return None
        found = self.bins[key]
        assert isinstance(found, Bins)
        return found

    @property
    def grains(self) -> list[list[int] | None]:
        """For each entry the numbers of grains of its bins, None where it carries no value."""
        return [None if own is None else own.grains for own in map(self.of, range(len(self.event)))]

    def unseen(self, i: int) -> int | None:
        """The state of the unseen code of entry `i`."""
        return None if self.event.all[i].unseen is None else self.sizes[i] - 1

    def described(self, i: int) -> list[State]:
        """The states of entry `i`, without the unseen one."""
        bins, entry = self.of(i), self.event.all[i]
        found = [State(code) for code in range(0 if bins is None else 1, entry.seen)]
        if bins is None:
            return found
        return [*(State(0, low, high) for low, high in itertools.pairwise(bins.ends().tolist())), *found]

    def numbers(self, i: int) -> Tensor:
        """The states of entry `i` that lie among its values, ascending: bins, and codes with coordinates.

        There are none where it carries no value: categories that are numbers may still be mere names.
        """
        bins, entry = self.of(i), self.event.all[i]
        if bins is None:
            return torch.empty(0, dtype=torch.int64)
        ends = bins.ends()
        middle = truncated_normal.quantile(torch.full_like(ends[1:], 0.5), ends[:-1], ends[1:])
        places = dict(enumerate(middle.tolist()))
        places |= {bins.size - 1 + code: z for code, z in enumerate(entry.coordinates) if z is not None}
        return torch.tensor(sorted(places, key=places.__getitem__), dtype=torch.int64)

    def states(self, batch: Batch) -> Tensor:
        """The states (B, E) of observed entries; 0 elsewhere."""
        if not self.event.value_entries and batch.fully_observed:
            return batch.codes
        out = batch.codes.clone()
        for i in self.event.value_entries:
            bins = self.of(i)
            assert bins is not None
            code = batch.codes[:, i]
            out[:, i] = torch.where(code == 0, bins.bin(batch.values[:, i]), code + bins.size - 1)
        return torch.where(batch.status == Status.OBSERVED, out, torch.zeros_like(out))

    def count(self, batch: Batch) -> None:
        """Adds fully observed records to the counts of grains."""
        for i in self.event.value_entries:
            bins = self.of(i)
            assert bins is not None
            grains = bins.grain(batch.values[batch.codes[:, i] == 0, i])
            bins.counts += torch.bincount(grains, minlength=len(bins.counts)).double()

    def log_values(self, batch: Batch) -> Tensor:
        """The log mass or density (user's units) of observed values given their states, summed: (B,) float64."""
        total = self.event.log_share(batch).double()
        for i in self.event.value_entries:
            bins = self.of(i)
            assert bins is not None
            at = ((batch.codes[:, i] == 0) & (batch.status[:, i] == Status.OBSERVED)).nonzero()[:, 0]
            if len(at):
                part = bins.log_prob(batch.values[at, i], batch.lower[at, i], batch.width[at, i])
                total = total.index_add(0, at, part)
        return total

    def log_evidence(self, batch: Batch, i: int) -> Tensor:
        """The log-weights (B, states) of entry `i` where its status is RESTRICTED in every row of the batch."""
        allowed = batch.restrictions[i].codes
        weights = torch.zeros(allowed.shape, dtype=torch.float64, device=allowed.device)
        weights = weights.masked_fill(~allowed, float("-inf"))
        bins = self.of(i)
        if bins is None:
            return weights
        return torch.cat([weights[:, :1] + bins.log_fraction(batch.restrictions[i].intervals), weights[:, 1:]], 1)

    def records(self, states: Tensor, generator: torch.Generator, evidence: Batch | None = None) -> Batch:
        """Fully observed records in `states` (B, E); values lie in restricted intervals, observed ones are kept."""
        if not self.event.value_entries:
            drawn = self.event.complete(states, torch.zeros(1, 1, dtype=torch.float64, device=states.device))
            return drawn if evidence is None else keep_observed(evidence, drawn)
        codes, values = states.clone(), torch.zeros(states.shape, dtype=torch.float64, device=states.device)
        for i in self.event.value_entries:
            bins = self.of(i)
            assert bins is not None
            present = states[:, i] < bins.size
            codes[:, i] = torch.where(present, 0, states[:, i] - bins.size + 1)
            wanted = present if evidence is None else present & (evidence.status[:, i] != Status.OBSERVED)
            narrowed = (
                torch.zeros_like(wanted)
                if evidence is None
                else (wanted & (evidence.status[:, i] == Status.RESTRICTED))
            )
            for rows, within in ((wanted & ~narrowed, False), (narrowed, True)):
                at = rows.nonzero()[:, 0]
                if not len(at):
                    continue
                intervals = evidence.restrictions[i].intervals[at] if within and evidence is not None else None
                values[at, i] = bins.draw(states[at, i], generator, intervals).clamp(-EDGE, EDGE)
        drawn = self.event.complete(codes, values)
        if evidence is None:
            return drawn
        return keep_observed(evidence, drawn)


def others(numbers: Tensor, size: int) -> Tensor:
    """Which of `size` states are none of these, ascending."""
    left = torch.ones(size, dtype=torch.bool, device=numbers.device)
    left[numbers] = False
    return left.nonzero()[:, 0]


def keep_observed(evidence: Batch, drawn: Batch) -> Batch:
    """The drawn records with what was observed as it was observed."""
    known = evidence.status == Status.OBSERVED
    return Batch(
        torch.where(known, evidence.codes, drawn.codes),
        torch.where(known, evidence.values.double(), drawn.values),
        torch.where(known, evidence.lower.double(), drawn.lower),
        torch.where(known, evidence.width.double(), drawn.width),
        torch.zeros_like(evidence.status),
    )
