"""How real records are shown to critics, so that nothing but their distribution tells them from generated ones."""

from __future__ import annotations

from itertools import islice

import torch
from torch import Tensor

from likewise.dense_view import DenseView
from likewise.errors import DataError
from likewise.events import Batch, Event, Quantised
from likewise.families.gan.emission import Codes


class Presentation:
    """Dense views of real records with noise that matches that of generated ones.

    With codes "straight_through" both sides show indicators; gradients pass as if they were relaxed (Jang et al. 2017).
    With "relaxed", generated codes are Gumbel-softmax samples, and a real code is a Gumbel-softmax sample that had this
    code as its largest, at the logits of the training frequencies (Maddison et al. 2014 draw Gumbels given their
    maximum). A real value on a grid is spread uniformly over its cell, for generated ones fall anywhere in theirs.
    Of a conditional model (`conditional`) labels are given to both sides alike, and stay indicators.
    """

    def __init__(self, event: Event, codes: Codes, temperature: float, conditional: bool = False) -> None:
        self._relaxed = len(event.entries) if conditional else len(event)
        self.view, self._codes, self._temperature = DenseView(event), codes, temperature
        quantised = [i for i in event.value_entries if isinstance(event.all[i].value, Quantised)]
        self._quantised = quantised

    def real(self, batch: Batch, frequency: Tensor, generator: torch.Generator) -> Tensor:
        """Training records (B, size), with matched noise."""
        dense = self.spread(batch, generator)
        return dense if self._codes == "straight_through" else self._relax(dense, frequency, generator)

    def spread(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """Records (B, size) with indicators of codes, and values spread over their cells."""
        if not batch.fully_observed:
            raise DataError("A GAN learns from whole records: give labels where it was fitted with labels.")
        values = batch.values.clone()
        if self._quantised:
            at = self._quantised
            centre = values[:, at]
            below = centre - batch.lower[:, at]
            above = batch.width[:, at] - below
            # The outermost cells reach to infinity: there the noise is as wide as on the other side.
            below, above = torch.minimum(below, 4 * above), torch.minimum(above, 4 * below)
            noise = torch.rand(centre.shape, generator=generator, device=generator.device).to(centre)
            present = batch.codes[:, at] == 0
            values[:, at] = centre + present * (noise * (below + above) - below)
        spread = Batch(batch.codes, values, batch.lower, batch.width, batch.status)
        return self.view.dense(spread)

    def _relax(self, dense: Tensor, frequency: Tensor, generator: torch.Generator) -> Tensor:
        """Gumbel-softmax samples given that each real code came out largest."""
        out = dense.clone()
        entries = zip(self.view.code_columns, self.view.value_columns, strict=True)
        for columns, value in islice(entries, self._relaxed):
            if columns.stop == columns.start:
                continue
            mine = dense[:, columns] > 0
            uniform = (
                torch.rand(mine.shape, generator=generator, device=generator.device).to(dense).clamp(1e-7, 1 - 1e-7)
            )
            # The largest of Gumbels at logits that sum to one is a standard Gumbel, the others lie below it.
            top = -torch.log(-torch.log(uniform[mine])).unsqueeze(1)
            logits = frequency[columns].clamp(min=1e-6).log()
            others = -torch.log(torch.exp(-top) - torch.log(uniform) * torch.exp(-logits))
            soft = torch.softmax(torch.where(mine, top, others) / self._temperature, 1)
            out[:, columns] = soft
            if value is not None:
                out[:, value] = dense[:, value] * soft[:, 0]
        return out
