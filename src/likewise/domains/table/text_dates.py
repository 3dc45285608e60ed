"""Dates and times written as text: the format found, read and written again."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import numpy as np

from likewise.domains.table.vectors import Array, Scalar, Span, Vector

FORMATS = (
    "%Y-%m-%d",
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%dT%H:%M:%S",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%dT%H:%M",
    "%Y-%m-%dT%H:%M:%SZ",
    "%Y-%m-%d %H:%M:%S.%f",
    "%Y/%m/%d",
    "%Y/%m/%d %H:%M:%S",
    "%Y/%m/%d %H:%M",
    "%m/%d/%Y",
    "%m/%d/%Y %H:%M:%S",
    "%m/%d/%Y %H:%M",
    "%d/%m/%Y",
    "%d/%m/%Y %H:%M:%S",
    "%d/%m/%Y %H:%M",
    "%d.%m.%Y",
    "%d.%m.%Y %H:%M:%S",
    "%d.%m.%Y %H:%M",
    "%d-%m-%Y",
    "%-m/%-d/%Y",
    "%-m/%-d/%Y %-H:%M",
    "%-d/%-m/%Y",
    "%-d/%-m/%Y %-H:%M",
    "%-d.%-m.%Y",
    "%-d.%-m.%Y %-H:%M",
    "%d %b %Y",
    "%b %d, %Y",
    "%H:%M",
    "%H:%M:%S",
    "%-H:%M",
    "%-H:%M:%S",
)
"""What dates are looked for in, the likelier of two readings first; "%-d" is a day without a leading zero."""

_EPOCH = dt.datetime(1970, 1, 1)
_CLOCK_DAY = dt.datetime(1900, 1, 1)


def text_format(levels: Sequence[Scalar]) -> str:
    """The first format that reads every text and writes it back as it was; "" where there is none."""
    texts = [str(level) for level in levels]
    if not texts or any(not 4 <= len(text) <= 26 or not any(c.isdigit() for c in text) for text in texts[:50]):
        return ""
    for form in FORMATS:
        if _reads(texts[:1], form) and _reads(texts[:50], form) and _reads(texts, form):
            return form
    return ""


def _reads(texts: Sequence[str], form: str) -> bool:
    try:
        return all(_write(_read(text, form), form) == text for text in texts)
    except ValueError:
        return False


def _read(text: str, form: str) -> dt.datetime:
    return dt.datetime.strptime(text, form.replace("%-", "%"))


def _write(moment: dt.datetime, form: str) -> str:
    for code, number in (
        ("%-d", moment.day),
        ("%-m", moment.month),
        ("%-H", moment.hour),
    ):  # strftime may not know them
        form = form.replace(code, str(number))
    return moment.strftime(form)


def unit_of(form: str) -> tuple[str, Span]:
    """The unit that holds what a format writes, and whether it is a time of the day."""
    clock: Span = "" if "%Y" in form else "clock"
    return "us" if "%f" in form else "s" if "H:" in form else "D", clock


def from_text(vector: Vector, form: str) -> Vector | None:
    """The moments that a text column writes in a format; None where a cell is not written so."""
    unit, span = unit_of(form)
    start = _CLOCK_DAY if span else _EPOCH
    size = {"us": dt.timedelta(microseconds=1), "s": dt.timedelta(seconds=1), "D": dt.timedelta(days=1)}[unit]
    try:
        whole = [(_read(str(level), form) - start) // size for level in vector.levels]
    except ValueError:
        return None
    data: Array = np.array(whole or [0], dtype=np.int64)[vector.data]
    return Vector("moment", data, vector.missing, unit=unit, span=span)


def to_text(vector: Vector, form: str) -> Vector:
    """The column of texts that moments are written as."""
    distinct, data = np.unique(vector.data, return_inverse=True)
    start = _CLOCK_DAY if vector.span else _EPOCH
    size = {"us": "microseconds", "s": "seconds", "D": "days"}[vector.unit]
    texts = tuple(_write(start + dt.timedelta(**{size: whole}), form) for whole in distinct.tolist())
    return Vector("label", data.astype(np.int64), vector.missing, texts)
