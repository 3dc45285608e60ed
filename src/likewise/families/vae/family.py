"""The variational autoencoder: settings, learning by bounds of the likelihood, and the public questions."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import get_args

import torch
from torch import Tensor, nn

from likewise.errors import NotSupported
from likewise.events import Batch, Event, Status
from likewise.families.family import Draws, Family, LogProb, Player, Settings
from likewise.families.labels import LabelMarginal, drawn_labels
from likewise.families.settings import BELOW_ONE, NON_NEGATIVE, POSITIVE, POSITIVE_WHOLE, SHARE, WHOLE, check, one_of
from likewise.families.vae.bounds import Posterior, log_mean_exp, standard_noise
from likewise.families.vae.evidence import conditional
from likewise.families.vae.heads import Heads, Noise
from likewise.families.vae.hiding import hidden_entries
from likewise.families.vae.objective import negative_bound
from likewise.families.vae.priors import GaussianPrior, Prior, PriorName, prior_of
from likewise.families.vae.scores import bounds, log_weights
from likewise.networks.records import EntryEmbedding, RecordDecoder, RecordEncoder
from likewise.networks.roles import network

CONTEXT = 16
"""Numbers by which a prior is told labels."""

WATCHED = 50
"""Active dimensions are counted over at least so many records."""

VALIDATED = 4
"""Latents a held-out record in a validation, at least."""

EXAMINED = 8
"""Latents a record when a fitted model is examined."""

PRIOR_RATE, PRIOR_TURNS = 1e-2, 6
"""The learning rate of a learned prior, and its turns in a step of the cool-down: earlier, latents move too much."""

PRIOR_DECAY = 0.98
"""Of the average of its weights: short, since a prior follows latents that still move."""

SAMPLE_TILE = 8192


class VAEFamily(Family):
    """p(x) = integral of p(z) prod_i p(x_i | z), learned through q(z | x), a Gaussian whose parts a network tells.

    The bound of training is E_q[log p(x | z)] - beta KL(q || N(0, I)) (Kingma and Welling 2014; Higgins et al. 2017),
    or with `importance_samples` above one that of Burda et al. (2016). A share of the training records has a random
    part hidden, so that the encoder also answers for partial evidence.

    With another prior than the Gaussian one, a second player fits it to the latents of encoded records (two stages in
    one fit: Dai and Wipf 2019): scores and samples use it, `sample_borrowed` uses the Gaussian.

    Parameters
    ----------
    event : Event
    latent : int
        Dimensions of the latent space.
    prior : "gaussian", "mixture" or "flow"
    prior_components, prior_width, prior_layers : int
        Gaussians of the mixture; units of the networks of the flow, and its coupling layers.
    beta, free_bits, warmup : float, float, int
        Weight of the divergence; nats below which a dimension is not pushed to the prior; steps over which the weight
        grows from zero.
    importance_samples : int
        Latents a record in training; above one, the importance-weighted bound.
    doubly_reparameterised : bool
        Whether its gradients for the encoder are those of Tucker et al. (2019).
    score_importance_samples : int
        Latents a record in scores.
    noise : "learned" or "fixed"
        Values are logistic mixtures of `components`, or Gaussian with standard deviation `noise_scale` in model units:
        the decoder of the squared error.
    hidden_share : float
        The share of training records of which a part is hidden.
    conditional : bool
        Learns p(entries | labels): labels are told to encoder, decoder and prior, and are not scored.
    width, hidden, layers, dropout : size and regularisation of the networks
    learning_rate, weight_decay, ema_decay : float
        Of AdamW, and of the average of weights.
    """

    name = "vae"
    kinds = ("bound",)
    sampling = "one pass"
    answering = "importance, with effective sample size"
    fitted_by = "a bound of the likelihood, by gradients"
    plainly = "a plain Gaussian prior"

    def __init__(
        self,
        event: Event,
        *,
        latent: int = 16,
        prior: PriorName = "mixture",
        prior_components: int = 256,
        prior_width: int = 64,
        prior_layers: int = 6,
        beta: float = 0.6,
        free_bits: float = 0.0,
        warmup: int = 0,
        importance_samples: int = 1,
        doubly_reparameterised: bool = True,
        score_importance_samples: int = 64,
        noise: Noise = "learned",
        noise_scale: float = 0.1,
        components: int = 5,
        hidden_share: float = 0.1,
        conditional: bool = False,
        width: int = 128,
        hidden: int = 256,
        layers: int = 2,
        dropout: float = 0.0,
        learning_rate: float = 2e-3,
        weight_decay: float = 0.0,
        ema_decay: float = 0.999,
    ) -> None:
        sizes = {
            "latent": latent,
            "prior_components": prior_components,
            "prior_width": prior_width,
            "prior_layers": prior_layers,
            "importance_samples": importance_samples,
            "score_importance_samples": score_importance_samples,
            "components": components,
            "width": width,
            "hidden": hidden,
            "layers": layers,
        }
        settings: Settings = {
            **sizes,
            "prior": prior,
            "beta": beta,
            "free_bits": free_bits,
            "warmup": warmup,
            "doubly_reparameterised": doubly_reparameterised,
            "noise": noise,
            "noise_scale": noise_scale,
            "hidden_share": hidden_share,
            "conditional": conditional,
            "dropout": dropout,
            "learning_rate": learning_rate,
            "weight_decay": weight_decay,
            "ema_decay": ema_decay,
        }
        check(one_of(*get_args(PriorName)), prior=prior)
        check(one_of(*get_args(Noise)), noise=noise)
        check(POSITIVE_WHOLE, **sizes)
        check(WHOLE, warmup=warmup)
        check(NON_NEGATIVE, beta=beta, free_bits=free_bits, weight_decay=weight_decay)
        check(POSITIVE, noise_scale=noise_scale, learning_rate=learning_rate)
        check(BELOW_ONE, dropout=dropout, ema_decay=ema_decay)
        check(SHARE, hidden_share=hidden_share)
        super().__init__(event, settings)
        self._latent, self._samples, self._beta = latent, importance_samples, beta
        self._warmup, self._hidden_share = warmup, hidden_share
        self._turns, self._active = 0, latent
        self.labels = LabelMarginal(event) if conditional else None
        given = event.label_entries if conditional else ()
        self.heads = Heads(event, range(len(event) - len(given)), components, noise, noise_scale)
        encoder = network("encoder", event.layout)(event, 2 * latent, width, hidden, layers, dropout)
        sizes_of = (latent, self.heads.size, width, hidden, layers, dropout)
        decoder = network("decoder", event.layout)(event, *sizes_of, given)
        assert isinstance(encoder, RecordEncoder)
        assert isinstance(decoder, RecordDecoder)
        self.encoder, self.decoder = encoder, decoder
        self.gaussian = GaussianPrior()
        self.fitted = nn.Buffer(torch.zeros((), dtype=torch.bool))
        context = CONTEXT if conditional else 0
        learned = prior_of(prior, latent, prior_components, prior_width, prior_layers, context)
        self.learned: Prior | None = learned
        # What the prior is told of the labels.
        self.told = EntryEmbedding(event, given, CONTEXT) if conditional and learned is not None else None

    # ------------------------------------------------------------------------------------------------------- learning

    def players(self) -> list[Player]:
        """Encoder and decoder together; and the prior, which learns from the averaged encoder."""
        settings = self.settings
        rate, decay = settings["learning_rate"], settings["ema_decay"]
        parameters = [*self.encoder.parameters(), *self.decoder.parameters()]
        found = [Player("model", parameters, rate, weight_decay=settings["weight_decay"], ema_decay=decay)]
        if self.learned is not None:
            own = [*self.learned.parameters(), *(() if self.told is None else self.told.parameters())]
            found.append(
                Player(
                    "prior",
                    own,
                    PRIOR_RATE,
                    ema_decay=PRIOR_DECAY,
                    steps=0,
                    late_steps=PRIOR_TURNS,
                    against=("model",),
                )
            )
        return found

    def prepare(self, train: Batch, generator: torch.Generator) -> None:
        """Starts every head at its marginal."""
        with torch.no_grad():
            self.decoder.leave.bias.copy_(self.heads.starting_outputs(train))
            if self.labels is not None:
                self.labels.prepare(train)
            self.fitted.fill_(False)

    def forward(self, batch: Batch, player: str, generator: torch.Generator) -> Tensor:
        """The loss of a player on a minibatch, in nats a record."""
        known = self._known(batch)
        if player == "prior":
            with torch.no_grad():
                posterior = self._posterior(batch, known)
                latent = posterior.latent(standard_noise(posterior.mean.shape, generator))
            assert self.learned is not None
            if not bool(self.fitted):
                self.learned.start(latent)
                self.fitted.fill_(True)
            found: Tensor = self.learned.log_density(latent, self._context(batch))
            return -found.mean()
        shown = known & ~hidden_entries(len(batch), self.event, self._hidden_share, generator)
        weight = self._beta * (min(1.0, (self._turns + 1) / self._warmup) if self._warmup else 1.0)
        if self.training:
            self._turns += 1
        return negative_bound(self, batch, shown, weight, generator)

    def validate(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """What training makes small, of held-out records (B,), in nats, under the prior that samples are drawn from.

        With `beta` 1 it is the negative bound of the log-likelihood.
        """
        posterior = self._posterior(batch, self._known(batch))
        if len(batch) >= WATCHED:
            self._active = posterior.active_dimensions()
        noise = standard_noise((len(batch), max(VALIDATED, self._samples), self._latent), generator)
        log_weight = log_weights(self, batch, posterior, noise, self._beta, self.prior)
        # With one latent in training the figure is its evidence lower bound, less noisy for being a mean of several.
        return -(log_weight.mean(1) if self._samples == 1 else log_mean_exp(log_weight))

    @property
    def prior(self) -> Prior:
        """The prior of scores and samples: the learned one, once it has begun to learn."""
        return self.gaussian if self.learned is None or not bool(self.fitted) else self.learned

    @torch.no_grad()
    def examine(self, records: Batch) -> Mapping[str, float]:
        """Active dimensions, and the mean bound of the records in nats under the prior and under the Gaussian one."""
        precise = copy.deepcopy(self).double().eval()
        records = records.to(dtype=torch.float64)
        posterior = precise._posterior(records, precise._known(records))
        noise = standard_noise((len(records), EXAMINED, self._latent), torch.Generator().manual_seed(0)).double()
        found = {"active_dimensions": float(posterior.active_dimensions()) if len(records) > 1 else 0.0}
        for name, prior in (("bound", precise.prior), ("bound_with_gaussian_prior", precise.gaussian)):
            found[name] = float(log_mean_exp(log_weights(precise, records, posterior, noise, 1.0, prior)).mean())
        return found

    def remarks(self) -> list[str]:
        """How many latent dimensions are active, where it is half of them or less."""
        if self._active > self._latent / 2:
            return []
        told = f"{self._active} of {self._latent} latent dimensions are active"
        return [f"{told}: the posteriors of the others are the prior."]

    def learner_state(self) -> Mapping[str, Tensor]:
        """How many steps the weight of the divergence has grown for."""
        return {"turns": torch.tensor(self._turns)}

    def load_learner_state(self, state: Mapping[str, Tensor]) -> None:
        self._turns = int(state["turns"])

    def _known(self, batch: Batch) -> Tensor:
        """Entries (B, E) whose state the encoder is told: observed, and not one that training never showed."""
        return (batch.status == Status.OBSERVED) & ~self.event.unseen(batch.codes)

    def _posterior(self, batch: Batch, known: Tensor, generator: torch.Generator | None = None) -> Posterior:
        return Posterior.from_raw(_full(self.encoder(batch.codes, batch.values, known, generator)))

    def _decoded(self, latent: Tensor, batch: Batch, generator: torch.Generator | None = None) -> Tensor:
        """The outputs of the heads (N, size) at latents (N, d) of records."""
        return _full(self.decoder(latent, self._given(batch), generator))

    def _given(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor] | None:
        """What the decoder is told of the labels, nothing where it generates them."""
        return None if self.labels is None else (batch.codes, batch.values, self._known(batch))

    def _context(self, batch: Batch) -> Tensor | None:
        """What the prior is told of the labels, (B, C)."""
        if self.told is None:
            return None
        context: Tensor = self.told(batch.codes, batch.values, self._known(batch))
        return context

    # -------------------------------------------------------------------------------------------------- the questions

    @torch.no_grad()
    def log_prob(self, batch: Batch, seed: int = 0) -> LogProb:
        """Bounds of log p in nats, in float64, from `score_importance_samples` latents a record.

        On average over the noise, which comes from hash(seed, record), a bound lies below the truth, the closer the
        more latents (Burda et al. 2016). Whatever is unknown is hidden from the encoder and left out of the sum;
        given a latent, the probability of what is observed or restricted is exact. With `conditional`, the labels are
        not scored; unknown ones are summed over with their counted frequencies.
        """
        precise = copy.deepcopy(self).double().eval()
        batch = batch.to(dtype=torch.float64)
        if self.labels is None:
            return bounds(precise, batch, seed)
        return self.labels.summed(batch, lambda records: bounds(precise, records, seed))

    def sample(self, size: int, generator: torch.Generator) -> Batch:
        """`size` records: latents from the prior, then every entry from its head."""
        return self._sample(self.prior, size, generator)

    def sample_borrowed(self, size: int, generator: torch.Generator) -> Batch:
        """`size` records of the plain autoencoder, whose latents are standard normal."""
        return self._sample(self.gaussian, size, generator)

    @torch.no_grad()
    def _sample(self, prior: Prior, size: int, generator: torch.Generator) -> Batch:
        self.eval()
        parts = []
        for start in range(0, size, SAMPLE_TILE):
            labelled = drawn_labels(self.event, self.labels, min(SAMPLE_TILE, size - start), generator)
            latent = prior.draw(len(labelled), self._latent, generator, self._context(labelled))
            parts.append(self._emit(latent, labelled, generator))
        return Batch.join(parts) if parts else Batch.unknown(self.event, 0)

    def _emit(self, latent: Tensor, told: Batch, generator: torch.Generator) -> Batch:
        """Records drawn from the heads at latents (N, d), within their sets; what `told` observes stays."""
        return self.heads.draw(self._decoded(latent, told), told, generator)

    @torch.no_grad()
    def conditional(self, evidence: Batch, draws: int, generator: torch.Generator) -> Draws:
        """`draws` records for each record of evidence, by importance among latents or by sequential Monte Carlo.

        Raises
        ------
        DataError
            When too few latents carry weight to be trusted.
        NotSupported
            When the decoder is told numeric labels and the evidence does not say them.
        """
        precise = copy.deepcopy(self).double().eval()

        def drawn(told: Batch, number: int) -> Draws:
            return conditional(precise, told.to(dtype=torch.float64), number, generator)

        if self.labels is None:
            return drawn(evidence, draws)
        return self.labels.draws(evidence, draws, generator, self.log_prob, drawn)

    # -------------------------------------------------------------------------------------------------------- latents

    @property
    def latent_size(self) -> int:
        """Dimensions of the latent space."""
        return self._latent

    @torch.no_grad()
    def encode(self, batch: Batch) -> Tensor:
        """The means (B, d) float64 of the posteriors."""
        encoder = copy.deepcopy(self.encoder).double().eval()
        out: Tensor = encoder(batch.codes, batch.values.double(), self._known(batch))
        return out[:, : self._latent]

    @torch.no_grad()
    def decode(self, latent: Tensor) -> Batch:
        """The record at each latent (B, d): most probable codes, and medians of values in their cells.

        Raises
        ------
        NotSupported
            When the decoder is told labels: a latent then says nothing of them.
        """
        if self.labels is not None:
            raise NotSupported("a model with conditional=True decodes latents only together with labels")
        self.eval()
        raw = _full(self.decoder(latent.to(self.decoder.enter.weight.dtype)))
        found = [self.heads.entry(i, raw).most_probable() for i in range(len(self.event))]
        codes, values = (torch.stack([entry[k] for entry in found], 1) for k in range(2))
        return self.event.complete(codes, values)

    @torch.no_grad()
    def prior_latent(self, size: int, generator: torch.Generator) -> Tensor:
        """Latents (size, d) from the prior."""
        return self.prior.draw(
            size, self._latent, generator, self._context(drawn_labels(self.event, self.labels, size, generator))
        )


def _full(numbers: Tensor) -> Tensor:
    """In single precision at least: likelihoods need their digits."""
    return numbers if numbers.dtype == torch.float64 else numbers.float()
