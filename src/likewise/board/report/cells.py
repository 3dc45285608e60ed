"""Reading columns: what is missing, what stands where, and how to say it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from likewise.board.report.data import Floats
from likewise.metrics.features import Column


def join(first: Column, second: Column) -> Column:
    """The cells of two parts of one column."""
    return Column(first.name, first.kind, np.concatenate([first.values, second.values]), first.levels, unit=first.unit)


def present(column: Column) -> np.ndarray[Any, Any]:
    """The values that are not missing."""
    return np.asarray(column.values[~column.missing])


def shares(column: Column) -> Floats:
    """The share of each level, and last the share that is missing."""
    size = len(column.levels)
    codes = np.where(column.missing, size, column.values).astype(np.int64)
    return np.bincount(codes, minlength=size + 1) / max(len(codes), 1)


def number(value: float, unit: str = "") -> str:
    """A number for people to read, or the moment or duration that it stands for, see `Column.unit`.

    Examples
    --------
    >>> number(1234567.8), number(0.01234), number(40.0), number(0.0)
    ('1,230,000', '0.0123', '40', '0')
    >>> number(20000, "M8[D]"), number(90, "m8[m]")
    ('2024-10-04', '90 minutes')
    """
    if not math.isfinite(value):
        return "none"
    if unit.startswith("M8"):
        return str(np.array(round(value)).astype(unit)).replace("T", " ")[:16]
    if unit.startswith("m8"):
        return str(np.array(round(value)).astype(unit))
    if value == 0:
        return "0"
    size = math.floor(math.log10(abs(value)))
    if size >= 7 or size < -4:
        return f"{value:.3g}".replace("-", "−")
    rounded = round(value, 2 - size)
    text = f"{rounded:,.{max(2 - size, 0)}f}".replace("-", "−")
    return text.rstrip("0").rstrip(".") if "." in text else text


def percent(share: float) -> str:
    """A share as a percentage with as many digits as tell something.

    Examples
    --------
    >>> percent(0.4567), percent(0.012), percent(0.0), percent(0.0004)
    ('46%', '1.2%', '0%', '<0.1%')
    """
    if 0 < share < 0.001:
        return "<0.1%"
    return f"{share:.1%}".replace(".0%", "%") if share < 0.1 else f"{share:.0%}"


def cut(text: str, letters: int) -> str:
    """A text of at most so many letters, without its end.

    Examples
    --------
    >>> cut("Exec-managerial", 10)
    'Exec-mana…'
    """
    line = " ".join(text.split())
    return line if len(line) <= letters else line[: letters - 1].rstrip() + "…"


def fold(name: str, letters: int) -> str:
    """A name of at most so many letters, without its middle: names that begin alike differ at their ends.

    Examples
    --------
    >>> fold("measurement_043", 11)
    'measu…t_043'
    """
    line = " ".join(name.split())
    half = (letters - 1) // 2
    return line if len(line) <= letters else line[: letters - 1 - half] + "…" + line[-half:]
