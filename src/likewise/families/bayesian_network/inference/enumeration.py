"""A few columns that the observed ones separate from all others: their joint states, one by one.

The columns of such a part, given everything else, depend on no more than their own conditional distributions and those
of their children. The smallest part is a column whose whole Markov blanket is observed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from likewise.families.bayesian_network.discrete.partitions import Table
from likewise.families.bayesian_network.inference.contraction import Array, Integers
from likewise.families.bayesian_network.inference.parameters import Parameters
from likewise.families.bayesian_network.inference.passes import SAFE

MOST = 1 << 10
"""Joint states that are enumerated."""


def enumerable(parameters: Parameters, part: Sequence[int]) -> bool:
    """Whether the columns have few joint states, looked up in tables, whose products cannot underflow."""
    members = _members(parameters, part)
    return (
        math.prod(parameters.seen(i) for i in part) <= MOST
        and all(isinstance(parameters.partitions[i], Table) for i in members)
        and sum(parameters.floors[i] for i in members) > SAFE
    )


def marginals(parameters: Parameters, part: Sequence[int], states: Integers) -> list[Array]:
    """The distribution (states, B) of each column of the part given the states (B, E) of all others; NaN where none.

    States are those that were ever seen.
    """
    sizes = [parameters.seen(i) for i in part]
    joint = np.arange(math.prod(sizes))
    own: dict[int, Integers] = {}
    stride = len(joint)
    for i, size in zip(part, sizes, strict=True):
        stride //= size
        own[i] = joint // stride % size
    total: Array | None = None
    for i in _members(parameters, part):
        inside, outside = np.zeros_like(joint), np.zeros(1, dtype=np.int64)
        for member, step in parameters.strides[i]:
            if member in own:
                inside = inside + own[member] * step
            else:
                outside = outside + states[:, member] * step
        factor = parameters.flat[i].take(inside[:, None] + outside)
        total = factor if total is None else total * factor
    assert total is not None
    if total.shape[1] < len(states):
        total = np.broadcast_to(total, (len(joint), len(states)))
    with np.errstate(invalid="ignore"):
        total = total / total.sum(0)
    found, before, after = [], 1, len(joint)
    for size in sizes:
        after //= size
        found.append(total.reshape(before, size, after, -1).sum((0, 2)) if len(sizes) > 1 else total)
        before *= size
    return found


def _members(parameters: Parameters, part: Sequence[int]) -> list[int]:
    """The columns of the part and their children."""
    return list(dict.fromkeys([*part, *(child for i in part for child in parameters.children[i])]))
