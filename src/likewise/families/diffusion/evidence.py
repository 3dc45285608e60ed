"""Draws of whole records under evidence, and the probabilities of sets."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from likewise.events import Batch, Status
from likewise.families.diffusion.codes import draw_codes
from likewise.families.effective import refuse_few
from likewise.families.family import Draws
from likewise.families.noise import record_generator
from likewise.families.rejection import as_given, inside
from likewise.mathematics.monotone import EDGE
from likewise.mathematics.resampling import LEAST_EFFECTIVE, effective_sizes, resample_shuffled
from likewise.mathematics.samplers import inpainted, last, start

if TYPE_CHECKING:
    from likewise.families.diffusion.family import DiffusionFamily

FIRST, GROWTH, ROUNDS = 8, 8, 3
"""Candidates for each draw under sets, by how much they grow where too few agree, and how often they may."""

TILE = 4096
"""Records drawn at once: of twice as many, what layers hold is so large that memory is asked for anew at every step."""


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
        return Draws(as_given(drawn(family, evidence.repeat(draws), generator)[0], evidence.repeat(draws)))
    batches: list[Batch | None] = [None] * len(evidence)
    worth = torch.full((len(evidence),), float(draws), dtype=torch.float64)
    for row in range(len(evidence)):
        one = evidence.rows(torch.tensor([row]))
        if restricted[row]:
            batches[row], worth[row] = _within(family, one, draws, generator)
        else:
            batches[row] = drawn(family, one.repeat(draws), generator)[0]
    return Draws(as_given(Batch.join([part for part in batches if part is not None]), evidence.repeat(draws)), worth)


def _within(family: DiffusionFamily, one: Batch, draws: int, generator: torch.Generator) -> tuple[Batch, float]:
    """`draws` records for one record of evidence with sets, and how many independent ones they are worth."""
    size = FIRST * max(draws, int(LEAST_EFFECTIVE))
    batch, log_weight = drawn(family, one.repeat(size), generator)
    for _ in range(ROUNDS):
        effective = float(effective_sizes(log_weight, len(log_weight)))
        if effective >= max(draws, LEAST_EFFECTIVE):
            break
        more, weight = drawn(family, one.repeat((GROWTH - 1) * size), generator)
        batch, log_weight = Batch.join([batch, more]), torch.cat([log_weight, weight])
        size = len(batch)
    sizes = effective_sizes(log_weight, len(log_weight))
    refuse_few(sizes, len(log_weight), min(LEAST_EFFECTIVE, draws))
    picked = resample_shuffled(log_weight, len(log_weight), draws, generator)
    return batch.rows(picked), min(float(sizes), float(draws))


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
        _, log_weight = drawn(family, batch.rows(torch.tensor([row])).repeat(candidates), noise)
        weight = log_weight.exp()
        mean = max(float(weight.mean()), 0.5 / candidates)
        level[row] = math.log(mean)
        error[row] = max(float(weight.std()), math.sqrt(mean * max(1 - mean, 0.0))) / mean / math.sqrt(candidates)
    return level, error


def drawn(family: DiffusionFamily, told: Batch, generator: torch.Generator) -> tuple[Batch, Tensor]:
    """A whole record for each record of evidence, and the logarithms (B,) of their weights."""
    parts = [_at_once(family, tile, generator) for tile in told.tiles(TILE)]
    if not parts:
        return Batch.unknown(family.event, 0), torch.zeros(0, dtype=torch.float64)
    return Batch.join([batch for batch, _ in parts]), torch.cat([weight for _, weight in parts])


def _at_once(family: DiffusionFamily, told: Batch, generator: torch.Generator) -> tuple[Batch, Tensor]:
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
    return batch, torch.where(inside(family.event, told, batch), log_weight, -torch.inf)


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
