"""Whether two sets of records live in the same places: strays that lie far from all real records, and places left out.

Averages forgive both: a sample of which one record in twenty is absurd, or which lacks one mode altogether, may well
deceive a classifier most of the time. So these shares are found by themselves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from sklearn.neighbors import NearestNeighbors

from likewise.metrics.features import Column, Features
from likewise.metrics.interval import Interval, clustered, share
from likewise.metrics.stored import restored, stored

Array = np.ndarray[Any, np.dtype[Any]]

ROWS = 5000
"""At most so many records of each side are looked at."""

NEIGHBOURS = 0.005
"""The share of the records of a side among which a record should find itself."""

SHARPEST = 0.99
"""The quantile of real distances to which those of other records are compared."""

FAR = 1.5
"""How many times that distance is too far."""

WORST = 10.0
"""A single stray counts at most this often."""

MARGIN = 0.25
"""How far outside of its range in training a number is too far, as a part of the range."""

ABSENT = 0.1
"""A state or range is left out where generated records have less than this part of its real share."""

RANGES = 20
"""Ranges of equal mass into which numbers are cut."""

FEWEST = 12
"""A state or range counts where at least so many generated records were to be expected in it."""


@dataclass(frozen=True)
class Omission:
    """A state or a range of a column that generated records lack.

    Attributes
    ----------
    column : str
    what : str
        The level, the range as "low to high", or "missing".
    real, generated : float
        The share of either side.
    """

    column: str
    what: str
    real: float
    generated: float


@dataclass(frozen=True)
class Support:
    """Shares of records that have no counterpart on the other side.

    Attributes
    ----------
    strays : Interval
        Generated records farther from all training records than real ones are, or with a number far outside of its
        range in training.
    excess : Interval
        How far they stray: the mean, over all generated records, of the distance beyond what is too far, in units of
        it, at most `WORST`; a number outside of its range counts as the worst.
    strays_real, excess_real : float
        The same of held-out records.
    uncovered : Interval
        Held-out records farther from all generated ones than they are from training records.
    uncovered_real : float
        The share of held-out records that are as far from as many training records.
    omissions : tuple of Omission
        The largest first.
    """

    strays: Interval
    excess: Interval
    strays_real: float
    excess_real: float
    uncovered: Interval
    uncovered_real: float
    omissions: tuple[Omission, ...]

    def to_json(self) -> dict[str, Any]:
        """The support as JSON data."""
        plain: dict[str, Any] = stored(self)
        return plain

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Support:
        """The inverse of `to_json`; ValueError, KeyError or TypeError on anything it did not write."""
        found: Support = restored(cls, plain)
        return found


def support(generated: Any, training: Any, held_out: Any, features: Features, *, seed: int = 0) -> Support:
    """Strays, uncovered records and omissions of generated records; any records that the features read."""
    rng = np.random.default_rng(seed)
    columns = [features.columns(part) for part in (generated, training, held_out)]
    points = [features.matrix(part) for part in (generated, training, held_out)]
    outside = [beyond(columns[i], columns[1]) for i in (0, 2)]
    chosen = [rng.permutation(len(part))[:ROWS] for part in points]
    found = of_points(
        points[0][chosen[0]],
        points[1][chosen[1]],
        points[2][chosen[2]],
        outside=(outside[0][chosen[0]], outside[1][chosen[2]]),
    )
    return replace(found, omissions=omissions(columns[0], columns[1]))


def of_points(
    generated: Array, training: Array, held_out: Array, *, outside: tuple[Array, Array] | None = None
) -> Support:
    """Strays and uncovered records among points of the space for distances, each (n, d); no omissions.

    A point is too far from a set where the radius that holds `NEIGHBOURS` of the set exceeds `FAR` times the radius
    that nearly all real points need, so that a sparse tail is not mistaken for a void. `outside` flags generated and
    held-out records that are strays in any case.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> real, fresh, honest = rng.normal(size=(3, 1000, 2))
    >>> honest[:100] += 20
    >>> found = of_points(honest, real, fresh)
    >>> found.strays.value, found.uncovered.value < 0.01
    (0.104, True)
    """
    real = _radii(held_out, training)
    reference = np.concatenate([real, _radii(training, training, same=True)])
    limit = FAR * float(np.quantile(reference, SHARPEST)) or float(np.finfo(np.float32).tiny)
    made = _radii(generated, training)
    excess = [np.clip(radii / limit - 1.0, 0.0, WORST) for radii in (made, real)]
    if outside is not None:
        excess = [np.where(flags, WORST, far) for flags, far in zip(outside, excess, strict=True)]
    return Support(
        strays=share(excess[0] > 0.0),
        excess=clustered(excess[0], np.arange(len(excess[0])), 0.0, WORST),
        strays_real=float(np.mean(excess[1] > 0.0)),
        excess_real=float(np.mean(excess[1])),
        uncovered=share(_radii(held_out, generated) > limit),
        uncovered_real=float(np.mean(real > limit)),
        omissions=(),
    )


def beyond(columns: Sequence[Column], training: Sequence[Column]) -> Array:
    """Which records have a number far outside of its range in training, (n,) bool.

    Examples
    --------
    >>> real = Column("size", "number", np.array([0.0, 100.0]))
    >>> beyond([Column("size", "number", np.array([-1.0, 50.0, 200.0, np.nan]))], [real])
    array([False, False,  True, False])
    """
    found: Array = np.zeros(len(columns[0].values), bool)
    for column, real in zip(columns, training, strict=True):
        if column.kind == "number" and not real.missing.all():
            low, high = float(np.nanmin(real.values)), float(np.nanmax(real.values))
            margin = MARGIN * (high - low)
            found |= (column.values < low - margin) | (column.values > high + margin)
    return found


def omissions(generated: Sequence[Column], real: Sequence[Column]) -> tuple[Omission, ...]:
    """The states and ranges that generated records lack although chance would have put several there.

    Examples
    --------
    >>> real = Column("size", "category", np.array([0, 1] * 50), ("small", "large"))
    >>> small = Column("size", "category", np.array([0] * 100), ("small", "large"))
    >>> omissions([small], [real])
    (Omission(column='size', what='large', real=0.5, generated=0.0),)
    """
    found: list[Omission] = []
    for made, true in zip(generated, real, strict=True):
        names, real_share, made_share = _shares(made, true)
        expected = real_share * min(len(made.values), len(true.values))
        lacking = np.flatnonzero((expected >= FEWEST) & (made_share < ABSENT * real_share))
        found += [Omission(true.name, names[i], float(real_share[i]), float(made_share[i])) for i in lacking]
    return tuple(sorted(found, key=lambda one: -one.real))


def _shares(made: Column, true: Column) -> tuple[list[str], Array, Array]:
    """Names of the states or ranges of a column, and the share of each on either side."""
    if true.kind == "category":
        size = len(true.levels) + 1
        counts = [np.bincount(column.values, minlength=size)[:size] for column in (true, made)]
        return [*true.levels, "missing"], counts[0] / len(true.values), counts[1] / len(made.values)
    known = true.values[~np.isnan(true.values)]
    edges = np.unique(np.quantile(known, np.linspace(0, 1, RANGES + 1)[1:-1])) if len(known) else np.zeros(0)
    # A value that many records have is a range of its own: both of its sides are edges.
    inner = np.unique(np.concatenate([edges, np.nextafter(edges, np.inf)]))
    shares = []
    for column in (true, made):
        blank = np.isnan(column.values)
        at = np.searchsorted(inner, column.values[~blank], side="right")
        shares.append(np.append(np.bincount(at, minlength=len(inner) + 1), blank.sum()) / len(column.values))
    ends = [-np.inf, *inner.tolist(), np.inf]
    names = [_range(low, high, known) for low, high in pairwise(ends)]
    return [*names, "missing"], shares[0], shares[1]


def _range(low: float, high: float, known: Array) -> str:
    inside = known[(known >= low) & (known < high)]
    if not len(inside):
        return ""
    least, most = inside.min(), inside.max()
    return f"{least:.6g}" if least == most else f"{least:.6g} to {most:.6g}"


def _radii(points: Array, among: Array, *, same: bool = False) -> Array:
    """The radius around each point that holds `NEIGHBOURS` of the other set, or of the rest of its own."""
    size = len(among) - same
    count = min(size, max(3, round(NEIGHBOURS * size)))
    if count < 1:
        return np.zeros(len(points))
    finder = NearestNeighbors(n_neighbors=count + same).fit(among)
    distance: Array = finder.kneighbors(points)[0][:, -1]
    return distance
