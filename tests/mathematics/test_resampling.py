"""Draws by weight: how often each is taken, and in what order."""

import torch

from likewise.mathematics.resampling import effective_sizes, resample, resample_shuffled

WEIGHTS = torch.tensor([[0.5, 0.25, 0.2, 0.05], [0.0, 0.0, 1.0, 0.0]], dtype=torch.float64)


def noise(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_everybody_is_taken_as_often_as_its_weight_says_but_for_rounding() -> None:
    picked = resample_shuffled(WEIGHTS.log().flatten(), 4, 10, noise(0)).view(2, 10)
    for group, weight in enumerate(WEIGHTS):
        counts = torch.bincount(picked[group] - 4 * group, minlength=4)
        assert bool(((counts - 10 * weight).abs() < 1).all())


def test_shuffling_moves_nothing_between_groups_and_leaves_no_order() -> None:
    log_weight = torch.zeros(3 * 2000, dtype=torch.float64)
    plain, mixed = (draw(log_weight, 2000, 2000, noise(1)).view(3, 2000) for draw in (resample, resample_shuffled))
    assert torch.equal(plain, mixed.sort(1).values)
    orders = mixed.double() - mixed.double().mean(1, keepdim=True)
    correlation = (orders * (plain.double() - plain.double().mean(1, keepdim=True))).sum(1) / orders.square().sum(1)
    assert bool((correlation.abs() < 5 / 2000**0.5).all())


def test_effective_sizes_count_equal_weights_and_nothing() -> None:
    log_weight = torch.tensor([0.0, 0.0, 3.0, -torch.inf, -torch.inf, -torch.inf], dtype=torch.float64)
    torch.testing.assert_close(effective_sizes(log_weight, 2), torch.tensor([2.0, 1.0, 0.0], dtype=torch.float64))
