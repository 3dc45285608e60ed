"""Invertible maps: inverses invert, log-determinants are autograd's, absent coordinates are invisible."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from likewise.networks.coupling import Affine, Coupling, Spline, splits
from likewise.networks.invertible import Composition, Invertible
from likewise.networks.masked import MaskedAutoregressive
from likewise.networks.triangular import Triangular

SIZE = 4
MOVED = [True, False, False, True]
ORDER = [2, 0, 3, 1]
SPLINE = Spline(6, 5.0)


def stack(context: int) -> Composition:
    """Blocks as a flow puts them together."""
    parts: list[Invertible] = []
    for moved in splits(SIZE, 4):
        parts += [Triangular(ORDER), Coupling(moved, SPLINE, context, 16, 1, bumps=2)]
    return Composition([*parts, MaskedAutoregressive(ORDER, SPLINE, context, 16, 1)])


MAPS: dict[str, Callable[[int], Invertible]] = {
    "affine coupling": lambda context: Coupling(MOVED, Affine(), context, 16, 2),
    "spline coupling": lambda context: Coupling(MOVED, SPLINE, context, 16, 2),
    "coupling with bumps": lambda context: Coupling(MOVED, SPLINE, context, 16, 2, bumps=3),
    "coupling that moves all": lambda context: Coupling([True] * SIZE, SPLINE, context, 16, 2),
    "affine masked": lambda context: MaskedAutoregressive(ORDER, Affine(), context, 16, 2),
    "spline masked": lambda context: MaskedAutoregressive(ORDER, SPLINE, context, 16, 2, bumps=2),
    "triangular": lambda context: Triangular(ORDER),
    "stack": stack,
}


def perturbed(name: str, context: int, spread: float = 0.2) -> Invertible:
    """The map in double precision, away from its start."""
    torch.manual_seed(0)
    map_ = MAPS[name](context).double()
    for parameter in map_.parameters():
        parameter.data += spread * torch.randn_like(parameter)
    return map_


def conditions(rows: int, absent: bool, with_context: bool) -> tuple[Tensor, Tensor | None, Tensor | None]:
    torch.manual_seed(1)
    x = 1.5 * torch.randn(rows, SIZE, dtype=torch.float64)
    present = torch.rand(rows, SIZE) < 0.6 if absent else None
    context = torch.randn(rows, 2, dtype=torch.float64) if with_context else None
    return (x if present is None else x * present), present, context


@pytest.mark.parametrize("name", MAPS)
@pytest.mark.parametrize("absent", [False, True])
@pytest.mark.parametrize("with_context", [False, True])
def test_log_determinants_are_those_of_the_jacobian(name, absent, with_context):
    map_ = perturbed(name, 2 if with_context else 0)
    x, present, context = conditions(12, absent, with_context)
    log_det = map_(x, present, context)[1].detach()
    jacobians = torch.autograd.functional.jacobian(lambda x: map_(x, present, context)[0].sum(0), x).transpose(0, 1)
    for i, jacobian in enumerate(jacobians):
        here = torch.arange(SIZE) if present is None else present[i].nonzero().squeeze(1)
        expected = torch.linalg.slogdet(jacobian[here][:, here]).logabsdet
        assert float(log_det[i]) == pytest.approx(float(expected), abs=1e-6)


@pytest.mark.parametrize("name", MAPS)
@pytest.mark.parametrize("absent", [False, True])
@pytest.mark.parametrize("with_context", [False, True])
def test_inverses_invert(name, absent, with_context):
    map_ = perturbed(name, 2 if with_context else 0)
    x, present, context = conditions(500, absent, with_context)
    y, _ = map_(x, present, context)
    torch.testing.assert_close(map_.inverse(y, present, context), x, rtol=0, atol=1e-8)


@pytest.mark.parametrize("name", MAPS)
def test_absent_coordinates_are_invisible(name):
    map_ = perturbed(name, 0)
    x, present, _ = conditions(30, True, False)
    assert present is not None
    y, log_det = map_(x, present)
    assert bool((y[~present] == 0).all())
    junk = torch.where(present, x, 7 + torch.randn_like(x))
    other_y, other_log_det = map_(junk, present)
    assert torch.equal(other_y, y)
    assert torch.equal(other_log_det, log_det)
    back, other_back = map_.inverse(y, present), map_.inverse(torch.where(present, y, junk), present)
    assert bool((back[~present] == 0).all())
    assert torch.equal(back, other_back)
    nothing, log_det = map_(x, torch.zeros_like(present))
    assert bool((nothing == 0).all())
    assert bool((log_det == 0).all())


@pytest.mark.parametrize("name", MAPS)
def test_all_present_is_the_same_as_not_saying_so(name):
    map_ = perturbed(name, 0)
    x, _, _ = conditions(30, False, False)
    y, log_det = map_(x)
    other_y, other_log_det = map_(x, torch.ones_like(x, dtype=torch.bool))
    torch.testing.assert_close(other_y, y)
    torch.testing.assert_close(other_log_det, log_det)


@pytest.mark.parametrize("name", MAPS)
def test_maps_start_as_the_identity(name):
    torch.manual_seed(0)
    map_ = MAPS[name](0).double()
    x, _, _ = conditions(100, False, False)
    y, log_det = map_(x)
    torch.testing.assert_close(y, x, rtol=0, atol=1e-12)
    assert float(log_det.detach().abs().max()) < 1e-12


@pytest.mark.parametrize("name", MAPS)
@pytest.mark.parametrize("scale", [1.0, 10.0])
def test_heavy_tails_and_large_weights_leave_everything_finite(name, scale):
    map_ = perturbed(name, 0).float()
    for parameter in map_.parameters():
        parameter.data *= scale
    x = torch.randn(200, SIZE) * 10 ** torch.linspace(0, 4, 200).unsqueeze(1)
    x.requires_grad_()
    y, log_det = map_(x)
    (torch.log1p(y * y).sum() - log_det.sum()).backward()
    for found in (y, log_det, x.grad, *(parameter.grad for parameter in map_.parameters())):
        assert bool(torch.isfinite(found).all())
    with torch.no_grad():
        assert bool(torch.isfinite(map_.inverse(x)).all())


def test_every_coordinate_moves_in_two_layers():
    for size in (1, 2, 5, 8):
        first, second = splits(size, 2)
        assert all(a or b for a, b in zip(first, second, strict=True))
        assert any(first)


@pytest.mark.parametrize("name", MAPS)
def test_a_map_is_its_settings_and_its_saved_tensors(name):
    """As files are read: built without memory, under inference first and learning afterwards."""
    map_ = perturbed(name, 0)
    with torch.device("meta"):
        other = MAPS[name](0).double()
    other.load_state_dict(map_.state_dict(), assign=True)
    assert not any(part.is_meta for part in (*other.parameters(), *other.buffers()))
    x, _, _ = conditions(30, False, False)
    expected, _ = map_(x)
    with torch.inference_mode():
        assert torch.equal(other(x)[0], expected)
    y, log_det = other(x)
    (y.sum() + log_det.sum()).backward()
    assert torch.equal(y, expected)
