"""From records to a fitted family: split, learn the schema on training records only, encode, learn."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from likewise.domains.domain import Domain
from likewise.engine.loop import train
from likewise.engine.plan import Plan
from likewise.engine.progress import Progress
from likewise.engine.record import strict
from likewise.errors import DataError
from likewise.events import Batch, Event
from likewise.families.family import ClosedFormLearner, Examined, Family, GradientLearner

Index = np.ndarray[Any, np.dtype[np.int64]]

TINY = 10
"""With fewer records than this, all of them train and all of them validate."""

EXAMINED = 1024
"""Records that a fitted family is examined on, at most."""

HELD_OUT = 3
"""The fewest records that are held out when any are."""


def split(size: int, fraction: float, seed: int) -> tuple[Index, Index]:
    """Positions of the training and of the held-out records: disjoint, or both all of them where records are few.

    Examples
    --------
    >>> train, held_out = split(100, 0.1, seed=0)
    >>> len(train), len(held_out), len(set(train) & set(held_out))
    (90, 10, 0)
    >>> [len(part) for part in split(5, 0.1, seed=0)]
    [5, 5]
    """
    every = np.arange(size)
    if fraction == 0:
        return every, every[:0]
    if size < TINY:
        return every, every
    held = min(max(HELD_OUT, round(fraction * size)), size // 2)
    order = np.random.default_rng(seed).permutation(size)
    return np.sort(order[held:]), np.sort(order[:held])


def encode_parts(domain: Domain, source: Any, labels: Any, parts: tuple[Index, Index]) -> tuple[Batch, Batch]:
    """The training and the held-out records, encoded."""
    codes = tuple(
        domain.encode(source.rows(part), None if labels is None else take(labels, part)).by_rows()
        for part in parts
        if len(part)
    )
    return (codes[0], codes[1]) if len(codes) == 2 else (codes[0], codes[0].rows(slice(0, 0)))


def take(labels: Any, index: Index) -> Any:
    """The labels at these positions: of a Series of any library, which keeps its name, or an array."""
    if hasattr(labels, "gather"):
        return labels.gather(index)
    return labels.take(index) if hasattr(labels, "take") else np.asarray(labels)[index]


def build(cls: type[Family], event: Event, settings: Mapping[str, Any], seed: int) -> Family:
    """An unfitted family, its first weights a function of the seed; torch's global generator stays as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        try:
            return cls(event, **settings)
        except (LookupError, TypeError, ValueError) as error:
            raise DataError(f"The model cannot be built: {str(error).rstrip('.')}.") from error


def learn(
    family: Family,
    batches: tuple[Batch, Batch],
    plan: Plan,
    seed: int,
    *,
    checkpoint: Path | None,
    resume: bool,
    verbose: int,
    partial: bool,
) -> dict[str, Any]:
    """Fits the family in place, by its own way of learning; the record of the fit as JSON data."""
    training, held_out = batches
    if isinstance(family, ClosedFormLearner):
        found = family.fit_closed_form(training, held_out, seed, partial=partial, seconds=plan.max_time)
        return dict(strict(dict(found)))
    if isinstance(family, GradientLearner):
        record = train(
            family,
            training,
            held_out,
            plan,
            seed=seed,
            fresh=not partial,
            checkpoint=checkpoint,
            resume=resume,
            progress=Progress(enabled=None if verbose else False),
            log=None if checkpoint is None else checkpoint / "training.jsonl",
        )
        found = record.to_json()
        if isinstance(family, Examined):
            judges = held_out if len(held_out) else training
            found["examined"] = dict(strict(dict(family.examine(judges.rows(slice(0, EXAMINED))))))
        return found
    raise DataError(f"The family {family.name!r} implements no way of learning.")
