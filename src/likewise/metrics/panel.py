"""All measures of one set of generated records, as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from likewise.metrics.interval import Interval
from likewise.metrics.marginals import MarginalErrors
from likewise.metrics.pairs import PairErrors
from likewise.metrics.stored import restored, stored
from likewise.metrics.two_sample import TwoSample


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
