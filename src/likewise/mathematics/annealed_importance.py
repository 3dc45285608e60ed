"""Annealed importance sampling: the ratio of the normalisers of two distributions, with its error."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor


class NormaliserRatio(NamedTuple):
    """What `annealed_importance` found, in nats.

    Attributes
    ----------
    log_ratio : float
        log of the normaliser of the target over that of the base.
    standard_error : float
        Of `log_ratio`.
    points : (N, ...)
        Where the chains ended: with `log_weight` (N,), a weighted sample of the target.
    """

    log_ratio: float
    standard_error: float
    points: Tensor
    log_weight: Tensor


@torch.no_grad()
def annealed_importance(
    start: Tensor,
    log_ratio: Callable[[Tensor], Tensor],
    move: Callable[[Tensor, float], Tensor],
    exponents: Sequence[float],
) -> NormaliserRatio:
    """Z_target / Z_base from chains that go from the base to the target (Neal 2001).

    The distributions on the way are base(x) (target(x) / base(x))^b with b rising through `exponents`. A chain's weight
    is the product of (target / base)^(step of b) where it stood at each step, and its mean over the chains has the
    ratio of the normalisers as its expectation, however badly the moves mix.

    Parameters
    ----------
    start : (N, ...)
        Independent draws from the base.
    log_ratio : function of points, giving (N,)
        log target - log base, both up to their normalisers.
    move : function of points and b
        One or more moves under which the distribution at b is stationary.
    exponents : rising numbers, the last 1

    Notes
    -----
    The standard error is that of the logarithm of a mean of independent weights, by the delta method. A logarithm
    of a mean lies too low, on average by half its squared error; that is made good.

    Examples
    --------
    >>> found = annealed_importance(torch.zeros(4), lambda x: torch.full((4,), 2.0), lambda x, b: x, [0.5, 1.0])
    >>> found.log_ratio, found.standard_error
    (2.0, 0.0)
    """
    assert len(exponents)
    assert exponents[-1] == 1.0
    points, before = start, 0.0
    log_weight = torch.zeros(len(start), dtype=torch.float64, device=start.device)
    for exponent in exponents:
        log_weight = log_weight + (exponent - before) * log_ratio(points).double()
        points, before = move(points, exponent), exponent
    level, error = log_mean(log_weight)
    return NormaliserRatio(float(level), float(error), points, log_weight)


def log_mean(log_weight: Tensor) -> tuple[Tensor, Tensor]:
    """The log of the mean of weights (..., N) and its standard error, by the delta method to second order (...)."""
    count = log_weight.shape[-1]
    level = torch.logsumexp(log_weight, -1) - math.log(count)
    if count == 1:
        return level, torch.full_like(level, torch.inf)
    variance = torch.exp(log_weight - level.unsqueeze(-1)).var(-1) / count
    return level + 0.5 * variance, variance.sqrt()
