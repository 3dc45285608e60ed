"""What the loop asks of a family. Any `torch.nn.Module` with these methods can be trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from likewise.events import Batch


class Player(Protocol):
    """One optimiser's view of a module: which parameters it moves, and how."""

    @property
    def name(self) -> str: ...
    @property
    def parameters(self) -> list[nn.Parameter]: ...
    @property
    def learning_rate(self) -> float: ...
    @property
    def betas(self) -> tuple[float, float]: ...
    @property
    def eps(self) -> float: ...
    @property
    def weight_decay(self) -> float: ...
    @property
    def steps(self) -> int: ...
    @property
    def late_steps(self) -> int | None: ...
    @property
    def ema_decay(self) -> float | None: ...
    @property
    def against(self) -> Sequence[str]: ...


@runtime_checkable
class Learner(Protocol):
    """A module called as `module(batch, player_name, generator)`, which returns that player's loss.

    All randomness comes from the generator handed in (never from torch's global one): only then can an interrupted fit
    go on as if nothing had happened.
    """

    name: ClassVar[str]
    settings: dict[str, Any]

    def players(self) -> Sequence[Player]: ...

    def validate(self, batch: Batch, generator: torch.Generator) -> Tensor: ...

    def prepare(self, train: Batch, generator: torch.Generator) -> None: ...

    def learner_state(self) -> Mapping[str, Tensor]: ...

    def load_learner_state(self, state: Mapping[str, Tensor]) -> None: ...


@runtime_checkable
class Observer(Protocol):
    """A learner that sees more in a validation than a figure."""

    def remarks(self) -> Sequence[str]:
        """Sentences about the last validation that a person should read; none when there is nothing to tell."""
        ...
