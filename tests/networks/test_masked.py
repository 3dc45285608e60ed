"""Masked autoregressive maps: who sees whom, and an inverse that computes every unit once."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from likewise.networks.coupling import Affine, Elementwise, Spline
from likewise.networks.masked import MaskedAutoregressive

ORDER = [3, 0, 4, 1, 2]


def a_map(
    elementwise: Elementwise, context: int = 0, width: int = 13, layers: int = 2, bumps: int = 0
) -> MaskedAutoregressive:
    """A map of five coordinates in double precision, far from the identity."""
    torch.manual_seed(0)
    map_ = MaskedAutoregressive(ORDER, elementwise, context, width, layers, bumps=bumps).double()
    for parameter in map_.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    return map_


def by_passes(map_: MaskedAutoregressive, y: Tensor, present: Tensor | None, context: Tensor | None) -> Tensor:
    """The inverse by its definition: after the k-th pass of the network, the first k coordinates are right."""
    x = torch.zeros_like(y)
    for _ in ORDER:
        inputs = map_._features(x, present).flatten(1)
        if context is not None:
            inputs = torch.cat([inputs, context], 1)
        raw = map_.network(inputs).t().view(*y.shape, map_.elementwise.size)
        x = map_.elementwise(y, raw, True)[0]
        if present is not None:
            x = x * present
    return x


@pytest.mark.parametrize("elementwise", [Affine(), Spline(6, 5.0)], ids=["affine", "spline"])
@pytest.mark.parametrize("width", [3, 13, 64])
@pytest.mark.parametrize("layers", [0, 2])
@pytest.mark.parametrize("bumps", [0, 3])
@pytest.mark.parametrize("conditions", ["none", "context", "absent", "both"])
def test_each_unit_once_is_as_good_as_a_pass_for_each_coordinate(elementwise, width, layers, bumps, conditions):
    context = torch.randn(20, 2).double() if conditions in ("context", "both") else None
    map_ = a_map(elementwise, 0 if context is None else 2, width, layers, bumps)
    y = 2 * torch.randn(20, 5).double()
    present = torch.rand(20, 5) < 0.7 if conditions in ("absent", "both") else None
    if present is not None:
        y = y * present
    with torch.no_grad():
        x = map_.inverse(y, present, context)
        torch.testing.assert_close(x, by_passes(map_, y, present, context), rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(map_(x, present, context)[0], y, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("width", [3, 13, 64])
def test_outputs_see_all_coordinates_before_theirs_and_no_others(width):
    map_ = a_map(Affine(), 2, width)
    x, context = torch.randn(5).double(), torch.randn(1, 2).double()
    by_x, by_context = torch.autograd.functional.jacobian(
        lambda x, c: map_(x.unsqueeze(0), None, c)[0].squeeze(0), (x, context)
    )
    place = torch.tensor([ORDER.index(i) for i in range(5)])
    later = place.unsqueeze(0) > place.unsqueeze(1)
    assert bool((by_x[later] == 0).all())
    assert bool((by_context != 0).all())
    if width >= 5:
        assert bool((by_x[~later] != 0).all())


def test_one_coordinate_moves_by_its_context():
    torch.manual_seed(0)
    map_ = MaskedAutoregressive([0], Affine(), 1, 8, 1).double()
    for parameter in map_.parameters():
        torch.nn.init.normal_(parameter)
    x, context = torch.randn(4, 1).double(), torch.randn(4, 1).double()
    y, _ = map_(x, None, context)
    assert float((y - x).detach().abs().min()) > 0
    torch.testing.assert_close(map_.inverse(y, None, context), x)
