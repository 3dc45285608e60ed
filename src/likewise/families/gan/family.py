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
from likewise.families.family import Family, Player
from likewise.families.gan.calibration import Calibration
from likewise.families.gan.counted import Counted
from likewise.families.gan.emission import Codes, Emission, Start
from likewise.families.gan.losses import CLIP, GAMES, USUAL, Loss, Penalty, between, one_centred, zero_centred
from likewise.families.gan.monitor import NAMED, Monitor
from likewise.families.gan.pairs import PairCritic
from likewise.families.gan.presentation import Presentation
from likewise.mathematics.relaxation import gumbel
from likewise.networks.dense import DenseCritic
from likewise.networks.roles import network

SAMPLE_TILE = 8192
"""Candidates drawn at once."""

MONITORED = 4096
"""Generated records that a validation looks at."""

GAMMA_FALL, GAMMA_TURNS = 10.0, 2000
"""How far gamma falls, in the course of how many turns of the critic, under penalties r1 and r1r2."""

REFEREE_TURNS = 2
"""Turns of the referee in a step, once the fit cools down."""

COUNTED = 1 << 17
"""Training records that marginals and the start of the generator are counted in, at most."""

FAINT = 0.1
"""By how much the network is quieter at first than its initialisation, so that the start is what was counted."""

PENALISED = 4
"""Penalties r1 and r1r2 are estimated on one in so many packs: they cost two passes back."""

BUMPS = 16
"""Steps and bumps through which critic and referee see a value."""


class GANFamily(Family):
    """A distribution that is only sampled: a network's image of noise, learned from critics; no density exists.

    Three players take turns. The *generator* maps noise to codes and values, and the *critic* learns to tell them from
    real records, by one of the losses of `losses.py`. The *referee*, which learns while the fit cools down, is a plain
    classifier of the averaged generator against real records: when records are drawn, its odds pick one of `candidates`
    by importance (Rubin 1988; Azadi et al. 2019 reject by such odds). `candidates=1` is the generator alone.

    Parameters
    ----------
    event : Event
    loss : "minimax", "nonsaturating", "wasserstein" or "relativistic"
    penalty : "auto", "none", "r1", "r1r2", "gradient" or "clip"
        Of the critic's gradient with respect to its features, or the clipping of its weights. The weight of r1 and
        r1r2 is gamma / 2, and falls tenfold.
    gamma : float
        The weight of the penalty.
    pack : int
        Records that the critic judges together.
    codes, temperature : "straight_through" or "relaxed", float
        How gradients pass codes.
    start : "tree" or "marginals"
        What the generator does before it has learned: see `Emission`.
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

    def __init__(
        self,
        event: Event,
        *,
        loss: Loss = "relativistic",
        penalty: Penalty = "auto",
        gamma: float = 0.1,
        pack: int = 1,
        codes: Codes = "straight_through",
        temperature: float = 0.7,
        start: Start = "tree",
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
        if loss not in GAMES:
            raise ValueError(f"loss must be one of {', '.join(GAMES)}, not {loss!r}")
        if penalty not in get_args(Penalty):
            raise ValueError(f"penalty must be one of {', '.join(get_args(Penalty))}, not {penalty!r}")
        if codes not in get_args(Codes):
            raise ValueError(f"codes must be one of {', '.join(get_args(Codes))}, not {codes!r}")
        if start not in get_args(Start):
            raise ValueError(f"start must be one of {', '.join(get_args(Start))}, not {start!r}")
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
        for name, value in sizes.items():
            if type(value) is not int or value < 1:
                raise ValueError(f"{name} must be a positive whole number, not {value!r}")
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
        for name, rate in rates.items():
            if isinstance(rate, bool) or not isinstance(rate, int | float) or not rate >= 0:
                raise ValueError(f"{name} must be a number of at least 0, not {rate!r}")
        if not temperature > 0 or not max(ema_decay, beta1, beta2) < 1:
            raise ValueError("temperature must be positive, and ema_decay, beta1 and beta2 below 1")
        settings = {"loss": loss, "penalty": penalty, "codes": codes, "start": start, **sizes, **rates}
        super().__init__(event, settings)
        self.latent, self.candidates, self.pair_weight = latent, candidates, pair_weight
        self._game, self._penalty, self._gamma = GAMES[loss], USUAL[loss] if penalty == "auto" else penalty, gamma
        self._view = DenseView(event)
        self._presentation = Presentation(event, codes, temperature)
        self._pairs = PairCritic(event)
        self._turns = 0
        self._remarks: list[str] = []
        self.generator: nn.Module = network("generator", event.layout)(
            event, latent, width, layers, Emission.outputs(event)
        )
        critic = network("critic", event.layout)
        self.critic, self.referee = (
            critic(event, critic_width, critic_layers, BUMPS, pack),
            critic(event, critic_width, critic_layers, BUMPS, 1, 0.1),
        )
        self.emission = Emission(event, codes, temperature, start)
        self.calibration = Calibration(event)
        self.counted = Counted(event, codes, temperature, start)
        self.monitor = Monitor(event)

    # -------------------------------------------------------------------------------------------------------- learning

    def players(self) -> list[Player]:
        """Generator, critic, and a referee that sees the averaged generator, most of all while the fit cools down."""
        settings = self.settings
        beta = (settings["beta1"], settings["beta2"])
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
            late_steps=REFEREE_TURNS,
            against=("generator",),
        )
        return [*found, referee]

    def prepare(self, train: Batch, generator: torch.Generator) -> None:
        """Starts every code at its frequency, finds the quantiles of values and the bins of the monitor."""
        counted = train
        if len(train) > COUNTED:
            counted = train.rows(torch.randperm(len(train), generator=generator, device=generator.device)[:COUNTED])
        dense = self._presentation.spread(counted, generator)
        self.monitor.prepare(counted)
        self.counted.prepare(dense)
        self.calibration.load_state_dict(self.counted.calibration.state_dict())
        self.emission.load_state_dict(self.counted.emission.state_dict())
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
        self, size: int, generator: torch.Generator, hard: bool | None = None
    ) -> tuple[Tensor, dict[int, Tensor]]:
        """Records (size, view) of the generator, and their values before calibration."""
        noise = torch.randn(size, self.latent, generator=generator, device=generator.device)
        drawn: tuple[Tensor, dict[int, Tensor]] = self.emission(
            self.generator(noise).float(), self.calibration, generator, hard
        )
        return drawn

    def _critic_turn(self, real: Tensor, generator: torch.Generator) -> Tensor:
        critic = self._as_critic(self.critic)
        if self._penalty == "clip":
            with torch.no_grad():
                for parameter in critic.parameters():
                    parameter.clamp_(-CLIP, CLIP)
        with torch.no_grad():
            fake, _ = self._generate(len(real), generator)
            packs = critic.packed(real), critic.packed(fake)
        size = len(packs[0])
        numbers = critic.judge(torch.cat(packs), generator)
        loss = self._game.critic(numbers[:size], numbers[size:])
        if self._penalty in ("r1", "r1r2"):
            part = -(-size // PENALISED)
            sides = packs if self._penalty == "r1r2" else packs[:1]
            at = torch.cat([side[:part] for side in sides]).requires_grad_()
            penalty = zero_centred(_gradient(critic.judge(at, generator), at)) * len(sides)
            loss = loss + 0.5 * self._gamma * GAMMA_FALL ** -min(1.0, self._turns / GAMMA_TURNS) * penalty
        elif self._penalty == "gradient":
            middle = between(packs[0], packs[1], generator).requires_grad_()
            loss = loss + self._gamma * one_centred(_gradient(critic.judge(middle, generator), middle))
        self._turns += 1
        return loss

    def _generator_turn(self, real: Tensor, generator: torch.Generator) -> Tensor:
        critic = self._as_critic(self.critic)
        fake, raw = self._generate(len(real), generator)
        if self.training:
            self.calibration.update(fake.detach(), raw, real)
        with torch.no_grad():
            of_real = critic(real, generator)
        loss = self._game.generator(of_real, critic(fake, generator))
        if self.pair_weight > 0 and self._pairs.usable:
            loss = loss + self.pair_weight * self._pairs.loss(real, fake)
        return loss

    def _referee_turn(self, real: Tensor, generator: torch.Generator) -> Tensor:
        """Cross entropy of a classifier of calibrated records of the averaged generator against real ones."""
        with torch.no_grad():
            drawn, raw = self._generate(len(real), generator, hard=True)
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
        drawn = self._draw(MONITORED, 1, generator)
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

        Picking one of k candidates by odds r multiplies the density of a record x by k r(x) / (r(x) + the odds of the
        others), on average over these; of that the logarithm. The others are chosen among `drawn`, by the generator.
        """
        referee = self._as_critic(self.referee)
        odds = referee(self._presentation.spread(batch, generator).float(), generator).double().unsqueeze(1)
        pool = referee(drawn, generator).double()
        size = (len(batch), self.candidates - 1)
        others = pool[torch.randint(len(pool), size, generator=generator, device=generator.device)]
        return math.log(self.candidates) + torch.cat([odds, others], 1).log_softmax(1)[:, 0]

    def remarks(self) -> list[str]:
        """Names mode collapse where the last validation found it."""
        return self._remarks

    def learner_state(self) -> Mapping[str, Tensor]:
        """The moments of the critic of pairs, and how many turns the critic has taken."""
        return {**self._pairs.state(), "turns": torch.tensor(self._turns)}

    def load_learner_state(self, state: Mapping[str, Tensor]) -> None:
        self._turns = int(state["turns"])
        self._pairs.load({name: part for name, part in state.items() if name != "turns"})

    # -------------------------------------------------------------------------------------------------------- sampling

    @torch.no_grad()
    def sample(self, size: int, generator: torch.Generator) -> Batch:
        """`size` records, each chosen by the referee among candidates of its own: independent draws."""
        self.eval()
        tile = max(1, SAMPLE_TILE // self.candidates)
        sizes = [min(tile, size - start) for start in range(0, size, tile)]
        if not sizes:
            return Batch.unknown(self.event, 0)
        drawn = torch.cat([self._draw(part, self.candidates, generator) for part in sizes])
        codes, values = self._view.harden(drawn)
        return self.event.complete(codes, values)

    @torch.no_grad()
    def sample_borrowed(self, size: int, generator: torch.Generator) -> Batch:
        """`size` records of the start that was counted, before anybody learned."""
        self.eval()
        codes, values = self._view.harden(self.counted.draw(size, generator))
        return self.event.complete(codes, values)

    def _draw(self, size: int, candidates: int, generator: torch.Generator) -> Tensor:
        """Records (size, view) of the generator, each the referee's choice among candidates."""
        drawn, _ = self._generate(size * candidates, generator, hard=True)
        if candidates == 1:
            return drawn
        odds = self._as_critic(self.referee)(drawn).float().view(size, candidates)
        chosen = (odds + gumbel(odds, generator)).argmax(1)
        return drawn[chosen + candidates * torch.arange(size, device=drawn.device)]


def _gradient(numbers: Tensor, at: Tensor) -> Tensor:
    """The gradient (N, size) of each number at its own features, itself differentiable."""
    (found,) = torch.autograd.grad(numbers.sum(), at, create_graph=True)
    return found
