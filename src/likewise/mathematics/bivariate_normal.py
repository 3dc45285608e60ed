"""The mass of two dependent normals in a rectangle, exact to rounding wherever the rectangle lies.

The sum over the second is in closed form; that over the first is Gauss and Legendre's rule on panels that are as wide
as the integrand is smooth. Both are done relative to the largest density in the rectangle, so that masses far out in
the tails keep their digits, which differences of distribution functions (Genz 2004) do not.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from likewise.mathematics import truncated_normal

_NODES, _WEIGHTS = (torch.from_numpy(part) for part in np.polynomial.legendre.leggauss(16))
_HALVINGS, _STEP_HALVINGS = 5, 3
_CHUNK = 1 << 12
_DEPTH = 45.0
"""The integrand is left out where it is below exp(-45) of its largest value."""


def log_mass(first: Tensor, second: Tensor, load: Tensor, own: Tensor) -> Tensor:
    """log P(x in first, load * x + own * z in second) for independent standard normals x and z; float64.

    Parameters
    ----------
    first, second : (..., 2)
        Finite intervals; empty where the first end is not below the second.
    load, own : (...)
        Both numbers are broadcast; `own` is above 0.

    Examples
    --------
    >>> import torch
    >>> positive = torch.tensor([0.0, 1e4], dtype=torch.float64)
    >>> half = torch.tensor(0.5, dtype=torch.float64)
    >>> mass = log_mass(positive, positive, half, (1 - half**2).sqrt()).exp().item()  # 1/4 + arcsin(1/2) / 2 pi
    >>> round(mass, 12)
    0.333333333333
    """
    parts = torch.broadcast_tensors(first[..., 0], first[..., 1], second[..., 0], second[..., 1], load, own)
    flat = [part.double().reshape(-1) for part in parts]
    out = torch.full_like(flat[0], float("-inf"))
    somewhere = ((flat[0] < flat[1]) & (flat[2] < flat[3])).nonzero()[:, 0]
    for at in somewhere.split(_CHUNK):
        a, b, c, d, slope, scale = (part[at] for part in flat)
        out[at] = _integral(a, b, c, d, slope, scale)
    return out.reshape(parts[0].shape)


def _integral(a: Tensor, b: Tensor, c: Tensor, d: Tensor, load: Tensor, own: Tensor) -> Tensor:
    # The densest point of the rectangle, and how steeply the density falls from there along the first axis.
    nearest = torch.minimum(torch.maximum(torch.zeros_like(c), c), d)
    top = torch.minimum(torch.maximum(nearest * load / (own * own + load * load), a), b)
    away = (torch.minimum(torch.maximum(load * top, c), d) - load * top) / own
    peak = -0.5 * (top * top + away * away)
    fall = (top - load / own * away).abs()
    # fall r + r^2 / 2 = depth
    reach = 2 * _DEPTH / (fall + torch.sqrt(fall * fall + 2 * _DEPTH))
    low, high = torch.maximum(a, top - reach), torch.minimum(b, top + reach)
    panels = _panels(c, d, load, own, top, reach)
    panels = torch.minimum(torch.maximum(panels, low[:, None]), high[:, None]).sort(1)[0]
    row, panel = (panels[:, 1:] > panels[:, :-1]).nonzero(as_tuple=True)
    start, end = panels[row, panel], panels[row, panel + 1]
    x = start[:, None] + 0.5 * (end - start)[:, None] * (1 + _NODES)
    moved = [((edge[row, None]) - load[row, None] * x) / own[row, None] for edge in (c, d)]
    logs = truncated_normal.log_density(x) + truncated_normal.log_mass(moved[0], moved[1]) - peak[row, None]
    sums = 0.5 * (end - start) * (logs.exp() @ _WEIGHTS)
    return peak + torch.zeros_like(peak).index_add(0, row, sums).log()


def _panels(c: Tensor, d: Tensor, load: Tensor, own: Tensor, top: Tensor, reach: Tensor) -> Tensor:
    """Ends of panels: halving towards the densest point, and towards where the first crosses an end of the second."""
    towards = 0.5 ** torch.arange(_HALVINGS, dtype=torch.float64)
    towards = torch.cat([-towards, torch.zeros(1, dtype=torch.float64), towards])
    slope = torch.where(load < 0, -1.0, 1.0) * load.abs().clamp(min=1e-12)
    near = 0.5 ** torch.arange(_STEP_HALVINGS, dtype=torch.float64)
    near = torch.cat([-near, torch.zeros(1, dtype=torch.float64), near]) * math.sqrt(2 * _DEPTH)
    steps = [(edge / slope)[:, None] + (own / slope.abs())[:, None] * near for edge in (c, d)]
    return torch.cat([top[:, None] + reach[:, None] * towards, *steps], 1)
