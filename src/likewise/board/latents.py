"""What a board tells of the latents of a model, where it has some: asked with records that no model has seen."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, NamedTuple

import numpy as np

from likewise.board.report.data import Floats, LatentMap, Latents
from likewise.board.seeds import seed_for
from likewise.board.trial import some
from likewise.domains.table import Table
from likewise.domains.table.sources import Source
from likewise.errors import DataError, NotSupported
from likewise.estimators.generative import Generative
from likewise.metrics.features import Column, Features
from likewise.metrics.interval import NoFigure
from likewise.metrics.probes import halves, probe
from likewise.tasks.representation import LatentReport, latent_report

RECORDS = 2_000
"""Held-out records that a latent report looks at, at most."""

PROBED = 24
"""Columns that are probed, at most; of more, some that are spread evenly."""

POINTS = 500
"""Records on a map."""


def latents_of(model: Any, held_out: Source, seed: int) -> Latents | None:
    """The latent report and map of a model; None where it has no latents, and why there is none where it has."""
    if not isinstance(model, Generative) or not hasattr(model, "encode"):
        return None
    assert isinstance(model.domain_, Table)
    source, seed = some(held_out, RECORDS, seed), seed_for(seed, "latents")
    names = [facts.name for facts in model.domain_.facts if facts.modelled]
    probed = [names[i] for i in np.unique(np.linspace(0, len(names) - 1, min(PROBED, len(names))).round().astype(int))]
    try:
        report = latent_report(model, source, columns=probed, max_records=RECORDS, random_state=seed)
        return Latents(report, _map(model, source, report, probed, seed))
    except (DataError, NotSupported) as error:
        return Latents(reason=str(error))


class Flat(NamedTuple):
    """Latents (n, d) as points (n, 2) of a plane.

    `explained` is the share of their variance that the plane has, `turn` takes other latents (m, d) to it.
    """

    points: Floats
    explained: float
    turn: Callable[[Any], Floats]


def plane(latents: Any) -> Flat:
    """The latents themselves where there are at most two, otherwise their first two principal components.

    Examples
    --------
    >>> flat = plane(np.array([[3.0, 0.0, 0.0], [-3.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, -1.0, 0.0]]))
    >>> flat.points[0].tolist(), flat.explained, flat.turn([[0.0, 0.0, 5.0]]).tolist()
    ([3.0, 0.0], 1.0, [[0.0, 0.0]])
    """
    whole = np.asarray(latents, np.float64)
    middle = whole.mean(0)
    if whole.shape[1] <= 2:
        return Flat(_padded(whole), 1.0, _padded)
    _, sizes, axes = np.linalg.svd(whole - middle, full_matrices=False)
    # The sign of an axis is arbitrary: its largest weight points up.
    axes = axes[:2] * np.sign(axes[np.arange(2), np.abs(axes[:2]).argmax(1)])[:, None]

    def turn(others: Any) -> Floats:
        return np.asarray((np.asarray(others, np.float64) - middle) @ axes.T)

    return Flat(turn(whole), float((sizes[:2] ** 2).sum() / max((sizes**2).sum(), 1e-300)), turn)


def _padded(latents: Any) -> Floats:
    values = np.asarray(latents, np.float64)
    return np.column_stack([values, np.zeros(len(values))])[:, :2]


def _map(model: Generative, source: Source, report: LatentReport, probed: Collection[str], seed: int) -> LatentMap:
    """Records on the first two principal components of their latents, with the column that these two tell best."""
    assert isinstance(model.domain_, Table)
    flat = plane(model.encode(source))
    points, explained = flat.points, flat.explained
    columns = [one for one in Features(model.domain_, source).columns(source) if one.name in probed]
    column = _told_best(points, columns, seed)
    chosen = np.sort(np.random.default_rng(seed).permutation(len(points))[:POINTS])
    return LatentMap(
        points[chosen], explained, len(report.coordinates) > 2, None if column is None else column.rows(chosen)
    )


def _told_best(points: Any, columns: Collection[Column], seed: int) -> Column | None:
    """The column that a linear model predicts best from the points, above what needs no points."""
    parts = halves(len(points), seed)
    found: list[tuple[float, Column]] = []
    for column in columns:
        try:
            told = probe(points, points, column, parts, seed)
        except NoFigure:
            continue
        room = max(1.0 - told.baseline, 1e-9)
        found.append(((told.latents.value - told.baseline) / room, column))
    return max(found, key=lambda one: one[0])[1] if found else None
