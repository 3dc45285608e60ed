"""An invertible linear layer as a product of triangular ones."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from likewise.networks.invertible import Invertible

MOST_SCALE = 2.0
"""Log-scales stay within +-2."""


class Triangular(Invertible):
    """y = L U x + b, with L lower triangular of unit diagonal and U upper triangular (Kingma and Dhariwal 2018).

    The determinant is that of the diagonal of U. Rows and columns of absent coordinates are struck out of both
    factors, which leaves triangular matrices of the same diagonal: with absent coordinates it is still a bijection,
    and its determinant still a product.

    Parameters
    ----------
    order : sequence of int (D,)
        The order of the coordinates in which the factors are triangular.
    """

    fast = "both"

    def __init__(self, order: list[int]) -> None:
        super().__init__()
        size = len(order)
        self.order = order
        self.back = [order.index(i) for i in range(size)]
        self.lower = nn.Parameter(torch.zeros(size, size))
        self.upper = nn.Parameter(torch.zeros(size, size))
        self.log_scale = nn.Parameter(torch.zeros(size))
        self.shift = nn.Parameter(torch.zeros(size))

    def _factors(self) -> tuple[Tensor, Tensor, Tensor]:
        """L, U and the logarithm of U's diagonal, in the layer's own order."""
        log_scale = MOST_SCALE * torch.tanh(self.log_scale / MOST_SCALE)
        lower = self.lower.tril(-1) + torch.diag(torch.ones_like(log_scale))
        return lower, self.upper.triu(1) + torch.diag(log_scale.exp()), log_scale

    def forward(
        self,
        x: Tensor,
        present: Tensor | None = None,
        context: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> tuple[Tensor, Tensor]:
        lower, upper, log_scale = self._factors()
        x = x[:, self.order]
        if present is None:
            y = x @ (lower @ upper).t() + self.shift
            return y[:, self.back], log_scale.sum().expand(len(x))
        here = present[:, self.order]
        x = x.masked_fill(~here, 0.0)
        y = (((x @ upper.t()) * here) @ lower.t() + self.shift) * here
        return y[:, self.back], (log_scale * here).sum(1)

    def inverse(self, y: Tensor, present: Tensor | None = None, context: Tensor | None = None) -> Tensor:
        lower, upper, _ = self._factors()
        y = y[:, self.order] - self.shift
        if present is None or bool(present.all()):
            middle = torch.linalg.solve_triangular(lower, y.t(), upper=False, unitriangular=True)
            found: Tensor = torch.linalg.solve_triangular(upper, middle, upper=True).t()
            return found[:, self.back]
        absent = ~present[:, self.order]
        y, here = y.masked_fill(absent, 0.0), (~absent).to(y)
        both = here.unsqueeze(1) * here.unsqueeze(2)
        rest = torch.diag_embed(1 - here)
        middle = torch.linalg.solve_triangular(lower * both + rest, y.unsqueeze(2), upper=False)
        found = torch.linalg.solve_triangular(upper * both + rest, middle, upper=True).squeeze(2)
        return found[:, self.back]
