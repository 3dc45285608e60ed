"""A network while a file is read: names become positions, and each fault keeps its place in the file."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from likewise.exchange.description import DescriptionError, NetworkDescription, configuration, first_repeated, shown

ENTRIES = 2**27
"""The tables of a network may have so many entries together (1 GiB): a short file cannot ask for all the memory."""

PARENTS = 63
"""One less than the most dimensions of an array."""

_NUMBER = re.compile(r"[+-]?(?:[0-9]++(?:\.[0-9]*+)?|\.[0-9]++)(?:[eE][+-]?[0-9]++)?")


class Fault(Exception):
    """What is wrong with a file, and where; readers turn it into a DataError that names the line."""

    def __init__(self, place: int, message: str) -> None:
        super().__init__(message)
        self.place = place


@dataclass(frozen=True)
class Family:
    """A variable with its parents, by position, and the shape of its table."""

    child: int
    parents: tuple[int, ...]
    shape: tuple[int, ...]


class Draft:
    """Collects variables, then their tables. Places are whatever the reader counts by: tokens or lines."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.variables: list[str] = []
        self.codes: list[dict[str, int]] = []
        self._places: list[int] = []
        self._positions: dict[str, int] = {}
        self._families: dict[int, Family] = {}
        self._tables: dict[int, np.ndarray] = {}
        self._entries = 0

    def declare(self, place: int, name: str, labels: Sequence[str]) -> None:
        """A new variable with the labels of its states."""
        if name in self._positions:
            raise Fault(place, f"the variable {shown(name)} is declared twice")
        if not labels:
            raise Fault(place, f"expected at least one state of {shown(name)}")
        if (repeated := first_repeated(labels)) is not None:
            raise Fault(place, f"the variable {shown(name)} has two states {shown(labels[repeated])}")
        self._positions[name] = len(self.variables)
        self._places.append(place)
        self.variables.append(name)
        self.codes.append({label: code for code, label in enumerate(labels)})

    def family(self, place: int, child: str, parents: Sequence[str]) -> Family:
        """The shape that a table must have, checked before anything of that size exists."""
        for name in (child, *parents):
            if name not in self._positions:
                raise Fault(place, f"expected a declared variable, found {shown(name)}")
        if (repeated := first_repeated(parents)) is not None:
            raise Fault(place, f"the variable {shown(child)} has the parent {shown(parents[repeated])} twice")
        position = self._positions[child]
        if position in self._families:
            raise Fault(place, f"the probabilities of {shown(child)} are given twice")
        if len(parents) > PARENTS:
            raise Fault(place, f"the variable {shown(child)} has {len(parents)} parents, more than {PARENTS}")
        places = tuple(self._positions[parent] for parent in parents)
        shape = tuple(len(self.codes[place]) for place in (*places, position))
        self._entries += math.prod(shape)
        if self._entries > ENTRIES:
            raise Fault(place, f"the table of {shown(child)} brings the network beyond {ENTRIES} probabilities")
        self._families[position] = Family(position, places, shape)
        self._places[position] = place
        return self._families[position]

    def define(self, family: Family, table: np.ndarray) -> None:
        """The table of a family, of its shape."""
        self._tables[family.child] = table

    def words(self, family: Family, row: int) -> str:
        """A row of a family's table in words: the child, and the states of its parents."""
        codes = np.unravel_index(row, family.shape[:-1]) if family.parents else ()
        labels = [list(self.codes[parent])[code] for parent, code in zip(family.parents, codes, strict=True)]
        given = configuration([self.variables[parent] for parent in family.parents], labels)
        return f"{shown(self.variables[family.child])}{given}"

    def description(self, end: int) -> NetworkDescription:
        """The finished network; `end` is the place to blame for what is absent."""
        if not self.variables:
            raise Fault(end, "expected at least one variable")
        for position, name in enumerate(self.variables):
            if position not in self._tables:
                raise Fault(
                    self._places[position], f"expected the probabilities of {shown(name)} somewhere in the file"
                )
        every = range(len(self.variables))
        try:
            return NetworkDescription(
                name=self.name,
                variables=tuple(self.variables),
                states=tuple(tuple(codes) for codes in self.codes),
                parents=tuple(self._families[position].parents for position in every),
                tables=tuple(self._tables[position] for position in every),
            )
        except DescriptionError as error:
            sentence = str(error).rstrip(".")
            raise Fault(self._places[error.variable], sentence[0].lower() + sentence[1:]) from None


def first_no_number(words: Sequence[str]) -> int | None:
    """The place of the first word that is not a decimal number; None where all are.

    Examples
    --------
    >>> first_no_number(["0.25", "1e-3", "1_0"])
    2
    """
    return next((place for place, word in enumerate(words) if not _NUMBER.fullmatch(word)), None)
