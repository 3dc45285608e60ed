"""The losses of the two players, and the penalties that keep the critic smooth.

A critic gives a number to each pack of records: `real` (N,) and `fake` (N,) below. Every loss is minimised.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional as F

Loss = Literal["minimax", "nonsaturating", "wasserstein", "relativistic"]
Penalty = Literal["auto", "none", "r1", "r1r2", "gradient", "clip", "spectral"]

Judge = Callable[[Tensor], Tensor]
"""A critic as a function of features (N, pack * size), which gives numbers (N,)."""

CLIP = 0.01
"""The largest weight of a critic under `penalty="clip"` (Arjovsky et al. 2017, algorithm 1)."""

GAMMA_FALL, GAMMA_TURNS = 10.0, 2000
"""How far gamma falls, in the course of how many turns of the critic, under penalties r1 and r1r2."""

PENALISED = 4
"""Penalties r1 and r1r2 are estimated on one in so many packs: they cost two passes back."""


@dataclass(frozen=True)
class Game:
    """What each player minimises, as functions of the critic's numbers for real and generated packs.

    Where it is `zero_sum`, the generator's loss is the critic's with the opposite sign, without the part that does not
    depend on generated packs.
    """

    critic: Callable[[Tensor, Tensor], Tensor]
    generator: Callable[[Tensor, Tensor], Tensor]
    zero_sum: bool = False

    def ahead(self, real: Tensor, fake: Tensor) -> Tensor:
        """The generator's loss under a critic that depends on the generator: then no part of it may be left out."""
        return -self.critic(real, fake) if self.zero_sum else self.generator(real, fake)


def _cross_entropy(real: Tensor, fake: Tensor) -> Tensor:
    """-E log D(x) - E log(1 - D(G(z))), D the logistic function of the critic's number (Goodfellow et al. 2014, 1)."""
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def _minimax(real: Tensor, fake: Tensor) -> Tensor:
    """E log(1 - D(G(z))) (Goodfellow et al. 2014, equation 1)."""
    return -F.softplus(fake).mean()


def _nonsaturating(real: Tensor, fake: Tensor) -> Tensor:
    """-E log D(G(z)) (Goodfellow et al. 2014, section 3)."""
    return F.softplus(-fake).mean()


def _wasserstein_critic(real: Tensor, fake: Tensor) -> Tensor:
    """E f(G(z)) - E f(x), f a Lipschitz function (Arjovsky et al. 2017, equation 3)."""
    return fake.mean() - real.mean()


def _wasserstein(real: Tensor, fake: Tensor) -> Tensor:
    """-E f(G(z)) (Arjovsky et al. 2017, theorem 3)."""
    return -fake.mean()


def _relativistic_critic(real: Tensor, fake: Tensor) -> Tensor:
    """E softplus(-(f(x) - f(G(z)))), real and generated in pairs (Jolicoeur-Martineau 2018; Huang et al. 2025, 2)."""
    return F.softplus(fake - real).mean()


def _relativistic(real: Tensor, fake: Tensor) -> Tensor:
    """E softplus(-(f(G(z)) - f(x)))."""
    return F.softplus(real - fake).mean()


GAMES: dict[str, Game] = {
    "minimax": Game(_cross_entropy, _minimax, zero_sum=True),
    "nonsaturating": Game(_cross_entropy, _nonsaturating),
    "wasserstein": Game(_wasserstein_critic, _wasserstein, zero_sum=True),
    "relativistic": Game(_relativistic_critic, _relativistic),
}

USUAL: dict[str, Penalty] = {
    "minimax": "none",
    "nonsaturating": "none",
    "wasserstein": "gradient",
    "relativistic": "r1r2",
}
"""The penalty that `penalty="auto"` is, for each loss."""

assert set(GAMES) == set(get_args(Loss))


def gradient(numbers: Tensor, at: Tensor) -> Tensor:
    """The gradient (N, size) of each number at its own features, itself differentiable."""
    (found,) = torch.autograd.grad(numbers.sum(), at, create_graph=True)
    return found


def zero_centred(gradient: Tensor) -> Tensor:
    """E ||grad f||^2: R1 where the gradient is taken at real records, R2 at generated ones (Mescheder 2018, 9)."""
    return gradient.square().sum(1).mean()


def one_centred(gradient: Tensor) -> Tensor:
    """E (||grad f|| - 1)^2, taken on lines between real and generated records (Gulrajani et al. 2017, equation 3)."""
    return (gradient.square().sum(1).add(1e-12).sqrt() - 1).square().mean()


def between(real: Tensor, fake: Tensor, generator: torch.Generator) -> Tensor:
    """A point of the straight line between each real and each generated pack, uniformly at random."""
    share = torch.rand(len(real), 1, generator=generator, device=real.device).to(real)
    return real + share * (fake - real)


@dataclass(frozen=True)
class Criticism:
    """What the critic minimises: the loss of its game and the penalty of its gradient."""

    game: Game
    penalty: Penalty
    gamma: float

    def loss(self, judge: Judge, real: Tensor, fake: Tensor, turn: int, generator: torch.Generator) -> Tensor:
        """Of packs (N, pack * size) as features, in this turn of the critic."""
        size = len(real)
        numbers = judge(torch.cat([real, fake]))
        loss = self.game.critic(numbers[:size], numbers[size:])
        if self.penalty in ("r1", "r1r2"):
            part = -(-size // PENALISED)
            sides = (real, fake) if self.penalty == "r1r2" else (real,)
            at = torch.cat([side[:part] for side in sides]).requires_grad_()
            penalty = zero_centred(gradient(judge(at), at)) * len(sides)
            loss = loss + 0.5 * self.gamma * GAMMA_FALL ** -min(1.0, turn / GAMMA_TURNS) * penalty
        elif self.penalty == "gradient":
            middle = between(real, fake, generator).requires_grad_()
            loss = loss + self.gamma * one_centred(gradient(judge(middle), middle))
        return loss
