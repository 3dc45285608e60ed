"""Options that several verbs share, so that each is spelt, and explained, once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from likewise.cli.outcome import Refused

Data = Annotated[
    str,
    typer.Argument(
        metavar="DATA", help="A CSV or Parquet file, or the name of a set that comes with scikit-learn, such as wine."
    ),
]
Model = Annotated[Path, typer.Argument(metavar="MODEL", help="A model file that `likewise fit` wrote.")]
Device = Annotated[str, typer.Option(help='Where to compute: "auto", "cpu", "cuda", "cuda:1", "mps".')]
Force = Annotated[bool, typer.Option("--force", "-f", help="Overwrite files that exist.")]
Json = Annotated[str | None, typer.Option("--json", metavar="PATH|-", help="Write the result as JSON; - is stdout.")]
Names = Annotated[
    str | None, typer.Option(metavar="A,B,C", help="The names of the columns of a text file that has no header.")
]
Holdout = Annotated[
    str, typer.Option(metavar="SHARE|FILE", help="The share of the records that no model sees, or a file of records.")
]
Rows = Annotated[int | None, typer.Option(min=100, help="The most records of each model to judge. [default: 20000]")]
Target = Annotated[
    str | None, typer.Option(metavar="COLUMN", help="The column by whose prediction the utility of records is judged.")
]
Seed = Annotated[int, typer.Option(min=0, help="The seed of everything random.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")]
Verbose = Annotated[int, typer.Option("--verbose", "-v", count=True, show_default=False, help="Say more.")]


def split_names(names: str | None, data: str) -> list[str] | None:
    """The names that `--names` gives to the columns of `data`; refused where those have names already."""
    if names is None:
        return None
    from likewise.datasets import BUNDLED

    if (data in BUNDLED and not Path(data).exists()) or Path(data).suffix.lower() in (".parquet", ".pq"):
        raise Refused(f"--names is for text files without a header, and {data!r} has names of its own.")
    return [name.strip() for name in names.split(",")]
