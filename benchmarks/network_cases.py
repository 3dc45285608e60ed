"""A published network as `inference.py` hands it to every library: labels, rows drawn from it, and what they tell."""

from __future__ import annotations

import argparse
import functools
import math
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from network_peers import CHEAP, Agrum, Pgmpy

import likewise as lw
from likewise.exchange import NetworkDescription


@dataclass
class Case:
    """A network, as likewise and its peers see it."""

    name: str
    path: Path
    description: NetworkDescription
    options: argparse.Namespace

    @functools.cached_property
    def model(self) -> lw.BayesianNetwork:
        model = lw.BayesianNetwork.read(self.path, max_memory=int(self.options.max_memory * 2**30))
        names = zip(self.description.variables, self.description.states, strict=True)
        assert all(model.states_of(name) == list(states) for name, states in names)
        return model

    @functools.cached_property
    def agrum(self) -> Agrum:
        return Agrum(self.description, self.path, self.options.threads)

    @functools.cached_property
    def pgmpy(self) -> Pgmpy | None:
        """None where pgmpy would take too long."""
        cheap = len(self.description.variables) <= 100 and self.agrum.clique <= CHEAP
        return Pgmpy(self.description) if cheap else None

    def forget(self) -> None:
        """likewise starts anew: no plans, nothing prepared."""
        self.model.family_.network.changed()

    def draw(self, rows: int, seed: int) -> np.ndarray:
        """States (rows, columns) from the network, ancestrally."""
        rng, tables, parents = np.random.default_rng(seed), self.description.tables, self.description.parents
        states = np.zeros((rows, len(tables)), dtype=np.int64)
        for i in TopologicalSorter(dict(enumerate(parents))).static_order():
            ends = tables[i][tuple(states[:, parent] for parent in parents[i])].cumsum(-1)
            ends = np.broadcast_to(ends, (rows, ends.shape[-1]))
            states[:, i] = (rng.random((rows, 1)) * ends[:, -1:] >= ends).sum(1)
        return states

    def frame(self, states: np.ndarray, observed: np.ndarray | None = None) -> pd.DataFrame:
        """The labels of states, blank where they are not observed."""
        columns = {}
        for i, (name, labels) in enumerate(zip(self.description.variables, self.description.states, strict=True)):
            values = np.array(labels, dtype=object)[states[:, i]]
            if observed is not None:
                values[~observed[:, i]] = None
            columns[name] = values
        return pd.DataFrame(columns)

    def met(self, states: np.ndarray) -> list[np.ndarray]:
        """For each table whether each configuration of parents occurs in some row."""
        found = [np.zeros(table.shape[:-1], dtype=bool) for table in self.description.tables]
        for seen, parents in zip(found, self.description.parents, strict=True):
            seen[tuple(states[:, parent] for parent in parents)] = True
        return found

    def log_prob(self, states: np.ndarray) -> float:
        """The log-probability of all states of a row, from the tables."""
        parts = zip(self.description.tables, self.description.parents, states, strict=True)
        chances = [float(table[(*(states[parent] for parent in parents), own)]) for table, parents, own in parts]
        return sum(math.log(chance) if chance > 0 else -math.inf for chance in chances)


def relabelled(description: NetworkDescription) -> NetworkDescription:
    """The network with states s0, s1, ... and rows of tables that add up to one."""
    return NetworkDescription(
        description.name,
        description.variables,
        tuple(tuple(f"s{k}" for k in range(len(own))) for own in description.states),
        description.parents,
        tuple(table / table.sum(-1, keepdims=True) for table in description.tables),
    )


def scattered(rows: int, columns: int, share: float, rng: np.random.Generator) -> np.ndarray:
    """Which columns each row observes: as many in every row, anywhere."""
    count = round(share * columns)
    return rng.permuted(np.tile(np.arange(columns) < count, (rows, 1)), axis=1)


def errors(shares: dict[str, np.ndarray], chances: dict[str, np.ndarray], records: int) -> dict[str, Any]:
    """How far shares of states are from their probabilities, in standard errors, where five are expected either way."""
    distances, impossible = [0.0], 0.0
    for name, chance in chances.items():
        impossible += float(shares[name][chance == 0].sum()) * records
        told = records * chance * (1 - chance) >= 5
        spread = np.sqrt(chance[told] * (1 - chance[told]) / records)
        distances += (np.abs(shares[name][told] - chance[told]) / spread).tolist()
    return {"errors": max(distances), "compared": len(distances) - 1, "impossible": round(impossible)}


def shares(frame: pd.DataFrame, description: NetworkDescription) -> dict[str, np.ndarray]:
    """The share of each state of each column."""
    found = {}
    for name, labels in zip(description.variables, description.states, strict=True):
        found[name] = frame[name].value_counts(normalize=True).reindex(list(labels), fill_value=0.0).to_numpy(float)
    return found


def tables_of(model: lw.BayesianNetwork, description: NetworkDescription) -> list[np.ndarray]:
    """The present tables of a model that was read from the description, in its layout."""
    network = model.family_.network
    return [network.of(i).table.numpy().reshape(table.shape) for i, table in enumerate(description.tables)]
