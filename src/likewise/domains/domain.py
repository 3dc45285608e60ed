"""What a domain is: a learned schema that turns records into batches and batches back into records."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, Protocol, Self

import numpy as np
import torch
from torch import Tensor

from likewise.events import Batch, Event, State

Blanks = Literal["missing", "unknown"]
"""What a blank cell means: observed to be missing, or a value nobody knows."""


class Source(Protocol):
    """Records that a domain has read, ready to be split; accepted wherever records are."""

    @property
    def names(self) -> tuple[str, ...]: ...

    def __len__(self) -> int: ...

    def rows(self, index: np.ndarray[Any, np.dtype[Any]]) -> Source:
        """The records at these positions."""
        ...


class Domain(ABC):
    """Records <-> batches. A fitted domain is plain data: JSON and tensors, saved with every model.

    Attributes
    ----------
    event : Event
        The shape of one encoded record, after `fit`.
    """

    name: ClassVar[str]
    event: Event

    @abstractmethod
    def read(self, records: Any) -> Source:
        """Records, read once and not yet learned from; raises DataError."""

    @abstractmethod
    def fit(self, records: Any, labels: Any = None) -> Self:
        """Learns the schema from training records only; raises DataError. Labels become label entries of the event."""

    @abstractmethod
    def encode(self, records: Any, labels: Any = None, *, blanks: Blanks = "missing") -> Batch:
        """Records of the learned schema as a float64 batch. Without `labels`, label entries are unknown."""

    @abstractmethod
    def decode(self, batch: Batch, generator: torch.Generator, *, given: Any = None) -> Any:
        """Records of the kind that `fit` saw: same columns, dtypes, categories, decimals.

        With `given`, evidence as `evidence` takes it, its single values stand in the records exactly as given; the
        batch then holds equally many records for each row of evidence, those of one in a row.
        """

    @abstractmethod
    def decode_labels(self, batch: Batch, generator: torch.Generator) -> Any:
        """The labels of a batch, in the kind that `fit` saw; DataError where there were none."""

    @abstractmethod
    def evidence(self, given: Mapping[str, Any] | Any) -> Batch:
        """Evidence from the user's words: a mapping column -> value, set or (low, high) gives one row; records with
        blanks give a row each, blank meaning unknown. Columns not named are unknown. Raises DataError."""

    @abstractmethod
    def labels_of(self, entry: int, states: Sequence[State]) -> list[Any]:
        """What the user calls states of an entry, in the words that `evidence` understands."""

    @abstractmethod
    def state(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """The fitted schema as JSON data and named tensors."""

    @classmethod
    @abstractmethod
    def restore(cls, description: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Self:
        """The inverse of `state`; ValueError, KeyError or TypeError on anything it did not write."""
