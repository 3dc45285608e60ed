"""Records drawn from a family, freely or under evidence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from likewise.domains.domain import Domain
from likewise.events import Batch
from likewise.families.family import Conditional, Family

Array = np.ndarray[Any, np.dtype[np.float64]]

TILE = 1 << 16
"""Records drawn at once."""


@dataclass(frozen=True)
class ConditionalSample:
    """Records drawn under evidence.

    Attributes
    ----------
    records : records of the kind that was fitted
        `draws` in a row for each row of evidence.
    labels : array or None
        Their labels, where the model was fitted with some.
    effective_sample_size : float64 array, one for each row of evidence
        How many exact draws these are worth; `draws` where they are exact.
    """

    records: Any
    labels: Any
    effective_sample_size: Array


def draw(sample: Callable[[int, torch.Generator], Batch], size: int, generator: torch.Generator) -> Batch:
    """`size` records of a function that draws so many, a limited number at once."""
    with torch.inference_mode():
        parts = [sample(min(TILE, size - start), generator) for start in range(0, size, TILE)]
    return Batch.join(parts)


def conditional(
    family: Family, domain: Domain, evidence: Any, draws: int, generator: torch.Generator
) -> ConditionalSample:
    """`draws` records for each row of evidence; cells given as values come back as they were."""
    assert isinstance(family, Conditional)
    batch = domain.evidence(evidence)
    with torch.inference_mode():
        drawn = family.conditional(batch, draws, generator)
    size = drawn.effective_sample_size
    return ConditionalSample(
        domain.decode(drawn.batch, generator, given=evidence),
        domain.decode_labels(drawn.batch, generator) if domain.event.labels else None,
        np.full(len(batch), float(draws)) if size is None else size.double().cpu().numpy(),
    )
