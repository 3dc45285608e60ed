"""Discrete networks of variables and tables, as files hold them, to fitted models and back."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch

from likewise.domains.table import Table
from likewise.errors import NotSupported
from likewise.estimators.questions import texts_of
from likewise.exchange.description import NetworkDescription
from likewise.families.bayesian_network.discrete.network import DiscreteNetwork
from likewise.families.bayesian_network.family import BayesianNetworkFamily
from likewise.families.bayesian_network.hidden_tree.network import HiddenTreeNetwork

if TYPE_CHECKING:
    from likewise.estimators.bayesian_network import BayesianNetwork

Model = TypeVar("Model", bound="BayesianNetwork")

MOST_NUMBERS = 1 << 27
"""A tree is written as a table of at most so many numbers."""


def restore(model: Model, description: NetworkDescription) -> Model:
    """The estimator fitted with a network whose variables are columns and whose states are categories."""
    domain = Table.closed(dict(zip(description.variables, description.states, strict=True)))
    edges = [[parent, child] for child, parents in enumerate(description.parents) for parent in parents]
    conditionals = [{"parents": list(own), "splits": None, "smoothing": None} for own in description.parents]
    family = BayesianNetworkFamily(
        domain.event,
        structure=edges,
        conditionals="tables",
        smoothing=1.0,
        max_memory=model.max_memory,
        network={"grains": [None] * len(description.variables), "conditionals": conditionals},
    )
    network = discrete(family)
    for i, table in enumerate(description.tables):
        network.of(i).table.copy_(torch.from_numpy(np.ascontiguousarray(table.reshape(-1, table.shape[-1]))))
    network.changed()
    family.eval()
    names = list(description.variables)
    model._adopt(domain, family, 0, {"read": description.name}, len(names), names)
    return model


def discrete(family: Any) -> DiscreteNetwork:
    """The discrete network of a fitted family; NotSupported where there is none."""
    if isinstance(family.network, DiscreteNetwork):
        return family.network
    if isinstance(family.network, HiddenTreeNetwork):
        raise NotSupported(
            "Files of networks hold a graph of the columns and its tables: fit a network without hidden states, such "
            "as structure='auto'."
        )
    raise NotSupported("Files of networks hold states and tables: fit with values='bins'.")


def describe(model: BayesianNetwork, name: str) -> NetworkDescription:
    """The variables, states, parents and tables of a fitted model; states never seen are left out.

    A numeric column has an interval of values as its state, and a tree becomes a table.
    """
    network = discrete(model.family_)
    parameters = network.inference.parameters
    count = [parameters.seen(i) for i in range(len(parameters.sizes))]
    labels = [texts_of(model.states_of(entry.name), missing="missing") for entry in network.event.all]
    tables = []
    for i, partition in enumerate(parameters.partitions):
        shape = [count[p] for p in partition.parents]
        if math.prod(shape) * count[i] > MOST_NUMBERS:
            raise NotSupported(
                f"Column {network.event.all[i].name!r} would need a table of {math.prod(shape) * count[i]:.3g} "
                "numbers: fit with fewer max_parents or with conditionals='tables'."
            )
        states = torch.zeros(math.prod(shape), len(count), dtype=torch.int64)
        if shape:
            grid = torch.cartesian_prod(*(torch.arange(size) for size in shape)).reshape(-1, len(shape))
            states[:, partition.parents] = grid
        table = parameters.tables[i][: count[i], partition.route(states).numpy()].T
        if count[i] < parameters.sizes[i]:
            table = table / table.sum(1, keepdims=True)
        tables.append(np.ascontiguousarray(table).reshape(*shape, count[i]))
    return NetworkDescription(
        name,
        tuple(entry.name for entry in network.event.all),
        tuple(tuple(own) for own in labels),
        tuple(tuple(partition.parents) for partition in parameters.partitions),
        tuple(tables),
    )
