"""`likewise sample`: new records from a model."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from likewise.cli.options import Force, Json, Model, Quiet, Seed
from likewise.cli.outcome import Refused, tell
from likewise.cli.outputs import STDOUT, check_free, check_table, write_json, write_table

if TYPE_CHECKING:
    from likewise.estimators.generative import Generative


def sample(
    model: Model,
    n: Annotated[int, typer.Option("-n", min=1, help="How many records.")] = 10,
    given: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN=WHAT",
            help="What the records have to satisfy: column=value, column=low..high or column=a|b. May be repeated.",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="A .csv or .parquet file. [default: CSV on stdout]")
    ] = None,
    seed: Seed = 0,
    json: Json = None,
    force: Force = False,
    quiet: Quiet = False,
) -> None:
    """Draw new records from a model, as CSV on stdout or into a file.

    With --json, facts about the sample (not the records) are written as JSON.
    """
    if json == STDOUT and out is None:
        raise Refused("The records and --json - would both go to stdout: name a file with --out.")
    check_table(out)
    check_free(out, force)
    check_free(json, force)

    from likewise.domains.table import Table
    from likewise.estimators.files import load

    loaded = load(model)
    assert isinstance(loaded.domain_, Table)
    start = time.perf_counter()
    records, size = _draw(loaded, n, given or [], seed)
    seconds = time.perf_counter() - start
    write_table(records, [facts.name for facts in loaded.domain_.facts], out)
    worth = "" if size is None or size >= n else f", worth {size:,.0f} independent ones"
    if not quiet and out is not None:
        tell(f"Drew {n:,} records in {seconds:.1f} s{worth}; written to {out}.")
    elif not quiet and worth:
        tell(f"The {n:,} records are{worth[1:]}.")
    if json is not None:
        facts = {
            "model": str(model),
            "family": loaded.family_name,
            "records": n,
            "file": None if out is None else str(out),
            "given": given or [],
            "effective_sample_size": size,
            "seed": seed,
            "seconds": seconds,
        }
        write_json(json, facts)


def _draw(model: Generative, n: int, given: list[str], seed: int) -> tuple[Any, float | None]:
    """Records, and how many independent ones they are worth (None where they are exact)."""
    if not given:
        return model.sample(n, random_state=seed), None
    from likewise.cli.given import parse
    from likewise.domains.table import Table
    from likewise.families.family import Conditional

    assert isinstance(model.domain_, Table)
    columns = (*model.domain_.facts, *model.domain_.labels)
    evidence = parse(given, {facts.name: facts.family for facts in columns})
    if not issubclass(model.family_class(), Conditional):
        return model.sample(n, random_state=seed, given=evidence), None
    found = model.conditional(evidence, draws=n, random_state=seed)
    return found.records, float(found.effective_sample_size[0])
