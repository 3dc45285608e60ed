"""The leaves of trees of hidden states: what is a number is smoothed along the line of numbers, spikes included."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import spearmanr

import likewise as lw
from likewise.families.bayesian_network.discrete.cutting import discretise
from likewise.families.bayesian_network.discrete.nodes import Nodes
from likewise.families.bayesian_network.hidden_tree.clusters import features
from likewise.families.bayesian_network.hidden_tree.passes import Tables
from likewise.families.bayesian_network.hidden_tree.tables import Marginals

BINS = 16


@pytest.fixture(scope="module")
def told() -> tuple[Nodes, torch.Tensor, np.ndarray]:
    """Nodes of amounts with spikes at 40 and 60, some missing, and of a name; the states of records; the amounts."""
    rng = np.random.default_rng(0)
    amounts = rng.normal(50, 15, 2000)
    amounts[:300], amounts[300:500] = 40.0, 60.0
    amounts[500:600] = np.nan
    domain = lw.Table().fit(pd.DataFrame({"amount": amounts, "name": rng.choice(["a", "b"], 2000)}))
    batch = domain.encode(pd.DataFrame({"amount": amounts, "name": rng.choice(["a", "b"], 2000)}))
    nodes = discretise(domain.event, batch, BINS).nodes
    return nodes, nodes.states(batch), amounts


def test_numbers_are_bins_and_spikes_in_their_order(told: tuple[Nodes, torch.Tensor, np.ndarray]) -> None:
    nodes, states, amounts = told
    numbers = nodes.numbers(0)
    assert len(numbers) == BINS + 2
    assert set(range(BINS)) < set(numbers.tolist())
    present = ~np.isnan(amounts)
    assert set(states[present, 0].tolist()) == set(numbers.tolist())
    spans = [amounts[(states[:, 0] == state).numpy()] for state in numbers]
    assert [span[0] for span in spans if span.min() == span.max()] == [40.0, 60.0]
    bins = [span for span in spans if span.min() < span.max()]
    assert all(below.max() <= above.min() for below, above in itertools.pairwise(bins))
    # A spike lies beside the bin that holds its neighbours on both sides.
    assert all(below.min() < above.max() for below, above in itertools.pairwise(spans))
    assert len(nodes.numbers(1)) == 0


@pytest.fixture(scope="module")
def marginals(told: tuple[Nodes, torch.Tensor, np.ndarray]) -> Marginals:
    nodes, states, _ = told
    sizes = [size - (nodes.unseen(i) is not None) for i, size in enumerate(nodes.sizes)]
    counts = torch.cat([torch.bincount(states[:, i], minlength=size) for i, size in enumerate(sizes)])
    return Marginals(counts, sizes, [nodes.numbers(i) for i in range(len(sizes))])


def test_clusters_see_a_spike_among_its_neighbours(
    told: tuple[Nodes, torch.Tensor, np.ndarray], marginals: Marginals
) -> None:
    _, states, amounts = told
    seen, named = features(states, marginals)
    present = ~np.isnan(amounts)
    assert seen.shape[1] == marginals.sizes[0] - len(marginals.numbers[0]) + 1
    assert spearmanr(seen[present, 0], amounts[present]).statistic > 0.99
    spike = float(seen[torch.from_numpy(amounts == 40.0), 0].mean())
    assert (
        float(seen[torch.from_numpy(amounts < 36), 0].max())
        < spike
        < float(seen[torch.from_numpy(amounts > 44), 0].min())
    )
    assert named.shape[1] == marginals.sizes[1]
    torch.testing.assert_close(seen.mean(0), torch.zeros(seen.shape[1]), atol=1e-5, rtol=0)


def test_a_spike_that_a_hidden_state_has_not_shown_is_as_probable_as_its_neighbours_say(marginals: Marginals) -> None:
    """Of two hidden states that showed the bins beside one spike, each has that spike and not the other."""
    numbers, size = marginals.numbers[0], marginals.sizes[0]
    spikes = [int(place) for place in (numbers >= BINS).nonzero()[:, 0]]
    counts = torch.zeros(size, 2)
    for state, spike in enumerate(spikes):
        beside = [place for place in range(spike - 2, spike + 3) if 0 <= place < len(numbers) and place != spike]
        counts[numbers[beside], state] = 10.0
    leaf = marginals.leaf(0, counts, 0.1, 30.0)
    torch.testing.assert_close(leaf.sum(0), torch.ones(2))
    low, high = leaf[numbers[spikes[0]]], leaf[numbers[spikes[1]]]
    assert float(low[0] / low[1]) > 20
    assert float(high[1] / high[0]) > 20


def test_distributions_of_a_tree_are_smoothed_towards_those_of_its_rows(marginals: Marginals) -> None:
    size = sum(marginals.sizes)
    leaves = torch.zeros(size, 2)
    leaves[3] = 5000.0
    leaves[marginals.sizes[0]] = 5000.0
    own = marginals.within(Tables(torch.ones(2), torch.ones(2, 2, 2), leaves))
    assert float(own.shares[0][3]) == pytest.approx((10_000 + 100 * float(marginals.shares[0][3])) / 10_100, rel=1e-3)
    assert float(own.shares[0].sum()) == pytest.approx(1)
    assert all(float(part.min()) > 0 for part in own.shares)
