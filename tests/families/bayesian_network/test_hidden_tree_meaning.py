"""What hidden states stand for: exact distributions of every column given one hidden state, and their quantiles."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from scipy.stats import norm

from likewise.events import Categorical, Columns, Entry, Event, Quantised, Real
from likewise.families.bayesian_network.discrete.nodes import Nodes
from likewise.families.bayesian_network.hidden_tree.meaning import meaning, numeric, quantiles
from likewise.families.bayesian_network.hidden_tree.network import HiddenTreeNetwork
from likewise.families.bayesian_network.hidden_tree.passes import Tables
from likewise.families.bayesian_network.hidden_tree.tables import Strengths
from likewise.mathematics.monotone import EDGE, MonotoneMap

GRID = Quantised(MonotoneMap.affine(2.0, 2.0), 1.0, 0.0, 0, 6)


@pytest.mark.parametrize("seed", range(4))
def test_columns_given_a_hidden_state_are_those_of_enumeration(seed: int) -> None:
    rng = np.random.default_rng(seed)
    columns, states = 4, 3
    event = Event(Columns(), tuple(Entry(f"x{i}", Categorical(2 + i)) for i in range(columns)))
    network = HiddenTreeNetwork(event, [None] * columns, [], [])
    parents = [[-1, 0, 1, 1], [1, -1, 1, 2], [2, 2, -1, 0], [3, 0, 1, -1]][seed]
    sizes = (states,), (columns, states, states), (sum(network.sizes), states)
    counts = Tables(*(torch.from_numpy(rng.gamma(0.5, 20.0, size)) for size in sizes))
    network.add(parents, counts, Strengths(*torch.ones(3, columns)))
    tables = network.tables[0]
    z = np.array(list(itertools.product(range(states), repeat=columns)))
    prior = np.ones(len(z))
    for i, above in enumerate(parents):
        prior *= tables.root.numpy()[z[:, i]] if above < 0 else tables.steps[i].numpy()[z[:, above], z[:, i]]
    assert meaning(network, 0).node == parents.index(-1)
    for node in range(columns):
        found = meaning(network, 0, node)
        shares = np.bincount(z[:, node], prior)
        np.testing.assert_allclose(found.shares, shares, atol=1e-12)
        for i in range(columns):
            leaf = tables.leaves[network.starts[i] :][: network.sizes[i]].numpy()
            own = np.zeros((states, network.sizes[i]))
            np.add.at(own, z[:, node], prior[:, None] * leaf[:, z[:, i]].T)
            own /= shares[:, None]
            np.testing.assert_allclose(found.columns[i], own, atol=1e-12)
            np.testing.assert_allclose(found.overall[i], shares @ own, atol=1e-12)
            bits = (own * np.log2(own / (shares @ own))).sum(1)
            np.testing.assert_allclose(found.bits(i), bits, atol=1e-12)
        # A hidden state says most of its own column; on the way to others it only loses.
        informed = [float(found.shares @ found.bits(i)) for i in range(columns)]
        assert min(informed) >= 0


def nodes_of(entry: Entry, grains: list[int] | None, edges: list[float], counts: list[float]) -> Nodes:
    nodes = Nodes(Event(Columns(), (entry,)), [grains])
    own = nodes.of(0)
    if own is not None:
        own.edges.copy_(torch.tensor(edges, dtype=torch.float64))
        own.counts.copy_(torch.tensor(counts))
    return nodes


def test_quantiles_of_values_with_spikes_are_exact() -> None:
    rng = np.random.default_rng(0)
    entry = Entry("r", Categorical(4), Real(MonotoneMap.affine(1.0, 2.0)), 3, coordinates=(None, 0.7, -2.5, None))
    edges = [-EDGE, -1.0, 0.2, 0.7, 1.1, EDGE]
    nodes = nodes_of(entry, [1, 2, 2], edges, [4.0, 1.0, 6.0, 3.0, 2.0])
    assert numeric(nodes, 0)
    shares = rng.dirichlet(np.full(6, 0.5), 40)
    levels = (0.05, 0.1, 0.5, 0.9, 0.99)
    mass = np.diff(norm.cdf(edges))
    weights = np.array([4.0, 1.0, 6.0, 3.0, 2.0]) + np.concatenate(
        [mass[:1] / mass[:1].sum(), mass[1:3] / mass[1:3].sum(), mass[3:] / mass[3:].sum()]
    )
    weights /= np.repeat([weights[0], weights[1:3].sum(), weights[3:].sum()], [1, 2, 2])

    def below(row: np.ndarray, z: float, closed: bool) -> float:
        """The share of values under z, or up to it, of those that are not missing."""
        inside = np.clip(norm.cdf(z) - norm.cdf(edges[:-1]), 0, mass) / mass
        total = (row[[0, 1, 1, 2, 2]] * weights * inside).sum()
        for share, atom in ((row[3], 0.7), (row[4], -2.5)):
            total += share * (atom <= z if closed else atom < z)
        return float(total / row[:5].sum())

    spikes = 0
    for row, found in zip(shares, quantiles(nodes, 0, torch.from_numpy(shares), levels), strict=True):
        for level, state in zip(levels, found, strict=True):
            z = {1: 0.7, 2: -2.5}[state.code] if state.code else state.low
            assert state.low == state.high
            assert below(row, z, False) <= level + 1e-9
            assert below(row, z, True) >= level - 1e-9
            spikes += state.code > 0
    assert 10 < spikes < 150


def test_quantiles_of_whole_numbers_are_whole_numbers() -> None:
    nodes = nodes_of(Entry("q", Categorical(2), GRID, missing=1), [7], [-EDGE, *_cells(), EDGE], [1e9] * 7)
    (found,) = quantiles(nodes, 0, torch.tensor([[0.5, 0.5]], dtype=torch.float64), (0.1, 0.5, 0.9))
    assert [float(GRID.map.inverse(torch.tensor(state.low))) for state in found] == pytest.approx([0, 3, 6])


def _cells() -> list[float]:
    lower: list[float] = GRID.cells(torch.arange(1, 7))[1].tolist()
    return lower


def test_categories_that_are_numbers_have_quantiles_and_others_none() -> None:
    place = (1.0, -1.0, 0.0, None)
    nodes = nodes_of(Entry("n", Categorical(4), missing=3, coordinates=place), None, [], [])
    assert numeric(nodes, 0)
    shares = torch.tensor([[0.1, 0.05, 0.35, 0.5], [0.9, 0.05, 0.05, 0.0]], dtype=torch.float64)
    codes = [[state.code for state in row] for row in quantiles(nodes, 0, shares, (0.05, 0.5, 0.9))]
    assert codes == [[1, 2, 0], [1, 0, 0]]
    assert not numeric(nodes_of(Entry("c", Categorical(4), missing=3), None, [], []), 0)
