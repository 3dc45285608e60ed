"""All measures of one set of generated records, as plain data."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np

from likewise.errors import DataError
from likewise.metrics.coverage import balls, supports
from likewise.metrics.distances import discrepancies, neighbours
from likewise.metrics.features import Array, Column, Features
from likewise.metrics.interval import Interval, NoFigure
from likewise.metrics.marginals import MarginalErrors, marginals
from likewise.metrics.memorisation import WIDEST, memorisation
from likewise.metrics.pairs import PairErrors, pairs
from likewise.metrics.stored import restored, stored
from likewise.metrics.two_sample import TwoSample, two_sample
from likewise.metrics.utility import default_target, utility

PARTS = MappingProxyType(
    {
        "two_sample": ("c2st_train", "c2st_heldout"),
        "marginals": ("marginal_error",),
        "pairs": ("pair_error",),
        "coverage": ("alpha_precision", "beta_recall", "precision", "recall", "density_score", "coverage"),
        "distances": ("mmd", "energy_distance"),
        "utility": ("utility", "utility_real"),
        "memorisation": (
            "closer_to_train",
            "exact_copies",
            "exact_copies_real",
            "near_copies",
            "near_copies_real",
        ),
    }
)
"""The parts of a panel and their figures."""

LARGEST = 20_000
"""The most records of each side between all pairs of which distances are taken, but for those of memorisation."""

SUSPECTS = 20
"""How many of the most suspicious records are kept."""


@dataclass(frozen=True)
class Suspect:
    """A generated record that trees took for generated, and the training record nearest to it.

    Attributes
    ----------
    row, nearest : int
        Positions among the generated and the training records.
    suspicion : float
        The probability, by trees that have not seen it, that it is generated.
    distance : float
        Between the two, see `Features.matrix`.
    """

    row: int
    suspicion: float
    nearest: int
    distance: float


@dataclass(frozen=True)
class PanelDetails:
    """What stands behind the figures; None or empty for parts that were not asked for.

    Attributes
    ----------
    two_sample : TwoSample or None
        Against training records.
    two_sample_heldout : TwoSample or None
    marginals, pairs : against held-out records
    suspects : tuple of Suspect, the most suspicious first
    rows : name -> int
        Records of each set, and records of each side that the distances between all pairs looked at.
    target, target_measure : str
        The column that utility predicts, and "AUC" or "R2".
    """

    two_sample: TwoSample | None = None
    two_sample_heldout: TwoSample | None = None
    marginals: MarginalErrors | None = None
    pairs: PairErrors | None = None
    suspects: tuple[Suspect, ...] = ()
    rows: Mapping[str, int] = field(default_factory=dict)
    target: str = ""
    target_measure: str = ""


@dataclass(frozen=True)
class Panel:
    """The measures of one set of generated records; None with a sentence in `reasons` where there is no figure.

    Attributes
    ----------
    c2st_train, c2st_heldout : higher is better, see `two_sample`
    marginal_error, pair_error : lower is better, in [0, 1], against held-out records
    alpha_precision, beta_recall, precision, recall, density_score, coverage : higher is better, see `coverage`
    mmd, energy_distance : lower is better, unbiased and so around 0, or below, for perfect records
    utility, utility_real : AUC or R2 on held-out records of trees trained on generated, and on training records
    closer_to_train : 0.5 is honest, 1 is a copy
    exact_copies, exact_copies_real, near_copies, near_copies_real
        Shares of generated, and of held-out records that copy a training record.
    reasons : field -> sentence
    """

    c2st_train: Interval | None = None
    c2st_heldout: Interval | None = None
    marginal_error: Interval | None = None
    pair_error: Interval | None = None
    alpha_precision: Interval | None = None
    beta_recall: Interval | None = None
    precision: Interval | None = None
    recall: Interval | None = None
    density_score: Interval | None = None
    coverage: Interval | None = None
    mmd: Interval | None = None
    energy_distance: Interval | None = None
    utility: Interval | None = None
    utility_real: Interval | None = None
    closer_to_train: Interval | None = None
    exact_copies: Interval | None = None
    exact_copies_real: Interval | None = None
    near_copies: Interval | None = None
    near_copies_real: Interval | None = None
    reasons: Mapping[str, str] = field(default_factory=dict)
    details: PanelDetails = field(default_factory=PanelDetails)

    def figures(self) -> dict[str, Interval | None]:
        """The intervals by name, in order."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name not in ("reasons", "details")}

    def to_json(self) -> dict[str, Any]:
        """The panel as JSON data."""
        plain: dict[str, Any] = stored(self)
        return plain

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Panel:
        """The inverse of `to_json`; ValueError, KeyError or TypeError on anything it did not write."""
        panel: Panel = restored(cls, plain)
        return panel


def evaluate(
    generated: Any,
    training: Any,
    held_out: Any,
    features: Features,
    *,
    target: str | None = None,
    seed: int = 0,
    parts: Collection[str] | None = None,
) -> Panel:
    """All measures of generated records.

    Fidelity is against held-out records, with equally many generated ones where the measure depends on it; only
    `c2st_train` and memorisation look at the training records. Records may be anything that the domain of the features
    reads.

    Parameters
    ----------
    training : records, or None where they are not known
    target : the column that utility predicts; see `default_target`
    parts : names out of `PARTS`; all unless given

    Examples
    --------
    >>> from likewise.datasets import toy
    >>> from likewise.domains.table import Table
    >>> rows = [toy("ring").sample(200, random_state=seed) for seed in range(3)]
    >>> features = Features(Table().fit(rows[1]), rows[1])
    >>> panel = evaluate(*rows, features, parts=["marginals", "memorisation"])
    >>> panel.marginal_error.value < 0.2, panel.exact_copies.value, panel.reasons["mmd"]
    (True, 0.0, 'The part "distances" was not asked for.')
    """
    asked = tuple(PARTS) if parts is None else tuple(parts)
    unknown = sorted(set(asked) - set(PARTS))
    if unknown:
        raise DataError(f"There is no part {unknown[0]!r} of a panel; expected some of {', '.join(PARTS)}.")
    sides = {
        name: _Side(features, records)
        for name, records in (("generated", generated), ("training", training), ("held_out", held_out))
        if records is not None
    }
    work = _Work(features, sides, target, seed)
    figures: dict[str, Interval] = {}
    reasons: dict[str, str] = {}
    for part, names in PARTS.items():
        if part not in asked:
            reasons |= dict.fromkeys(names, f'The part "{part}" was not asked for.')
            continue
        try:
            figures |= getattr(work, part)()
        except NoFigure as why:
            text = str(why)
            reasons |= dict.fromkeys(names, f"{text[0].upper()}{text[1:]}.")
    for name in (name for part in asked for name in PARTS[part] if name not in figures):
        reasons.setdefault(name, "The training records are not known.")
    rows = {name: len(side) for name, side in sides.items()}
    rows["compared"] = work.compared
    details = PanelDetails(**work.details, rows=rows)
    return Panel(**figures, reasons=reasons | work.reasons, details=details)


class _Side:
    """One set of records, seen in each way once."""

    def __init__(self, features: Features, records: Any) -> None:
        self._features = features
        self._source = features.domain.read(records)

    def __len__(self) -> int:
        return len(self._source)

    @cached_property
    def columns(self) -> tuple[Column, ...]:
        return self._features.columns(self._source)

    @cached_property
    def matrix(self) -> Array:
        return self._features.matrix(self._source)

    @cached_property
    def flat(self) -> Array:
        return self._features.flat(self._source)

    @cached_property
    def keys(self) -> Array:
        return self._features.keys(self._source)


class _Work:
    """The parts of a panel; each gives figures by name, and leaves what stands behind them in `details`.

    Why a part has one figure and not another is left in `reasons`.
    """

    def __init__(self, features: Features, sides: Mapping[str, _Side], target: str | None, seed: int) -> None:
        self.features, self.target, self.seed = features, target, seed
        self.generated, self.held_out = sides["generated"], sides["held_out"]
        self.training = sides.get("training")
        self.details: dict[str, Any] = {}
        self.reasons: dict[str, str] = {}
        self.compared = min(len(self.generated), len(self.held_out))
        self.paired = min(self.compared, LARGEST)

    def _rows(self, side: _Side, size: int) -> Array:
        """Random positions, in order; the same for each part of the panel."""
        return np.sort(np.random.default_rng(self.seed).permutation(len(side))[:size])

    def two_sample(self) -> dict[str, Interval]:
        figures = {}
        for name, real in (("train", self.training), ("heldout", self.held_out)):
            if real is None:
                continue
            fake = self.generated
            found = two_sample(
                fake.flat,
                real.flat,
                (fake.keys, real.keys),
                self.features.names,
                self.features.column_of_flat,
                self.seed,
            )
            figures[f"c2st_{name}"] = found.score
            self.details["two_sample" if name == "train" else "two_sample_heldout"] = found
            if name == "train":
                self.details["suspects"] = self._suspects(found, real)
        return figures

    def _suspects(self, found: TwoSample, training: _Side) -> tuple[Suspect, ...]:
        first = np.argsort(-found.suspicion, kind="stable")[:SUSPECTS]
        rows = found.positions[first]
        distances, nearest = neighbours(self.generated.matrix[rows], training.matrix)
        return tuple(
            Suspect(int(row), float(p), int(near), float(gap))
            for row, p, near, gap in zip(rows, found.suspicion[first], nearest[:, 0], distances[:, 0], strict=True)
        )

    def marginals(self) -> dict[str, Interval]:
        found = marginals(self.generated.columns, self.held_out.columns, self.seed)
        self.details["marginals"] = found
        return {"marginal_error": found.mean}

    def pairs(self) -> dict[str, Interval]:
        made, real = (
            [column.rows(self._rows(side, self.compared)) for column in side.columns]
            for side in (self.generated, self.held_out)
        )
        found = pairs(made, real, self.seed)
        self.details["pairs"] = found
        return {"pair_error": found.mean}

    def _points(self) -> tuple[Array, Array]:
        made, real = (side.matrix[self._rows(side, self.paired)] for side in (self.generated, self.held_out))
        return made, real

    def coverage(self) -> dict[str, Interval]:
        within, typical = balls(*self._points()), supports(*self._points(), self.seed)
        return {
            "alpha_precision": typical.alpha_precision,
            "beta_recall": typical.beta_recall,
            "precision": within.precision,
            "recall": within.recall,
            "density_score": within.density,
            "coverage": within.coverage,
        }

    def distances(self) -> dict[str, Interval]:
        found = discrepancies(*self._points())
        return {"mmd": found.mmd, "energy_distance": found.energy}

    def utility(self) -> dict[str, Interval]:
        if self.training is None:
            return {}
        target = self.target or default_target(self.training.columns)
        if target is None:
            raise NoFigure("there is no column to predict")
        if target not in self.features.names:
            raise DataError(f"There is no column {target!r} to predict; expected one of {list(self.features.names)}.")
        i = self.features.names.index(target)
        if len(self.features.names) < 2:
            raise NoFigure("there is only one column")
        made, real, test = (
            (np.delete(side.flat, self.features.column_of_flat == i, axis=1), side.columns[i])
            for side in (self.generated, self.training, self.held_out)
        )
        found = utility(made, real, test, self.seed)
        self.details |= {"target": found.target, "target_measure": found.measure}
        return {"utility": found.generated, "utility_real": found.real}

    def memorisation(self) -> dict[str, Interval]:
        if self.training is None:
            return {}
        sides = self.generated, self.training, self.held_out
        points, keys = tuple(side.matrix for side in sides), tuple(side.keys for side in sides)
        found = memorisation((points[0], points[1], points[2]), (keys[0], keys[1], keys[2]), self.seed)
        figures = {name: getattr(found, name) for name in PARTS["memorisation"]}
        if figures["closer_to_train"] is None:
            del figures["closer_to_train"]
            self.reasons["closer_to_train"] = (
                "The real records nearest to generated ones are too few to tell: the interval would be wider than "
                f"{WIDEST} ({len(self.held_out)} held-out records)."
            )
        return figures
