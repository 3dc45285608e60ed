"""The page of a gallery: one file with its style and pictures inside, that asks nothing of any network."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from markupsafe import Markup

from likewise.board.dossier import machine, versions
from likewise.board.gallery import pictures
from likewise.board.gallery.facts import Cell, Truth
from likewise.board.report.cells import percent
from likewise.board.report.measures import DASH, plain
from likewise.board.report.page import templates
from likewise.board.report.pareto import duration
from likewise.board.report.wording import sentence
from likewise.board.titles import title

if TYPE_CHECKING:
    from likewise.board.gallery.gallery import Gallery

SIGNS = {"exact": "", "bound": "≤ ", "estimate": "≈ "}
"""What stands before a divergence: that of a lower bound of the likelihood is at most so large."""

ABSENT = {"density": "No density", "samples": "No samples", "latents": "No latent map", "journey": "No way to show"}
HEADS = {"density": "Density", "samples": "Samples", "latents": "Latents", "journey": "Out of noise"}


@dataclass(frozen=True)
class Panel:
    """A picture with its caption, or the sentence that stands in its place."""

    head: str
    drawing: Markup | None
    note: str = ""


@dataclass(frozen=True)
class Row:
    """A family on a toy, or the toy itself, which has no place among the models."""

    title: str
    index: int | None
    facts: Sequence[tuple[str, str]]
    panels: Sequence[Panel]
    failure: str = ""


@dataclass(frozen=True)
class Glance:
    """What stands in the table at the top: the divergence, and beneath it the score and the time."""

    divergence: str
    beside: str


def render(gallery: Gallery, command: str | None = None) -> str:
    """The page as HTML."""
    data = gallery.data
    shown = {name: title(name, family) for name, family in _families(gallery).items()}
    rooms = []
    for toy, truth in gallery.toys.items():
        rows = [_truth(truth)]
        for index, name in enumerate(data["models"]):
            rows.append(_row(gallery.cells[toy, name], truth, index, shown[name]))
        rooms.append((toy, rows))
    glance = [
        (shown[name], index, [_glance(gallery.cells[toy, name]) for toy in gallery.toys])
        for index, name in enumerate(data["models"])
    ]
    return (
        templates()
        .get_template("gallery.html")
        .render(
            rooms=rooms,
            glance=glance,
            real=[_score(truth.score) for truth in gallery.toys.values()],
            toys=list(gallery.toys),
            lead=_lead(gallery),
            frames=data["frames"],
            failures=[(f"{shown[name]} on {toy}", why) for (toy, name), why in gallery.failures.items()],
            command=in_python(gallery) if command is None else command,
            seed=data["seed"],
            created=dt.datetime.now().astimezone().isoformat(timespec="seconds"),
            machine=machine(),
            versions=versions(),
            settings=[(shown[name], _settings(gallery, name)) for name in data["models"]],
        )
    )


def in_python(gallery: Gallery) -> str:
    """The call that makes this gallery again."""
    data = gallery.data
    limit = None if data["time"] is None else f"{data['time']:g}s"
    return (
        f"lw.gallery({list(gallery.toys)!r}, {data['models']!r}, {limit!r}, random_state={data['seed']}, "
        f"records={data['records']}, grid={data['grid']}, frames={data['frames']})"
    )


def _families(gallery: Gallery) -> dict[str, str]:
    return {cell.model: cell.family for cell in gallery.cells.values()}


def _settings(gallery: Gallery, name: str) -> str:
    """What the model was made with, alike on every toy."""
    told = next(cell.settings for cell in gallery.cells.values() if cell.model == name)
    return ", ".join(f"{key}={value}" for key, value in told.items()) or "none"


def _lead(gallery: Gallery) -> str:
    data, models, toys = gallery.data, len(gallery.data["models"]), len(gallery.toys)
    limit = data["time"]
    each = "without a limit of time" if limit is None else f"each fitted for at most {duration(limit)}"
    return (
        f"{models} {'families' if models > 1 else 'family'} of generative models, {toys} "
        f"{'distributions' if toys > 1 else 'distribution'} of the plane whose density is known, and what each family "
        f"makes of each, from {data['records']:,} records, {each}."
    )


# ---------------------------------------------------------------------------------------------------------------- rows


def _truth(truth: Truth) -> Row:
    name = truth.name
    strongest = float(truth.density.max())
    alt = f"The density of {name}."
    panels = [
        Panel(HEADS["density"], pictures.density(truth.density, strongest, alt), f"{percent(truth.mass)} in view"),
        Panel("Records", pictures.turned(truth, f"{name}-truth")),
    ]
    facts = [("entropy", f"{plain(truth.entropy)} nats"), ("two-sample score of real records", _score(truth.score))]
    return Row("Truth", None, facts, panels)


def _row(cell: Cell, truth: Truth, index: int, shown: str) -> Row:
    taken = DASH if cell.fit_seconds is None else duration(cell.fit_seconds)
    if cell.status == "failed":
        return Row(shown, index, [("failed after", taken)], [], sentence(cell.reason))
    facts = [] if cell.divergence is None else [("divergence from the truth", divergence(cell, error=True))]
    facts += [("two-sample score", _score(cell.score)), ("fitted in", taken)]
    if cell.parameters is not None:
        facts.append(("learned numbers", f"{cell.parameters:,}"))
    panels = [_density(cell, truth, shown), _samples(cell, truth, index, shown)]
    panels += [_latents(cell, truth, index, shown), _journey(cell, truth, shown)]
    return Row(shown, index, facts, panels)


def _density(cell: Cell, truth: Truth, shown: str) -> Panel:
    if cell.density is None or cell.mass is None:
        return _absent("density", cell)
    strongest = float(truth.density.max())
    note = f"{percent(cell.mass)} in view" if cell.kind == "exact" else f"{cell.kind}; adds up to {percent(cell.mass)}"
    alt = f"The density that {shown} states for {truth.name}."
    return Panel(HEADS["density"], pictures.density(cell.density, strongest, alt), note)


def _samples(cell: Cell, truth: Truth, index: int, shown: str) -> Panel:
    if cell.samples is None:
        return _absent("samples", cell)
    alt = f"{len(cell.samples)} samples of {shown} before {len(truth.records)} records of {truth.name}."
    drawing = pictures.samples(cell.samples, truth, index, f"{truth.name}-{index}-samples", alt)
    return Panel(HEADS["samples"], drawing, pictures.outside(cell.samples, truth.plane))


def _latents(cell: Cell, truth: Truth, index: int, shown: str) -> Panel:
    if cell.latents is None:
        return _absent("latents", cell)
    size = cell.latents.size
    note = f"{percent(cell.latents.explained)} of {size} dimensions" if size > 2 else f"{size} dimensions"
    drawing = pictures.latent_map(cell.latents, truth, f"{truth.name}-{index}-latents", shown)
    return Panel(HEADS["latents"], drawing, note)


def _journey(cell: Cell, truth: Truth, shown: str) -> Panel:
    if cell.journey is None:
        return _absent("journey", cell)
    return Panel(HEADS["journey"], pictures.way(cell, truth.plane, shown), f"{len(cell.journey)} frames")


def _absent(part: str, cell: Cell) -> Panel:
    return Panel(ABSENT[part], None, sentence(cell.reasons.get(part, "")))


# ------------------------------------------------------------------------------------------------------------- figures


def _score(score: object) -> str:
    value = getattr(score, "value", None)
    return DASH if value is None else f"{value:.2f}"


def divergence(cell: Cell, *, error: bool = False) -> str:
    """The divergence from the truth with the sign of its kind; with its standard error and its unit as well."""
    if cell.divergence is None or cell.kind is None:
        return DASH
    text = f"{SIGNS[cell.kind]}{_signed(cell.divergence)}"
    return f"{text} ± {cell.divergence_error:.3f} nats" if error and cell.divergence_error is not None else text


def _signed(value: float) -> str:
    return f"{value:.3f}".replace("-", "−") if abs(value) < 100 else f"{value:.0f}".replace("-", "−")


def _glance(cell: Cell) -> Glance:
    if cell.status == "failed":
        return Glance("failed", "")
    taken = "" if cell.fit_seconds is None else f", {duration(cell.fit_seconds)}"
    return Glance(divergence(cell), f"score {_score(cell.score)}{taken}")
