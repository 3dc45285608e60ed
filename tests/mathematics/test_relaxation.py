"""Relaxed choices: hard forwards and soft backwards, with the probabilities of their logits."""

import torch

from likewise.mathematics.relaxation import gumbel_softmax


def test_straight_through_samples_are_hard_forwards_and_soft_backwards() -> None:
    logits = torch.randn(500, 4, generator=torch.Generator().manual_seed(0)).requires_grad_()
    drawn = gumbel_softmax(logits, 0.7, hard=True, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(drawn.max(1).values, torch.ones(500))
    torch.testing.assert_close(drawn.sum(1), torch.ones(500))
    (hard,) = torch.autograd.grad((drawn * torch.arange(4.0)).sum(), logits)
    relaxed = gumbel_softmax(logits, 0.7, generator=torch.Generator().manual_seed(1))
    (soft,) = torch.autograd.grad((relaxed * torch.arange(4.0)).sum(), logits)
    torch.testing.assert_close(hard, soft)
    assert bool((hard != 0).any())


def test_relaxed_samples_choose_codes_with_their_probabilities() -> None:
    shares = torch.tensor([0.5, 0.2, 0.2, 0.1])
    drawn = gumbel_softmax(shares.log().expand(20_000, -1), 0.5, generator=torch.Generator().manual_seed(2))
    assert bool((drawn > 0).all())
    found = torch.bincount(drawn.argmax(1)) / 20_000
    torch.testing.assert_close(found, shares, atol=0.015, rtol=0)
