"""What is told while a comparison runs."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from likewise.board.titles import row_title


class Watcher:
    """Hears of every step of a comparison, and of each row by its title; this one keeps silent."""

    def begin(self, titles: Sequence[str]) -> None:
        """The rows to come, in order."""

    def stage(self, title: str, stage: str, budget: float | None = None) -> None:
        """A row enters a stage: "fitting" (with its seconds, where limited), "sampling" or "measuring"."""

    def heard(self, title: str, found: Mapping[str, Any]) -> None:
        """A fit was judged after a part of its budget: see `Hearing.told`."""

    def stopped(self, title: str, why: str) -> None:
        """A fit goes on no longer, to leave the rest of its budget to others."""

    def done(self, row: Mapping[str, Any], again: bool = False) -> None:
        """A row is finished; `again` where it was found finished."""

    def end(self) -> None:
        """Nothing more is to come, or the comparison was interrupted."""


class Within(Watcher):
    """Tells another watcher of the stages of one part of the whole, whose rows are named after the part."""

    def __init__(self, watcher: Watcher, part: str) -> None:
        self._watcher, self._part = watcher, part

    def stage(self, title: str, stage: str, budget: float | None = None) -> None:
        self._watcher.stage(named_in(self._part, title), stage, budget)

    def done(self, row: Mapping[str, Any], again: bool = False) -> None:
        self._watcher.done({**row, "model": named_in(self._part, row_title(row))}, again)


def named_in(part: str, title: str) -> str:
    """The title of a row of one part of the whole.

    Examples
    --------
    >>> named_in("ring", "Flow")
    'ring, Flow'
    """
    return f"{part}, {title}"


class Lines(Watcher):
    """One line a step on stderr."""

    def stage(self, title: str, stage: str, budget: float | None = None) -> None:
        self._say(f"{title}: {stage}" + (f" for at most {budget:.0f} s" if budget is not None else ""))

    def heard(self, title: str, found: Mapping[str, Any]) -> None:
        score = found["score"]
        told = "no score" if score is None else f"a score of {score:.2f}"
        self._say(f"{title}: {told} after {found['steps']:,} steps, {found['seconds']:.0f} s")

    def stopped(self, title: str, why: str) -> None:
        self._say(f"{title}: {why}")

    def done(self, row: Mapping[str, Any], again: bool = False) -> None:
        if row["status"] == "failed":
            self._say(f"{row_title(row)}: failed: {row['reason']}")
        else:
            score = row["c2st_heldout"]
            found = "no score" if score is None else f"two-sample score {score:.3f} against held-out records"
            self._say(f"{row_title(row)}: {found}{' (as before)' if again else ''}")

    def _say(self, line: str) -> None:
        print(line, file=sys.stderr, flush=True)  # noqa: T201
