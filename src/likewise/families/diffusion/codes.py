"""Codes by masked diffusion: how probable they are, and how they are drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from likewise.events import Batch, Event, Status
from likewise.families.code_scores import code_at
from likewise.families.entry import log_codes

if TYPE_CHECKING:
    from likewise.families.diffusion.family import DiffusionFamily


class CodeReader:
    """The conditional distributions of codes that a denoiser's logits (B, sum of code sizes) stand for."""

    def __init__(self, event: Event) -> None:
        self.event = event
        sizes = event.code_sizes
        self._start = [sum(sizes[:i]) for i in range(len(sizes))]

    def log_codes(self, i: int, logits: Tensor) -> Tensor:
        """log-probabilities (B, K) of the codes of entry `i`."""
        start, entry = self._start[i], self.event.all[i]
        return log_codes(entry, logits[:, start : start + entry.code.size])

    def log_prob(self, i: int, logits: Tensor, codes: Tensor) -> Tensor:
        """log-probability (B,) of the code that each record (B, E) has in entry `i`."""
        return self.log_codes(i, logits).gather(1, codes[:, i : i + 1]).squeeze(1)

    def mean_hidden(self, entries: list[int], logits: Tensor, codes: Tensor, hidden: Tensor) -> Tensor:
        """The mean log-probability (B,) of those of the entries (n) that are `hidden` (B, n); 0 where none is."""
        each = torch.stack([self.log_prob(i, logits, codes) for i in entries], 1)
        return torch.where(hidden, each, torch.zeros_like(each)).sum(1) / hidden.sum(1).clamp(min=1)


def draw_codes(
    family: DiffusionFamily, told: Batch, known: Tensor, exact: Tensor, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Codes (B, E) of whole records, and the log-probabilities (B,) of the sets that evidence restricts codes to.

    Hidden codes are uncovered one after another, in an order of its own for each record: the reverse of masked
    diffusion with a step for every code.
    """
    codes = told.codes.clone()
    log_weight = torch.zeros(len(codes), dtype=torch.float64, device=codes.device)
    order = torch.rand(known.shape, generator=generator, device=generator.device).to(codes.device)
    # What has one code only was never hidden from anybody.
    hidden = torch.zeros_like(known)
    hidden[:, family.coded] = ~known[:, family.coded]
    turn = torch.where(hidden, order, 2.0).argsort(1)
    known, left = ~hidden, hidden.sum(1)
    for k in range(int(left.max()) if len(left) else 0):
        active = (left > k).nonzero().squeeze(1)
        logits = family.logits(codes[active], told.values[active], known[active], exact[active])
        chosen = turn[active, k]
        for i in family.coded:
            here = (chosen == i).nonzero().squeeze(1)
            if not len(here):
                continue
            rows = active[here]
            level = family.reader.log_codes(i, logits[here]).double()[:, : family.event.all[i].seen]
            if i in told.restrictions:
                restricted = (told.status[rows, i] == Status.RESTRICTED).unsqueeze(1)
                allowed = told.restrictions[i].codes[rows, : level.shape[1]] | ~restricted
                within = torch.where(allowed, level, -torch.inf)
                mass = torch.logsumexp(within, 1)
                log_weight[rows] += torch.where(restricted[:, 0], mass, 0.0)
                level = torch.where(torch.isneginf(mass).unsqueeze(1), level, within)
            cumulative = torch.softmax(level, 1).cumsum(1)
            uniform = torch.rand(len(rows), generator=generator, device=generator.device, dtype=torch.float64)
            codes[rows, i] = code_at(uniform.to(cumulative.device) * cumulative[:, -1], cumulative)
            known[rows, i] = True
    return codes, log_weight
