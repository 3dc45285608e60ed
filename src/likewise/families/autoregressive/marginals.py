"""Probabilities of partial records: unknown entries are summed out of every stored order."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from likewise.events import Batch, Event, Quantised, Status
from likewise.families.autoregressive.walk import Walker
from likewise.families.entry import MOST_CELLS, NODES
from likewise.families.family import LogProb
from likewise.families.noise import record_noise
from likewise.networks.prefix import PrefixNetwork

MOST_BRANCHES = 4096
"""Combinations of unknown states enumerated for one record and order; more are estimated."""

BRANCH_TILE = 65_536
"""Combinations held in memory at once."""

CANDIDATES = 256
"""Importance samples a record and order where the sum is estimated."""


class Marginals:
    """log p of records of one evidence pattern under the uniform mixture over `orders`, given the entries `given`."""

    def __init__(
        self, event: Event, network: PrefixNetwork, orders: list[tuple[int, ...]], given: tuple[int, ...] = ()
    ) -> None:
        self._event, self._network, self._orders, self._given = event, network, orders, given
        self._walker = Walker(event, network, given)

    def log_prob(self, batch: Batch, seed: int) -> LogProb:
        """Scores of float64 records that share one status pattern."""
        values, variances, exact = [], [], True
        for order in self._orders:
            needed = self._needed(batch.status[0], order)
            combinations = self._combinations(batch.status[0], needed)
            if combinations <= MOST_BRANCHES:
                tiles = batch.tiles(max(1, BRANCH_TILE // combinations))
                values.append(torch.cat([self._enumerate(tile, needed) for tile in tiles]))
                variances.append(torch.zeros_like(values[-1]))
            else:
                exact = False
                parts = [self._estimate(tile, needed, seed) for tile in batch.tiles(max(1, 16384 // CANDIDATES))]
                values.append(torch.cat([value for value, _ in parts]))
                variances.append(torch.cat([variance for _, variance in parts]))
        each, relative = torch.stack(values), torch.stack(variances)
        total = torch.logsumexp(each, 0)
        # The standard error of log(sum of Z_m) is that of the sum, relative to the sum.
        error = torch.sqrt((torch.exp(2 * (each - total)) * relative).sum(0))
        return LogProb(total - math.log(len(self._orders)), "exact" if exact else "estimate", error)

    @staticmethod
    def _needed(status: Tensor, order: tuple[int, ...]) -> tuple[int, ...]:
        """The order up to its last piece of evidence: what follows sums to one."""
        last = max((position for position, i in enumerate(order) if status[i] != Status.UNKNOWN), default=-1)
        return order[: last + 1]

    def _combinations(self, status: Tensor, order: tuple[int, ...]) -> int:
        total = 1
        for i in order[:-1]:
            if status[i] != Status.OBSERVED:
                total *= self._states(i)
        return total

    def _states(self, i: int) -> int:
        """How many branches an entry opens, at most."""
        entry = self._event.all[i]
        if entry.value is None:
            return entry.code.size
        if isinstance(entry.value, Quantised) and entry.value.size is not None and entry.value.size <= MOST_CELLS:
            return entry.code.size - 1 + entry.value.size
        outputs = self._network.outputs(i)
        components: int = (outputs.stop - outputs.start - (entry.code.size if entry.code.size > 1 else 0)) // 3
        return entry.code.size - 1 + NODES * components

    def _enumerate(self, batch: Batch, order: tuple[int, ...]) -> Tensor:
        """The sum over every state of what is unknown; interval evidence that comes last needs no enumeration."""
        owner = torch.arange(len(batch), device=batch.codes.device)
        context = batch.values.new_zeros(len(batch), self._network.width)
        log_weight = batch.values.new_zeros(len(batch))
        for position, i in enumerate(order):
            conditional = self._walker.conditional(i, context)
            status = int(batch.status[0, i])
            allowed = batch.restrictions[i].rows(owner) if status == Status.RESTRICTED else None
            if status == Status.OBSERVED:
                codes = batch.codes[owner, i]
                if i not in self._given:
                    log_weight = log_weight + conditional.log_prob(codes, batch.lower[owner, i], batch.width[owner, i])
                context = context + self._network.embed_entry(i, codes, batch.values[owner, i])
            elif allowed is not None and position == len(order) - 1:
                log_weight = log_weight + conditional.log_set(allowed)
            else:
                branches = conditional.branches(allowed)
                count = branches.codes.shape[1]
                owner = owner.repeat_interleave(count)
                log_weight = (log_weight.unsqueeze(1) + branches.log_prob).flatten()
                codes, values = branches.codes.flatten(), branches.values.flatten()
                context = context.repeat_interleave(count, 0) + self._network.embed_entry(i, codes, values)
        return _group_logsumexp(log_weight, owner, len(batch))

    def _estimate(self, batch: Batch, order: tuple[int, ...], seed: int) -> tuple[Tensor, Tensor]:
        """log of the mean weight of ancestral candidates, and the relative variance of that mean."""
        noise = record_noise(batch, seed, (CANDIDATES, len(order), 3)).flatten(0, 1).to(batch.codes.device)
        walk = self._walker.walk(batch.repeat(CANDIDATES), order, lambda size, position: noise[:, position])
        weights = walk.log_weight.view(len(batch), CANDIDATES)
        level = torch.logsumexp(weights, 1) - math.log(CANDIDATES)
        relative = torch.exp(weights - level.unsqueeze(1))
        return level, relative.var(1) / CANDIDATES


def _group_logsumexp(values: Tensor, group: Tensor, size: int) -> Tensor:
    top = torch.full((size,), -torch.inf, dtype=values.dtype, device=values.device)
    top = top.scatter_reduce(0, group, values, "amax").nan_to_num(neginf=0.0)
    total = torch.zeros_like(top).scatter_add(0, group, torch.exp(values - top[group]))
    return total.log() + top
