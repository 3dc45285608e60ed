"""The board as rows, as a data frame and as text that fits a terminal of 80 columns."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from likewise.board.ranking import Standing, hardest, standing
from likewise.board.references import REFERENCES
from likewise.board.results import REFERENCE, Result
from likewise.board.titles import row_title
from likewise.board.verdict import verdict

if TYPE_CHECKING:
    import pandas as pd

DASH = "–"

LOWER = ("marginal_error", "pair_error", "mmd", "energy_distance", "closer_to_train", "exact_copies", "strays",
         "uncovered", "fit_seconds", "sample_seconds")  # fmt: skip
"""Columns of the data frame in which lower is better; they say so in their heads."""

SHOWN = (
    "score", "fidelity", "c2st_heldout", "c2st_train", "marginal_error", "pair_error", "alpha_precision", "beta_recall",
    "precision", "recall", "density_score", "coverage", "mmd", "energy_distance", "utility", "strays", "uncovered",
    "closer_to_train", "exact_copies", "log_likelihood", "fit_seconds", "sample_seconds",
)  # fmt: skip
"""Columns of the data frame."""


def board(results: Sequence[Result]) -> list[dict[str, Any]]:
    """The rows: models by rank, then those that failed, then the three references.

    Each row has the figures of its result, and `rank`, `score` and `fidelity` with their intervals, the other factors
    of the score, and `verdict`.
    """
    references = {one.name: one for one in results if one.family == REFERENCE}
    ranked, rest = [], []
    for result in results:
        if result.panel is None:
            rest.append(_row(result, None, f"failed: {result.reason}"))
            continue
        found = standing(result, references)
        row = _row(result, found, verdict(result, found, references))
        if result.family == REFERENCE:
            rest.append(row)
        else:
            ranked.append((found.order, row))
    ranked.sort(key=lambda pair: pair[0], reverse=True)
    for rank, (_, row) in enumerate(ranked, 1):
        row["rank"] = rank
    rest.sort(key=lambda row: REFERENCES.index(row["model"]) if row["family"] == REFERENCE else -1)
    return [*(row for _, row in ranked), *rest]


def _row(result: Result, found: Standing | None, words: str) -> dict[str, Any]:
    factors = ("plausible", "complete", "fresh")
    row = result.figures()
    told = row.pop("reasons")
    row |= {"rank": None, "score": None if found is None else found.score}
    fidelity = hardest(result.panel)
    for end in ("value", "low", "high"):
        level = None if fidelity is None else getattr(fidelity, end)
        left = None if level is None or found is None else level * found.left
        ending = "" if end == "value" else f"_{end}"
        row |= {f"fidelity{ending}": level, f"score{ending}": left}
    row |= {name: None if found is None else getattr(found, name) for name in factors}
    words = f"{words}; {result.stopped}" if result.stopped else words
    row |= {"verdict": words, "reasons": told}
    if row["reason"] is None and row["log_likelihood"] is None and result.family != REFERENCE:
        row["reason"] = told.get("log_likelihood")
    return row


def frame(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """The board as a data frame, indexed by model; higher is better but where the head says "(lower)"."""
    import pandas as pd

    facts = [{name: row.get(name) for name in ("model", "rank", "family", "status", "density")} for row in rows]
    for fact, row in zip(facts, rows, strict=True):
        fact |= {f"{name} (lower)" if name in LOWER else name: row.get(name) for name in SHOWN}
        fact["log_likelihood_kind"] = row.get("log_likelihood_kind")
        fact["stopped"], fact["verdict"] = row.get("stopped"), row["verdict"]
    made = pd.DataFrame(facts).set_index("model")
    made["rank"] = made["rank"].astype("Int64")
    return made


# ------------------------------------------------------------------------------------------------------------- as text

HEADS = ("#", "model", "score", "real?", "shape", "pairs", "closer", "copy", "nats", "fit")
STOPPED = "†"
"""Behind the time of a fit that was stopped for the sake of others."""

NAME = 16
"""Letters of a name beyond which it is cut."""

RIGHT = tuple(head for head in HEADS if head != "model")
LEGEND = (
    "score ranks: real? times what strays, gaps and copies leave of it. real?: two-sample test against held-out or "
    "training records, whichever is harder; 1 cannot be told apart. shape, pairs: errors of columns and of pairs, 0 is "
    "best. closer: share closer to training than to held-out records, 50% is honest. nats: log-likelihood of a "
    "held-out record (≥ a bound, ~ an estimate). fit: † was stopped early, for the sake of the others."
)


def cells(row: Mapping[str, Any]) -> list[str]:
    """The cells of a row under `HEADS`, a dash where there is no figure."""
    name = row_title(row)
    name = name if len(name) <= NAME else f"{name[: NAME - 1]}…"
    if row["status"] == "failed":
        return [DASH, name, "failed", *[DASH] * (len(HEADS) - 3)]
    return [
        str(row["rank"]) if row["rank"] is not None else "",
        name,
        _number(row["score"], 2),
        _number(row["fidelity"], 2),
        _number(row["marginal_error"], 3),
        _number(row["pair_error"], 3),
        _share(row["closer_to_train"]),
        _share(row["exact_copies"]),
        _nats(row),
        DASH if row["fit_seconds"] is None else clock(row["fit_seconds"]) + (STOPPED if row.get("stopped") else ""),
    ]


def sentences(rows: Sequence[Mapping[str, Any]], width: int = 80) -> list[str]:
    """A line or more for each model: its name and the verdict; of references only the copy and what failed is told."""
    lines = []
    for row in rows:
        if row["family"] == REFERENCE:
            continue
        text = f"{row_title(row)}: {row['verdict']}."
        lines += textwrap.wrap(text, width, subsequent_indent="  ", break_on_hyphens=False)
    return lines


def text(rows: Sequence[Mapping[str, Any]], width: int = 80) -> str:
    """The board as plain text: a table, and a verdict for each model."""
    table = [list(HEADS), *map(cells, rows)]
    widths = [max(len(line[i]) for line in table) for i in range(len(HEADS))]
    lines = []
    for line in table:
        parts = [
            cell.rjust(size) if head in RIGHT else cell.ljust(size)
            for cell, size, head in zip(line, widths, HEADS, strict=True)
        ]
        lines.append("  ".join(parts).rstrip())
    lines.insert(1, "─" * (sum(widths) + 2 * len(widths) - 2))
    first = next((i for i, row in enumerate(rows) if row["family"] == REFERENCE), None)
    if first:
        lines.insert(2 + first, "")
    return "\n".join([*lines, "", *sentences(rows, width)])


def _number(value: float | None, digits: int) -> str:
    return DASH if value is None else f"{value:.{digits}f}"


def _share(value: float | None) -> str:
    return DASH if value is None else f"{value:.0%}" if value >= 0.0995 or value == 0 else f"{value:.1%}"


def _nats(row: Mapping[str, Any]) -> str:
    if row["log_likelihood"] is None:
        return DASH
    sign = {"bound": "≥", "estimate": "~", "unnormalised": "?"}.get(row["log_likelihood_kind"], "")
    digits = 2 if abs(row["log_likelihood"]) < 1000 else 0
    return f"{sign}{row['log_likelihood']:.{digits}f}"


def clock(seconds: float) -> str:
    """A duration in at most six letters.

    Examples
    --------
    >>> clock(4.26), clock(65), clock(3700)
    ('4.3s', '1m05s', '1h01m')
    """
    if seconds < 60:
        return f"{seconds:.1f}s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}m{rest:02d}s" if minutes < 60 else f"{minutes // 60}h{minutes % 60:02d}m"
