"""From what scikit-learn calls `random_state` to seeds and generators; no global state is read or changed."""

from __future__ import annotations

import numbers
import secrets
from typing import Any

import numpy as np
import torch

from likewise.errors import DataError


def seed_from(random_state: Any) -> int:
    """A seed below 2**63: an integer is its own, a RandomState or Generator gives its next, None a fresh one.

    Examples
    --------
    >>> seed_from(7)
    7
    >>> seed_from(np.random.RandomState(0)) == seed_from(np.random.RandomState(0))
    True
    """
    if random_state is None:
        return secrets.randbits(62)
    if isinstance(random_state, numbers.Integral) and not isinstance(random_state, bool) and int(random_state) >= 0:
        return int(random_state) % 2**63
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(0, 2**63 - 1, dtype=np.int64))
    if isinstance(random_state, np.random.Generator):
        return int(random_state.integers(0, 2**63 - 1))
    raise DataError(
        f"random_state must be None, a whole number from 0 on, or a numpy RandomState, not {random_state!r}."
    )


def generator_from(random_state: Any) -> torch.Generator:
    """A generator of its own on the processor."""
    return torch.Generator().manual_seed(seed_from(random_state))
