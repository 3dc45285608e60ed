"""How well latents explain what is known of records, and the bounds of log p that follow."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from likewise.events import Batch, Status
from likewise.families.family import LogProb
from likewise.families.noise import record_noise
from likewise.families.tiles import padded
from likewise.families.vae.bounds import Posterior, log_mean_exp, relative_error
from likewise.families.vae.priors import Prior, normal

if TYPE_CHECKING:
    from likewise.families.vae.family import VAEFamily

DEFENSIVE = 0.125
"""The share of proposed latents that are the prior's."""

ROWS, TILE = 4096, 64
"""Latents decoded together when records are scored, and records, at most."""


def log_likelihood(family: VAEFamily, evidence: Batch, latent: Tensor) -> Tensor:
    """log p(evidence | z) (B * S,), exact: `latent` (B * S, d) has S rows for each record, one after another."""
    repeated = evidence.repeat(len(latent) // len(evidence))
    raw = family._decoded(latent, repeated)
    found = family.heads.log_joint(raw, repeated, repeated.status == Status.OBSERVED)
    for i, allowed in repeated.restrictions.items():
        inside = family.heads.entry(i, raw).log_set(allowed)
        found = found + torch.where(repeated.status[:, i] == Status.RESTRICTED, inside, torch.zeros_like(inside))
    return found


def log_weights(
    family: VAEFamily, batch: Batch, posterior: Posterior, noise: Tensor, beta: float, prior: Prior
) -> Tensor:
    """log p(x | z) + beta (log p(z) - log q(z | x)) (B, S) at the latents that `noise` (B, S, d) makes of q."""
    several = posterior.unsqueeze()
    latent = several.latent(noise)
    rows, shape = latent.flatten(0, 1), latent.shape[:2]
    context = family._context(batch)
    context = None if context is None else context.repeat_interleave(shape[1], 0)
    divergence = prior.log_density(rows, context).view(shape) - several.log_density(latent)
    return log_likelihood(family, batch, rows).view(shape) + beta * divergence


def proposals(family: VAEFamily, batch: Batch, uniform: Tensor) -> tuple[Tensor, Tensor]:
    """Latents (B, S, d) made of noise (B, S, d + 1), some by the prior, most by q(z | x), and log-weights (B, S).

    Whichever a latent came from, its proposal counts as the mixture of the two, in the shares of their numbers (Veach
    and Guibas 1995; Owen and Zhou 2000): no weight exceeds S / S_prior times p(x | z), however narrow a posterior the
    encoder tells.
    """
    several = family._posterior(batch, family._known(batch)).unsqueeze()
    size = uniform.shape[1]
    from_prior = int(DEFENSIVE * size)
    latent = several.latent(normal(uniform[..., 1:]))
    context = family._context(batch)
    if from_prior:
        some = None if context is None else context.repeat_interleave(from_prior, 0)
        drawn = family.prior.transport(uniform[:, :from_prior].flatten(0, 1), some)
        latent = torch.cat([drawn.view(len(batch), from_prior, -1), latent[:, from_prior:]], 1)
    rows, every = latent.flatten(0, 1), None if context is None else context.repeat_interleave(size, 0)
    prior = family.prior.log_density(rows, every).view(len(batch), size)
    proposal = several.log_density(latent) + math.log1p(-from_prior / size)
    if from_prior:
        proposal = torch.logaddexp(proposal, prior + math.log(from_prior / size))
    return latent, log_likelihood(family, batch, rows).view(len(batch), size) + prior - proposal


def bounds(family: VAEFamily, batch: Batch, seed: int) -> LogProb:
    """Bounds of records whose labels are known where the decoder is told them, with noise from hash(seed, record).

    Parameters
    ----------
    family : VAEFamily
        In double precision, and so are the records.
    """
    values, errors = [batch.values.new_zeros(0)], [batch.values.new_zeros(0)]
    samples = family.settings["score_importance_samples"]
    for tile, kept in padded(batch, max(1, min(TILE, ROWS // samples))):
        own = record_noise(tile.rows(slice(0, kept)), seed, (samples, family.latent_size + 1)).to(tile.values.device)
        _, log_weight = proposals(family, tile, own[torch.arange(len(tile)).clamp(max=kept - 1)])
        values.append(log_mean_exp(log_weight)[:kept])
        errors.append(relative_error(log_weight)[:kept])
    scored = batch if family.labels is None else batch.hide(family.event.label_entries)
    return LogProb(torch.cat(values) + family.event.log_share(scored), "bound", torch.cat(errors))
