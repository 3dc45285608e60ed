"""What an energy is added to: simple distributions that answer exactly under any evidence, and slopes for chains."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn

from likewise.dense_view import DenseView
from likewise.events import Batch, Event, Status
from likewise.families.bayesian_network.discrete.network import DiscreteNetwork
from likewise.families.bayesian_network.family import BayesianNetworkFamily
from likewise.families.entry import EntryConditional
from likewise.families.rejection import as_given
from likewise.mathematics import categorical, truncated_normal
from likewise.mathematics.gaussians import Gaussian

BaseName = Literal["independent", "tree"]

CODE_PRIOR = 0.5
"""Pseudo-count of every code of an independent base."""


class Base(nn.Module, ABC):
    """A simple distribution of records, as families answer; and as chains see it.

    Chains walk among *points*: the columns of the dense view, with a value in every value column. The value of an entry
    whose code is not 0 is drawn from the standard normal and seen by nobody (a pseudo-prior, Carlin and Chib 1995), so
    that a code may change to 0 and back.
    """

    def __init__(self, event: Event) -> None:
        super().__init__()
        self.event, self.view = event, DenseView(event)

    @abstractmethod
    def prepare(self, train: Batch) -> None:
        """Counts fully observed training records."""

    @abstractmethod
    def sample(self, size: int, generator: torch.Generator) -> Batch:
        """`size` records."""

    @abstractmethod
    def log_prob(self, batch: Batch) -> Tensor:
        """Exact log-probabilities (B,) float64 of records with any evidence, in the user's units."""

    @abstractmethod
    def conditional(self, evidence: Batch, draws: int, generator: torch.Generator) -> Batch:
        """`draws` exact records for each record of evidence."""

    @abstractmethod
    def levels(self, codes: Tensor, values: Tensor) -> tuple[Tensor, list[Tensor]]:
        """The log-density of points (N,), and of each entry, up to a constant of each point, with each of its codes.

        Codes and values are (N, E), the latter also where the code is not 0. A code without probability has minus
        infinity.
        """

    @abstractmethod
    def redraw(self, i: int, codes: Tensor, values: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """A code and a value (N,) of entry `i` from its distribution given all others: a Gibbs step of the base."""


class Independent(Base):
    """Codes at their frequencies and values standard normal in model units, entry by entry."""

    def __init__(self, event: Event) -> None:
        super().__init__(event)
        sizes = event.code_sizes
        self.starts = [sum(sizes[:i]) for i in range(len(sizes))]
        self.logits = nn.Buffer(torch.zeros(sum(sizes), dtype=torch.float64))

    def prepare(self, train: Batch) -> None:
        for i, start in enumerate(self.starts):
            size = self.event.code_sizes[i]
            seen = train.codes[:, i][train.status[:, i] == Status.OBSERVED]
            counts = torch.bincount(seen, minlength=size).double() + CODE_PRIOR
            self.logits[start : start + size] = counts.log()

    def _of(self, i: int, size: int) -> EntryConditional:
        start, codes = self.starts[i], self.event.code_sizes[i]
        raw = self.logits[start : start + codes].double() if codes > 1 else self.logits.new_zeros(0).double()
        return EntryConditional(self.event, i, raw.expand(size, -1), lambda raw: Gaussian(raw.new_zeros(len(raw)), 1.0))

    def sample(self, size: int, generator: torch.Generator) -> Batch:
        return self.conditional(Batch.unknown(self.event, size), 1, generator)

    def log_prob(self, batch: Batch) -> Tensor:
        total = self.event.log_share(batch).double()
        for i in range(len(self.event)):
            for status in (Status.OBSERVED, Status.RESTRICTED):
                rows = (batch.status[:, i] == status).nonzero().squeeze(1)
                if not len(rows):
                    continue
                own = self._of(i, len(rows))
                if status == Status.OBSERVED:
                    parts = (batch.codes[rows, i], batch.lower[rows, i].double(), batch.width[rows, i].double())
                    total = total.index_add(0, rows, own.log_prob(*parts))
                else:
                    total = total.index_add(0, rows, own.log_set(batch.restrictions[i].rows(rows)))
        return total

    def conditional(self, evidence: Batch, draws: int, generator: torch.Generator) -> Batch:
        told = evidence.repeat(draws)
        codes, values = torch.zeros_like(told.codes), torch.zeros_like(told.values, dtype=torch.float64)
        for i in range(len(self.event)):
            noise = torch.rand(len(told), 3, generator=generator, device=generator.device, dtype=torch.float64)
            noise = noise.to(told.codes.device)
            restricted = told.status[:, i] == Status.RESTRICTED
            for rows, within in ((~restricted, None), (restricted, told.restrictions.get(i))):
                at = rows.nonzero().squeeze(1)
                if len(at):
                    allowed = None if within is None else within.rows(at)
                    codes[at, i], values[at, i] = self._of(i, len(at)).draw(noise[at], allowed)[:2]
        known = told.status == Status.OBSERVED
        codes = torch.where(known, told.codes, codes)
        return as_given(self.event.complete(codes, torch.where(known, told.values.double(), values)), told)

    def levels(self, codes: Tensor, values: Tensor) -> tuple[Tensor, list[Tensor]]:
        total = values.new_zeros(len(values))
        each = []
        for i, entry in enumerate(self.event.all):
            level = self._of(i, 1).log_codes.to(values).expand(len(codes), -1)
            total = total + level.gather(1, codes[:, [i]]).squeeze(1)
            each.append(_without_unseen(level, entry.unseen))
            if entry.value is not None:
                total = total + truncated_normal.log_density(values[:, i])
        return total, each

    def redraw(self, i: int, codes: Tensor, values: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        noise = torch.rand(len(codes), 3, generator=generator, device=generator.device, dtype=torch.float64)
        drawn = self._of(i, len(codes)).draw(noise.to(codes.device))[0]
        return drawn, _normal(values, generator)


class Tree(Base):
    """The tree of pairs that explains most (Chow and Liu 1968), counted: a Bayesian network of one parent a column.

    Parameters
    ----------
    event : Event
    network : dict or None
        What was learned, as `BayesianNetworkFamily` describes it.
    """

    def __init__(self, event: Event, network: Mapping[str, Any] | None) -> None:
        super().__init__(event)
        self.model = self._family(None if network is None else dict(network))
        self._tables: list[Tensor] = []

    def _family(self, network: dict[str, Any] | None) -> BayesianNetworkFamily:
        return BayesianNetworkFamily(
            self.event, structure="chow_liu", conditionals="trees", max_parents=1, network=network
        )

    @property
    def description(self) -> dict[str, Any] | None:
        """What was learned, as JSON data."""
        found: dict[str, Any] | None = self.model.settings["network"]
        return found

    @property
    def _network(self) -> DiscreteNetwork:
        assert isinstance(self.model.network, DiscreteNetwork)
        return self.model.network

    def prepare(self, train: Batch) -> None:
        self.model = self._family(None)
        self.model.fit_closed_form(train.to(dtype=torch.float64), train.rows(slice(0, 0)), 0)
        self._tables = []

    def sample(self, size: int, generator: torch.Generator) -> Batch:
        return self._network.sample(size, generator)

    def log_prob(self, batch: Batch) -> Tensor:
        return self._network.log_prob(batch)

    def conditional(self, evidence: Batch, draws: int, generator: torch.Generator) -> Batch:
        return self._network.conditional(evidence, draws, generator)

    def levels(self, codes: Tensor, values: Tensor) -> tuple[Tensor, list[Tensor]]:
        network, event = self._network, self.event
        tables = [table.to(codes.device) for table in self._log_tables()]
        states, bins, within = codes.clone(), codes.clone(), torch.zeros_like(values)
        normal = values.new_zeros(len(values))
        for i in event.value_entries:
            own = network.nodes.of(i)
            assert own is not None
            grain = own.grain(values[:, i])
            bins[:, i] = own.owner()[grain]
            within[:, i] = (own.log_weights() - own.log_masses()).to(values)[grain]
            states[:, i] = torch.where(codes[:, i] == 0, bins[:, i], codes[:, i] + own.size - 1)
            normal = normal + truncated_normal.log_density(values[:, i])
        total, each = normal, []
        children = self._children()
        for i, entry in enumerate(event.all):
            # The states that codes stand for: the value's own bin, then those of atoms.
            possible = torch.arange(entry.code.size, device=codes.device).expand(len(codes), -1)
            if entry.value is not None:
                own = network.nodes.of(i)
                assert own is not None
                possible = torch.cat([bins[:, [i]], possible[:, 1:] + own.size - 1], 1)
            parents = network.parents[i]
            above = states[:, parents[0]] if parents else torch.zeros_like(states[:, i])
            level = tables[i][above.unsqueeze(1), possible]
            if entry.value is not None:
                level = torch.cat([level[:, :1] + within[:, [i]], level[:, 1:]], 1)
            total = total + level.gather(1, codes[:, [i]]).squeeze(1)
            for child in children[i]:
                level = level + tables[child][possible, states[:, [child]]]
            each.append(_without_unseen(level, entry.unseen))
        return total, each

    def redraw(self, i: int, codes: Tensor, values: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        network, tables = self._network, [table.to(codes.device) for table in self._log_tables()]
        parents = network.parents[i]
        above = self._states(parents[0], codes, values) if parents else torch.zeros_like(codes[:, i])
        level = tables[i][above]
        for child in self._children()[i]:
            level = level + tables[child].t()[self._states(child, codes, values)]
        unseen = network.nodes.unseen(i)
        if unseen is not None:
            level = level.index_fill(1, torch.tensor([unseen], device=level.device), -torch.inf)
        states, own = sample_logits(level, generator), network.nodes.of(i)
        if own is None:
            return states, values[:, i]
        present = states < own.size
        within = own.draw(states.clamp(max=own.size - 1), generator).to(values)
        code = torch.where(present, 0, states - own.size + 1)
        return code, torch.where(present, within, _normal(values, generator))

    def _states(self, i: int, codes: Tensor, values: Tensor) -> Tensor:
        """The states (N,) of the node of entry `i`."""
        own = self._network.nodes.of(i)
        if own is None:
            return codes[:, i]
        return torch.where(codes[:, i] == 0, own.bin(values[:, i]), codes[:, i] + own.size - 1)

    def _children(self) -> list[list[int]]:
        parents = self._network.parents
        return [[child for child, above in enumerate(parents) if i in above] for i in range(len(parents))]

    def _log_tables(self) -> list[Tensor]:
        """log p(state | parent's state), one row for each state of the parent."""
        if not self._tables:
            network = self._network
            for i, parents in enumerate(network.parents):
                size = network.nodes.sizes[parents[0]] if parents else 1
                states = torch.zeros(size, len(self.event), dtype=torch.int64, device=network.of(i).table.device)
                if parents:
                    states[:, parents[0]] = torch.arange(size, device=states.device)
                own = network.of(i)
                with torch.inference_mode(False):
                    table = own.table.clone().double()[own.partition.route(states).clone()]
                    self._tables.append(table.clamp(min=math.exp(-60.0)).log().float())
        return self._tables


def _normal(values: Tensor, generator: torch.Generator) -> Tensor:
    """Standard normal numbers (N,)."""
    return torch.randn(len(values), generator=generator, device=generator.device).to(values)


def _without_unseen(level: Tensor, unseen: int | None) -> Tensor:
    """The levels (N, K) with none for a state that no training record had, which is never proposed."""
    if unseen is None:
        return level
    return torch.cat([level[:, :unseen], torch.full_like(level[:, unseen:], -torch.inf)], 1)


def sample_logits(logits: Tensor, generator: torch.Generator) -> Tensor:
    """One state for each row of unnormalised log-probabilities (n, states)."""
    return categorical.from_weights((logits - logits.amax(1, keepdim=True)).exp(), generator)
