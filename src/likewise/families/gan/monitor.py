"""What the engine keeps the best generator by: held-out records under the pair tables of generated ones."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from likewise.dense_view import DenseView
from likewise.events import Batch, Event

BINS = 24
"""Bins of a value, equally filled by the training records."""

COARSE = 4
"""Bins taken together where modes are looked for."""

PAIRS = 300
"""Pairs of entries that are looked at, at most."""

LEAST = 0.01
"""Cells with a smaller share of the held-out records say nothing about modes."""

COLLAPSED = 0.2
"""A cell with less than this part of its share is left out by the generator."""

NAMED = 0.9
"""Mode collapse is named when the cells that are not left out hold less than this."""


@dataclass(frozen=True)
class Findings:
    """Code lengths (B,) in nats a pair; the share of held-out records in cells the generator reaches; worst pair."""

    figures: Tensor
    coverage: float
    worst: tuple[int, int]


class Monitor(nn.Module):
    """The composite code length of held-out records (Lindsay 1988), from tables of pairs counted in generated records.

    For record i it is the mean over pairs (j, k) of `-log p(cell of x_ij, cell of x_ik)`, with `p` the smoothed shares
    among generated records. It is least, on average, for the true pair distributions, and grows without limit where a
    mode is left out, however sure of itself the critic is.
    """

    def __init__(self, event: Event) -> None:
        super().__init__()
        self._view = DenseView(event)
        self._event = event
        self.edges = nn.Buffer(torch.zeros(len(event.value_entries), BINS - 1))
        states = [
            size + (BINS - 1) * (entry.value is not None)
            for size, entry in zip(event.code_sizes, event.all, strict=True)
        ]
        size = len(event)
        pairs = [(i, j) for i in range(size) for j in range(i + 1)]
        step = max(1, -(-len(pairs) // PAIRS))
        self.pairs = pairs[::step]
        self._states = states

    @torch.no_grad()
    def prepare(self, train: Batch) -> None:
        """Finds the bins of each value."""
        present = self._event.present(train.codes)
        levels = torch.arange(1, BINS, device=train.codes.device) / BINS
        for v, i in enumerate(self._event.value_entries):
            values = train.values[present[:, i], i].float()
            if len(values):
                ordered = values.sort().values
                self.edges[v] = ordered[(levels * len(ordered)).long().clamp(max=len(ordered) - 1)]

    def cells(self, codes: Tensor, values: Tensor, coarse: int = 1) -> Tensor:
        """The state (B, E) of every entry: its bin where a value is present, behind the codes; `coarse` bins as one."""
        cells = codes.clone()
        for v, i in enumerate(self._event.value_entries):
            bins = torch.searchsorted(self.edges[v].contiguous(), values[:, i].float().contiguous(), right=True)
            bins, size = bins // coarse, self._event.code_sizes[i]
            cells[:, i] = torch.where(codes[:, i] == 0, torch.where(bins == 0, 0, size - 1 + bins), codes[:, i])
        return cells

    def judge(self, held_out: Batch, codes: Tensor, values: Tensor) -> Findings:
        """Held-out records against the codes and values of generated ones."""
        seen, smooth, generated, _ = self._tables(held_out, codes, values, 1)
        share = (generated + smooth) / (len(codes) + 1)
        figures = -share.log()[seen].mean(1)
        seen, _, generated, of_pair = self._tables(held_out, codes, values, COARSE)
        real = torch.bincount(seen.flatten(), minlength=len(generated)).double() / len(held_out)
        left_out = (real >= max(LEAST, 4 / len(held_out))) & (generated / len(codes) < COLLAPSED * real)
        lost = torch.zeros(len(self.pairs), dtype=torch.float64, device=codes.device)
        lost = lost.index_add(0, of_pair, real * left_out)
        return Findings(figures, 1 - float(lost.mean()), self.pairs[int(lost.argmax())])

    def _tables(
        self, held_out: Batch, codes: Tensor, values: Tensor, coarse: int
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Cells (B, pairs) of held-out records; of every cell its smoothing, generated count and pair."""
        first, second = ([pair[part] for pair in self.pairs] for part in (0, 1))
        widths = torch.tensor([self._states[j] for j in second], device=codes.device)
        sizes = torch.tensor([self._states[i] for i in first], device=codes.device) * widths
        starts = torch.cat([sizes.new_zeros(1), sizes.cumsum(0)])

        def places(cells: Tensor) -> Tensor:
            return cells[:, first] * widths + cells[:, second] + starts[:-1]

        drawn = places(self.cells(codes, values, coarse))
        generated = torch.bincount(drawn.flatten(), minlength=int(starts[-1])).double()
        of_pair = torch.repeat_interleave(torch.arange(len(sizes), device=codes.device), sizes)
        smooth = torch.repeat_interleave(1.0 / sizes.double(), sizes)
        return places(self.cells(held_out.codes, held_out.values, coarse)), smooth, generated, of_pair
