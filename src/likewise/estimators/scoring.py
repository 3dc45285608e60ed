"""Scores of encoded records: float64, with all that must be known before two of them are compared."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from likewise.events import Batch, Event, Scores, Status
from likewise.families.family import Density, Family, LogProb

TILE = 8192
"""Records handed to a family at once, so that memory stays bounded."""


def score(family: Family, batch: Batch, seed: int) -> Scores:
    """The log-likelihoods of a batch in nats and in the user's units, with kind, base measure and standard error."""
    assert isinstance(family, Density)
    return score_by(family.log_prob, family, batch, seed)


def score_by(ask: Callable[[Batch, int], LogProb], family: Family, batch: Batch, seed: int) -> Scores:
    """The same of one question that a family answers."""
    values, errors, kinds = [], [], []
    with torch.no_grad():  # not inference mode: the density along a flow takes gradients within
        for tile in batch.tiles(TILE):
            found = ask(tile, seed)
            values.append(found.values.double().cpu())
            errors.append(found.standard_error.double().cpu())
            kinds.append(found.kind)
    # One number for all records means nothing unless their kinds agree: the weakest speaks for the call.
    kind = max(kinds, key=("exact", "bound", "estimate", "unnormalised").index)
    return Scores(
        np.ascontiguousarray(torch.cat(values).numpy(), dtype=np.float64),
        kind,
        base_measure(family.event, batch, bool(family.settings.get("conditional"))),
        np.ascontiguousarray(torch.cat(errors).numpy(), dtype=np.float64),
    )


def base_measure(event: Event, batch: Batch, conditional: bool = False) -> str:
    """The base measure of these scores: labels that are given, or unknown throughout, are no part of it."""
    labels = list(event.label_entries)
    if labels and (conditional or bool((batch.status[:, labels] == Status.UNKNOWN).all())):
        return Event(event.layout, event.entries).base_measure
    return event.base_measure
