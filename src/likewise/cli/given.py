"""What `--given` says: `column=value`, `column=low..high`, `column=a|b`."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from likewise.cli.outcome import Refused


def parse(words: Sequence[str], columns: Collection[str], unordered: Collection[str] = ()) -> dict[str, Any]:
    """Evidence from the words of the command line: column -> value, list of values, or interval.

    Parameters
    ----------
    words : texts such as "species=Adelie", "mass=3000..4000", "mass=..4000", "species=Adelie|Gentoo"
        A part between bars may be an interval; a part that is empty stands for *missing*.
    columns : the names that may stand before the equals sign
    unordered : those of them whose values are texts, in which two dots mean nothing

    Examples
    --------
    >>> parse(["species=Adelie|Gentoo", "mass=3000..4000"], ["species", "mass"], ["species"])
    {'species': ['Adelie', 'Gentoo'], 'mass': ('3000', '4000')}
    """
    given: dict[str, Any] = {}
    for word in words:
        column, said = _split(word, columns)
        if column in given:
            raise Refused(f"--given names {column!r} twice; write a set as {column}=a|b.")
        parts = [_part(part, column in unordered) for part in said.split("|")]
        # One interval is a pair, and so is a set of two: only the list tells them apart.
        given[column] = parts[0] if len(parts) == 1 and parts[0] is not None else parts
    return given


def _split(word: str, columns: Collection[str]) -> tuple[str, str]:
    """The column and what is said of it; a column's name may hold equals signs."""
    cuts = [i for i, letter in enumerate(word) if letter == "="]
    if not cuts:
        raise Refused(f"--given {word!r} says nothing: write column=value, column=low..high or column=a|b.")
    for cut in reversed(cuts):
        if word[:cut].strip() in columns:
            return word[:cut].strip(), word[cut + 1 :].strip()
    named = ", ".join(repr(column) for column in list(columns)[:12]) + (" and more" if len(columns) > 12 else "")
    raise Refused(f"--given {word!r}: there is no column {word[: cuts[0]].strip()!r}; there are {named}.")


def _part(text: str, unordered: bool) -> Any:
    """A value, an interval as a pair of texts (None for an open end), or None for missing."""
    text = text.strip()
    if not text:
        return None
    low, dots, high = text.partition("..")
    if not dots or unordered:
        return text
    return (low.strip() or None, high.strip() or None)
