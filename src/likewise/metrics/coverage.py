"""How much of the generated lies where real records are, and how much of the real is reached."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from likewise.metrics.distances import neighbours, squared
from likewise.metrics.interval import LEVEL_Z, Interval, around, blocks, jackknife, share

Array = np.ndarray[Any, np.dtype[Any]]

NEIGHBOURS = 5
"""The neighbour whose distance is the radius of the ball around a point."""

_LEVELS = np.linspace(0.0, 1.0, 101)


@dataclass(frozen=True)
class Balls:
    """Precision and recall (Kynkaanniemi et al. 2019), density and coverage (Naeem et al. 2020).

    Attributes
    ----------
    precision : share of generated points in some real ball
    recall : share of real points in some generated ball
    density : real balls around a generated point, over the number of neighbours; perfect records have about 1
    coverage : share of real balls that hold a generated point

    Intervals are over the points that are counted, the balls as they are.
    """

    precision: Interval
    recall: Interval
    density: Interval
    coverage: Interval


@dataclass(frozen=True)
class Supports:
    """Alpha-precision and beta-recall (Alaa et al. 2022), summed up over all levels as 1 - 2 times the area between the
    curve and the diagonal.

    Attributes
    ----------
    alpha_precision : near 1 where as many generated points lie within each typical part of the real ones as should
    beta_recall : about 1/2 for fresh real records, by whose nearest neighbours it is defined
    """

    alpha_precision: Interval
    beta_recall: Interval


def balls(generated: Array, real: Array, count: int = NEIGHBOURS) -> Balls:
    """Precision, recall, density and coverage by balls that reach to the `count`-th neighbour.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> real = rng.normal(size=(400, 2))
    >>> half = np.abs(rng.normal(size=(400, 2)))
    >>> found = balls(half, real)
    >>> found.precision.value > 0.9, found.recall.value < 0.6, found.coverage.value < 0.4
    (True, True, True)
    """
    radii = [_radii(part, count) for part in (real, generated)]
    around_each, inside, reached = np.zeros(len(generated)), np.zeros(len(real), bool), np.zeros(len(real), bool)
    space = torch.empty(0)
    for rows, piece in squared(generated, real):
        if len(space) < len(piece):
            space = torch.empty_like(piece)
        held = space[: len(piece)]
        around_each[rows] = torch.le(piece, radii[0], out=held).sum(1).numpy()
        reached |= held.amax(0).numpy() > 0.0
        inside |= torch.le(piece, radii[1][rows, None], out=held).amax(0).numpy() > 0.0
    density = around_each / count
    error = float(density.std() / np.sqrt(len(density)))
    return Balls(
        precision=share(around_each > 0),
        recall=share(inside),
        density=around(float(density.mean()), error, low=0.0, times=LEVEL_Z),
        coverage=share(reached),
    )


def _radii(points: Array, count: int) -> torch.Tensor:
    """Squared distances to the `count`-th neighbour."""
    distances = neighbours(points, points, count, alike=True)[0][:, -1]
    # Just as far as the neighbour is inside; the comparison is made in float32.
    return torch.from_numpy((distances**2 * (1.0 + 1e-5)).astype(np.float32))


def supports(generated: Array, real: Array, seed: int = 0) -> Supports:
    """Alpha-precision and beta-recall with balls around the centres, as is usual for tables.

    A generated point is precise at level alpha where it is no farther from the centre of the real ones than the
    alpha-quantile of these is. A real point is recalled at level beta where the nearest generated one is no farther
    than the nearest other real one, and lies within the beta-quantile around the generated centre. Intervals by the
    jackknife.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> fresh, real = rng.normal(size=(2, 1000, 3))
    >>> found = supports(fresh, real)
    >>> found.alpha_precision.value > 0.9, abs(found.beta_recall.value - 0.5) < 0.1
    (True, True)
    """
    from_centre = [np.linalg.norm(part - real.mean(0), axis=1) for part in (generated, real)]
    own = neighbours(real, real, alike=True)[0][:, 0]
    nearest, which = (part[:, 0] for part in neighbours(real, generated))
    recalled = nearest <= own
    place = np.linalg.norm(generated - generated.mean(0), axis=1)[which]
    fakes, reals = blocks(len(generated), seed), blocks(len(real), seed)
    groups = np.unique(reals)
    precise = [_precision(from_centre[0][fakes != k], from_centre[1][reals != k]) for k in groups]
    reached = [_recall(recalled[reals != k], place[reals != k]) for k in groups]
    return Supports(
        jackknife(_precision(*from_centre), np.array(precise), high=1.0),
        jackknife(_recall(recalled, place), np.array(reached), high=1.0),
    )


def _precision(generated: Array, real: Array) -> float:
    radii = np.quantile(real, _LEVELS)
    return _agreement(np.searchsorted(np.sort(generated), radii, "right") / len(generated))


def _recall(recalled: Array, place: Array) -> float:
    radii = np.quantile(place, _LEVELS)
    return _agreement(np.searchsorted(np.sort(place[recalled]), radii, "right") / len(place))


def _agreement(curve: Array) -> float:
    return float(1.0 - np.abs(curve - _LEVELS).sum() / _LEVELS.sum())
