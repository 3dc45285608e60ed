"""Linear maps that stretch nothing."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class SpectralLinear(nn.Linear):
    """x (W / s)' + b with s the largest singular value of W (spectral normalisation, Miyato et al. 2018, equation 8).

    s = u' W v, where u and v follow the singular vectors by power iteration (their algorithm 1): one round at each call
    of `iterate`, and none in between, so that both players see one network. Gradients take u and v as constants.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs)
        self.left = nn.Buffer(F.normalize(torch.randn(outputs), dim=0))
        self.right = nn.Buffer(F.normalize(self.weight.detach().t() @ self.left, dim=0))

    @torch.no_grad()
    def iterate(self, rounds: int = 1) -> None:
        """Brings u and v nearer to the singular vectors."""
        for _ in range(rounds):
            self.right.copy_(F.normalize(self.weight.t() @ self.left, dim=0))
            self.left.copy_(F.normalize(self.weight @ self.right, dim=0))

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight / (self.left @ self.weight @ self.right), self.bias)
