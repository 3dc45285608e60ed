"""The language of events: cells, batches with evidence, and the dense view, on a set of columns and on a grid."""

from __future__ import annotations

import pytest
import torch
from sklearn.datasets import load_digits

from likewise.dense_view import DenseView
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
from likewise.mathematics.monotone import EDGE, MonotoneMap

PIXEL = Quantised(MonotoneMap.affine(8.0, 4.0), step=1.0, origin=0.0, low=0, high=16)
COUNT = Quantised(MonotoneMap.affine(3.0, 2.0), step=0.5, origin=0.25)
TABLE = Event(
    Columns(),
    (
        Entry("colour", Categorical(4), unseen=3, reserved=0.01),
        Entry("count", Categorical(3), COUNT, missing=2),
        Entry("mass", Categorical(1), Real(MonotoneMap.affine(10.0, 3.0))),
    ),
    (Entry("class", Categorical(2)),),
)


def rows() -> Batch:
    codes = torch.tensor([[0, 0, 0, 1], [2, 1, 0, 0], [1, 2, 0, 1], [3, 0, 0, 0]])
    values = torch.tensor([[0.0, 0.3, 1.5, 0.0], [0.0, 9.0, -2.0, 0.0], [0.0, 0.0, 0.1, 0.0], [0.0, -1.2, 0.0, 0.0]])
    return TABLE.complete(codes, values.double())


def digits() -> tuple[Event, Batch]:
    pixels, digit = load_digits(return_X_y=True)
    entries = tuple(Entry(f"pixel {k // 8}, {k % 8}", Categorical(1), PIXEL) for k in range(64))
    event = Event(Grid(8, 8), entries, (Entry("digit", Categorical(10)),))
    codes = torch.cat([torch.zeros(len(digit), 64, dtype=torch.int64), torch.tensor(digit)[:, None]], 1)
    values = torch.cat([PIXEL.map.forward(torch.tensor(pixels)), torch.zeros(len(digit), 1)], 1)
    return event, event.complete(codes, values)


def test_cells_of_a_bounded_grid_tile_the_line() -> None:
    centre, lower, width = PIXEL.cells(torch.arange(17))
    assert float(lower[0]) == -EDGE
    assert float(lower[-1] + width[-1]) == EDGE
    torch.testing.assert_close(lower[1:], (lower + width)[:-1])
    assert bool(((centre > lower) & (centre < lower + width)).all())
    assert torch.equal(PIXEL.index(centre), torch.arange(17))


@pytest.mark.parametrize("grid", [PIXEL, COUNT], ids=["bounded", "endless"])
def test_the_cell_around_a_value_is_the_one_of_its_number(grid: Quantised) -> None:
    z = torch.linspace(-6, 6, 400, dtype=torch.float64).reshape(100, 4)
    for found, expected in zip(grid.around(z), grid.cells(grid.index(z)), strict=True):
        assert torch.equal(found, expected)


def test_cells_too_narrow_to_subtract_are_as_wide_as_the_slope_says() -> None:
    fine = Quantised(MonotoneMap.affine(0.0, 1.0), step=1e-12, origin=0.0)
    _, _, width = fine.cells(torch.tensor([0, 10**11]))
    torch.testing.assert_close(width, torch.full((2,), 1e-12, dtype=torch.float64))


def test_what_no_training_record_had_is_told_from_what_they_had() -> None:
    assert [entry.seen for entry in TABLE.all] == [3, 3, 1, 2]
    assert TABLE.unseen_codes == (3, -1, -1, -1)
    assert TABLE.unseen(rows().codes).nonzero().tolist() == [[3, 0]]


def test_completing_snaps_values_to_their_cells_and_finds_units() -> None:
    batch = rows()
    x = COUNT.map.inverse(batch.values[0, 1])
    assert float((x - 0.25) / 0.5) == pytest.approx(round(float((x - 0.25) / 0.5)), abs=1e-9)
    assert float(batch.width[0, 2]) == pytest.approx(1 / 3, rel=1e-9)  # a normal score is three units of mass
    assert batch.values[1:3, 1].tolist() == [0, 0]  # an atom and a missing value have no coordinate
    assert batch.width[1:3, 1].tolist() == [1, 1]
    assert batch.fully_observed
    again = TABLE.complete(batch.codes, batch.values)
    torch.testing.assert_close(again.values, batch.values)


def test_evidence_hides_and_restricts_without_touching_the_original() -> None:
    batch = rows()
    hidden = batch.hide([1])
    assert hidden.status[:, 1].tolist() == [Status.UNKNOWN] * 4
    assert not hidden.codes[:, 1].any()
    assert batch.fully_observed
    allowed = Restriction(torch.ones(4, 3, dtype=torch.bool), torch.tensor([[[-1.0, 1.0]]]).repeat(4, 1, 1))
    restricted = batch.restrict(1, allowed)
    assert restricted.status[:, 1].tolist() == [Status.RESTRICTED] * 4
    part = restricted.rows(torch.tensor([2, 0])).repeat(2)
    assert len(part) == 4
    assert part.restrictions[1].codes.shape == (4, 3)
    assert restricted.hide([1]).restrictions == {}
    joined = Batch.join([restricted.rows(slice(0, 1)), restricted.rows(slice(1, 4))])
    assert torch.equal(joined.codes, restricted.codes)
    assert torch.equal(joined.restrictions[1].intervals, allowed.intervals)


def test_shares_within_codes_count_only_where_observed() -> None:
    batch = rows()
    batch.width[1, 0] = 0.25
    assert TABLE.log_share(batch).exp().tolist() == pytest.approx([1, 0.25, 1, 1])
    assert TABLE.log_share(batch.hide([0])).tolist() == [0, 0, 0, 0]


def test_an_event_says_what_it_measures() -> None:
    assert TABLE.base_measure == "Lebesgue on mass, counting elsewhere"
    assert digits()[0].base_measure == "counting"
    assert TABLE.label_entries == (3,)
    assert TABLE.index("class") == 3


@pytest.mark.parametrize("kind", ["columns", "grid"])
def test_hardening_undoes_the_dense_view(kind: str) -> None:
    event, batch = (TABLE, rows()) if kind == "columns" else digits()
    view = DenseView(event)
    dense = view.dense(batch)
    assert dense.shape == (len(batch), view.size)
    codes, values = view.harden(dense)
    assert torch.equal(codes, batch.codes)
    torch.testing.assert_close(values, batch.values)
