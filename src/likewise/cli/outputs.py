"""What a command writes: tables and JSON, to stdout or to files that appear whole or not at all."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from likewise.atomic import atomic_path
from likewise.cli.outcome import Refused

STDOUT = "-"


def check_free(path: Path | str | None, force: bool) -> None:
    """Refuses a file that exists, unless it may be overwritten, and a folder that does not."""
    if path is None or str(path) == STDOUT:
        return
    path = Path(path)
    if path.is_dir():
        raise Refused(f"{str(path)!r} is a folder; expected a file.")
    if path.exists() and not force:
        raise Refused(f"{str(path)!r} exists: name another file, or add --force to overwrite it.")
    if not path.parent.is_dir():
        raise Refused(f"The folder {str(path.parent)!r} does not exist.")


def check_table(path: Path | None) -> None:
    """Refuses an ending that names no format."""
    if path is not None and path.suffix.lower() not in (".csv", ".parquet", ".pq"):
        raise Refused(f"A table is written as .csv or .parquet, and {str(path)!r} ends in neither.")


def write_table(records: Any, names: list[str], path: Path | None) -> None:
    """Writes records of any kind as CSV to stdout, or to a file in the format of its ending."""
    frame = as_frame(records, names)
    if path is None:
        frame.to_csv(sys.stdout, index=False, lineterminator="\n")
        return
    with atomic_path(path) as temporary:
        if path.suffix.lower() == ".csv":
            frame.to_csv(temporary, index=False, lineterminator="\n")
        else:
            frame.to_parquet(temporary, index=False)


def as_frame(records: Any, names: list[str]) -> Any:
    """Records of any kind as a pandas frame."""
    import pandas as pd

    if isinstance(records, pd.DataFrame):
        return records
    if isinstance(records, pd.Series):
        return records.to_frame(names[0])
    if hasattr(records, "collect"):
        records = records.collect()
    if hasattr(records, "to_pandas"):
        return records.to_pandas()
    if getattr(getattr(records, "dtype", None), "names", None) is not None:
        return pd.DataFrame(records)
    return pd.DataFrame(records, columns=None if isinstance(records, dict) else names)


def write_json(path: str, content: Any) -> None:
    """Writes JSON to stdout for "-", or to a file."""
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False, default=str) + "\n"
    if path == STDOUT:
        sys.stdout.write(text)
        return
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
