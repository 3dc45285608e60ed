"""Columns that were read, to a batch: column by column, since each lies in one piece of memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from likewise.domains.domain import Blanks
from likewise.domains.table import columns
from likewise.domains.table.schema import Facts
from likewise.domains.table.vectors import Vector, place
from likewise.errors import DataError
from likewise.events import Batch, Event, Status


def encoded(
    event: Event,
    entries: Sequence[Facts | None],
    constants: Sequence[Facts],
    vectors: Mapping[str, Vector],
    size: int,
    blanks: Blanks,
) -> Batch:
    """The batch of columns by name; those that are not there are unknown.

    Parameters
    ----------
    event : Event
    entries : facts of each entry, None for the one that all constant columns share
    constants : facts of these
    vectors : columns in the families of the facts, `size` cells each
    blanks : "missing" or "unknown"

    Raises
    ------
    DataError
        Where a cell holds what its column cannot, naming it.
    """
    shares = any(facts is not None and bool(facts.pool) for facts in entries)
    batch = Batch.by_columns(event, size, shares)
    for i, facts in enumerate(entries):
        if facts is None:
            _encode_constants(constants, vectors, batch, i, blanks)
        elif facts.name in vectors:
            _encode_column(facts, vectors[facts.name], batch, i, blanks)
    return batch


def _encode_column(facts: Facts, vector: Vector, batch: Batch, i: int, blanks: Blanks) -> None:
    made = columns.encode(facts, vector)
    codes = made.codes.numpy()
    known: Any = True if blanks == "missing" else ~made.blank.numpy()
    wrong = (codes < 0) & known
    if wrong.any():
        row = int(wrong.argmax())
        what = "is blank" if made.blank[row] else f"holds {vector.scalars()[row]!r}"
        raise DataError(f"{place(facts.name, row)} {what}; expected one of {list(facts.states)}.")
    batch.status.numpy()[:, i] = np.where(known, int(Status.OBSERVED), int(Status.UNKNOWN))
    batch.codes.numpy()[:, i] = np.where(known, codes, 0)
    if facts.valued:
        batch.values.numpy()[:, i] = np.where(known, made.values.numpy(), 0.0)
        batch.lower.numpy()[:, i] = np.where(known, made.lower.numpy(), 0.0)
    if facts.valued or facts.pool:
        batch.width.numpy()[:, i] = np.where(known, made.width.numpy(), 1.0)


def _encode_constants(
    constants: Sequence[Facts], vectors: Mapping[str, Vector], batch: Batch, i: int, blanks: Blanks
) -> None:
    """Code 0 where all constants are as in training."""
    same = np.ones(len(batch), dtype=bool)
    known = np.ones(len(batch), dtype=bool)
    for facts in constants:
        if facts.name not in vectors:
            known[:] = False
            continue
        vector = vectors[facts.name]
        if blanks == "unknown":
            known &= ~vector.missing
        if not facts.states:
            same &= vector.missing | (blanks == "unknown")
            continue
        if vector.family == "label":
            alike = np.array([level == facts.states[0] for level in vector.levels] or [False])[vector.data]
        else:
            alike = vector.data == facts.states[0]
        same &= np.where(vector.missing, blanks == "unknown", alike)
    batch.codes[:, i] = torch.from_numpy(np.where(known & ~same, 1, 0))
    batch.status[torch.from_numpy(known), i] = int(Status.OBSERVED)
