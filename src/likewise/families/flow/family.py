"""The family of normalizing flows: settings, learning by maximum likelihood, scores, samples and latents."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from typing import get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from likewise.errors import NotSupported
from likewise.events import Batch, Event, Kind, Quantised, Status
from likewise.families.dequantise import Dequantisation
from likewise.families.dequantise import Kind as DequantisationKind
from likewise.families.family import Draws, Family, LogProb, Player, evenly
from likewise.families.flow.codes import CodeFactor
from likewise.families.flow.evidence import PartialRecords
from likewise.families.flow.layers import Architecture, composed
from likewise.families.labels import LabelMarginal, drawn_labels
from likewise.families.noise import record_noise
from likewise.families.settings import BELOW_ONE, NON_NEGATIVE, POSITIVE, POSITIVE_WHOLE, WHOLE, check, one_of, whole
from likewise.families.tiles import padded
from likewise.networks.base import Base, base_distribution
from likewise.networks.invertible import Composition
from likewise.networks.records import EntryEmbedding

SCORE_TILE = 128
"""Records scored together. Always the same number, so that a score never depends on its neighbours."""

SAMPLE_TILE = 16384


class FlowFamily(Family):
    """p(x) = p(codes) p(values | codes); the values are an invertible image of a simple distribution, given the codes.

    log p(values | codes) = log b(f(z)) + log |df/dz| for real values z in model units, exact. Values on a grid are
    dequantised, which makes it a bound. Values that are absent are invisible: no network sees them, no determinant
    counts them. The codes have a factor of their own, an autoregressive model (`CodeFactor`), exact too.

    Parameters
    ----------
    event : Event
    architecture : "spline", "realnvp" or "maf"
        Rational-quadratic spline couplings (Durkan et al. 2019), affine couplings (Dinh et al. 2017), or masked
        autoregressive layers (Papamakarios et al. 2017), the last over splines too.
    blocks : int
        Each is an invertible linear layer and two coupling layers (one masked layer).
    bins, bound : int, float
        Of splines.
    base : "normal", "student" or "mixture"
    base_components : int
        Of the mixture.
    dequantisation : "uniform" or "variational"
    width, layers, dropout, bumps : of the networks of the layers
    code_width, code_hidden, code_layers, code_dropout : of the factor of codes
    importance_samples : int
        Points of each cell that a score looks at; more are a tighter bound.
    conditional : bool
        Learns p(entries | labels): both factors are told the labels, which are not scored.
    learning_rate, weight_decay : float
        Of AdamW.
    """

    name = "flow"
    kinds = ("exact", "bound")
    sampling = "one pass"
    answering = "importance, with effective sample size"
    fitted_by = "maximum likelihood, by gradients"
    plainly = "its factor of codes and independent values"

    def __init__(
        self,
        event: Event,
        *,
        architecture: Architecture = "spline",
        blocks: int = 4,
        bins: int = 16,
        bound: float = 5.0,
        base: Base = "normal",
        base_components: int = 16,
        dequantisation: DequantisationKind = "uniform",
        width: int = 128,
        layers: int = 2,
        dropout: float = 0.1,
        bumps: int = 16,
        code_width: int = 128,
        code_hidden: int = 256,
        code_layers: int = 2,
        code_dropout: float = 0.1,
        importance_samples: int = 16,
        conditional: bool = False,
        learning_rate: float = 2e-3,
        weight_decay: float = 0.01,
    ) -> None:
        sizes = {
            "blocks": blocks,
            "bins": bins,
            "base_components": base_components,
            "width": width,
            "layers": layers,
            "code_width": code_width,
            "code_hidden": code_hidden,
            "code_layers": code_layers,
            "importance_samples": importance_samples,
        }
        check(one_of(*get_args(Architecture)), architecture=architecture)
        check(one_of(*get_args(Base)), base=base)
        check(one_of(*get_args(DequantisationKind)), dequantisation=dequantisation)
        check(whole(2), bins=bins)
        check(POSITIVE_WHOLE, **sizes)
        check(WHOLE, bumps=bumps)
        check(POSITIVE, bound=bound)
        check(BELOW_ONE, dropout=dropout, code_dropout=code_dropout)
        check(NON_NEGATIVE, learning_rate=learning_rate, weight_decay=weight_decay)
        super().__init__(
            event,
            {
                "architecture": architecture,
                "base": base,
                "dequantisation": dequantisation,
                "bound": bound,
                "bumps": bumps,
                "dropout": dropout,
                "code_dropout": code_dropout,
                "conditional": conditional,
                "learning_rate": learning_rate,
                "weight_decay": weight_decay,
                **sizes,
            },
        )
        self.importance_samples = importance_samples
        self.labels = LabelMarginal(event) if conditional else None
        given = event.label_entries if conditional else ()
        self.values = [i for i in event.value_entries if i not in given]
        size = len(self.values)
        self.codes = CodeFactor(event, code_width, code_hidden, code_layers, code_dropout, conditional)
        numeric = [i for i in given if event.all[i].value is not None]
        context = width if (self.codes.at or numeric) and size else 0
        # What numeric labels say besides their codes.
        self.told = EntryEmbedding(event, numeric, context) if numeric and context else None
        sizes_of_codes = [event.code_sizes[i] for i in self.codes.at]
        self._starts = [sum(sizes_of_codes[:k]) for k in range(len(sizes_of_codes))]
        self.embedding = nn.Parameter(0.3 * torch.randn(sum(sizes_of_codes) if context else 0, context))
        quantised = [v for v, i in enumerate(self.values) if isinstance(event.all[i].value, Quantised)]
        self.dequantisation = Dequantisation(quantised, size, dequantisation, context, width)
        self.flow: Composition | None = None
        if size:
            self.flow = composed(size, architecture, blocks, bins, bound, context, width, layers, dropout, bumps)
            self.base = base_distribution(base, size, base_components)

    # -------------------------------------------------------------------------------------------------------- learning

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
        """Starts codes at their frequencies; values start as independent normal scores, the identity map."""
        if self.labels is not None:
            self.labels.prepare(train)
        self.codes.prepare(train, generator)

    def forward(self, batch: Batch, player: str, generator: torch.Generator) -> Tensor:
        """The mean negative log-likelihood (or its bound) of a minibatch, in nats."""
        loss = self.codes.loss(batch, player, generator)
        if self.flow is not None:
            uniform = torch.rand(self._noise_shape(len(batch)), generator=generator, device=generator.device)
            loss = loss - self._values_log_prob(batch, uniform, generator).mean()
        return loss

    def validate(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """Negative log-likelihood (B,) of held-out records, or the bound with one point a cell, in nats."""
        uniform = torch.rand(self._noise_shape(len(batch)), generator=generator, device=generator.device)
        return self.codes.validate(batch, generator) - self._values_log_prob(batch, uniform)

    def learner_state(self) -> Mapping[str, Tensor]:
        """Nothing besides the parameters."""
        return {}

    def load_learner_state(self, state: Mapping[str, Tensor]) -> None:
        """Nothing to load."""

    @torch.no_grad()
    def examine(self, records: Batch) -> Mapping[str, float]:
        """The largest error, in normal scores and single precision, of going from values to the base and back."""
        if self.flow is None:
            return {"round_trip_error": 0.0}
        values, present = records.values[:, self.values].float(), self._present(records.codes)
        context = self._context(records.codes, records.values.float())
        back = self.flow.inverse(self.flow(values, present, context)[0], present, context)
        return {"round_trip_error": float((back - values).abs().max())}

    # ------------------------------------------------------------------------------------------------- values and codes

    def _noise_shape(self, size: int) -> tuple[int, int]:
        return size, len(self.dequantisation.quantised)

    def _context(self, codes: Tensor, values: Tensor) -> Tensor | None:
        """What layers are told (B, C) of codes (B, E), and of the values (B, E) of labels that are given."""
        if self.embedding.shape[1] == 0:
            return None
        total: Tensor = codes.new_zeros(()).to(self.embedding)
        if self.codes.at:
            starts = torch.tensor(self._starts, device=codes.device)
            total = F.embedding(codes[:, self.codes.at] + starts, self.embedding).sum(1) / math.sqrt(len(self._starts))
        if self.told is not None:
            total = total + self.told(codes, values, torch.ones_like(codes, dtype=torch.bool))
        return total

    def _present(self, codes: Tensor) -> Tensor:
        return self.event.present(codes)[:, self.values]

    def _values_log_prob(self, batch: Batch, uniform: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """log p(values | codes) (B,) in the user's units, at one point of each cell."""
        if self.flow is None:
            return batch.values.new_zeros(len(batch))
        at = self.values
        present, context = self._present(batch.codes), self._context(batch.codes, batch.values)
        values, lower, width = (part[:, at] for part in (batch.values, batch.lower, batch.width))
        z, log_q = self.dequantisation(values, lower, width, present, context, uniform)
        base, log_det = self.flow(z, present, context, generator)
        real = [v for v in range(len(at)) if v not in self.dequantisation.quantised]
        volume = torch.where(present[:, real], width[:, real], torch.ones_like(width[:, real])).log().sum(1)
        found: Tensor = self.base.log_prob(base, present) + log_det - log_q + volume
        return found

    # --------------------------------------------------------------------------------------------------- the questions

    @torch.no_grad()
    def log_prob(self, batch: Batch, seed: int = 0) -> LogProb:
        """log p(x) in nats, in float64: exact where every value is real, otherwise a bound with points of the cells.

        The bound is log mean p(z_k) / q(z_k | cell) over `importance_samples` points (Burda et al. 2016), with noise
        from hash(seed, record). Unknown codes without values are summed out; other partial records are estimated, see
        `PartialRecords`.
        """
        precise = copy.deepcopy(self).double().eval()
        batch = batch.to(dtype=torch.float64)
        if precise.labels is None:
            return precise._log_prob(batch, seed)
        return precise.labels.summed(batch, lambda records: precise._log_prob(records, seed))

    def _log_prob(self, batch: Batch, seed: int) -> LogProb:
        """log-probabilities in float64, given the labels of a conditional model."""

        def whole(records: Batch) -> tuple[Tensor, Tensor]:
            parts = [self._score(tile, seed, kept) for tile, kept in padded(records, SCORE_TILE)]
            values, errors = (torch.cat(part) for part in zip(*parts, strict=True))
            return values + self.codes.log_prob(records, seed), errors

        kind: Kind = "bound" if self.dequantisation.quantised else "exact"
        if not len(batch):
            return LogProb(batch.values.new_zeros(0), kind, batch.values.new_zeros(0))
        if batch.fully_observed:
            values, errors = whole(batch)
        else:
            values, errors, estimated = PartialRecords(self).log_prob(batch, seed, whole)
            kind = "estimate" if estimated else kind
        return LogProb(values, kind, errors)

    @torch.no_grad()
    def conditional(self, evidence: Batch, draws: int, generator: torch.Generator) -> Draws:
        """`draws` records for each record of evidence, see `PartialRecords`.

        Exact where only codes without values are known. Otherwise by importance, or by sequential Monte Carlo among
        latents, with the effective sample size; DataError where that is too small to be trusted.
        """
        precise = copy.deepcopy(self).double().eval()

        def drawn(told: Batch, number: int) -> Draws:
            return PartialRecords(precise).conditional(told.to(dtype=torch.float64), number, generator)

        if self.labels is None:
            return drawn(evidence, draws)
        return self.labels.draws(evidence, draws, generator, self.log_prob, drawn)

    def _score(self, tile: Batch, seed: int, kept: int) -> tuple[Tensor, Tensor]:
        if not self.dequantisation.quantised:
            values = self._values_log_prob(tile, tile.values.new_zeros(len(tile), 0))[:kept]
            return values, torch.zeros_like(values)
        count = self.importance_samples
        noise = record_noise(tile, seed, (count, len(self.dequantisation.quantised))).to(tile.values.device)
        each = torch.stack([self._values_log_prob(tile, noise[:, k]) for k in range(count)], 1)[:kept]
        level = torch.logsumexp(each, 1) - math.log(count)
        spread = torch.exp(each - level.unsqueeze(1)).var(1) if count > 1 else torch.zeros_like(level)
        return level, torch.sqrt(spread / count)

    @torch.no_grad()
    def sample(self, size: int, generator: torch.Generator) -> Batch:
        """`size` records: codes from their factor, then values; labels as they were counted, where they are given."""
        self.eval()
        told = drawn_labels(self.event, self.labels, size, generator)
        codes, values = self.codes.sample(told, generator), told.values.clone()
        if self.flow is not None:
            for start in range(0, size, SAMPLE_TILE):
                rows = slice(start, start + SAMPLE_TILE)
                base = self.base.sample(len(codes[rows]), generator)
                values[rows] += self._spread(self._values(codes[rows], told.values[rows].to(base), base))
        return self.event.complete(codes, values)

    @torch.no_grad()
    def sample_borrowed(self, size: int, generator: torch.Generator) -> Batch:
        """`size` records of the factor of codes alone: each value is drawn from its own column, whatever the others."""
        self.eval()
        told = drawn_labels(self.event, self.labels, size, generator)
        codes = self.codes.sample(told, generator)
        noise = torch.randn(size, len(self.values), generator=generator, device=generator.device)
        return self.event.complete(codes, told.values + self._spread(noise * self._present(codes)))

    @torch.no_grad()
    def journey(self, size: int, frames: int, generator: torch.Generator) -> list[Batch]:
        """`size` records at `frames` moments on their way through the layers, from the base to a sample."""
        self.eval()
        told = drawn_labels(self.event, self.labels, size, generator)
        codes, states = self.codes.sample(told, generator), [torch.zeros(size, len(self.values))]
        if self.flow is not None:
            present, context = self._present(codes), self._context(codes, told.values)
            base = self.base.sample(size, generator) * present
            states = [base, *self.flow.way_back(base, present, context)]
        return [self.event.complete(codes, told.values + self._spread(at)) for at in evenly(states, frames)]

    def _values(self, codes: Tensor, labels: Tensor, base: Tensor) -> Tensor:
        """Values (B, V) at points of the base, given codes (B, E) and the values (B, E) of labels that are given."""
        assert self.flow is not None
        present = self._present(codes)
        return self.flow.inverse(base * present, present, self._context(codes, labels))

    def _spread(self, values: Tensor) -> Tensor:
        """Values (B, E) at the places of their entries."""
        out = torch.zeros(len(values), len(self.event), dtype=torch.float64, device=values.device)
        out[:, self.values] = values.double()
        return out

    # --------------------------------------------------------------------------------------------------------- latents

    @property
    def latent_size(self) -> int:
        """One coordinate for each entry of which records had more than one code, then one for each value."""
        return len(self.codes.at) + len(self.values)

    @torch.no_grad()
    def encode(self, batch: Batch) -> Tensor:
        """Latents (B, d) of records: normal scores of codes in their conditionals, then the image of values.

        A code that is not known, such as a label, is put at its median, 0; values must be known.
        """
        unknown = batch.status != Status.OBSERVED
        for i in self.values:
            if bool(unknown[:, i].any()):
                raise NotSupported(f"a flow has no latents of records without {self.event.all[i].name!r}: give it")
        precise = copy.deepcopy(self).double().eval()
        codes, at = batch.codes.clone(), precise.codes.at
        latent, codes[:, at] = precise.codes.encode(codes[:, at], ~unknown[:, at])
        if precise.flow is None:
            return latent
        values = batch.values.double()
        present, context = precise._present(codes), precise._context(codes, values)
        return torch.cat([latent, precise.flow(values[:, precise.values], present, context)[0]], 1)

    @torch.no_grad()
    def decode(self, latent: Tensor) -> Batch:
        """The records at latents (B, d); the inverse of `encode`.

        NotSupported where labels are given: a latent then says nothing of them.
        """
        if self.labels is not None:
            raise NotSupported("a model with conditional=True decodes latents only together with labels")
        precise = copy.deepcopy(self).double().eval()
        latent = latent.double()
        count = len(self.codes.at)
        codes = torch.zeros(len(latent), len(self.event), dtype=torch.int64, device=latent.device)
        codes[:, precise.codes.at] = precise.codes.decode(latent[:, :count])
        values = torch.zeros(codes.shape, dtype=torch.float64, device=latent.device)
        if precise.flow is not None:
            values = precise._spread(precise._values(codes, values, latent[:, count:]))
        return self.event.complete(codes, values)

    def prior_latent(self, size: int, generator: torch.Generator) -> Tensor:
        """Latents (size, d) of records of the model: normal scores of codes, then draws of the base."""
        codes = torch.randn(size, len(self.codes.at), generator=generator, device=generator.device)
        return codes if self.flow is None else torch.cat([codes, self.base.sample(size, generator)], 1)
