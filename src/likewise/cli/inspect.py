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

    A model is read without being built: only its description is looked at.
    """
    check_free(json, force)
    found = _model(Path(target)) if Path(target).suffix == ".safetensors" else _data(target, split_names(names))
    if json is not None:
        write_json(json, found)
        return
    from likewise.cli.tables import facts, grid

    columns = [*found["columns"], *found["labels"]]
    head = {name: value for name, value in found.items() if name not in ("columns", "labels", "notes")}
    facts([(name, _cell(value)) for name, value in {**head, "columns": len(columns)}.items()])
    for note in found["notes"]:
        typer.echo(f"note: {note}")
    heads = ["column", "kind", "values", "atoms", "missing", "remarks"]
    rows = [_words(column) for column in columns]
    told = [i for i in range(len(heads)) if i < 3 or any(row[i] for row in rows)]
    grid([heads[i] for i in told], [[row[i] for i in told] for row in rows], right=["missing"])


def _data(target: str, names: list[str] | None) -> dict[str, Any]:
    from likewise.domains.table import Table

    table = Table(names=names)
    source = table.read(target)
    description, _ = table.fit(source).state()
    return {"data": target, "rows": len(source), **_schema(description)}


def _model(path: Path) -> dict[str, Any]:
    from likewise.errors import ModelFileError
    from likewise.estimators.files import describe

    header = describe(path)
    try:
        training = {name: value for name, value in header["training"].items() if not isinstance(value, dict | list)}
        return {
            "model": str(path),
            "bytes": path.stat().st_size,
            "family": header["family"],
            "parameters": header["parameters"],
            "seed": header["seed"],
            "training": training,
            **_schema(header["domain"]["description"]),
        }
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise ModelFileError(f"{str(path)!r} does not describe its columns as a model does.") from error


def _schema(description: Mapping[str, Any]) -> dict[str, Any]:
    """Notes, columns and labels of a table's description."""
    return {
        "notes": [str(note) for note in description["notes"]],
        "columns": [_column(column) for column in description["columns"]],
        "labels": [_column(column) for column in description["labels"]],
    }


def _column(column: Mapping[str, Any]) -> dict[str, Any]:
    """What a person wants to know of a column; moments as texts."""
    valued, grid = column["map"] is not None, column["grid"]
    states = [_written(column, state) for state in column["states"]]
    low, high = (_written(column, end) for end in column["limits"]) if valued else (None, None)
    decimal = valued and grid is not None and column["family"] == "number"
    return {
        "name": str(column["name"]),
        "kind": str(column["kind"]),
        "distinct": column["distinct"],
        "low": low,
        "high": high,
        "step": grid["step"] / 10 ** grid["decimals"] if decimal else None,
        "atoms": states if valued else [],
        "states": [] if valued else states,
        "missing_share": column["missing_share"],
        "remarks": list(column["warnings"]),
    }


def _written(column: Mapping[str, Any], value: Any) -> Any:
    """A value as a person writes it; moments are stored as whole units since 1970."""
    if column["family"] == "moment":
        import numpy as np

        return str(np.datetime64(int(value), column["unit"])).replace("T00:00:00", "").replace("T", " ")
    return value


def _words(column: Mapping[str, Any]) -> list[str]:
    """The cells of a column's row."""
    kind = column["kind"]
    if column["step"] is not None:
        kind += f", step {column['step']:g}"
    elif column["states"] and kind not in ("constant", "boolean"):
        kind += f", {column['distinct']:,} values"
    values = _listed(column["states"], " | ")
    if column["low"] is not None:
        values = f"{_short(column['low'])} .. {_short(column['high'])}"
    missing = f"{column['missing_share']:.1%}" if column["missing_share"] else ""
    return [column["name"], kind, values, _listed(column["atoms"], ", "), missing, "; ".join(column["remarks"])]


def _listed(values: list[Any], between: str, most: int = 5) -> str:
    shown = between.join(_short(value) for value in values[:most])
    return shown + (f"{between}{len(values) - most:,} more" if len(values) > most else "")


def _short(value: Any) -> str:
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return text if len(text) <= 24 else f"{text[:23]}…"


def _cell(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_cell(part)}" for name, part in value.items() if part is not None)
    return f"{value:.6g}" if isinstance(value, float) else f"{value:,}" if type(value) is int else str(value)
