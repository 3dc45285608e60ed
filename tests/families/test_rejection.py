"""Rejection: what agrees with evidence, how it is drawn, and what it is worth."""

from __future__ import annotations

import pytest
import torch

from likewise.errors import DataError, NotSupported
from likewise.events import Batch, Categorical, Columns, Entry, Event, Quantised, Real, Restriction
from likewise.families.rejection import Candidates, agreeing, rejection
from likewise.mathematics.monotone import MonotoneMap

COUNTS = Quantised(MonotoneMap.affine(3.0, 2.0), step=1.0, origin=0.0, low=0, high=6)
EVENT = Event(
    Columns(),
    (
        Entry("kind", Categorical(3)),
        Entry("count", Categorical(2), COUNTS, missing=1),
        Entry("mass", Categorical(1), Real(MonotoneMap.affine(0.0, 1.0))),
    ),
)


def noise(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def candidates(size: int, generator: torch.Generator) -> Candidates:
    """Mass is 2 kind + count / 2 + noise; count is missing one time in four."""
    kind = torch.randint(3, (size,), generator=generator)
    missing = (torch.rand(size, generator=generator) < 0.25).long()
    count = torch.randn(size, generator=generator, dtype=torch.float64) * (1 - missing)
    mass = 2 * kind + 0.5 * count + 0.1 * torch.randn(size, generator=generator, dtype=torch.float64)
    codes = torch.stack([kind, missing, torch.zeros_like(kind)], 1)
    return Candidates(codes, torch.stack([torch.zeros_like(mass), count, mass], 1), torch.zeros(size))


def record(kind: int, count: float) -> Batch:
    z = COUNTS.map.forward(torch.tensor(count, dtype=torch.float64))
    return EVENT.complete(torch.tensor([[kind, 0, 0]]), torch.tensor([[0.0, float(z), 0.0]]))


def masses(low: float, high: float) -> Restriction:
    return Restriction(torch.tensor([[True]]), torch.tensor([[[low, high]]], dtype=torch.float64))


def test_draws_follow_the_conditional_and_keep_what_was_observed() -> None:
    evidence = Batch.join([record(2, 4.0).hide([2]), record(0, 1.0).hide([2])])
    drawn = rejection(candidates, EVENT, evidence, 300, noise())
    assert drawn.effective_sample_size is not None
    assert drawn.effective_sample_size.tolist() == [300.0, 300.0]
    told = evidence.repeat(300)
    for part in ("codes", "values", "lower", "width"):
        assert torch.equal(getattr(drawn.batch, part)[:, :2], getattr(told, part)[:, :2])
    mass = drawn.batch.values[:, 2].view(2, 300)
    assert [len(each.unique()) for each in mass] == [300, 300]  # no candidate twice
    # The cell of 4 reaches from .25 to .75 in model units, that of 1 from -1.25 to -.75.
    torch.testing.assert_close(mass.mean(1), torch.tensor([4.25, -0.5], dtype=torch.float64), atol=0.03, rtol=0)


def test_sets_and_intervals_are_kept() -> None:
    atoms = Restriction(torch.tensor([[True, True]]), torch.tensor([[[0.25, 0.75], [1.25, 50.0]]]).double())
    evidence = Batch.unknown(EVENT, 1).restrict(1, atoms).restrict(2, masses(1.0, 3.0))
    drawn = rejection(candidates, EVENT, evidence, 400, noise()).batch
    count, mass = COUNTS.index(drawn.values[:, 1]), drawn.values[:, 2]
    assert bool(((drawn.codes[:, 1] == 1) | torch.isin(count, torch.tensor([4, 6]))).all())
    assert bool(((mass >= 1) & (mass <= 3)).all())
    assert len(drawn.codes[:, 1].unique()) == 2
    assert set(drawn.codes[:, 0].tolist()) <= {0, 1}


def test_agreement_is_that_of_codes_cells_and_sets() -> None:
    found = Candidates(
        torch.tensor([[1, 0, 0], [1, 1, 0], [2, 0, 0]]),
        torch.tensor([[0.0, 0.6, 0.3], [0.0, 0.0, 2.0], [0.0, 0.6, 0.3]]).double(),
        torch.zeros(3),
    )
    cell = record(1, 4.0)
    assert agreeing(EVENT, found, cell.hide([2])).tolist() == [[True, False, False]]
    assert agreeing(EVENT, found, cell.hide([1, 2])).tolist() == [[True, True, False]]
    assert agreeing(EVENT, found, cell.hide([0, 2])).tolist() == [[True, False, True]]
    within = Batch.unknown(EVENT, 1).restrict(2, masses(0.0, 1.0))
    assert agreeing(EVENT, found, within).tolist() == [[True, False, True]]
    assert agreeing(EVENT, found, Batch.unknown(EVENT, 2)).all()


def test_weights_change_shares_and_count_into_the_effective_sample_size() -> None:
    def weighted(size: int, generator: torch.Generator) -> Candidates:
        found = candidates(size, generator)
        return found._replace(log_weight=torch.where(found.codes[:, 0] == 2, 2.0, 1.0).log())

    drawn = rejection(weighted, EVENT, Batch.unknown(EVENT, 1), 4000, noise())
    share = torch.bincount(drawn.batch.codes[:, 0], minlength=3).double() / 4000
    torch.testing.assert_close(share, torch.tensor([0.25, 0.25, 0.5], dtype=torch.float64), atol=0.03, rtol=0)
    assert len(drawn.batch.values[:, 2].unique()) == 4000
    few = rejection(weighted, EVENT, Batch.unknown(EVENT, 1), 4000, noise(), limit=600)
    assert few.effective_sample_size is not None
    # 600 candidates of weights 1, 1 and 2: 800 / 2.
    assert float(few.effective_sample_size) == pytest.approx(400, rel=0.05)
    assert len(few.batch.values[:, 2].unique()) <= 600


def test_what_cannot_be_met_is_refused_with_its_figures() -> None:
    with pytest.raises(NotSupported, match=r"'mass'.*interval"):
        rejection(candidates, EVENT, record(1, 4.0).hide([0, 1]), 5, noise())
    rare = Batch.unknown(EVENT, 2).restrict(2, Restriction(*(p.repeat(2, *[1] * (p.dim() - 1)) for p in _rare())))
    with pytest.raises(DataError, match=r"only \d of [\d,]+ candidates agree with the evidence of row 0"):
        rejection(candidates, EVENT, rare, 50, noise(), limit=30_000)


def _rare() -> tuple[torch.Tensor, torch.Tensor]:
    far = masses(5.95, 6.0)
    return far.codes, far.intervals
