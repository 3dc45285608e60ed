"""The family of diffusion models: settings, learning to denoise, and the public questions."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from typing import Literal, get_args

import torch
from torch import Tensor

from likewise.errors import NotSupported
from likewise.events import Batch, Event, Quantised, Status
from likewise.families.dequantise import Dequantisation
from likewise.families.diffusion import evidence as under_evidence
from likewise.families.diffusion import latents, scores
from likewise.families.diffusion.codes import CodeReader, draw_codes
from likewise.families.diffusion.objective import losses
from likewise.families.family import Draws, Family, LogProb, Player, evenly
from likewise.families.labels import LabelMarginal, drawn_labels
from likewise.families.settings import (
    BELOW_ONE,
    NON_NEGATIVE,
    POSITIVE,
    POSITIVE_WHOLE,
    SHARE,
    check,
    number,
    one_of,
    whole,
)
from likewise.mathematics.samplers import Sampler, sampled, start
from likewise.mathematics.schedules import Prediction, Schedule, noise_schedule
from likewise.networks.denoiser import RecordDenoiser
from likewise.networks.roles import network

WIDTH, LEAST_WIDTH, MOST_WIDTH = 32, 96, 256
"""Of the network for each entry of an event, and in all: few columns need many steps rather than a large network."""

Likelihood = Literal["bound", "flow"]
Conditioning = Literal["learned", "inpainting"]
Denoising = Callable[[Tensor, Tensor | float], Tensor]

EXAMINED = 64
"""Records by which the error of going to the latents and back is measured, at most."""


class DiffusionFamily(Family):
    """p(x) = p(codes) p(values | codes): codes are uncovered one by one, values appear as noise is taken away.

    One network learns both. Codes are hidden in part and told from the others, the masked diffusion of Austin et al.
    (2021). Values, given the codes, get Gaussian noise of a level of `schedule`, and the network says `prediction` of
    them (Ho et al. 2020, algorithm 1; Karras et al. 2022). In a share of the training records some entries are hidden,
    or shown without noise, so that the network also answers for partial evidence.

    Parameters
    ----------
    event : Event
    schedule : "edm", "linear", "cosine" or "flow"
    noise_mean, noise_deviation : float
        Of the logarithm of the levels of "edm".
    prediction : "velocity", "noise" or "data"
    sampler : "heun", "ddpm", "ddim" or "dpm++"
    steps : int
        Levels that a sampler visits.
    likelihood : "bound" or "flow"
        Scores are variational bounds, or estimates along the probability flow.
    score_levels, score_draws : int
        Levels of noise, and at most as many numbers of hidden codes, that a bound is an average over; repetitions of
        it, by which its standard error is told.
    flow_steps : int
        Of fourth order, along the probability flow: of latents, and of scores with `likelihood="flow"`.
    evidence_share : float
        The share of training records of which a part is hidden or shown.
    conditioning, resamplings : "learned" or "inpainting", int
        How values under evidence are drawn; the turns of a step of inpainting.
    conditional : bool
        Learns p(entries | labels): labels are always shown, and are not scored.
    guidance, label_dropout : float
        How far a sample goes beyond what labels ask for (Ho and Salimans 2022, equation 6), and the share of training
        records of which labels are hidden for it.
    width, hidden, layers, dropout, bumps : of the network
        Without a width it is 32 for each entry, from 96 to 256; without `hidden`, twice the width.
    learning_rate, weight_decay, ema_decay : float
        Of AdamW, and of the average of weights.
    """

    name = "diffusion"
    kinds = ("bound", "estimate")
    sampling = "out of noise, step by step"
    answering = "the network is shown it"
    fitted_by = "denoising, by gradients"

    def __init__(
        self,
        event: Event,
        *,
        schedule: Schedule = "edm",
        noise_mean: float = -1.2,
        noise_deviation: float = 1.2,
        prediction: Prediction = "velocity",
        sampler: Sampler = "dpm++",
        steps: int = 32,
        likelihood: Likelihood = "bound",
        score_levels: int = 4,
        score_draws: int = 4,
        flow_steps: int = 24,
        evidence_share: float = 0.1,
        conditioning: Conditioning = "learned",
        resamplings: int = 5,
        conditional: bool = False,
        guidance: float = 0.0,
        label_dropout: float = 0.1,
        width: int | None = None,
        hidden: int | None = None,
        layers: int = 3,
        dropout: float = 0.0,
        bumps: int = 16,
        learning_rate: float = 2e-3,
        weight_decay: float = 0.0,
        ema_decay: float = 0.999,
    ) -> None:
        width = min(max(WIDTH * len(event), LEAST_WIDTH), MOST_WIDTH) if width is None else width
        sizes = {
            "steps": steps,
            "score_levels": score_levels,
            "score_draws": score_draws,
            "flow_steps": flow_steps,
            "resamplings": resamplings,
            "width": width,
            "hidden": 2 * width if hidden is None else hidden,
            "layers": layers,
        }
        check(one_of(*get_args(Schedule)), schedule=schedule)
        check(one_of(*get_args(Prediction)), prediction=prediction)
        check(one_of(*get_args(Sampler)), sampler=sampler)
        check(one_of(*get_args(Likelihood)), likelihood=likelihood)
        check(one_of(*get_args(Conditioning)), conditioning=conditioning)
        check(POSITIVE_WHOLE, **sizes)
        check(whole(2), bumps=bumps)
        check(number("a finite number", lambda value: True), noise_mean=noise_mean)
        check(POSITIVE, noise_deviation=noise_deviation, learning_rate=learning_rate)
        check(NON_NEGATIVE, guidance=guidance, weight_decay=weight_decay)
        check(SHARE, evidence_share=evidence_share)
        check(BELOW_ONE, dropout=dropout, ema_decay=ema_decay, label_dropout=label_dropout)
        super().__init__(
            event,
            {
                "schedule": schedule,
                "noise_mean": noise_mean,
                "noise_deviation": noise_deviation,
                "prediction": prediction,
                "sampler": sampler,
                "likelihood": likelihood,
                "evidence_share": evidence_share,
                "conditioning": conditioning,
                "conditional": conditional,
                "guidance": guidance,
                "label_dropout": label_dropout,
                "dropout": dropout,
                "bumps": bumps,
                "learning_rate": learning_rate,
                "weight_decay": weight_decay,
                "ema_decay": ema_decay,
                **sizes,
            },
        )
        self.steps, self.resamplings, self.flow_steps = steps, resamplings, flow_steps
        self.score_levels, self.score_draws = score_levels, score_draws
        self.likelihood, self.conditioning = likelihood, conditioning
        self.schedule = noise_schedule(schedule, noise_mean, noise_deviation)
        self.sampler, self.prediction, self._guidance = sampler, prediction, guidance if conditional else 0.0
        self.labels = LabelMarginal(event) if conditional else None
        self.given = list(event.label_entries) if conditional else []
        free = [i for i in range(len(event)) if i not in self.given]
        self.coded = [i for i in free if event.all[i].seen > 1]
        self.sure = [i for i in free if event.all[i].seen == 1 and event.all[i].unseen is not None]
        self.values = [i for i in event.value_entries if i not in self.given]
        self.reader = CodeReader(event)
        quantised = [v for v, i in enumerate(self.values) if isinstance(event.all[i].value, Quantised)]
        self.dequantisation = Dequantisation(quantised, len(self.values), "uniform", 0, width)
        found = network("denoiser", event.layout)(event, self.values, width, sizes["hidden"], layers, dropout, bumps)
        assert isinstance(found, RecordDenoiser)
        self.denoiser = found

    # -------------------------------------------------------------------------------------------------------- learning

    def players(self) -> list[Player]:
        """One player: the network."""
        settings = self.settings
        return [
            Player(
                "model",
                list(self.denoiser.parameters()),
                settings["learning_rate"],
                weight_decay=settings["weight_decay"],
                ema_decay=settings["ema_decay"],
            )
        ]

    def prepare(self, train: Batch, generator: torch.Generator) -> None:
        """Starts codes at their frequencies; values start at what a standard normal would be denoised to."""
        if self.labels is not None:
            self.labels.prepare(train)
        start = 0
        with torch.no_grad():
            for i, size in enumerate(self.event.code_sizes):
                counts = torch.bincount(train.codes[:, i], minlength=size).float() + 0.5
                self.denoiser.leave_codes.bias[start : start + size] = counts.log() - counts.log().mean()
                start += size

    def forward(self, batch: Batch, player: str, generator: torch.Generator) -> Tensor:
        """What `validate` measures, of a minibatch."""
        return losses(self, batch, self.settings["evidence_share"], generator).mean()

    def validate(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """The bound of codes in nats, and the squared error of what is told of values, of held-out records (B,)."""
        return losses(self, batch, 0.0, generator)

    def learner_state(self) -> Mapping[str, Tensor]:
        """Nothing besides the parameters."""
        return {}

    def load_learner_state(self, state: Mapping[str, Tensor]) -> None:
        """Nothing to load."""

    # ---------------------------------------------------------------------------------------------------- the network

    def logits(self, codes: Tensor, values: Tensor, known: Tensor, exact: Tensor) -> Tensor:
        """What the network says of codes given a context, beyond what labels ask for where there is guidance."""
        return self._guided([self.denoiser.codes(each) for each in self._contexts(codes, values, known, exact)])

    def seeing(self, records: Batch, known: Tensor, here: Tensor, exact: Tensor | None = None) -> Denoising:
        """The denoiser of the values `here` (B, V) of records with a context: a function of y and its level.

        By default no value is exact but those of labels that are given.
        """
        if exact is None:
            exact = torch.zeros_like(known)
            exact[:, self.given] = known[:, self.given]
        contexts = self._contexts(records.codes, records.values, known, exact)

        def denoise(y: Tensor, level: Tensor | float) -> Tensor:
            level = y.new_full((len(y),), level) if isinstance(level, float) else level
            path = self.schedule.path(level.unsqueeze(1))
            z = path.alpha * y
            said = self._guided([self.denoiser.values(each, z, here, level) for each in contexts])
            return path.clean(self.prediction, said, z)

        return denoise

    def _contexts(self, codes: Tensor, values: Tensor, known: Tensor, exact: Tensor) -> list[Tensor]:
        """The context (B, width); and for guidance, that without labels."""
        found = [self.denoiser.context(codes, values, known, exact)]
        if self._guidance:
            found.append(self.denoiser.context(codes, values, self._unlabelled(known), exact))
        return found

    def _guided(self, said: list[Tensor]) -> Tensor:
        """(1 + w) s(x | y) - w s(x) (Ho and Salimans 2022, equation 6)."""
        return said[0] if len(said) == 1 else said[0] + self._guidance * (said[0] - said[1])

    def _unlabelled(self, known: Tensor) -> Tensor:
        known = known.clone()
        known[:, self.given] = False
        return known

    def _precise(self) -> DiffusionFamily:
        """The model in double precision, and without guidance, under which nothing has a likelihood."""
        found = copy.deepcopy(self).double().eval()
        found._guidance = 0.0
        return found

    def known(self, batch: Batch) -> Tensor:
        """Entries (B, E) that the network is told: observed, and not in a state that training never showed."""
        return (batch.status == Status.OBSERVED) & ~self.event.unseen(batch.codes)

    # -------------------------------------------------------------------------------------------------- the questions

    @torch.no_grad()
    def log_prob(self, batch: Batch, seed: int = 0) -> LogProb:
        """log p in nats, in float64, with noise from hash(seed, record) and the standard error of its repetitions.

        By default bounds: of codes along a random order, of values in continuous time (Kingma et al. 2021). With
        `likelihood="flow"` the density of values is that of the probability flow, an estimate (Song et al. 2021). What
        the network says of partial records, having learned to, is an estimate too. With `conditional`, labels are not
        scored; unknown ones are summed over with their counted frequencies. Guidance is for samples: scores have none.
        """
        precise = self._precise()
        batch = batch.to(dtype=torch.float64)
        if self.labels is None:
            return scores.log_prob(precise, batch, seed)
        return self.labels.summed(batch, lambda records: scores.log_prob(precise, records, seed))

    @torch.no_grad()
    def sample(self, size: int, generator: torch.Generator) -> Batch:
        """`size` records: codes uncovered one by one, then values; labels as often as counted, where they are given."""
        self.eval()
        told = drawn_labels(self.event, self.labels, size, generator)
        return under_evidence.drawn(self, told, generator)[0]

    def draw_values(self, told: Batch, codes: Tensor, known: Tensor, generator: torch.Generator) -> Iterator[Tensor]:
        """Values (B, V) on their way, noise first, given all codes and the values of `told` that are `known` (B, E)."""
        present = self.event.present(codes)[:, self.values]
        here = present & ~known[:, self.values]
        shown = torch.ones_like(known)
        records = Batch(codes, told.values, told.lower, told.width, told.status)
        levels = self.schedule.levels(self.steps)
        noise = torch.randn(here.shape, generator=generator, device=generator.device).to(self.denoiser.centres)

        y = start(noise, float(levels[0]))
        yield y
        yield from sampled(self.sampler, self.seeing(records, shown, here, known), y, levels, generator)

    @torch.no_grad()
    def journey(self, size: int, frames: int, generator: torch.Generator) -> list[Batch]:
        """`size` records at `frames` moments on their way from noise to a sample, which is the last."""
        self.eval()
        told = drawn_labels(self.event, self.labels, size, generator)
        known = self.known(told)
        codes, _ = draw_codes(self, told, known, known, generator)
        scale = torch.rsqrt(1 + self.schedule.levels(self.steps) ** 2).tolist()
        states = [y * by for y, by in zip(self.draw_values(told, codes, known, generator), scale, strict=True)]
        found = []
        for state in evenly(states, frames):
            values = told.values.double().clone()
            values[:, self.values] = state.double()
            found.append(self.event.complete(codes, values))
        return found

    @torch.no_grad()
    def conditional(self, evidence: Batch, draws: int, generator: torch.Generator) -> Draws:
        """`draws` records for each record of evidence, see `evidence.py`.

        Raises
        ------
        DataError
            When too few candidates lie in the sets of the evidence to be trusted.
        """
        self.eval()

        def drawn(told: Batch, number: int) -> Draws:
            return under_evidence.conditional(self, told, number, generator)

        if self.labels is None:
            return drawn(evidence, draws)
        return self.labels.draws(evidence, draws, generator, self.log_prob, drawn)

    # -------------------------------------------------------------------------------------------------------- latents

    @property
    def latent_size(self) -> int:
        """One coordinate for each entry of which records had more than one code, then one for each value."""
        return len(self.coded) + len(self.values)

    @torch.no_grad()
    def encode(self, batch: Batch) -> Tensor:
        """Latents (B, d) of records: normal scores of codes in their conditionals, values along the probability flow.

        A code that is not known, such as a label, is put at its median, 0; values must be known.
        """
        for i in self.values:
            if bool((batch.status[:, i] != Status.OBSERVED).any()):
                raise NotSupported(f"a diffusion has no latents of records without {self.event.all[i].name!r}: give it")
        return latents.encode(self._precise(), batch.to(dtype=torch.float64))

    @torch.no_grad()
    def decode(self, latent: Tensor) -> Batch:
        """The records at latents (B, d); the inverse of `encode`.

        NotSupported where labels are given: a latent then says nothing of them.
        """
        if self.labels is not None:
            raise NotSupported("a model with conditional=True decodes latents only together with labels")
        return latents.decode(self._precise(), latent)

    def prior_latent(self, size: int, generator: torch.Generator) -> Tensor:
        """Latents (size, d) of records of the model: standard normal."""
        return torch.randn(size, self.latent_size, generator=generator, device=generator.device)

    @torch.no_grad()
    def examine(self, records: Batch) -> Mapping[str, float]:
        """The largest error, in model units, of going from values to the latents and back."""
        if not self.values or self.labels is not None:
            return {"round_trip_error": 0.0}
        records = records.rows(slice(0, EXAMINED))
        back = self.decode(self.encode(records))
        same = (back.codes == records.codes)[:, self.values]
        apart = (back.values - records.values.double()).abs()[:, self.values]
        return {"round_trip_error": float(torch.where(same, apart, 0.0).max())}
