"""The autoregressive family: settings, learning by maximum likelihood, and the public questions."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor

from likewise.errors import DataError
from likewise.events import Batch, Event, Status
from likewise.families.autoregressive.marginals import Marginals
from likewise.families.autoregressive.walk import Walker, evidence_first, is_exact, patterns, recombine
from likewise.families.entry import EntryConditional, output_sizes, starting_outputs
from likewise.families.family import Draws, Family, LogProb, Player
from likewise.families.labels import LabelMarginal
from likewise.families.settings import BELOW_ONE, NON_NEGATIVE, POSITIVE_WHOLE, SHARE, check, one_of
from likewise.families.tiles import padded
from likewise.networks.prefix import PrefixNetwork
from likewise.networks.roles import network

TARGETS = 48
"""A training step of a wide event looks at so many of its conditionals, chosen at random: the loss stays unbiased."""

SCORE_TILE = 256
"""Records scored together, at most. Always the same number, so that a score never depends on its neighbours."""

SAMPLE_TILE = 8192

PARTICLES = 256
"""The least number of weighted candidates a record of evidence gets where draws cannot be exact."""


class AutoregressiveFamily(Family):
    """p(x) = (1/M) sum_m prod_i p(x_i | entries before i in order m), with one network for all conditionals.

    With `order="any"` the density is the uniform mixture over the stored orders (exact for fully observed records;
    unknown entries are summed out of each order), the network has also learned conditionals given arbitrary sets of
    entries, and draws under evidence use the order in which the evidence comes first. With `order="fixed"` there is one
    order and one joint, of which draws under evidence are importance-weighted unless the evidence opens the order.

    With `conditional`, this is p(entries | labels): labels come first in every order and are never predicted. Unknown
    ones are drawn and summed out by their frequencies among the training records.

    Parameters
    ----------
    event : Event
    conditional : bool
        Whether to learn p(entries | labels); ValueError where there are no labels.
    order : "any" or "fixed"
    orders : list of permutations of the entries, or None
        The stored orders. By default the given order, followed for `order="any"` by random ones with labels last, or
        first with `conditional`.
    n_orders : int
        How many orders `order="any"` stores.
    any_share : float
        The share of training records of `order="any"` whose order is drawn afresh among all orders.
    width, hidden, layers, dropout : size and regularisation of `PrefixNetwork`
    components : int
        Logistic components of the mixture of each value.
    learning_rate, weight_decay : float
        Of AdamW.
    """

    name = "autoregressive"
    kinds = ("exact",)
    sampling = "entry by entry"
    answering = "evidence first, then the others"
    fitted_by = "maximum likelihood, by gradients"

    def __init__(
        self,
        event: Event,
        *,
        conditional: bool = False,
        order: Literal["any", "fixed"] = "any",
        orders: list[list[int]] | None = None,
        n_orders: int = 2,
        any_share: float = 0.25,
        width: int = 128,
        hidden: int = 256,
        layers: int = 3,
        dropout: float = 0.1,
        components: int = 16,
        learning_rate: float = 2e-3,
        weight_decay: float = 0.01,
    ) -> None:
        sizes = {"width": width, "hidden": hidden, "layers": layers, "components": components}
        check(one_of("any", "fixed"), order=order)
        check(POSITIVE_WHOLE, n_orders=n_orders, **sizes)
        check(SHARE, any_share=any_share)
        check(BELOW_ONE, dropout=dropout)
        check(NON_NEGATIVE, learning_rate=learning_rate, weight_decay=weight_decay)
        if orders is None:
            orders = _default_orders(event, n_orders if order == "any" else 1, conditional)
        if not orders or any(sorted(one) != list(range(len(event))) for one in orders):
            raise ValueError(f"each order must name every one of the {len(event)} entries once")
        if order == "fixed" and len(orders) != 1:
            raise ValueError('order="fixed" takes exactly one order')
        first = len(event.labels) if conditional else 0
        if any(set(one[:first]) != set(event.label_entries[:first]) for one in orders):
            raise ValueError("with conditional=True the labels must come first in each order")
        super().__init__(
            event,
            {
                "conditional": conditional,
                "order": order,
                "orders": orders,
                "any_share": any_share,
                "dropout": dropout,
                "learning_rate": learning_rate,
                "weight_decay": weight_decay,
                **sizes,
            },
        )
        self.labels = LabelMarginal(event) if conditional else None
        self._given = event.label_entries if conditional else ()
        self._targets = [i for i in range(len(event)) if i not in self._given]
        self.orders = [tuple(one) for one in orders]
        self.any_share = any_share if order == "any" else 0.0
        self.components = components
        causal = network("causal", event.layout)(event, output_sizes(event, components), width, hidden, layers, dropout)
        assert isinstance(causal, PrefixNetwork)
        self.network = causal

    # ------------------------------------------------------------------------------------------------------- learning

    def players(self) -> list[Player]:
        """One player: everything moves together."""
        return [
            Player(
                "model",
                list(self.parameters()),
                self.settings["learning_rate"],
                weight_decay=self.settings["weight_decay"],
            )
        ]

    def prepare(self, train: Batch, generator: torch.Generator) -> None:
        """Starts every conditional at its marginal: code frequencies, and components spread over the normal scores."""
        if self.labels is not None:
            self.labels.prepare(train)
        bias = [starting_outputs(self.event, i, train, self.components) for i in range(len(self.event))]
        with torch.no_grad():
            self.network.output_bias.copy_(torch.cat(bias))

    def forward(self, batch: Batch, player: str, generator: torch.Generator) -> Tensor:
        """The mean negative log-likelihood of a minibatch in nats, each record in an order of its own."""
        keys = self._training_keys(len(batch), generator)
        entries = self._targets
        if len(entries) > TARGETS:
            chosen = torch.randperm(len(entries), generator=generator, device=generator.device)[:TARGETS]
            entries = sorted(entries[k] for k in chosen.tolist())
        known = (batch.status == Status.OBSERVED) & ~self.event.unseen(batch.codes)
        embedded = self.network.embed(batch.codes, batch.values)
        before = (keys[:, None, :] < keys[:, entries, None]) & known[:, None, :]
        log_prob = self._conditionals(batch, torch.bmm(before.to(embedded), embedded), entries, generator)
        scale = len(self._targets) / len(entries) / len(batch)
        loss: Tensor = -(log_prob * known[:, entries]).sum() * scale
        return loss

    def validate(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """Negative log-likelihood (B,) of held-out records under the mixture of stored orders, in nats."""
        each = torch.stack([self._in_order(batch, order) for order in self.orders])
        return math.log(len(self.orders)) - torch.logsumexp(each, 0)

    def learner_state(self) -> Mapping[str, Tensor]:
        """Nothing besides the parameters."""
        return {}

    def load_learner_state(self, state: Mapping[str, Tensor]) -> None:
        """Nothing to load."""

    def _training_keys(self, size: int, generator: torch.Generator) -> Tensor:
        """Sort keys (size, E): entry j comes before entry i in a record's order where its key is smaller."""
        device = generator.device
        ranks = torch.tensor([_ranks(order) for order in self.orders], dtype=torch.float32, device=device)
        keys = ranks[torch.randint(len(ranks), (size,), generator=generator, device=device)]
        if self.any_share > 0:
            fresh = torch.rand(size, len(self.event), generator=generator, device=device)
            afresh = torch.rand(size, 1, generator=generator, device=device) < self.any_share
            keys = torch.where(afresh, fresh, keys)
            keys[:, list(self._given)] = -1.0
        return keys

    def _conditionals(
        self, batch: Batch, context: Tensor, entries: list[int], generator: torch.Generator | None = None
    ) -> Tensor:
        """log p(entry | context) (B, len(entries)) of observed states from contexts (B, len(entries), width)."""
        columns = []
        for t, raw in zip(entries, self.network.read(context, entries, generator), strict=True):
            conditional = EntryConditional(self.event, t, raw)
            columns.append(conditional.log_prob(batch.codes[:, t], batch.lower[:, t], batch.width[:, t]))
        return torch.stack(columns, 1)

    def _in_order(self, batch: Batch, order: tuple[int, ...]) -> Tensor:
        """log-probability (B,) of observed entries in one order; the others are left out of context and sum."""
        ranks = torch.tensor(_ranks(order), device=batch.codes.device)
        known = batch.status == Status.OBSERVED
        embedded = self.network.embed(batch.codes, batch.values) * known.unsqueeze(-1)
        total = batch.values.new_zeros(len(batch))
        for start in range(0, len(self._targets), TARGETS):
            entries = self._targets[start : start + TARGETS]
            before = (ranks[None, :] < ranks[entries, None]).to(embedded)
            log_prob = self._conditionals(batch, torch.einsum("te,beh->bth", before, embedded), entries)
            total = total + (log_prob * known[:, entries]).sum(1)
        return total

    # ---------------------------------------------------------------------------------------------------- the questions

    @torch.no_grad()
    def log_prob(self, batch: Batch, seed: int = 0) -> LogProb:
        """log p(x) in nats, in float64: exact, or an estimate where unknown entries are too many to be summed out.

        An entry that is unknown costs nothing when no evidence follows it in an order. Otherwise its states are
        enumerated, values on fine grids and real ones by quadrature; past `marginals.MOST_BRANCHES` combinations the
        sum is estimated by importance sampling with noise from hash(seed, record).

        Of a conditional model it is log p(entries | labels), or log sum_y p(y) p(entries | y) over labels that are
        unknown; NotSupported where these are numeric.
        """
        precise = copy.deepcopy(self).double().eval()
        batch = batch.to(dtype=torch.float64)
        if precise.labels is None:
            return precise._score(batch, seed)
        return precise.labels.summed(batch, lambda records: precise._score(records, seed))

    def _score(self, batch: Batch, seed: int) -> LogProb:
        """log-probabilities in float64, given the labels of a conditional model."""
        values = batch.values.new_zeros(len(batch))
        errors = torch.zeros_like(values)
        exact = True
        for status, rows in patterns(batch):
            part = batch.rows(rows)
            if not bool(status.any()):
                values[rows] = torch.cat([self._mixture(tile)[:kept] for tile, kept in padded(part, self._tile())])
                continue
            answer = Marginals(self.event, self.network, self.orders, self._given).log_prob(part, seed)
            values[rows], errors[rows] = answer.values, answer.standard_error
            exact = exact and answer.kind == "exact"
        shares = self.event.log_share(batch.hide(self._given))
        return LogProb(values + shares, "exact" if exact else "estimate", errors)

    def _tile(self) -> int:
        """Records scored at once: fewer for wide events, so that memory stays bounded."""
        return max(8, min(SCORE_TILE, 65536 // len(self.event)))

    def _mixture(self, batch: Batch) -> Tensor:
        each = torch.stack([self._in_order(batch, order) for order in self.orders])
        return torch.logsumexp(each, 0) - math.log(len(self.orders))

    @torch.no_grad()
    def sample(self, size: int, generator: torch.Generator) -> Batch:
        """`size` records, each drawn in one of the stored orders chosen at random."""
        self.eval()
        walker = Walker(self.event, self.network, self._given)
        chosen = torch.randint(len(self.orders), (size,), generator=generator, device=generator.device)
        parts, rows = [], []
        for m, order in enumerate(self.orders):
            mine = (chosen == m).nonzero().squeeze(1).cpu()
            for tile in mine.split(SAMPLE_TILE):
                nothing = self._with_labels(Batch.unknown(self.event, len(tile)).to(self._device), generator)
                parts.append(walker.walk(nothing, order, generator).batch)
                rows.append(tile)
        if not parts:
            return Batch.unknown(self.event, 0)
        return Batch.join(parts).rows(torch.argsort(torch.cat(rows)).to(self._device))

    @torch.no_grad()
    def conditional(self, evidence: Batch, draws: int, generator: torch.Generator) -> Draws:
        """`draws` records for each record of evidence.

        Exact where every draw comes after the evidence: always with `order="any"` and at most one restricted entry.
        Otherwise weighted candidates are resampled as they grow (sequential Monte Carlo), and the effective sample size
        is the smallest met on the way; DataError when it is too small to be trusted. Unknown labels of a conditional
        model are drawn first, by their frequencies and what the evidence says of them; numeric ones are weighted.
        """
        self.eval()
        walker = Walker(self.event, self.network, self._given)
        parts, rows, sizes = [], [], []
        evidence = evidence.to(device=self._device)
        for status, index in patterns(evidence):
            order = self.orders[0] if self.any_share == 0 else self._evidence_first(status)
            weighed = self._weighs_labels(status)
            exact = is_exact(status, tuple(i for i in order if i not in self._given))
            exact = exact and (not weighed or (self.labels is not None and self.labels.countable))
            particles = draws if exact else max(PARTICLES, 4 * draws)
            for tile in index.split(max(1, SAMPLE_TILE // particles)):
                part = evidence.rows(tile)
                if exact and weighed:
                    repeated = self._likely_labels(part, walker, order, draws, generator)
                else:
                    repeated = self._with_labels(part.repeat(particles), generator)
                walk = walker.walk(repeated, order, generator, None if exact else particles)
                if bool(torch.isneginf(walk.log_weight).view(len(tile), -1).all(1).any()):
                    raise DataError(
                        "the model gives the evidence no probability at all: widen it or leave part of it out"
                    )
                batch, size = walk.batch, torch.full((len(tile),), float(draws))
                if not exact:
                    batch, size = recombine(walk, particles, draws, generator)
                parts.append(batch)
                rows.append(tile)
                sizes.append(torch.full_like(size, torch.nan) if exact else size)
        if not parts:
            return Draws(Batch.unknown(self.event, 0))
        back = torch.argsort(torch.cat(rows).cpu())
        spread = (back.unsqueeze(1) * draws + torch.arange(draws)).flatten()
        effective = torch.cat(sizes)[back]
        batch = Batch.join(parts).rows(spread.to(self._device))
        return Draws(batch, None if bool(effective.isnan().all()) else effective.nan_to_num(float(draws)))

    def _weighs_labels(self, status: Tensor) -> bool:
        """Whether evidence of this pattern says something of labels that a conditional model is not given."""
        free = bool((status[list(self._given)] != Status.OBSERVED).any())
        return free and bool((status[self._targets] != Status.UNKNOWN).any())

    def _likely_labels(
        self, evidence: Batch, walker: Walker, order: tuple[int, ...], draws: int, generator: torch.Generator
    ) -> Batch:
        """Each record of evidence `draws` times, with labels drawn from p(labels | evidence)."""
        assert self.labels is not None
        records, owner, log_weight = self.labels.combinations(evidence, unseen=False)
        log_weight = log_weight + walker.walk(records, order, generator).log_weight
        counts = torch.bincount(owner, minlength=len(evidence))
        first = counts.cumsum(0) - counts
        table = torch.full((len(evidence), int(counts.max())), -torch.inf, dtype=log_weight.dtype, device=owner.device)
        table[owner, torch.arange(len(owner), device=owner.device) - first[owner]] = log_weight
        cumulative = torch.softmax(table, 1).nan_to_num(1.0).cumsum(1)
        uniform = torch.rand(len(evidence), draws, generator=generator, device=generator.device, dtype=torch.float64)
        picked = torch.searchsorted(cumulative, uniform.to(owner.device) * cumulative[:, -1:], right=True)
        return records.rows((first.unsqueeze(1) + torch.minimum(picked, counts.unsqueeze(1) - 1)).flatten())

    def _evidence_first(self, status: Tensor) -> tuple[int, ...]:
        """The first order with evidence first, behind the labels of a conditional model."""
        found = evidence_first(status, self.orders[0])
        return (*(i for i in found if i in self._given), *(i for i in found if i not in self._given))

    def _with_labels(self, batch: Batch, generator: torch.Generator) -> Batch:
        """The batch, with the unknown labels of a conditional model drawn by their frequencies."""
        return batch if self.labels is None else self.labels.completed(batch, generator)

    @property
    def _device(self) -> torch.device:
        return self.network.target.device


def _default_orders(event: Event, size: int, conditional: bool) -> list[list[int]]:
    """The given order, then random ones; labels last (they are then summed out for nothing), or given and so first."""
    entries, labels = len(event.entries), list(event.label_entries)
    noise = torch.Generator().manual_seed(entries)
    orders = [[*labels, *range(entries)] if conditional else list(range(len(event)))]
    tries = 0
    while len(orders) < size and tries < 20 * size:
        tries += 1
        drawn = torch.randperm(entries, generator=noise, device="cpu").tolist()
        order = [*labels, *drawn] if conditional else [*drawn, *labels]
        if order not in orders:
            orders.append(order)
    return orders


def _ranks(order: tuple[int, ...]) -> list[int]:
    ranks = [0] * len(order)
    for rank, i in enumerate(order):
        ranks[i] = rank
    return ranks
