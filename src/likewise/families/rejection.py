"""Draws under evidence from a family that only samples: candidates that disagree with the evidence are thrown away."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from likewise.errors import DataError, NotSupported
from likewise.events import Batch, Event, Quantised, Real, Status
from likewise.families.family import Draws
from likewise.mathematics.resampling import LEAST_EFFECTIVE

LIMIT = 1 << 19
"""Candidates looked at, at most."""

HOPELESS = 16
"""Evidence that nothing agrees with among one in so many of these is given up."""

FIRST, TILE = 512, 8192
"""Candidates drawn at once: as many as there were before, between these."""

COMPARED = 1 << 24
"""Pairs of candidates and records of evidence compared at once."""


class Candidates(NamedTuple):
    """Records of a model: codes (N, E), values (N, E) in model units, not yet in cells, and log-weights (N,).

    Weights are what the model's density is relative to that of the candidates: zero logarithms where they are draws.
    """

    codes: Tensor
    values: Tensor
    log_weight: Tensor


def rejection(
    candidates: Callable[[int, torch.Generator], Candidates],
    event: Event,
    evidence: Batch,
    draws: int,
    generator: torch.Generator,
    *,
    limit: int = LIMIT,
) -> Draws:
    """`draws` records for each record of evidence, taken from one growing pool of candidates that agree with it.

    A candidate agrees where its code is the observed one, its value lies in the observed cell or in the given set. Of
    those that agree, `draws` are taken by weight, systematically: none of them twice, where there are enough. What was
    observed is written into the draws as it was given.

    Parameters
    ----------
    candidates : function of a number and a generator
    event : Event
    evidence : Batch
    draws : int
    generator : torch.Generator
    limit : int
        Candidates looked at, at most.

    Returns
    -------
    Draws
        The effective sample size of a record is the sum of the weights of its candidates over the largest of them, at
        most `draws`: so many would be left if each were kept with the chance weight / largest (von Neumann 1951), and
        without weights it is the number of candidates that agree.

    Raises
    ------
    NotSupported
        For a point on a continuous value, which no candidate meets.
    DataError
        With the figures, where the effective sample size is below `LEAST_EFFECTIVE` and below `draws`.
    """
    _refuse_points(event, evidence)
    pool = _Pool(len(evidence), draws)
    looked = 0
    while looked < limit and bool((pool.effective < draws).any()):
        found = candidates(min(max(FIRST, looked), TILE, limit - looked), generator)
        looked += len(found.codes)
        open_rows = (pool.effective < draws).nonzero().squeeze(1)
        for rows in open_rows.split(max(1, COMPARED // TILE)):
            pool.take(found, rows, agreeing(event, found, evidence.rows(rows)))
        if looked >= limit // HOPELESS and not bool(pool.effective.all()):
            break
    poor = pool.effective < min(draws, LEAST_EFFECTIVE)
    if bool(poor.any()):
        row = int(pool.effective.argmin())
        raise DataError(
            f"only {int(pool.counts[row])} of {looked:,} candidates agree with the evidence of row {row}, worth "
            f"{float(pool.effective[row]):.1f} independent draws: widen its intervals, name fewer columns, or use a "
            "family with conditionals of its own, such as Autoregressive"
        )
    codes, values = pool.draw(generator)
    return Draws(as_given(event.complete(codes, values), evidence.repeat(draws)), pool.effective.clamp(max=draws))


def _refuse_points(event: Event, evidence: Batch) -> None:
    for i in event.value_entries:
        known = (evidence.status[:, i] == Status.OBSERVED) & (evidence.codes[:, i] == 0)
        if isinstance(event.all[i].value, Real) and bool(known.any()):
            raise NotSupported(
                f"No sampled record meets a single point of {event.all[i].name!r}, which is continuous: give an "
                "interval (low, high), or use a family with conditionals of its own, such as Autoregressive."
            )


def agreeing(event: Event, candidates: Candidates, evidence: Batch) -> Tensor:
    """Which candidates agree with which records of evidence: (records, candidates) bool."""
    size, device = len(candidates.codes), candidates.codes.device
    at, found = torch.arange(size, device=device), torch.ones(len(evidence), size, dtype=torch.bool, device=device)
    for i in (evidence.status != Status.UNKNOWN).any(0).nonzero().squeeze(1).tolist():
        found = found & _agreeing(event, i, candidates.codes[at, i], candidates.values[at, i].double(), evidence)
        left = found.any(0)  # the others need not be looked at again
        at, found = at[left], found[:, left]
    out = torch.zeros(len(evidence), size, dtype=torch.bool, device=device)
    out[:, at] = found
    return out


def _agreeing(event: Event, i: int, codes: Tensor, values: Tensor, evidence: Batch) -> Tensor:
    """Which codes and values (N,) of entry `i` agree with which records of evidence: (records, N) bool."""
    status, value = evidence.status[:, i].unsqueeze(1), event.all[i].value
    match = evidence.codes[:, [i]] == codes
    if isinstance(value, Quantised):
        cell = value.index(values) == value.index(evidence.values[:, i].double()).unsqueeze(1)
        match &= (codes != 0) | cell
    match |= status == Status.UNKNOWN
    if i not in evidence.restrictions:
        return match
    allowed = evidence.restrictions[i]
    inside = allowed.codes[:, codes]
    if value is not None:
        low, high = allowed.intervals.double().unsqueeze(3).unbind(2)
        inside &= (codes != 0) | ((values >= low) & (values <= high)).any(1)
    return torch.where(status == Status.RESTRICTED, inside, match)


def inside(event: Event, evidence: Batch, drawn: Batch) -> Tensor:
    """Which drawn records (B,) lie within the sets of the evidence in the same row."""
    found = torch.ones(len(drawn), dtype=torch.bool, device=drawn.codes.device)
    for i, allowed in evidence.restrictions.items():
        codes = drawn.codes[:, i]
        within = allowed.codes.gather(1, codes.unsqueeze(1))[:, 0]
        if event.all[i].value is not None:
            z = drawn.values[:, i : i + 1].double()
            somewhere = ((z >= allowed.intervals[:, :, 0]) & (z <= allowed.intervals[:, :, 1])).any(1)
            within = within & (somewhere | (codes != 0))
        found &= within | (evidence.status[:, i] != Status.RESTRICTED)
    return found


class _Pool:
    """What agreed so far: candidates, and which of them belong to which record of evidence."""

    def __init__(self, rows: int, draws: int) -> None:
        self._draws, self._size = draws, 0
        self._codes: list[Tensor] = []
        self._values: list[Tensor] = []
        self._hits: list[tuple[Tensor, Tensor, Tensor]] = []
        self._sum = torch.zeros(rows, dtype=torch.float64)
        self._largest = torch.zeros(rows, dtype=torch.float64)
        self.counts = torch.zeros(rows, dtype=torch.int64)

    @property
    def effective(self) -> Tensor:
        """The sum of the weights (rows,) over the largest; 0 where there are none."""
        return torch.where(self._largest > 0, self._sum / self._largest.clamp(min=1e-300), 0.0)

    def take(self, candidates: Candidates, rows: Tensor, agree: Tensor) -> None:
        """Keeps the candidates that agree (len(rows), N) with some of these rows."""
        at, which = agree.nonzero().cpu().unbind(1)
        if not len(at):
            return
        kept, place = which.unique(return_inverse=True)
        weight = candidates.log_weight.cpu().double()[which].exp()
        owner = rows.cpu()[at]
        self._codes.append(candidates.codes[kept].cpu())
        self._values.append(candidates.values[kept].cpu().double())
        self._hits.append((owner, place + self._size, weight))
        self._size += len(kept)
        self.counts.index_add_(0, owner, torch.ones_like(owner))
        self._sum.index_add_(0, owner, weight)
        self._largest.scatter_reduce_(0, owner, weight, "amax")

    def draw(self, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Codes and values of `draws` candidates of each row in a row, by weight and in random order."""
        codes, values = torch.cat(self._codes), torch.cat(self._values)
        owner, place, weight = (torch.cat(part) for part in zip(*self._hits, strict=True))
        mixed = torch.rand(len(owner), generator=generator, device=generator.device).argsort().cpu()
        mixed = mixed[owner[mixed].argsort(stable=True)]
        ends = self.counts.cumsum(0)
        chosen = []
        for row, end in enumerate(ends.tolist()):
            mine = mixed[end - int(self.counts[row]) : end]
            steps = torch.rand(1, generator=generator, device=generator.device, dtype=torch.float64).cpu()
            steps = (torch.arange(self._draws) + steps) / self._draws
            cumulative = weight[mine].cumsum(0)
            picked = torch.searchsorted(cumulative, steps * cumulative[-1], right=True).clamp(max=len(mine) - 1)
            shuffled = torch.rand(self._draws, generator=generator, device=generator.device).argsort().cpu()
            chosen.append(place[mine[picked[shuffled]]])
        index = torch.cat(chosen)
        return codes[index], values[index]


def as_given(drawn: Batch, told: Batch) -> Batch:
    """The draws, with what was observed exactly as it was given."""
    known = told.status.cpu() == Status.OBSERVED
    parts = [
        torch.where(known, getattr(told, name).cpu().to(getattr(drawn, name).dtype), getattr(drawn, name))
        for name in ("codes", "values", "lower", "width")
    ]
    return Batch(parts[0], parts[1], parts[2], parts[3], drawn.status)
