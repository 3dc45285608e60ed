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
from likewise.families.bayesian_network.hidden_tree.passes import Shape, Tables
from likewise.families.bayesian_network.hidden_tree.tables import Marginals, Strengths

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


@pytest.fixture
def pair(marginals: Marginals) -> tuple[Shape, Tables, torch.Tensor]:
    """A name below an amount: counts of pairs of four hidden states, and leaves."""
    generator = torch.Generator().manual_seed(0)
    leaves = torch.rand(sum(marginals.sizes), 4, generator=generator, dtype=torch.float64) + 0.05
    parts = [part / part.sum(0) for part in leaves.split(marginals.sizes)]
    steps = 50 * torch.rand(2, 4, 4, generator=generator, dtype=torch.float64)
    return Shape((-1, 0)), Tables(steps[1].sum(1), steps, leaves), torch.cat(parts)


def test_a_step_is_smoothed_towards_steps_through_what_either_column_shows(
    marginals: Marginals, pair: tuple[Shape, Tables, torch.Tensor]
) -> None:
    """Closed forms, state by state; a record spread as the states below count with every distribution."""
    shape, counts, leaves = pair
    above, below = leaves.split(marginals.sizes)
    pairs = counts.steps[1]
    alone = (pairs.sum(0) + 1) / (pairs.sum() + 4)
    found = marginals.simpler(shape, counts, leaves)[1]
    for z, child in itertools.product(range(4), range(4)):
        by_above = sum(
            above[x, z]
            * (sum(above[x, y] * pairs[y, child] for y in range(4)) + alone[child])
            / (sum(above[x, y] * pairs[y].sum() for y in range(4)) + 1)
            for x in range(len(above))
        )
        by_own = sum(
            (pairs[z, y] + alone[y])
            / (pairs[z].sum() + 1)
            * below[x, y]
            * (below[x, child] * alone[child])
            / sum(below[x, w] * alone[w] for w in range(4))
            for y in range(4)
            for x in range(len(below))
        )
        assert float(found[z, child]) == pytest.approx(float(by_above + by_own) / 2, rel=1e-9)
    torch.testing.assert_close(found.sum(1), torch.ones(4, dtype=torch.float64))


def test_a_strength_is_how_many_records_the_simpler_step_counts_for(
    marginals: Marginals, pair: tuple[Shape, Tables, torch.Tensor]
) -> None:
    shape, counts, _ = pair
    for strength in (0.1, 30.0):
        tables = marginals.tables(shape, counts, Strengths(*torch.tensor([[1.0, strength], [1.0, 1.0], [30.0, 30.0]])))
        pairs, simpler = counts.steps[1], marginals.simpler(shape, counts, tables.leaves)[1]
        size = pairs.sum(1, keepdim=True)
        torch.testing.assert_close(tables.steps[1], (pairs + strength * simpler) / (size + strength), atol=1e-7, rtol=0)


def test_hidden_states_that_show_the_same_lend_each_other_what_follows(
    marginals: Marginals, pair: tuple[Shape, Tables, torch.Tensor]
) -> None:
    """A hidden state that no record was in is followed by what follows its twin, not by what follows most others."""
    shape, counts, leaves = pair
    amounts, names = leaves.split(marginals.sizes)
    amounts = torch.zeros_like(amounts)
    amounts[3, :2], amounts[9, 2:] = 1.0, 1.0  # two pairs of twins
    names = torch.tensor([[1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 1.0]]).double()
    names = torch.cat([names, torch.zeros(len(leaves) - len(amounts) - 2, 4).double()])
    steps = torch.zeros_like(counts.steps)
    steps[1, 0, 0], steps[1, 2, 2] = 100.0, 1000.0
    found = marginals.simpler(shape, Tables(steps[1].sum(1), steps, leaves), torch.cat([amounts, names]) + 1e-9)[1]
    step = Marginals.step(steps[1], torch.tensor(1.0), found)
    assert float(found[0, 0]) > 0.9  # what was seen often stays
    assert float(step[1, 0]) > 0.5 > float(step[1, 2:].sum())  # its twin's
    assert float(step[3, 2]) > 0.9
