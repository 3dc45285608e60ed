"""What is looked at in a fitted model of a toy: its density, its samples, its latents, and the way out of noise."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch

from likewise.board.contestants import Contestant, settings_of
from likewise.board.gallery.facts import Cell, Latents, rounded
from likewise.board.gallery.plane import Floats, Plane
from likewise.board.latents import plane as flattened
from likewise.board.ranking import hardest
from likewise.board.seeds import seed_for
from likewise.board.trial import Terms, draw, parameters
from likewise.board.watching import Watcher
from likewise.datasets import Toy
from likewise.errors import DataError, NotSupported
from likewise.estimators.generative import Generative
from likewise.families.family import Density, Latent, Travelling
from likewise.metrics.panel import evaluate

SHOWN = 600
"""Records of each picture."""

FINER = 2
"""Points of a cell along each side over which a density is averaged, where it is exact."""

TRAVELLERS = 360
"""Records on the way out of noise."""


@dataclass(frozen=True, eq=False)
class Exhibit:
    """A toy as every family meets it.

    Attributes
    ----------
    terms : Terms
        Training records, and fresh ones as the held-out part.
    fresh : data frame
        The same fresh records.
    log_density : float64 array (n,)
        The toy's own, of these.
    grid : int
        The cells of a density on each side.
    frames : int
        Of the way out of noise.
    """

    toy: Toy
    plane: Plane
    terms: Terms
    fresh: pd.DataFrame
    log_density: Floats
    grid: int
    frames: int

    @property
    def seed(self) -> int:
        return self.terms.division.seed


def cell_of(exhibit: Exhibit, contestant: Contestant, model: Any, fit_seconds: float, watcher: Watcher) -> Cell:
    """Everything that is told of a fitted model."""
    name, seed = contestant.name, exhibit.seed
    watcher.stage(contestant.title, "sampling")
    drawn = draw(model, len(exhibit.fresh), seed_for(seed, "sample", name))
    samples = _points(drawn, exhibit)
    watcher.stage(contestant.title, "measuring")
    division = exhibit.terms.division
    panel = evaluate(
        division.domain.read(_frame(samples, exhibit)),
        division.training,
        division.held_out,
        division.features,
        seed=seed_for(seed, "metrics"),
        parts=["two_sample"],
    )
    reasons: dict[str, str] = {}
    facts: dict[str, Any] = {}
    for part, look in (("density", _density), ("latents", _latents), ("journey", _journey)):
        try:
            facts |= look(model, exhibit, seed_for(seed, part, name))
        except (DataError, NotSupported) as error:
            reasons[part] = " ".join(str(error).split())
    return Cell(
        exhibit.toy.name,
        name,
        contestant.family,
        reasons=reasons,
        fit_seconds=fit_seconds,
        parameters=parameters(model) if contestant.ours else None,
        score=hardest(panel),
        score_heldout=panel.c2st_heldout,
        samples=rounded(samples[:SHOWN]),
        settings=settings_of(contestant, division),
        **facts,
    )


def _density(model: Any, exhibit: Exhibit, seed: int) -> dict[str, Any]:
    if not isinstance(model, Generative) or not isinstance(model.family_, Density):
        raise NotSupported("states no density")
    scores = model.log_likelihood(exhibit.fresh)
    apart = exhibit.log_density - scores.values
    if not np.isfinite(apart).all():
        raise NotSupported("some fresh records have no probability under this model")
    # What is exact costs little, what is an average a lot.
    finer = FINER if scores.kind == "exact" else 1
    points = exhibit.plane.lattice(exhibit.grid * finer)
    density = averaged(model.log_likelihood(_frame(points, exhibit)).values, finer)
    if not np.isfinite(density).all():
        raise NotSupported("its density is not finite everywhere")
    told: dict[str, Any] = {
        "kind": scores.kind,
        "density": rounded(density, 6),
        "mass": float(density.sum() * exhibit.plane.cell(exhibit.grid)),
    }
    if scores.kind != "unnormalised":
        told["divergence"] = float(apart.mean())
        told["divergence_error"] = float(apart.std(ddof=1) / np.sqrt(len(apart)))
    return told


def averaged(log_density: Floats, finer: int) -> Floats:
    """The mean density of each cell of a lattice, from log densities of a lattice `finer` times as fine.

    Examples
    --------
    >>> averaged(np.log(np.arange(1.0, 17.0)), 2).tolist()
    [[3.5, 5.5], [11.5, 13.5]]
    """
    side = math.isqrt(len(log_density)) // finer
    with np.errstate(over="ignore"):
        density = np.exp(log_density).reshape(side, finer, side, finer).mean((1, 3))
    return np.asarray(np.round(density, 12))


def _latents(model: Any, exhibit: Exhibit, seed: int) -> dict[str, Any]:
    if not isinstance(model, Generative) or not isinstance(model.family_, Latent):
        raise NotSupported("has no latent space")
    found = np.asarray(model.encode(exhibit.fresh[:SHOWN]))
    flat = flattened(found)
    generator = torch.Generator().manual_seed(seed)
    with torch.inference_mode():
        prior = model.family_.prior_latent(SHOWN, generator).double().cpu().numpy()
    told = Latents(found.shape[1], round(flat.explained, 4), rounded(flat.points), rounded(flat.turn(prior)))
    return {"latents": told}


def _journey(model: Any, exhibit: Exhibit, seed: int) -> dict[str, Any]:
    """Frames in the units of the columns: what is noise in model units is there columns that know nothing of each
    other, each with its own distribution."""
    if not isinstance(model, Generative) or not isinstance(model.family_, Travelling):
        raise NotSupported("its samples do not come out of noise step by step")
    generator = torch.Generator().manual_seed(seed)
    with torch.inference_mode():
        batches = model.family_.journey(TRAVELLERS, exhibit.frames, generator)
    frames = [_points(model.domain_.decode(batch, generator), exhibit) for batch in batches]
    return {"journey": rounded(np.stack(frames))}


def _points(records: Any, exhibit: Exhibit) -> Floats:
    frame = records if isinstance(records, pd.DataFrame) else _frame(records, exhibit)
    return np.asarray(frame[list(exhibit.toy.columns)], np.float64)


def _frame(points: Any, exhibit: Exhibit) -> pd.DataFrame:
    return pd.DataFrame(np.asarray(points), columns=list(exhibit.toy.columns))
