"""Which parts of training records the encoder does not see, so that it learns to answer for partial records."""

from __future__ import annotations

import torch
from torch import Tensor

from likewise.events import Event


def hidden_entries(size: int, event: Event, share: float, generator: torch.Generator) -> Tensor:
    """Which entries (size, E) are hidden: those of a share of the records, and of each of these a random part.

    How large the part is is uniform between nothing and everything. Where there are labels, half of the records with
    something hidden lack the labels and nothing else.
    """
    device = generator.device
    if share == 0:
        return torch.zeros(size, len(event), dtype=torch.bool, device=device)
    row, part, kind = torch.rand(3, size, 1, generator=generator, device=device).unbind(0)
    hidden = torch.rand(size, len(event), generator=generator, device=device) < part
    if event.labels:
        is_label = torch.zeros(len(event), dtype=torch.bool, device=device)
        is_label[list(event.label_entries)] = True
        hidden = torch.where(kind < 0.5, is_label, hidden)
    return hidden & (row < share)
