"""A model in plain words: how real its records look, what is wrong with them, and what it memorised."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from likewise.board.faults import dependence, margins, places
from likewise.board.ranking import COPIED, Standing, hardest
from likewise.board.references import INDEPENDENT, REAL
from likewise.board.results import REFERENCE, Result
from likewise.families.registry import family_class

if TYPE_CHECKING:
    from likewise.metrics.panel import Panel

LOOKS: Sequence[tuple[float, str]] = (
    (0.9, "hard to tell from real"),
    (0.7, "close to real"),
    (0.4, "can be told from real"),
    (0.1, "easily told from real"),
    (0.0, "nothing like real"),
)
"""Two-sample score from which on a sample looks like this."""

MARKED = 0.97
"""The two-sample score below which something is worth naming."""

FAULTS = 4
"""At most so many faults are named."""

FLATTERING, SPOILT = 0.4, 0.7
"""The average flatters above this two-sample score, where the other factors leave less than this part of it."""

UNCERTAIN = 0.3
"""The width of an interval that a verdict must mention."""


def verdict(result: Result, standing: Standing, references: Mapping[str, Result]) -> str:
    """One sentence, its parts joined by semicolons.

    Parameters
    ----------
    result : Result with figures
    standing : Standing
    references : name -> Result
        What is wrong with real records too is no fault; may be empty.
    """
    assert result.panel is not None
    if result.family == REFERENCE and result.name == REAL:
        return f"{looks(result)}: what fresh real records score, and the most that a model can be asked for"
    if result.family == REFERENCE and result.name == INDEPENDENT:
        return f"{looks(result)}: what a model scores that knows each column and not how they depend on each other"
    if standing.copy:
        return _copied(result.panel, standing)
    real = references.get(REAL)
    faults = [*places(result, standing), *dependence(result.panel), *margins(result.panel, real)]
    if not faults and standing.fidelity < MARKED:
        faults = _tells(result.panel)
    opening = looks(result, references.get(INDEPENDENT))
    if standing.fidelity > FLATTERING and standing.left < SPOILT:
        opening += " on average, but not as a whole"
    return "; ".join([opening, *faults[:FAULTS], _memory(result.panel, standing), *_plainly(result)])


def _plainly(result: Result) -> list[str]:
    """What a model scores without what is its own, where it stands on a part of another family."""
    if result.borrowed is None:
        return []
    return [f"with {family_class(result.family).plainly} it scores {result.borrowed.value:.2f}"]


def looks(result: Result, independent: Result | None = None) -> str:
    """How real the records look, by the two-sample score, which must be better than that of independent columns."""
    score = hardest(result.panel)
    if score is None:
        return "no two-sample score"
    floor = None if independent is None or independent is result else hardest(independent.panel)
    if floor is not None and score.value <= floor.high:
        return "no closer to real than independent columns"
    words = next(words for least, words in LOOKS if score.value >= least)
    if score.high - score.low > UNCERTAIN:
        words += " as far as so few records can say"
    return words


def _copied(panel: Panel, standing: Standing) -> str:
    exact, real = panel.exact_copies, panel.exact_copies_real
    if exact is not None and real is not None and standing.repeated >= COPIED[1]:
        share, usual = f"{exact.value:.0%}", f"{real.value:.0%}"
        return f"a copy of the training data: {share} of its records stand there, {usual} of real ones do"
    near = panel.near_copies
    closer = panel.closer_to_train
    why = []
    if near is not None and panel.near_copies_real is not None and near.low > panel.near_copies_real.high:
        why.append(f"{near.value:.0%} are near copies, of real records {panel.near_copies_real.value:.0%}")
    if closer is not None and closer.low > 0.5:
        why.append(f"{closer.value:.0%} are closer to training than to held-out records")
    return f"copies of training records with small changes: {', '.join(why)}"


def _memory(panel: Panel, standing: Standing) -> str:
    if panel.closer_to_train is None and panel.exact_copies is None:
        return "what it memorised is unknown without its training records"
    if standing.copied > COPIED[0]:
        return f"repeats training records: about {standing.copied:.0%} of its records are copies"
    if standing.copied > 0.02:
        return f"leans on its training records ({standing.copied:.0%} more than fresh ones would)"
    if panel.closer_to_train is None:
        return "copies no training record"
    return "memorises nothing"


def _tells(panel: Panel) -> list[str]:
    """By what the trees told it, where nothing simpler is wrong."""
    found = panel.details.two_sample
    if found is None or not found.tells:
        return []
    names = [name for name, weight in found.tells[:3] if weight > 0.05]
    return [f"given away by {', '.join(names)}"] if names else []
