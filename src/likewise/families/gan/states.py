"""The soft states of entries: what a generated record is, as numbers that gradients pass."""

from __future__ import annotations

import torch
from torch import Tensor

from likewise.dense_view import DenseView
from likewise.events import Event

HATS = 12
"""Hat functions of a value, spread over [-REACH, REACH] normal scores; the outermost go on."""

REACH = 2.4

MOST = 1024
"""Soft states of a record, about: where there would be more, values have fewer hats, at least two."""


class States:
    """Each entry as a point of a simplex: its codes, and hat functions of its value in place of code 0.

    Of hard codes these are indicators; the hats of a value are its shares in the two nearest of a few places.
    """

    def __init__(self, event: Event) -> None:
        self.view = DenseView(event)
        places = [i for i, column in enumerate(self.view.value_columns) if column is not None]
        codes = sum(columns.stop - columns.start for columns in self.view.code_columns)
        self.hats = max(2, min(HATS, (MOST - codes) // max(1, len(places))))
        self.slices: list[slice] = []
        at = 0
        for codes_of, value in zip(self.view.code_columns, self.view.value_columns, strict=True):
            count = codes_of.stop - codes_of.start
            width = count if value is None else max(0, count - 1) + self.hats
            self.slices.append(slice(at, at + width))
            at += width
        self.size = at

    def of_entry(self, i: int, codes: Tensor | None, value: Tensor | None) -> Tensor:
        """The soft states (B, n) of entry `i` from its codes (B, K), if several, and its value (B,), if it has one."""
        if value is None:
            assert codes is not None
            return codes
        centres = torch.linspace(-REACH, REACH, self.hats, device=value.device, dtype=value.dtype)
        gap = 2 * REACH / (self.hats - 1)
        hats = (1 - (value.clamp(-REACH, REACH).unsqueeze(1) - centres).abs() / gap).clamp(min=0)
        return hats if codes is None else torch.cat([hats * codes[:, :1], codes[:, 1:]], 1)

    def of(self, dense: Tensor) -> Tensor:
        """The soft states (B, size) of a dense view."""
        pieces = []
        for i, (columns, value) in enumerate(zip(self.view.code_columns, self.view.value_columns, strict=True)):
            if columns.stop == columns.start and value is None:
                continue
            codes = dense[:, columns] if columns.stop > columns.start else None
            pieces.append(self.of_entry(i, codes, None if value is None else dense[:, value]))
        return torch.cat(pieces, 1)

    def moments(self, dense: Tensor, tile: int = 8192) -> Tensor:
        """The second moments (size, size) of many records: how often two states stand together."""
        total = dense.new_zeros(self.size, self.size)
        for part in dense.split(tile):
            states = self.of(part)
            total += states.t() @ states
        return total / len(dense)
