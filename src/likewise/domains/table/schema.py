"""What each column is: facts found in training records, or told by the user, that encoding and decoding follow."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from typing import Literal

import numpy as np
import torch

from likewise.domains.table.grids import EXACT, Grid
from likewise.domains.table.identifiers import Identifier
from likewise.domains.table.vectors import Array, Family, Scalar, Span, key
from likewise.events import Categorical, Entry, Quantised, Real
from likewise.mathematics.monotone import MonotoneMap

Kind = Literal["real", "quantised", "categorical", "boolean", "datetime", "text", "identifier", "constant", "ignore"]
KINDS: tuple[Kind, ...] = (
    "real", "quantised", "categorical", "boolean", "datetime", "text", "identifier", "constant", "ignore",
)  # fmt: skip

OUTERMOST = 2.0
"""Where, in model units, the largest of the numbers of a column lies that has codes alone."""

FARTHEST = 4.0
"""A spike is not seen farther out than so many normal scores."""

_NEAR = Fraction(1, 10**9)

MODELLED = ("real", "quantised", "categorical", "boolean", "datetime", "text")


@dataclass(frozen=True)
class Thresholds:
    """Where inference draws its lines.

    Attributes
    ----------
    max_categories : distinct texts beyond this many share one pooled code, the most frequent keep theirs
    label_numbers : numbers of at most so many distinct values, `label_rows` rows each, are all codes
    atom_share, atom_ratio, atom_rows : an atom has this share of the rows, is this many times as frequent as its
        neighbourhood, and occurs this many times
    max_atoms : the most atoms of a column
    identifier_share : texts of which this share is distinct are identifiers
    tie_share : decimals of which fewer rows than this share repeat a value are real, not quantised
    """

    max_categories: int = 200
    label_numbers: int = 20
    label_rows: float = 5.0
    atom_share: float = 0.001
    atom_ratio: float = 3.0
    atom_rows: int = 8
    max_atoms: int = 100
    identifier_share: float = 0.9
    tie_share: float = 0.05


@dataclass(frozen=True, eq=False)
class Facts:
    """One column, learned.

    Attributes
    ----------
    family, whole, unit, span : the data of its vector: numbers whole or not, moments in a unit
    text_format : how its moments are written as text, where they are
    states : the states that have a code of their own, in code order: categories, or the atoms of a value column
    pool, pool_shares : rare texts that share one code, and the share of each among them
    missing : whether training records had blanks
    grid : the grid of a quantised value; None for a real one
    decimals : of a real value that was rounded, None where it was not
    map : the map to normal scores, None where there is no value
    low, high : bounds of the support in the units of the data, None where there is none
    limits : the smallest and the largest value seen
    reserved : the probability of the unseen state
    closed : whether the states are all there can be, so that there is no unseen one
    identifier : the pattern of a column that names records
    warnings : what a user should know, as phrases
    """

    name: str
    kind: Kind
    family: Family
    whole: bool = False
    unit: str = ""
    span: Span = ""
    states: tuple[Scalar, ...] = ()
    pool: tuple[Scalar, ...] = ()
    pool_shares: Array = field(default_factory=lambda: np.zeros(0))
    missing: bool = False
    missing_share: float = 0.0
    distinct: int = 0
    reserved: float = 0.0
    grid: Grid | None = None
    decimals: int | None = None
    map: MonotoneMap | None = None
    low: float | int | None = None
    high: float | int | None = None
    limits: tuple[float | int, float | int] | None = None
    identifier: Identifier | None = None
    text_format: str = ""
    closed: bool = False
    warnings: tuple[str, ...] = ()

    @property
    def modelled(self) -> bool:
        """Whether the column has an entry of its own in the event."""
        return self.kind in MODELLED

    @property
    def dtype(self) -> type[np.generic]:
        """The dtype of the data of its vector."""
        return (
            np.bool_
            if self.family == "boolean"
            else np.float64
            if self.family == "number" and not self.whole
            else np.int64
        )

    @property
    def valued(self) -> bool:
        """Whether code 0 carries a value."""
        return self.map is not None

    @property
    def first_state(self) -> int:
        """The code of the first state."""
        return 1 if self.valued else 0

    @property
    def pool_code(self) -> int | None:
        """The code that rare texts share."""
        return self.first_state + len(self.states) if self.pool else None

    @property
    def missing_code(self) -> int | None:
        """The code of a blank."""
        return self.first_state + len(self.states) + bool(self.pool) if self.missing else None

    @property
    def unseen_code(self) -> int | None:
        """The code of what no training record had; booleans and closed columns have none."""
        return self.codes - 1 if self._open else None

    @property
    def _open(self) -> bool:
        return self.kind != "boolean" and not self.closed

    @property
    def codes(self) -> int:
        """The number of codes."""
        return self.first_state + len(self.states) + bool(self.pool) + self.missing + self._open

    @cached_property
    def code_of(self) -> Mapping[tuple[str, Scalar], int]:
        """State -> code."""
        return {key(state): self.first_state + i for i, state in enumerate(self.states)}

    @cached_property
    def share_of(self) -> Mapping[tuple[str, Scalar], float]:
        """Pooled text -> its share of the pool."""
        return dict(zip((key(text) for text in self.pool), self.pool_shares.tolist(), strict=True))

    @cached_property
    def entry(self) -> Entry:
        """The entry of the event."""
        unseen = self.unseen_code
        return Entry(
            self.name,
            Categorical(self.codes),
            self.value,
            self.missing_code,
            unseen,
            self.reserved if unseen is not None else 0.0,
            self._coordinates(),
        )

    def _coordinates(self) -> tuple[float | None, ...]:
        """Where each code lies in model units, None for those that are no numbers."""
        if self.family not in ("number", "moment") or not self.states:
            return ()
        if self.map is None:
            numbers = np.array(self.states, dtype=np.float64)
            spread = float(numbers.max() - numbers.min()) or 1.0
            z = (2 * (numbers - numbers.min()) / spread - 1) * OUTERMOST
        else:
            x = [self._coordinate(state) for state in self.states]
            z = self.map.forward(torch.tensor(x, dtype=torch.float64)).clamp(-FARTHEST, FARTHEST).numpy()
        of_states = dict(enumerate(z.tolist(), self.first_state))
        return tuple(of_states.get(code) for code in range(self.codes))

    def _coordinate(self, state: Scalar) -> float:
        """What the map to normal scores takes for a number."""
        assert not isinstance(state, str)
        if self.grid is None:
            return float(state)
        return self.grid.coordinate_origin + self.grid.coordinate_step * float(self.grid.position(state))

    @cached_property
    def value(self) -> Quantised | Real | None:
        if self.map is None:
            return None
        if self.grid is None:
            return Real(self.map)
        low = None if self.low is None else max(math.ceil(self.grid.position(self.low) - _NEAR), -EXACT)
        high = None if self.high is None else min(math.floor(self.grid.position(self.high) + _NEAR), EXACT)
        return Quantised(self.map, self.grid.coordinate_step, self.grid.coordinate_origin, low, high)
