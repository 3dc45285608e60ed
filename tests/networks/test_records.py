"""Embeddings of records: what is near in numbers is near for networks, and what is hidden is not seen."""

from __future__ import annotations

import torch

from likewise.events import Categorical, Columns, Entry, Event, Real
from likewise.mathematics.monotone import MonotoneMap
from likewise.networks.records import EntryEmbedding

EVENT = Event(
    Columns(),
    (
        Entry("hours", Categorical(3), Real(MonotoneMap.affine(0.0, 1.0)), missing=2, coordinates=(None, 0.5, None)),
        Entry("grade", Categorical(4), unseen=3, coordinates=(-2.0, 0.0, 2.0, None)),
        Entry("colour", Categorical(3)),
    ),
)


def embedded(codes: list[int], value: float, known: tuple[bool, bool, bool] = (True, True, True)) -> torch.Tensor:
    torch.manual_seed(0)
    embedding = EntryEmbedding(EVENT, range(3), 8).double()
    with torch.no_grad():
        embedding.codes.zero_()  # what is left are the numbers
        found: torch.Tensor = embedding(
            torch.tensor([codes]), torch.tensor([[value, 0.0, 0.0]]).double(), torch.tensor([known])
        )
    return found


def test_a_spike_is_seen_where_its_number_lies() -> None:
    assert torch.allclose(embedded([1, 0, 0], 0.0), embedded([0, 0, 0], 0.5))
    assert not torch.allclose(embedded([1, 0, 0], 0.0), embedded([0, 0, 0], 0.6))


def test_codes_that_are_no_numbers_have_no_place_among_them() -> None:
    nothing = embedded([2, 3, 0], 0.7)
    assert torch.equal(nothing, torch.zeros_like(nothing))
    assert torch.equal(embedded([2, 1, 0], 0.7), embedded([2, 1, 2], -3.0))
    assert not torch.allclose(embedded([2, 1, 0], 0.0), embedded([2, 2, 0], 0.0))


def test_hidden_numbers_are_not_seen() -> None:
    assert torch.equal(embedded([0, 2, 1], 0.7, (False,) * 3), embedded([1, 0, 2], -0.7, (False,) * 3))
