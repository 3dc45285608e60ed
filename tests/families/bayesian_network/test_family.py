"""What a learned network says adds up: to one, to its marginals, to its samples, whatever its structure."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import chi2

import likewise as lw
from likewise.errors import DataError, NotSupported
from likewise.events import Batch, Categorical, Columns, Entry, Event, Quantised, Real, Restriction
from likewise.families.bayesian_network.family import BayesianNetworkFamily
from likewise.families.family import ClosedFormLearner, Conditional, Density
from likewise.mathematics.monotone import EDGE, MonotoneMap

KINDS: list[dict[str, Any]] = [
    {"max_bins": 12},
    {"structure": "chow_liu", "max_bins": 12},
    {"structure": "hill_climbing", "conditionals": "tables", "max_bins": 6},
    {"conditionals": "tables", "smoothing": 0.5, "max_bins": 4, "score": "bdeu"},
    {"structure": [["a", "b"], ["b", "q"], ["a", "q"], ["q", "r"], ["b", "c"]], "max_bins": 6},
]
GRID = Quantised(MonotoneMap.affine(2.0, 2.0), 1.0, 0.0, 0, 6)
UNIT = MonotoneMap.affine(1.0, 2.0)


def mixed_event() -> Event:
    """A category with an unseen code, one without, an integer that can be missing, a real with a spike, a coin."""
    return Event(
        Columns(),
        (
            Entry("a", Categorical(4), unseen=3, reserved=1e-3),
            Entry("b", Categorical(3)),
            Entry("q", Categorical(2), GRID, missing=1),
            Entry("r", Categorical(2), Real(UNIT)),
        ),
        (Entry("c", Categorical(2)),),
    )


def mixed_rows(size: int = 3000) -> Batch:
    rng = np.random.default_rng(1)
    a = rng.integers(0, 3, size)
    b = (a + rng.integers(0, 2, size)) % 3
    q = np.clip(rng.poisson(1 + a), 0, 6)
    missing = rng.random(size) < 0.1 + 0.1 * b
    spike = rng.random(size) < np.where(missing, 0.5, 0.2)
    r = 0.5 * q + b + rng.normal(size=size)
    c = (q + b + (rng.random(size) < 0.2)) % 2
    codes = np.stack([a, b, missing, spike, c], 1).astype(np.int64)
    zeros = np.zeros(size)
    values = np.stack([zeros, zeros, GRID.map.forward(torch.tensor(q)), UNIT.forward(torch.tensor(r)), zeros], 1)
    return mixed_event().complete(torch.from_numpy(codes), torch.from_numpy(values))


def fitted(**settings: Any) -> BayesianNetworkFamily:
    rows = mixed_rows()
    family = BayesianNetworkFamily(mixed_event(), **settings)
    family.fit_closed_form(rows.rows(slice(0, 2700)), rows.rows(slice(2700, 3000)), 0)
    return family


@pytest.fixture(scope="module", params=range(len(KINDS)))
def family(request: pytest.FixtureRequest) -> BayesianNetworkFamily:
    return fitted(**KINDS[request.param])


@dataclass(frozen=True)
class Space:
    """All joint states, with quadrature over the real value.

    Attributes
    ----------
    batch : Batch
    shares : (n,) probabilities of the states, a piece of the real line each
    keys : (n, 5) codes, with the number of the cell for a whole number that is present and 9 where it is missing
    """

    batch: Batch
    shares: np.ndarray
    keys: np.ndarray


@pytest.fixture(scope="module")
def space(family: BayesianNetworkFamily) -> Space:
    bins = family.network.nodes.of(3)
    inner = bins.edges[1:-1]
    edges = torch.unique(torch.cat([torch.linspace(-8, 8, 12, dtype=torch.float64), inner[inner.abs() < 8]]))
    nodes, weights = (torch.from_numpy(part) for part in np.polynomial.legendre.leggauss(10))
    half = 0.5 * edges.diff()
    z = torch.cat([(edges[:-1, None] + half[:, None] * (1 + nodes)).flatten(), torch.zeros(1, dtype=torch.float64)])
    mass = torch.cat([(half[:, None] * weights).flatten(), torch.ones(1, dtype=torch.float64)])
    centres = torch.cat([GRID.map.forward(torch.arange(7).double()), torch.zeros(1, dtype=torch.float64)])
    a, b, q, r, c = torch.cartesian_prod(*(torch.arange(size) for size in (4, 3, 8, len(z), 2))).T
    spike = (r == len(z) - 1).long()
    codes = torch.stack([a, b, (q == 7).long(), spike, c], 1)
    zero = torch.zeros(len(a), dtype=torch.float64)
    batch = mixed_event().complete(codes, torch.stack([zero, zero, centres[q], z[r], zero], 1))
    density = family.log_prob(batch).values - torch.where(spike == 0, batch.width[:, 3], 1.0).log()
    keys = torch.stack([a, b, torch.where(q == 7, 9, q), spike, c], 1)
    return Space(batch, (density.exp() * mass[r]).numpy(), keys.numpy())


def test_probabilities_of_all_records_sum_to_one(family: BayesianNetworkFamily, space: Space) -> None:
    assert family.log_prob(space.batch.rows(slice(0, 2))).kind == "exact"
    assert space.shares.sum() == pytest.approx(1, abs=1e-9)


def test_unknown_entries_are_summed_out(family: BayesianNetworkFamily, space: Space) -> None:
    picked = torch.from_numpy(np.random.default_rng(0).choice(len(space.batch), 8, replace=False))
    for size in range(5):
        for hidden in itertools.combinations((0, 1, 2, 4), size):
            kept = [i for i in (0, 1, 2, 4) if i not in hidden]
            got = family.log_prob(space.batch.rows(picked).hide([*hidden, 3])).values.exp().numpy()
            for at, share in zip(picked.tolist(), got, strict=True):
                same = (space.keys[:, kept] == space.keys[at, kept]).all(1)
                assert share == pytest.approx(space.shares[same].sum(), rel=1e-9, abs=1e-15)


def test_rows_are_scored_alike_alone_and_together(family: BayesianNetworkFamily) -> None:
    rows = mixed_rows(60)
    thirds = [rows.rows(slice(at, at + 20)) for at in (0, 20, 40)]
    mixed = Batch.join([thirds[0], thirds[1].hide([0, 2]), thirds[2].hide([3])])
    together = family.log_prob(mixed).values
    alone = torch.cat([family.log_prob(mixed.rows(slice(i, i + 1))).values for i in range(60)])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-12)


def evidence() -> Batch:
    """b is known, q lies in 1..3 or is missing, the rest is unknown."""
    row = mixed_rows(1).hide([0, 3, 4])
    low = float(GRID.cells(torch.tensor(1))[1])
    high = float(GRID.cells(torch.tensor(4))[1])
    within = torch.tensor([[[low, high]]], dtype=torch.float64)
    return row.restrict(2, Restriction(torch.tensor([[True, True]]), within))


def test_restricted_entries_are_summed_over(family: BayesianNetworkFamily) -> None:
    row = evidence()
    cells = [mixed_rows(1).hide([0, 3, 4]) for _ in range(4)]
    total = 0.0
    for cell, part in zip((1, 2, 3, None), cells, strict=True):
        codes, values = part.codes.clone(), part.values.clone()
        codes[0, 2] = int(cell is None)
        values[0, 2] = 0.0 if cell is None else float(GRID.map.forward(torch.tensor(float(cell))))
        whole = mixed_event().complete(codes, values).hide([0, 3, 4])
        total += family.log_prob(whole).values.exp().item()
    assert family.log_prob(row).values.exp().item() == pytest.approx(total, rel=1e-9)


def test_conditional_draws_follow_the_exact_conditional(family: BayesianNetworkFamily, space: Space) -> None:
    draws = family.conditional(evidence(), 20_000, torch.Generator().manual_seed(3))
    assert draws.effective_sample_size is None
    got = draws.batch
    assert got.fully_observed
    assert (got.codes[:, 1] == evidence().codes[0, 1]).all()
    assert (got.codes[:, 0] != 3).all()  # the unseen category is never drawn
    cell = torch.where(got.codes[:, 2] == 0, GRID.index(got.values[:, 2]), 9)
    assert set(cell.unique().tolist()) <= {1, 2, 3, 9}
    possible = (space.keys[:, 1] == int(evidence().codes[0, 1])) & (space.keys[:, 0] != 3)
    possible &= np.isin(space.keys[:, 2], (1, 2, 3, 9))
    states, which = np.unique(space.keys[possible], axis=0, return_inverse=True)
    expected = dict(zip(map(tuple, states.tolist()), np.bincount(which.ravel(), space.shares[possible]), strict=True))
    drawn = torch.stack([got.codes[:, 0], got.codes[:, 1], cell, got.codes[:, 3], got.codes[:, 4]], 1)
    names, counts = np.unique(drawn, axis=0, return_counts=True)
    seen = {tuple(name): count for name, count in zip(names.tolist(), counts, strict=True)}
    scale = 20_000 / sum(expected.values())
    assert set(seen) <= set(expected)
    large = [key for key, share in expected.items() if share * scale > 5]
    statistic = sum((seen.get(key, 0) - expected[key] * scale) ** 2 / (expected[key] * scale) for key in large)
    assert statistic < chi2.ppf(0.9999, len(large))


def test_samples_follow_the_model(family: BayesianNetworkFamily) -> None:
    drawn = family.sample(20_000, torch.Generator().manual_seed(5))
    unseen = mixed_event().all[0].reserved
    for i, size in enumerate(mixed_event().code_sizes):
        counts = np.bincount(drawn.codes[:, i].numpy(), minlength=size)
        row = mixed_rows(1).rows(torch.zeros(size, dtype=torch.int64)).hide(range(5))
        codes = torch.eye(size, dtype=torch.bool)
        whole = torch.tensor([[[-EDGE, EDGE]]], dtype=torch.float64).repeat(size, 1, 1)
        shares = family.log_prob(row.restrict(i, Restriction(codes, whole))).values.exp().numpy()
        if i == 0:
            assert shares[3] == pytest.approx(unseen, rel=1e-12)
            shares[3], shares[:3] = 0, shares[:3] / (1 - unseen)
        expected = 20_000 * shares
        kept = expected > 0
        assert ((counts - expected)[kept] ** 2 / expected[kept]).sum() < chi2.ppf(0.9999, kept.sum() - 1)
        assert counts[~kept].sum() == 0


def test_drawn_values_lie_in_their_intervals_and_keep_what_was_observed() -> None:
    family = fitted()
    rows = mixed_rows(50)
    intervals = torch.tensor([[[-0.5, -0.2], [0.4, 0.9]]], dtype=torch.float64).repeat(50, 1, 1)
    given = rows.hide([0]).restrict(3, Restriction(torch.tensor([[True, False]]).repeat(50, 1), intervals))
    got = family.conditional(given, 20, torch.Generator().manual_seed(0)).batch
    z = got.values[:, 3]
    assert (((z >= -0.5) & (z <= -0.2)) | ((z >= 0.4) & (z <= 0.9))).all()
    assert (got.codes[:, 3] == 0).all()
    for name in ("codes", "values", "lower", "width"):
        torch.testing.assert_close(getattr(got, name)[:, [1, 2, 4]], getattr(rows.repeat(20), name)[:, [1, 2, 4]])


def test_evidence_of_probability_1e_300_keeps_its_digits() -> None:
    # A class and 400 features, each 10 times likelier under the other class than under the one allowed.
    event = Event(Columns(), tuple(Entry(f"f{i}", Categorical(2)) for i in range(400)), (Entry("c", Categorical(2)),))
    star = [[400, i] for i in range(400)]
    family = BayesianNetworkFamily(event, structure=star, conditionals="tables", smoothing=1.0)
    rng = np.random.default_rng(0)
    label = rng.integers(0, 2, 200)
    codes = np.concatenate([(rng.random((200, 400)) < np.where(label, 0.95, 0.05)[:, None]), label[:, None]], 1)
    rows = event.complete(torch.from_numpy(codes.astype(np.int64)), torch.zeros(200, 401, dtype=torch.float64))
    family.fit_closed_form(rows, rows, 0)
    ones = event.complete(torch.ones(1, 401, dtype=torch.int64), torch.zeros(1, 401, dtype=torch.float64))
    zero = replace(ones, codes=torch.cat([ones.codes[:, :400], torch.zeros(1, 1, dtype=torch.int64)], 1))
    only = ones.restrict(400, Restriction(torch.tensor([[True, False]]), torch.zeros(1, 0, 2)))
    expected = family.log_prob(zero).values.item()
    assert expected < np.log(1e-300)
    assert family.log_prob(only).values.item() == pytest.approx(expected, abs=1e-9)
    both = torch.logaddexp(family.log_prob(ones).values, family.log_prob(zero).values)
    assert family.log_prob(ones.hide([400])).values.item() == pytest.approx(both.item(), abs=1e-9)


def test_too_wide_a_question_says_so() -> None:
    family = fitted(structure="ordered", max_memory=64)
    with pytest.raises(NotSupported, match="max_memory"):
        family.log_prob(mixed_rows(2).hide([0, 1]))


def test_impossible_evidence_says_so() -> None:
    family = fitted()
    nothing = Restriction(torch.zeros(1, 3, dtype=torch.bool), torch.zeros(1, 0, 2))
    row = mixed_rows(1).restrict(1, nothing)
    assert family.log_prob(row).values.item() == -np.inf
    with pytest.raises(DataError, match="probability zero"):
        family.conditional(row, 1, torch.Generator())


def test_a_limit_on_states_bounds_every_question() -> None:
    from likewise.families.bayesian_network.inference.relevance import query_of

    rng = np.random.default_rng(0)
    x = rng.integers(0, 4, (2000, 1)) + rng.integers(0, 3, (2000, 9))
    event = Event(Columns(), tuple(Entry(f"x{i}", Categorical(6)) for i in range(9)))
    rows = event.complete(torch.from_numpy(x), torch.zeros(2000, 9, dtype=torch.float64))
    family = BayesianNetworkFamily(event, structure="ordered", max_states=300)
    family.fit_closed_form(rows, rows.rows(slice(0, 300)), 0)
    every = query_of(family.network.inference.parameters, (), range(9))
    assert every.order.peak <= 300


def test_records_may_be_added_later() -> None:
    rows = mixed_rows()
    event = mixed_event()
    # Explicit tables, bins and smoothing: what is learned depends on counts alone.
    settings: dict[str, Any] = {
        "structure": [["a", "b"], ["b", "c"]],
        "conditionals": "tables",
        "smoothing": 1.0,
        "max_bins": 3,
    }
    once = BayesianNetworkFamily(event, **settings)
    once.fit_closed_form(rows.rows(slice(0, 1500)), rows.rows(slice(1500, 1600)), 0)
    once.fit_closed_form(rows.rows(slice(1500, 3000)), rows.rows(slice(0, 0)), 0, partial=True)
    for child, parents in ((1, [0]), (4, [1])):
        own = once.network.of(child)
        counts = np.zeros(own.table.shape)
        np.add.at(counts, (rows.codes[:, parents[0]].numpy(), rows.codes[:, child].numpy()), 1)
        np.testing.assert_array_equal(own.counts.numpy(), counts)
        np.testing.assert_allclose(own.table.numpy(), (counts + 1) / (counts + 1).sum(1, keepdims=True))


def test_it_is_what_it_says_it_is() -> None:
    family = BayesianNetworkFamily(mixed_event())
    assert isinstance(family, ClosedFormLearner)
    assert isinstance(family, Density)
    assert isinstance(family, Conditional)
    with pytest.raises(NotSupported, match="not been fitted"):
        family.sample(1, torch.Generator())


def test_without_held_out_records_choices_are_as_careful_and_all_records_count() -> None:
    records = lw.datasets.load("diabetes")
    train, fresh = records.iloc[:354], records.iloc[354:]
    careful, alone = (
        lw.BayesianNetwork(structure="chow_liu", validation_fraction=share, random_state=0).fit(train)
        for share in (0.1, 0.0)
    )
    # Where leaves are chosen by the records they were grown from, this is 24 nats a record worse.
    assert alone.score(fresh) == pytest.approx(careful.score(fresh), abs=1.5)
    counts = alone.family_.network.of(0).counts
    assert int(counts.sum()) == len(train)
