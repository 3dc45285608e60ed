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
Penalty = Literal["auto", "none", "r1", "r1r2", "gradient", "clip"]

CLIP = 0.01
"""The largest weight of a critic under `penalty="clip"` (Arjovsky et al. 2017, algorithm 1)."""


@dataclass(frozen=True)
class Game:
    """What each player minimises, as functions of the critic's numbers for real and generated packs."""

    critic: Callable[[Tensor, Tensor], Tensor]
    generator: Callable[[Tensor, Tensor], Tensor]


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
    "minimax": Game(_cross_entropy, _minimax),
    "nonsaturating": Game(_cross_entropy, _nonsaturating),
    "wasserstein": Game(_wasserstein_critic, _wasserstein),
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
