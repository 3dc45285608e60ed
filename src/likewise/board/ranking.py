"""In what order models stand, and why: how hard they are to tell from real, times what no average may forgive."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from likewise.board.references import COPY
from likewise.board.results import REFERENCE, Result
from likewise.metrics.interval import Interval
from likewise.metrics.panel import Panel
from likewise.metrics.support import Support

RULE = (
    "score = two-sample score x plausible x complete x fresh. The two-sample score is the lower of those against "
    "held-out and against training records: neither luck with few records nor a good memory helps. Each factor is 1 "
    "for honest records and falls to 0: plausible with the records that lie far from all real ones and how far, "
    "complete with the share of real records that have no counterpart, or fall into a state or range that is left out "
    "(0 at 10%), fresh with the share of copies of training records (0 at 50%). Copies of the data stand below "
    "everything."
)
"""The rule, as a report prints it."""

ASTRAY = (0.02, 0.40)
"""Excess of strays, see `Support`, that costs nothing, and everything: 4% of far outliers."""

LEFT_OUT = (0.01, 0.10)
"""Shares of real records left out that cost nothing, and everything."""

COPIED = (0.10, 0.50)
"""Shares of copies that cost nothing, and everything; from there on a sample counts as a copy of the data."""


TELLING = 0.05
"""The least difference between real records and copies by which the latter can be told at all."""


@dataclass(frozen=True)
class Standing:
    """How a model is ranked.

    Attributes
    ----------
    score : float or None
        The product of the four factors; None where there is no two-sample score.
    fidelity, plausible, complete, fresh : float
        In [0, 1].
    astray, left_out, repeated, copied : float
        What the factors come from, beyond that of real records: excess of strays, and the shares of records that are
        left out, copied value for value, and copied in any way.
    """

    score: float | None
    fidelity: float
    plausible: float
    complete: float
    fresh: float
    astray: float
    left_out: float
    repeated: float
    copied: float

    @property
    def left(self) -> float:
        """What the other factors leave of the two-sample score."""
        return self.plausible * self.complete * self.fresh

    @property
    def copy(self) -> bool:
        """Whether these are copies of the training records, with or without small changes."""
        return self.copied >= COPIED[1]

    @property
    def order(self) -> tuple[bool, float, float]:
        """The larger, the better: copies below everything, then by score, then by fidelity."""
        return (not self.copy, -1.0 if self.score is None else self.score, self.fidelity)


def standing(result: Result, references: Mapping[str, Result]) -> Standing:
    """The standing of a result that has figures, beside the reference rows, of which there may be none."""
    assert result.panel is not None
    assert result.support is not None
    score = hardest(result.panel)
    fidelity = 0.0 if score is None else score.value
    astray = max(0.0, result.support.excess.low - result.support.excess_real)
    left_out = left_out_of(result.support)
    repeated, copied = copied_of(result, references.get(COPY))
    plausible = _falling(astray, ASTRAY)
    complete, fresh = _falling(left_out, LEFT_OUT), _falling(copied, COPIED)
    product = None if score is None else fidelity * plausible * complete * fresh
    return Standing(product, fidelity, plausible, complete, fresh, astray, left_out, repeated, copied)


def hardest(panel: Panel | None) -> Interval | None:
    """The lower of the two-sample scores against held-out and against training records; None without the former.

    Against few held-out records trees can tell little, so that any sample looks good; against training records a copy
    does. What is good against both is good.
    """
    if panel is None or panel.c2st_heldout is None:
        return None
    scores = [one for one in (panel.c2st_heldout, panel.c2st_train) if one is not None]
    return min(scores, key=lambda one: one.value)


def left_out_of(support: Support) -> float:
    """The share of real records without a counterpart: by distances, or in the states and ranges of one column."""
    by_column: dict[str, float] = {}
    for one in support.omissions:
        by_column[one.column] = by_column.get(one.column, 0.0) + one.real - one.generated
    return max([0.0, support.uncovered.low - support.uncovered_real, *by_column.values()])


def copied_of(result: Result, copy: Result | None) -> tuple[float, float]:
    """The share of records that are copies of training ones, certainly and beyond what chance makes of real records.

    The first figure is of copies value for value, the second of copies of any kind: the largest of three signs, exact
    copies, near copies, and the preference for training records over held-out ones. Each is measured on the scale from
    what real records show to what `copy`, the copy of the training records, shows: where records often repeat, a copy
    is not far from honest, and the little that it differs counts.
    """
    if result.family == REFERENCE and result.name == COPY:
        return 1.0, 1.0
    panel, full = result.panel, Panel() if copy is None or copy.panel is None else copy.panel
    assert panel is not None
    half = Interval(0.5, 0.5, 0.5)
    exact = _share(panel.exact_copies, panel.exact_copies_real, full.exact_copies)
    return exact, max(
        exact,
        _share(panel.near_copies, panel.near_copies_real, full.near_copies),
        _share(panel.closer_to_train, half, full.closer_to_train),
    )


def _share(found: Interval | None, honest: Interval | None, copied: Interval | None) -> float:
    """Where `found` lies between honest records and copies, at least; 0 where these two cannot be told apart."""
    if found is None or honest is None:
        return 0.0
    room = (1.0 if copied is None else copied.value) - honest.high
    return 0.0 if room < TELLING else min(1.0, max(0.0, (found.low - honest.high) / room))


def _falling(share: float, ends: tuple[float, float]) -> float:
    """1 up to the first share, 0 from the second on, linear between."""
    return min(1.0, max(0.0, (ends[1] - share) / (ends[1] - ends[0])))
