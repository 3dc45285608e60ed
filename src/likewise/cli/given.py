"""What `--given` says: `column=value`, `column=low..high`, `column=a|b`."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from typing import Any

from likewise.cli.outcome import Refused

_TRUTH = {"true": True, "false": False, "yes": True, "no": False, "1": True, "0": False}


def parse(words: Sequence[str], columns: Mapping[str, str], option: str = "--given") -> dict[str, Any]:
    """Evidence from the words of the command line: column -> value, list of values, or interval.

    Parameters
    ----------
    words : texts such as "species=Adelie", "mass=3000..4000", "mass=..4000", "species=Adelie|Gentoo"
        A part between bars may be an interval; a part that is empty stands for *missing*.
    columns : column -> "number", "boolean", "label" or "moment", what its values are
        Two dots mean nothing among labels. A text that is no value of that sort stays a text, for the schema to refuse.
    option : text
        What the words follow on the command line.

    Examples
    --------
    >>> parse(["species=Adelie|Gentoo", "mass=3000..4000"], {"species": "label", "mass": "number"})
    {'species': ['Adelie', 'Gentoo'], 'mass': (3000, 4000)}
    """
    given: dict[str, Any] = {}
    for word in words:
        column, said = _split(word, columns, option)
        if column in given:
            raise Refused(f"{option} names {column!r} twice; write a set as {column}=a|b.")
        parts = [_part(part.strip(), columns[column]) for part in said.split("|")]
        # None alone would say nothing; in a list it stands for missing.
        given[column] = parts[0] if len(parts) == 1 and parts[0] is not None else parts
    return given


def _split(word: str, columns: Mapping[str, str], option: str) -> tuple[str, str]:
    """The column and what is said of it; a column's name may hold equals signs."""
    cuts = [i for i, letter in enumerate(word) if letter == "="]
    if not cuts:
        raise Refused(f"{option} {word!r} says nothing: write column=value, column=low..high or column=a|b.")
    for cut in reversed(cuts):
        if word[:cut].strip() in columns:
            return word[:cut].strip(), word[cut + 1 :].strip()
    named = ", ".join(repr(column) for column in list(columns)[:12]) + (" and more" if len(columns) > 12 else "")
    raise Refused(f"{option} {word!r}: there is no column {word[: cuts[0]].strip()!r}; there are {named}.")


def _part(text: str, family: str) -> Any:
    """A value, an interval as a pair (None for an open end), or None for missing."""
    low, dots, high = text.partition("..")
    if dots and family != "label":
        return (_value(low.strip(), family), _value(high.strip(), family))
    return _value(text, family)


def _value(text: str, family: str) -> Any:
    if not text:
        return None
    try:
        if family == "number":
            number = float(text)
            whole = number.is_integer() and "." not in text and "e" not in text.lower()
            return int(text) if whole else number if math.isfinite(number) else text
        if family == "moment":
            return dt.datetime.fromisoformat(text) if "-" in text else dt.time.fromisoformat(text)
    except ValueError:
        return text
    return _TRUTH.get(text.lower(), text) if family == "boolean" else text
