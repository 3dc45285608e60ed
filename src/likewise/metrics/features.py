"""How metrics see records: columns of numbers and codes, a space for distances, and flat features for trees."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from likewise.domains.table.columns import encode
from likewise.domains.table.schema import Facts
from likewise.domains.table.table import Table
from likewise.domains.table.vectors import Scalar, Vector, key

Array = np.ndarray[Any, np.dtype[Any]]

OTHER = "(other)"
"""The level of states that were rare in training, or not seen."""

WIDEST = 512
"""The widest space for distances."""

LINEAR = 3.0
"""Scaled numbers count linearly up to here, and by their logarithm beyond."""


@dataclass(frozen=True, eq=False)
class Column:
    """One column of some records.

    Attributes
    ----------
    kind : "number" or "category"
    values : float64 array (n,) with NaN where missing, or int64 array (n,) of positions in `levels`,
        `len(levels)` where missing
    levels : tuple of str
        Of a category; the last is "(other)" where the domain has a state for what training did not have.
    unit : str
        Of a number that is a moment or a duration, the numpy dtype that it counts in, such as "M8[D]" or "m8[s]".
    """

    name: str
    kind: Literal["number", "category"]
    values: Array
    levels: tuple[str, ...] = ()
    unit: str = ""

    def __len__(self) -> int:
        return len(self.values)

    @property
    def missing(self) -> Array:
        """Where the cell is blank, (n,) bool."""
        blank: Array = np.isnan(self.values) if self.kind == "number" else self.values == len(self.levels)
        return blank

    def rows(self, index: Array | slice) -> Column:
        """The cells at these positions."""
        return Column(self.name, self.kind, self.values[index], self.levels, self.unit)


@dataclass(frozen=True, eq=False)
class _Learned:
    """What was learned of one column from training records."""

    facts: Facts
    levels: tuple[str, ...] = ()
    centre: float = 0.0
    scale: float = 1.0
    origin: float = 0.0
    ranks: Array = field(default_factory=lambda: np.zeros(0, np.float32))
    basis: Array = field(default_factory=lambda: np.zeros((0, 0), np.float32))

    @property
    def category(self) -> bool:
        return not self.facts.valued

    @property
    def unit(self) -> str:
        if self.facts.family != "moment":
            return ""
        return f"{'m' if self.facts.span else 'M'}8[{self.facts.unit}]"


class Features:
    """How metrics see the records of a fitted domain; scales are learned from training records only.

    Identifiers, constant and ignored columns are left out. Records may be anything that the domain reads.

    Parameters
    ----------
    domain : Table, fitted
    training : records

    Attributes
    ----------
    names : tuple of str
    column_of_flat : int64 array (d,)
        The position in `names` of the column that each flat feature belongs to.

    Examples
    --------
    >>> records = {"size": [1.5, 2.25, 4.125, 8.5] * 15, "kind": ["a", "b", "b", "b"] * 15}
    >>> features = Features(Table().fit(records), records)
    >>> [(column.name, column.kind, column.levels) for column in features.columns(records)]
    [('size', 'category', ('1.5', '2.25', '4.125', '8.5', '(other)')), ('kind', 'category', ('a', 'b', '(other)'))]
    >>> len(set(features.keys(records).tolist()))
    4
    """

    def __init__(self, domain: Table, training: Any) -> None:
        self.domain = domain
        vectors = domain.vectors(training)
        modelled = [facts for facts in domain.facts if facts.modelled]
        self.names = tuple(facts.name for facts in modelled)
        self._columns = _with_bases([_learn(facts, vectors[facts.name]) for facts in modelled])
        self.column_of_flat: Array = np.arange(len(self.names))

    def columns(self, records: Any) -> tuple[Column, ...]:
        """The columns of the records, in the order of `names`."""
        vectors = self.domain.vectors(records)
        return tuple(_column(learned, vectors[learned.facts.name]) for learned in self._columns)

    def matrix(self, records: Any) -> Array:
        """Points for distances, float32 (n, d).

        A number counts in units of its spread, logarithmically beyond three of them; two different categories are 1
        apart, and so are a blank and a number. Spaces of more than 512 dimensions are projected at random onto as many:
        distances between records that are alike stay exactly 0, others change by a few per cent.
        """
        columns = self.columns(records)
        points: Array = np.zeros((len(columns[0]), self._columns[0].basis.shape[1]), np.float32)
        for learned, column in zip(self._columns, columns, strict=True):
            if learned.category:
                points += learned.basis[column.values]
                continue
            blank = column.missing
            scaled = (np.where(blank, learned.centre, column.values) - learned.centre) / learned.scale
            far = np.abs(scaled) > LINEAR
            scaled[far] = np.sign(scaled[far]) * (LINEAR + np.log1p(np.abs(scaled[far]) - LINEAR))
            points += scaled.astype(np.float32)[:, None] * learned.basis[0]
            if blank.any():
                points[blank] += learned.basis[1]
        return points

    def flat(self, records: Any) -> Array:
        """Features for trees, float32 (n, d): numbers as they are, categories by frequency rank, NaN where missing."""
        columns = self.columns(records)
        flat: Array = np.full((len(columns[0]), len(columns)), np.nan, np.float32)
        for i, (learned, column) in enumerate(zip(self._columns, columns, strict=True)):
            known = ~column.missing
            if learned.category:
                flat[known, i] = learned.ranks[column.values[known]]
            else:
                flat[known, i] = column.values[known] - learned.origin
        return flat

    def keys(self, records: Any) -> Array:
        """An int64 for each record, (n,): equal for records that are alike value for value."""
        vectors = self.domain.vectors(records)
        mixed: Array = np.zeros(len(next(iter(vectors.values()))), np.uint64)
        for learned in self._columns:
            mixed = _mixed(mixed ^ _words(vectors[learned.facts.name]))
        return mixed.view(np.int64)


def _learn(facts: Facts, vector: Vector) -> _Learned:
    if not facts.valued:
        states = tuple(_name(facts, state) for state in facts.states)
        other = () if facts.unseen_code is None else (OTHER,)
        codes = np.minimum(encode(facts, vector).codes.numpy()[~vector.missing], len(states + other) - 1)
        counts = np.bincount(codes, minlength=len(states + other))
        ranks = np.argsort(np.argsort(-counts, kind="stable")).astype(np.float32)
        return _Learned(facts, states + other, ranks=ranks)
    present = vector.data[~vector.missing].astype(np.float64)
    low, centre, high = np.quantile(present, (0.1587, 0.5, 0.8413)) if len(present) else (0.0, 0.0, 0.0)
    scale = (high - low) / 2.0
    if not scale > 0.0:  # most of the column is one value
        rest = present[present != centre]
        scale = float(np.sqrt(np.mean((rest - centre) ** 2))) if len(rest) else 1.0
    # float32 would merge values that lie close together far from 0.
    spread = float(np.ptp(present)) if len(present) else 0.0
    origin = float(present.min()) if len(present) and np.abs(present).max() > 1024.0 * spread else 0.0
    if facts.family == "moment" and len(present):
        origin = float(present.min())
    return _Learned(facts, centre=float(centre), scale=float(scale), origin=origin)


def _name(facts: Facts, state: Scalar) -> str:
    if facts.family == "moment":
        return str(np.array(state, np.int64).view(f"{'m' if facts.span else 'M'}8[{facts.unit}]"))
    return f"{state:.12g}" if isinstance(state, float) else str(state)


def _with_bases(columns: Sequence[_Learned]) -> list[_Learned]:
    """Columns with the vectors that their values stand for in the space for distances."""
    widths = [len(column.levels) + 1 if column.category else 2 for column in columns]
    total, half = sum(widths), np.float32(np.sqrt(0.5))
    rng, made, at = np.random.default_rng(0), [], 0
    for column, width in zip(columns, widths, strict=True):
        if total <= WIDEST:
            basis = np.zeros((width, total), np.float32)
            basis[np.arange(width), at + np.arange(width)] = 1.0
        else:
            basis = rng.normal(scale=WIDEST**-0.5, size=(width, WIDEST)).astype(np.float32)
        made.append(replace(column, basis=basis * half if column.category else basis))
        at += width
    return made


def _column(learned: _Learned, vector: Vector) -> Column:
    facts = learned.facts
    if not learned.category:
        values = np.where(vector.missing, np.nan, vector.data.astype(np.float64))
        return Column(facts.name, "number", values, unit=learned.unit)
    codes = np.minimum(encode(facts, vector).codes.numpy(), len(learned.levels) - 1)
    return Column(facts.name, "category", np.where(vector.missing, len(learned.levels), codes), learned.levels)


def _words(vector: Vector) -> Array:
    """A uint64 for each cell, the same for the same value whatever the records it stands in."""
    if vector.family == "label":
        digests = [hashlib.blake2b(repr(key(level)).encode(), digest_size=8).digest() for level in vector.levels]
        words = np.frombuffer(b"".join(digests) or bytes(8), np.uint64)[vector.data]
    elif vector.data.dtype == np.float64:
        words = (vector.data + 0.0).view(np.uint64)  # -0.0 is 0.0
    else:
        words = vector.data.astype(np.int64).view(np.uint64)
    return np.where(vector.missing, np.uint64(0x9E3779B97F4A7C15), words)


def _mixed(words: Array) -> Array:
    """A bijection of 64-bit words in which every bit matters (Steele, Lea and Flood 2014, SplitMix64)."""
    words = words + np.uint64(0x9E3779B97F4A7C15)
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    last: Array = words ^ (words >> np.uint64(31))
    return last
