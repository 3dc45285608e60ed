"""What the latents of a model mean: which are active, what each of them moves, what they say of every column."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted

from likewise.domains.table import Table
from likewise.domains.table.inference import infer
from likewise.domains.table.labels import read_labels
from likewise.domains.table.schema import Thresholds
from likewise.domains.table.sources import Source
from likewise.domains.table.wishes import Wishes
from likewise.errors import DataError, NotSupported
from likewise.estimators.capabilities import require
from likewise.estimators.generative import Generative
from likewise.estimators.randomness import seed_from
from likewise.estimators.validation import check_labels, check_positive, check_records
from likewise.families.family import Latent
from likewise.metrics.distances import discrepancies
from likewise.metrics.features import Column, Features
from likewise.metrics.interval import Interval, NoFigure
from likewise.metrics.probes import Probe, components, halves, numbers, probe
from likewise.tasks.latent_wording import text

if TYPE_CHECKING:
    import pandas as pd

Array = np.ndarray[Any, np.dtype[np.float64]]

ACTIVE = 0.01
"""The variance over records from which on a coordinate counts as active (Burda, Grosse and Salakhutdinov 2016)."""

FEWEST = 20
"""Records without which nothing can be said."""

RECORDS = 4_000
"""Records that are looked at, at most, unless told otherwise."""

COMPARED = 2_000
"""Of them, those that the distance to the prior is measured with."""

MOVED, DECODED = 256, 40_000
"""Records whose coordinates are moved, at most; and how many are decoded for that in all."""

TILE = 8_192
"""Records decoded at once."""


@dataclass(frozen=True)
class Coordinate:
    """One latent coordinate over the encoded records: its mean, standard deviation and skewness."""

    name: str
    mean: float
    deviation: float
    skew: float

    @property
    def active(self) -> bool:
        """Whether its variance is above 0.01."""
        return self.deviation**2 > ACTIVE


@dataclass(frozen=True, eq=False)
class LatentReport:
    """What `latent_report` found.

    Attributes
    ----------
    family : str
    records, tested : int
        Records that were encoded; those of them that the probes were tested on, having learned from the others.
    components : int
        The principal components beside the latents: as many, or all there are where records differ in fewer directions.
    whole : bool
        Whether these are all there are, so that nothing by which records differ is left out of them.
    coordinates : tuple of Coordinate
    columns : tuple of str
    effects : float64 array (coordinates, columns)
        What moving a coordinate by one of its standard deviations does to decoded records: of a category, the share
        that changes; of a number, the mean absolute change in standard deviations of the column (a cell that becomes
        blank, or is no longer, counts as 1).
    kinds : tuple of "category" or "number", of the columns
    prior_distance : Interval
        The energy distance (Szekely and Rizzo 2013) between encoded records and draws from the prior: 0 where they are
        alike. Encoders that give posterior means spread less than their prior where posteriors are wide.
    labels, probes : tuple of Probe
        Linear probes of the labels that were passed, and of the columns.
    labels_learned : bool
        Whether the model was fitted with labels, or with a column of their name; else their probes are the honest ones,
        see `latent_report`.
    reasons : column -> why it has no probe
    """

    family: str
    records: int
    tested: int
    components: int
    whole: bool
    coordinates: tuple[Coordinate, ...]
    columns: tuple[str, ...]
    kinds: tuple[str, ...]
    effects: Array
    prior_distance: Interval
    labels: tuple[Probe, ...]
    probes: tuple[Probe, ...]
    labels_learned: bool = False
    reasons: Mapping[str, str] = field(default_factory=dict)

    @property
    def active(self) -> int:
        """The number of active coordinates."""
        return sum(one.active for one in self.coordinates)

    def as_dict(self) -> dict[str, Any]:
        """All of it as JSON data."""
        return {
            "family": self.family,
            "records": self.records,
            "tested": self.tested,
            "components": self.components,
            "whole": self.whole,
            "active": self.active,
            "coordinates": [{**asdict(one), "active": one.active} for one in self.coordinates],
            "prior_distance": asdict(self.prior_distance),
            "labels": [asdict(one) for one in self.labels],
            "labels_learned": self.labels_learned,
            "probes": [asdict(one) for one in self.probes],
            "columns": list(self.columns),
            "effects": self.effects.tolist(),
            "reasons": dict(self.reasons),
        }

    def to_frames(self) -> dict[str, pd.DataFrame]:
        """Data frames: `coordinates`, `effects` (coordinates by columns) and `probes` (labels first)."""
        import pandas as pd

        names = [one.name for one in self.coordinates]
        rows = [{**asdict(one), "active": one.active} for one in self.coordinates]
        return {
            "coordinates": pd.DataFrame(rows).set_index("name"),
            "effects": pd.DataFrame(self.effects, index=names, columns=list(self.columns)),
            "probes": pd.DataFrame([_flat(one) for one in (*self.labels, *self.probes)]),
        }

    def __str__(self) -> str:
        return text(self)


def _flat(one: Probe) -> dict[str, Any]:
    """A probe as a row."""
    row: dict[str, Any] = {"column": one.column, "measure": one.measure}
    for name in ("latents", "components", "gain"):
        found = getattr(one, name)
        row |= {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}
    return {**row, "baseline": one.baseline}


def latent_report(
    model: Generative,
    X: Any,
    y: Any = None,
    *,
    columns: Collection[str] | None = None,
    max_records: int = RECORDS,
    random_state: Any = 0,
) -> LatentReport:
    """What the latents of a fitted model mean, told by records.

    Of every coordinate: mean, standard deviation, skewness, and whether it is active (its variance over records above
    .01; Burda, Grosse and Salakhutdinov 2016). Of all: how far they lie from their prior; which coordinate moves which
    column; and linear probes, logistic regression of categories and ridge regression of numbers on half of the records,
    tested on the others, beside the same on as many principal components of standardised records (a category as one
    column a level, or as numbers where its levels are numbers).

    A column is a part of the record from which both its latents and its principal components come, so its probe says
    how much of it is kept and how plainly, not how much was understood. Labels that the model never saw, `y`, are the
    honest question; they are reported first.

    Parameters
    ----------
    model : Generative
        Fitted, of a family with latents.
    X : records
        Best such that the model has not seen. At least 20.
    y : labels of the records, optional
        They need not have been known to the model, and are not told to its encoder unless it cannot do without.
    columns : names of columns, optional
        Those that are probed; None for all.
    max_records : int
        At most so many records are looked at, chosen at random.
    random_state : int, RandomState or None

    Returns
    -------
    LatentReport

    Raises
    ------
    NotSupported
        When the family has no latents, naming one that has.
    DataError
        When records or labels cannot be used.

    Examples
    --------
    >>> import likewise as lw
    >>> records = lw.datasets.load("iris")
    >>> model = lw.VAE(latent=2, width=8, hidden=8, layers=1, max_steps=5, random_state=0).fit(records)
    >>> report = latent_report(model, records, random_state=0)
    >>> sorted(report.to_frames())
    ['coordinates', 'effects', 'probes']
    """
    require(model, Latent, "latents")
    check_is_fitted(model, "family_")
    if not isinstance(model.domain_, Table):
        raise NotSupported("latent_report is about columns, and the records of this model have none.")
    seed = seed_from(random_state)
    source = model.domain_.read(check_records(X, model, fitted=True))
    labels = None if y is None else read_labels(check_labels(y, len(source)), len(source))
    if len(source) < FEWEST:
        raise DataError(f"There are {len(source)} records; expected at least {FEWEST}.")
    order = np.random.default_rng(seed).permutation(len(source))
    rows = np.sort(order[: check_positive("max_records", max_records)])
    source, labels = source.rows(rows), None if labels is None else labels.rows(rows)
    latents = _encoded(model, source, labels)
    features = Features(model.domain_, source)
    real = features.columns(source)
    absent = [name for name in columns or () if name not in features.names]
    if absent:
        raise DataError(f"There is no modelled column {absent[0]!r} that could be probed.")
    probed = [column for column in real if columns is None or column.name in columns]
    parts = halves(len(source), seed)
    plain = numbers(real)
    principal = components(plain, latents.shape[1], parts[0], seed)
    reasons: dict[str, str] = {}
    return LatentReport(
        family=model.family_name,
        records=len(source),
        tested=len(parts[1]),
        components=principal.shape[1],
        whole=principal.shape[1] < min(latents.shape[1], len(parts[0]) - 1) or principal.shape[1] == plain.shape[1],
        coordinates=coordinates(latents),
        columns=features.names,
        kinds=tuple(column.kind for column in real),
        effects=effects(model, features, real, latents, seed),
        prior_distance=prior_distance(model, latents, seed),
        labels=_probes(latents, principal, _label_columns(labels), parts, seed, reasons),
        probes=_probes(latents, principal, probed, parts, seed, reasons),
        labels_learned=bool(model.domain_.event.labels) or bool(labels and set(labels.names) & set(features.names)),
        reasons=reasons,
    )


def _encoded(model: Generative, source: Source, labels: Source | None) -> Array:
    """Latents without the labels, so that probes of these are not told; with them where the family needs them."""
    try:
        return np.asarray(model.encode(source))
    except NotSupported:
        if labels is None:
            raise
        return np.asarray(model.encode(source, labels))


def _label_columns(labels: Source | None) -> tuple[Column, ...]:
    """Labels as metrics see columns: whole numbers of few kinds are categories, as in `fit(X, y)`."""
    if labels is None:
        return ()
    kinds = {
        name: infer(name, vector, Wishes(), Thresholds(), label=True).kind
        for name, vector in zip(labels.names, labels.vectors, strict=True)
    }
    return Features(Table(kinds=kinds).fit(labels), labels).columns(labels)


def _probes(
    latents: Array,
    principal: Array,
    columns: Sequence[Column],
    parts: tuple[Any, Any],
    seed: int,
    reasons: dict[str, str],
) -> tuple[Probe, ...]:
    """The probes of all columns that have one; `reasons` hears why others have none."""
    found = []
    for column in columns:
        try:
            found.append(probe(latents, principal, column, parts, seed))
        except NoFigure as why:
            reasons[column.name] = str(why)
    return tuple(found)


def coordinates(latents: Array) -> tuple[Coordinate, ...]:
    """The statistics of each coordinate of latents (n, d)."""
    means, deviations = latents.mean(0), latents.std(0)
    scaled = (latents - means) / np.where(deviations > 0.0, deviations, 1.0)
    skews = (scaled**3).mean(0)
    return tuple(
        Coordinate(f"z{i + 1}", float(mean), float(deviation), float(skew))
        for i, (mean, deviation, skew) in enumerate(zip(means, deviations, skews, strict=True))
    )


def prior_distance(model: Generative, latents: Array, seed: int) -> Interval:
    """The energy distance between encoded records and draws from the prior, unbiased, with its interval."""
    assert isinstance(model.family_, Latent)
    some = latents[:COMPARED]
    with torch.inference_mode():
        drawn = model.family_.prior_latent(len(some), torch.Generator().manual_seed(seed))
    return discrepancies(some.astype(np.float32), drawn.cpu().numpy().astype(np.float32)).energy


def effects(model: Generative, features: Features, real: tuple[Column, ...], latents: Array, seed: int) -> Array:
    """What moving each coordinate does to each column, (d, columns); see `LatentReport.effects`."""
    size = latents.shape[1]
    count = min(len(latents), MOVED, max(16, DECODED // (2 * size)))
    chosen = np.random.default_rng(seed).permutation(len(latents))[:count]
    points, deviations = latents[chosen], latents.std(0)
    before = _decoded(model, features, points, seed)
    scales = [_spread(column) for column in real]
    found = np.zeros((size, len(real)))
    together = max(1, TILE // (2 * count))  # coordinates that are moved in one call
    for at in range(0, size, together):
        moving = np.arange(at, min(at + together, size))
        steps = np.stack([sign * deviations[i] * np.eye(size)[i] for i in moving for sign in (-1.0, 1.0)])
        after = _decoded(model, features, (points[None] + steps[:, None]).reshape(-1, size), seed)
        for j, (old, new, scale) in enumerate(zip(before, after, scales, strict=True)):
            changes = _change(old, new.values.reshape(len(moving), 2, count), scale)
            found[moving, j] = changes.mean((1, 2))
    found[deviations == 0.0] = 0.0
    return found


def _decoded(model: Generative, features: Features, points: Array, seed: int) -> tuple[Column, ...]:
    return features.columns(model.decode(points, random_state=seed))


def _spread(column: Column) -> float:
    """The standard deviation of a number; 1 where it does not vary."""
    if column.kind == "category" or column.missing.all():
        return 1.0
    spread = float(column.values[~column.missing].std())
    return spread if spread > 0.0 and math.isfinite(spread) else 1.0


def _change(before: Column, after: Any, scale: float) -> Array:
    """The change of each cell from (n,) to (.., n)."""
    if before.kind == "category":
        return np.asarray(after != before.values, np.float64)
    blank, now_blank = before.missing, np.isnan(after)
    change = np.abs(np.where(now_blank, 0.0, after) - np.where(blank, 0.0, before.values)) / scale
    found: Array = np.where(blank | now_blank, (blank != now_blank).astype(np.float64), change)
    return found
