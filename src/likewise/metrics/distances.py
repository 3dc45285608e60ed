"""Distances between all pairs in pieces: nearest neighbours, maximum mean discrepancy, energy distance."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from likewise.metrics.interval import Interval, NoFigure, around

Array = np.ndarray[Any, np.dtype[Any]]

PIECE = 2**23
"""Distances held at a time."""

_BLOCK = 128
_INFINITY = float("inf")


@dataclass(frozen=True)
class Discrepancies:
    """Unbiased distances between two distributions: around 0, and sometimes below, where they are the same.

    Attributes
    ----------
    mmd : Interval
        The squared maximum mean discrepancy (Gretton et al. 2012, equation 3) of the kernel exp(-d^2 / (2 s^2)), s the
        median distance between real points.
    energy : Interval
        2 E|X - Y| - E|X - X'| - E|Y - Y'| (Szekely and Rizzo 2013).
    """

    mmd: Interval
    energy: Interval


def squared(points: Array, among: Array, alike: bool = False) -> Iterator[tuple[slice, Tensor]]:
    """Squared Euclidean distances of a few points at a time to all others, float32 (rows, len(among)).

    The tensor is overwritten by the next piece. What float32 cannot tell from 0 is 0.

    Parameters
    ----------
    alike : bool
        The two are the same points, in the same order: the distance of a point to itself is infinite.
    """
    a, b = (torch.from_numpy(np.ascontiguousarray(part, np.float32)) for part in (points, among))
    centre = b.mean(0)
    if float(centre @ centre) > float((b[:1000] - centre).square().sum(1).mean()):  # far from 0, digits would cancel
        a, b = a - centre, b - centre
    norms_a, norms_b = torch.linalg.vector_norm(a, dim=1).square_(), torch.linalg.vector_norm(b, dim=1).square_()
    least = 2.0**-20 * float(torch.maximum(norms_a.amax(), norms_b.amax()))
    rows = max(1, min(PIECE // max(len(b), 1), len(a)))
    width = -(-len(b) // _BLOCK) * _BLOCK
    buffer = torch.full((rows, width), _INFINITY)
    for start in range(0, len(a), rows):
        stop = min(start + rows, len(a))
        piece = buffer[: stop - start, : len(b)]
        torch.addmm(norms_b[None], a[start:stop], b.T, alpha=-2.0, out=piece)
        piece += norms_a[start:stop, None]
        torch.threshold_(piece, least, 0.0)
        if alike:
            piece[torch.arange(stop - start), torch.arange(start, stop)] = _INFINITY
        yield slice(start, stop), piece


def neighbours(points: Array, among: Array, count: int = 1, *, alike: bool = False) -> tuple[Array, Array]:
    """Distances to the `count` nearest of `among` and their positions, (n, count) each, the nearest first.

    Distances are those of float64 arithmetic, so that records that are alike are at 0 exactly.

    Examples
    --------
    >>> distances, positions = neighbours(np.array([[0.0], [1.0]]), np.array([[0.0], [3.0], [1.5]]), 2)
    >>> positions.tolist(), distances.tolist()
    ([[0, 2], [2, 0]], [[0.0, 1.5], [0.5, 1.0]])
    """
    if count > len(among) - alike:
        raise NoFigure(f"there are no {count} neighbours among {len(among)} records")
    found: Array = np.empty((len(points), count), np.int64)
    for rows, piece in squared(points, among, alike):
        found[rows] = _smallest(piece, count).numpy()
    distances = np.empty(found.shape)
    for k in range(count):
        for start in range(0, len(points), 4096):
            rows = slice(start, start + 4096)
            gap = points[rows].astype(np.float64) - among[found[rows, k]]
            distances[rows, k] = np.sqrt(np.einsum("nd,nd->n", gap, gap))
    order = np.argsort(distances, axis=1, kind="stable")
    return np.take_along_axis(distances, order, 1), np.take_along_axis(found, order, 1)


def _smallest(piece: Tensor, count: int) -> Tensor:
    """The positions of the `count` smallest of each row: they lie in the `count` blocks of smallest minima."""
    rows, width = piece.shape
    blocks = -(-width // _BLOCK)
    if blocks <= count:
        return piece.topk(count, dim=1, largest=False).indices
    # A row of the buffer is padded with infinity to whole blocks.
    blocked = piece.as_strided((rows, blocks, _BLOCK), (piece.stride(0), _BLOCK, 1))
    nearest = blocked.amin(2).topk(count, dim=1, largest=False).indices
    within = blocked.gather(1, nearest[:, :, None].expand(-1, -1, _BLOCK)).reshape(rows, -1)
    at = within.topk(count, dim=1, largest=False).indices
    return nearest.gather(1, at // _BLOCK) * _BLOCK + at % _BLOCK


def typical_distance(points: Array, most: int = 2000) -> float:
    """The median distance between points, of the first `most`; 1 where most of them are alike."""
    first = points[:most]
    gaps = np.concatenate([piece.numpy().ravel() for _, piece in squared(first, first, alike=True)])
    median = float(np.sqrt(np.median(gaps[np.isfinite(gaps)])))
    return median if median > 0.0 else 1.0


def discrepancies(generated: Array, real: Array) -> Discrepancies:
    """Unbiased estimates with the intervals of the jackknife over points (Arvesen 1969 for two samples).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> near, far, real = rng.normal(size=(200, 2)), rng.normal(size=(200, 2)) + 2.0, rng.normal(size=(200, 2))
    >>> discrepancies(near, real).mmd.low < 0.0 < discrepancies(far, real).mmd.low
    True
    """
    if min(len(generated), len(real)) < 3:
        raise NoFigure("at least 3 records of each side are needed")
    scale = -0.5 / typical_distance(real) ** 2
    within = [_sums(part, part, scale, alike=True)[0] for part in (generated, real)]
    across = _sums(generated, real, scale)
    kernel, length = (
        _from_sums(within[0][i], within[1][i], across[0][i], across[1][i], (len(generated), len(real))) for i in (0, 1)
    )
    return Discrepancies(kernel, Interval(-length.value, -length.high, -length.low))


def _sums(points: Array, among: Array, scale: float, alike: bool = False) -> tuple[Array, Array]:
    """Sums of kernels and of distances over the other side, (2, n) and (2, m)."""
    of_rows, of_columns = np.zeros((2, len(points))), np.zeros((2, len(among)))
    space = torch.empty(0)
    for rows, piece in squared(points, among, alike):
        if alike:
            piece[torch.arange(len(piece)), torch.arange(rows.start, rows.stop)] = 0.0
        if len(space) < len(piece):
            space = torch.empty_like(piece)
        kernel = torch.mul(piece, scale, out=space[: len(piece)]).clamp_(min=-80.0).exp_()
        for i, part in enumerate((kernel, piece.sqrt_())):
            of_rows[i, rows] = part.sum(1).numpy()
            if not alike:
                of_columns[i] += part.sum(0).numpy()
        if alike:
            of_rows[0, rows] -= 1.0
    return of_rows, of_columns


def _from_sums(xx: Array, yy: Array, xy: Array, yx: Array, sizes: tuple[int, int]) -> Interval:
    """mean k(x, x') + mean k(y, y') - 2 mean k(x, y) from the sums of each point; within a side they leave it out."""
    n, m = sizes
    a, b, c = xx.sum(), yy.sum(), xy.sum()
    value = a / (n * (n - 1)) + b / (m * (m - 1)) - 2.0 * c / (n * m)
    without_x = (a - 2.0 * xx) / ((n - 1) * (n - 2)) + b / (m * (m - 1)) - 2.0 * (c - xy) / ((n - 1) * m)
    without_y = a / (n * (n - 1)) + (b - 2.0 * yy) / ((m - 1) * (m - 2)) - 2.0 * (c - yx) / (n * (m - 1))
    variance = (n - 1) * without_x.var() + (m - 1) * without_y.var()
    return around(float(value), float(np.sqrt(variance)))
