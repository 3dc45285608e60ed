"""Records to latent coordinates and back, and paths between two points of a latent space."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from likewise.errors import DataError
from likewise.events import Batch
from likewise.families.family import Family, Latent

Array = np.ndarray[Any, np.dtype[np.float64]]

Path = Literal["linear", "spherical"]

TILE = 8192
"""Records handed to a family at once."""

ALIGNED = 1e-9
"""Two directions whose difference, or sum, is shorter than this count as one line."""


def encode(family: Family, batch: Batch) -> Array:
    """The latent coordinates of a batch, float64 (n, d)."""
    assert isinstance(family, Latent)
    with torch.inference_mode():
        parts = [family.encode(tile).double().cpu() for tile in batch.tiles(TILE)]
    return np.ascontiguousarray(torch.cat(parts).numpy(), dtype=np.float64)


def decode(family: Family, latents: Any) -> Batch:
    """The records at latent coordinates (n, d).

    Raises
    ------
    DataError
        When they are no array of numbers of that shape, or one of them is not finite.
    """
    assert isinstance(family, Latent)
    points = check_latents(latents, family.latent_size)
    with torch.inference_mode():
        return Batch.join([family.decode(points[at : at + TILE]) for at in range(0, len(points), TILE)])


def check_latents(latents: Any, size: int) -> Tensor:
    """Latent coordinates as a float64 tensor (n, size), n at least 1."""
    try:
        points = np.asarray(latents, dtype=np.float64)
    except (TypeError, ValueError):
        raise DataError(f"Latents must be an array of numbers of shape (n, {size}).") from None
    if points.ndim != 2 or points.shape[1] != size or not len(points):
        raise DataError(f"Latents have the shape {points.shape}; expected (n, {size}), a row for each record.")
    wrong = np.argwhere(~np.isfinite(points))
    if len(wrong):
        row, column = wrong[0]
        found = points[row, column]
        raise DataError(f"Latent {column + 1} of row {row + 1} is {found}; expected finite numbers.")
    return torch.from_numpy(np.array(points))


def path(start: Array, end: Array, steps: int, kind: Path = "linear") -> Array:
    """`steps` points on the way from each row of `start` (n, d) to its row of `end`, both ends counted: (n, steps, d).

    Parameters
    ----------
    kind : "linear" or "spherical"
        A straight line; or the great circle between the two directions (Shoemake 1985) while the norm goes from one to
        the other, which stays where a normal prior of many dimensions has its mass (White 2016).

    Examples
    --------
    >>> path(np.array([[2.0, 0.0]]), np.array([[0.0, 4.0]]), 3, "spherical").round(3).tolist()
    [[[2.0, 0.0], [2.121, 2.121], [0.0, 4.0]]]
    """
    if kind not in ("linear", "spherical"):
        raise DataError(f"path must be 'linear' or 'spherical', not {kind!r}.")
    if len(start) != len(end):
        raise DataError(f"a has {len(start)} records and b has {len(end)}; expected as many.")
    if steps < 2:
        raise DataError(f"steps must be at least 2, since both ends are counted; got {steps}.")
    share = np.linspace(0.0, 1.0, steps)[None, :, None]
    points = (1.0 - share) * start[:, None] + share * end[:, None]
    if kind == "spherical":
        arcs, curved = _arcs(start, end, share)
        points = np.where(curved[:, None, None], arcs, points)
    points[:, 0], points[:, -1] = start, end
    return points


def _arcs(start: Array, end: Array, share: Array) -> tuple[Array, Any]:
    """Points of the great circles, and which pairs have one, (n,) bool.

    A pair with the origin in it, and opposite points of a single dimension, have none. Opposite points have many: the
    circle then goes through the axis that they stand most upright on.
    """
    lengths = [np.linalg.norm(part, axis=1, keepdims=True) for part in (start, end)]
    curved = (np.minimum(*lengths) > 0.0)[:, 0]
    first, last = (
        part / np.where(length > 0.0, length, 1.0) for part, length in zip((start, end), lengths, strict=True)
    )
    angle = 2.0 * np.arctan2(np.linalg.norm(first - last, axis=1), np.linalg.norm(first + last, axis=1))
    aside = last - (first * last).sum(1, keepdims=True) * first
    on_a_line = np.linalg.norm(aside, axis=1) < ALIGNED
    if on_a_line.any():
        axis = np.eye(start.shape[1])[np.abs(first).argmin(1)]
        upright = axis - (first * axis).sum(1, keepdims=True) * first
        aside = np.where(on_a_line[:, None], upright, aside)
    length = np.linalg.norm(aside, axis=1, keepdims=True)
    curved &= length[:, 0] > 0.0
    aside = aside / np.where(length > 0.0, length, 1.0)
    turn = share * angle[:, None, None]
    norm = (1.0 - share) * lengths[0][:, None] + share * lengths[1][:, None]
    return norm * (np.cos(turn) * first[:, None] + np.sin(turn) * aside[:, None]), curved
