"""Whether generated records are closer to the records of training than they should be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from likewise.metrics.distances import neighbours, squared
from likewise.metrics.interval import Interval, NoFigure, clustered, share

Array = np.ndarray[Any, np.dtype[Any]]

ALIKE = 1e-5
"""The relative difference up to which two distances are the same."""

NEAR = 1.0 / 3.0
"""A near copy is at most so far from its nearest training record, in distances to the second nearest."""

WIDEST = 0.3
"""The widest 95% interval around one half with which the preference for training records is a figure."""

MOST_PAIRS = 2**31
"""The most distances of one kind that are taken; of more records a random part is looked at."""


@dataclass(frozen=True)
class Memorisation:
    """What was found.

    Attributes
    ----------
    closer_to_train : Interval or None
        P(a generated record is closer to a training record than to one of equally many held-out ones): 1/2 for a model
        that learned nothing by heart, 1 for a copy. None where the records are too few to tell one from the other: its
        interval holds 1/2 and is wider than `WIDEST`.
    exact_copies, exact_copies_real : Interval
        The shares of generated, and of held-out records that stand in training value for value.
    near_copies, near_copies_real : Interval
        The shares of those within a third of the distance to the second nearest distinct training record.
    """

    closer_to_train: Interval | None
    exact_copies: Interval
    exact_copies_real: Interval
    near_copies: Interval
    near_copies_real: Interval


def memorisation(points: tuple[Array, Array, Array], keys: tuple[Array, Array, Array], seed: int = 0) -> Memorisation:
    """Distances and copies of (generated, training, held-out) records.

    Training and held-out records are seldom equally many, and a part of the training records would hide copies of the
    rest. So the nearest of all of both is looked for. Where nothing was memorised the two sets are exchangeable and the
    nearest record is one of training with the probability w0 = n / (n + m), and of several that are equally near each
    counts its part; where a share of the records is copied, that share always is. The share w of training among the
    nearest is therefore given as 1/2 + (w - w0) / (1 - w0) / 2, which is w itself for sets of one size.

    Parameters
    ----------
    points : float arrays (n, d)
        See `Features.matrix`.
    keys : int64 arrays (n,)
        See `Features.keys`.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> training, held_out = rng.normal(size=(2, 300, 3))
    >>> keys = np.arange(300), np.arange(300), np.arange(300, 600)
    >>> found = memorisation((training, training, held_out), keys)
    >>> found.closer_to_train.value, found.exact_copies.value, found.exact_copies_real.value
    (1.0, 1.0, 0.0)
    """
    generated, training, held_out = points
    distinct = np.sort(np.unique(keys[1], return_index=True)[1])
    if len(distinct) < 2 or not len(held_out):
        raise NoFigure("2 distinct training records and a held-out one are needed")
    among = training if len(distinct) == len(training) else training[distinct]
    most = max(MOST_PAIRS // len(among), 1)
    rng = np.random.default_rng(seed)
    made, real = (part[np.sort(rng.permutation(len(part))[:most])] for part in (generated, held_out))
    to_training, which = neighbours(made, among, 2)
    to_held_out, other = neighbours(made, held_out)
    expected = len(training) / (len(training) + len(held_out))
    near, far = to_training[:, 0], to_held_out[:, 0]
    nearer, tied = near <= far, np.flatnonzero(np.isclose(near, far, rtol=ALIKE, atol=0.0))
    won = nearer.astype(np.float64)
    if len(tied):
        counts = [_within(made[tied], side, near[tied]) for side in (training, held_out)]
        won[tied] = counts[0] / (counts[0] + counts[1])
    closer = _closer(won, np.where(nearer, which[:, 0], -1 - other[:, 0]), expected)
    return Memorisation(
        closer_to_train=None if closer.low <= 0.5 <= closer.high and closer.high - closer.low > WIDEST else closer,
        exact_copies=share(np.isin(keys[0], keys[1])),
        exact_copies_real=share(np.isin(keys[2], keys[1])),
        near_copies=share(_near(to_training)),
        near_copies_real=share(_near(neighbours(real, among, 2)[0])),
    )


def _near(distances: Array) -> Array:
    near: Array = (distances[:, 0] <= NEAR * distances[:, 1]) & (distances[:, 1] > 0.0)
    return near


def _within(points: Array, among: Array, distances: Array) -> Array:
    """How many of the others are at most so far from each point; at least the one that is nearest."""
    limits = torch.from_numpy(distances**2 * (1.0 + ALIKE)).float()
    counts: Array = np.empty(len(points))
    for rows, piece in squared(points, among):
        counts[rows] = (piece <= limits[rows, None]).sum(1).numpy()
    return np.maximum(counts, 1.0)


def _closer(won: Array, winner: Array, expected: float) -> Interval:
    """The interval takes records that share their nearest real record as one unit: they win or lose together."""
    return clustered(0.5 + 0.5 * (won - expected) / (1.0 - expected), winner, 0.0, 1.0)
