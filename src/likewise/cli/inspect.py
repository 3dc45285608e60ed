"""`likewise inspect`: what is in a table, or in a model file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from likewise.cli.options import Force, Json, Names, split_names
from likewise.cli.outputs import check_free, write_json


def inspect(
    target: Annotated[
        str,
        typer.Argument(
            metavar="DATA|MODEL", help="A CSV or Parquet file, a set such as wine, or a .safetensors model."
        ),
    ],
    names: Names = None,
    json: Json = None,
    force: Force = False,
) -> None:
    """Say what the columns of a table are taken for, or what a model file holds.

    Of a model, the schema is read, and the family is not built.
    """
    check_free(json, force)
    found = _model(Path(target)) if Path(target).suffix == ".safetensors" else _data(target, split_names(names, target))
    if json is not None:
        write_json(json, found)
        return
    from likewise.cli.tables import facts, grid

    head = {name: value for name, value in found.items() if name not in ("columns", "notes")}
    facts([(name, _cell(value)) for name, value in {**head, "columns": len(found["columns"])}.items()])
    for note in found["notes"]:
        typer.echo(f"note: {note}")
    heads = ["column", "kind", "values", "atoms", "missing", "remarks"]
    rows = [_words(column) for column in found["columns"]]
    told = [i for i in range(len(heads)) if i < 3 or any(row[i] for row in rows)]
    grid([heads[i] for i in told], [[row[i] for i in told] for row in rows], right=["missing"], whole=["remarks"])


def _data(target: str, names: list[str] | None) -> dict[str, Any]:
    from likewise.domains.table import Table

    table = Table(names=names)
    source = table.read(target)
    table.fit(source)
    return {"data": target, "rows": len(source), "notes": table.notes, "columns": table.describe()}


def _model(path: Path) -> dict[str, Any]:
    from likewise import storage
    from likewise.domains.table import Table
    from likewise.errors import ModelFileError
    from likewise.estimators.files import describe

    header = describe(path)
    tensors = {name.removeprefix("domain."): tensor for name, tensor in storage.read(path)[1].items()}
    try:
        table = Table.restore(header["domain"]["description"], tensors)
    except Exception as error:  # the description comes from a file that nobody trusts
        raise ModelFileError(f"{str(path)!r} does not describe its columns as a model does.") from error
    return {
        "model": str(path),
        "bytes": path.stat().st_size,
        "family": header["family"],
        "hyper-parameters": header["parameters"],
        "seed": header["seed"],
        "training": {name: fact for name, fact in header["training"].items() if not isinstance(fact, dict | list)},
        "notes": table.notes,
        "columns": table.describe(),
    }


def _words(column: Mapping[str, Any]) -> list[str]:
    """The cells of a column's row."""
    name, kind = str(column["name"]), str(column["kind"])
    if column["role"] != "column":
        name += f" ({column['role']})"
    if kind == "quantised":
        kind += f", step {column['step']}"
    elif kind in ("categorical", "text"):
        kind += f", {column['distinct']:,} value" + ("s" if column["distinct"] != 1 else "")
    values = column["range"] or " | ".join(column["categories"])
    missing = f"{column['missing']:.1%}" if column["missing"] else ""
    return [name, kind, values, ", ".join(column["atoms"]), missing, "; ".join(column["warnings"])]


def _cell(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_cell(part)}" for name, part in value.items() if part is not None)
    return f"{value:.6g}" if isinstance(value, float) else f"{value:,}" if type(value) is int else str(value)
