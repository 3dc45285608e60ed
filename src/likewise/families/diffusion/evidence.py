"""Draws of whole records under evidence, and the probabilities of sets."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from likewise.events import Batch, Event, Status
from likewise.families.diffusion.codes import draw_codes
from likewise.families.effective import refuse_few
from likewise.families.family import Draws
from likewise.families.noise import record_generator
from likewise.families.rejection import as_given
from likewise.mathematics.monotone import EDGE
from likewise.mathematics.resampling import LEAST_EFFECTIVE, effective_sizes, resample_shuffled
from likewise.mathematics.samplers import inpainted, last, start

if TYPE_CHECKING:
    from likewise.families.diffusion.family import DiffusionFamily

FIRST, GROWTH, ROUNDS = 8, 8, 3
"""Candidates for each draw under sets, by how much they grow where too few agree, and how often they may."""

TILE = 8192
"""Records drawn at once."""


def conditional(family: DiffusionFamily, evidence: Batch, draws: int, generator: torch.Generator) -> Draws:
    """`draws` whole records for each record of evidence.

    What is observed is shown to the denoiser, which has learned to answer for any such evidence: draws are exact in
    that model and independent. Sets are met by importance: candidates are drawn within the sets of codes, weighted by
    the probability of these along the way, and kept where their values lie within.
    """
    if not len(evidence):
        return Draws(Batch.unknown(family.event, 0))
    restricted = (evidence.status == Status.RESTRICTED).any(1)
    if not bool(restricted.any()):
        return Draws(as_given(_drawn(family, evidence.repeat(draws), generator)[0], evidence.repeat(draws)))
    batches: list[Batch | None] = [None] * len(evidence)
    worth = torch.full((len(evidence),), float(draws), dtype=torch.float64)
    for row in range(len(evidence)):
        one = evidence.rows(torch.tensor([row]))
        if restricted[row]:
            batches[row], worth[row] = _within(family, one, draws, generator)
        else:
            batches[row] = _drawn(family, one.repeat(draws), generator)[0]
    return Draws(as_given(Batch.join([part for part in batches if part is not None]), evidence.repeat(draws)), worth)


def _within(family: DiffusionFamily, one: Batch, draws: int, generator: torch.Generator) -> tuple[Batch, float]:
    """`draws` records for one record of evidence with sets, and how many independent ones they are worth."""
    size = FIRST * max(draws, int(LEAST_EFFECTIVE))
    drawn, log_weight = _drawn(family, one.repeat(size), generator)
    for _ in range(ROUNDS):
        effective = float(effective_sizes(log_weight, len(log_weight)))
        if effective >= max(draws, LEAST_EFFECTIVE):
            break
        more, weight = _drawn(family, one.repeat((GROWTH - 1) * size), generator)
        drawn, log_weight = Batch.join([drawn, more]), torch.cat([log_weight, weight])
        size = len(drawn)
    sizes = effective_sizes(log_weight, len(log_weight))
    refuse_few(sizes, len(log_weight), min(LEAST_EFFECTIVE, draws))
    picked = resample_shuffled(log_weight, len(log_weight), draws, generator)
    return drawn.rows(picked), min(float(sizes), float(draws))


def log_sets(family: DiffusionFamily, batch: Batch, candidates: int, seed: int) -> tuple[Tensor, Tensor]:
    """Estimated log-probabilities (B,) of the sets given what is observed, with their standard errors.

    Each record has noise of its own. Where no candidate lies within, half of one is counted.
    """
    level = torch.zeros(len(batch), dtype=torch.float64)
    error = torch.zeros_like(level)
    restricted = (batch.status == Status.RESTRICTED).any(1).tolist()
    for row, (noise, meant) in enumerate(zip(record_generator(batch, seed), restricted, strict=True)):
        if not meant:
            continue
        _, log_weight = _drawn(family, batch.rows(torch.tensor([row])).repeat(candidates), noise)
        weight = log_weight.exp()
        mean = max(float(weight.mean()), 0.5 / candidates)
        level[row] = math.log(mean)
        error[row] = max(float(weight.std()), math.sqrt(mean * max(1 - mean, 0.0))) / mean / math.sqrt(candidates)
    return level, error


def _drawn(family: DiffusionFamily, told: Batch, generator: torch.Generator) -> tuple[Batch, Tensor]:
    """A whole record for each record of evidence, and the logarithm of its weight."""
    parts = [drawn(family, tile, generator) for tile in told.tiles(TILE)]
    return Batch.join([batch for batch, _ in parts]), torch.cat([weight for _, weight in parts])


def drawn(family: DiffusionFamily, told: Batch, generator: torch.Generator) -> tuple[Batch, Tensor]:
    """The same, all of them at once."""
    known = family.known(told)
    codes, log_weight = draw_codes(family, told, known, known, generator)
    values = told.values.double().clone()
    if family.values:
        at = family.values
        if family.conditioning == "inpainting" and bool(known[:, at].any()):
            found = _inpainted(family, told, codes, known, generator)
        else:
            found = last(family.draw_values(told, codes, known, generator))
        # What a value would be where no record was ever seen is cut off.
        found = found.double().nan_to_num(0.0).clamp(-EDGE, EDGE)
        values[:, at] = torch.where(known[:, at], values[:, at], found)
    batch = family.event.complete(codes, values)
    return batch, torch.where(_inside(family.event, told, batch), log_weight, -torch.inf)


def _inpainted(
    family: DiffusionFamily, told: Batch, codes: Tensor, known: Tensor, generator: torch.Generator
) -> Tensor:
    """Values (B, V) by a denoiser that is shown no exact one: the known ones are put in on the way."""
    records = Batch(codes, told.values, told.lower, told.width, told.status)
    present, shown = family.event.present(codes)[:, family.values], torch.ones_like(known)
    noise = torch.randn(present.shape, generator=generator, device=generator.device).to(family.denoiser.centres)

    levels, given = family.schedule.levels(family.steps), told.values[:, family.values].to(noise)
    y = start(noise, float(levels[0]))
    denoise = family.seeing(records, shown, present)
    return inpainted(denoise, y, levels, given, known[:, family.values], family.resamplings, generator)


def _inside(event: Event, told: Batch, drawn: Batch) -> Tensor:
    """Which records (B,) lie within the sets of their evidence."""
    found = torch.ones(len(drawn), dtype=torch.bool)
    for i, allowed in told.restrictions.items():
        codes = drawn.codes[:, i]
        inside = allowed.codes.gather(1, codes.unsqueeze(1))[:, 0]
        if event.all[i].value is not None:
            z = drawn.values[:, i : i + 1].double()
            within = ((z >= allowed.intervals[:, :, 0]) & (z <= allowed.intervals[:, :, 1])).any(1)
            inside = inside & (within | (codes != 0))
        found &= inside | (told.status[:, i] != Status.RESTRICTED)
    return found
