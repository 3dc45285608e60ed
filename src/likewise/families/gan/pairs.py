"""A critic of pairs, solved in closed form: which two things stand together too rarely or too often."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from likewise.events import Event
from likewise.families.gan.states import MOST, States

REAL_MEMORY, FAKE_MEMORY = 0.995, 0.9
"""Decays of the moments, a turn."""

RARE = 2e-3
"""Added to the share of a state before its scale is taken."""


class PairCritic:
    """The quadratic critic f(x) = g(x)' (E_real[g g'] - E_generated[g g']) g(x) / 2 of standardised soft states g.

    It is the best critic among quadratic functions of bounded norm (moment matching, Li et al. 2015; feature matching,
    Salimans et al. 2016, section 3.1), so nothing is learned by gradients: both moments are running means.
    """

    def __init__(self, event: Event) -> None:
        self._states = States(event)
        self.usable = 2 <= self._states.size <= 2 * MOST
        self._moments: dict[str, Tensor] = {}

    def state(self) -> Mapping[str, Tensor]:
        """What it remembers."""
        return self._moments

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Remembers that."""
        self._moments = dict(state)

    def loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """-E f(generated), of dense views; takes both up into the moments."""
        seen = self._states.of(fake)
        with torch.no_grad():
            of_real, of_fake = self._states.of(real), seen.detach()
            self._track("real", of_real.t() @ of_real / len(of_real), REAL_MEMORY)
            self._track("fake", of_fake.t() @ of_fake / len(of_fake), FAKE_MEMORY)
            scale = (self._moment("real").diagonal() + RARE).rsqrt()
            gap = (self._moment("real") - self._moment("fake")) * scale * scale.unsqueeze(1)
        seen = seen * scale
        return -0.5 * ((seen @ gap) * seen).sum(1).mean()

    def _track(self, name: str, moment: Tensor, memory: float) -> None:
        if name not in self._moments:
            self._moments[name] = torch.zeros_like(moment)
            self._moments[f"{name}_weight"] = torch.zeros((), device=moment.device)
        self._moments[name].lerp_(moment, 1 - memory)
        self._moments[f"{name}_weight"].lerp_(torch.ones((), device=moment.device), 1 - memory)

    def _moment(self, name: str) -> Tensor:
        return self._moments[name] / self._moments[f"{name}_weight"]
