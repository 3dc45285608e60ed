"""Tiles of one size, so that what is computed of a record never depends on how many others there are."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from likewise.events import Batch


def padded(batch: Batch, size: int) -> Iterator[tuple[Batch, int]]:
    """The batch in tiles of exactly `size` records, the last one filled up, and how many of each are meant."""
    for tile in batch.tiles(size):
        kept = len(tile)
        index = torch.arange(size, device=batch.codes.device).clamp(max=kept - 1)
        yield tile.rows(index), kept
