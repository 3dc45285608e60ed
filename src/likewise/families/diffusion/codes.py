"""Codes by masked diffusion: how probable they are, how they are drawn, and their deterministic latents."""

from __future__ import annotations

from math import log, log1p
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from likewise.events import Batch, Event, Status

if TYPE_CHECKING:
    from likewise.families.diffusion.family import DiffusionFamily


class CodeReader:
    """The conditional distributions of codes that a denoiser's logits (B, sum of code sizes) stand for.

    A state that no training record had keeps its reserved probability, whatever is shown.
    """

    def __init__(self, event: Event) -> None:
        self.event = event
        sizes = event.code_sizes
        self._start = [sum(sizes[:i]) for i in range(len(sizes))]

    def log_codes(self, i: int, logits: Tensor) -> Tensor:
        """log-probabilities (B, K) of the codes of entry `i`."""
        entry = self.event.all[i]
        start, size = self._start[i], entry.code.size
        if entry.unseen is None:
            return torch.log_softmax(logits[:, start : start + size], 1)
        seen = torch.log_softmax(logits[:, start : start + entry.seen], 1) + log1p(-entry.reserved)
        return torch.cat([seen, torch.full_like(seen[:, :1], log(entry.reserved))], 1)

    def log_prob(self, i: int, logits: Tensor, codes: Tensor) -> Tensor:
        """log-probability (B,) of the code that each record (B, E) has in entry `i`."""
        return self.log_codes(i, logits).gather(1, codes[:, i : i + 1]).squeeze(1)


def hidden_loss(reader: CodeReader, logits: Tensor, codes: Tensor, known: Tensor, coded: list[int]) -> Tensor:
    """The negative bound (B,) of log p(codes): the mean of -log p over hidden codes, times how many codes there are.

    With the number of hidden codes uniform it is, on average, the negative log-probability along a random order
    (Uria et al. 2014, equation 8; Hoogeboom et al. 2022, equation 3), which is the bound of masked diffusion
    (Austin et al. 2021; Sahoo et al. 2024, equation 10).
    """
    hidden = ~known[:, coded]
    each = torch.stack([reader.log_prob(i, logits, codes) for i in coded], 1)
    total = torch.where(hidden, each, torch.zeros_like(each)).sum(1)
    return -total * len(coded) / hidden.sum(1).clamp(min=1)


def draw_codes(
    family: DiffusionFamily, told: Batch, known: Tensor, exact: Tensor, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Codes (B, E) of whole records, and the log-probabilities (B,) of the sets that evidence restricts codes to.

    Hidden codes are uncovered one after another, in an order of its own for each record: the reverse of masked
    diffusion with a step for every code.
    """
    codes, known = told.codes.clone(), known.clone()
    log_weight = torch.zeros(len(codes), dtype=torch.float64, device=codes.device)
    uniform = torch.rand(known.shape, generator=generator, device=generator.device).to(codes.device)
    coded = torch.zeros(known.shape[1], dtype=torch.bool, device=codes.device)
    coded[family.coded] = True
    turn = torch.where(coded & ~known, uniform, 2.0).argsort(1)
    # What has one code only was never hidden from anybody.
    known = known | ~coded
    left = (coded & ~known).sum(1)
    for k in range(int(left.max()) if len(left) else 0):
        active = (left > k).nonzero().squeeze(1)
        logits = family.logits(codes[active], told.values[active], known[active], exact[active])
        chosen = turn[active, k]
        for i in family.coded:
            here = (chosen == i).nonzero().squeeze(1)
            if not len(here):
                continue
            rows = active[here]
            log_codes = family.reader.log_codes(i, logits[here]).double()[:, : family.event.all[i].seen]
            if i in told.restrictions:
                restricted = (told.status[rows, i] == Status.RESTRICTED).unsqueeze(1)
                allowed = told.restrictions[i].codes[rows, : log_codes.shape[1]] | ~restricted
                within = torch.where(allowed, log_codes, -torch.inf)
                mass = torch.logsumexp(within, 1)
                log_weight[rows] += torch.where(restricted[:, 0], mass, 0.0)
                log_codes = torch.where(torch.isneginf(mass).unsqueeze(1), log_codes, within)
            share = torch.softmax(log_codes, 1).cumsum(1)
            level = torch.rand(len(rows), 1, generator=generator, device=generator.device, dtype=torch.float64)
            picked = (level.to(share.device) * share[:, -1:] >= share).sum(1).clamp(max=share.shape[1] - 1)
            codes[rows, i] = picked
            known[rows, i] = True
    return codes, log_weight
