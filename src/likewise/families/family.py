"""What a family is: the small protocols through which every other room speaks to the mathematics.

A family is a `torch.nn.Module` built from an event and its own settings, both plain data, so that a stored model is
rebuilt without running anything from the file. It says what it can do by the protocols it implements.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from likewise.events import Batch, Event, Kind, State

Settings = dict[str, Any]
"""Hyper-parameters and learned structure as JSON data."""


class Family(nn.Module, ABC):
    """A distribution over the events of one shape.

    Subclasses take `(event, **settings)`, store both, and register every learned number as a parameter or buffer, so
    that `Class(event, **family.settings)` followed by `load_state_dict` gives the same distribution back. Building must
    cost no more memory than its tensors, and must work on the "meta" device.
    """

    name: ClassVar[str]

    kinds: ClassVar[tuple[Kind, ...]] = ()
    """Of a `Density`: what the scores of whole records may be. Those of partial ones may be estimates besides."""

    sampling: ClassVar[str]
    """How it samples, in a few words; so the two below say how under evidence, and how it learns."""

    answering: ClassVar[str] = "none"
    fitted_by: ClassVar[str]

    plainly: ClassVar[str] = ""
    """Of a `Borrower`: what it draws from without its own mathematics, in words that follow "with"."""

    def __init__(self, event: Event, settings: Settings) -> None:
        super().__init__()
        self.event = event
        self.settings = settings

    @abstractmethod
    def sample(self, size: int, generator: torch.Generator) -> Batch:
        """`size` fully observed records drawn from the model."""


def evenly(states: Sequence[Tensor], count: int) -> list[Tensor]:
    """`count` of the states, evenly spaced from the first to the last, some of them again where there are fewer.

    Examples
    --------
    >>> [int(state) for state in evenly([torch.tensor(k) for k in range(5)], 3)]
    [0, 2, 4]
    """
    last = len(states) - 1
    return [states[round(k * last / max(1, count - 1))] for k in range(count)][: max(count, 0)]


@dataclass(frozen=True)
class LogProb:
    """Log-probabilities of a batch: nats (B,) float64, their kind, and standard errors (B,)."""

    values: Tensor
    kind: Kind
    standard_error: Tensor


@dataclass(frozen=True)
class Draws:
    """Records drawn under evidence: `draws` in a row for each record of evidence.

    `effective_sample_size` (B,) is None where the draws are exact and independent.
    """

    batch: Batch
    effective_sample_size: Tensor | None = None


@runtime_checkable
class Density(Protocol):
    """A family whose records have a log-probability. Unknown entries are summed out, restricted ones summed over."""

    def log_prob(self, batch: Batch, seed: int = 0) -> LogProb:
        """Scores of a batch with any evidence; a record's score depends on that record and the seed alone."""
        ...


@runtime_checkable
class Conditional(Protocol):
    """A family that samples under evidence."""

    def conditional(self, evidence: Batch, draws: int, generator: torch.Generator) -> Draws:
        """`draws` fully observed records for each record of evidence; NotSupported where it cannot be done well."""
        ...


@dataclass(frozen=True)
class Question:
    """What is known of each record when something is asked.

    Attributes
    ----------
    evidence : Batch
    likelihoods : entry -> float64 (B, states)
        How well each state, as `Answering.states` counts them, agrees with what was noticed of an entry that is not
        observed; any positive multiple says the same.
    set_from_outside : tuple of int
        Observed entries that were set by somebody: they say nothing of what they usually depend on (Pearl 2000).
    """

    evidence: Batch
    likelihoods: Mapping[int, Tensor] = field(default_factory=dict)
    set_from_outside: tuple[int, ...] = ()


@runtime_checkable
class Answering(Protocol):
    """A family that says how probable each state of an entry is, given evidence."""

    def states(self, entry: int) -> list[State]:
        """The states of an entry that answers are about, those that no record had left out."""
        ...

    def posterior(self, question: Question, targets: Sequence[int]) -> list[Tensor]:
        """For each target the probabilities (B, states) of its states; DataError where the evidence is impossible."""
        ...

    def most_probable(self, question: Question, targets: Sequence[int]) -> tuple[Tensor, Tensor]:
        """The states (B, targets) that are jointly most probable, everything else summed out, and the log of their
        probability (B,) given the evidence."""
        ...


@runtime_checkable
class Approximating(Protocol):
    """An `Answering` family with other answers than its own, for those who ask for them by name."""

    approximations: ClassVar[tuple[str, ...]]

    def approximate_posterior(
        self, question: Question, targets: Sequence[int], method: str, draws: int, generator: torch.Generator
    ) -> list[Tensor]:
        """As `Answering.posterior`, by one of the `approximations`; `draws` are those for each row, where it draws."""
        ...


@runtime_checkable
class Latent(Protocol):
    """A family with a latent space of known prior: standard normal, unless the family says otherwise.

    A class keeps this protocol that has the three methods; `latent_size` may be a property or be set on instances.
    """

    @property
    def latent_size(self) -> int:
        """The number of latent coordinates, d."""
        ...

    def encode(self, batch: Batch) -> Tensor:
        """The latent coordinates of records, float64 (B, d); the same every time: posterior mean, or exact inverse."""
        ...

    def decode(self, latent: Tensor) -> Batch:
        """The records at latent coordinates (B, d), fully observed; the same every time: the most probable codes and
        the medians of values, or the exact inverse of `encode`."""
        ...

    def prior_latent(self, size: int, generator: torch.Generator) -> Tensor:
        """`size` points drawn from the prior, (size, d)."""
        ...

    @classmethod
    def __subclasshook__(cls, other: type) -> Any:
        # Python itself refuses to ask this of classes where a protocol has a property.
        if cls is not Latent:
            return NotImplemented
        return all(callable(getattr(other, name, None)) for name in ("encode", "decode", "prior_latent"))


@runtime_checkable
class Examined(Protocol):
    """A family of which something must be measured after every fit."""

    def examine(self, records: Batch) -> Mapping[str, float]:
        """Figures by name, measured on some records: they become a part of the record of the fit."""
        ...


@runtime_checkable
class Travelling(Protocol):
    """A family whose samples come out of noise step by step."""

    def journey(self, size: int, frames: int, generator: torch.Generator) -> list[Batch]:
        """`size` records at `frames` moments on their way, noise at the first and what `sample` draws at the last.

        Codes are those of the end throughout, values are in model units, of unit variance at every moment.
        """
        ...


@runtime_checkable
class Borrower(Protocol):
    """A family that stands on a factor, base or prior of another family, which is told beside what it made of it."""

    def sample_borrowed(self, size: int, generator: torch.Generator) -> Batch:
        """`size` records of the borrowed part alone."""
        ...


# ------------------------------------------------------------------------------------------------------------ learners


@runtime_checkable
class ClosedFormLearner(Protocol):
    """A family learned by counting, searching or expectation maximisation.

    The module is built unfitted, `fit_closed_form` finds structure and parameters (and writes what it found into
    `settings`), and leaves it fitted. `partial` adds records to what was counted before; after
    `seconds` a fit that goes on improving ends with the best it has.
    """

    def fit_closed_form(
        self, train: Batch, held_out: Batch, seed: int, *, partial: bool = False, seconds: float | None = None
    ) -> Mapping[str, Any]:
        """Learns from `train`; returns a JSON record of the fit (for the training log)."""
        ...


@dataclass(frozen=True)
class Player:
    """One optimiser's view of a family: which parameters it moves, and how.

    Attributes
    ----------
    learning_rate, betas, eps, weight_decay : of AdamW
    steps, late_steps : int, int or None
        Its turns in a step of the fit: before the cool-down, and in it (None: as many).
    ema_decay : float or None
        Of the average of its weights; None takes the plan's.
    against : names of players
        Those whose averaged weights stand in for their present ones while it takes its turns.
    """

    name: str
    parameters: list[nn.Parameter]
    learning_rate: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.99)
    eps: float = 1e-8
    weight_decay: float = 0.0
    steps: int = 1
    late_steps: int | None = None
    ema_decay: float | None = None
    against: tuple[str, ...] = ()


@runtime_checkable
class GradientLearner(Protocol):
    """A family learned by the loop of `likewise.engine`, which calls `module(batch, player, generator)`."""

    def players(self) -> list[Player]:
        """Who takes a step, in turn."""
        ...

    def forward(self, batch: Batch, player: str, generator: torch.Generator) -> Tensor:
        """The scalar loss of `player` on a minibatch (float32), in nats per record where that has a meaning."""
        ...

    def validate(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """A figure per held-out record (B,), lower is better; the engine keeps the weights of the best mean."""
        ...

    def prepare(self, train: Batch, generator: torch.Generator) -> None:
        """Initialises what depends on data (running scales, starting biases). Called once, before the first step."""
        ...

    def learner_state(self) -> Mapping[str, Tensor]:
        """What the learner must remember besides parameters and buffers (replay buffers, chains); may be empty."""
        ...

    def load_learner_state(self, state: Mapping[str, Tensor]) -> None: ...
