"""A discrete network: nodes, a conditional distribution for each, exact scores, samples and conditionals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from likewise.events import Batch, Event, State, Status
from likewise.families.bayesian_network.discrete.evidence import asked, evidence_of
from likewise.families.bayesian_network.discrete.nodes import Nodes
from likewise.families.bayesian_network.discrete.partitions import Partition, Table, Tree
from likewise.families.bayesian_network.inference.contraction import Integers
from likewise.families.bayesian_network.inference.exact import Evidence, Inference
from likewise.families.bayesian_network.inference.parameters import Parameters
from likewise.families.bayesian_network.inference.passes import drawn
from likewise.families.bayesian_network.inference.planning import rows_alike
from likewise.families.bayesian_network.inference.relevance import Query
from likewise.families.bayesian_network.prepared import Prepared
from likewise.families.bayesian_network.structure.graph import topological_order
from likewise.families.family import Question
from likewise.mathematics import categorical

MAX_PARAMETERS = 1 << 27
"""No node has a larger table: a limit on what a model file may ask for."""

MAX_MASKS = 1 << 26
"""Nor do all trees together have more splits times states."""


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


class DiscreteNetwork(Prepared[Inference]):
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

    @property
    def graph(self) -> list[list[int]]:
        """The parents of each entry."""
        return self.parents

    @property
    def inference(self) -> Inference:
        """Exact inference with the present parameters, on the processor."""
        return self.prepared

    def _prepare(self) -> Inference:
        owners = [self.of(i) for i in range(len(self.event))]
        parameters = Parameters(
            self.nodes.sizes,
            [own.partition for own in owners],
            [own.table.detach().double().cpu().numpy() for own in owners],
            [self.nodes.unseen(i) for i in range(len(owners))],
        )
        return Inference(parameters, [entry.name for entry in self.event.all], self.max_memory)

    def of(self, i: int) -> ConditionalTable:
        """The conditional distribution of entry `i`."""
        found = self.conditionals[i]
        assert isinstance(found, ConditionalTable)
        return found

    def add_counts(self, batch: Batch) -> None:
        """Adds fully observed records to the counts of grains and cells."""
        self.nodes.count(batch)
        states = self.nodes.states(batch)
        for i, size in enumerate(self.nodes.sizes):
            own = self.of(i)
            key = own.partition.route(states) * size + states[:, i]
            own.counts += torch.bincount(key, minlength=own.counts.numel()).reshape(own.counts.shape).double()

    # ------------------------------------------------------------------------------------------------------- scores

    def log_prob(self, batch: Batch) -> Tensor:
        """Exact log-probabilities (B,) of records with any evidence, in the user's units."""
        total = self.nodes.log_values(batch)
        whole = (batch.status == Status.OBSERVED).all(1)
        total[whole] += self.log_prob_states(self.nodes.states(batch.rows(whole)))
        if not bool(whole.all()):
            part = self.inference.log_prob(evidence_of(self.nodes, Question(batch.rows(~whole))))
            total[~whole] += torch.from_numpy(part).to(total.device)
        return total

    def log_prob_states(self, states: Tensor) -> Tensor:
        """Exact log-probabilities (B,) of joint states (B, E)."""
        total = torch.zeros(len(states), dtype=torch.float64, device=states.device)
        for i in range(len(self.event)):
            own = self.of(i)
            total = total + own.table.double()[own.partition.route(states), states[:, i]].log()
        return total

    # ------------------------------------------------------------------------------------------------------ answers

    def states(self, entry: int) -> list[State]:
        """The states of an entry: its bins, then its codes, without what was never seen."""
        return self.nodes.described(entry)

    def posterior(self, question: Question, targets: Sequence[int]) -> list[Tensor]:
        """For each target the probabilities (B, states) of its states."""
        found = self.inference.posterior(asked(self.nodes, question, targets), targets)
        return [
            torch.from_numpy(part[:, : self.inference.parameters.seen(i)])
            for i, part in zip(targets, found, strict=True)
        ]

    def most_probable(self, question: Question, targets: Sequence[int]) -> tuple[Tensor, Tensor]:
        """The jointly most probable states (B, targets), and the log of their probability given the evidence (B,)."""
        evidence = asked(self.nodes, question, targets)
        states, _, logs = self.inference.most_probable(evidence, targets)
        return torch.from_numpy(states[:, list(targets)]), torch.from_numpy(logs)

    # ------------------------------------------------------------------------------------------------------ samples

    def sample(self, size: int, generator: torch.Generator) -> Batch:
        """`size` records, ancestrally."""
        # One column after the other, so that each lies in one piece.
        states = torch.empty(len(self.event), size, dtype=torch.int64, device=self.of(0).table.device).T
        for i in self.order:
            states[:, i] = self.draw_child(i, states, generator)
        return self.nodes.records(states, generator)

    def draw_child(self, i: int, states: Tensor, generator: torch.Generator) -> Tensor:
        """States (B,) of entry `i` given those of its parents in `states` (B, E); never the unseen one."""
        own = self.of(i)
        seen = self.nodes.sizes[i] - (self.nodes.unseen(i) is not None)
        return categorical.from_table(own.table.double()[:, :seen], own.partition.route(states), generator)

    # ------------------------------------------------------------------------------------------------- conditionals

    def conditional(self, evidence: Batch, draws: int, generator: torch.Generator) -> Batch:
        """`draws` exact, independent records for each record of evidence."""
        known = evidence_of(self.nodes, Question(evidence))
        states = known.states.repeat(draws, 0)
        joint = torch.from_numpy(states)
        for rows, query, chosen in self.inference.draw(known, draws, generator):
            at = (rows[:, None] * draws + np.arange(draws)).ravel()
            part = known.rows(rows.repeat(draws))
            joint[at] = self._completed(query, part, chosen, generator)
        return self.nodes.records(joint.to(evidence.codes.device), generator, evidence.repeat(draws))

    def _completed(
        self, query: Query, evidence: Evidence, chosen: dict[int, Integers], generator: torch.Generator
    ) -> Tensor:
        """Joint states (n, E) given the classes of the states of relevant entries; the others follow their parents."""
        states = torch.from_numpy(evidence.states.copy())
        parameters = self.inference.parameters
        for i in self.order:
            if i in query.observed:
                continue
            fresh = torch.from_numpy(np.flatnonzero(~evidence.observed[:, i]))
            if i not in chosen:
                states[fresh, i] = self.draw_child(i, states[fresh], generator)
                continue
            group = query.classes[i]
            if int(group.max()) + 1 == len(group):
                states[fresh, i] = torch.from_numpy(chosen[i])[fresh]
                continue
            cells = parameters.partitions[i].route(states[fresh]).numpy()
            weights = parameters.tables[i][: len(group), cells].T * (group[None, :] == chosen[i][fresh.numpy(), None])
            if i in evidence.log_weights:
                weights = weights * np.exp(evidence.log_weights[i][fresh.numpy(), : len(group)])
            states[fresh, i] = torch.from_numpy(drawn(generator)(weights, False))
        return states


def by_evidence(status: Tensor) -> list[Tensor]:
    """The rows of each pattern of statuses."""
    return [torch.from_numpy(rows).to(status.device) for rows in rows_alike(status.cpu().numpy())]
