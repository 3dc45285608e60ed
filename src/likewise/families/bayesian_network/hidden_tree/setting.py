"""How trees are learned, where tables differ: what held-out rows decide before the first mixture."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor


@dataclass(frozen=True)
class Setting:
    """How trees are learned.

    Attributes
    ----------
    steps : int
        A tree has so many probabilities of steps between hidden states for every row of its part.
    decay : float
        How much less a column counts for every step further along the tree, in the clusters that learning starts from.
    """

    steps: int = 16
    decay: float = 0.4


WAYS: tuple[tuple[str, tuple[Any, ...]], ...] = (
    ("decay", (0.6, 0.8)),
    ("decay", (0.25, 0.15)),
    ("steps", (64, 256, 1024)),
)
"""Other settings that are tried, in one way after the other, each as far as held-out rows gain."""

ERRORS = 2
"""Standard errors that a gain must exceed: several settings are tried, and few rows gain by chance."""


def settled(trial: Callable[[Setting], Tensor | None], fixed: Collection[str] = ()) -> Setting:
    """The setting with the best scores (rows,), of those met on the way; what is fixed stays.

    A setting is changed where rows gain more than `ERRORS` standard errors of what they gain. There are no scores where
    the time does not suffice.
    """
    best = Setting()
    scores = trial(best)
    if scores is None:
        return best
    for name, values in WAYS:
        if name in fixed or getattr(best, name) != getattr(Setting, name):
            continue
        for value in values:
            other = replace(best, **{name: value})
            found = trial(other)
            if found is None or not _more(found, scores):
                break
            best, scores = other, found
    return best


def _more(found: Tensor, scores: Tensor) -> bool:
    gains = found - scores
    return float(gains.mean()) > ERRORS * float(gains.std(correction=0)) / math.sqrt(len(gains))
