"""`likewise gallery`: every family on the toys of the plane, one page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from likewise.cli.compare import command_line
from likewise.cli.options import Device, Force, Json, Quiet, Seed
from likewise.cli.outcome import FAILURE, SOME_FAILED, Refused, tell
from likewise.cli.outputs import STDOUT, check_free, write_json

if TYPE_CHECKING:
    from likewise.board.gallery.gallery import Gallery


def gallery(
    context: typer.Context,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FOLDER", help="Where all of it is kept.")] = Path(
        "gallery"
    ),
    toys: Annotated[
        str | None, typer.Option(metavar="A,B,C", help="Toys of two real columns, such as ring. [default: all]")
    ] = None,
    families: Annotated[
        str | None, typer.Option(metavar="A,B,C", help="Families that `likewise families` lists. [default: all]")
    ] = None,
    time: Annotated[str, typer.Option(metavar="20s|5m", help="For each fit; scoring the models comes on top.")] = "20s",
    records: Annotated[int | None, typer.Option(min=100, help="Training records of each toy. [default: 4000]")] = None,
    grid: Annotated[
        int | None, typer.Option(min=8, max=400, help="Cells of a density on each side. [default: 80]")
    ] = None,
    seed: Seed = 0,
    device: Device = "auto",
    report: Annotated[
        Path | None, typer.Option(metavar="PATH", help="The page. [default: gallery.html in the folder]")
    ] = None,
    json: Json = None,
    force: Force = False,
    quiet: Quiet = False,
) -> None:
    """Fit every family to distributions of the plane that are known, and show on one page what each has learned.

    Densities, samples, latents, the way of samples out of noise, divergences and times. Killed or interrupted, the same
    command goes on where it was, and toys and families may be added. With --force, another gallery in the folder is
    replaced.
    """
    if not out.parent.is_dir():
        raise Refused(f"The folder {str(out.parent)!r} does not exist.")
    check_free(report, force)
    check_free(json, force)

    from likewise.board.gallery.gallery import FRAMES, GRID, RECORDS, run
    from likewise.board.watching import Lines, Watcher

    try:
        found = run(
            _names(toys),
            _names(families),
            time,
            out,
            seed,
            records=RECORDS if records is None else records,
            grid=GRID if grid is None else grid,
            frames=FRAMES,
            overwrite=force,
            device=device,
            watcher=Watcher() if quiet else Lines(),
        )
    except KeyboardInterrupt:
        kept = f"what is finished is kept in {str(out)!r}; the same command goes on from it."
        raise KeyboardInterrupt(kept) from None
    written = found.report(out / "gallery.html" if report is None else report, command=command_line(context))
    if json is not None:
        write_json(json, found.to_json())
    if json != STDOUT:
        _show(found)
    if not quiet:
        size = written.stat().st_size / 1e6
        tell(f"Models and figures are in {str(out)!r}; the page is {str(written)!r}, {size:.1f} MB.")
    for (toy, name), why in found.failures.items():
        tell(f"Failed: {name} on {toy}: {why}")
    if found.failures:
        raise typer.Exit(SOME_FAILED if len(found.failures) < len(found.cells) else FAILURE)


def _names(given: str | None) -> list[str] | None:
    return None if given is None else [name.strip() for name in given.split(",")]


def _show(found: Gallery) -> None:
    """Divergences from the truth, a row a model."""
    from likewise.board.gallery.page import divergence
    from likewise.cli.tables import grid

    rows = []
    for name in found.data["models"]:
        cells = [found.cells[toy, name] for toy in found.toys]
        rows.append([name, *("failed" if one.status == "failed" else divergence(one) for one in cells)])
    grid(["nats from the truth", *found.toys], rows, right=list(found.toys))
