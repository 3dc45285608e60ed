"""What was found out about one set of generated records and the model they came from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from likewise.board.budget import Unit
from likewise.metrics.interval import Interval
from likewise.metrics.panel import Panel
from likewise.metrics.support import Support

REFERENCE = "reference"
"""The family of the reference rows."""

REAL_BESIDE = ("utility_real", "exact_copies_real", "near_copies_real")
"""Figures of real records, for comparison."""


@dataclass(frozen=True)
class Likelihood:
    """Log-likelihood of held-out records: mean and standard error in nats a record, None where there is no figure."""

    kind: str
    mean: float | None = None
    error: float | None = None
    base_measure: str | None = None


@dataclass(frozen=True)
class Result:
    """A row of the board before it is ranked.

    Attributes
    ----------
    name, family : str
    status : "ok" or "failed"
    reason : str
        Why it failed.
    panel, support : what the metrics found, None where it failed
    likelihood : Likelihood
    borrowed : Interval or None
        The two-sample score of what the model borrows from another family, by itself.
    reasons : field -> sentence
        Why there is no figure.
    fit_seconds, sample_seconds : float or None
    parameters : int or None
        Learned numbers.
    drawn : int
        Records that were drawn and judged.
    path : str or None
        The file of the model.
    settings : name -> text
        What it was made with.
    training : how its fit went, as JSON data; empty where nothing was fitted here
    stopped : str
        Why its fit was ended to leave the rest of its budget to others; "" where it was not.
    hearings : what it had reached after parts of its budget, as JSON data
    """

    name: str
    family: str
    status: str = "ok"
    reason: str = ""
    panel: Panel | None = None
    support: Support | None = None
    likelihood: Likelihood = field(default_factory=lambda: Likelihood("none"))
    borrowed: Interval | None = None
    reasons: Mapping[str, str] = field(default_factory=dict)
    fit_seconds: float | None = None
    sample_seconds: float | None = None
    parameters: int | None = None
    drawn: int = 0
    path: str | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    stopped: str = ""
    hearings: Sequence[Mapping[str, Any]] = ()

    def taken(self, unit: Unit) -> float:
        """What its fit took of a budget."""
        return float((self.fit_seconds if unit == "max_time" else self.training.get("steps")) or 0.0)

    def to_json(self) -> dict[str, Any]:
        """JSON data, whole enough for a comparison to go on from."""
        plain = {name: getattr(self, name) for name in _PLAIN}
        return {
            **plain,
            "panel": None if self.panel is None else self.panel.to_json(),
            "support": None if self.support is None else self.support.to_json(),
            "likelihood": asdict(self.likelihood),
            "borrowed": None if self.borrowed is None else asdict(self.borrowed),
        }

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Result:
        """The inverse of `to_json`; ValueError, KeyError or TypeError on anything it did not write."""
        return cls(
            **{name: plain[name] for name in _PLAIN},
            panel=None if plain["panel"] is None else Panel.from_json(plain["panel"]),
            support=None if plain["support"] is None else Support.from_json(plain["support"]),
            likelihood=Likelihood(**plain["likelihood"]),
            borrowed=None if plain["borrowed"] is None else Interval(**plain["borrowed"]),
        )

    def figures(self) -> dict[str, Any]:
        """The fields of the row that do not depend on other rows, in order."""
        every = Panel() if self.panel is None else self.panel
        row: dict[str, Any] = {
            "model": self.name,
            "family": self.family,
            "status": self.status,
            "reason": self.reason or None,
            "stopped": self.stopped or None,
            "hearings": [dict(one) for one in self.hearings],
            "density": self.likelihood.kind,
        }
        for name, interval in every.figures().items():
            row[name] = None if interval is None else interval.value
            if name not in REAL_BESIDE:
                row[f"{name}_low"] = None if interval is None else interval.low
                row[f"{name}_high"] = None if interval is None else interval.high
        found = self.support
        row |= {
            "strays": None if found is None else found.strays.value,
            "strays_real": None if found is None else found.strays_real,
            "uncovered": None if found is None else found.uncovered.value,
            "uncovered_real": None if found is None else found.uncovered_real,
            "borrowed_score": None if self.borrowed is None else self.borrowed.value,
            "log_likelihood": self.likelihood.mean,
            "log_likelihood_error": self.likelihood.error,
            "log_likelihood_kind": None if self.likelihood.mean is None else self.likelihood.kind,
            "base_measure": self.likelihood.base_measure,
            "fit_seconds": self.fit_seconds,
            "sample_seconds": self.sample_seconds,
            "drawn": self.drawn or None,
            "parameters": self.parameters,
            "path": self.path,
            "reasons": {**every.reasons, **self.reasons},
        }
        return row


_PLAIN = (
    "name", "family", "status", "reason", "reasons", "fit_seconds", "sample_seconds", "parameters", "drawn", "path",
    "settings", "training", "stopped", "hearings",
)  # fmt: skip
