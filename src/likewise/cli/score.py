"""`likewise score`: how likely a model finds records."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import typer

from likewise.cli.options import Data, Force, Json, Model
from likewise.cli.outputs import STDOUT, check_free, check_table, write_json, write_table


def score(
    model: Model,
    data: Data,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="A .csv or .parquet file for the score of each record; - is CSV on stdout."),
    ] = None,
    json: Json = None,
    force: Force = False,
) -> None:
    """Score records: log-likelihoods in nats, in the units of the columns, with their kind and base measure.

    The mean goes to stdout, the score of each record to --out. A blank cell is observed to be missing.
    """
    each_to_stdout = out is not None and str(out) == STDOUT
    if not each_to_stdout:
        check_table(out)
        check_free(out, force)
    check_free(json, force)

    from likewise.estimators.files import load

    loaded = load(model)
    scores = loaded.log_likelihood(data)
    if out is not None:
        columns = {"log_likelihood": scores.values}
        if scores.standard_error.any():
            columns["standard_error"] = scores.standard_error
        write_table(columns, list(columns), None if each_to_stdout else out)
    # The error of the mean: the spread of the records, to which a score's own noise belongs.
    error = float(scores.values.std(ddof=1) / math.sqrt(len(scores))) if len(scores) > 1 else math.nan
    facts = {
        "model": str(model),
        "family": loaded.family_name,
        "data": data,
        "records": len(scores),
        "mean_log_likelihood": scores.mean,
        "standard_error": error if math.isfinite(error) else None,
        "unit": "nats per record",
        "kind": scores.kind,
        "base_measure": scores.base_measure,
        "file": None if out is None or each_to_stdout else str(out),
    }
    if json is not None:
        write_json(json, facts)
    if json != STDOUT and not each_to_stdout:
        typer.echo(
            f"{scores.mean:.4f} +/- {error:.4f} nats a record, the mean of {len(scores):,} ({scores.kind}; against "
            f"{scores.base_measure})"
        )
