"""What a network makes of its parameters before it answers, kept for as long as these stay as they are."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Generic, TypeVar

from torch import nn

T = TypeVar("T")


class Prepared(nn.Module, ABC, Generic[T]):
    """A network that prepares for questions when the first is asked.

    What was prepared is no part of copies and files: they prepare it again.
    """

    def __init__(self) -> None:
        super().__init__()
        self._prepared: T | None = None

    @property
    def prepared(self) -> T:
        """What is prepared, of the present parameters."""
        if self._prepared is None:
            self._prepared = self._prepare()
        return self._prepared

    @abstractmethod
    def _prepare(self) -> T: ...

    def changed(self) -> None:
        """To be called when parameters have changed: what was prepared is forgotten."""
        self._prepared = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_prepared": None}

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        self.changed()
        super()._load_from_state_dict(*args, **kwargs)
