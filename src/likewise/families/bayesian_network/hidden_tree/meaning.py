"""What a hidden state stands for: the records that are in it, column by column."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from likewise.events import Quantised, State
from likewise.families.bayesian_network.discrete.nodes import Nodes
from likewise.families.bayesian_network.hidden_tree.network import HiddenTreeNetwork
from likewise.families.bayesian_network.hidden_tree.passes import Messages, beliefs, upward
from likewise.mathematics import truncated_normal
from likewise.mathematics.monotone import EDGE


@dataclass(frozen=True)
class Meaning:
    """The hidden states of one node of a tree.

    Attributes
    ----------
    node : int
        The entry that they stand behind.
    shares : (k,)
        p(z) of each.
    columns : entries of (k, states)
        p(state of the entry | z), for every entry.
    overall : entries of (states,)
        The same whatever z is.
    """

    node: int
    shares: Tensor
    columns: list[Tensor]
    overall: list[Tensor]

    def bits(self, entry: int) -> Tensor:
        """How far each hidden state moves an entry, KL(p(state | z) || p(state)), in bits (k,)."""
        own, overall = self.columns[entry], self.overall[entry]
        nats: Tensor = torch.special.xlogy(own, own / overall.clamp(min=1e-300)).sum(1)
        return nats.clamp(min=0.0) / math.log(2)


def meaning(network: HiddenTreeNetwork, tree: int, node: int | None = None) -> Meaning:
    """The meaning of the hidden states behind an entry, in a tree; None for its root.

    Messages from the node to all others, its hidden state being each of the k in turn.
    """
    own, tables = network.of(tree), network.tables[tree]
    at = own.shape.order[0] if node is None else node
    known: list[Messages | None] = [None] * len(own.shape)
    known[at] = Messages(torch.eye(len(tables.root), dtype=tables.root.dtype))
    up = upward(own.shape, tables, known, len(tables.root))
    hidden = beliefs(own.shape, tables, up)
    shares = up.log_prob.exp()
    columns = []
    for i, (start, size) in enumerate(zip(network.starts, network.sizes, strict=True)):
        columns.append(hidden[i] @ tables.leaves[start : start + size].T)
    return Meaning(at, shares, columns, [shares @ column for column in columns])


def numeric(nodes: Nodes, entry: int) -> bool:
    """Whether the states of an entry are numbers, but for *missing*: they have quantiles."""
    own = nodes.event.all[entry]
    codes = [code for code in range(0 if own.value is None else 1, own.seen) if code != own.missing]
    placed = len(own.coordinates) >= own.seen and all(own.coordinates[code] is not None for code in codes)
    return placed if codes else own.value is not None


def quantiles(nodes: Nodes, entry: int, shares: Tensor, levels: Sequence[float]) -> list[list[State]]:
    """For each distribution (n, states) of an entry of numbers, the states at the levels of its values.

    They are exact: mass lies at the codes that are numbers, and within each grain as in a normal restricted to it.
    Values are told as parts without length; *missing* is left out.
    """
    own, bins = nodes.event.all[entry], nodes.of(entry)
    first = 0 if bins is None else bins.size
    codes = [code for code in range(0 if bins is None else 1, own.seen) if code != own.missing]
    shift = 0 if bins is None else bins.size - 1
    atoms = torch.tensor([own.coordinates[code] for code in codes], dtype=torch.float64)
    heavy = shares[:, [code + shift for code in codes]]
    ends = torch.unique(torch.cat([atoms, torch.empty(0, dtype=torch.float64) if bins is None else bins.edges]))
    # The share below each end, without and with what lies right there.
    below = torch.zeros(len(shares), len(ends), dtype=torch.float64)
    if bins is not None:
        grains = shares[:, :first][:, bins.owner()] * bins.log_weights().exp()
        low, high = bins.edges[:-1, None], bins.edges[1:, None]
        within = truncated_normal.log_mass(low, torch.minimum(ends.clamp(min=-EDGE), high)) - bins.log_masses()[:, None]
        below = grains @ within.exp().clamp(max=1.0)
    if codes:
        below = below + heavy @ (atoms[:, None] < ends).double()
        upto = below + heavy @ (atoms[:, None] == ends).double()
    else:
        upto = below
    code_at = dict(zip(atoms.tolist(), codes, strict=True))
    total = upto[:, -1:].clamp(min=1e-300)
    return [
        [_state(own.value, level, ends, lower, upper, code_at) for level in levels]
        for lower, upper in zip(below / total, upto / total, strict=True)
    ]


def _state(value: object, level: float, ends: Tensor, below: Tensor, upto: Tensor, code_at: dict[float, int]) -> State:
    """The state in which a level is reached; `below` and `upto` are the shares at the ends."""
    place = int((upto < level - 1e-12).sum().clamp(max=len(ends) - 1))
    end = float(ends[place])
    if place == 0 or (end in code_at and float(below[place]) < level):
        return State(code_at[end]) if end in code_at else State(0, end, end)
    before, gain = upto[place - 1], below[place] - upto[place - 1]
    share = ((level - before) / gain.clamp(min=1e-300)).clamp(0.0, 1.0)
    z = truncated_normal.quantile(share, ends[place - 1], ends[place])
    if isinstance(value, Quantised):
        z = value.cells(value.index(z))[0].double()
    at = float(z.clamp(-EDGE, EDGE))
    return State(0, at, at)
