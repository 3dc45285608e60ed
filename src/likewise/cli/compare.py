"""`likewise compare`: every family side by side on the same records."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from likewise.cli.options import Data, Device, Force, Holdout, Json, Names, Quiet, Rows, Seed, Target, split_names
from likewise.cli.outcome import FAILURE, SOME_FAILED, Refused, tell
from likewise.cli.outputs import STDOUT, check_free, write_json

if TYPE_CHECKING:
    from likewise.board.comparison import Comparison
    from likewise.board.watching import Watcher

WIDTH = 80
"""Columns that the leaderboard fits into."""


def compare(
    context: typer.Context,
    data: Data,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="FOLDER",
            help="Where all of it is kept. [default: DATA-comparison]",
        ),
    ] = None,
    families: Annotated[
        str | None,
        typer.Option(metavar="A,B,C", help="Families that `likewise families` lists, or hidden_tree. [default: all]"),
    ] = None,
    time: Annotated[
        str | None,
        typer.Option(metavar="90s|5m|1h30m", help="For all fits together; judging the models comes on top of it."),
    ] = None,
    max_steps: Annotated[
        int | None,
        typer.Option(min=1, help="Steps of each fit, instead of a time: scores then come out the same again."),
    ] = None,
    holdout: Holdout = "0.2",
    target: Target = None,
    samples: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=FILE", help="Records that another generator made; may be given several times."),
    ] = None,
    rows: Rows = None,
    seed: Seed = 0,
    device: Device = "auto",
    names: Names = None,
    report: Annotated[
        Path | None, typer.Option(metavar="PATH", help="The HTML report. [default: report.html in the folder]")
    ] = None,
    json: Json = None,
    force: Force = False,
    quiet: Quiet = False,
) -> None:
    """Fit every family to a table, and judge all of them by the records they generate.

    Prints a leaderboard; models, samples and an HTML report are kept in a folder. Three reference rows say what the
    figures mean: fresh real records, independent columns, and a copy of the training data. Killed or interrupted, the
    same command goes on where it was; finished models are not fitted again. With --force, a comparison of something
    else in the folder is replaced. Of many families, those that are far behind after a part of their budget are stopped
    early, and the others have the rest of it.
    """
    out = Path(f"{Path(data).stem}-comparison") if out is None else out
    if not out.parent.is_dir():
        raise Refused(f"The folder {str(out.parent)!r} does not exist.")
    check_free(report, force)
    check_free(json, force)
    own_names = split_names(names, data)
    given = dict(_named(one) for one in samples or [])

    from likewise.board.comparison import ROWS, run
    from likewise.domains.table import Table

    try:
        comparison = run(
            data,
            families=None if families is None else [name.strip() for name in families.split(",")],
            max_time=time,
            max_steps=max_steps,
            holdout=share_or_file(holdout),
            target=target,
            samples=given,
            random_state=seed,
            folder=out,
            overwrite=force,
            max_rows=ROWS if rows is None else rows,
            device=device,
            domain=None if own_names is None else Table(names=own_names),
            watcher=_watcher(quiet),
        )
    except KeyboardInterrupt:
        kept = f"what is finished is kept in {str(out)!r}; the same command goes on from it."
        raise KeyboardInterrupt(kept) from None
    written = comparison.report(out / "report.html" if report is None else report, command=command_line(context))
    if json is not None:
        write_json(json, comparison.to_json())
    if json != STDOUT:
        _show(comparison)
    if not quiet:
        tell(f"Models and samples are in {str(out)!r}; the report is {str(written)!r}.")
    if comparison.failures:
        from likewise.board.titles import row_title

        for row in comparison.rows:
            if row["status"] == "failed":
                tell(f"Failed: {row_title(row)}: {row['reason']}")
        some = any(row["status"] == "ok" and row["family"] != "reference" for row in comparison.rows)
        raise typer.Exit(SOME_FAILED if some else FAILURE)


def share_or_file(holdout: str) -> float | str:
    """A share, or the path that it is not."""
    try:
        return float(holdout)
    except ValueError:
        return holdout


def command_line(context: typer.Context) -> str:
    """The command that runs, as it would be typed."""
    words = ["likewise", str(context.info_name)]
    for parameter in context.command.params:
        name = str(parameter.name)
        source = context.get_parameter_source(name)
        if source is None or source.name != "COMMANDLINE" or name == "force":
            continue
        value = context.params[name]
        if parameter.param_type_name == "argument":
            words.append(str(value))
        elif value is True:
            words.append(parameter.opts[0])
        else:
            for one in value if isinstance(value, list | tuple) else [value]:
                words += [parameter.opts[0], str(one)]
    return shlex.join(words)


def _named(pair: str) -> tuple[str, str]:
    name, equals, path = pair.partition("=")
    if not (name and equals and path):
        raise Refused(f"--samples wants NAME=FILE, and got {pair!r}.")
    return name, path


def _watcher(quiet: bool) -> Watcher:
    from likewise.board.watching import Lines, Watcher

    if quiet:
        return Watcher()
    if sys.stderr.isatty():
        from likewise.cli.live import Live

        return Live()
    return Lines()


def _show(comparison: Comparison) -> None:
    """The leaderboard, coloured on a terminal."""
    from rich.console import Console

    from likewise.board.leaderboard import LEGEND, text

    told: Any = text(comparison.rows, WIDTH)
    console = Console()
    if console.is_terminal:
        import textwrap

        console.print(told, markup=False, highlight=False)
        console.print(textwrap.fill(LEGEND, WIDTH), style="dim", markup=False, highlight=False)
    else:
        typer.echo(told)
