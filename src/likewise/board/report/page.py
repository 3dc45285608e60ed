"""The page: one file with its style and drawings inside, that asks nothing of any network."""

from __future__ import annotations

import os
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from likewise.atomic import atomic_path
from likewise.board.report import sections, wording
from likewise.board.report.cells import number, percent
from likewise.board.report.data import ReportData
from likewise.board.report.drawing import COLOURS
from likewise.board.report.measures import DASH, value_of
from likewise.board.report.pareto import duration


def write_report(data: ReportData, path: str | os.PathLike[str]) -> Path:
    """Writes the report as one HTML file, whole or not at all, and returns its path."""
    return write_page(render(data), path)


def write_page(text: str, path: str | os.PathLike[str]) -> Path:
    """Writes a page, whole or not at all, and returns its path."""
    final = Path(path)
    with atomic_path(final) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return final


def templates() -> Environment:
    """The templates, with what all pages have in common."""
    environment = Environment(
        loader=PackageLoader("likewise.board.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": number, "percent": percent, "duration": duration}
    environment.filters |= {"sentence": wording.sentence, "date": wording.date, "soft": wording.soft}
    environment.globals |= {"dash": DASH, "value_of": value_of, "colours": COLOURS, "same": wording.same}
    return environment


def render(data: ReportData) -> str:
    """The report as HTML."""
    environment = templates()
    environment.filters["score"] = lambda row: value_of(row, "score")
    real = sections.real_columns(data)
    names, mirrors = sections.mirrors(data, real)
    groups, without = sections.likelihoods(data)
    return environment.get_template("report.html").render(
        data=data,
        lead=wording.lead(data),
        kinds=wording.KINDS,
        board=sections.leaderboard(data),
        everything=sections.board(data, None, "all"),
        times=sections.times(data),
        rounds=sections.rounds(data),
        marginals=sections.marginals(data, real),
        mirrored=names,
        mirrors=mirrors,
        pairs=sections.pairs(data, real),
        pairings={report.name: sections.pairings(report) for report in data.models},
        curves=sections.curves(data),
        networks=sections.networks(data),
        latents=sections.latent_spaces(data),
        likelihoods=groups,
        without_likelihood=without,
    )
