"""What a gallery knows: of each toy, and of each family on it, as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import numpy as np

from likewise.board.gallery.plane import Floats, Plane
from likewise.metrics.interval import Interval

DIGITS = 4
"""Decimals of the points that pictures show."""


@dataclass(frozen=True, eq=False)
class Latents:
    """Records in a latent space.

    Attributes
    ----------
    size : int
        Its dimensions.
    explained : float
        The share of the variance of latents that the plane shows: all of it for two dimensions.
    points : float64 array (n, 2)
        Where the first of the toy's fresh records lie.
    prior : float64 array (m, 2)
        Draws of the prior of the family.
    """

    size: int
    explained: float
    points: Floats
    prior: Floats

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "points": self.points.tolist(), "prior": self.prior.tolist()}


@dataclass(frozen=True, eq=False)
class Truth:
    """A toy.

    Attributes
    ----------
    name : str
    plane : Plane
    entropy : float
        The mean of -log p over the fresh records, nats.
    density : float64 array (g, g)
        At the centres of the cells of `plane.lattice`.
    mass : float
        What the density adds up to over these cells.
    records : float64 array (n, 2)
        Fresh ones.
    score : Interval or None
        The two-sample score of real records: what a perfect model would have.
    """

    name: str
    plane: Plane
    entropy: float
    density: Floats
    mass: float
    records: Floats
    score: Interval | None


@dataclass(frozen=True, eq=False)
class Cell:
    """One family on one toy.

    Attributes
    ----------
    toy, model, family : str
    status : "ok" or "failed"
    reason : str
        Why it failed.
    reasons : part -> sentence
        Why there is no `density`, no `latents`, no `journey`.
    fit_seconds : float or None
    parameters : int or None
    score, score_heldout : Interval or None
        The lower of the two-sample scores against fresh and against training records, and the former.
    kind : str or None
        Of its log-likelihoods: "exact", "bound", "estimate".
    divergence, divergence_error : float or None
        KL(toy | model) in nats and its standard error: at most this where the kind is "bound".
    density : float64 array (g, g) or None
    mass : float or None
        What the density adds up to over the cells.
    samples : float64 array (n, 2) or None
    latents : Latents or None
    journey : float64 array (frames, n, 2) or None
        Records on their way from noise to a sample, in the units of the columns.
    settings : name -> text
    """

    toy: str
    model: str
    family: str
    status: str = "ok"
    reason: str = ""
    reasons: Mapping[str, str] = field(default_factory=dict)
    fit_seconds: float | None = None
    parameters: int | None = None
    score: Interval | None = None
    score_heldout: Interval | None = None
    kind: str | None = None
    divergence: float | None = None
    divergence_error: float | None = None
    density: Floats | None = None
    mass: float | None = None
    samples: Floats | None = None
    latents: Latents | None = None
    journey: Floats | None = None
    settings: Mapping[str, str] = field(default_factory=dict)

    def figures(self) -> dict[str, Any]:
        """Everything but what is only to be looked at, as JSON data."""
        whole = {one.name: getattr(self, one.name) for one in fields(self) if one.name not in _PICTURES}
        return {name: asdict(value) if isinstance(value, Interval) else value for name, value in whole.items()}

    def to_json(self) -> dict[str, Any]:
        """JSON data, whole enough for a gallery to go on from."""
        latents = self.latents
        return {
            **self.figures(),
            **{name: _listed(getattr(self, name)) for name in _ARRAYS},
            "latents": None if latents is None else latents.to_json(),
        }

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Cell:
        """The inverse of `to_json`; ValueError, KeyError or TypeError on anything it did not write."""
        found = {one.name: plain[one.name] for one in fields(cls)}
        found |= {name: None if found[name] is None else _array(found[name]) for name in _ARRAYS}
        found |= {name: None if found[name] is None else Interval(**found[name]) for name in ("score", "score_heldout")}
        told = found["latents"]
        if told is not None:
            found["latents"] = Latents(told["size"], told["explained"], _array(told["points"]), _array(told["prior"]))
        return cls(**found)


_ARRAYS = ("density", "samples", "journey")
_PICTURES = (*_ARRAYS, "latents")


def rounded(points: Any, digits: int = DIGITS) -> Floats:
    """Points as they are kept, so that a page made again is the same page."""
    return np.asarray(np.round(points, digits), np.float64)


def _listed(array: Floats | None) -> Any:
    return None if array is None else array.tolist()


def _array(nested: Any) -> Floats:
    return np.asarray(nested, np.float64)
