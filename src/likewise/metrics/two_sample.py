"""The two-sample test: how well boosted trees tell generated records from real ones, and by which columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from likewise.metrics.interval import Interval

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, eq=False)
class TwoSample:
    """What the test found.

    Attributes
    ----------
    score : Interval
        1 - 2 max(AUC - 1/2, 0): 1 where nothing tells the two apart, 0 where everything does.
    tells : tuple of (column, share of importance), the largest first
        By how much AUC falls when the column is shuffled among records that the trees have not seen, as a share of all.
    suspicion : float64 array (k,)
        The probability, by trees that have not seen it, that a generated record is generated.
    positions : int64 array (k,)
        Which generated records those are.
    """

    score: Interval
    tells: tuple[tuple[str, float], ...]
    suspicion: Array
    positions: Array
