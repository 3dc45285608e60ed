"""Parameters of a given graph from records, complete or not: maximum likelihood, Dirichlet and BDeu priors, and EM.

Where entries are unknown, expected counts stand in for counts: the joint posterior of every node and its parents,
summed over the records (Lauritzen 1995; Dempster, Laird and Rubin 1977). Nodes below which a record says nothing add
nothing, since the record's likelihood does not depend on them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, get_args

import numpy as np
import torch

from likewise.errors import DataError
from likewise.families.bayesian_network.discrete.network import DiscreteNetwork
from likewise.families.bayesian_network.inference.contraction import Array, Integers
from likewise.families.bayesian_network.inference.exact import Evidence, Inference
from likewise.families.bayesian_network.inference.factors import Cells, Child, Fixed, Likelihood, Reach
from likewise.families.bayesian_network.inference.parameters import Parameters
from likewise.families.bayesian_network.inference.passes import Pass, factor_marginals
from likewise.families.bayesian_network.inference.relevance import Query

PriorName = Literal["none", "dirichlet", "bdeu"]


@dataclass(frozen=True)
class Prior:
    """Pseudo-counts of a conditional distribution.

    Attributes
    ----------
    name : "none", "dirichlet" or "bdeu"
        Maximum likelihood; `weight` for every state of every cell; or `weight` in all, spread evenly over the states of
        all cells (Heckerman, Geiger and Chickering 1995), so that graphs that say the same have the same prior.
    weight : float
    """

    name: PriorName = "dirichlet"
    weight: float = 1.0

    def __post_init__(self) -> None:
        if self.name not in get_args(PriorName):
            raise ValueError(f"prior={self.name!r}; expected one of {', '.join(get_args(PriorName))}.")
        if not (np.isfinite(self.weight) and self.weight > 0):
            raise ValueError(f"A prior of weight {self.weight!r}; expected a positive number.")

    def pseudo_counts(self, cells: int, states: int) -> float:
        """What is added to the count of each state of each cell."""
        return {"none": 0.0, "dirichlet": self.weight, "bdeu": self.weight / (cells * states)}[self.name]


def fit_parameters(
    network: DiscreteNetwork, evidence: Evidence, prior: Prior, max_iterations: int, tolerance: float
) -> Mapping[str, Any]:
    """Fits the tables of the network to records, by EM where entries are unknown.

    Returns what happened: the number of iterations, the mean log-probability of the records before each, and whether
    the last gained less than `tolerance`, in nats a record.
    """
    if not len(evidence):
        raise DataError("There are no rows to learn from.")
    _set(network, _known_counts(network, evidence), prior)
    if evidence.observed.all() and not evidence.log_weights:
        return {"iterations": 1, "converged": True, "log_probability": []}
    curve: list[float] = []
    for _ in range(max_iterations):
        counts, total = _expected_counts(network.inference, evidence)
        curve.append(total / len(evidence))
        _set(network, counts, prior)
        if len(curve) > 1 and curve[-1] - curve[-2] < tolerance:
            return {"iterations": len(curve), "converged": True, "log_probability": curve}
    return {"iterations": len(curve), "converged": False, "log_probability": curve}


def _set(network: DiscreteNetwork, counts: list[Array], prior: Prior) -> None:
    """Tables from counts (states, cells), which are kept."""
    for i, own_counts in enumerate(counts):
        own, unseen = network.of(i), network.nodes.unseen(i)
        seen = len(own_counts) - (unseen is not None)
        known = own_counts[:seen].T + prior.pseudo_counts(own_counts.shape[1], seen)
        total = known.sum(1, keepdims=True)
        # A cell of which nothing is known says nothing.
        table = np.where(total > 0, known / np.where(total > 0, total, 1.0), 1.0 / seen)
        if unseen is not None:
            reserved = network.event.all[i].reserved
            table = np.concatenate([table * (1 - reserved), np.full((len(table), 1), reserved)], 1)
        own.table.copy_(torch.from_numpy(np.ascontiguousarray(table)))
        own.counts.copy_(torch.from_numpy(np.ascontiguousarray(own_counts.T)))
    network.changed()


def _known_counts(network: DiscreteNetwork, evidence: Evidence) -> list[Array]:
    """The counts (states, cells) of each node in the rows that observe it and its parents."""
    found = []
    states, whole = evidence.states, bool(evidence.observed.all())
    for i, size in enumerate(network.nodes.sizes):
        partition = network.of(i).partition
        at = Cells(partition, (), ()).at(states) + states[:, i] * partition.cells
        if not whole:
            at = at[evidence.observed[:, [i, *partition.parents]].all(1)]
        counts = np.bincount(at, minlength=size * partition.cells)
        found.append(counts.reshape(size, partition.cells).astype(np.float64))
    return found


def _expected_counts(inference: Inference, evidence: Evidence) -> tuple[list[Array], float]:
    """The expected counts (states, cells) of each node, and the log-probability of all records."""
    parameters = inference.parameters
    counts: list[Array] = [np.zeros_like(table) for table in parameters.tables]
    total = 0.0
    for rows, part, query, (logs, pieces) in inference.families(evidence, partial(_family_counts, parameters)):
        logs = logs + query.settled_logs(parameters, part.states)
        if np.isneginf(logs).any():
            row = int(rows[np.isneginf(logs).argmax()])
            raise DataError(f"Row {row} has probability zero: no parameters of this graph explain it.")
        total += float(logs.sum())
        for i in query.settled:
            cell = Cells(parameters.partitions[i], (), ()).at(part.states)
            _add(counts[i], part.states[:, i] * counts[i].shape[1] + cell, np.ones(len(part)))
        for node, at, weights in pieces:
            _add(counts[node], at, weights)
    return counts, total


def _family_counts(
    parameters: Parameters, query: Query, found: Pass, part: Evidence
) -> tuple[Array, list[tuple[int, Integers, Array]]]:
    """The log-probabilities (rows,) of a block, and what it adds to which counts: node, places, weights."""
    logs = found.log_total.copy()
    known = part.observed.copy()
    known[:, list(part.log_weights)] = True
    relevant = (known.astype(np.float64) @ parameters.ancestry > 0).astype(np.float64)
    pieces: list[tuple[int, Integers, Array]] = []
    for slot, marginal in factor_marginals(found):
        factor = query.factors[slot]
        own = factor.source if isinstance(factor, Fixed) else factor
        if not isinstance(own, Child | Likelihood | Reach):
            continue
        marginal = marginal * relevant[:, own.node]
        if isinstance(factor, Fixed):
            marginal = marginal.sum(-1, keepdims=True)
        if isinstance(own, Reach) and own.table is not None:
            at = np.arange(len(marginal))[:, None] + part.states[:, own.node] * own.table.shape[1]
        elif isinstance(own, Likelihood):
            at = own.cells.at(part.states) + part.states[:, own.node] * own.table.shape[1]
        elif isinstance(own, Child):
            cells = own.cells.at(part.states)
            at = cells + np.arange(len(marginal)).reshape(-1, *(1 for _ in cells.shape)) * own.table.shape[1]
        else:
            continue
        pieces.append((own.node, at, marginal))
    return logs, pieces


def _add(counts: Array, at: Any, weights: Array) -> None:
    at, weights = np.broadcast_arrays(at, weights)
    counts += np.bincount(at.ravel(), weights.ravel(), counts.size).reshape(counts.shape)
