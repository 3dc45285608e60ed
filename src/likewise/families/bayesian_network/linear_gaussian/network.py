"""A conditional linear-Gaussian network: codes are a discrete network, values are linear in values (Lauritzen 1992).

Where entry i has code 0, its value is normal with mean `b_0 + sum_p (b_p v_p if p is present else a_p)` over its value
parents p, with coefficients and a standard deviation for each configuration of its code parents. A quantised value has
the normal's mass in its cell, and its children see the cell's centre.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from likewise.errors import DataError
from likewise.events import Batch, Event, State, Status
from likewise.families.bayesian_network.discrete.network import DiscreteNetwork, by_evidence
from likewise.families.bayesian_network.discrete.nodes import keep_observed
from likewise.families.bayesian_network.discrete.partitions import Table
from likewise.families.bayesian_network.linear_gaussian import answers
from likewise.families.bayesian_network.linear_gaussian.regressions import features
from likewise.families.bayesian_network.linear_gaussian.worlds import count_worlds, evaluate, log_totals, worlds_of
from likewise.families.bayesian_network.structure.graph import topological_order
from likewise.families.family import Question
from likewise.mathematics.monotone import EDGE

TILE = 1 << 16
"""Worlds that are evaluated at once."""


class Regression(nn.Module):
    """The distribution of one value.

    Attributes
    ----------
    coefficients : float64 (cells, features)
    deviations : float64 (cells,)
    moments : float64 (cells, features + 1, features + 1)
        What they were estimated from.
    """

    def __init__(self, code_parents: list[int], value_parents: list[int], sizes: list[int]) -> None:
        super().__init__()
        self.code_parents, self.value_parents = code_parents, value_parents
        self.table = Table(code_parents, sizes)
        size = 1 + 2 * len(value_parents)
        if self.table.cells * (size + 1) ** 2 > 1 << 26:
            raise ValueError("A regression with more coefficients than any that is ever learned.")
        self.coefficients: Tensor
        self.deviations: Tensor
        self.moments: Tensor
        self.register_buffer("coefficients", torch.zeros(self.table.cells, size, dtype=torch.float64))
        self.register_buffer("deviations", torch.ones(self.table.cells, dtype=torch.float64))
        self.register_buffer("moments", torch.zeros(self.table.cells, size + 1, size + 1, dtype=torch.float64))

    def predict(self, event: Event, codes: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """The mean and the standard deviation (B,) given codes and values of the parents."""
        cell = self.table.route(codes)
        mean = (self.coefficients[cell] * features(event, codes, values, self.value_parents)).sum(1)
        return mean, self.deviations[cell]


def codes_event(event: Event) -> Event:
    """The event without its values."""
    return Event(
        event.layout,
        tuple(replace(entry, value=None) for entry in event.entries),
        tuple(replace(entry, value=None) for entry in event.labels),
    )


class LinearGaussianNetwork(nn.Module):
    """A network over the codes and values of an event.

    Parameters
    ----------
    event : Event
    conditionals : list of {"parents": [int], "splits": None}
        Of the codes, see `DiscreteNetwork`.
    regressions : list of {"codes": [int], "values": [int]} or None
        The parents of each value.
    max_memory : int
    """

    def __init__(self, event: Event, conditionals: list[Any], regressions: list[Any], max_memory: int) -> None:
        super().__init__()
        self.event = event
        self.codes = DiscreteNetwork(codes_event(event), [None] * len(event), conditionals, max_memory)
        if not (isinstance(regressions, list) and len(regressions) == len(event)):
            raise ValueError("The network has another number of columns than its event.")
        self.regressions = nn.ModuleDict()
        self.value_parents: list[list[int]] = [[] for _ in event.all]
        for i, part in enumerate(regressions):
            if (part is None) != (event.all[i].value is None):
                raise ValueError("Regressions belong to columns with values, and to all of them.")
            if part is None:
                continue
            for name, allowed in (("codes", range(len(event))), ("values", event.value_entries)):
                if not all(type(p) is int and p in allowed and p != i for p in part[name]):
                    raise ValueError("The parents of a value are other columns of the event.")
            self.regressions[str(i)] = Regression(
                list(part["codes"]), list(part["values"]), [event.code_sizes[p] for p in part["codes"]]
            )
            self.value_parents[i] = list(part["values"])
        self.order = [i for i in topological_order(self.value_parents) if i in event.value_entries]

    def of(self, i: int) -> Regression:
        """The regression of value entry `i`."""
        found = self.regressions[str(i)]
        assert isinstance(found, Regression)
        return found

    @property
    def graph(self) -> list[list[int]]:
        """The parents of each entry, by code or by value."""
        of_values = [
            self.of(i).code_parents + self.value_parents[i] if i in self.event.value_entries else []
            for i in range(len(self.event))
        ]
        return [sorted({*own, *more}) for own, more in zip(self.codes.parents, of_values, strict=True)]

    # ------------------------------------------------------------------------------------------------------- answers

    def log_prob(self, batch: Batch) -> Tensor:
        """Exact log-probabilities (B,) in the user's units; NotSupported where a sum has no closed form."""
        total = self.event.log_share(batch).double()
        for rows in by_evidence(batch.status):
            for part in self.tiles(batch, rows):
                own = batch.rows(part)
                worlds = worlds_of(self, own)
                logs = evaluate(self, own, worlds)[0]
                total[part] += log_totals(logs, worlds.row, len(part))
        return total

    def states(self, entry: int) -> list[State]:
        """The states of an entry: tenths of the normal scores of its value, then its codes."""
        codes = [State(code) for code in range(self.event.all[entry].seen)]
        if self.event.all[entry].value is None:
            return codes
        ends = [-EDGE, *torch.special.ndtri(torch.arange(1, 10).double() / 10).tolist(), EDGE]
        return [*(State(0, low, high) for low, high in itertools.pairwise(ends)), *codes[1:]]

    def posterior(self, question: Question, targets: Sequence[int]) -> list[Tensor]:
        """For each target the probabilities (B, states) of its states, exactly.

        A value that is not observed lies in a part with the mass that `log_prob` gives to that interval. Two intervals
        that depend on each other through unknown values can be summed over, one of them perhaps the target; more are
        NotSupported, as are too many worlds.
        """
        return answers.posterior(self, question, targets)

    def most_probable(self, question: Question, targets: Sequence[int]) -> tuple[Tensor, Tensor]:
        """The jointly most probable states (B, targets), and the log of their probability (B,) given the evidence.

        All joint states are compared, a value being in one of its tenths: the densest point of a mixture over codes
        would depend on the units of the values, and its states need not be the most probable. NotSupported where there
        are more than `answers.MAX_COMBINATIONS` of them.
        """
        return answers.most_probable(self, question, targets)

    def tiles(self, batch: Batch, rows: Tensor) -> Iterator[Tensor]:
        """The rows of one pattern of evidence, few enough at a time for all their worlds."""
        if not len(rows):
            return
        size = max(1, TILE // count_worlds(self, batch.status[rows[0]]))
        for start in range(0, len(rows), size):
            yield rows[start : start + size]

    def sample(self, size: int, generator: torch.Generator) -> Batch:
        """`size` records, ancestrally."""
        codes = self.codes.sample(size, generator).codes
        values = torch.zeros(codes.shape, dtype=torch.float64)
        return self._finish(codes, values, torch.zeros_like(codes, dtype=torch.bool), generator)

    def conditional(self, evidence: Batch, draws: int, generator: torch.Generator) -> Batch:
        """`draws` exact, independent records for each record of evidence."""
        repeated = evidence.repeat(draws)
        codes, values = repeated.codes.clone(), repeated.values.double().clone()
        fixed_codes = repeated.status == Status.OBSERVED
        fixed_values = fixed_codes.clone()
        for rows in by_evidence(evidence.status):
            for part in self.tiles(evidence, rows):
                own = evidence.rows(part)
                worlds = worlds_of(self, own, sampling=True)
                logs = evaluate(self, own, worlds)[0]
                impossible = torch.isinf(log_totals(logs, worlds.row, len(part)))
                if bool(impossible.any()):
                    raise DataError(
                        f"Row {int(part[impossible.nonzero()[0, 0]])} of the evidence has probability "
                        "zero: nothing can be drawn under it."
                    )
                chosen = worlds.rows(_choose(logs, worlds.row, len(part), draws, generator))
                at = (part[:, None] * draws + torch.arange(draws)).flatten()
                _, found, settled = evaluate(self, own, chosen, generator)
                codes[at], values[at] = chosen.codes, found
                fixed_codes[at] |= chosen.settled
                fixed_values[at] |= settled
        for i in self.codes.order:
            fresh = (~fixed_codes[:, i]).nonzero()[:, 0]
            if len(fresh):
                codes[fresh, i] = self.codes.draw_child(i, codes[fresh], generator)
        finished = self._finish(codes, torch.where(fixed_values, values, 0.0), fixed_values, generator)
        return keep_observed(repeated, finished)

    def _finish(self, codes: Tensor, values: Tensor, settled: Tensor, generator: torch.Generator) -> Batch:
        """Complete records: values that are present and not settled are drawn from their parents, parents first."""
        for i in self.order:
            own = self.of(i)
            at = ((codes[:, i] == 0) & ~settled[:, i]).nonzero()[:, 0]
            if len(at):
                mean, deviation = own.predict(self.event, codes[at], values[at])
                noise = torch.randn(len(at), generator=generator, device=generator.device, dtype=torch.float64)
                values[at, i] = (mean + deviation * noise).clamp(-EDGE, EDGE)
            present = (codes[:, i] == 0).nonzero()[:, 0]
            values[present, i] = self.event.measure(i, values[present, i])[0]  # children see the centre of a cell
        return self.event.complete(codes, values)


def _choose(logs: Tensor, row: Tensor, rows: int, draws: int, generator: torch.Generator) -> Tensor:
    """`draws` worlds of each row, with probabilities proportional to exp(logs); (rows * draws,) grouped by row."""
    order = torch.argsort(row, stable=True)
    logs, row = logs[order], row[order]
    top = torch.full((rows,), float("-inf"), dtype=torch.float64).scatter_reduce(0, row, logs, "amax")
    weights = (logs - top[row]).exp()
    ends = weights.cumsum(0)
    sizes = torch.bincount(row, minlength=rows)
    last = sizes.cumsum(0) - 1
    start = torch.cat([ends.new_zeros(1), ends[last[:-1]]])
    u = torch.rand(rows, draws, generator=generator, device=generator.device, dtype=torch.float64).to(ends)
    at = torch.searchsorted(ends, (start[:, None] + u * (ends[last] - start)[:, None]).flatten(), right=True)
    low = (last - sizes + 1).repeat_interleave(draws)
    return order[torch.minimum(torch.maximum(at, low), last.repeat_interleave(draws))]
