"""States are drawn as often as their distributions say."""

from __future__ import annotations

import pytest
import torch

from likewise.mathematics import categorical


@pytest.mark.parametrize("states", [2, 5, categorical.FEW_STATES, 60])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_states_are_drawn_as_often_as_their_weights_say(states: int, dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(states)
    table = (0.1 + torch.rand(3, states, generator=generator, dtype=dtype)) * torch.tensor([[1.0], [7.0], [0.01]])
    # The first and the last state, and one between them, are impossible somewhere.
    table[0, 0] = table[1, -1] = table[2, states // 2] = 0.0
    row = torch.tensor([2, 0, 1, 1]).repeat(50_000)
    shares = (table / table.sum(1, keepdim=True)).double()
    for found in (
        categorical.from_table(table, row, generator),
        categorical.from_weights(table[row], generator),
    ):
        for r in range(3):
            drawn = torch.bincount(found[row == r], minlength=states)
            size, share = int(drawn.sum()), shares[r]
            assert len(drawn) == states
            assert not drawn[share == 0].any()
            assert bool(((drawn / size - share).abs() < 5 * (share * (1 - share) / size).sqrt() + 1e-9).all())


def test_nothing_is_drawn_for_nobody() -> None:
    generator, nobody = torch.Generator(), torch.zeros(0, dtype=torch.int64)
    for states in (3, 60):
        assert categorical.from_table(torch.ones(2, states), nobody, generator).shape == (0,)
        assert categorical.from_weights(torch.ones(0, states), generator).shape == (0,)
