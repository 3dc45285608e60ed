"""`likewise interpolate`: the records on the way from one record to another."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from likewise.cli.options import Data, Force, Model, Quiet, Seed
from likewise.cli.outcome import Refused, tell
from likewise.cli.outputs import check_free, check_table, write_table


class Way(StrEnum):
    """How a path goes."""

    linear = "linear"
    spherical = "spherical"


def interpolate(
    model: Model,
    data: Data,
    rows: Annotated[
        tuple[int, int],
        typer.Option(metavar="A B", help="The two records by their place in DATA; the first is 1."),
    ],
    steps: Annotated[int, typer.Option(min=2, help="How many records, the two ends counted.")] = 9,
    path: Annotated[
        Way, typer.Option(help="A straight line through latent space, or the great circle of the two directions.")
    ] = Way.linear,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="A .csv or .parquet file. [default: CSV on stdout]")
    ] = None,
    seed: Seed = 0,
    force: Force = False,
    quiet: Quiet = False,
) -> None:
    """Write the records on the way from one record to another through the latent space of a model."""
    check_table(out)
    check_free(out, force)

    import numpy as np

    from likewise.domains.table import Table
    from likewise.estimators.capabilities import require
    from likewise.estimators.files import load
    from likewise.families.family import Latent

    loaded = load(model)
    require(loaded, Latent, "latents")
    assert isinstance(loaded.domain_, Table)
    source = loaded.domain_.read(data)
    for row in rows:
        if not 1 <= row <= len(source):
            raise Refused(f"There is no row {row} in {data!r}: it has the rows 1 to {len(source):,}.")
    a, b = (source.rows(np.array([row - 1])) for row in rows)
    records = loaded.interpolate(a, b, steps=steps, path=path.value, random_state=seed)
    write_table(records, [facts.name for facts in loaded.domain_.facts], out)
    if not quiet and out is not None:
        tell(f"{steps} records from row {rows[0]} to row {rows[1]}; written to {out}.")
