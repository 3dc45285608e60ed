"""The map of a flow, from values to base: which layers there are, and in what order."""

from __future__ import annotations

from typing import Literal

import torch

from likewise.networks.coupling import Affine, Coupling, Elementwise, Spline, splits
from likewise.networks.invertible import Composition, Invertible
from likewise.networks.masked import MaskedAutoregressive
from likewise.networks.triangular import Triangular

Architecture = Literal["spline", "realnvp", "maf"]


def composed(
    size: int,
    architecture: Architecture,
    blocks: int,
    bins: int,
    bound: float,
    context: int,
    width: int,
    layers: int,
    dropout: float,
    bumps: int,
) -> Composition:
    """The map of `size` coordinates: of each block an invertible linear layer, then two couplings or one masked layer.

    Parameters
    ----------
    bins, bound : of the splines; "realnvp" has affine maps in their place
    context, width, layers, dropout, bumps : of the network of each layer
    """
    elementwise: Elementwise = Affine() if architecture == "realnvp" else Spline(bins, bound)
    network = (elementwise, context, width, layers, dropout, bumps)
    moving = splits(size, 2 * blocks)
    noise = torch.Generator().manual_seed(size)
    parts: list[Invertible] = []
    for block in range(blocks):
        order = torch.randperm(size, generator=noise, device="cpu").tolist()
        parts.append(Triangular(order))
        if architecture == "maf":
            parts.append(MaskedAutoregressive(order, *network))
        else:
            parts += [Coupling(moved, *network) for moved in moving[2 * block : 2 * block + 2]]
    return Composition(parts)
