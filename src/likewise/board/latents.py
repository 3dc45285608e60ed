"""What a board tells of the latents of a model, where it has some: asked with records that no model has seen."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np

from likewise.board.report.data import LatentMap, Latents
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


def _map(model: Generative, source: Source, report: LatentReport, probed: Collection[str], seed: int) -> LatentMap:
    """Records on the first two principal components of their latents, with the column that these two tell best."""
    assert isinstance(model.domain_, Table)
    latents = np.asarray(model.encode(source))
    centred = latents - latents.mean(0)
    if latents.shape[1] > 2:
        _, sizes, axes = np.linalg.svd(centred, full_matrices=False)
        # The sign of an axis is arbitrary: its largest weight points up.
        axes = axes[:2] * np.sign(axes[np.arange(2), np.abs(axes[:2]).argmax(1)])[:, None]
        points, explained = centred @ axes.T, float((sizes[:2] ** 2).sum() / max((sizes**2).sum(), 1e-300))
    else:
        points, explained = np.column_stack([latents, np.zeros(len(latents))])[:, :2], 1.0
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
