"""The parts of the page, each made from the data of a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup

from likewise.board.report.cells import join, percent
from likewise.board.report.choice import columns_mirrored, columns_shown, pairs_shown
from likewise.board.report.curves import learning
from likewise.board.report.data import ModelReport, ReportData, Suspect
from likewise.board.report.dependence import associations
from likewise.board.report.drawing import INK, model_colour
from likewise.board.report.graph import Graph, graph_section
from likewise.board.report.latents import PROBES, effects_table, latent_map, probe_panel, rows_of
from likewise.board.report.marginals import category_panel, numeric_panel
from likewise.board.report.measures import DASH, HEADLINE, Cell, Measure, Notes, cell, plain, shown, value_of
from likewise.board.report.pairs import mirror, pair_panel
from likewise.board.report.pareto import Mark, duration, pareto
from likewise.board.report.scales import Ruled, Scale
from likewise.board.report.wording import STOPPED, finding, sentence, title_of
from likewise.metrics.features import Column

SUSPECTS = 3
"""Suspicious records shown of each model."""

CELLS = 9
"""Cells shown of each of them."""

ROWS = 8_000
"""Real records that drawings look at."""


@dataclass(frozen=True)
class Figure:
    """A drawing with its caption."""

    drawing: Markup
    model: str
    colour: int | None
    note: str = ""
    remark: str = ""


@dataclass(frozen=True)
class Line:
    """A row of the leaderboard, or a column of the table of all figures."""

    report: ModelReport
    title: str
    rank: int | None
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Board:
    """A table of figures."""

    measures: Sequence[Measure]
    models: Sequence[Line]
    references: Sequence[Line]
    notes: Notes


@dataclass(frozen=True)
class Pairing:
    """A suspicious record beside its nearest training record: (column, generated, nearest, whether they differ)."""

    suspect: Suspect
    cells: Sequence[tuple[str, str, str, bool]]
    left_out: int


def board(data: ReportData, fields: Sequence[str] | None, name: str) -> Board:
    """The table of these figures, all for None."""
    reports = [*data.models, *data.references]
    measures, notes = shown([report.row for report in reports], fields), Notes(name)
    lines = [
        Line(report, title_of(report), rank, tuple(cell(measure, report.row, notes) for measure in measures))
        for rank, report in enumerate(reports, start=1)
    ]
    size = len(data.models)
    return Board(measures, lines[:size], lines[size:], notes)


def leaderboard(data: ReportData) -> Board:
    """The table at the top."""
    return board(data, HEADLINE, "lead")


def times(data: ReportData) -> list[Figure]:
    """Score against the time to fit and the time to sample, where there is any."""
    lines = [
        (title, level)
        for name, title in (("real", "fresh real\nrecords"), ("independent", "independent\ncolumns"))
        for report in data.references
        if report.name == name and (level := value_of(report.row, "score")) is not None
    ]
    figures = []
    for field, what in (("fit_seconds", "time to fit"), ("sample_seconds", "time to sample")):
        marks = []
        for index, report in enumerate(data.models):
            seconds, score = value_of(report.row, field), value_of(report.row, "score")
            if seconds is not None and score is not None:
                low, high = (value_of(report.row, f"score_{end}") for end in ("low", "high"))
                low, high = (score if end is None else end for end in (low, high))
                marks.append(Mark(report.name, model_colour(index), max(seconds, 1e-4), score, low, high))
        if marks:
            figures.append(Figure(pareto(marks, lines, what, f"time-{field}"), f"Score against {what}", None))
    return figures


def real_columns(data: ReportData) -> dict[str, Column]:
    """All real records, column by column; of many, some."""
    joined = {a.name: join(a, b) for a, b in zip(data.training, data.held_out, strict=True)}
    size = len(data.training[0].values) + len(data.held_out[0].values) if data.training else 0
    rows = np.sort(np.random.default_rng(0).permutation(size)[:ROWS])
    return {name: column.rows(rows) for name, column in joined.items()}


def marginals(data: ReportData, real: Mapping[str, Column]) -> list[tuple[str, list[Figure]]]:
    """For each column shown: its name and a drawing a model."""
    found = []
    for row, name in enumerate(columns_shown(data)):
        column = real[name]
        scale = Scale.of(column) if column.kind == "number" else None
        figures = []
        for index, report in enumerate(data.models):
            generated = {one.name: one for one in report.columns}.get(name)
            if generated is None:
                continue
            key, colour = f"column-{row}-{index}", model_colour(index)
            if scale is None:
                drawing = category_panel(column, generated, colour, key, report.name)
            else:
                drawing = numeric_panel(column, generated, scale, colour, key, report.name)
            error = report.marginal_errors.get(name)
            figures.append(Figure(drawing, report.name, index, "" if error is None else plain(error)))
        if figures:
            found.append((name, figures))
    return found


def mirrors(data: ReportData, real: Mapping[str, Column]) -> tuple[list[str], list[Figure]]:
    """The columns, and for models and fresh real records a drawing of all their associations."""
    names = columns_mirrored(data)
    if len(names) < 2:
        return names, []
    columns = [real[name] for name in names]
    figures = []
    fresh = [report for report in data.references if report.name == "real"]
    for index, report in enumerate([*data.models, *fresh]):
        generated = {one.name: one for one in report.columns}
        if not all(name in generated for name in names):
            continue
        size = min(len(columns[0]), len(generated[names[0]]))
        parts = [[one.rows(slice(size)) for one in part] for part in (columns, [generated[name] for name in names])]
        ours = index < len(data.models)
        colour = model_colour(index) if ours else INK
        truth, found = (associations(part, columns) for part in parts)
        drawing = mirror(truth, found, names, colour, f"mirror-{index}", title_of(report))
        figures.append(Figure(drawing, title_of(report), index if ours else None))
    return names, figures


def pairs(data: ReportData, real: Mapping[str, Column]) -> list[tuple[str, str, list[Figure]]]:
    """For each pair shown: the two columns, and a drawing of real records and of each model's."""
    found = []
    for row, (x, y) in enumerate(pairs_shown(data)):
        ruled = Ruled.of(real[x]), Ruled.of(real[y])
        drawing = pair_panel(real[x], real[y], ruled, INK, f"pair-{row}-real", "real records")
        figures = [Figure(drawing, "real", None)]
        for index, report in enumerate(data.models):
            columns = {one.name: one for one in report.columns}
            if x in columns and y in columns:
                whose = f"records of {report.name}"
                drawing = pair_panel(columns[x], columns[y], ruled, model_colour(index), f"pair-{row}-{index}", whose)
                errors = {frozenset(pair[:2]): pair[2] for pair in report.worst_pairs}
                error = errors.get(frozenset((x, y)))
                figures.append(Figure(drawing, report.name, index, "" if error is None else plain(error)))
        found.append((x, y, figures))
    return found


def pairings(report: ModelReport) -> list[Pairing]:
    """The most suspicious records of a model, with the cells that say most: those of telling columns, then the rest."""
    tells = [name for name, _ in report.tells]
    found = []
    for suspect in report.suspects[:SUSPECTS]:
        names = [name for name in tells if name in suspect.record]
        names += [name for name in suspect.record if name not in names]
        near = {name: suspect.nearest.get(name, "") for name in names}
        cells = [(name, suspect.record[name], near[name], suspect.record[name] != near[name]) for name in names[:CELLS]]
        found.append(Pairing(suspect, cells, max(len(names) - CELLS, 0)))
    return found


@dataclass(frozen=True)
class Rounds:
    """What a model had reached after parts of its budget: (score, interval, time and steps) of each, and its end."""

    model: str
    colour: int
    reached: Sequence[tuple[str, str, str]]
    end: str

    @property
    def again(self) -> bool:
        """Whether it was judged a second time."""
        return len(self.reached) > 1


def rounds(data: ReportData) -> list[Rounds]:
    """Of each model that was judged on its way."""
    found = []
    for index, report in enumerate(data.models):
        heard = report.row.get("hearings") or ()
        if heard:
            reached = [_reached(one) for one in heard]
            why = report.row.get("stopped")
            found.append(Rounds(report.name, index, reached, sentence(why or _went_on(report))))
    return found


def _reached(one: Mapping[str, Any]) -> tuple[str, str, str]:
    after = f"{duration(one['seconds'])}, {one['steps']:,} steps"
    if one["score"] is None:
        return DASH, "", after
    return plain(one["score"]), f"{plain(one['score_low'])} to {plain(one['score_high'])}", after


def _went_on(report: ModelReport) -> str:
    how = "" if report.curve is None else STOPPED.get(report.curve.stopped, report.curve.stopped)
    return "went on" + (f", and {how}" if how else "")


def curves(data: ReportData) -> list[Figure]:
    """How each model that has a curve learned."""
    figures = []
    for index, report in enumerate(data.models):
        curve = report.curve
        if curve is not None:
            drawing = learning(curve, model_colour(index), f"curve-{index}", report.name)
            end = report.row.get("stopped") or STOPPED.get(curve.stopped, curve.stopped)
            remark = sentence("; ".join([end, *curve.remarks]))
            figures.append(Figure(drawing, report.name, index, remark=remark))
    return figures


@dataclass(frozen=True)
class LatentSpace:
    """What is shown of a model's latents: the finding in words, and drawings."""

    model: str
    colour: int
    words: str
    figures: Sequence[Figure]


def latent_spaces(data: ReportData) -> list[LatentSpace]:
    """Of each model that has latents: where records lie, what moves what, what linear models read."""
    found = []
    for index, report in enumerate(data.models):
        latents, name, colour = report.latents, report.name, model_colour(index)
        if latents is None:
            continue
        if latents.report is None:
            found.append(LatentSpace(name, index, latents.reason, ()))
            continue
        told, figures = latents.report, []
        if latents.map is not None:
            drawing = latent_map(latents.map, f"latent-map-{index}", name, colour)
            share = percent(latents.map.explained)
            remark = f"These two components hold {share} of the variance of latents." if latents.map.principal else ""
            figures.append(Figure(drawing, "Held-out records", None, remark=remark))
        drawing = effects_table(told, f"latent-effects-{index}", name, colour)
        few, all_of = len(rows_of(told)), len(told.coordinates)
        remark = (
            f"{few} of {all_of} latents are shown; the others move columns less or not at all." if few < all_of else ""
        )
        figures.append(Figure(drawing, "What each latent moves", None, remark=remark))
        best = sorted((*told.labels, *told.probes), key=lambda one: -one.latents.value)[:PROBES]
        if best:
            drawing = probe_panel(best, f"latent-probes-{index}", name, colour)
            figures.append(Figure(drawing, "What linear models read", None))
        found.append(LatentSpace(name, index, finding(told), figures))
    return found


def networks(data: ReportData) -> list[Graph]:
    """The graph of each Bayesian network, or why it is not drawn."""
    found = []
    for index, report in enumerate(data.models):
        if report.network is not None:
            found.append(graph_section(report.network, report.name, index))
    return found


def likelihoods(data: ReportData) -> tuple[list[tuple[str, list[ModelReport]]], list[ModelReport]]:
    """Models by base measure, the highest likelihood first; and those that have none."""
    groups: dict[str, list[ModelReport]] = {}
    without = []
    for report in data.models:
        if value_of(report.row, "log_likelihood") is None:
            without.append(report)
        else:
            groups.setdefault(str(report.row.get("base_measure") or "not said"), []).append(report)
    for group in groups.values():
        group.sort(key=lambda report: -float(report.row["log_likelihood"]))
    return list(groups.items()), without
