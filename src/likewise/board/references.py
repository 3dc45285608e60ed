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


REPEATS, FEW = 4, 1000
"""How often few held-out records are halved anew, so that the score of real ones is no matter of luck, and how few."""


def other_halves(division: Division) -> list[Reference]:
    """Real records again, by other divisions of the held-out records into halves; none where there are many."""
    size = len(division.held_out)
    made = []
    for repeat in range(REPEATS if size < FEW else 0):
        order = np.random.default_rng(seed_for(division.seed, "halves", repeat)).permutation(size)
        fresh, others = (division.held_out.rows(np.sort(part)) for part in np.array_split(order, 2))
        made.append(Reference(REAL, fresh, others))
    return made


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
