"""The exact factor p(codes) of a flow, and codes as deterministic latents."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor, nn

from likewise.events import Batch, Columns, Event, Restriction, Status
from likewise.families.autoregressive.family import AutoregressiveFamily
from likewise.families.autoregressive.walk import Walker
from likewise.families.code_scores import code_at, score_of
from likewise.families.entry import log_sure


class CodeFactor(nn.Module):
    """p(codes), by an autoregressive model of the entries of which training records had more than one: borrowed.

    A column of numbers that was never blank or spiked has one code that was seen, and its probability is known.

    Parameters
    ----------
    event : Event
    width, hidden, layers, dropout : of the autoregressive model
    """

    def __init__(
        self, event: Event, width: int, hidden: int, layers: int, dropout: float, conditional: bool = False
    ) -> None:
        super().__init__()
        self.at = [i for i, entry in enumerate(event.all) if entry.seen > 1]
        labels = set(event.label_entries)
        given = labels if conditional else set()
        self.sure = [
            i for i, entry in enumerate(event.all) if entry.unseen is not None and i not in self.at and i not in given
        ]
        self.whole = event
        self.model: AutoregressiveFamily | None = None
        self.given = event.label_entries if conditional else ()
        if not set(self.at) - given:
            return
        bare = {i: replace(event.all[i], value=None) for i in self.at}
        self.event = Event(
            Columns(),
            tuple(bare[i] for i in self.at if i not in labels),
            tuple(bare[i] for i in self.at if i in labels),
        )
        self.model = AutoregressiveFamily(
            self.event,
            n_orders=1,
            width=width,
            hidden=hidden,
            layers=layers,
            dropout=dropout,
            components=1,
            conditional=conditional and bool(self.event.labels),
        )

    def part(self, batch: Batch) -> Batch:
        """The codes of records that the autoregressive model speaks of, with their evidence."""
        at = self.at
        codes = batch.codes[:, at]
        zero = batch.values.new_zeros(codes.shape)
        restrictions = {
            at.index(i): Restriction(part.codes, part.intervals[:, :0])
            for i, part in batch.restrictions.items()
            if i in at
        }
        return Batch(codes, zero, zero, torch.ones_like(zero), batch.status[:, at], restrictions)

    def loss(self, batch: Batch, player: str, generator: torch.Generator) -> Tensor:
        """The mean negative log-probability of the codes of a minibatch, in nats."""
        if self.model is None:
            return batch.values.new_zeros(())
        loss: Tensor = self.model(self.part(batch), player, generator)
        return loss

    def validate(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """The negative log-probability (B,) of codes, in nats."""
        if self.model is None:
            return batch.values.new_zeros(len(batch))
        return self.model.validate(self.part(batch), generator)

    def log_prob(self, batch: Batch, seed: int) -> Tensor:
        """log p(codes) (B,) of fully observed records, with the shares of their states within their codes."""
        total = self.whole.log_share(batch.hide(self.given))
        for i in self.sure:
            total = total + log_sure(self.whole.all[i], batch.codes[:, i])
        return total if self.model is None else total + self.model.log_prob(self.part(batch), seed).values

    def sample(self, told: Batch, generator: torch.Generator) -> Tensor:
        """Codes (B, E) of all entries, drawn given the labels that `told` observes; a known code stays."""
        codes = told.codes.clone()
        if self.model is None:
            return codes
        if bool((told.status[:, self.at] == Status.OBSERVED).any()):
            drawn = self.model.conditional(self.part(told), 1, generator).batch
        else:
            drawn = self.model.sample(len(told), generator)
        codes[:, self.at] = drawn.codes.to(codes.device)
        return codes

    def prepare(self, train: Batch, generator: torch.Generator) -> None:
        """Starts codes at their frequencies."""
        if self.model is not None:
            self.model.prepare(self.part(train), generator)

    # --------------------------------------------------------------------------------------------------------- latents

    @torch.no_grad()
    def encode(self, codes: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
        """Normal scores (B, n) of codes (B, n): of the middles of their steps of the conditional distribution.

        Where a code is not `known`, the score is 0 and the code the median; the codes are returned too.
        """
        found, codes = torch.zeros(codes.shape, dtype=torch.float64, device=codes.device), codes.clone()

        def read(k: int, cumulative: Tensor, share: Tensor) -> Tensor:
            scores = score_of(codes[:, k], cumulative)
            found[:, k] = torch.where(known[:, k], scores, torch.zeros_like(scores))
            median = code_at(torch.full_like(scores, 0.5), cumulative)
            codes[:, k] = torch.where(known[:, k], codes[:, k], median)
            return codes[:, k]

        self.walk(len(codes), read)
        return found, codes

    @torch.no_grad()
    def decode(self, latent: Tensor) -> Tensor:
        """Codes (B, n) whose steps hold the normal scores (B, n): the inverse of `encode`."""
        found = torch.zeros(latent.shape, dtype=torch.int64, device=latent.device)
        level = torch.special.ndtr(latent.double())

        def choose(i: int, cumulative: Tensor, share: Tensor) -> Tensor:
            found[:, i] = code_at(level[:, i], cumulative[:, : self.event.all[i].seen])
            return found[:, i]

        self.walk(len(latent), choose)
        return found

    def walk(self, size: int, step: Callable[[int, Tensor, Tensor], Tensor]) -> None:
        """Goes through the codes of `size` records in the order of the model.

        `step(k, cumulative (B, K), shares (B, K))` is told the conditional distribution of the code in place `k` of
        `at`, and says what the codes (B,) are.
        """
        if self.model is None:
            return
        network = self.model.network
        walker = Walker(self.event, network)
        context = network.target.new_zeros(size, network.width)
        zero = context.new_zeros(size)
        for k in self.model.orders[0]:
            share = torch.exp(walker.conditional(k, context).log_codes.double())
            context = context + network.embed_entry(k, step(k, share.cumsum(1), share), zero)
