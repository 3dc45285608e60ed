"""The figures of a row as a reader meets them: what each is called, which way is better, what it means."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from likewise.board.report.cells import percent
from likewise.board.report.data import Row
from likewise.board.report.pareto import duration

DASH = "–"


def plain(value: float) -> str:
    """A score to three decimals.

    Examples
    --------
    >>> plain(0.91449), plain(-0.00004), plain(1.0)
    ('0.914', '0.000', '1.000')
    """
    text = f"{value:.3f}"
    return text.removeprefix("-") if float(text) == 0 else text.replace("-", "−")


def small(value: float) -> str:
    """A figure that may be tiny, or negative.

    Examples
    --------
    >>> small(0.00001234), small(-0.0213)
    ('1.2e−05', '−0.021')
    """
    return f"{value:.2g}".replace("-", "−")


@dataclass(frozen=True)
class Measure:
    """One figure of a row.

    Attributes
    ----------
    field : str
        Its name in the row.
    better : "higher", "lower", "half" or ""
    meaning : str
        A sentence.
    write : value -> text
    beside : str
        The field of the same figure for real records, "" where there is none.
    """

    field: str
    title: str
    better: str
    meaning: str
    write: Callable[[float], str] = plain
    beside: str = ""

    @property
    def way(self) -> str:
        """Which way is better, in words."""
        return {"higher": "higher is better", "lower": "lower is better", "half": "one half is right", "": ""}[
            self.better
        ]

    @property
    def arrow(self) -> str:
        """The same as a sign."""
        return {"higher": "↑", "lower": "↓", "half": "½", "": ""}[self.better]


MEASURES = (
    Measure(
        "score", "Score", "higher",
        "What models are ranked by: the lower fidelity of the two below, times what absurd, left out and copied "
        "records leave of it.",
    ),
    Measure(
        "c2st_heldout", "Fidelity, held-out", "higher",
        "How far boosted trees fail to tell generated records from held-out real ones: 1 is not at all, 0 is always.",
    ),
    Measure(
        "c2st_train", "Fidelity, training", "higher",
        "The same against the records that the model learned from; far above held-out means that it repeats them.",
    ),
    Measure(
        "marginal_error", "Marginal error", "lower",
        "Each column by itself: total variation of categories, Kolmogorov-Smirnov distance of numbers; the mean.",
    ),
    Measure(
        "pair_error", "Pair error", "lower",
        "Each two columns together: correlations, shares in the table of two categories; the mean difference.",
    ),
    Measure(
        "utility", "Utility", "higher",
        "How well trees that learned from generated records predict the target of held-out ones.",
        beside="utility_real",
    ),
    Measure(
        "closer_to_train", "Closer to training", "half",
        "How often a generated record is closer to a training record than to an equal number of held-out ones.",
    ),
    Measure(
        "exact_copies", "Exact copies", "lower",
        "Generated records that stand in the training set as they are, beside the share of held-out ones that do.",
        percent, "exact_copies_real",
    ),
    Measure(
        "near_copies", "Near copies", "lower",
        "Generated records almost equal to one of the training set, beside the share of held-out ones that are.",
        percent, "near_copies_real",
    ),
    Measure("alpha_precision", "Alpha-precision", "higher", "Whether generated records are as typical as real ones."),
    Measure("beta_recall", "Beta-recall", "higher", "Whether generated records are as varied as real ones."),
    Measure("precision", "Precision", "higher", "The share of generated records that lie where real ones do."),
    Measure("recall", "Recall", "higher", "The share of real records that lie where generated ones do."),
    Measure("density_score", "Density", "higher", "How crowded with real records the places of generated ones are."),
    Measure("coverage", "Coverage", "higher", "The share of real records that have a generated one nearby."),
    Measure(
        "strays", "Strays", "lower",
        "Generated records far from all real ones, beside the share of held-out records that are.",
        percent, "strays_real",
    ),
    Measure(
        "uncovered", "Uncovered", "lower",
        "Real records far from all generated ones, beside the share that fresh real records leave.",
        percent, "uncovered_real",
    ),
    Measure("mmd", "MMD", "lower", "Squared maximum mean discrepancy, unbiased, so that 0 is perfect.", small),
    Measure("energy_distance", "Energy distance", "lower", "Unbiased as well: around 0 for perfect records.", small),
    Measure(
        "borrowed_score", "Borrowed part", "",
        "What is left without a model's own mathematics: a counted start or base, a flow's codes, a plain prior.",
    ),
    Measure("fit_seconds", "Time to fit", "lower", "Wall time on the machine named below.", duration),
    Measure("sample_seconds", "Time to sample", "lower", "Wall time for the records that were judged.", duration),
    Measure("parameters", "Parameters", "", "Learned numbers.", "{:,.0f}".format),
)  # fmt: skip
"""All figures in the order of the report; a row may lack some of them altogether."""

HEADLINE = ("score", "marginal_error", "pair_error", "utility", "closer_to_train", "fit_seconds")
"""The figures of the leaderboard."""


def value_of(row: Row, name: str) -> float | None:
    """A figure of a row, None where it has none."""
    value = row.get(name)
    return None if value is None or not math.isfinite(value) else float(value)


@dataclass
class Notes:
    """Why cells are empty: each reason once, numbered as it is met."""

    name: str
    texts: list[str] = field(default_factory=list)

    def mark(self, text: str) -> int:
        """The number of a reason."""
        if text not in self.texts:
            self.texts.append(text)
        return self.texts.index(text) + 1


@dataclass(frozen=True)
class Cell:
    """One cell of a table of figures: its text, its interval, the figure of real records, or the note on why not."""

    text: str
    interval: str = ""
    beside: str = ""
    note: int | None = None


def cell(measure: Measure, row: Row, notes: Notes) -> Cell:
    """The cell of a figure in a row."""
    value = value_of(row, measure.field)
    if value is None:
        reasons = row.get("reasons", {})
        why = reasons.get(measure.field)
        # That a reference row has no model, and so no file, needs no note in each of its cells.
        told = why and not (row.get("family") == "reference" and why == reasons.get("path"))
        return Cell(DASH, note=notes.mark(str(why)) if told else None)
    low, high = (value_of(row, measure.field + end) for end in ("_low", "_high"))
    interval = "" if low is None or high is None else f"{measure.write(low)} to {measure.write(high)}"
    real = value_of(row, measure.beside) if measure.beside else None
    return Cell(measure.write(value), interval, "" if real is None else measure.write(real))


def shown(rows: Sequence[Row], names: Sequence[str] | None = None) -> list[Measure]:
    """The measures, of those named, that any of the rows has a figure for."""
    return [
        measure
        for measure in MEASURES
        if (names is None or measure.field in names) and any(value_of(row, measure.field) is not None for row in rows)
    ]
