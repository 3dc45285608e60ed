"""Labels by themselves: their frequencies, draws, and the sum over labels that nobody knows."""

from __future__ import annotations

import math

import pytest
import torch

from likewise.errors import DataError, NotSupported
from likewise.events import Batch, Categorical, Columns, Entry, Event, Quantised, Real, Restriction, Status
from likewise.families.family import LogProb
from likewise.families.labels import LabelMarginal
from likewise.mathematics.monotone import EDGE, MonotoneMap

UNIT = MonotoneMap.affine(0.0, 1.0)
WHOLE = Quantised(MonotoneMap.affine(50.0, 30.0), step=10.0, origin=0.0, low=0, high=10)
EVENT = Event(
    Columns(),
    (Entry("x", Categorical(2)),),
    (
        Entry("kind", Categorical(4), unseen=3, reserved=0.01),
        Entry("decade", Categorical(2), WHOLE, missing=1),
        Entry("mass", Categorical(1), Real(UNIT)),
    ),
)
TWO = Event(Columns(), (Entry("x", Categorical(2)),), (Entry("a", Categorical(2)), Entry("b", Categorical(3))))


def noise(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def records(size: int = 4000) -> Batch:
    codes = torch.zeros(size, 4, dtype=torch.int64)
    codes[:, 1] = torch.multinomial(torch.tensor([0.7, 0.3, 0.0]), size, replacement=True, generator=noise())
    codes[: size // 4, 2] = 1
    values = torch.zeros(size, 4, dtype=torch.float64)
    values[:, 2] = WHOLE.map.forward(20.0 * torch.randint(0, 3, (size,), generator=noise(1)).double())
    values[:, 3] = torch.randn(size, generator=noise(2), dtype=torch.float64).exp()
    return EVENT.complete(codes, values)


def test_draws_have_the_frequencies_and_quantiles_of_the_records() -> None:
    batch = records()
    marginal = LabelMarginal(EVENT)
    marginal.prepare(batch)
    codes, values = marginal.draw(40_000, noise(3))
    for at, i in enumerate(EVENT.label_entries):
        shares = [torch.bincount(part, minlength=4).double() / len(part) for part in (codes[:, at], batch.codes[:, i])]
        torch.testing.assert_close(*shares, atol=0.01, rtol=0)
    assert not (codes[:, 0] >= 2).any()  # neither the state without records nor the unseen one
    assert not values[codes[:, 1] == 1, 1].any()
    drawn = values[codes[:, 1] == 0, 1].unique()
    torch.testing.assert_close(drawn, batch.values[:, 2][batch.codes[:, 2] == 0].unique())  # 0, 20, 40, not 10
    levels = torch.linspace(0.01, 0.99, 40, dtype=torch.float64)
    torch.testing.assert_close(values[:, 2].quantile(levels), batch.values[:, 3].quantile(levels), atol=0.05, rtol=0.05)
    again, _ = marginal.draw(40_000, noise(3))
    assert torch.equal(codes, again)


def test_probabilities_of_codes_sum_to_one_with_what_is_reserved() -> None:
    marginal = LabelMarginal(EVENT)
    marginal.prepare(records())
    codes = torch.arange(4).unsqueeze(1) * torch.tensor([1, 0, 0])
    found = marginal.log_prob(codes)[:, 0].exp()
    assert float(found.sum()) == pytest.approx(1, abs=1e-12)
    assert float(found[3]) == pytest.approx(0.01)
    assert float(found[2]) == 0


def two() -> tuple[LabelMarginal, Batch]:
    codes = torch.tensor([[0, 0, 0], [1, 1, 1], [0, 1, 2], [1, 1, 2]])
    batch = TWO.complete(codes, torch.zeros(4, 3))
    marginal = LabelMarginal(TWO)
    marginal.prepare(batch)
    return marginal, batch


def score(batch: Batch) -> LogProb:
    """p(x = 1 | a, b) = (1 + a + b) / 10, with a standard error of a tenth."""
    one = (1 + batch.codes[:, 1] + batch.codes[:, 2]).double() / 10
    values = torch.where(batch.codes[:, 0] == 1, one, 1 - one).log()
    return LogProb(values, "estimate", torch.full_like(values, 0.1))


def test_unknown_labels_are_summed_out_by_their_frequencies() -> None:
    marginal, batch = two()
    mixed = Batch.join(
        [batch.hide([1]).rows(slice(1, 2)), batch.hide([1, 2]).rows(slice(1, 2)), batch.rows(slice(2, 3))]
    )
    found = marginal.summed(mixed, score)
    a, b = {0: 0.25, 1: 0.75}, {0: 0.25, 1: 0.25, 2: 0.5}
    terms = [a[i] * (2 + i) / 10 for i in a]
    expected = [sum(terms), sum(a[i] * b[j] * (1 + i + j) / 10 for i in a for j in b), 0.6]
    torch.testing.assert_close(found.values.exp(), torch.tensor(expected, dtype=torch.float64))
    assert float(found.standard_error[0]) == pytest.approx(0.1 * math.hypot(*terms) / sum(terms))
    assert float(found.standard_error[2]) == pytest.approx(0.1)


def test_labels_in_a_set_have_their_probability_within_it() -> None:
    marginal, batch = two()
    allowed = torch.tensor([[True, False, True]])
    row = batch.rows(slice(1, 2)).restrict(2, Restriction(allowed, torch.tensor([[[1.0, -1.0]]])))
    found = marginal.summed(row, score)
    assert float(found.values.exp()) == pytest.approx((0.25 * 0.2 + 0.5 * 0.4) / 0.75)
    complete, owner, weight = marginal.combinations(row)
    assert complete.fully_observed
    assert not complete.restrictions
    assert owner.tolist() == [0, 0]
    assert float(weight.exp().sum()) == pytest.approx(1)
    assert bool((row.status[:, 2] == Status.RESTRICTED).all())


def test_what_cannot_be_summed_is_refused() -> None:
    marginal = LabelMarginal(EVENT)
    batch = records(8)
    marginal.prepare(batch)
    with pytest.raises(NotSupported, match="give y: the values of 'mass'"):
        marginal.combinations(batch.hide([3]))
    none = Restriction(torch.tensor([[False, False, True, False]]).repeat(8, 1), torch.zeros(8, 1, 2))
    with pytest.raises(DataError, match="'kind'"):
        marginal.combinations(batch.restrict(1, none))
    # Of a numeric label that is known to be missing there is nothing to sum over.
    atoms = Restriction(torch.tensor([[False, True]]).repeat(8, 1), torch.tensor([[[-EDGE, EDGE]]]).repeat(8, 1, 1))
    assert len(marginal.combinations(batch.restrict(2, atoms))[0]) == 8
    with pytest.raises(ValueError, match=r"fit\(X, y\)"):
        LabelMarginal(Event(Columns(), EVENT.entries))


def test_unknown_labels_are_completed_within_what_is_allowed() -> None:
    marginal = LabelMarginal(EVENT)
    batch = records(3000)
    marginal.prepare(batch)
    kinds = Restriction(torch.tensor([[True, False, True, True]]).repeat(3000, 1), torch.zeros(3000, 1, 2))
    above = torch.tensor([[[0.5, EDGE]]], dtype=torch.float64).repeat(3000, 1, 1)
    heavy = Restriction(torch.ones(3000, 1, dtype=torch.bool), above)
    told = batch.restrict(1, kinds).restrict(3, heavy).hide([2])
    done = marginal.completed(told, noise())
    assert done.fully_observed
    assert not done.restrictions
    assert torch.equal(done.codes[:, 0], batch.codes[:, 0])
    assert bool((done.codes[:, 1] == 0).all())  # of the codes allowed only this one was there
    assert bool((done.values[:, 3] >= 0.5).all())
    expected = batch.values[:, 3][batch.values[:, 3] >= 0.5]
    assert float(done.values[:, 3].median()) == pytest.approx(float(expected.median()), rel=0.05)
    whole = EVENT.complete(done.codes, done.values)
    for part in ("values", "lower", "width"):
        torch.testing.assert_close(getattr(done, part), getattr(whole, part))
    with pytest.raises(DataError, match="'mass'"):
        marginal.completed(batch.restrict(3, Restriction(heavy.codes, above + 500)), noise())
