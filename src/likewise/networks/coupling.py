"""Coupling layers: one part of the coordinates moves, by an amount that the other part decides."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from likewise.mathematics.splines import rational_quadratic, spline_size
from likewise.networks.invertible import Invertible
from likewise.networks.residual import ResidualNetwork
from likewise.networks.smooth import smooth_centres, steps_and_bumps

SOFT_CLAMP = 2.0
"""Log-scales of an affine layer stay within +-2."""


class Elementwise(ABC):
    """A monotone map of single coordinates with `size` parameters each; the identity where they are zero."""

    size: int

    @abstractmethod
    def __call__(self, x: Tensor, raw: Tensor, inverse: bool) -> tuple[Tensor, Tensor]:
        """y and log |dy/dx| (...) at x (...), for parameters raw (..., size)."""


class Affine(Elementwise):
    """y = x exp(s) + t with soft-clamped s (Dinh, Sohl-Dickstein and Bengio 2017, equation 7)."""

    size = 2

    def __call__(self, x: Tensor, raw: Tensor, inverse: bool) -> tuple[Tensor, Tensor]:
        log_scale, shift = SOFT_CLAMP * torch.tanh(raw[..., 0] / SOFT_CLAMP), raw[..., 1]
        if inverse:
            return (x - shift) * torch.exp(-log_scale), -log_scale
        return x * torch.exp(log_scale) + shift, log_scale


class Spline(Elementwise):
    """A rational-quadratic spline after an affine map, or by itself (Durkan et al. 2019).

    Parameters
    ----------
    bins : int
    bound : float
        The spline bends within [-bound, bound].
    """

    def __init__(self, bins: int, bound: float) -> None:
        self.bins, self.bound = bins, bound
        self.size = spline_size(bins)

    def __call__(self, x: Tensor, raw: Tensor, inverse: bool) -> tuple[Tensor, Tensor]:
        exact = x.dtype if x.dtype == torch.float64 else torch.float32
        return rational_quadratic(x.to(exact), raw.to(exact), self.bound, inverse)


class Coupling(Invertible):
    """y1 = x1, y2 = g(x2; network(x1, context)): triangular, so that the determinant is a product of slopes.

    Parameters
    ----------
    moved : sequence of bool (D,)
        The coordinates that move; the others decide how.
    elementwise : Elementwise
    context : int
        The size of the context.
    width, layers, dropout : of its `ResidualNetwork`
    bumps : int
        Steps and bumps through which the network sees a coordinate, besides the coordinate itself.
    """

    fast = "both"

    def __init__(
        self,
        moved: Sequence[bool],
        elementwise: Elementwise,
        context: int,
        width: int,
        layers: int,
        dropout: float = 0.0,
        bumps: int = 0,
    ) -> None:
        super().__init__()
        self.moved = [i for i, moves in enumerate(moved) if moves]
        self.kept = [i for i, moves in enumerate(moved) if not moves]
        self.elementwise, self.bumps = elementwise, bumps
        if bumps:
            self.centres = nn.Buffer(smooth_centres(bumps))
        inputs = len(self.kept) * (1 + 2 * bumps) + context
        self.network = ResidualNetwork(max(1, inputs), len(self.moved) * elementwise.size, width, layers, dropout)

    def _raw(
        self, x: Tensor, present: Tensor | None, context: Tensor | None, generator: torch.Generator | None = None
    ) -> Tensor:
        """The parameters (B, moved, size) of the maps."""
        kept = torch.tensor(self.kept, dtype=torch.long, device=x.device)
        seen = x.index_select(1, kept)
        here = None if present is None else present.index_select(1, kept)
        if here is not None:
            seen = seen.masked_fill(~here, 0.0)
        parts = [seen]
        if self.bumps and self.kept:
            smooth = steps_and_bumps(seen, self.centres)
            if here is not None:
                smooth = smooth * here.unsqueeze(-1)
            parts.append(smooth.flatten(1))
        if context is not None:
            parts.append(context)
        inputs = torch.cat(parts, 1) if len(parts) > 1 else seen
        if inputs.shape[1] == 0:
            inputs = x.new_zeros(len(x), 1)
        raw = self.network.in_rows(inputs, generator)
        return raw.t().view(len(x), len(self.moved), self.elementwise.size)

    def forward(
        self,
        x: Tensor,
        present: Tensor | None = None,
        context: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> tuple[Tensor, Tensor]:
        raw = self._raw(x, present, context, generator)
        y, log_slope = self._moves(x, present, raw, False)
        return y, log_slope.sum(1)

    def inverse(self, y: Tensor, present: Tensor | None = None, context: Tensor | None = None) -> Tensor:
        return self._moves(y, present, self._raw(y, present, context), True)[0]

    def _moves(self, x: Tensor, present: Tensor | None, raw: Tensor, inverse: bool) -> tuple[Tensor, Tensor]:
        """All coordinates (B, D) after those that move have done so, and log-slopes (B, moved)."""
        at = torch.tensor(self.moved, dtype=torch.long, device=x.device)
        if present is None:
            moved, log_slope = self.elementwise(x.index_select(1, at), raw, inverse)
            return x.index_copy(1, at, moved.to(x.dtype)), log_slope
        x = x.masked_fill(~present, 0.0)
        moved, log_slope = self.elementwise(x.index_select(1, at), raw, inverse)
        here = present.index_select(1, at)
        return x.index_copy(1, at, (moved * here).to(x.dtype)), log_slope * here


def splits(size: int, count: int) -> list[list[bool]]:
    """Which coordinates move in each of `count` coupling layers: random halves, each followed by its other half.

    With one coordinate, it moves in every layer. The choice is the same each time it is asked for.
    """
    if size == 1:
        return [[True]] * count
    noise = torch.Generator().manual_seed(size)
    found: list[list[bool]] = []
    while len(found) < count:
        order = torch.randperm(size, generator=noise, device="cpu").tolist()
        half = [i in order[: size // 2] for i in range(size)]
        found += [half, [not moves for moves in half]]
    return found[:count]
