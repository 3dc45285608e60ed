"""Draws of whole records under evidence: latents from their posterior, then what is not known from the heads."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from likewise.events import Batch
from likewise.families.effective import refuse_few
from likewise.families.family import Draws
from likewise.families.vae.scores import log_likelihood, proposals
from likewise.mathematics.annealing import PARTICLES, anneal
from likewise.mathematics.resampling import LEAST_EFFECTIVE, effective_sizes, resample_shuffled

if TYPE_CHECKING:
    from likewise.families.vae.family import VAEFamily

CANDIDATES = 1024
"""Latents proposed for each record of evidence, and at least sixteen times the draws."""

ENOUGH = 100
"""Proposed latents are taken where their effective sample size is at least this."""

TILE = 16384
"""Latents held in memory at once."""

SETTLE, MOST_MOVES = 1, 20
"""Of annealing: see `anneal`."""


def conditional(family: VAEFamily, evidence: Batch, draws: int, generator: torch.Generator) -> Draws:
    """`draws` whole records for each record of evidence, with their effective sample sizes.

    Given a latent, evidence has an exact probability, whatever it says. Latents are proposed by the encoder and the
    prior together and resampled; where few of them carry weight, they come by sequential Monte Carlo from the prior.

    Parameters
    ----------
    family : VAEFamily
        In double precision.
    """
    candidates = max(CANDIDATES, 16 * draws)
    batches, sizes = [], []
    for tile in evidence.tiles(max(1, TILE // candidates)):
        latent, effective = _proposed(family, tile, candidates, draws, generator)
        lost = effective < ENOUGH
        if bool(lost.any()):
            found, effective[lost] = _annealed(family, tile.rows(lost), draws, generator)
            latent = latent.view(len(tile), draws, -1).masked_scatter(lost[:, None, None], found).flatten(0, 1)
        batches.append(family._emit(latent, tile.repeat(draws), generator))
        sizes.append(effective.clamp(max=draws))
    return Draws(Batch.join(batches), torch.cat(sizes)) if batches else Draws(Batch.unknown(family.event, 0))


def _proposed(
    family: VAEFamily, tile: Batch, candidates: int, draws: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Latents (B * draws, d) by importance, and the effective sample sizes (B,) of what they were chosen from."""
    shape = (len(tile), candidates, family.latent_size + 1)
    uniform = torch.rand(shape, generator=generator, dtype=torch.float64)
    latent, log_weight = proposals(family, tile, uniform)
    size = effective_sizes(log_weight.flatten(), candidates)
    picked = resample_shuffled(log_weight.flatten(), candidates, draws, generator)
    return latent.flatten(0, 1)[picked], size


def _annealed(family: VAEFamily, lost: Batch, draws: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Latents (B, draws, d) by annealing, and their effective sample sizes (B,)."""
    particles = max(PARTICLES, draws)
    context = family._context(lost)
    context = None if context is None else context.repeat_interleave(particles, 0)

    def latents(u: Tensor) -> Tensor:
        return family.prior.transport(torch.special.ndtr(u).clamp(1e-15, 1 - 1e-15), context)

    found = anneal(
        lambda u: log_likelihood(family, lost, latents(u)),
        len(lost),
        particles,
        family.latent_size + 1,
        generator,
        settle=SETTLE,
        most_moves=MOST_MOVES,
    )
    refuse_few(found.effective_sample_size, particles, min(LEAST_EFFECTIVE, draws))
    latent = latents(found.points.flatten(0, 1)).view(len(lost), particles, -1)
    return latent[:, :draws], found.effective_sample_size
