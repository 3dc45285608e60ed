"""The language every room speaks: layouts, blocks, entries, events, batches with their evidence, and scores.

One encoded record is an *event*: a layout of *entries*. An entry has a code out of K and, where it carries a value,
that value is present exactly when the code is 0; the other codes are its *atoms* (spikes, caps, missing). Values live
in *model units* z, reached from the user's units x by the smooth monotone map of their block.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum
from functools import cached_property
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from likewise.mathematics.monotone import EDGE, MonotoneMap

# ------------------------------------------------------------------------------------------------------------- blocks


FEW_CELLS = 1024
"""A grid of at most so many cells has them all at hand."""


@dataclass(frozen=True)
class Categorical:
    """A code out of `size` states, 0 .. size - 1."""

    size: int


@dataclass(frozen=True, eq=False)
class Real:
    """A continuous value: the model gives it a density."""

    map: MonotoneMap


@dataclass(frozen=True, eq=False)
class Quantised:
    """A value on the grid `origin + step * k`, `low <= k <= high`: the model gives it the mass of its cell.

    The cell of `x` is `[x - step/2, x + step/2]`; the first and the last admissible cell reach to infinity, so that the
    cells of the grid always carry the whole mass. `low` and `high` are None where the grid has no end.
    """

    map: MonotoneMap
    step: float
    origin: float
    low: int | None = None
    high: int | None = None

    @property
    def size(self) -> int | None:
        """The number of cells, None where the grid has no end."""
        return None if self.low is None or self.high is None else self.high - self.low + 1

    def cells(self, k: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Centre, lower edge and width in model units of the cells numbered `k`; float64, shaped like `k`."""
        x = self.origin + self.step * k.double()
        half = 0.5 * self.step
        (lower, upper, centre), (_, _, slope) = self.map.with_derivative(torch.stack([x - half, x + half, x]))
        # A cell too narrow to be resolved by subtraction is as wide as the slope says.
        width = torch.where(upper - lower > 1e-9, upper - lower, slope * self.step)
        if self.low is not None:
            first = k <= self.low
            lower, width = torch.where(first, -EDGE, lower), torch.where(first, upper + EDGE, width)
        if self.high is not None:
            width = torch.where(k >= self.high, EDGE - lower, width)
        return centre, lower, width

    def around(self, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """`cells` of those in which `z` lies."""
        k = self.index(z)
        if self._every is None:
            return self.cells(k)
        assert self.low is not None
        centre, lower, width = self._every[:, k - self.low]
        return centre, lower, width

    @cached_property
    def _every(self) -> Tensor | None:
        """`cells` of all of them (3, size) where they are few: to look them up is quicker than to map them."""
        if self.low is None or self.size is None or self.size > FEW_CELLS:
            return None
        return torch.stack(self.cells(torch.arange(self.low, self.low + self.size, device=self.map.x.device)))

    def index(self, z: Tensor) -> Tensor:
        """The number of the cell in which `z` lies; int64."""
        k = torch.round((self.map.inverse(z) - self.origin) / self.step).clamp(-(2.0**53), 2.0**53).long()
        return k.clamp(self.low, self.high) if self.low is not None or self.high is not None else k


Value = Quantised | Real


@dataclass(frozen=True, eq=False)
class Entry:
    """One place in an event: a code, and perhaps a value that is present where the code is 0.

    Attributes
    ----------
    missing : int or None
        The code that stands for *observed to be missing*.
    unseen : int or None
        The code, always the last, of states that no training record had. Every family gives it exactly the conditional
        probability `reserved`, scales the other codes by `1 - reserved`, and never samples it.
    coordinates : tuple of float or None
        Where each code lies among the values, in model units, None for those that are no numbers: networks may see that
        a spike at 40 is near 41, and a category 3 between 2 and 4. Empty where no code is a number.
    """

    name: str
    code: Categorical
    value: Value | None = None
    missing: int | None = None
    unseen: int | None = None
    reserved: float = 0.0
    coordinates: tuple[float | None, ...] = ()

    @property
    def seen(self) -> int:
        """How many codes a training record can have had: the first ones."""
        return self.code.size - (self.unseen is not None)


# ------------------------------------------------------------------------------------------------------------ layouts


@dataclass(frozen=True)
class Columns:
    """A set of entries without neighbourhood or order: the columns of a table."""


@dataclass(frozen=True)
class Grid:
    """Entries on a grid, row by row, channels last: entry (row, column, channel) of an image."""

    height: int
    width: int
    channels: int = 1


@dataclass(frozen=True)
class Sequence:
    """Entries in temporal order."""

    length: int


Layout = Columns | Grid | Sequence


@dataclass(frozen=True, eq=False)
class Event:
    """What one encoded record looks like: a layout of entries, then label entries, all on one axis of size E."""

    layout: Layout
    entries: tuple[Entry, ...]
    labels: tuple[Entry, ...] = ()

    def __post_init__(self) -> None:
        if isinstance(self.layout, Grid):
            assert len(self.entries) == self.layout.height * self.layout.width * self.layout.channels

    @cached_property
    def all(self) -> tuple[Entry, ...]:
        """Entries and labels, in the order of the E axis."""
        return self.entries + self.labels

    def __len__(self) -> int:
        return len(self.all)

    @cached_property
    def code_sizes(self) -> tuple[int, ...]:
        """The number of codes of each entry."""
        return tuple(entry.code.size for entry in self.all)

    @cached_property
    def unseen_codes(self) -> tuple[int, ...]:
        """The code of each entry that no training record had; -1, which no record has, where there is none."""
        return tuple(-1 if entry.unseen is None else entry.unseen for entry in self.all)

    @cached_property
    def value_entries(self) -> tuple[int, ...]:
        """The positions of the entries that carry a value."""
        return tuple(i for i, entry in enumerate(self.all) if entry.value is not None)

    @cached_property
    def alike(self) -> tuple[list[int], ...]:
        """The positions of the entries that carry a value, those that share it together: the pixels of an image."""
        groups: dict[int, list[int]] = {}
        for i in self.value_entries:
            groups.setdefault(id(self.all[i].value), []).append(i)
        return tuple(groups.values())

    @cached_property
    def label_entries(self) -> tuple[int, ...]:
        """The positions of the labels."""
        return tuple(range(len(self.entries), len(self)))

    def index(self, name: str) -> int:
        """The position of the entry called `name`; KeyError when there is none."""
        return self._positions[name]

    @cached_property
    def _positions(self) -> Mapping[str, int]:
        # Where two entries have one name, the first counts.
        return {entry.name: i for i, entry in reversed(list(enumerate(self.all)))}

    @cached_property
    def base_measure(self) -> str:
        """The measure that scores of fully observed records are densities against, in words."""
        reals = [entry.name for entry in self.all if isinstance(entry.value, Real)]
        if not reals:
            return "counting"
        named = ", ".join(reals[:4]) + (f" and {len(reals) - 4} more" if len(reals) > 4 else "")
        return f"Lebesgue on {named}" + (
            "" if len(reals) == len(self) and all(size == 1 for size in self.code_sizes) else ", counting elsewhere"
        )

    def complete(self, codes: Tensor, values: Tensor) -> Batch:
        """A fully observed batch from codes and model-unit values: values are snapped to their cells, widths found."""
        if not self.value_entries:
            zero, one = (torch.tensor(number, dtype=torch.float64, device=codes.device) for number in (0.0, 1.0))
            nothing = zero.expand(codes.shape)  # one number for all, in no memory
            return Batch(codes, nothing, nothing, one.expand(codes.shape), zero.to(torch.uint8).expand(codes.shape))
        values, lower, width = values.double().clone(), values.double().clone(), torch.zeros_like(values).double()
        for at in self.alike:
            values[:, at], lower[:, at], width[:, at] = self.measure(at[0], values[:, at])
        present = self.present(codes)
        values, lower = (torch.where(present, part, torch.zeros_like(part)) for part in (values, lower))
        width = torch.where(present, width, torch.ones_like(width))
        return Batch(codes, values, lower, width, torch.zeros_like(codes, dtype=torch.uint8))

    def log_share(self, batch: Batch) -> Tensor:
        """The log of the shares of observed states within their codes, summed over entries: (B,), usually 0."""
        counted = ~self.present(batch.codes) & (batch.status == Status.OBSERVED)
        return torch.where(counted, batch.width, torch.ones_like(batch.width)).log().sum(1)

    def measure(self, i: int, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The coordinate that networks see, the lower edge and the width of value entry `i` at model units `z`.

        They are shaped like `z`, which has any shape.
        """
        value = self.all[i].value
        assert value is not None
        if isinstance(value, Quantised):
            return value.around(z)
        z = z.double()
        return z, z, value.map.derivative(value.map.inverse(z))

    def present(self, codes: Tensor) -> Tensor:
        """Where a value is present, (B, E) bool: the entry carries one and its code is 0."""
        carries = torch.zeros(len(self), dtype=torch.bool, device=codes.device)
        carries[list(self.value_entries)] = True
        return carries & (codes == 0)

    def unseen(self, codes: Tensor) -> Tensor:
        """Where a state is one that no training record had, (B, E) bool."""
        return codes == torch.tensor(self.unseen_codes, device=codes.device)


# --------------------------------------------------------------------------------------------------- evidence, batches


class Status(IntEnum):
    """What is known of one entry of one record. *Observed to be missing* is an observed code, see `Entry.missing`."""

    OBSERVED = 0
    UNKNOWN = 1
    RESTRICTED = 2


@dataclass(frozen=True)
class Restriction:
    """The allowed states of one entry: codes (B, K) bool, and a union of disjoint z-intervals (B, P, 2) for its value.

    Interval [a, b] with a > b is empty. The value's part of the set counts only where code 0 is allowed.
    """

    codes: Tensor
    intervals: Tensor

    def rows(self, index: Tensor | slice) -> Restriction:
        return Restriction(self.codes[index], self.intervals[index])


@dataclass(frozen=True)
class State:
    """One of the disjoint states of an entry that answers are about: a code or, with ends, a part of its value.

    The part is the interval of z from `low` to `high`; at the outermost ends these are -EDGE and EDGE.
    """

    code: int
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Batch:
    """Encoded records with their evidence.

    Tensors of batches may share memory with each other, and one number may stand for all of a tensor (see `by_columns`
    and `Event.complete`): whoever writes into one makes a copy of it first.

    Attributes
    ----------
    codes : int64 (B, E)
    values : float (B, E)
        The coordinate that networks see, 0 where no value is present.
    lower, width : float (B, E)
        The cell `[lower, lower + width]` of a quantised value; of a real one `lower = z` and `width = dz/dx`; where no
        value is present, `lower = 0` and `width` is the share of the record's state within its code (1, or less where
        rare categories share one code). Always the width turns what a model says into the user's units.
    status : uint8 (B, E)
        A `Status` each. Where it is not OBSERVED, codes, values and lower are 0, width is 1, and they mean nothing.
    restrictions : entry -> Restriction
        For the entries with a RESTRICTED status in some row.
    """

    codes: Tensor
    values: Tensor
    lower: Tensor
    width: Tensor
    status: Tensor
    restrictions: Mapping[int, Restriction] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def fully_observed(self) -> bool:
        """Whether every entry of every record is observed."""
        return not bool(self.status.any())

    def rows(self, index: Tensor | slice) -> Batch:
        """The records at `index`."""
        return Batch(
            self.codes[index],
            self.values[index],
            self.lower[index],
            self.width[index],
            self.status[index],
            {i: part.rows(index) for i, part in self.restrictions.items()},
        )

    def tiles(self, size: int) -> Iterator[Batch]:
        """The batch in consecutive pieces of at most `size` records."""
        for start in range(0, len(self), size):
            yield self.rows(slice(start, start + size))

    def repeat(self, times: int) -> Batch:
        """Each record `times` times in a row."""
        return self.rows(torch.arange(len(self), device=self.codes.device).repeat_interleave(times))

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> Batch:
        """The batch on another device, its float tensors in another precision."""
        return Batch(
            self.codes.to(device),
            self.values.to(device=device, dtype=dtype),
            self.lower.to(device=device, dtype=dtype),
            self.width.to(device=device, dtype=dtype),
            self.status.to(device),
            {
                i: Restriction(part.codes.to(device), part.intervals.to(device=device, dtype=dtype))
                for i, part in self.restrictions.items()
            },
        )

    def hide(self, entries: Iterable[int]) -> Batch:
        """The same records with these entries unknown."""
        at = list(entries)
        parts = [part.clone() for part in (self.codes, self.values, self.lower, self.width)]
        for part, blank in zip(parts, (0, 0, 0, 1), strict=True):
            part[:, at] = blank
        status = self.status.clone()
        status[:, at] = int(Status.UNKNOWN)
        kept = {i: part for i, part in self.restrictions.items() if i not in set(at)}
        return Batch(parts[0], parts[1], parts[2], parts[3], status, kept)

    def restrict(self, entry: int, restriction: Restriction) -> Batch:
        """The same records with `entry` restricted to a set."""
        hidden = self.hide([entry])
        hidden.status[:, entry] = int(Status.RESTRICTED)
        return replace(hidden, restrictions={**hidden.restrictions, entry: restriction})

    @staticmethod
    def join(batches: list[Batch]) -> Batch:
        """Batches one below the other. All must restrict the same entries."""
        first = batches[0]
        if len(batches) == 1:
            return first
        codes, values, lower, width, status = (
            _joined([getattr(batch, part) for batch in batches])
            for part in ("codes", "values", "lower", "width", "status")
        )
        restrictions = {
            i: Restriction(
                torch.cat([batch.restrictions[i].codes for batch in batches]),
                torch.cat([batch.restrictions[i].intervals for batch in batches]),
            )
            for i in first.restrictions
        }
        return Batch(codes, values, lower, width, status, restrictions)

    @staticmethod
    def unknown(event: Event, size: int) -> Batch:
        """`size` records of which nothing is known."""
        shape = (size, len(event))
        zeros = torch.zeros(shape, dtype=torch.float64)
        status = torch.full(shape, int(Status.UNKNOWN), dtype=torch.uint8)
        return Batch(torch.zeros(shape, dtype=torch.int64), zeros, zeros.clone(), torch.ones_like(zeros), status)

    @staticmethod
    def by_columns(event: Event, size: int, shares: bool) -> Batch:
        """As `unknown`, to be filled column by column: each lies in one piece of memory.

        Values take no memory where no entry has one, and widths none where there are no `shares` of codes either.
        """
        shape, thin = (len(event), size), (len(event), 1)
        valued = bool(event.value_entries)
        zeros = torch.zeros(shape if valued else thin, dtype=torch.float64)
        width = torch.ones(shape if valued or shares else thin, dtype=torch.float64)
        status = torch.full(shape, int(Status.UNKNOWN), dtype=torch.uint8)
        values, lower, width = (part.expand(shape).T for part in (zeros, zeros.clone(), width))
        return Batch(torch.zeros(shape, dtype=torch.int64).T, values, lower, width, status.T)

    def by_rows(self) -> Batch:
        """The same records, each in one piece of memory, as learners go through them."""
        return Batch(
            self.codes.contiguous(),
            self.values.contiguous(),
            self.lower.contiguous(),
            self.width.contiguous(),
            self.status.contiguous(),
            self.restrictions,
        )


def _joined(parts: list[Tensor]) -> Tensor:
    """Tensors one below the other, laid out in memory as they are."""
    if all(part.stride() == (0, 0) and torch.equal(part[:1, :1], parts[0][:1, :1]) for part in parts):
        return parts[0][:1].expand(sum(map(len, parts)), -1)
    if all(part.T.is_contiguous() for part in parts):
        return torch.cat([part.T for part in parts], 1).T
    return torch.cat(parts)


# ------------------------------------------------------------------------------------------------------------- scores

Kind = Literal["exact", "bound", "estimate", "unnormalised"]


@dataclass(frozen=True)
class Scores:
    """Log-likelihoods with all that must be known before two of them are compared.

    Attributes
    ----------
    values : float64 array (n,)
        Nats.
    kind : "exact", "bound" (below the truth), "estimate" (see `standard_error`) or "unnormalised"
    base_measure : str
        What the densities are against, such as "Lebesgue on mass, counting elsewhere".
    standard_error : float64 array (n,)
        Zero where the value is exact or a deterministic bound.
    """

    values: np.ndarray[tuple[int], np.dtype[np.float64]]
    kind: Kind
    base_measure: str
    standard_error: np.ndarray[tuple[int], np.dtype[np.float64]]

    def __len__(self) -> int:
        return len(self.values)

    @property
    def mean(self) -> float:
        """The mean log-likelihood per record, in nats."""
        return float(self.values.mean())
