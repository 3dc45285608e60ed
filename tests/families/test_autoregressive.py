"""The autoregressive family on events small enough to be enumerated."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.datasets import load_digits

from likewise.engine.loop import train
from likewise.engine.plan import Plan
from likewise.errors import DataError
from likewise.events import (
    Batch,
    Categorical,
    Columns,
    Entry,
    Event,
    Grid,
    Quantised,
    Real,
    Restriction,
    Status,
)
from likewise.families.autoregressive import AutoregressiveFamily, marginals
from likewise.mathematics.monotone import MonotoneMap

GRID = Quantised(MonotoneMap.affine(3.0, 2.0), step=1.0, origin=0.0, low=0, high=6)
DISCRETE = Event(
    Columns(),
    (
        Entry("colour", Categorical(4), unseen=3, reserved=0.01),
        Entry("count", Categorical(3), GRID, missing=2),
        Entry("flag", Categorical(2)),
    ),
)
MIXED = Event(
    Columns(),
    (Entry("flag", Categorical(2)), Entry("mass", Categorical(2), Real(MonotoneMap.affine(10.0, 3.0)), missing=1)),
)


def wild(event: Event, seed: int = 0, **settings: object) -> AutoregressiveFamily:
    """A family whose entries depend strongly on each other, without any learning."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        family = AutoregressiveFamily(event, width=16, hidden=16, layers=2, components=3, **settings)  # type: ignore[arg-type]
        with torch.no_grad():
            for parameter in family.parameters():
                parameter.add_(0.5 * torch.randn_like(parameter))
    return family.eval()


def every_record(event: Event) -> Batch:
    """All states of an event without real values."""
    states = []
    for entry in event.all:
        own = [(code, 0.0) for code in range(1 if entry.value is not None else 0, entry.code.size)]
        if isinstance(entry.value, Quantised):
            assert entry.value.low is not None
            assert entry.value.high is not None
            centres = entry.value.cells(torch.arange(entry.value.low, entry.value.high + 1))[0]
            own += [(0, float(z)) for z in centres]
        states.append(own)
    rows = list(itertools.product(*states))
    codes = torch.tensor([[code for code, _ in row] for row in rows])
    return event.complete(codes, torch.tensor([[z for _, z in row] for row in rows], dtype=torch.float64))


@pytest.mark.parametrize("settings", [{"order": "fixed"}, {"order": "fixed", "orders": [[2, 0, 1]]}, {"n_orders": 4}])
def test_probabilities_of_all_records_sum_to_one(settings: dict[str, object]) -> None:
    family = wild(DISCRETE, **settings)
    scores = family.log_prob(every_record(DISCRETE))
    assert scores.kind == "exact"
    assert scores.values.dtype == torch.float64
    assert float(scores.values.exp().sum()) == pytest.approx(1, abs=1e-9)


def test_every_stored_order_is_a_distribution_of_its_own_and_the_density_is_their_mean() -> None:
    family = wild(DISCRETE, n_orders=3)
    records = every_record(DISCRETE)
    each = []
    for order in family.orders:
        one = AutoregressiveFamily(DISCRETE, **{**family.settings, "order": "fixed", "orders": [list(order)]})
        one.load_state_dict(family.state_dict())
        each.append(one.eval().log_prob(records).values.exp())
        assert float(each[-1].sum()) == pytest.approx(1, abs=1e-9)
    assert not torch.allclose(each[0], each[1])
    torch.testing.assert_close(family.log_prob(records).values.exp(), sum(each) / 3)


@pytest.mark.parametrize("order", ["fixed", "any"])
def test_densities_in_the_users_units_integrate_to_one(order: str) -> None:
    family = wild(MIXED, order=order)
    x = torch.linspace(-300, 400, 12_001, dtype=torch.float64)
    z = MIXED.entries[1].value.map.forward(x)  # type: ignore[union-attr]
    total = 0.0
    for flag in (0, 1):
        codes = torch.stack([torch.full((len(x),), flag), torch.zeros(len(x), dtype=torch.int64)], 1)
        density = family.log_prob(MIXED.complete(codes, torch.stack([torch.zeros_like(z), z], 1))).values.exp()
        total += float(torch.trapezoid(density, x))
        missing = MIXED.complete(torch.tensor([[flag, 1]]), torch.zeros(1, 2))
        total += float(family.log_prob(missing).values.exp())
    assert total == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("hidden", [[0], [1], [2], [0, 1], [0, 2], [1, 2], [0, 1, 2]])
@pytest.mark.parametrize("order", ["fixed", "any"])
def test_unknown_entries_are_summed_out(order: str, hidden: list[int]) -> None:
    family = wild(DISCRETE, order=order)
    records = every_record(DISCRETE)
    joint = family.log_prob(records).values.exp()
    record = records.rows(slice(11, 12))
    kept = [i for i in range(3) if i not in hidden]
    same = (
        (records.codes[:, kept] == record.codes[:, kept]) & (records.values[:, kept] == record.values[:, kept])
    ).all(1)
    answer = family.log_prob(record.hide(hidden))
    assert answer.kind == "exact"
    assert float(answer.values.exp()) == pytest.approx(float(joint[same].sum()), rel=1e-9)


@pytest.mark.parametrize("order", ["fixed", "any"])
def test_unknown_real_values_are_integrated_out(order: str) -> None:
    family = wild(MIXED, order=order, orders=[[1, 0]] if order == "fixed" else [[1, 0], [0, 1]])
    value = MIXED.entries[1].value
    assert isinstance(value, Real)
    x = torch.linspace(-300, 400, 12_001, dtype=torch.float64)
    codes = torch.zeros(len(x), 2, dtype=torch.int64)
    records = MIXED.complete(codes, torch.stack([torch.zeros_like(x), value.map.forward(x)], 1))
    expected = float(torch.trapezoid(family.log_prob(records).values.exp(), x))
    expected += float(family.log_prob(MIXED.complete(torch.tensor([[0, 1]]), torch.zeros(1, 2))).values.exp())
    assert float(family.log_prob(records.rows(slice(0, 1)).hide([1])).values.exp()) == pytest.approx(expected, abs=1e-4)


def restriction() -> Restriction:
    """A missing count, or one of the cells 1, 2 or 5."""
    edges = GRID.cells(torch.tensor([1, 2, 5]))
    intervals = torch.stack(
        [torch.stack([edges[1][0], edges[1][1] + edges[2][1]]), torch.stack([edges[1][2], edges[1][2] + edges[2][2]])]
    )
    return Restriction(torch.tensor([[True, False, True]]), intervals.unsqueeze(0))


def in_set(records: Batch) -> torch.Tensor:
    cell = GRID.index(records.values[:, 1])
    return (records.codes[:, 1] == 2) | ((records.codes[:, 1] == 0) & torch.isin(cell, torch.tensor([1, 2, 5])))


@pytest.mark.parametrize("order", ["fixed", "any"])
def test_a_set_has_the_probability_of_its_members(order: str) -> None:
    family = wild(DISCRETE, order=order)
    records = every_record(DISCRETE)
    joint = family.log_prob(records).values.exp()
    row = records.rows(slice(0, 1)).restrict(1, restriction())
    members = (records.codes[:, 0] == row.codes[0, 0]) & (records.codes[:, 2] == row.codes[0, 2]) & in_set(records)
    assert float(family.log_prob(row).values.exp()) == pytest.approx(float(joint[members].sum()), rel=1e-9)


def frequencies(drawn: Batch, records: Batch) -> np.ndarray:
    """How often each of the records was drawn."""
    key = {
        (tuple(c), tuple(np.round(v, 6))): k
        for k, (c, v) in enumerate(zip(records.codes.tolist(), records.values.tolist(), strict=True))
    }
    counts = np.zeros(len(records))
    for c, v in zip(drawn.codes.tolist(), drawn.values.tolist(), strict=True):
        counts[key[tuple(c), tuple(np.round(v, 6))]] += 1
    return counts


def agrees(counts: np.ndarray, probability: np.ndarray) -> bool:
    """Whether a chi-square test at fixed seeds lets the counts pass; rare states are pooled."""
    expected = probability / probability.sum() * counts.sum()
    common = expected >= 5
    observed = np.append(counts[common], counts[~common].sum())
    expected = np.append(expected[common], expected[~common].sum())
    keep = expected > 0
    assert observed[~keep].sum() == 0
    return bool(stats.chisquare(observed[keep], expected[keep]).pvalue > 1e-3)


@pytest.mark.parametrize("order", ["fixed", "any"])
def test_samples_have_the_stated_frequencies(order: str) -> None:
    family = wild(DISCRETE, order=order)
    records = every_record(DISCRETE)
    drawn = family.sample(20_000, torch.Generator().manual_seed(3))
    probability = family.log_prob(records).values.exp().numpy() * (records.codes[:, 0] != 3).numpy()
    assert drawn.fully_observed
    assert agrees(frequencies(drawn, records), probability)


def test_draws_under_evidence_follow_the_exact_conditional_of_the_evidence_first_order() -> None:
    family = wild(DISCRETE, n_orders=2)
    evidence = Batch.unknown(DISCRETE, 1).restrict(1, restriction())
    evidence.status[0, 2] = int(Status.OBSERVED)
    evidence.codes[0, 2] = 1
    drawn = family.conditional(evidence, 20_000, torch.Generator().manual_seed(5))
    assert drawn.effective_sample_size is None
    ordered = AutoregressiveFamily(DISCRETE, **{**family.settings, "order": "fixed", "orders": [[2, 1, 0]]})
    ordered.load_state_dict(family.state_dict())
    records = every_record(DISCRETE)
    joint = ordered.eval().log_prob(records).values.exp().numpy()
    allowed = (in_set(records) & (records.codes[:, 2] == 1) & (records.codes[:, 0] != 3)).numpy()
    assert agrees(frequencies(drawn.batch, records), joint * allowed)


def test_weighted_draws_in_a_fixed_order_follow_its_conditional() -> None:
    family = wild(DISCRETE, order="fixed")
    evidence = Batch.unknown(DISCRETE, 1).restrict(1, restriction())
    evidence.status[0, 2] = int(Status.OBSERVED)
    evidence.codes[0, 2] = 1
    drawn = family.conditional(evidence, 4000, torch.Generator().manual_seed(5))
    assert drawn.effective_sample_size is not None
    records = every_record(DISCRETE)
    allowed = (in_set(records) & (records.codes[:, 2] == 1) & (records.codes[:, 0] != 3)).numpy()
    probability = family.log_prob(records).values.exp().numpy() * allowed
    counts = frequencies(drawn.batch, records)
    assert counts[~allowed].sum() == 0
    assert 0.5 * np.abs(counts / counts.sum() - probability / probability.sum()).sum() < 0.03


def test_evidence_without_probability_is_refused() -> None:
    family = wild(DISCRETE)
    nothing = Restriction(torch.zeros(1, 3, dtype=torch.bool), torch.tensor([[[1.0, -1.0]]], dtype=torch.float64))
    with pytest.raises(DataError, match="no probability"):
        family.conditional(Batch.unknown(DISCRETE, 1).restrict(1, nothing), 10, torch.Generator())


def test_estimated_sums_are_within_their_standard_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    family = wild(DISCRETE, order="fixed")
    hidden = every_record(DISCRETE).hide([0, 1])
    exact = family.log_prob(hidden)
    monkeypatch.setattr(marginals, "MOST_BRANCHES", 1)
    estimate = family.log_prob(hidden, seed=4)
    assert (exact.kind, estimate.kind) == ("exact", "estimate")
    assert bool((estimate.standard_error > 0).all())
    assert bool(((estimate.values - exact.values).abs() < 4.5 * estimate.standard_error).all())
    # Noise belongs to the record: neighbours change nothing.
    alone = family.log_prob(hidden.rows(slice(7, 8)), seed=4)
    assert float(alone.values) == pytest.approx(float(estimate.values[7]), abs=1e-12)


def test_scores_do_not_depend_on_neighbours() -> None:
    family = wild(DISCRETE)
    records = every_record(DISCRETE)
    together = family.log_prob(records).values
    apart = torch.cat([family.log_prob(records.rows(slice(k, k + 1))).values for k in range(5)])
    torch.testing.assert_close(together[:5], apart, rtol=0, atol=1e-12)


def test_rebuilt_from_settings_it_is_the_same_distribution() -> None:
    family = wild(DISCRETE, n_orders=3)
    with torch.device("meta"):
        again = AutoregressiveFamily(DISCRETE, **family.settings)
    again.load_state_dict(family.state_dict(), assign=True)
    records = every_record(DISCRETE)
    assert torch.equal(again.eval().log_prob(records).values, family.log_prob(records).values)


def test_learns_the_frequencies_of_a_small_population() -> None:
    noise = torch.Generator().manual_seed(0)
    event = Event(Columns(), (Entry("a", Categorical(3)), Entry("b", Categorical(3))))
    table = torch.tensor([[0.3, 0.02, 0.08], [0.05, 0.2, 0.05], [0.01, 0.09, 0.2]])
    drawn = torch.multinomial(table.flatten(), 4000, replacement=True, generator=noise)
    batch = event.complete(torch.stack([drawn // 3, drawn % 3], 1), torch.zeros(4000, 2))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        family = AutoregressiveFamily(event, width=32, hidden=32, layers=1)
    train(
        family,
        batch.rows(slice(0, 3500)),
        batch.rows(slice(3500, 4000)),
        Plan(max_steps=300, batch_size=256, device="cpu"),
        seed=0,
    )
    states = event.complete(torch.cartesian_prod(torch.arange(3), torch.arange(3)), torch.zeros(9, 2))
    learned = family.log_prob(states).values.exp()
    assert float(learned.sum()) == pytest.approx(1, abs=1e-9)
    assert 0.5 * float((learned - table.flatten()).abs().sum()) < 0.04


def test_learns_an_image_grid_with_a_label() -> None:
    pixels, digit = load_digits(return_X_y=True)
    unit = Quantised(MonotoneMap.affine(8.0, 4.0), step=1.0, origin=0.0, low=0, high=16)
    event = Event(
        Grid(8, 8),
        tuple(Entry(f"pixel{k}", Categorical(1), unit) for k in range(64)),
        (Entry("digit", Categorical(10)),),
    )
    values = torch.cat([unit.map.forward(torch.tensor(pixels)), torch.zeros(len(pixels), 1)], 1)
    codes = torch.cat([torch.zeros(len(pixels), 64, dtype=torch.int64), torch.tensor(digit).unsqueeze(1)], 1)
    batch = event.complete(codes, values)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        family = AutoregressiveFamily(event, width=48, hidden=48, layers=1, components=4)
    train(
        family,
        batch.rows(slice(0, 1500)),
        batch.rows(slice(1500, 1797)),
        Plan(max_steps=60, batch_size=64, device="cpu"),
        seed=0,
    )
    held_out = batch.rows(slice(1500, 1600))
    scores = family.log_prob(held_out)
    uniform = -(64 * np.log(17) + np.log(10))
    assert scores.kind == "exact"
    assert float(scores.values.mean()) > uniform + 50
    # p(x) = sum over labels of p(x, label): the labels stand last in every order, so hiding them costs nothing.
    summed = torch.stack([family.log_prob(relabelled(held_out, k)).values for k in range(10)]).logsumexp(0)
    torch.testing.assert_close(family.log_prob(held_out.hide([64])).values, summed)
    assert family.sample(3, torch.Generator().manual_seed(0)).values.shape == (3, 65)


def relabelled(batch: Batch, label: int) -> Batch:
    codes = batch.codes.clone()
    codes[:, 64] = label
    return Batch(codes, batch.values, batch.lower, batch.width, batch.status)


# ------------------------------------------------------------------------------------------------- given their labels

LABELLED = Event(
    Columns(),
    (Entry("count", Categorical(3), GRID, missing=2), Entry("flag", Categorical(2))),
    (Entry("kind", Categorical(4), unseen=3, reserved=0.01),),
)


def told(kinds: torch.Tensor, **settings: object) -> AutoregressiveFamily:
    """A family conditional on kinds that stand in the training records as often as these say."""
    family = wild(LABELLED, conditional=True, **settings)
    assert family.labels is not None
    codes = torch.stack([torch.zeros_like(kinds), torch.zeros_like(kinds), kinds], 1)
    family.labels.prepare(LABELLED.complete(codes, torch.zeros(len(kinds), 3)))
    return family


@pytest.mark.parametrize("order", ["fixed", "any"])
def test_given_each_label_probabilities_sum_to_one(order: str) -> None:
    family = told(torch.tensor([0, 1, 1, 2]), order=order)
    records = every_record(LABELLED)
    scores = family.log_prob(records)
    assert scores.kind == "exact"
    by_kind = torch.zeros(4, dtype=torch.float64).index_add(0, records.codes[:, 2], scores.values.exp())
    torch.testing.assert_close(by_kind, torch.ones(4, dtype=torch.float64))
    hidden = family.log_prob(records.rows(slice(0, 1)).hide([0, 1]))
    assert float(hidden.values) == pytest.approx(0, abs=1e-12)


def test_unknown_labels_are_summed_out_by_their_frequencies() -> None:
    family = told(torch.tensor([0, 1, 1, 2]))
    records = every_record(LABELLED)
    share = 0.99 * torch.tensor([0.25, 0.5, 0.25, 0.01 / 0.99], dtype=torch.float64)
    joint = family.log_prob(records).values.exp() * share[records.codes[:, 2]]
    unlabelled = family.log_prob(records.hide([2]))
    same = (records.codes[:, None, :2] == records.codes[None, :, :2]).all(2)
    same &= (records.values[:, None] == records.values[None]).all(2)
    torch.testing.assert_close(unlabelled.values.exp(), same.double() @ joint)
    # p(x | y) knows nothing of the frequencies.
    other = told(torch.tensor([0, 0, 0, 0, 1]))
    assert torch.equal(other.log_prob(records).values, family.log_prob(records).values)


def test_labels_of_draws_follow_their_frequencies_and_what_the_evidence_says_of_them() -> None:
    family = told(torch.tensor([0, 1, 1, 2]))
    records = every_record(LABELLED)
    drawn = family.sample(8000, torch.Generator().manual_seed(1))
    share = torch.bincount(drawn.codes[:, 2], minlength=4).double() / 8000
    torch.testing.assert_close(share, torch.tensor([0.25, 0.5, 0.25, 0.0]).double(), atol=0.02, rtol=0)
    evidence = Batch.unknown(LABELLED, 1)
    evidence.status[0, 1] = int(Status.OBSERVED)
    evidence.codes[0, 1] = 1
    found = family.conditional(evidence, 8000, torch.Generator().manual_seed(2))
    assert found.effective_sample_size is None
    ordered = AutoregressiveFamily(LABELLED, **{**family.settings, "order": "fixed", "orders": [[2, 1, 0]]})
    ordered.load_state_dict(family.state_dict())
    weight = torch.tensor([0.25, 0.5, 0.25, 0.0]).numpy()[records.codes[:, 2]]
    probability = ordered.eval().log_prob(records).values.exp().numpy() * weight * (records.codes[:, 1] == 1).numpy()
    assert agrees(frequencies(found.batch, records), probability)
    # Several sets at once are weighted, labels among the candidates.
    several = Batch.unknown(LABELLED, 1).restrict(0, restriction())
    several = several.restrict(1, Restriction(torch.tensor([[False, True]]), torch.zeros(1, 1, 2)))
    weighted = family.conditional(several, 2000, torch.Generator().manual_seed(3))
    assert weighted.effective_sample_size is not None
    assert bool((weighted.batch.codes[:, 1] == 1).all())


def test_a_conditional_model_learns_the_same_whatever_the_share_of_its_labels() -> None:
    """Mass is N(-1, .5) or N(1, .5) by kind: learned from a share of .5 and of .1, p(mass | kind) is the same."""
    event = Event(
        Columns(),
        (Entry("mass", Categorical(1), Real(MonotoneMap.affine(0.0, 1.0))),),
        (Entry("kind", Categorical(2)),),
    )
    z = torch.linspace(-6, 6, 1201, dtype=torch.float64)
    for share in (0.5, 0.1):
        noise = torch.Generator().manual_seed(0)
        kind = (torch.rand(4000, generator=noise) < share).long()
        mass = 2 * kind - 1 + 0.5 * torch.randn(4000, generator=noise, dtype=torch.float64)
        codes = torch.stack([torch.zeros_like(kind), kind], 1)
        batch = event.complete(codes, torch.stack([mass, torch.zeros_like(mass)], 1))
        with torch.random.fork_rng():
            torch.manual_seed(0)
            family = AutoregressiveFamily(event, conditional=True, width=16, hidden=16, layers=1, components=4)
        plan = Plan(max_steps=300, batch_size=256, device="cpu")
        train(family, batch.rows(slice(0, 3600)), batch.rows(slice(3600, 4000)), plan, seed=0)
        for label in (0, 1):
            codes = torch.stack([torch.zeros(1201), torch.full((1201,), label)], 1).long()
            grid = event.complete(codes, torch.stack([z, torch.zeros_like(z)], 1))
            density = family.log_prob(grid).values.exp()
            assert float(torch.trapezoid(density, z)) == pytest.approx(1, abs=1e-3)
            truth = torch.exp(-0.5 * ((z - 2 * label + 1) / 0.5) ** 2) / (0.5 * np.sqrt(2 * np.pi))
            assert 0.5 * float(torch.trapezoid((density - truth).abs(), z)) < 0.08
        drawn = family.sample(2000, torch.Generator().manual_seed(1))
        assert float(drawn.codes[:, 1].double().mean()) == pytest.approx(share, abs=0.03)


def test_conditional_models_need_labels_that_come_first() -> None:
    with pytest.raises(ValueError, match=r"fit\(X, y\)"):
        AutoregressiveFamily(DISCRETE, conditional=True)
    with pytest.raises(ValueError, match="labels must come first"):
        AutoregressiveFamily(LABELLED, conditional=True, orders=[[0, 1, 2]])
