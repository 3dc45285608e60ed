"""`likewise evaluate`: one model judged by the records it generates."""

from __future__ import annotations

from typing import Annotated

import typer

from likewise.cli.compare import WIDTH, share_or_file
from likewise.cli.options import Data, Force, Json, Model, Rows, Seed, Target
from likewise.cli.outcome import Refused
from likewise.cli.outputs import STDOUT, check_free, write_json


def evaluate(
    model: Model,
    data: Data,
    train: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="What the model was trained on; DATA are then records it has not seen."),
    ] = None,
    holdout: Annotated[
        str | None,
        typer.Option(
            metavar="SHARE|FILE",
            help="Records it has not seen, and DATA what it was trained on; a share is split off as `compare` does.",
        ),
    ] = None,
    target: Target = None,
    rows: Rows = None,
    seed: Seed = 0,
    json: Json = None,
    force: Force = False,
) -> None:
    """Judge a model by the records it generates, as a row of `compare` does.

    DATA are real records that the model has not seen. What it was trained on is not in its file: without --train or
    --holdout, copies cannot be told from new records, so there is no score, and the figures that need it are left out.
    """
    check_free(json, force)
    if train is not None and holdout is not None:
        raise Refused("--train and --holdout both say what the model was trained on: give one of them.")

    from likewise.board.comparison import ROWS
    from likewise.board.evaluation import evaluate_model
    from likewise.board.leaderboard import text
    from likewise.estimators.files import load

    row = evaluate_model(
        load(model),
        data if train is None else train,
        held_out=share_or_file(holdout) if holdout is not None else None if train is None else data,
        name=model.stem,
        path=str(model),
        target=target,
        seed=seed,
        max_rows=ROWS if rows is None else rows,
    )
    if json is not None:
        write_json(json, row)
    if json != STDOUT:
        typer.echo(text([row], WIDTH))
