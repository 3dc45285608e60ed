"""A discrete network: nodes, a conditional distribution for each, exact scores, samples and conditionals."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from likewise.errors import DataError
from likewise.events import Batch, Event, Status
from likewise.families.bayesian_network import inference
from likewise.families.bayesian_network.graph import topological_order
from likewise.families.bayesian_network.nodes import Nodes
from likewise.families.bayesian_network.partitions import Partition, Table, Tree
from likewise.families.bayesian_network.relevance import Query, query_of

MAX_PARAMETERS = 1 << 27
"""No node has a larger table: a limit on what a model file may ask for."""

MAX_MASKS = 1 << 26
"""Nor do all trees together have more splits times states."""

ADVICE = "observe more columns, fit with a smaller max_parents or with structure='chow_liu', or raise max_memory."


class ConditionalTable(nn.Module):
    """p(state of a node | cell of its parents' joint state).

    Attributes
    ----------
    table : float64 (cells, states)
        Probabilities; the unseen state has exactly its reserved share in every cell.
    counts : float64 (cells, states)
        What they were estimated from.
    """

    def __init__(self, partition: Partition, size: int) -> None:
        super().__init__()
        if partition.cells * size > MAX_PARAMETERS:
            raise ValueError(f"A node of {partition.cells} x {size} parameters; at most {MAX_PARAMETERS} are possible.")
        self.partition = partition
        self.table: Tensor
        self.counts: Tensor
        self.register_buffer("table", torch.zeros(partition.cells, size, dtype=torch.float64))
        self.register_buffer("counts", torch.zeros(partition.cells, size, dtype=torch.float64))


class DiscreteNetwork(nn.Module):
    """A Bayesian network over the nodes of an event.

    Parameters
    ----------
    event : Event
    grains : list
        See `Nodes`.
    conditionals : list of {"parents": [int], "splits": list or None}
        One for each entry; `splits` is that of a `Tree`, None for a full table.
    max_memory : int
        Bytes that one intermediate table of inference may take.
    """

    def __init__(self, event: Event, grains: list[Any], conditionals: list[Any], max_memory: int) -> None:
        super().__init__()
        self.event, self.max_memory = event, max_memory
        self.nodes = Nodes(event, grains)
        if not (isinstance(conditionals, list) and len(conditionals) == len(event)):
            raise ValueError("The network has another number of columns than its event.")
        self.conditionals = nn.ModuleList()
        self.parents: list[list[int]] = []
        masks = 0
        for i, part in enumerate(conditionals):
            parents, splits = part["parents"], part["splits"]
            known = isinstance(parents, list) and all(type(p) is int and 0 <= p < len(event) for p in parents)
            if not known or i in parents or len(set(parents)) < len(parents):
                raise ValueError("Parents are different columns of the event.")
            sizes = [self.nodes.sizes[p] for p in parents]
            masks += 0 if splits is None else len(splits) * max(sizes, default=1)
            if masks > MAX_MASKS:
                raise ValueError("The trees of the network are larger than any that are ever learned.")
            partition = Table(parents, sizes) if splits is None else Tree(parents, sizes, splits)
            self.conditionals.append(ConditionalTable(partition, self.nodes.sizes[i]))
            self.parents.append(parents)
        self.order = topological_order(self.parents)
        self._queries: dict[tuple[tuple[bool, ...], tuple[bool, ...]], Query] = {}

    def of(self, i: int) -> ConditionalTable:
        """The conditional distribution of entry `i`."""
        found = self.conditionals[i]
        assert isinstance(found, ConditionalTable)
        return found

    def add_counts(self, batch: Batch) -> None:
        """Adds fully observed records to the counts of grains and cells."""
        states = self.nodes.states(batch)
        for i, size in enumerate(self.nodes.sizes):
            bins = self.nodes.of(i)
            if bins is not None:
                grains = bins.grain(batch.values[batch.codes[:, i] == 0, i])
                bins.counts += torch.bincount(grains, minlength=len(bins.counts)).double()
            own = self.of(i)
            key = own.partition.route(states) * size + states[:, i]
            own.counts += torch.bincount(key, minlength=own.counts.numel()).reshape(own.counts.shape).double()

    # ------------------------------------------------------------------------------------------------------- scores

    def log_prob(self, batch: Batch) -> Tensor:
        """Exact log-probabilities (B,) of records with any evidence, in the user's units."""
        total = self.nodes.log_values(batch)
        states = self.nodes.states(batch)
        for rows in by_evidence(batch.status):
            if bool((batch.status[rows[0]] == Status.OBSERVED).all()):
                total[rows] += self.log_prob_states(states[rows])
            else:
                total[rows] += self._log_marginal(batch.rows(rows), states[rows])
        return total

    def log_prob_states(self, states: Tensor) -> Tensor:
        """Exact log-probabilities (B,) of joint states (B, E)."""
        total = torch.zeros(len(states), dtype=torch.float64, device=states.device)
        for i in range(len(self.event)):
            own = self.of(i)
            total = total + own.table.double()[own.partition.route(states), states[:, i]].log()
        return total

    def _log_marginal(self, batch: Batch, states: Tensor) -> Tensor:
        query = self._query(batch.status[0])
        limit = inference.row_limit(query.plan.peak, self.max_memory, ADVICE)
        log_weights = {i: self.nodes.log_evidence(batch, i) for i in query.restricted}
        parts = []
        for start in range(0, len(batch), limit):
            rows = slice(start, start + limit)
            part = {i: weights[rows] for i, weights in log_weights.items()}
            offset, factors = query.factors(self, states[rows], part)
            parts.append(offset + self._eliminate(query, factors, len(offset)).log_total)
        return torch.cat(parts)

    def _eliminate(self, query: Query, factors: list[inference.Factor], rows: int) -> inference.Elimination:
        found = inference.eliminate(factors, query.plan.order, rows)
        if not bool(torch.isinf(found.log_total).any()):
            return found
        return inference.eliminate(factors, query.plan.order, rows, in_logs=True)

    def _query(self, status: Tensor) -> Query:
        """The plan for one pattern of evidence; patterns are remembered."""
        observed = tuple((status == Status.OBSERVED).tolist())
        restricted = tuple((status == Status.RESTRICTED).tolist())
        key = (observed, restricted)
        if key not in self._queries:
            if len(self._queries) >= 256:
                self._queries.clear()
            self._queries[key] = query_of(self, observed, restricted)
        return self._queries[key]

    # ------------------------------------------------------------------------------------------------------ samples

    def sample(self, size: int, generator: torch.Generator) -> Batch:
        """`size` records, ancestrally."""
        states = torch.zeros(size, len(self.event), dtype=torch.int64, device=self.of(0).table.device)
        for i in self.order:
            states[:, i] = self.draw_child(i, states, generator)
        return self.nodes.records(states, generator)

    def _seen(self, i: int) -> Tensor:
        """The table of entry `i` without its unseen state, which is never sampled."""
        table = self.of(i).table.double()
        unseen = self.nodes.unseen(i)
        if unseen is None:
            return table
        table = table.clone()
        table[:, unseen] = 0
        return table / table.sum(1, keepdim=True)

    def draw_child(self, i: int, states: Tensor, generator: torch.Generator) -> Tensor:
        """States (B,) of entry `i` given those of its parents in `states` (B, E); never the unseen one."""
        cell = self.of(i).partition.route(states)
        ends = self._seen(i).cumsum(1)
        # Row r of the cumulative table is shifted by r, so that one search over the flat table serves all rows.
        shifted = (ends / ends[:, -1:] + torch.arange(len(ends), device=ends.device)[:, None]).flatten()
        u = torch.rand(len(states), generator=generator, device=generator.device, dtype=torch.float64).to(states.device)
        found = torch.searchsorted(shifted, u + cell, right=True) - cell * ends.shape[1]
        last = ends.shape[1] - 1 - (self.nodes.unseen(i) is not None)
        return found.clamp(0, last)

    # ------------------------------------------------------------------------------------------------- conditionals

    def conditional(self, evidence: Batch, draws: int, generator: torch.Generator) -> Batch:
        """`draws` exact, independent records for each record of evidence."""
        known = self.nodes.states(evidence)
        states = known.repeat_interleave(draws, 0)
        for rows in by_evidence(evidence.status):
            query = self._query(evidence.status[rows[0]])
            limit = inference.row_limit(query.plan.peak, self.max_memory, ADVICE)
            for start in range(0, len(rows), limit):
                at = rows[start : start + limit]
                drawn = self._posterior_states(query, evidence.rows(at), known[at], draws, generator)
                states[(at[:, None] * draws + torch.arange(draws, device=at.device)).flatten()] = drawn
        return self.nodes.records(states, generator, evidence.repeat(draws))

    def _posterior_states(
        self, query: Query, batch: Batch, known: Tensor, draws: int, generator: torch.Generator
    ) -> Tensor:
        """Joint states (rows * draws, E) given the evidence of rows of one pattern."""
        log_weights = {i: self.nodes.log_evidence(batch, i) for i in query.restricted}
        for i in range(len(self.event)):
            unseen = self.nodes.unseen(i)
            if unseen is not None and not query.observed[i]:
                weights = log_weights.get(i, torch.zeros(1, self.nodes.sizes[i], dtype=torch.float64)).clone()
                weights[:, unseen] = float("-inf")
                log_weights[i] = weights.to(known.device)
        offset, factors = query.factors(self, known, {i: log_weights[i] for i in log_weights if query.relevant[i]})
        found = self._eliminate(query, factors, len(batch))
        impossible = torch.isinf(offset + found.log_total)
        if bool(impossible.any()):
            raise DataError(
                f"Row {int(impossible.nonzero()[0])} of the evidence has probability zero: nothing can be "
                "drawn under it."
            )
        rows = torch.arange(len(batch), device=known.device).repeat_interleave(draws)
        chosen = inference.draw(found, rows, generator)
        states = known.repeat_interleave(draws, 0)
        for i in self.order:
            if query.observed[i]:
                continue
            if i not in log_weights and i not in chosen:
                states[:, i] = self.draw_child(i, states, generator)
                continue
            logits = self.of(i).table.double()[self.of(i).partition.route(states)].log()
            if i in log_weights:
                weights = log_weights[i]
                logits = logits + (weights[rows] if len(weights) > 1 else weights)
            if i in chosen:
                group = torch.from_numpy(query.classes[i]).to(known.device)
                logits = logits.masked_fill(group[None, :] != chosen[i][:, None], float("-inf"))
            states[:, i] = inference.sample_logits(logits, generator)
        return states


def by_evidence(status: Tensor) -> list[Tensor]:
    """The rows of each pattern of statuses."""
    patterns, which = np.unique(status.cpu().numpy(), axis=0, return_inverse=True)
    order = np.argsort(which.ravel(), kind="stable")
    ends = np.bincount(which.ravel(), minlength=len(patterns)).cumsum()
    return [torch.from_numpy(part).to(status.device) for part in np.split(order, ends[:-1]) if len(part)]
