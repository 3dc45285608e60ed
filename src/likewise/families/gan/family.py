"""The family of generative adversarial networks: settings, the turns of its players, and sampling."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from likewise.dense_view import DenseView
from likewise.events import Batch, Event
from likewise.families.family import Draws, Family, Player
from likewise.families.gan.calibration import Calibration, Marginals
from likewise.families.gan.choice import chosen
from likewise.families.gan.counted import Counted
from likewise.families.gan.emission import Codes, Emission, Start
from likewise.families.gan.evidence import conditional
from likewise.families.gan.given import GivenLabels
from likewise.families.gan.losses import CLIP, GAMES, USUAL, Criticism, Judge, Loss, Penalty
from likewise.families.gan.monitor import NAMED, Monitor
from likewise.families.gan.pairs import PairCritic
from likewise.families.gan.presentation import Presentation
from likewise.families.gan.unrolling import UNROLLED, Unrolling
from likewise.families.settings import BELOW_ONE, NON_NEGATIVE, POSITIVE, POSITIVE_WHOLE, WHOLE, check, one_of
from likewise.networks.dense import DenseCritic
from likewise.networks.roles import network

SAMPLE_TILE = 8192
"""Candidates drawn at once."""

MONITORED = 4096
"""Generated records that a validation looks at."""

REFEREE_TURNS = 2
"""Turns of the referee in a step, once the fit cools down."""

COUNTED = 1 << 17
"""Training records that marginals and the start of the generator are counted in, at most."""

FAINT = 0.1
"""By how much the network is quieter at first than its initialisation, so that the start is what was counted."""

BUMPS = 16
"""Steps and bumps through which critic and referee see a value."""

ROUNDS = 16
"""Of power iteration before the first turn, under penalty "spectral"; later one a turn."""


class GANFamily(Family):
    """A distribution that is only sampled: a network's image of noise, learned from critics; no density exists.

    Three players take turns. The *generator* maps noise to codes and values, and the *critic* learns to tell them from
    real records, by one of the losses of `losses.py`. The *referee*, which learns while the fit cools down, is a plain
    classifier of the averaged generator against real records: when records are drawn, its odds pick one of `candidates`
    by importance (Rubin 1988; Azadi et al. 2019 reject by such odds). `candidates=1` is the generator alone.

    With `conditional`, labels are no part of what is generated: generator, critic and referee are told them (Mirza and
    Osindero 2014), in training those of the real records, so that p(entries | labels) does not depend on how often a
    label stood among the records.

    Parameters
    ----------
    event : Event
    conditional : bool
        Whether to learn p(entries | labels); ValueError where there are no labels.
    loss : "minimax", "nonsaturating", "wasserstein" or "relativistic"
    penalty : "auto", "none", "r1", "r1r2", "gradient", "clip" or "spectral"
        Of the critic's gradient with respect to its features, or the clipping of its weights, or their spectral
        normalisation. The weight of r1 and r1r2 is gamma / 2, and falls tenfold.
    gamma : float
        The weight of the penalty.
    pack : int
        Records that the critic judges together.
    unroll : int
        Turns of the critic that the generator looks ahead, see `Unrolling`; 0 takes the critic as it is.
    codes, temperature : "straight_through" or "relaxed", float
        How gradients pass codes.
    start : "tree" or "marginals"
        What the generator does before it has learned: see `Emission`.
    marginals : "counted" or "learned"
        Where every column's own distribution comes from: see `Calibration`.
    pair_weight : float
        Of the closed-form critic of pairs, `PairCritic`, in the generator's loss.
    candidates : int
        Generated records that the referee chooses one from.
    latent, width, layers : int
        Of the generator.
    critic_width, critic_layers : int
        Of critic and referee.
    learning_rate, critic_learning_rate, beta1, beta2, eps : of AdamW
    critic_steps : int
        Turns of the critic in a step.
    ema_decay : float
        Of the averaged weights of the generator.
    """

    name = "gan"
    sampling = "one pass"
    answering = "rejection, with effective sample size"
    fitted_by = "two players, by gradients"
    plainly = "the counted start alone"

    def __init__(
        self,
        event: Event,
        *,
        conditional: bool = False,
        loss: Loss = "relativistic",
        penalty: Penalty = "auto",
        gamma: float = 0.1,
        pack: int = 1,
        unroll: int = 0,
        codes: Codes = "straight_through",
        temperature: float = 0.7,
        start: Start = "tree",
        marginals: Marginals = "counted",
        pair_weight: float = 1.0,
        candidates: int = 16,
        latent: int = 64,
        width: int = 256,
        layers: int = 2,
        critic_width: int = 256,
        critic_layers: int = 2,
        learning_rate: float = 2e-3,
        critic_learning_rate: float = 2e-3,
        beta1: float = 0.0,
        beta2: float = 0.99,
        eps: float = 1e-8,
        critic_steps: int = 1,
        ema_decay: float = 0.999,
    ) -> None:
        sizes = {
            "pack": pack,
            "candidates": candidates,
            "latent": latent,
            "width": width,
            "layers": layers,
            "critic_width": critic_width,
            "critic_layers": critic_layers,
            "critic_steps": critic_steps,
        }
        rates = {
            "gamma": gamma,
            "temperature": temperature,
            "pair_weight": pair_weight,
            "learning_rate": learning_rate,
            "critic_learning_rate": critic_learning_rate,
            "beta1": beta1,
            "beta2": beta2,
            "eps": eps,
            "ema_decay": ema_decay,
        }
        named = {"loss": loss, "penalty": penalty, "codes": codes, "start": start, "marginals": marginals}
        check(one_of(*get_args(Loss)), loss=loss)
        check(one_of(*get_args(Penalty)), penalty=penalty)
        check(one_of(*get_args(Codes)), codes=codes)
        check(one_of(*get_args(Start)), start=start)
        check(one_of(*get_args(Marginals)), marginals=marginals)
        check(POSITIVE_WHOLE, **sizes)
        check(WHOLE, unroll=unroll)
        check(POSITIVE, temperature=temperature)
        check(BELOW_ONE, beta1=beta1, beta2=beta2, ema_decay=ema_decay)
        check(NON_NEGATIVE, **rates)
        super().__init__(event, {"conditional": conditional, "unroll": unroll, **named, **sizes, **rates})
        self.latent, self.candidates, self.pair_weight = latent, candidates, pair_weight
        self._criticism = Criticism(GAMES[loss], USUAL[loss] if penalty == "auto" else penalty, gamma)
        # The referee also calibrates the averaged generator; where neither is asked for, it has no turns.
        self._refereed = candidates > 1 or marginals == "counted"
        self._bound = CLIP if penalty == "clip" else None
        self._unrolling = Unrolling(unroll, critic_learning_rate, beta2, eps, self._bound)
        self._view = DenseView(event)
        self._presentation = Presentation(event, codes, temperature, conditional)
        self.labels = GivenLabels(event, self._presentation) if conditional else None
        self._pairs = PairCritic(event)
        self._turns = 0
        self._remarks: list[str] = []
        critic = network("critic", event.layout)
        self.critic = critic(event, critic_width, critic_layers, BUMPS, pack, spectral=penalty == "spectral")
        self.referee = critic(event, critic_width, critic_layers, BUMPS, 1, 0.1)
        self.emission = Emission(event, codes, temperature, start, conditional)
        told = 0 if self.labels is None else self.labels.size
        self.generator: nn.Module = network("generator", event.layout)(
            event, latent + told, width, layers, Emission.outputs(event)
        )
        self.calibration = Calibration(event, marginals)
        self.counted = Counted(event, codes, temperature, start, conditional)
        self.monitor = Monitor(event)

    # -------------------------------------------------------------------------------------------------------- learning

    def players(self) -> list[Player]:
        """Generator, critic, and a referee that sees the averaged generator, most of all while the fit cools down."""
        settings = self.settings
        beta = (float(settings["beta1"]), float(settings["beta2"]))  # torch takes no whole numbers here
        rates = settings["learning_rate"], settings["critic_learning_rate"]
        steps, eps, decay = settings["critic_steps"], settings["eps"], settings["ema_decay"]
        found = [
            Player("critic", list(self.critic.parameters()), rates[1], beta, eps, steps=steps),
            Player(
                "generator",
                [*self.generator.parameters(), *self.emission.parameters()],
                rates[0],
                beta,
                eps,
                ema_decay=decay,
            ),
        ]
        referee = Player(
            "referee",
            list(self.referee.parameters()),
            1e-3,
            (0.9, 0.99),
            weight_decay=1e-2,
            ema_decay=0.99,
            steps=0,
            late_steps=REFEREE_TURNS if self._refereed else 0,
            against=("generator",),
        )
        return [*found, referee]

    def prepare(self, train: Batch, generator: torch.Generator) -> None:
        """Starts every code at its frequency, finds the quantiles of values and the bins of the monitor."""
        counted = train
        if len(train) > COUNTED:
            counted = train.rows(torch.randperm(len(train), generator=generator, device=generator.device)[:COUNTED])
        if self.labels is not None:
            self.labels.marginal.prepare(train)
        dense = self._presentation.spread(counted, generator)
        self.monitor.prepare(counted)
        self.counted.prepare(dense)
        self.calibration.load_state_dict(self.counted.calibration.state_dict())
        self.emission.load_state_dict(self.counted.emission.state_dict())
        self._as_critic(self.critic).iterate(ROUNDS)
        leave = self.generator.leave
        assert isinstance(leave, nn.Linear)
        with torch.no_grad():
            leave.bias.copy_(self.counted.outputs)
            leave.weight.mul_(FAINT)

    def forward(self, batch: Batch, player: str, generator: torch.Generator) -> Tensor:
        """The loss of a player on a minibatch."""
        real = self._presentation.real(batch, self.calibration.frequency, generator)
        if player == "critic":
            return self._critic_turn(real, generator)
        return self._generator_turn(real, generator) if player == "generator" else self._referee_turn(real, generator)

    def _generate(
        self, size: int, generator: torch.Generator, hard: bool | None = None, labels: Tensor | None = None
    ) -> tuple[Tensor, dict[int, Tensor]]:
        """Records (size, view) of the generator, with these labels if any, and their values before calibration."""
        noise = torch.randn(size, self.latent, generator=generator, device=generator.device)
        if labels is not None:
            noise = torch.cat([noise, labels.to(noise)], 1)
        drawn: tuple[Tensor, dict[int, Tensor]] = self.emission(
            self.generator(noise).float(), self.calibration, generator, hard, labels
        )
        return drawn

    def _labels_of(self, dense: Tensor) -> Tensor | None:
        """The labels (B, n) of dense views, where the model is conditional."""
        return None if self.labels is None else self.labels.of(dense)

    def _drawn_labels(self, size: int, generator: torch.Generator) -> Tensor | None:
        """Labels (size, n), as often as among the training records, where the model is conditional."""
        return None if self.labels is None else self.labels.draw(size, generator)

    def _critic_turn(self, real: Tensor, generator: torch.Generator) -> Tensor:
        critic = self._as_critic(self.critic)
        if self._bound is not None:
            with torch.no_grad():
                for parameter in critic.parameters():
                    parameter.clamp_(-self._bound, self._bound)
        if self.training:
            critic.iterate()
        with torch.no_grad():
            fake, _ = self._generate(len(real), generator, labels=self._labels_of(real))
            packs = critic.packed(real), critic.packed(fake)
        loss = self._criticism.loss(critic.judge, *packs, self._turns, generator)
        self._turns += 1
        return loss

    def _generator_turn(self, real: Tensor, generator: torch.Generator) -> Tensor:
        critic, game = self._as_critic(self.critic), self._criticism.game
        fake, raw = self._generate(len(real), generator, labels=self._labels_of(real))
        if self.training:
            self.calibration.update(fake.detach(), raw, real)
        if self._unrolling.steps:
            judge = self._critic_ahead(real, generator)
            loss = game.ahead(judge(critic.packed(real)), judge(critic.packed(fake)))
        else:
            with torch.no_grad():
                of_real = critic(real, generator)
            loss = game.generator(of_real, critic(fake, generator))
        if self.pair_weight > 0 and self._pairs.usable:
            loss = loss + self.pair_weight * self._pairs.loss(real, fake)
        return loss

    def _critic_ahead(self, real: Tensor, generator: torch.Generator) -> Judge:
        """The critic after turns against these real records and fresh generated ones, which gradients pass."""
        critic = self._as_critic(self.critic)
        packs = critic.packed(real)

        def loss(judge: Judge) -> Tensor:
            fake, _ = self._generate(len(real), generator, labels=self._labels_of(real))
            return self._criticism.loss(judge, packs, critic.packed(fake), self._turns, generator)

        return self._unrolling.critic(critic, loss)

    def _referee_turn(self, real: Tensor, generator: torch.Generator) -> Tensor:
        """Cross entropy of a classifier of calibrated records of the averaged generator against real ones."""
        with torch.no_grad():
            drawn, raw = self._generate(len(real), generator, hard=True, labels=self._labels_of(real))
            if self.training:
                self.calibration.update(drawn, raw, real)
        referee = self._as_critic(self.referee)
        numbers = referee(torch.cat([real, drawn]), generator)
        return F.softplus(-numbers[: len(real)]).mean() + F.softplus(numbers[len(real) :]).mean()

    @staticmethod
    def _as_critic(module: nn.Module) -> DenseCritic:
        assert isinstance(module, DenseCritic)
        return module

    def validate(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """Nats a held-out record: its composite code length, see `Monitor`, less what the referee saves.

        The code length is that under records of the generator alone, scaled so that every entry counts once.
        """
        labels = self._labels_of(self._presentation.spread(batch, generator).float())
        if labels is not None:
            labels = labels[torch.randint(len(batch), (MONITORED,), generator=generator, device=generator.device)]
        drawn = self._draw(MONITORED, 1, generator, labels)
        codes, values = self._view.harden(drawn)
        findings = self.monitor.judge(batch, codes, values)
        figures = findings.figures * len(self.event) / 2
        if self.candidates > 1:
            figures = figures - self._saved(batch, drawn, generator)
        self._remarks = []
        if findings.coverage < NAMED:
            first, second = (self.event.all[i].name for i in findings.worst)
            self._remarks.append(
                f"Mode collapse: the generator leaves out {1 - findings.coverage:.0%} of what held-out records hold, "
                f"most of all in {first!r}" + (f" with {second!r}." if second != first else ".")
            )
        return figures

    def _saved(self, batch: Batch, drawn: Tensor, generator: torch.Generator) -> Tensor:
        """By how much the referee shortens the code of held-out records (B,), in nats.

        See `log_preference`; the others are chosen among `drawn`, by the generator.
        """
        referee = self._as_critic(self.referee)
        odds = referee(self._presentation.spread(batch, generator).float(), generator)
        pool = referee(drawn, generator)
        size = (len(batch), self.candidates - 1)
        others = pool[torch.randint(len(pool), size, generator=generator, device=generator.device)]
        return math.log(self.candidates) + torch.cat([odds.unsqueeze(1), others], 1).double().log_softmax(1)[:, 0]

    def remarks(self) -> list[str]:
        """Names mode collapse where the last validation found it."""
        return self._remarks

    def learner_state(self) -> Mapping[str, Tensor]:
        """The moments of the critic of pairs and of unrolled turns, and how many turns the critic has taken."""
        return {**self._pairs.state(), **self._unrolling.state(), "turns": torch.tensor(self._turns)}

    def load_learner_state(self, state: Mapping[str, Tensor]) -> None:
        self._turns = int(state["turns"])
        self._unrolling.load(state)
        rest = {name: part for name, part in state.items() if name != "turns" and not name.startswith(UNROLLED)}
        self._pairs.load(rest)

    # -------------------------------------------------------------------------------------------------------- sampling

    @torch.no_grad()
    def sample(self, size: int, generator: torch.Generator) -> Batch:
        """`size` records, each chosen by the referee among candidates of its own: independent draws."""
        self.eval()
        if not size:
            return Batch.unknown(self.event, 0)
        return self.event.complete(*self._chosen(size, generator))

    def _chosen(self, size: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Codes and values (size, E) of records as `sample` draws them, values not yet in cells."""
        tile = max(1, SAMPLE_TILE // self.candidates)
        parts = [min(tile, size - start) for start in range(0, size, tile)]
        drawn = [self._draw(part, self.candidates, generator, self._drawn_labels(part, generator)) for part in parts]
        return self._view.harden(torch.cat(drawn))

    @torch.no_grad()
    def sample_borrowed(self, size: int, generator: torch.Generator) -> Batch:
        """`size` records of the start that was counted, before anybody learned."""
        self.eval()
        codes, values = self._view.harden(self.counted.draw(size, generator, self._drawn_labels(size, generator)))
        return self.event.complete(codes, values)

    def _draw(self, size: int, candidates: int, generator: torch.Generator, labels: Tensor | None) -> Tensor:
        """Records (size, view) of the generator, each the referee's choice among candidates."""
        labels = None if labels is None else labels.repeat_interleave(candidates, 0)
        drawn, _ = self._generate(size * candidates, generator, True, labels)
        if candidates == 1:
            return drawn
        odds = self._as_critic(self.referee)(drawn).float().view(size, candidates)
        return drawn[chosen(odds, generator) + candidates * torch.arange(size, device=drawn.device)]

    # -------------------------------------------------------------------------------------------------------- evidence

    @torch.no_grad()
    def conditional(self, evidence: Batch, draws: int, generator: torch.Generator) -> Draws:
        """`draws` records for each record of evidence, by rejection: see `rejection`, whose errors it raises.

        Labels of a conditional model that are observed are given to the generator; unknown ones are drawn with the
        records.
        """
        self.eval()
        return conditional(self, evidence, draws, generator)
