"""`likewise latents`: what the latents of a model mean."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from likewise.cli.options import Data, Force, Json, Model, Seed
from likewise.cli.outcome import Refused
from likewise.cli.outputs import STDOUT, check_free, write_json


def latents(
    model: Model,
    data: Data,
    label: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="A column of DATA that the model was not told, to be probed as a label."),
    ] = None,
    rows: Annotated[int, typer.Option(min=20, help="The most records to look at.")] = 4_000,
    seed: Seed = 0,
    json: Json = None,
    force: Force = False,
) -> None:
    """Say which latents of a model are active, what each of them moves, and what linear models read from them.

    DATA are best records that the model has not seen.
    """
    check_free(json, force)

    from likewise.domains.table import Table
    from likewise.estimators.capabilities import require
    from likewise.estimators.files import load
    from likewise.families.family import Latent
    from likewise.tasks.representation import latent_report

    loaded = load(model)
    require(loaded, Latent, "latents")
    assert isinstance(loaded.domain_, Table)
    source = loaded.domain_.read(data)
    if label is not None and label not in source.names:
        raise Refused(f"There is no column {label!r} in {data!r}.")
    told = None if label is None else replace(source, names=(label,), vectors=(source.vector(label),))
    report = latent_report(loaded, source, told, max_records=rows, random_state=seed)
    if json is not None:
        write_json(json, {"model": str(model), "data": data, **report.as_dict()})
    if json != STDOUT:
        typer.echo(str(report))
