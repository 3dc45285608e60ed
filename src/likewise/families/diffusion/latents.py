"""Deterministic latents: codes as normal scores of their conditionals, values along the probability flow."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from likewise.events import Batch
from likewise.families.code_scores import code_at, score_of
from likewise.mathematics.probability_flow import transport
from likewise.mathematics.schedules import even_levels

if TYPE_CHECKING:
    from likewise.families.diffusion.family import DiffusionFamily


def encode(family: DiffusionFamily, batch: Batch) -> Tensor:
    """Latents (B, d) of records whose values are known; a code that is not known is put at its median, 0."""
    codes, known = batch.codes.clone(), family.known(batch)
    scores = torch.zeros(len(batch), len(family.coded), dtype=torch.float64, device=codes.device)

    def read(k: int, i: int, cumulative: Tensor) -> None:
        score = score_of(codes[:, i], cumulative)
        scores[:, k] = torch.where(known[:, i], score, 0.0)
        codes[:, i] = torch.where(known[:, i], codes[:, i], code_at(torch.full_like(score, 0.5), cumulative))

    _walk(family, codes, read)
    if not family.values:
        return scores
    present = family.event.present(codes)[:, family.values]
    x = batch.values[:, family.values].double() * present
    z = transport(_denoiser(family, codes, present), x, _levels(family))
    return torch.cat([scores, torch.where(present, z, 0.0)], 1)


def decode(family: DiffusionFamily, latent: Tensor) -> Batch:
    """The records at latents (B, d): the inverse of `encode`."""
    latent = latent.double()
    count = len(family.coded)
    codes = torch.zeros(len(latent), len(family.event), dtype=torch.int64, device=latent.device)
    level = torch.special.ndtr(latent[:, :count])

    def choose(k: int, i: int, cumulative: Tensor) -> None:
        codes[:, i] = code_at(level[:, k], cumulative)

    _walk(family, codes, choose)
    values = torch.zeros(codes.shape, dtype=torch.float64, device=latent.device)
    if family.values:
        present = family.event.present(codes)[:, family.values]
        back = transport(_denoiser(family, codes, present), latent[:, count:] * present, _levels(family)[::-1])
        values[:, family.values] = back * present
    return family.event.complete(codes, values)


def _levels(family: DiffusionFamily) -> list[float]:
    return even_levels(family.schedule.least, family.schedule.greatest, family.flow_steps)


def _denoiser(family: DiffusionFamily, codes: Tensor, present: Tensor) -> Callable[[Tensor, float], Tensor]:
    batch = family.event.complete(codes, torch.zeros(codes.shape, dtype=torch.float64, device=codes.device))
    seeing = family.seeing(batch, torch.ones_like(codes, dtype=torch.bool), present)

    def denoise(y: Tensor, level: float) -> Tensor:
        return torch.where(present, seeing(y, level), y / (1 + level * level))

    return denoise


def _walk(family: DiffusionFamily, codes: Tensor, step: Callable[[int, int, Tensor], None]) -> None:
    """Goes through the codes in the order of their entries, each told those before; `step` writes into `codes`."""
    known = torch.ones_like(codes, dtype=torch.bool)
    known[:, family.coded] = False
    nothing = torch.zeros_like(known)
    zero = torch.zeros(codes.shape, dtype=torch.float64, device=codes.device)
    for k, i in enumerate(family.coded):
        logits = family.logits(codes, zero, known, nothing)
        share = torch.softmax(family.reader.log_codes(i, logits)[:, : family.event.all[i].seen].double(), 1)
        step(k, i, share.cumsum(1))
        known[:, i] = True
