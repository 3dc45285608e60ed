"""The labels that a conditional generator is told, as the tail of the dense view of records."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from likewise.dense_view import DenseView
from likewise.events import Batch, Event
from likewise.families.gan.presentation import Presentation
from likewise.families.labels import LabelMarginal


class GivenLabels(nn.Module):
    """Labels as a generator sees them: those of real records in training, drawn or given ones afterwards."""

    def __init__(self, event: Event, presentation: Presentation) -> None:
        super().__init__()
        self._event, self._presentation = event, presentation
        self.marginal = LabelMarginal(event)
        self.size = DenseView(event).size - DenseView(Event(event.layout, event.entries)).size

    def of(self, dense: Tensor) -> Tensor:
        """The labels (B, size) of records in the dense view."""
        return dense[:, dense.shape[1] - self.size :]

    def draw(self, size: int, generator: torch.Generator) -> Tensor:
        """Labels (B, size), as often as among the training records."""
        return self.show(*self.marginal.draw(size, generator), generator)

    def show(self, codes: Tensor, values: Tensor, generator: torch.Generator) -> Tensor:
        """Labels (B, size) of codes and model-unit values (B, number of labels), values spread over their cells."""
        batch = Batch.unknown(self._event, len(codes)).to(codes.device)
        at = list(self._event.label_entries)
        batch.codes[:, at], batch.values[:, at] = codes, values.double()
        whole = self._event.complete(batch.codes, batch.values)
        return self.of(self._presentation.spread(whole, generator).float())
