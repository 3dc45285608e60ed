"""Facts about what a person sees."""

from __future__ import annotations

import io
import re

import pytest
from small_families import Duel, Gaussian, records

from likewise.engine.loop import train
from likewise.engine.plan import Plan
from likewise.engine.progress import Progress, outlook
from likewise.engine.schedule import Cooling
from likewise.engine.standing import Standing


def test_without_a_terminal_nothing_is_written() -> None:
    stream = io.StringIO()
    train(Gaussian(), records(100), records(30), Plan(max_steps=30), seed=0, progress=Progress(file=stream))
    assert stream.getvalue() == ""


def test_a_terminal_is_told_loss_figure_rate_and_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    stream = io.StringIO()
    record = train(
        Duel(), records(100), records(30), Plan(max_steps=30), seed=0, progress=Progress("duel", stream, True)
    )
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", stream.getvalue())
    assert "duel" in text
    assert "generator loss 4." in text
    assert "critic loss -" in text
    assert f"(best {record.best:.3f})" in " ".join(text.split())
    assert "step 30" in text
    assert "0:00 left" in text


def test_the_outlook_follows_the_tighter_budget() -> None:
    standing = Standing(step=100, elapsed=10.0)
    assert outlook(Plan(), standing, 10.0) == (None, None)
    assert outlook(Plan(max_steps=400), standing, 10.0) == (0.25, 30.0)
    assert outlook(Plan(max_steps=400, max_time=20.0), standing, 10.0) == (0.5, 10.0)
    standing.cooling = Cooling(90, 9.0, 120, early=True)
    assert outlook(Plan(max_steps=400), standing, 10.0) == (100 / 120, 2.0)
