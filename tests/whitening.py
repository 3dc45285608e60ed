"""The smallest family with latents, in closed form: principal components of values and codes, each of variance one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any
from unittest import mock

import torch
from torch import Tensor

from likewise.domains.domain import Domain
from likewise.estimators.generative import Generative
from likewise.events import Batch, Event, Status
from likewise.families.family import Family

NOTHING = 1e-6
"""Variances up to here are none: such a component is 0 for every record."""


class WhiteningFamily(Family):
    """x = mean + latent A, of values in model units and of codes as truth values; the latent is standard normal."""

    name = "whitening"

    def __init__(self, event: Event, *, components: int = 2) -> None:
        super().__init__(event, {"components": components})
        self.width = sum(self._sizes())
        for name, shape in (
            ("count", ()),
            ("total", (self.width,)),
            ("products", (self.width, self.width)),
            ("into", (self.width, components)),
            ("out_of", (components, self.width)),
        ):
            self.register_buffer(name, torch.zeros(shape, dtype=torch.float64))

    @property
    def latent_size(self) -> int:
        return int(self.settings["components"])

    def encode(self, batch: Batch) -> Tensor:
        return self._centred(batch) @ self.into

    def decode(self, latent: Tensor) -> Batch:
        x = self.total / self.count + latent.double() @ self.out_of
        codes = torch.zeros(len(x), len(self.event), dtype=torch.int64)
        values = torch.zeros(len(x), len(self.event), dtype=torch.float64)
        for i, part in enumerate(x.split(self._sizes(), dim=1)):
            entry = self.event.all[i]
            values[:, i] = part[:, 0]
            codes[:, i] = part[:, 1 : 1 + entry.code.size - (entry.unseen is not None)].argmax(1)
        return self.event.complete(codes, values)

    def prior_latent(self, size: int, generator: torch.Generator) -> Tensor:
        return torch.randn(size, self.latent_size, generator=generator, dtype=torch.float64)

    def sample(self, size: int, generator: torch.Generator) -> Batch:
        return self.decode(self.prior_latent(size, generator))

    def fit_closed_form(
        self, train: Batch, held_out: Batch, seed: int, *, partial: bool = False, seconds: float | None = None
    ) -> Mapping[str, Any]:
        x = self._vectors(train)
        self.count += len(x)
        self.total += x.sum(0)
        self.products += x.T @ x
        mean = self.total / self.count
        variances, axes = torch.linalg.eigh(self.products / self.count - mean[:, None] * mean)
        size = min(self.latent_size, self.width)
        variances, axes = variances.flip(0)[:size], axes.flip(1)[:, :size]
        spread = variances.clamp(min=NOTHING).sqrt() * (variances > NOTHING)
        self.out_of[:size] = (axes * spread).T
        self.into[:, :size] = axes * torch.where(spread > 0, 1 / spread, 0.0)
        return {}

    def _sizes(self) -> list[int]:
        return [1 + entry.code.size for entry in self.event.all]

    def _vectors(self, batch: Batch) -> Tensor:
        parts = []
        for i, entry in enumerate(self.event.all):
            parts += [batch.values[:, [i]].double()]
            parts += [torch.nn.functional.one_hot(batch.codes[:, i], entry.code.size).double()]
        return torch.cat(parts, 1)

    def _centred(self, batch: Batch) -> Tensor:
        known = batch.status == Status.OBSERVED
        weights = torch.cat(
            [known[:, [i]].expand(-1, 1 + entry.code.size) for i, entry in enumerate(self.event.all)], 1
        )
        return (self._vectors(batch) - self.total / self.count) * weights


class Whitening(Generative):
    """The estimator of the family."""

    family_name = "whitening"

    def __init__(
        self,
        *,
        components: int = 2,
        max_time: float | str | None = None,
        max_steps: int | None = None,
        validation_fraction: float = 0.1,
        random_state: Any = None,
        device: str = "auto",
        domain: Domain | None = None,
        checkpoint: Any = None,
        resume: bool = False,
        verbose: int = 0,
    ) -> None:
        self.components = components
        self.max_time = max_time
        self.max_steps = max_steps
        self.validation_fraction = validation_fraction
        self.random_state = random_state
        self.device = device
        self.domain = domain
        self.checkpoint = checkpoint
        self.resume = resume
        self.verbose = verbose

    @classmethod
    def family_class(cls) -> type[Family]:
        return WhiteningFamily

    def _settings(self) -> dict[str, Any]:
        return self._named_alike()


@contextmanager
def registered() -> Iterator[None]:
    """While it lasts, files may name the family."""
    from likewise.estimators import files, taxonomy

    longer = MappingProxyType({**taxonomy.ESTIMATORS, "whitening": (__name__, "Whitening")})
    with mock.patch.object(taxonomy, "ESTIMATORS", longer), mock.patch.object(files, "ESTIMATORS", longer):
        yield
