"""All families on the toys of the plane, one page."""

from __future__ import annotations

import copy
import os
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

import likewise
from likewise.board.contestants import Contestant, contestants, settings_of
from likewise.board.division import divide
from likewise.board.fitting import finish
from likewise.board.folder import Folder
from likewise.board.gallery.facts import Cell, Truth, rounded
from likewise.board.gallery.plane import planar, planar_toy, plane_of
from likewise.board.gallery.views import FINER, SHOWN, Exhibit, averaged, cell_of
from likewise.board.ranking import hardest
from likewise.board.seeds import seed_for
from likewise.board.trial import Terms, failed
from likewise.board.watching import Lines, Watcher, Within, named_in
from likewise.datasets import Toy
from likewise.domains.table import Table
from likewise.engine.plan import seconds
from likewise.errors import DataError
from likewise.estimators.randomness import seed_from
from likewise.estimators.validation import check_positive
from likewise.metrics.panel import evaluate

RECORDS = 4000
"""Training records of each toy; half as many fresh ones are held out."""

GRID = 80
"""Cells of a density on each side."""

FRAMES = 24
"""Of the way out of noise."""


@dataclass(frozen=True, eq=False, repr=False)
class Gallery:
    """The outcome of `gallery`.

    Attributes
    ----------
    toys : dict
        Name -> `Truth`.
    cells : dict
        (toy, model) -> `Cell`.
    data : dict
        What it is made of, and the seconds it took.
    folder : Path
        Where models and figures lie.
    """

    toys: dict[str, Truth]
    cells: dict[tuple[str, str], Cell]
    data: dict[str, Any]
    folder: Path
    keeper: Any = None

    @property
    def failures(self) -> dict[tuple[str, str], str]:
        """(toy, model) -> why it failed, a sentence."""
        return {at: one.reason for at, one in self.cells.items() if one.status == "failed"}

    def to_json(self) -> dict[str, Any]:
        """All figures as JSON data, without what is only to be looked at."""
        toys = [
            {"toy": one.name, "entropy": one.entropy, "score": None if one.score is None else asdict(one.score)}
            for one in self.toys.values()
        ]
        return {"data": self.data, "toys": toys, "rows": [one.figures() for one in self.cells.values()]}

    def report(self, path: str | os.PathLike[str], *, command: str | None = None) -> Path:
        """Writes one self-contained HTML file that shows everything.

        Parameters
        ----------
        path : str or path
        command : str, optional
            The command that makes this gallery again, as the page should print it.
        """
        from likewise.board.gallery.page import render
        from likewise.board.report.page import write_page

        return write_page(render(self, command), path)

    def __repr__(self) -> str:
        return f"Gallery of {len(self.toys)} toys: {len(self.cells)} fits, {len(self.failures)} failed"


def gallery(
    toys: Iterable[str] | str | None = None,
    families: Iterable[Any] | Mapping[str, Any] | str | None = None,
    max_time: float | str | None = "20s",
    folder: str | os.PathLike[str] | None = None,
    random_state: Any = 0,
    *,
    records: int = RECORDS,
    grid: int = GRID,
    frames: int = FRAMES,
    overwrite: bool = False,
    device: str = "auto",
    verbose: int = 0,
) -> Gallery:
    """Fits every family to toys of the plane whose densities are known, and looks at what each has learned.

    Of each family on each toy: its density, where it states one, and by how much it diverges from the toy's own;
    samples; where fresh records lie in its latent space, where it has one; the way of its samples out of noise, where
    it has one. A family that fails on a toy is told of there, and stops nothing.

    Parameters
    ----------
    toys : names out of `lw.datasets.TOYS`; None for all of two real columns
    families : names of families, estimators, or a mapping of names to either; None for all families
    max_time : seconds, a text such as "1m", or None
        For each fit. Scoring comes on top of it, and takes longer than fitting where scores are averages.
    folder : path, optional
        Where models and figures are kept, in a folder for each toy. A gallery that was killed goes on there when it is
        started again, and what is finished is not done again, also where toys or families have been added.
    random_state : int, RandomState or None
        One seed for everything.
    records : int
        Training records of each toy; half as many fresh ones are scored.
    grid, frames : int
        Cells of a density on each side, and frames of the way out of noise.
    overwrite : bool
        Whether another gallery that lies in the folder may be replaced.
    device : "auto", "cpu", "cuda", "cuda:1" or "mps"
    verbose : int
        0 is silent, 1 prints a line a step on stderr.

    Returns
    -------
    Gallery

    Raises
    ------
    DataError
        When a toy or a family is unknown, or `folder` holds another gallery.

    Examples
    --------
    >>> import likewise as lw
    >>> found = lw.gallery(["two_moons"], ["bayesian_network"], records=400, grid=16)
    >>> cell = found.cells["two_moons", "bayesian_network"]
    >>> cell.kind, cell.density.shape, cell.reasons["latents"]
    ('exact', (16, 16), 'has no latent space')
    """
    return run(
        toys,
        families,
        max_time,
        folder,
        random_state,
        records=records,
        grid=grid,
        frames=frames,
        overwrite=overwrite,
        device=device,
        watcher=Lines() if verbose else Watcher(),
    )


def run(
    toys: Iterable[str] | str | None,
    families: Iterable[Any] | Mapping[str, Any] | str | None,
    max_time: float | str | None,
    folder: str | os.PathLike[str] | None,
    random_state: Any,
    *,
    records: int,
    grid: int,
    frames: int,
    overwrite: bool,
    device: str,
    watcher: Watcher,
) -> Gallery:
    """`gallery`, told to a watcher."""
    start = time.perf_counter()
    seed = seed_from(random_state)
    names = list(dict.fromkeys(planar() if toys is None else [toys] if isinstance(toys, str) else toys))
    shown = [planar_toy(name) for name in names]
    if not shown:
        raise DataError(f"There is nothing to show: name at least one toy out of {', '.join(planar())}.")
    limit = None if max_time is None else seconds(max_time)
    sizes = {"records": records, "grid": grid, "frames": frames}
    for name, size in sizes.items():
        check_positive(name, size)
    taking_part = contestants(families, None, seed=seed, device=device, domain=Table())
    keeper = None if folder is not None else tempfile.TemporaryDirectory(prefix="likewise-")
    root = Path(keeper.name if keeper is not None else str(folder))
    if root.exists() and not root.is_dir():
        raise DataError(f"{str(root)!r} is a file; a gallery is kept in a folder.")
    made_of = {"likewise": likewise.__version__, "seed": seed, "time": limit, **sizes}
    places = [Folder(root / name, lasting=keeper is None, holds="gallery") for name in names]
    for place in places:
        place.claim(made_of, overwrite=overwrite)
    watcher.begin([named_in(name, one.title) for name in names for one in taking_part])
    truths: dict[str, Truth] = {}
    cells: dict[tuple[str, str], Cell] = {}
    try:
        for one, place in zip(shown, places, strict=True):
            exhibit = _exhibit(one, seed, sizes)
            truths[one.name] = _truth(exhibit)
            found = _cells(exhibit, taking_part, place, limit, Within(watcher, one.name))
            cells |= {(one.name, cell.model): cell for cell in found}
            place.finish({"rows": [cell.figures() for cell in found]})
    finally:
        watcher.end()
    data = {**made_of, "toys": names, "models": [one.name for one in taking_part]}
    return Gallery(truths, cells, {**data, "run_seconds": time.perf_counter() - start}, root, keeper)


def _exhibit(one: Toy, seed: int, sizes: Mapping[str, int]) -> Exhibit:
    """Training and fresh records of a toy."""
    training = one.sample(sizes["records"], np.random.default_rng(seed_for(seed, one.name, "training")))
    fresh = one.sample(max(sizes["records"] // 2, 8), np.random.default_rng(seed_for(seed, one.name, "fresh")))
    division = divide(training, fresh, seed)
    terms = Terms(division, None, len(training))
    return Exhibit(one, plane_of(one), terms, fresh, one.log_density(fresh), sizes["grid"], sizes["frames"])


def _truth(exhibit: Exhibit) -> Truth:
    """What is known of a toy, and the score of more of its records, as many as a model is asked for."""
    one, division = exhibit.toy, exhibit.terms.division
    others = one.sample(len(exhibit.fresh), np.random.default_rng(seed_for(exhibit.seed, one.name, "others")))
    panel = evaluate(
        division.domain.read(others),
        division.training,
        division.held_out,
        division.features,
        seed=seed_for(exhibit.seed, "metrics"),
        parts=["two_sample"],
    )
    density = averaged(one.log_density(exhibit.plane.lattice(exhibit.grid * FINER)), FINER)
    return Truth(
        one.name,
        exhibit.plane,
        -float(exhibit.log_density.mean()),
        density,
        float(density.sum() * exhibit.plane.cell(exhibit.grid)),
        rounded(exhibit.fresh.to_numpy(np.float64)[:SHOWN]),
        hardest(panel),
    )


def _cells(
    exhibit: Exhibit, taking_part: Sequence[Contestant], folder: Folder, limit: float | None, watcher: Watcher
) -> list[Cell]:
    """Each family in turn; an error of one is its own, and what is finished is taken up again."""
    found = []
    for one in taking_part:
        cell = _finished(exhibit, one, folder)
        again = cell is not None
        if cell is None:
            cell = _tried(exhibit, one, folder, limit, watcher)
            folder.keep_row(one.name, cell.to_json())
        heldout = None if cell.score_heldout is None else cell.score_heldout.value
        watcher.done({**cell.figures(), "c2st_heldout": heldout}, again)
        found.append(cell)
    return found


def _tried(exhibit: Exhibit, one: Contestant, folder: Folder, limit: float | None, watcher: Watcher) -> Cell:
    one, start = copy.deepcopy(one), time.perf_counter()
    try:
        fit = finish(one, exhibit.terms.division, folder, limit, "max_time", watcher)
        return cell_of(exhibit, one, fit.model, fit.seconds, watcher)
    except Exception as error:
        told = failed(one, error, exhibit.terms.division, time.perf_counter() - start).result
        return Cell(
            exhibit.toy.name, one.name, one.family, "failed", told.reason, {}, told.fit_seconds, settings=told.settings
        )


def _finished(exhibit: Exhibit, one: Contestant, folder: Folder) -> Cell | None:
    """What an earlier run has finished, unless it failed or was made with other settings."""
    stored = folder.row(one.name)
    if stored is None:
        return None
    try:
        cell = Cell.from_json(stored)
    except (KeyError, TypeError, ValueError):
        return None
    if cell.settings != settings_of(one, exhibit.terms.division):
        folder.forget(one.name)
        return None
    return None if cell.status == "failed" else cell
