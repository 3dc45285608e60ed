"""Markov chains that follow gradients: Langevin moves of values, with and without Metropolis' correction."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

Evaluate = Callable[[Tensor], tuple[Tensor, Tensor]]
"""Points (N, D) to their log-densities (N,), up to a constant, and the slopes (N, D) of these."""


class Walkers(NamedTuple):
    """Points (N, D) on their way, with log-densities (N,) and slopes (N, D), so that nothing is computed twice."""

    points: Tensor
    log_density: Tensor
    slope: Tensor

    @classmethod
    def at(cls, points: Tensor, evaluate: Evaluate) -> Walkers:
        """Walkers that stand at these points."""
        return cls(points, *evaluate(points))

    def choose(self, accepted: Tensor, other: Walkers) -> Walkers:
        """The other walkers where accepted (N,), these elsewhere."""
        column = accepted.unsqueeze(1)
        return Walkers(
            torch.where(column, other.points, self.points),
            torch.where(accepted, other.log_density, self.log_density),
            torch.where(column, other.slope, self.slope),
        )


def langevin(points: Tensor, slope: Tensor, step: Tensor | float, generator: torch.Generator) -> Tensor:
    """x + step^2 / 2 grad log p(x) + step noise: the unadjusted move (Rossky, Doll and Friedman 1978).

    Its stationary distribution is p as the step goes to zero; the step is a number, or broadcasts against (N, D).
    """
    noise = torch.randn(points.shape, generator=generator, device=generator.device).to(points)
    return points + 0.5 * step**2 * slope + step * noise


def metropolis_langevin(
    walkers: Walkers,
    evaluate: Evaluate,
    step: Tensor | float,
    generator: torch.Generator,
    columns: list[int] | None = None,
) -> tuple[Walkers, Tensor]:
    """A Langevin move that is accepted so that p is kept exactly (Roberts and Tweedie 1996).

    Parameters
    ----------
    walkers : Walkers
    evaluate : function of points
    step : number, or a tensor that broadcasts against (N, number of columns)
        Zero holds a coordinate fast.
    generator : torch.Generator
    columns : list of int or None
        The coordinates that move; None for all.

    Returns
    -------
    Walkers and bool (N,)
        Where they stand now, and which of them have moved.

    Examples
    --------
    >>> walkers = Walkers.at(torch.zeros(4, 2), lambda x: (-0.5 * x.square().sum(1), -x))
    >>> generator = torch.Generator().manual_seed(0)
    >>> metropolis_langevin(walkers, lambda x: (-0.5 * x.square().sum(1), -x), 0.1, generator)[1]
    tensor([True, True, True, True])
    """
    at = slice(None) if columns is None else columns
    here, slope = walkers.points[:, at], walkers.slope[:, at]
    moved = walkers.points.clone()
    moved[:, at] = langevin(here, slope, step, generator)
    proposed = Walkers.at(moved, evaluate)
    there = moved[:, at]
    width = torch.as_tensor(step).to(here).expand_as(here)
    moving = width > 0
    scale = torch.where(moving, width, torch.ones_like(width))

    def log_proposal(goal: Tensor, start: Tensor, slope: Tensor) -> Tensor:
        return -0.5 * (((goal - start - 0.5 * width**2 * slope) / scale) * moving).square().sum(1)

    log_ratio = proposed.log_density - walkers.log_density
    log_ratio = log_ratio + log_proposal(here, there, proposed.slope[:, at]) - log_proposal(there, here, slope)
    taken = accepted(log_ratio, generator)
    return walkers.choose(taken, proposed), taken


def accepted(log_ratio: Tensor, generator: torch.Generator) -> Tensor:
    """Which moves of these ratios are made; none where the ratio is no number."""
    uniform = torch.rand(log_ratio.shape, generator=generator, device=generator.device, dtype=torch.float64)
    return uniform.to(log_ratio.device).log() < log_ratio.double()
