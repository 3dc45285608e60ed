"""The referee's choice among candidates, and what it does to the density of a record."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from likewise.mathematics.relaxation import gumbel


def chosen(log_odds: Tensor, generator: torch.Generator) -> Tensor:
    """Positions (B,) of one candidate out of each row (B, k), with chances in proportion to their odds."""
    return (log_odds + gumbel(log_odds, generator)).argmax(1)


def log_preference(log_odds: Tensor, others: Tensor) -> Tensor:
    """By how much the choice among k candidates changes the log-density of records (B,), in nats.

    Picking one of k by odds r multiplies the density of a record x by the mean of k r(x) / (r(x) + the odds of k - 1
    others). It is taken over the same sets of others, (S, k - 1), for every record.

    Examples
    --------
    >>> log_preference(torch.tensor([0.0]), torch.zeros(5, 3)).item()  # nothing to choose between
    0.0
    """
    rest = others.double().logsumexp(1)
    share = torch.sigmoid(log_odds.double().unsqueeze(1) - rest).mean(1)
    return math.log(others.shape[1] + 1) + share.clamp(min=1e-300).log()
