"""The three rows of every board: what perfect, independent and copied records look like to the same metrics."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from likewise.board.division import Division
from likewise.board.seeds import seed_for
from likewise.domains.table.sources import Source

REAL, INDEPENDENT, COPY = "real", "independent", "copy"
REFERENCES = (REAL, INDEPENDENT, COPY)
"""Their names, which no contestant may have."""


@dataclass(frozen=True, eq=False)
class Reference:
    """Records that play the part of generated ones, and the held-out records that they are judged against."""

    name: str
    generated: Source
    held_out: Source


def reference(name: str, division: Division, size: int) -> Reference:
    """One of the three, of at most `size` records.

    `real` is one half of the held-out records judged against the other, `independent` has every column of the training
    records shuffled by itself, `copy` is the training records.
    """
    rng = np.random.default_rng(seed_for(division.seed, "reference", name))
    if name == REAL:
        fresh, others = division.halves
        return Reference(name, fresh.rows(_some(len(fresh), size, rng)), others)
    training = division.training
    rows = _some(len(training), size, rng)
    if name == COPY:
        return Reference(name, training.rows(rows), division.held_out)
    assert name == INDEPENDENT
    shuffled = tuple(vector.rows(rng.permutation(len(training))[: len(rows)]) for vector in training.vectors)
    return Reference(name, replace(training, vectors=shuffled), division.held_out)


def _some(available: int, size: int, rng: np.random.Generator) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.sort(rng.permutation(available)[:size])
