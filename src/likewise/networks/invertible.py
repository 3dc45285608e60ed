"""Invertible maps with their log-determinants, and how they are put one after another."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn


class Invertible(nn.Module, ABC):
    """A bijection of the coordinates that are present, y = f(x | context); called forward from data to base.

    `fast` names the direction that takes one pass of its networks; the other may take one for each coordinate. Absent
    coordinates are 0, stay 0, are seen by nobody and count in no determinant. All maps start as the identity.
    """

    fast: ClassVar[Literal["both", "forward", "inverse"]]

    @abstractmethod
    def forward(
        self,
        x: Tensor,
        present: Tensor | None = None,
        context: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> tuple[Tensor, Tensor]:
        """y (B, D) and log |dy/dx| (B,) at x (B, D).

        Parameters
        ----------
        present : bool (B, D) or None
            None where all coordinates are.
        context : (B, C) or None
        generator : of the noise of dropout, while learning
        """

    @abstractmethod
    def inverse(self, y: Tensor, present: Tensor | None = None, context: Tensor | None = None) -> Tensor:
        """The x (B, D) with f(x) = y."""


class Composition(Invertible):
    """f_n(... f_2(f_1(x))): log-determinants add up."""

    fast = "both"

    def __init__(self, parts: Iterable[Invertible]) -> None:
        super().__init__()
        self.parts = nn.ModuleList(parts)

    def forward(
        self,
        x: Tensor,
        present: Tensor | None = None,
        context: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> tuple[Tensor, Tensor]:
        total = x.new_zeros(len(x))
        for part in self.parts:
            x, log_det = part(x, present, context, generator)
            total = total + log_det
        return x, total

    def inverse(self, y: Tensor, present: Tensor | None = None, context: Tensor | None = None) -> Tensor:
        for found in self.way_back(y, present, context):
            y = found
        return y

    def way_back(self, y: Tensor, present: Tensor | None, context: Tensor | None) -> Iterator[Tensor]:
        """Where the inverse of each part takes y in turn, the last one to the inverse of all."""
        for part in reversed(self.parts):
            assert isinstance(part, Invertible)
            y = part.inverse(y, present, context)
            yield y
