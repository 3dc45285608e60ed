"""Which columns and pairs are worth a place on the page."""

from __future__ import annotations

from likewise.board.report.data import ReportData

PANELS = 75
"""About how many drawings of single columns a report has, over all models."""

FEWEST, MOST = 6, 24
"""Bounds on how many columns are shown."""

MIRRORED = 16
"""Columns of the table of all associations."""

PAIRS = 4
"""Pairs of columns that are shown."""


def by_interest(data: ReportData) -> list[str]:
    """All columns, those first in which some model errs most, or by which it was told from real records."""
    interest = {column.name: 0.0 for column in data.training}
    for model in data.models:
        found = [*model.marginal_errors.items(), *model.tells]
        for name, error in found:
            if name in interest:
                interest[name] = max(interest[name], error)
    return sorted(interest, key=lambda name: -interest[name])


def columns_shown(data: ReportData) -> list[str]:
    """The columns that are drawn, the most interesting first."""
    room = PANELS // max(len(data.models), 1)
    return by_interest(data)[: min(max(room, FEWEST), MOST)]


def columns_mirrored(data: ReportData) -> list[str]:
    """The columns of the table of associations, in their own order."""
    chosen = by_interest(data)
    for a, b, _ in reversed(_pairs(data)):
        for name in (b, a):
            chosen.remove(name)
            chosen.insert(0, name)
    kept = set(chosen[:MIRRORED])
    return [column.name for column in data.training if column.name in kept]


def pairs_shown(data: ReportData) -> list[tuple[str, str]]:
    """The pairs that are drawn, the worst first."""
    return [(a, b) for a, b, _ in _pairs(data)]


def _pairs(data: ReportData) -> list[tuple[str, str, float]]:
    """The worst pairs over all models; each column at most twice, so that they tell different things."""
    known = {column.name for column in data.training}
    worst: dict[tuple[str, str], float] = {}
    for model in data.models:
        for first, second, error in model.worst_pairs:
            if {first, second} <= known and first != second:
                pair = (first, second) if first < second else (second, first)
                worst[pair] = max(worst.get(pair, 0.0), error)
    found: list[tuple[str, str, float]] = []
    for (a, b), error in sorted(worst.items(), key=lambda item: -item[1]):
        if all(sum(name in pair[:2] for pair in found) < 2 for name in (a, b)):
            found.append((a, b, error))
    return found[:PAIRS]
