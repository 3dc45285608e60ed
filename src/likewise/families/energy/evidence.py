"""Answers under evidence: the base answers exactly, and exp(f) weighs its answers."""

from __future__ import annotations

import copy
import itertools
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from likewise.events import Batch, Status
from likewise.families.bayesian_network.discrete.network import by_evidence
from likewise.families.effective import refuse_few
from likewise.families.family import Draws, LogProb
from likewise.families.noise import record_generator
from likewise.families.tiles import padded
from likewise.mathematics.annealed_importance import log_mean
from likewise.mathematics.resampling import LEAST_EFFECTIVE, effective_sizes, resample_shuffled

if TYPE_CHECKING:
    from likewise.families.energy.family import EnergyFamily

SCORE_TILE = 128
"""Records scored together. Always the same number, so that a score never depends on its neighbours."""

ENUMERATED = 128
"""Unknown codes of at most so many joint states are summed out."""

IMPORTANCE = 512
"""Records of the base given the evidence, over which other unknown entries are averaged."""

CONDITIONED = 1024
"""Candidates for each record of evidence; eight for each draw, if that is more."""

TILE = 1 << 16
"""Candidates weighed at once."""


def unnormalised(family: EnergyFamily, batch: Batch, seed: int) -> LogProb:
    """log base(x) + f(x) in float64, with unknown entries summed out: log base(e) + log E[exp f(x) | e] over the base.

    Unknown codes of few joint states are summed out exactly. Other unknown or restricted entries are averaged over
    draws of the base, with noise from hash(seed, record) and a standard error. A state that no training record had has
    its reserved probability whatever the others are, so it is unknown to f.
    """
    precise = copy.deepcopy(family.energy).double().eval()
    batch = batch.to(dtype=torch.float64)
    values, errors = batch.values.new_zeros(len(batch)), batch.values.new_zeros(len(batch))
    unseen = family.event.unseen(batch.codes) & (batch.status == Status.OBSERVED)
    told = _hidden(batch, unseen)
    for rows in by_evidence(told.status) if len(batch) else []:
        part = told.rows(rows)
        status = part.status[0]
        free = (status == Status.UNKNOWN).nonzero().squeeze(1).tolist()
        restricted = bool((status == Status.RESTRICTED).any())
        states = _states(family, free)
        if not free and not restricted:
            values[rows] = _whole(family, precise, part)
        elif not restricted and states is not None:
            values[rows] = _enumerated(family, precise, part, free, states)
        else:
            values[rows], errors[rows] = _averaged(family, precise, part, seed)
    reserved = torch.tensor([e.reserved if e.unseen is not None else 1.0 for e in family.event.all])
    values = values + (unseen * reserved.double().log().to(values.device)).sum(1)
    shares = torch.where(unseen, batch.width, torch.ones_like(batch.width)).log().sum(1)
    return LogProb(values + shares, "unnormalised", errors)


def _hidden(batch: Batch, at: Tensor) -> Batch:
    """The records with these entries (B, E) unknown."""
    parts = [
        torch.where(at, torch.full_like(part, blank), part)
        for part, blank in ((batch.codes, 0), (batch.values, 0), (batch.lower, 0), (batch.width, 1))
    ]
    status = torch.where(at, torch.full_like(batch.status, int(Status.UNKNOWN)), batch.status)
    return Batch(parts[0], parts[1], parts[2], parts[3], status, batch.restrictions)


def _states(family: EnergyFamily, free: list[int]) -> list[tuple[int, ...]] | None:
    """The joint states of entries without values, where they are few; None elsewhere."""
    entries, size = [family.event.all[i] for i in free], 1
    for entry in entries:
        size *= entry.seen
        if entry.value is not None or size > ENUMERATED:
            return None
    return list(itertools.product(*(range(entry.seen) for entry in entries)))


def _whole(family: EnergyFamily, precise: torch.nn.Module, part: Batch) -> Tensor:
    """log base(x) + f(x) (B,) of fully observed records."""
    f = [precise(family._view.dense(tile))[:kept] for tile, kept in padded(part, SCORE_TILE)]
    return family.base.log_prob(part) + torch.cat(f)


def _enumerated(
    family: EnergyFamily, precise: torch.nn.Module, part: Batch, free: list[int], states: list[tuple[int, ...]]
) -> Tensor:
    each = []
    for state in states:
        codes, status = part.codes.clone(), part.status.clone()
        codes[:, free], status[:, free] = torch.tensor(state, device=codes.device), int(Status.OBSERVED)
        each.append(_whole(family, precise, Batch(codes, part.values, part.lower, part.width, status)))
    entries = [family.event.all[i] for i in free]
    left = sum(torch.tensor(1 - e.reserved).double().log().item() for e in entries if e.unseen is not None)
    return torch.logsumexp(torch.stack(each, 1), 1) - left


def _averaged(family: EnergyFamily, precise: torch.nn.Module, part: Batch, seed: int) -> tuple[Tensor, Tensor]:
    """log base(e) + log E[exp f | e] and its standard error, each (B,)."""
    levels = []
    for row, generator in enumerate(record_generator(part, seed)):
        drawn = family.base.conditional(part.rows(slice(row, row + 1)), IMPORTANCE, generator)
        levels.append(precise(family._view.dense(drawn.to(dtype=torch.float64))))
    level, error = log_mean(torch.stack(levels))
    return family.base.log_prob(part) + level, error


def conditional(family: EnergyFamily, evidence: Batch, draws: int, generator: torch.Generator) -> Draws:
    """`draws` records for each record of evidence: draws of the base given it, chosen by exp(f), then moved.

    Moves change unknown entries only, and keep the conditional distribution.

    Returns
    -------
    Draws
        With the effective sample size of the weights exp(f), at most `draws`.

    Raises
    ------
    DataError
        With the figures, where it is below `LEAST_EFFECTIVE` and below `draws`.
    """
    candidates = max(CONDITIONED, 8 * draws)
    parts, sizes = [], []
    for tile in evidence.tiles(max(1, TILE // candidates)):
        drawn = family.base.conditional(tile, candidates, generator)
        log_weight = family.energy(family._view.dense(drawn).float()).double()
        effective = effective_sizes(log_weight, candidates)
        refuse_few(effective, candidates, min(LEAST_EFFECTIVE, draws))
        kept = drawn.rows(resample_shuffled(log_weight, candidates, draws, generator))
        told = tile.repeat(draws)
        target = family._target(free=told.status == Status.UNKNOWN)
        points = target.run(target.points(kept, generator), family.moves, family.log_step.clone(), generator)
        moved, free = target.records(points), target.free
        assert free is not None
        fields = [
            torch.where(free, getattr(moved, name).to(getattr(kept, name).dtype), getattr(kept, name))
            for name in ("codes", "values", "lower", "width")
        ]
        parts.append(Batch(fields[0], fields[1], fields[2], fields[3], kept.status))
        sizes.append(effective.clamp(max=draws))
    if not parts:
        return Draws(Batch.unknown(family.event, 0))
    return Draws(Batch.join(parts), torch.cat(sizes))
