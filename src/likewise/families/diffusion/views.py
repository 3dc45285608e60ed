"""What the denoiser is shown while it learns: which entries are hidden, and which of the others are exact."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class View(NamedTuple):
    """Entries (B, E) whose codes are shown, and whose values are shown without noise, where there is one."""

    known: Tensor
    exact: Tensor


def masked(size: int, entries: int, coded: list[int], share: float, generator: torch.Generator) -> View:
    """Views for learning codes: of the `coded` entries a uniformly drawn number, at least one, is hidden.

    Of a `share` of the records any entries are hidden, and values are shown of some that are not: evidence.
    """
    device = generator.device
    uniform = torch.rand(size, entries, generator=generator, device=device)
    order = torch.full_like(uniform, 2.0)
    order[:, coded] = uniform[:, coded]
    order = order.argsort(1).argsort(1)
    count = (1 + len(coded) * torch.rand(size, 1, generator=generator, device=device)).floor()
    told = _some(size, share, generator)
    cut = torch.rand(size, 2, generator=generator, device=device)
    seen = torch.rand(size, entries, generator=generator, device=device) < cut[:, :1]
    known = torch.where(told, seen, order >= count)
    exact = told & seen & (torch.rand(size, entries, generator=generator, device=device) < cut[:, 1:])
    return View(known, exact)


def noised(size: int, entries: int, share: float, generator: torch.Generator) -> View:
    """Views for learning values: all codes are known and no value is exact.

    Of a `share` of the records, either some values are exact, evidence that draws are asked for with, or some entries
    are hidden, which the scores of partial records need.
    """
    device = generator.device
    told, hides = _some(size, share, generator), _some(size, 0.5, generator)
    cut = torch.rand(size, 1, generator=generator, device=device)
    below = torch.rand(size, entries, generator=generator, device=device) < cut
    return View(~(told & hides & below), told & ~hides & below)


def labelled(view: View, given: list[int], told: Tensor) -> View:
    """The view with the labels `given` exact, or hidden where they are not `told` (B, 1)."""
    known, exact = view.known.clone(), view.exact.clone()
    known[:, given] = exact[:, given] = told
    return View(known, exact)


def _some(size: int, share: float, generator: torch.Generator) -> Tensor:
    return torch.rand(size, 1, generator=generator, device=generator.device) < share
