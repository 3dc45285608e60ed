"""The ordinary differential equation that has the marginals of a diffusion: exact latents, and densities along it.

In y = x + s eps it is dy / d log s = y - denoise(y, s) (Karras et al. 2022, equation 1). It is solved for
z = y / sqrt(1 + s^2), which stays where it is if records are standard normal, as model units nearly are. Along it the
log-density of z changes by the trace of the denoiser's Jacobian less what a standard normal record has (Song et al.
2021, equation 39; Chen et al. 2018).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor

from likewise.mathematics.samplers import Denoiser

Slope = Callable[[Tensor, float], Tensor]


def transport(denoise: Denoiser, z: Tensor, levels: list[float]) -> Tensor:
    """z at the last level of the solution that passes through `z` at the first, rising or falling."""

    def slope(at: Tensor, level: float) -> Tensor:
        y = at * math.sqrt(1 + level * level)
        return _slope(y, denoise(y, level), level)

    return _solved(slope, z, levels)


def log_density(
    denoise: Denoiser, x: Tensor, levels: list[float], probes: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """The log-density (B,) of records x (B, D), and z at the last of the rising levels, where it is standard normal.

    `probes` (P, B, D), of independent signs, estimate the trace (Hutchinson 1990; Grathwohl et al. 2019): then there is
    one log-density for each, (P, B). Without them it is exact, for D times the price. The error of the steps is fourth
    order in their size; records have, besides, the noise of the first level.
    """
    size = x.shape[1]
    count = 1 if probes is None else len(probes)

    def slope(state: Tensor, level: float) -> Tensor:
        y = state[:, :size] * math.sqrt(1 + level * level)
        clean, traces = _with_traces(lambda at: denoise(at, level), y, probes)
        return torch.cat([_slope(y, clean, level), size / (1 + level * level) - traces.t()], 1)

    start = torch.cat([x / math.sqrt(1 + levels[0] ** 2), x.new_zeros(len(x), count)], 1)
    end = _solved(slope, start, levels)
    z, gained = end[:, :size], end[:, size:].t()
    normal = -0.5 * (z.square() + math.log(2 * math.pi * (1 + levels[0] ** 2))).sum(1)
    found = normal + gained
    return (found[0] if probes is None else found), z


def _slope(y: Tensor, clean: Tensor, level: float) -> Tensor:
    """dz / d log s: nothing where the denoised record is y / (1 + s^2)."""
    return (y / (1 + level * level) - clean) / math.sqrt(1 + level * level)


def _with_traces(clean: Callable[[Tensor], Tensor], y: Tensor, probes: Tensor | None) -> tuple[Tensor, Tensor]:
    """The denoised records, and the traces (P, B) of the Jacobian, exact or one for each probe."""
    with torch.inference_mode(False), torch.enable_grad():
        at = y.clone().detach().requires_grad_()
        out = clean(at)
        if probes is None:
            trace = torch.zeros_like(y[:, 0]) if y.shape[1] else y.new_zeros(len(y))
            for k in range(y.shape[1]):
                (row,) = torch.autograd.grad(out[:, k].sum(), at, retain_graph=True)
                trace = trace + row[:, k]
            return out.detach(), trace.unsqueeze(0)
        traces = []
        for probe in probes:
            (product,) = torch.autograd.grad((out * probe).sum(), at, retain_graph=True)
            traces.append((product * probe).sum(1))
    return out.detach(), torch.stack(traces)


def _solved(slope: Slope, state: Tensor, levels: list[float]) -> Tensor:
    """The classical fourth-order method of Runge and Kutta in the logarithm of the level."""
    for s, t in pairwise(levels):
        step, middle = math.log(t / s), math.sqrt(s * t)
        first = slope(state, s)
        second = slope(state + 0.5 * step * first, middle)
        third = slope(state + 0.5 * step * second, middle)
        fourth = slope(state + step * third, t)
        state = state + step / 6 * (first + 2 * second + 2 * third + fourth)
    return state
