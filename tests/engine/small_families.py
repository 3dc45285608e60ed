"""The smallest modules that the engine can train, with answers in closed form."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from likewise.events import Batch, Categorical, Columns, Entry, Event, Real
from likewise.mathematics.monotone import MonotoneMap


@dataclass(frozen=True)
class Player:
    name: str
    parameters: list[nn.Parameter]
    learning_rate: float = 1e-2
    betas: tuple[float, float] = (0.9, 0.99)
    eps: float = 1e-8
    weight_decay: float = 0.0
    steps: int = 1
    late_steps: int | None = None
    ema_decay: float | None = None
    against: tuple[str, ...] = ()


class Small(nn.Module):
    """Shared by the families below: no learner state, nothing to prepare."""

    name: ClassVar[str] = "small"

    def __init__(self, **settings: Any) -> None:
        super().__init__()
        self.settings = settings

    def prepare(self, train: Batch, generator: torch.Generator) -> None:
        pass

    def learner_state(self) -> Mapping[str, Tensor]:
        return {}

    def load_learner_state(self, state: Mapping[str, Tensor]) -> None:
        assert not state


class Gaussian(Small):
    """Independent normal distributions; maximum likelihood is the mean and the standard deviation of the records."""

    def __init__(self, size: int = 2, learning_rate: float = 3e-2) -> None:
        super().__init__(size=size, learning_rate=learning_rate)
        self.mean = nn.Parameter(torch.zeros(size))
        self.log_scale = nn.Parameter(torch.zeros(size))

    def players(self) -> list[Player]:
        return [Player("model", [self.mean, self.log_scale], self.settings["learning_rate"])]

    def nll(self, batch: Batch) -> Tensor:
        z = (batch.values - self.mean) * torch.exp(-self.log_scale)
        return (0.5 * z**2 + self.log_scale + 0.5 * math.log(2 * math.pi)).sum(1)

    def forward(self, batch: Batch, player: str, generator: torch.Generator) -> Tensor:
        return self.nll(batch).mean()

    def validate(self, batch: Batch, generator: torch.Generator) -> Tensor:
        return self.nll(batch)


class Noisy(Gaussian):
    """A network of some size whose loss draws noise and whose learner remembers: all that a checkpoint must hold."""

    def __init__(self, size: int = 2, width: int = 32, learning_rate: float = 1e-2) -> None:
        super().__init__(size, learning_rate)
        self.network = nn.Sequential(nn.Linear(size, width), nn.SiLU(), nn.Linear(width, size))
        self.register_buffer("passes", torch.zeros((), dtype=torch.int64))
        self.memory = torch.zeros(4, size)
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for parameter in self.network.parameters():
                parameter.copy_(0.1 * torch.randn(parameter.shape, generator=generator))

    def players(self) -> list[Player]:
        return [Player("model", list(self.parameters()), self.settings["learning_rate"], weight_decay=1e-3)]

    def forward(self, batch: Batch, player: str, generator: torch.Generator) -> Tensor:
        noise = torch.randn(batch.values.shape, generator=generator)
        denoised = self.network(batch.values + noise) - batch.values
        self.memory = 0.9 * self.memory + 0.1 * noise[:1]
        self.passes += 1
        return self.nll(batch).mean() + denoised.square().mean() + 0.01 * (self.memory * self.mean).mean()

    def learner_state(self) -> Mapping[str, Tensor]:
        return {"memory": self.memory}

    def load_learner_state(self, state: Mapping[str, Tensor]) -> None:
        self.memory = state["memory"].clone()


class Duel(Small):
    """A generator g and a critic c with the losses g's: c (g - mean) + (g - mean)^2 / 2, c's: c^2 / 2 - c (g - mean).

    Its only equilibrium is g = mean of the records, c = 0. The critic takes two steps a turn.
    """

    name: ClassVar[str] = "duel"

    def __init__(self) -> None:
        super().__init__()
        self.generator = nn.Parameter(torch.tensor([3.0]))
        self.critic = nn.Parameter(torch.tensor([1.0]))
        self.turns: list[str] = []

    def players(self) -> list[Player]:
        return [Player("generator", [self.generator]), Player("critic", [self.critic], 2e-2, (0.0, 0.9), steps=2)]

    def forward(self, batch: Batch, player: str, generator: torch.Generator) -> Tensor:
        self.turns.append(player)
        gap = self.generator - batch.values[:, 0]
        if player == "generator":
            assert not self.critic.requires_grad
            return (self.critic * gap + 0.5 * gap**2).mean()
        assert not self.generator.requires_grad
        return (0.5 * self.critic**2 - self.critic * gap).mean()

    def validate(self, batch: Batch, generator: torch.Generator) -> Tensor:
        return (self.generator - batch.values[:, 0]) ** 2


def records(size: int, columns: int = 2, seed: int = 0) -> Batch:
    """Normal records with mean (1, 2, ..) and standard deviation (.5, 1, ..)."""
    generator = torch.Generator().manual_seed(seed)
    scale = 0.5 * torch.arange(1, columns + 1, dtype=torch.float64)
    values = 2 * scale + scale * torch.randn(size, columns, generator=generator, dtype=torch.float64)
    unit = Real(MonotoneMap.affine(0.0, 1.0))
    event = Event(Columns(), tuple(Entry(f"x{i}", Categorical(1), unit) for i in range(columns)))
    return event.complete(torch.zeros(size, columns, dtype=torch.int64), values)
