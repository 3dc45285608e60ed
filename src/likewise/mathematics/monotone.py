"""A smooth monotone map from the units of a column to normal scores, and back."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

TAIL_SCALE = 4.0
"""Normal scores over which an open tail turns from linear to logarithmic (heavy tails in the user's units)."""

EDGE = 1e4
"""Stands for infinity in normal scores: far beyond every value, yet finite, so that gradients stay numbers.

No larger than it must be: the edge of a cell is `lower + width`, and single precision keeps seven digits of `width`."""


@dataclass(frozen=True)
class MonotoneMap:
    """z = T(x): strictly increasing and once differentiable, with knots at quantiles.

    Between knots it is the monotone rational-quadratic spline of Gregory and Delbourgo (1982), whose inverse is a root
    of a quadratic. Beyond the last knot an open tail is `z = z_n + s log(1 + d (x - x_n) / s)` with `d` the slope at
    the knot and `s = TAIL_SCALE`: linear at first, logarithmic far out. A tail that ends in a bound `b` is
    `z = z_1 + d (x_1 - b) log((x - b) / (x_1 - b))`, which reaches minus infinity at the bound (mirrored above).

    Parameters
    ----------
    x, z, slope : float64 tensors of shape (n,), n >= 1
        Knots, their normal scores, and dz/dx > 0 there; `x` and `z` strictly increasing.
    low, high : float
        Open bounds of the support in the user's units, infinite where there is none.

    Examples
    --------
    >>> import torch
    >>> unit = MonotoneMap.affine(centre=10.0, scale=2.0)
    >>> unit.forward(torch.tensor([12.0], dtype=torch.float64)).item()
    1.0
    >>> round(unit.inverse(unit.forward(torch.tensor([1e3], dtype=torch.float64))).item(), 6)
    1000.0
    """

    x: Tensor
    z: Tensor
    slope: Tensor
    low: float = float("-inf")
    high: float = float("inf")

    @classmethod
    def affine(cls, centre: float, scale: float) -> MonotoneMap:
        """The map (x - centre) / scale over four scales either side of the centre, logarithmic beyond."""
        z = torch.tensor([-4.0, 4.0], dtype=torch.float64)
        return cls(z * scale + centre, z, torch.full((2,), 1.0 / scale, dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        """Normal scores of `x`, float64 of the same shape, within [-EDGE, EDGE]."""
        return self.with_derivative(x)[0]

    def derivative(self, x: Tensor) -> Tensor:
        """dz/dx > 0 at `x`, float64 of the same shape: its logarithm is the log-volume of the map."""
        return self.with_derivative(x)[1]

    @cached_property
    def _pieces(self) -> Tensor:
        """Of each piece between knots its start, step, score, rise, secant and relative slopes at both ends: (7, n-1).

        Slopes are relative to the secant: squares of slopes leave the floats for columns around 1e200.
        """
        step, rise = self.x.diff(), self.z.diff()
        secant = rise / step
        return torch.stack(
            [self.x[:-1], step, self.z[:-1], rise, secant, self.slope[:-1] / secant, self.slope[1:] / secant]
        )

    def with_derivative(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """`forward` and `derivative` for the price of one."""
        x = x.double()
        inside = x.clamp(self.x[0], self.x[-1])
        if len(self.x) > 1:
            k = torch.searchsorted(self.x, inside, right=True).sub(1).clamp(0, len(self.x) - 2)
            start, step, score, rise, secant, r0, r1 = self._pieces[:, k]
            t = (inside - start) / step
            bend = 1 + (r0 + r1 - 2) * t * (1 - t)
            z = score + rise * (t * t + r0 * t * (1 - t)) / bend
            dz = secant * (r1 * t * t + 2 * t * (1 - t) + r0 * (1 - t) ** 2) / bend**2
        else:
            z, dz = self.z[0].expand_as(x), self.slope[0].expand_as(x)
        below, below_slope = self._tail((self.x[0] - x).clamp(min=0), self.slope[0], float(self.x[0]) - self.low)
        above, above_slope = self._tail((x - self.x[-1]).clamp(min=0), self.slope[-1], self.high - float(self.x[-1]))
        z = torch.where(x < self.x[0], self.z[0] - below, torch.where(x > self.x[-1], self.z[-1] + above, z))
        dz = torch.where(x < self.x[0], below_slope, torch.where(x > self.x[-1], above_slope, dz))
        tiny = torch.finfo(torch.float64).tiny
        return z.clamp(-EDGE, EDGE), dz.clamp(min=tiny)

    @staticmethod
    def _tail(distance: Tensor, slope: Tensor, room: float) -> tuple[Tensor, Tensor]:
        """Rise in z and slope at a distance beyond the last knot, `room` being the distance of the bound."""
        if room == float("inf"):
            return TAIL_SCALE * torch.log1p(slope * distance / TAIL_SCALE), slope / (1 + slope * distance / TAIL_SCALE)
        left = (room - distance).clamp(min=0)
        return -slope * room * torch.log(left / room), slope * room / left.clamp(min=1e-300)

    def inverse(self, z: Tensor) -> Tensor:
        """The value x with T(x) = z, float64 of the same shape; finite for every z within [-EDGE, EDGE]."""
        z = z.double()
        inside = z.clamp(self.z[0], self.z[-1])
        if len(self.x) > 1:
            k = torch.searchsorted(self.z, inside, right=True).sub(1).clamp(0, len(self.x) - 2)
            start, step, score, rise, _, r0, r1 = self._pieces[:, k]
            gap = (inside - score) / rise
            bend = r0 + r1 - 2
            a = 1 - r0 + gap * bend
            b = r0 - gap * bend
            c = -gap
            root = torch.sqrt((b * b - 4 * a * c).clamp(min=0))  # rounding can push it just below zero
            t = (2 * c / (-b - root)).clamp(0, 1)
            x = start + step * torch.where(gap > 0, t, torch.zeros_like(t))
        else:
            x = self.x[0].expand_as(z)
        below = self._untail(self.x[0], (self.z[0] - z).clamp(min=0), self.slope[0], self.low, -1.0)
        above = self._untail(self.x[-1], (z - self.z[-1]).clamp(min=0), self.slope[-1], self.high, 1.0)
        return torch.where(z < self.z[0], below, torch.where(z > self.z[-1], above, x))

    @staticmethod
    def _untail(knot: Tensor, rise: Tensor, slope: Tensor, bound: float, side: float) -> Tensor:
        if bound == side * float("inf"):
            # 150 tail scales out the user's unit is e^150 slopes away: stop there rather than overflow.
            far = TAIL_SCALE / slope * torch.expm1((rise / TAIL_SCALE).clamp(max=150.0))
            return knot + side * far.clamp(max=1e301)
        # Counted from the bound, so that values close to it keep their digits.
        room = abs(bound - float(knot))
        return bound - side * room * torch.exp(-rise / (slope * room))
