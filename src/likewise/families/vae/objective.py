"""What encoder and decoder make small: the negative bound from one latent a record, or from several by importance."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from likewise.events import Batch
from likewise.families.vae.bounds import (
    doubly_reparameterised,
    log_mean_exp,
    standard_log_density,
    standard_noise,
    with_free_bits,
)

if TYPE_CHECKING:
    from likewise.families.vae.family import VAEFamily


def negative_bound(family: VAEFamily, batch: Batch, shown: Tensor, weight: float, generator: torch.Generator) -> Tensor:
    """The mean over records of minus the bound of log p(shown entries), in nats, the divergence taken `weight` times.

    The encoder sees what is `shown` (B, E).
    """
    settings, size = family.settings, len(batch)
    posterior, samples = family._posterior(batch, shown, generator), settings["importance_samples"]
    if samples == 1:
        latent = posterior.latent(standard_noise(posterior.mean.shape, generator))
        likely = family.heads.log_joint(family._decoded(latent, batch, generator), batch, shown)
        return weight * with_free_bits(posterior.divergence(), settings["free_bits"]) - likely.mean()
    several, doubly = posterior.unsqueeze(), settings["doubly_reparameterised"]
    latent = several.latent(standard_noise((size, samples, family.latent_size), generator))
    repeated = batch.repeat(samples)
    raw = family._decoded(latent.flatten(0, 1), repeated, generator)
    likely = family.heads.log_joint(raw, repeated, shown.repeat_interleave(samples, 0))
    density = (several.detach() if doubly else several).log_density(latent)
    log_weight = likely.view(size, -1) + weight * (standard_log_density(latent) - density)
    return -(doubly_reparameterised(latent, log_weight) if doubly else log_mean_exp(log_weight).mean())
