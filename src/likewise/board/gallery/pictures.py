"""The pictures of a gallery: densities and ways out of noise as masks, samples and latents as dots."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from markupsafe import Markup, escape
from matplotlib.figure import Figure

from likewise.board.gallery.facts import Cell, Latents, Truth
from likewise.board.gallery.plane import SECTORS, Floats, Plane
from likewise.board.report.cells import percent
from likewise.board.report.drawing import REAL, dots, draw, model_colour, turn_colour
from likewise.board.report.raster import inline, speckle

SIDE = 160.0
"""Of a drawing, in its own points."""

PIXELS = 144
"""Of a frame of the way out of noise, on each side."""

FADING = 0.5
"""The power of a density, as a share of the toy's own highest, that its colour is as strong as."""

STILLS = 4
"""Frames that stand for the whole way where nothing may move."""

REACH = 3.2
"""How far a latent map looks at least: nearly all of a standard normal."""


def density(density: Floats, strongest: float, alt: str) -> Markup:
    """A density (g, g), in full colour where it is as high as `strongest`, or higher."""
    strength = np.clip(density / strongest, 0.0, 1.0) ** FADING
    return _mask("density", inline(strength), alt)


def samples(points: Floats, truth: Truth, index: int, name: str, alt: str) -> Markup:
    """Samples in the colour of their model, before real records."""
    real, own = _inside(truth.plane, truth.records), _inside(truth.plane, points)
    return _dots([(real, REAL, 2.6, 0.75), (own, model_colour(index), 2.6, 0.8)], name, alt)


def turned(truth: Truth, name: str) -> Markup:
    """Fresh records in the colours that they have on latent maps."""
    places, sectors = truth.plane.place(truth.records), truth.plane.sectors(truth.records)
    alt = f"{len(truth.records)} records of {truth.name}, in {SECTORS} colours by their direction from the middle."
    return _dots([(places[sectors == k], turn_colour(k), 3.0, 0.9) for k in range(SECTORS)], name, alt)


def latent_map(found: Latents, truth: Truth, name: str, title: str) -> Markup:
    """Fresh records in a latent space, in the colours they have in the plane, before draws of the prior."""
    low, high = np.quantile(np.concatenate([found.points, found.prior]), [0.002, 0.998])
    reach = max(REACH, float(-low), float(high)) * 1.04  # room for half a dot
    prior, points = (np.clip((part / reach + 1.0) / 2.0, 0.015, 0.985) for part in (found.prior, found.points))
    sectors = truth.plane.sectors(truth.records[: len(points)])
    groups = [(prior, REAL, 2.6, 0.75)]
    groups += [(points[sectors == k], turn_colour(k), 3.0, 0.9) for k in range(SECTORS)]
    return _dots(groups, name, f"{len(points)} records of {truth.name} in the latent space of {title}.")


def way(cell: Cell, plane: Plane, title: str) -> Markup:
    """The frames side by side, of which a style sheet shows one after another."""
    assert cell.journey is not None
    frames = len(cell.journey)
    sheet = inline(speckle(plane.place(cell.journey), PIXELS, 1.1))
    last = max(frames - 1, 1)
    stills = [round(k * (frames - 1) / (STILLS - 1)) / last for k in range(STILLS)]
    alt = f"{cell.journey.shape[1]} records of {title} on their way from noise to samples of {cell.toy}."
    inner = "".join(f'<i style="--at: {100 * at:.4g}%"></i>' for at in stills)
    return _mask("way", sheet, alt, f"--frames: {frames}; ", inner)


def outside(points: Floats, plane: Plane) -> str:
    """How many of the points lie beyond the picture, in words; "" for none."""
    beyond = 1.0 - len(_inside(plane, points)) / max(1, len(points))
    return f"{percent(beyond)} lie outside" if beyond > 0 else ""


def _inside(plane: Plane, points: Floats) -> Floats:
    places = plane.place(points)
    return np.asarray(places[((places >= 0) & (places <= 1)).all(1)])


def _mask(kind: str, address: str, alt: str, style: str = "", inner: str = "") -> Markup:
    """A picture whose colour is that of its surroundings; `address` and `inner` are our own."""
    head = f'<div class="picture {kind}" role="img" aria-label="{escape(alt)}" style="{style}--mask: url({address})">'
    return Markup(f"{head}{inner}</div>")


def _dots(groups: Iterable[tuple[Floats, str, float, float]], name: str, alt: str) -> Markup:
    def paint(figure: Figure) -> None:
        axes = figure.add_axes((0, 0, 1, 1))
        for places, colour, size, alpha in groups:
            if len(places):
                dots(axes, places[:, 0], places[:, 1], colour, size, alpha)
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1)
        axes.set_axis_off()

    return draw(paint, SIDE, SIDE, name=name, alt=alt)
