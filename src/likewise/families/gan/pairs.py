"""A critic of pairs, solved in closed form: which two things stand together too rarely or too often."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from likewise.events import DenseView, Event

HATS = 12
"""Hat functions of a value, spread over [-2.4, 2.4] normal scores."""

MOST = 1024
"""Features of a record, at most: beyond, the value of an entry has fewer hats, or none."""

REAL_MEMORY, FAKE_MEMORY = 0.995, 0.9
"""Decays of the moments, a turn."""

RARE = 2e-3
"""Added to the share of a feature before its scale is taken."""


class PairCritic:
    """The quadratic critic f(x) = g(x)' (E_real[g g'] - E_generated[g g']) g(x) / 2 on standardised features g.

    It is the optimal critic of the unit ball of quadratic functions (moment matching, Li et al. 2015; feature matching,
    Salimans et al. 2016, section 3.1), so nothing is learned by gradients: both moments are running means. Features are
    indicators of codes and hat functions of values.
    """

    def __init__(self, event: Event) -> None:
        self._view = DenseView(event)
        places = [i for i, column in enumerate(self._view.value_columns) if column is not None]
        self._values = [column for column in self._view.value_columns if column is not None]
        gates = [self._view.code_columns[i] for i in places]
        self._gates = [gate.start if gate.stop > gate.start else self._view.size for gate in gates]
        self._codes = [c for columns in self._view.code_columns for c in range(columns.start, columns.stop)]
        room = (MOST - len(self._codes)) // max(1, len(places))
        self._hats = min(HATS, room) if room >= 2 else 0
        self.usable = 2 <= len(self._codes) + self._hats * len(places) <= 2 * MOST
        self._state: dict[str, Tensor] = {}

    def state(self) -> Mapping[str, Tensor]:
        return self._state

    def load(self, state: Mapping[str, Tensor]) -> None:
        self._state = dict(state)

    def features(self, dense: Tensor) -> Tensor:
        codes = dense[:, self._codes]
        if not self._values or not self._hats:
            return codes
        centres = torch.linspace(-2.4, 2.4, self._hats, device=dense.device, dtype=dense.dtype)
        gap = 4.8 / (self._hats - 1)
        values = dense[:, self._values].clamp(-2.4, 2.4).unsqueeze(-1)
        hats = (1 - (values - centres).abs() / gap).clamp(min=0)
        present = torch.nn.functional.pad(dense, (0, 1), value=1.0)[:, self._gates].unsqueeze(-1)
        return torch.cat([codes, (hats * present).flatten(1)], 1)

    def loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """-E f(generated), of dense views; takes both up into the moments."""
        with torch.no_grad():
            of_real, of_fake = self.features(real), self.features(fake)
            self._track("real", of_real.t() @ of_real / len(of_real), REAL_MEMORY)
            self._track("fake", of_fake.t() @ of_fake / len(of_fake), FAKE_MEMORY)
            scale = (self._moment("real").diagonal() + RARE).rsqrt()
            gap = (self._moment("real") - self._moment("fake")) * scale * scale.unsqueeze(1)
        seen = self.features(fake) * scale
        return -0.5 * ((seen @ gap) * seen).sum(1).mean()

    def _track(self, name: str, moment: Tensor, memory: float) -> None:
        if name not in self._state:
            self._state[name] = torch.zeros_like(moment)
            self._state[f"{name}_weight"] = torch.zeros((), device=moment.device)
        self._state[name].lerp_(moment, 1 - memory)
        self._state[f"{name}_weight"].lerp_(torch.ones((), device=moment.device), 1 - memory)

    def _moment(self, name: str) -> Tensor:
        return self._state[name] / self._state[f"{name}_weight"]
