"""Figures as SVG that stands inside the page: matplotlib draws, the page's style sheet gives colours and letters."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterable
from typing import Any, cast

import matplotlib
import numpy as np
from markupsafe import Markup, escape
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path

INK, QUIET, RULE, REAL, PAGE = "#000001", "#000002", "#000003", "#000004", "#000005"
"""Colours that stand for custom properties of the style sheet, so that one drawing suits light and dark."""

COLOURS = 8
"""How many models have a colour of their own; further ones begin again."""

TURN = 8
"""Colours that go round a circle."""

_PROPERTIES = {INK: "--ink", QUIET: "--quiet", RULE: "--rule", REAL: "--real", PAGE: "--page"}
_PROPERTIES |= {f"#00001{index}": f"--model-{index}" for index in range(COLOURS)}
_PROPERTIES |= {f"#00002{index}": f"--turn-{index}" for index in range(TURN)}

_STYLE: dict[str, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "likewise",
    "path.simplify": False,
    "font.size": 9,
    "axes.edgecolor": RULE,
    "axes.linewidth": 0.8,
    "axes.labelcolor": QUIET,
    "axes.labelsize": 9,
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.facecolor": "none",
    "text.color": INK,
    "text.usetex": False,
    "text.parse_math": False,
    "axes.formatter.use_mathtext": False,
    "axes.unicode_minus": True,
    "xtick.color": RULE,
    "ytick.color": RULE,
    "xtick.labelcolor": QUIET,
    "ytick.labelcolor": QUIET,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "xtick.minor.size": 0,
    "ytick.minor.size": 0,
    "xtick.bottom": False,
    "ytick.left": False,
}


def model_colour(index: int) -> str:
    """The colour of the model at this place of the leaderboard."""
    return f"#00001{index % COLOURS}"


def turn_colour(index: int) -> str:
    """The colour of this eighth of a turn."""
    return f"#00002{index % TURN}"


def draw(paint: Callable[[Figure], None], width: float, height: float, *, name: str, alt: str) -> Markup:
    """An `<svg>` of `width` x `height` points that `paint` has drawn.

    `name` must be the drawing's own on the page; `alt` says in words what it shows.

    Examples
    --------
    >>> drawing = draw(lambda figure: None, 100, 50, name="nothing", alt="An empty plane.")
    >>> print(drawing)
    <svg viewBox="0 0 100 50" role="img" aria-label="An empty plane."></svg>
    """
    # A matplotlibrc of the user's own must not change what the report looks like.
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        cast(Any, matplotlib.rcParams).update(_STYLE)
        figure = Figure(figsize=(width / 72, height / 72), dpi=72)
        FigureCanvasSVG(figure)
        paint(figure)
        buffer = io.StringIO()
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(buffer, format="svg", transparent=True, metadata=nothing)
    head = f'<svg viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{escape(alt)}">'
    return Markup(head + _bare(buffer.getvalue(), name) + "</svg>")


def frame(axes: Axes, *, left: bool = False, bottom: bool = True) -> None:
    """Leaves an axes with the sides that are wanted, and no ticks on the others."""
    axes.spines["left"].set_visible(left)
    axes.spines["bottom"].set_visible(bottom)
    if not left:
        axes.set_yticks([])
    if not bottom:
        axes.set_xticks([])


def dots(axes: Axes, x: np.ndarray[Any, Any], y: np.ndarray[Any, Any], colour: str, size: float, alpha: float) -> None:
    """Points as one path of round dots: a few letters each, where a mark of its own would take a hundred.

    As in any path that overlaps itself, two dots on one place look like one.
    """
    vertices = np.repeat(np.column_stack([x, y]), 2, axis=0)
    codes = np.tile(np.array([Path.MOVETO, Path.LINETO], Path.code_type), len(x))
    axes.add_patch(
        PathPatch(
            Path(vertices, codes), facecolor="none", edgecolor=colour, linewidth=size, capstyle="round", alpha=alpha
        )
    )


def tiles(axes: Axes, cells: Iterable[tuple[float, float, float, float]], colour: str, alpha: float) -> None:
    """Rectangles (x, y, width, height) as one path."""
    vertices: list[tuple[float, float]] = []
    codes: list[Any] = []
    for x, y, width, height in cells:
        vertices += [(x, y), (x + width, y), (x + width, y + height), (x, y + height), (x, y)]
        codes += [Path.MOVETO, Path.LINETO, Path.LINETO, Path.LINETO, Path.CLOSEPOLY]
    if vertices:
        axes.add_patch(PathPatch(Path(vertices, codes), facecolor=colour, edgecolor="none", alpha=alpha, linewidth=0))


def _bare(text: str, name: str) -> str:
    """The inside of matplotlib's `<svg>`: names unique on the page, colours by property, numbers to a hundredth."""
    body = text[text.index("<svg") :]
    body = body[body.index(">") + 1 : body.rindex("</svg>")]
    body = re.sub(r"<metadata>.*?</metadata>|<style[^>]*>.*?</style>|<!--.*?-->", "", body, flags=re.DOTALL)
    body = re.sub(r"<defs>\s*</defs>", "", body)
    body = body.replace("xlink:href", "href")
    used = {key: f"{name}-{n}" for n, key in enumerate(dict.fromkeys(re.findall(r'(?:url\(#|href="#)([^)"]+)', body)))}
    body = re.sub(r' id="([^"]*)"', lambda found: f' id="{used[found[1]]}"' if found[1] in used else "", body)
    body = re.sub(r'(url\(#|href="#)([^)"]+)', lambda found: found[1] + used[found[2]], body)
    body = re.sub(r"<[^>]+>", lambda found: _tag(found[0]), body)
    body = re.sub(r">\s+<", "><", body.strip())
    body = re.sub(r'<path d="[^"]*" style="fill: none"/>', "", body)
    while "<g></g>" in body:
        body = body.replace("<g></g>", "")
    return body


def _tag(tag: str) -> str:
    """One tag, as short as it can be said."""
    for colour, name in _PROPERTIES.items():
        tag = tag.replace(colour, f"var({name})")
    tag = re.sub(r"-?\d+\.\d{3,}", lambda found: f"{float(found[0]):.2f}".rstrip("0").rstrip("."), tag)
    tag = re.sub(r' transform="rotate\(-?0 [^"]*"', "", tag)
    # Letters are the page's own; matplotlib names its fonts in one property or, from 3.11 on, in several.
    tag = re.sub(r"font: ([\d.]+px) [^;\"]*", r"font-size: \1", tag)
    tag = re.sub(r"font-family: [^;\"]*(; )?", "", tag)
    tag = re.sub(r' d="([^"]*)"', lambda found: f' d="{_path(found[1])}"', tag)
    return re.sub(r"\s+", " ", tag)


def _path(steps: str) -> str:
    """A path's steps without blanks that separate nothing; a line to where the pen stands is `h0`."""
    short = re.sub(r"\s*([MLQCz])\s*", r"\1", " ".join(steps.split()))
    return re.sub(r"M([-\d. ]+)L\1(?=M|$)", r"M\1h0", short)
