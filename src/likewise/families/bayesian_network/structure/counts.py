"""How often joint states of columns occur: one pass over the records counts a set of columns with every other one.

A search asks for a set of columns together with each single further column. So all of these tables are counted at
once: of the set only which of its joint states a record has matters, and of every other column an indicator for each
state. Sets are numbers whose bits are columns.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

import numpy as np
import torch

from likewise.families.bayesian_network.discrete.partitions import Integers

DENSE = 1 << 12
"""Joint states of a set beyond which those that never occur are left out of its tables."""

KEPT = 1 << 28
"""Bytes of tables that are remembered."""

INDICATORS = 1 << 28
"""Bytes that indicators of all states may take; where they would take more they are made anew for each pass."""

CHUNK = 1 << 16

PRODUCT = 7
"""States a column, on average, up to which a product of indicators counts all pairs faster than one by one."""

# Nanoseconds a record, measured on one core with 5,000 and 20,000 records: bits of an indicator compared with those of
# one joint state, an indicator added to its joint state's row, a column counted by itself.
BITS, ADDED, ALONE = 0.035, 0.65, 3.0

Floats = np.ndarray[tuple[int, ...], np.dtype[np.float64]]
Words = np.ndarray[tuple[int, ...], np.dtype[np.uint64]]


def members(columns: int) -> Iterator[int]:
    """The columns of a set, smallest first.

    Examples
    --------
    >>> list(members(0b10110))
    [1, 2, 4]
    """
    while columns:
        lowest = columns & -columns
        yield lowest.bit_length() - 1
        columns ^= lowest


@dataclass(frozen=True)
class Tables:
    """The tables of a set with every single column.

    Attributes
    ----------
    blocks : list of int64 (joint states of the set, columns of one size, states)
        One for each size of a column, in the order of `Counts.blocks`. A column of the set itself may be there as well.
    alone : int64 (joint states of the set,)
        How often each occurs.
    shape : list of int or None
        The sizes of the columns of the set, whose joint states are numbered in this order; None where those that do
        not occur are left out.
    """

    blocks: list[Integers]
    alone: Integers
    shape: list[int] | None

    def without(self, place: int) -> Tables:
        """The tables of the set without one of its columns."""
        assert self.shape is not None
        before, size, after = math.prod(self.shape[:place]), self.shape[place], math.prod(self.shape[place + 1 :])
        parts = [
            block.reshape(before, size, after, *block.shape[1:]).sum(1).reshape(-1, *block.shape[1:])
            for block in self.blocks
        ]
        alone = self.alone.reshape(before, size, after).sum(1).reshape(-1)
        return Tables(parts, alone, self.shape[:place] + self.shape[place + 1 :])


class Counts:
    """Counts of joint states.

    Parameters
    ----------
    states : integers (rows, columns)
    sizes : list of int
        The number of states of each column.
    """

    def __init__(self, states: Integers, sizes: list[int]) -> None:
        self.rows, self.sizes = len(states), list(sizes)
        distinct, self.weights = _distinct(np.asarray(states), self.sizes)
        small = np.int16 if max(self.sizes, default=1) <= 1 << 15 else np.int64
        self.columns = np.ascontiguousarray(distinct.T.astype(small, copy=False))
        self.blocks = [(size, np.flatnonzero(np.array(self.sizes) == size)) for size in sorted(set(self.sizes))]
        self._codes: OrderedDict[int, tuple[Integers, int | None]] = OrderedDict()
        self._cells: dict[int, Words] = {}
        self._tables: OrderedDict[int, Tables] = OrderedDict()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self.sizes)

    def cells(self, columns: int) -> int:
        """The number of joint states of a set, whether or not they occur."""
        return math.prod(self.sizes[i] for i in members(columns))

    def reordered(self, order: list[int]) -> Counts:
        """The counts when the columns come in another order."""
        found = Counts(np.zeros((0, len(order)), dtype=np.int64), [self.sizes[i] for i in order])
        found.rows, found.weights, found.columns = self.rows, self.weights, self.columns[order]
        first = np.cumsum([0, *self.sizes])
        at = np.concatenate([np.arange(first[i], first[i + 1]) for i in order]) if order else np.arange(0)
        found.__dict__["pairs"] = self.pairs[np.ix_(at, at)]
        return found

    @property
    def alone(self) -> list[Integers]:
        """How often each state of each column occurs."""
        first = np.cumsum([0, *self.sizes])
        every = np.diag(self.pairs)
        return [every[first[i] : first[i + 1]] for i in range(len(self))]

    def joint(self, columns: int) -> Integers:
        """How often each joint state of a set occurs, the last column changing fastest; or only those that do."""
        code, cells = self._code(columns)
        if cells is None:
            cells = int(code.max(initial=-1)) + 1
        return self._bincount(code, cells)

    def with_each(self, columns: int) -> Tables:
        """The tables of a set with every single column."""
        found = self._tables.get(columns)
        if found is not None:
            self._tables.move_to_end(columns)
            return found
        if not columns:
            found = self._alone
        elif columns & (columns - 1) == 0 and sum(self.sizes) <= 1 << 12:
            found = self._pairs_of(columns.bit_length() - 1)
        else:
            found = self._pass(columns)
        self._remember(columns, found)
        return found

    def _remember(self, columns: int, tables: Tables) -> None:
        self._tables[columns] = tables
        self._bytes += sum(block.nbytes for block in tables.blocks)
        while self._bytes > KEPT and len(self._tables) > 1:
            _, old = self._tables.popitem(last=False)
            self._bytes -= sum(block.nbytes for block in old.blocks)

    # --------------------------------------------------------------------------------------------------------- passes

    def _pass(self, columns: int) -> Tables:
        cells: int | None = self.cells(columns)
        assert cells is not None
        shape: list[int] | None = [self.sizes[i] for i in members(columns)]
        if cells > DENSE:
            code, cells = self._code(columns)
            shape = None if cells is None else shape
            cells = int(code.max(initial=-1)) + 1 if cells is None else cells
        ways = [self._way(size, cells) for size, _ in self.blocks]
        told = self._by_bits(columns, cells) if "bits" in ways else None
        added = self._by_adding(columns, cells) if "added" in ways else None
        alone = self._bincount(self._code(columns)[0], cells) if told is None else told[:, -1]
        blocks: list[Integers] = []
        for (size, own), way, place in zip(self.blocks, ways, self._places, strict=True):
            if way == "alone":
                code = self._code(columns)[0] * size
                counts = [self._bincount(code + self.columns[i], cells * size).reshape(cells, size) for i in own]
                blocks.append(np.stack(counts, 1))
                continue
            part = told if way == "bits" else added
            assert part is not None
            seen = part[:, place : place + len(own) * (size - 1)].reshape(cells, len(own), size - 1)
            full = np.empty((cells, len(own), size), dtype=np.int64)
            full[:, :, :-1] = seen
            full[:, :, -1] = alone[:, None] - seen.sum(2)
            blocks.append(full)
        return Tables(blocks, alone, shape)

    def _way(self, size: int, cells: int) -> str:
        """The cheapest way to count the columns of one size."""
        prices = {"added": (size - 1) * ADDED, "alone": ALONE}
        if self.weights is None:
            prices["bits"] = (size - 1) * BITS * cells
        return min(prices, key=prices.__getitem__)

    def _by_bits(self, columns: int, cells: int) -> Integers:
        """Counts (joint states, indicators and, last, the set alone), by comparing bits."""
        lines, own = self._lines, self._bits(columns)
        out = np.empty((cells, len(lines)), dtype=np.int64)
        both, ones = np.empty_like(lines), np.empty(lines.shape, dtype=np.uint8)
        for cell in range(cells):
            np.bitwise_and(lines, own[cell], out=both)
            np.bitwise_count(both, out=ones)
            np.add.reduce(ones, axis=1, dtype=np.int64, out=out[cell])
        return out

    def _by_adding(self, columns: int, cells: int) -> Integers:
        """Counts (joint states, indicators), by adding indicators up."""
        code = torch.from_numpy(self._code(columns)[0])
        out = np.zeros((cells, self._width), dtype=np.int64)
        for start in range(0, len(code), CHUNK):
            part = torch.zeros(cells, self._width, dtype=self._exact)
            part.index_add_(0, code[start : start + CHUNK], self._indicators(start))
            out += part.numpy().astype(np.int64)
        return out

    def _bincount(self, code: Integers, cells: int) -> Integers:
        if self.weights is None:
            return np.bincount(code, minlength=cells)
        return np.bincount(code, self.weights, minlength=cells).astype(np.int64)

    # ---------------------------------------------------------------------------------------- joint states of records

    def _code(self, columns: int) -> tuple[Integers, int | None]:
        """The joint state of each distinct record, and their number, or None where some are left out."""
        found = self._codes.get(columns)
        if found is not None:
            self._codes.move_to_end(columns)
            return found
        if not columns:
            return np.zeros(self.columns.shape[1], dtype=np.int64), 1
        last = columns.bit_length() - 1
        before, cells = self._code(columns ^ (1 << last))
        code = before * self.sizes[last] + self.columns[last]
        if cells is None or cells * self.sizes[last] > DENSE:
            code = np.unique(code, return_inverse=True)[1].astype(np.int64, copy=False).reshape(-1)
            cells = None
        else:
            cells *= self.sizes[last]
        self._codes[columns] = code, cells
        while len(self._codes) * code.nbytes > KEPT and len(self._codes) > 1:
            self._codes.popitem(last=False)
        return code, cells

    def _bits(self, columns: int) -> Words:
        """Which records have each joint state of a set, (joint states, words)."""
        found = self._cells.get(columns)
        if found is None:
            last = columns.bit_length() - 1
            if before := columns ^ (1 << last):
                own = self._bits(1 << last)
                found = (self._bits(before)[:, None] & own).reshape(self.cells(columns), own.shape[1])
            else:
                found = self._packed(last)
            if len(self._cells) * found.nbytes > KEPT:
                self._cells.clear()
            self._cells[columns] = found
        return found

    def _packed(self, column: int) -> Words:
        own = self.columns[column]
        told = np.packbits(own == np.arange(self.sizes[column], dtype=own.dtype)[:, None], axis=1)
        whole = np.zeros((len(told), -(-told.shape[1] // 8) * 8), dtype=np.uint8)
        whole[:, : told.shape[1]] = told
        return whole.view(np.uint64)

    # ----------------------------------------------------------------------------------------------------- indicators

    @cached_property
    def _places(self) -> list[int]:
        """Where the indicators of each block start: a column has one for every state but the last."""
        return [0, *accumulate(len(own) * (size - 1) for size, own in self.blocks)][:-1]

    @cached_property
    def _width(self) -> int:
        return sum(len(own) * (size - 1) for size, own in self.blocks)

    @property
    def _exact(self) -> torch.dtype:
        """Whole numbers below 2^24 are exact in single precision."""
        return torch.float32 if self.rows < 1 << 24 else torch.float64

    @cached_property
    def _lines(self) -> Words:
        """The bits of all indicators and, last, of all records."""
        parts = [self._bits(1 << int(i))[: size - 1] for size, own in self.blocks for i in own]
        every = np.packbits(np.ones((1, self.columns.shape[1]), dtype=bool), axis=1)
        every = np.pad(every, ((0, 0), (0, -every.shape[1] % 8))).view(np.uint64)
        return np.concatenate([*parts, every])

    def _indicators(self, start: int) -> torch.Tensor:
        """(rows, indicators) of the rows from `start`, times their weights."""
        if 4 * self._width * self.columns.shape[1] <= INDICATORS:
            return self._all_indicators[start : start + CHUNK]
        return self._made(start)

    @cached_property
    def _all_indicators(self) -> torch.Tensor:
        return torch.cat([self._made(start) for start in range(0, max(self.columns.shape[1], 1), CHUNK)])

    def _made(self, start: int) -> torch.Tensor:
        columns = self.columns[:, start : start + CHUNK]
        out = np.zeros(
            (columns.shape[1], self._width), dtype=np.float64 if self._exact == torch.float64 else np.float32
        )
        place = 0
        for size, own in self.blocks:
            for i in own:
                for state in range(size - 1):
                    out[:, place] = columns[i] == state
                    place += 1
        if self.weights is not None:
            out *= self.weights[start : start + CHUNK, None]
        return torch.from_numpy(out)

    # ----------------------------------------------------------------------------------------- no column, one column

    @cached_property
    def _alone(self) -> Tables:
        return Tables(
            [
                np.stack([self._bincount(self.columns[i].astype(np.int64), size) for i in own])[None]
                for size, own in self.blocks
            ],
            np.array([self.rows]),
            [],
        )

    @cached_property
    def pairs(self) -> Integers:
        """Counts of all pairs of states of all columns, (sum of sizes, sum of sizes)."""
        total = sum(self.sizes)
        out = np.zeros((total, total), dtype=np.int64)
        if total > PRODUCT * len(self):
            return self._pair_by_pair(out)
        first = torch.from_numpy(np.cumsum([0, *self.sizes[:-1]]))
        for start in range(0, self.columns.shape[1], 4096):
            part = torch.from_numpy(np.ascontiguousarray(self.columns[:, start : start + 4096].T).astype(np.int64))
            told = torch.zeros(len(part), total, dtype=self._exact).scatter_(1, part + first, 1.0)
            left = told
            if self.weights is not None:
                left = told * torch.from_numpy(self.weights[start : start + 4096, None]).to(self._exact)
            out += (left.T @ told).numpy().astype(np.int64)
        return out

    def _pair_by_pair(self, out: Integers) -> Integers:
        first = np.cumsum([0, *self.sizes])
        columns = self.columns.astype(np.int64)
        for i, size in enumerate(self.sizes):
            for j in range(i + 1):
                counts = self._bincount(columns[i] * self.sizes[j] + columns[j], size * self.sizes[j])
                counts = counts.reshape(size, self.sizes[j])
                out[first[i] : first[i + 1], first[j] : first[j + 1]] = counts
                out[first[j] : first[j + 1], first[i] : first[i + 1]] = counts.T
        return out

    def _pairs_of(self, column: int) -> Tables:
        first = np.cumsum([0, *self.sizes])
        rows = self.pairs[first[column] : first[column + 1]]
        blocks = [rows[:, first[own][:, None] + np.arange(size)] for size, own in self.blocks]
        return Tables(blocks, np.diag(rows[:, first[column] : first[column + 1]]), [self.sizes[column]])


def _distinct(states: Integers, sizes: list[int]) -> tuple[Integers, Floats | None]:
    """Rows that differ, with how often each occurs, where that makes far fewer of them; all rows, and None, else."""
    cells = math.prod(sizes)
    if not len(states) or cells >= 1 << 62:
        return states, None
    key = np.zeros(len(states), dtype=np.int64)
    for i, size in enumerate(sizes):
        key = key * size + states[:, i]
    # Records of which most differ are counted by bits, which know no weights.
    if cells > len(states) and len(np.unique(key[: 1 << 10])) > 1 << 8:
        return states, None
    _, first, often = np.unique(key, return_index=True, return_counts=True)
    if 16 * len(first) > len(states):
        return states, None
    return states[first], often.astype(np.float64)
