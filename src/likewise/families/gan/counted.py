"""What counting alone gives, before anybody learns: the start of the generator, kept as it was."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from likewise.events import Event
from likewise.families.gan.calibration import Calibration
from likewise.families.gan.emission import Codes, Emission, Start


class Counted(nn.Module):
    """The tree of pairs, or the marginals, that the two players start from: a small Bayesian network.

    It is kept because a family answers for what it borrows from another: records of the start alone are judged beside
    those of the generator.
    """

    def __init__(self, event: Event, codes: Codes, temperature: float, start: Start, conditional: bool = False) -> None:
        super().__init__()
        self.emission = Emission(event, codes, temperature, start, conditional).requires_grad_(False)
        self.calibration = Calibration(event)
        self.outputs = nn.Buffer(torch.zeros(self.emission.size))

    @torch.no_grad()
    def prepare(self, dense: Tensor) -> None:
        """Counts training records (n, view)."""
        self.calibration.prepare(dense)
        self.outputs.copy_(self.emission.prepare(dense))

    def draw(self, size: int, generator: torch.Generator, labels: Tensor | None = None) -> Tensor:
        """Records (size, view), with these labels if any are given."""
        outputs = self.outputs.expand(size, -1)
        drawn: Tensor = self.emission(outputs, self.calibration, generator, True, labels)[0]
        return drawn
