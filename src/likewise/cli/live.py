"""What a person sees while a comparison runs: one line for each row, brought up to date, on stderr."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console, RenderableType
from rich.live import Live as Display
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from likewise.board.leaderboard import clock
from likewise.board.titles import row_title
from likewise.board.watching import Watcher


class Live(Watcher):
    """A table of all rows and what each is at; it vanishes when the leaderboard takes its place.

    Parameters
    ----------
    console : Console or None
        Standard error unless given.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._console = Console(stderr=True) if console is None else console
        self._titles: list[str] = []
        self._told: dict[str, Text] = {}
        self._at: tuple[str, str, float | None, float] | None = None
        self._spinner = Spinner("dots")
        self._display = Display(console=self._console, get_renderable=self._table, refresh_per_second=4, transient=True)

    def begin(self, titles: Sequence[str]) -> None:
        self._titles = list(titles)
        self._display.start()

    def stage(self, title: str, stage: str, budget: float | None = None) -> None:
        self._at = (title, stage, budget, time.perf_counter())

    def heard(self, title: str, found: Mapping[str, Any]) -> None:
        score = "no score" if found["score"] is None else f"score {found['score']:.2f}"
        self._at, self._told[title] = None, Text(f"{score} after {clock(found['seconds'])}, waiting", style="dim")

    def stopped(self, title: str, why: str) -> None:
        self._at, self._told[title] = None, Text(why, style="yellow", overflow="ellipsis", no_wrap=True)

    def done(self, row: Mapping[str, Any], again: bool = False) -> None:
        self._at, title = None, row_title(row)
        if row["status"] == "failed":
            self._told[title] = Text(f"failed: {row['reason']}", style="red", overflow="ellipsis", no_wrap=True)
            return
        score = row["c2st_heldout"]
        taken = "" if row["fit_seconds"] is None else f", fitted in {clock(row['fit_seconds'])}"
        words = "done" if score is None else f"two-sample score {score:.2f}"
        taken += ", stopped early" if row.get("stopped") else ""
        self._told[title] = Text(f"{words}{taken}{' (as before)' if again else ''}", style="green")

    def end(self) -> None:
        self._display.stop()

    def _table(self) -> RenderableType:
        table = Table.grid(padding=(0, 2, 0, 0))
        for title in self._titles:
            if self._at is not None and self._at[0] == title:
                _, stage, budget, since = self._at
                passed = clock(time.perf_counter() - since)
                self._spinner.update(text=Text(f"{stage} {passed}" + (f" of {clock(budget)}" if budget else "")))
                table.add_row(Text(title, style="bold"), self._spinner)
            else:
                table.add_row(Text(title), self._told.get(title, Text("waiting", style="dim")))
        return table
