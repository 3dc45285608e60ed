"""Dequantisation: a value on a grid becomes a point of its cell, and a density a bound on the mass of the cell."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from likewise.mathematics import truncated_normal
from likewise.mathematics.splines import rational_quadratic, spline_size
from likewise.networks.residual import ResidualNetwork

Kind = Literal["uniform", "variational"]

BINS = 8
"""Of the spline of variational dequantisation."""

CLOSE = 1e-6
"""Uniform noise keeps this distance from 0 and 1."""


class Dequantisation(nn.Module):
    """Points z of the cells of quantised values with the density q(z | cell) they were drawn from.

    log p(cell) >= E_q[log p(z) - log q(z | cell)] (Theis et al. 2016; Ho et al. 2019, equation 12). Values are normal
    scores, so "uniform" is uniform in probability: q is the standard normal restricted to the cell, which reaches to
    infinity where the cell does and is flat where it is narrow. "variational" bends that noise by a spline that a
    network chooses from the values and the context.

    Parameters
    ----------
    quantised : list of int
        The coordinates that lie on a grid.
    size : int
        The number of coordinates.
    kind : "uniform" or "variational"
    context, width : int
        The size of the context and of the network of "variational".
    """

    def __init__(self, quantised: list[int], size: int, kind: Kind, context: int, width: int) -> None:
        super().__init__()
        self.quantised = quantised
        self.network: ResidualNetwork | None = None
        if kind == "variational" and quantised:
            self.network = ResidualNetwork(size + context, len(quantised) * spline_size(BINS), width, 1)

    def forward(
        self,
        values: Tensor,
        lower: Tensor,
        width: Tensor,
        present: Tensor,
        context: Tensor | None,
        uniform: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Points (B, D) and log q (B,) for uniform noise (B, quantised); real values are their own points."""
        if not self.quantised:
            return values, values.new_zeros(len(values))
        at, share = self.quantised, uniform.to(values).clamp(CLOSE, 1 - CLOSE)
        log_slope: Tensor | float = 0.0
        if self.network is not None:
            seen = values if context is None else torch.cat([values, context], 1)
            raw = self.network(seen).view(len(values), len(at), -1)
            bent, log_slope = rational_quadratic(2 * share - 1, raw, 1.0)
            share = ((bent + 1) / 2).clamp(CLOSE, 1 - CLOSE)
        low, high = lower[:, at].double(), lower[:, at].double() + width[:, at].double()
        point = truncated_normal.quantile(share, low, high).to(values)
        with torch.no_grad():
            log_mass = truncated_normal.log_mass(low, high).to(values)
        here = present[:, at]
        log_q = (truncated_normal.log_density(point) - log_mass - log_slope) * here
        index = torch.tensor(at, device=values.device)
        return values.index_copy(1, index, point * here), log_q.sum(1)
