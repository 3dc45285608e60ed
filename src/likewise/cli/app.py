"""The `likewise` command: its verbs, and what they have in common."""

from __future__ import annotations

from typing import Annotated

import typer

import likewise
from likewise.cli.compare import compare
from likewise.cli.encode import encode
from likewise.cli.evaluate import evaluate
from likewise.cli.families import families
from likewise.cli.fit import fit
from likewise.cli.gallery import gallery
from likewise.cli.inspect import inspect
from likewise.cli.interpolate import interpolate
from likewise.cli.latents import latents
from likewise.cli.outcome import EXIT_CODES, Verb, Verbs
from likewise.cli.query import query
from likewise.cli.sample import sample
from likewise.cli.score import score

app = typer.Typer(
    cls=Verbs,
    name="likewise",
    help="Generative modelling for anyone who has data: learn a distribution, know how good it is, sample, score.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"likewise {likewise.__version__}")
        raise typer.Exit


@app.callback()
def _likewise(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


for verb in (compare, fit, sample, query, score, evaluate, encode, interpolate, latents, inspect, families, gallery):
    app.command(cls=Verb, epilog=EXIT_CODES)(verb)


def main() -> None:
    """Runs the command line on the arguments of the process, and ends the process."""
    app(prog_name="likewise")
