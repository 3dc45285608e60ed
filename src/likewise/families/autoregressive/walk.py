"""Walking through the entries of an event in an order: drawing what is unknown, weighing what is known."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from likewise.events import Batch, Event, Status
from likewise.families.effective import refuse_few
from likewise.families.entry import EntryConditional
from likewise.mathematics.resampling import effective_sizes, resample, resample_shuffled
from likewise.networks.prefix import PrefixNetwork

Noise = Callable[[int, int], Tensor]
"""Uniform noise (N, 3) for N records at a position of the order."""


def patterns(batch: Batch) -> Iterator[tuple[Tensor, Tensor]]:
    """The distinct rows of `status`, each with the positions of its records."""
    found, member = torch.unique(batch.status, dim=0, return_inverse=True)
    for p, status in enumerate(found):
        yield status, (member == p).nonzero().squeeze(1)


def evidence_first(status: Tensor, order: tuple[int, ...]) -> tuple[int, ...]:
    """The order with observed entries first, then restricted ones, then unknown ones."""
    rank = {int(Status.OBSERVED): 0, int(Status.RESTRICTED): 1, int(Status.UNKNOWN): 2}
    return tuple(sorted(order, key=lambda i: rank[int(status[i])]))


def is_exact(status: Tensor, order: tuple[int, ...]) -> bool:
    """Whether nothing is weighed after something was drawn, so that draws in this order need no weights."""
    drawn = False
    for i in order:
        if drawn and status[i] != Status.UNKNOWN:
            return False
        drawn = drawn or bool(status[i] != Status.OBSERVED)
    return True


@dataclass(frozen=True)
class Walk:
    """Completed records and the log-weights (N,) of their evidence; the smallest effective sample size on the way."""

    batch: Batch
    log_weight: Tensor
    effective: Tensor | None = None


class Walker:
    """Completes records entry by entry by conditionals of a network; entries `given` are known and weigh nothing."""

    def __init__(self, event: Event, network: PrefixNetwork, given: tuple[int, ...] = ()) -> None:
        self._event, self._network, self._given = event, network, given

    def conditional(self, entry: int, context: Tensor) -> EntryConditional:
        """p(entry | context) for contexts (N, width)."""
        return EntryConditional(self._event, entry, self._network.read(context.unsqueeze(1), [entry])[0])

    def walk(
        self,
        evidence: Batch,
        order: tuple[int, ...],
        noise: torch.Generator | Noise,
        particles: int | None = None,
    ) -> Walk:
        """Completes every record of `evidence`, all of one pattern, in `order`.

        With `particles`, consecutive groups of so many records are weighted candidates for the same evidence: a group
        is resampled whenever its effective sample size falls below half of its number.
        """
        codes, values = evidence.codes.clone(), evidence.values.double().clone()
        lower, width = evidence.lower.double().clone(), evidence.width.double().clone()
        dtype, size = self._network.target.dtype, len(evidence)
        context = torch.zeros(size, self._network.width, dtype=dtype, device=codes.device)
        log_weight = torch.zeros(size, dtype=torch.float64, device=codes.device)
        effective = None if particles is None else torch.full((size // particles,), float(particles))
        for position, i in enumerate(order):
            if i in self._given:
                context = context + self._network.embed_entry(i, codes[:, i], values[:, i])
                continue
            status = int(evidence.status[0, i]) if size else int(Status.UNKNOWN)
            conditional = self.conditional(i, context)
            if status == Status.OBSERVED:
                seen = (codes[:, i], lower[:, i].to(dtype), width[:, i].to(dtype))
                log_weight += conditional.log_prob(*seen).double()
            else:
                allowed = evidence.restrictions[i] if status == Status.RESTRICTED else None
                if allowed is not None:
                    log_weight += conditional.log_set(allowed).double()
                if isinstance(noise, torch.Generator):
                    uniform = torch.rand(size, 3, generator=noise, device=noise.device, dtype=torch.float64)
                else:
                    uniform = noise(size, position)
                drawn = conditional.draw(uniform.to(codes.device), allowed)
                codes[:, i], values[:, i], lower[:, i], width[:, i] = drawn
            context = context + self._network.embed_entry(i, codes[:, i], values[:, i])
            if particles is not None and effective is not None and status != Status.UNKNOWN:
                assert isinstance(noise, torch.Generator)
                now = effective_sizes(log_weight, particles)
                effective = torch.minimum(effective, now.cpu())
                weak = now < particles / 2
                if bool(weak.any()):
                    # Rows of one group carry the same evidence, so drawing rows anew moves whole candidates.
                    picked = resample(log_weight, particles, particles, noise)
                    keep = torch.arange(size, device=codes.device)
                    index = torch.where(weak.repeat_interleave(particles), picked, keep)
                    codes, values, lower, width, context = (
                        part[index] for part in (codes, values, lower, width, context)
                    )
                    level = torch.logsumexp(log_weight.view(-1, particles), 1, keepdim=True)
                    flat = (level - torch.tensor(float(particles)).log()).expand(-1, particles).flatten()
                    log_weight = torch.where(weak.repeat_interleave(particles), flat, log_weight)
        observed = torch.zeros_like(evidence.status)
        return Walk(Batch(codes, values, lower, width, observed), log_weight, effective)


def recombine(walk: Walk, particles: int, draws: int, generator: torch.Generator) -> tuple[Batch, Tensor]:
    """`draws` records of each group by their weights, shuffled, and the effective sample sizes (at most `draws`)."""
    assert walk.effective is not None
    refuse_few(walk.effective, particles, advice='ask for more draws, or fit with order="any"')
    picked = resample_shuffled(walk.log_weight, particles, draws, generator)
    return walk.batch.rows(picked), walk.effective.clamp(max=draws)
