"""What a person sees while a model is fitted: one line on stderr, and nothing at all without a terminal."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as Bar

from likewise.engine.plan import Plan
from likewise.engine.standing import Standing

REDRAWN = 0.1
"""Seconds between two updates of the line."""


class Progress:
    """A progress line: share of the budget, time left, rate, validation figure, loss.

    Parameters
    ----------
    title : str
    file : text stream
        Standard error unless given.
    enabled : bool or None
        None shows the line where the stream is a terminal.
    """

    def __init__(self, title: str = "fitting", file: TextIO | None = None, enabled: bool | None = None) -> None:
        stream = file if file is not None else sys.stderr
        self.enabled = stream.isatty() if enabled is None else enabled
        self._title = title
        self._console = Console(file=stream, force_terminal=True if enabled else None)
        self._bar: Bar | None = None
        self._last = 0.0

    def __enter__(self) -> Progress:
        if self.enabled:
            self._bar = Bar(
                TextColumn("{task.description}"),
                BarColumn(bar_width=12),
                TextColumn("{task.fields[facts]}"),
                console=self._console,
                auto_refresh=False,
                transient=False,
            )
            self._bar.start()
            self._task = self._bar.add_task(self._title, total=None, facts="")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.refresh()
            self._bar.stop()
            self._bar = None

    def show(self, plan: Plan, standing: Standing, rate: float, force: bool = False) -> None:
        """Brings the line up to date; `rate` is in steps a second."""
        if self._bar is None:
            return
        now = time.perf_counter()
        if now - self._last < REDRAWN and not force:
            return
        self._last = now
        share, left = outlook(plan, standing, rate)
        facts = [] if left is None else [f"{clock(left)} left"]
        if rate > 0:
            facts.append(f"{rate:,.0f}/s" if rate >= 10 else f"{rate:.2g}/s")
        if standing.curve and standing.curve[-1].figure is not None:
            best = "" if standing.best is None else f" (best {standing.best:.3f})"
            facts.append(f"held-out {standing.curve[-1].figure:.3f}{best}")
        for name, trend in standing.trends.items():
            facts.append((f"{name} " if len(standing.trends) > 1 else "") + f"loss {trend.mean:.3f}")
        # What a narrow terminal cuts off comes last.
        facts.append(f"step {standing.step:,}")
        total, completed = (None, 0.0) if share is None else (1.0, share)
        self._bar.update(self._task, total=total, completed=completed, facts="  ".join(facts), refresh=True)

    def say(self, text: str) -> None:
        """A line of its own above the progress line."""
        if self._bar is not None:
            self._bar.console.print(text, markup=False, highlight=False)


def outlook(plan: Plan, standing: Standing, rate: float) -> tuple[float | None, float | None]:
    """The share of the fit that is done and the seconds that are left, where a budget or a cool-down tells."""
    stop = standing.cooling.stop if standing.cooling is not None else plan.max_steps
    shares, left = [], []
    if plan.max_time is not None:
        shares.append(standing.elapsed / plan.max_time)
        left.append(plan.max_time - standing.elapsed)
    if stop is not None:
        shares.append(standing.step / stop)
        if rate > 0:
            left.append((stop - standing.step) / rate)
    return (min(1.0, max(shares)) if shares else None), (max(0.0, min(left)) if left else None)


def clock(duration: float) -> str:
    """Seconds as minutes and seconds, or hours, minutes and seconds.

    Examples
    --------
    >>> clock(62), clock(3725)
    ('1:02', '1:02:05')
    """
    whole = max(0, round(duration))
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
