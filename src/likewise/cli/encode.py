"""`likewise encode`: from records to latent coordinates."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from likewise.cli.options import Data, Force, Json, Model, Quiet
from likewise.cli.outcome import Refused, tell
from likewise.cli.outputs import STDOUT, check_free, check_table, write_json, write_table


def encode(
    model: Model,
    data: Data,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="A .csv or .parquet file. [default: CSV on stdout]")
    ] = None,
    json: Json = None,
    force: Force = False,
    quiet: Quiet = False,
) -> None:
    """Write the latent coordinates of records, a column z1, z2, ... each. A blank cell is observed to be missing.

    With --json, facts about them (not the coordinates) are written as JSON.
    """
    if json == STDOUT and out is None:
        raise Refused("The latents and --json - would both go to stdout: name a file with --out.")
    check_table(out)
    check_free(out, force)
    check_free(json, force)

    from likewise.estimators.capabilities import require
    from likewise.estimators.files import load
    from likewise.families.family import Latent

    loaded = load(model)
    require(loaded, Latent, "latents")
    latents = loaded.encode(data)
    names = [f"z{i + 1}" for i in range(latents.shape[1])]
    write_table(dict(zip(names, latents.T, strict=True)), names, out)
    if not quiet and out is not None:
        tell(f"Encoded {len(latents):,} records in {len(names):,} coordinates; written to {out}.")
    if json is not None:
        facts = {
            "model": str(model),
            "family": loaded.family_name,
            "data": data,
            "records": len(latents),
            "latents": len(names),
            "file": None if out is None else str(out),
        }
        write_json(json, facts)
