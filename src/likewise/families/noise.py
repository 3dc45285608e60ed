"""Noise that belongs to a record: a function of the seed and of what is known of that record alone."""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor

from likewise.events import Batch, Status


def record_noise(batch: Batch, seed: int, shape: tuple[int, ...]) -> Tensor:
    """Uniform noise (B, *shape) in float64: a record's own, whoever its neighbours are and however large the batch."""
    if not len(batch):
        return torch.zeros((0, *shape), dtype=torch.float64)
    generators = record_generator(batch, seed)
    return torch.stack([torch.rand(shape, generator=noise, dtype=torch.float64) for noise in generators])


def record_generator(batch: Batch, seed: int) -> list[torch.Generator]:
    """A generator for each record."""
    return [_generator(batch, row, seed) for row in range(len(batch))]


def _generator(batch: Batch, row: int, seed: int) -> torch.Generator:
    digest = hashlib.sha256(str(seed).encode())
    parts = [batch.codes, batch.lower, batch.width, batch.status]
    for i, allowed in sorted(batch.restrictions.items()):
        if batch.status[row, i] == Status.RESTRICTED:
            parts += [allowed.codes, allowed.intervals]
    for part in parts:
        digest.update(part[row].cpu().numpy().tobytes())
    return torch.Generator().manual_seed(int.from_bytes(digest.digest()[:8], "little") >> 1)
