"""The last layer of the generator: entries are drawn one after another, each told what was drawn before."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import torch
from torch import Tensor, nn

from likewise.dense_view import DenseView
from likewise.events import Event
from likewise.families.gan.calibration import Calibration
from likewise.families.gan.states import States
from likewise.mathematics.relaxation import gumbel_softmax

Codes = Literal["straight_through", "relaxed"]
Start = Literal["tree", "marginals"]

BACK_OFF = 5.0
"""Training records' worth of the marginal in the conditionals that drawing starts from."""

LEAST_SPREAD, MOST_SPREAD = -5.0, 1.5
"""Of a value about its mean, logarithms."""

WIDEST = 128
"""Events of more entries are drawn at once: one after another would take too long."""


class Emission(nn.Module):
    """From the outputs of a network (B, outputs) to records in the dense view that gradients pass.

    Every entry adds a linear function of its soft states to the outputs of those that come after it: logits of codes,
    mean and logarithmic spread of values. Codes are Gumbel-softmax samples (Jang et al. 2017), a value is its mean plus
    noise of its spread. Order and first weights are those of the tree of Chow and Liu (1968), found by counting: the
    two players start where every entry depends on one other. With `conditional`, labels are not drawn but given: they
    come first, and are the roots of the tree.
    """

    def __init__(self, event: Event, codes: Codes, temperature: float, start: Start, conditional: bool = False) -> None:
        super().__init__()
        self.given = event.label_entries if conditional else ()
        self.view, self.states = DenseView(event), States(event)
        self.hard, self.temperature, self.start = codes == "straight_through", temperature, start
        self.values = [i for i, column in enumerate(self.view.value_columns) if column is not None]
        self.spreads = {i: self.view.size + v for v, i in enumerate(self.values)}
        self.size = self.outputs(event)
        self.told = len(event) <= WIDEST
        self.first_given = min((self._columns(i).start for i in self.given), default=self.view.size)
        self.rank = nn.Buffer(torch.tensor(self._in_turn(range(len(event)))).argsort().float())
        self.weight = nn.Parameter(torch.zeros(self.states.size if self.told else 0, self.size))

    @staticmethod
    def outputs(event: Event) -> int:
        """How many numbers the network gives: the dense view, and a spread for each value."""
        return DenseView(event).size + len(event.value_entries)

    def _columns(self, i: int) -> slice:
        """Where entry `i` stands in the dense view."""
        codes, value = self.view.code_columns[i], self.view.value_columns[i]
        return slice(codes.start, codes.stop + (value is not None))

    def _in_turn(self, order: Iterable[int]) -> list[int]:
        """The entries in this order, but for those that are given, which come first."""
        order = list(order)
        return [*(i for i in order if i in self.given), *(i for i in order if i not in self.given)]

    def forward(
        self,
        outputs: Tensor,
        calibration: Calibration,
        generator: torch.Generator,
        hard: bool | None = None,
        labels: Tensor | None = None,
    ) -> tuple[Tensor, dict[int, Tensor]]:
        """Records (B, view) and, for the calibration, the values as they were before it.

        Given `labels`, their part (B, L) of the dense view, are those of the records.
        """
        hard = self.hard if hard is None else hard
        assert (labels is None) == (not self.given)
        pieces: dict[int, Tensor] = {}
        raw: dict[int, Tensor] = {}
        for i in self.rank.argsort(stable=True).tolist():
            columns, column = self.view.code_columns[i], self.view.value_columns[i]
            codes = value = None
            if labels is not None and i in self.given:
                at = self._columns(i)
                pieces[i] = labels[:, at.start - self.first_given : at.stop - self.first_given]
                if self.told and at.stop > at.start:
                    codes = pieces[i][:, : columns.stop - columns.start] if columns.stop > columns.start else None
                    value = None if column is None else pieces[i][:, -1]
                    outputs = outputs + self.states.of_entry(i, codes, value) @ self.weight[self.states.slices[i]]
                continue
            if columns.stop > columns.start:
                logits = outputs[:, columns] + calibration.shift[columns]
                codes = gumbel_softmax(logits, self.temperature, hard, generator)
            if column is not None:
                spread = outputs[:, self.spreads[i]].clamp(LEAST_SPREAD, MOST_SPREAD).exp()
                noise = torch.randn(len(outputs), generator=generator, device=outputs.device).to(outputs)
                raw[i] = outputs[:, column] + spread * noise
                value = calibration.value(i, raw[i])
            shown = [] if codes is None else [codes]
            if value is not None:
                shown.append((value if codes is None else value * codes[:, 0]).unsqueeze(1))
            if not shown:
                continue
            pieces[i] = torch.cat(shown, 1)
            if self.told:
                outputs = outputs + self.states.of_entry(i, codes, value) @ self.weight[self.states.slices[i]]
        return torch.cat([pieces[i] for i in sorted(pieces)], 1), raw

    # ------------------------------------------------------------------------------------------------------- the start

    @torch.no_grad()
    def prepare(self, dense: Tensor) -> Tensor:
        """Takes up training records (n, view); the constant outputs (outputs,) that the network should start from."""
        first = dense.new_zeros(self.size)
        for i, columns in enumerate(self.view.code_columns):
            share = dense[:, columns].mean(0)
            first[columns] = torch.where(share > 0, (share + 1e-9).log(), 0.0)
            if i in self.spreads:
                mean, spread = self._moments_given(dense, i, torch.ones_like(dense[:, :1]))
                first[self.view.value_columns[i]], first[self.spreads[i]] = mean[0], spread[0]
        if self.start == "marginals" or not self.told:
            return first
        moments = self.states.moments(dense)
        parents, order = self._tree(moments, len(dense))
        self.rank.copy_(torch.argsort(torch.tensor(order)).float())
        self.weight.zero_()
        for child, parent in parents.items():
            of, given = self.states.slices[child], self.states.slices[parent]
            mass = moments[given, given].sum(1) * len(dense)
            columns = self.view.code_columns[child]
            if columns.stop > columns.start:
                together = self._codes_given(child, moments[given, of]) * len(dense)
                share = dense[:, columns].mean(0)
                conditional = (together + BACK_OFF * share) / (mass.unsqueeze(1) + BACK_OFF)
                self.weight[given, columns] = torch.where(share > 0, (conditional + 1e-9).log(), 0.0)
                first[columns] = 0.0
            if child in self.spreads:
                states = self.states.of(dense)[:, given]
                mean, spread = self._moments_given(dense, child, states)
                self.weight[given, self.view.value_columns[child]] = mean
                self.weight[given, self.spreads[child]] = spread
                first[self.view.value_columns[child]] = first[self.spreads[child]] = 0.0
        return first

    def _codes_given(self, child: int, together: Tensor) -> Tensor:
        """Moments (n, codes) of states of a parent with codes of a child: hats are added up to code 0."""
        if child not in self.spreads:
            return together
        hats = self.states.hats
        return torch.cat([together[:, :hats].sum(1, keepdim=True), together[:, hats:]], 1)

    def _moments_given(self, dense: Tensor, i: int, states: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and logarithmic spread (n,) of a value given each soft state of another entry, where it is present."""
        columns, column = self.view.code_columns[i], self.view.value_columns[i]
        assert column is not None
        value = dense[:, column]
        present = dense[:, columns.start] if columns.stop > columns.start else torch.ones_like(value)
        weight = states * present.unsqueeze(1)
        mass = weight.sum(0)
        total = present.sum().clamp(min=1e-9)
        centre = (value * present).sum() / total
        whole = ((value - centre).square() * present).sum() / total
        mean = (weight.t() @ value + BACK_OFF * centre) / (mass + BACK_OFF)
        square = (weight.t() @ value.square() + BACK_OFF * (whole + centre**2)) / (mass + BACK_OFF)
        variance = (square - mean.square()).clamp(min=1e-3)
        return mean, 0.5 * variance.log()

    def _tree(self, moments: Tensor, size: int) -> tuple[dict[int, int], list[int]]:
        """Parents in the tree of largest mutual information, and an order in which they come first."""
        entries = [i for i, part in enumerate(self.states.slices) if part.stop > part.start]
        share = moments.sum(1) / max(1, len(entries))
        found = {}
        for a in entries:
            for b in entries[: entries.index(a)]:
                found[a, b] = found[b, a] = self._information(moments, share, a, b, size)
        chosen: dict[int, int] = {}
        order = [i for i in entries if i in self.given]
        if entries and not order:
            order = [max(entries, key=lambda i: sum(found.get((i, j), 0.0) for j in entries))]
        while len(order) < len(entries):
            child, parent = max(
                ((i, j) for i in entries if i not in order for j in order), key=lambda edge: found[edge]
            )
            order.append(child)
            if found[child, parent] > 0:
                chosen[child] = parent
        return chosen, self._in_turn(order + [i for i in range(len(self.states.slices)) if i not in entries])

    def _information(self, moments: Tensor, share: Tensor, a: int, b: int, size: int) -> float:
        """Mutual information in nats of two entries, less what chance gives (Miller 1955)."""
        rows, columns = self.states.slices[a], self.states.slices[b]
        joint, p, q = moments[rows, columns], share[rows], share[columns]
        term = joint * ((joint + 1e-12).log() - (p.unsqueeze(1) * q + 1e-12).log())
        chance = (int((p > 0).sum()) - 1) * (int((q > 0).sum()) - 1) / (2 * size)
        return float(term.sum()) - chance
