"""Tables for people, on stdout."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table

LONG = 60
"""Letters of a cell beyond which it is cut; remarks are wrapped instead."""


def grid(
    heads: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[str] = (), whole: Sequence[str] = ()
) -> None:
    """Prints a table; the columns whose heads are in `right` are aligned there, those in `whole` are never cut."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for head in heads:
        table.add_column(head, justify="right" if head in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(_line(cell, head in whole)) for head, cell in zip(heads, row, strict=True)))
    _print(table)


def facts(pairs: Sequence[tuple[str, str]]) -> None:
    """Prints names and what they are, a line each."""
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2, 0, 0))
    for name, value in pairs:
        table.add_row(Text(name, style="bold"), Text(_line(value, True)))
    _print(table)


def _line(cell: str, whole: bool) -> str:
    """A cell on one line, cut where it is long."""
    text = " ".join(cell.split())
    return text if whole or len(text) <= LONG else f"{text[: LONG - 1]}…"


def _print(table: Table) -> None:
    """To a terminal in its width; to anything else as wide as it is, without blanks at the ends of lines."""
    from rich.console import Console

    console = Console()
    if console.is_terminal:
        console.print(table)
        return
    wide = Console(width=10_000)
    with wide.capture() as captured:
        wide.print(table)
    sys.stdout.write("".join(f"{line.rstrip()}\n" for line in captured.get().splitlines()))
