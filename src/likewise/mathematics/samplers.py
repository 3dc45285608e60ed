"""Samplers: from noise to data with any denoiser, each a generator of the states on the way.

A denoiser `denoise(y, level)` says the mean of the record x given y = x + level eps; `y` is (B, D), `level` one number.
A sampler is given y at the first of some falling levels, and yields y at every later one; the last is the sample.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor

Denoiser = Callable[[Tensor, float], Tensor]
Sampler = Literal["ddpm", "ddim", "heun", "dpm++"]


def start(noise: Tensor, level: float) -> Tensor:
    """y at a level where nothing is left of records, which have unit variance: their noise is as wide as both."""
    return noise * math.sqrt(1 + level * level)


def last(states: Iterator[Tensor]) -> Tensor:
    """The final state."""
    return deque(states, maxlen=1).pop()


def ancestral(denoise: Denoiser, y: Tensor, levels: Tensor, generator: torch.Generator) -> Iterator[Tensor]:
    """The reverse chain of Ho et al. (2020), algorithm 2, with the variance of equation 7, between any levels.

    q(y_t | y_s, x) for levels t < s is normal with mean x + (t / s)^2 (y_s - x) and variance t^2 (1 - (t / s)^2).
    """
    for s, t in _pairs(levels):
        y = _back(denoise, y, s, t, generator)
        yield y


def implicit(denoise: Denoiser, y: Tensor, levels: Tensor) -> Iterator[Tensor]:
    """The deterministic sampler of Song et al. (2021), equation 12 with eta = 0: Euler steps in the level."""
    for s, t in _pairs(levels):
        clean = denoise(y, s)
        y = clean + t / s * (y - clean)
        yield y


def heun(denoise: Denoiser, y: Tensor, levels: Tensor) -> Iterator[Tensor]:
    """The second-order sampler of Karras et al. (2022), algorithm 1: two evaluations a step, one in the last."""
    for s, t in _pairs(levels):
        slope = (y - denoise(y, s)) / s
        moved = y + (t - s) * slope
        if t > 0:
            moved = y + (t - s) * 0.5 * (slope + (moved - denoise(moved, t)) / t)
        y = moved
        yield y


def multistep(denoise: Denoiser, y: Tensor, levels: Tensor) -> Iterator[Tensor]:
    """DPM-Solver++(2M) of Lu et al. (2022), algorithm 2: second order with one evaluation a step."""
    before: tuple[float, Tensor] | None = None
    for s, t in _pairs(levels):
        clean = denoise(y, s)
        if t == 0:
            yield clean
            return
        guess = clean
        if before is not None:
            # The half of the ratio of this step to the one before, in logarithms of the level.
            half = 0.5 * _log_ratio(s, t) / _log_ratio(before[0], s)
            guess = (1 + half) * clean - half * before[1]
        before = (s, clean)
        y = t / s * y + (1 - t / s) * guess
        yield y


def sampled(
    name: Sampler, denoise: Denoiser, y: Tensor, levels: Tensor, generator: torch.Generator
) -> Iterator[Tensor]:
    """The states of the sampler called `name`; only "ddpm" uses the generator."""
    if name == "ddpm":
        return ancestral(denoise, y, levels, generator)
    return {"ddim": implicit, "heun": heun, "dpm++": multistep}[name](denoise, y, levels)


def inpainted(
    denoise: Denoiser,
    y: Tensor,
    levels: Tensor,
    known: Tensor,
    here: Tensor,
    turns: int,
    generator: torch.Generator,
) -> Tensor:
    """Records that keep what is known, by replacement and resampling (Lugmayr et al. 2022, algorithm 1).

    After every step of the reverse chain the known coordinates (B, D), where `here` (B, D), are put in with their own
    noise; each step but the last is undone by fresh noise and taken again, `turns` times in all, so that the others
    agree with them.
    """
    for s, t in _pairs(levels):
        for turn in range(turns if t > 0 else 1):
            below = _back(denoise, y, s, t, generator)
            below = torch.where(here, known + t * _noise(y, generator), below)
            again = turn + 1 < turns and t > 0
            y = below + (s * s - t * t) ** 0.5 * _noise(y, generator) if again else below
    return y


def _back(denoise: Denoiser, y: Tensor, s: float, t: float, generator: torch.Generator) -> Tensor:
    clean = denoise(y, s)
    share = (t / s) ** 2
    mean = clean + share * (y - clean)
    return mean if t == 0 else mean + t * (1 - share) ** 0.5 * _noise(y, generator)


def _noise(y: Tensor, generator: torch.Generator) -> Tensor:
    return torch.randn(y.shape, generator=generator, device=y.device, dtype=y.dtype)


def _pairs(levels: Tensor) -> Iterator[tuple[float, float]]:
    numbers = levels.tolist()
    return pairwise(numbers)


def _log_ratio(above: float, below: float) -> float:
    return math.log(above / below)
