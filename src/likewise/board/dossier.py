"""From a comparison to the plain data that its report shows."""

from __future__ import annotations

import datetime as dt
import os
import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import likewise
from likewise.board.division import Division
from likewise.board.latents import latents_of
from likewise.board.networks import network_of
from likewise.board.ranking import RULE
from likewise.board.report.data import Curve, ModelReport, ReportData, Suspect
from likewise.board.results import REFERENCE
from likewise.board.titles import row_title
from likewise.board.trial import Outcome, some
from likewise.domains.table.sources import Source

if TYPE_CHECKING:
    from likewise.board.comparison import Comparison

DRAWN = 10_000
"""Records of each kind that a figure is drawn from."""

SUSPECTS = 5

LIBRARIES = ("torch", "numpy", "scikit-learn", "pandas", "pyarrow")


def dossier(comparison: Comparison, command: str | None = None) -> ReportData:
    """All that a report of this comparison shows."""
    division = comparison.terms.division
    features, seed = division.features, comparison.seed
    rows = {row["model"]: row for row in comparison.rows}
    outcomes = {one.result.name: one for one in comparison.outcomes}
    told = [_report(row, outcomes[name], division, seed) for name, row in rows.items() if row["status"] == "ok"]
    training = features.columns(some(division.training, DRAWN, seed))
    return ReportData(
        data=division.name,
        n_training=len(division.training),
        n_held_out=len(division.held_out),
        n_evaluated=comparison.terms.size,
        split=division.split,
        models=tuple(one for one in told if one.row["family"] != REFERENCE),
        references=tuple(one for one in told if one.row["family"] == REFERENCE),
        failures=tuple((row_title(rows[name]), reason) for name, reason in comparison.failures.items()),
        training=training,
        held_out=features.columns(some(division.held_out, DRAWN, seed)),
        schema=tuple(division.domain.describe()),
        ranking=RULE,
        command=in_python(comparison) if command is None else command,
        seed=seed,
        created=dt.datetime.now().astimezone().isoformat(timespec="seconds"),
        machine=machine(),
        versions=versions(),
        notes=tuple(division.domain.notes),
        seconds=comparison.data["seconds"],
    )


def _report(row: Mapping[str, Any], outcome: Outcome, division: Division, seed: int) -> ModelReport:
    result, generated = outcome.result, outcome.generated
    features, training = division.features, division.training
    assert result.panel is not None
    assert generated is not None
    details = result.panel.details
    return ModelReport(
        row=row,
        verdict=row["verdict"],
        columns=features.columns(some(generated, DRAWN, seed)),
        marginal_errors={} if details.marginals is None else details.marginals.columns,
        worst_pairs=() if details.pairs is None else tuple((p.first, p.second, p.error) for p in details.pairs.pairs),
        tells=() if details.two_sample is None else details.two_sample.tells,
        suspects=tuple(
            Suspect(
                one.suspicion,
                cells(generated, one.row, features.names),
                cells(training, one.nearest, features.names),
                one.distance,
            )
            for one in details.suspects[:SUSPECTS]
        ),
        curve=Curve.of(result.training),
        settings=result.settings,
        latents=latents_of(outcome.model, division.held_out, seed),
        network=network_of(outcome.model, division.training, seed),
    )


def cells(source: Source, row: int, names: tuple[str, ...]) -> dict[str, str]:
    """A record as a person reads it, "" where a cell is blank."""
    told = {}
    for name in names:
        vector = source.vector(name).rows(np.array([row]))
        if vector.missing[0]:
            told[name] = ""
        elif vector.family == "moment":
            told[name] = str(vector.data.astype(np.int64).view(f"{'m' if vector.span else 'M'}8[{vector.unit}]")[0])
        else:
            value = vector.scalars()[0]
            told[name] = f"{value:.6g}" if isinstance(value, float) else str(value)
    return told


def in_python(comparison: Comparison) -> str:
    """The call that does this comparison again, where no command line was typed."""
    return f"lw.compare({comparison.data['name']!r}, random_state={comparison.seed})"


def machine() -> tuple[tuple[str, str], ...]:
    """Processor, cores and memory, as far as the system tells."""
    told = [("system", f"{platform.system()} {platform.release()}"), ("processor", _processor())]
    told.append(("cores", str(os.cpu_count() or "unknown")))
    try:
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        told.append(("memory", f"{memory / 2**30:.1f} GiB"))
    except (AttributeError, OSError, ValueError):
        pass
    return tuple(told)


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def versions() -> tuple[tuple[str, str], ...]:
    """Of Python, this library and what its figures depend on."""
    told = [("python", platform.python_version()), ("likewise", likewise.__version__)]
    for name in LIBRARIES:
        try:
            told.append((name, version(name)))
        except PackageNotFoundError:
            continue
    return tuple(told)
