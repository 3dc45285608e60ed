"""Facts about devices and precision."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from small_families import Gaussian, Player, Small, records
from torch import Tensor, nn

from likewise.engine import device as device_module
from likewise.engine.device import Precision, choose_device, choose_precision, trainable_copy
from likewise.engine.loop import train
from likewise.engine.plan import Plan
from likewise.errors import DataError
from likewise.events import Batch

CPU = torch.device("cpu")


class Convolution(Small):
    """A small image network with a loss in four dimensions, to meet memory formats."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.SiLU(), nn.Conv2d(8, 1, 3, padding=1))
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.copy_(0.1 * torch.randn(parameter.shape, generator=generator))
        self.seen: set[torch.dtype] = set()

    def players(self) -> list[Player]:
        return [Player("model", list(self.parameters()), 1e-2)]

    def error(self, batch: Batch) -> Tensor:
        images_NCHW = batch.values.view(-1, 1, 4, 4)
        out = self.layers(images_NCHW)
        self.seen.add(out.dtype)
        return (out.float() - images_NCHW).square().mean((1, 2, 3))

    def forward(self, batch: Batch, player: str, generator: torch.Generator) -> Tensor:
        return self.error(batch).mean()

    def validate(self, batch: Batch, generator: torch.Generator) -> Tensor:
        assert not torch.is_autocast_enabled("cpu")
        return self.error(batch)


def never(precision: Precision) -> float:
    raise AssertionError("only a probe measures")


def test_devices_that_are_not_there() -> None:
    assert choose_device("cpu") == CPU
    for wrong in ("cuda:77", "toaster", "meta"):
        with pytest.raises(DataError, match="device"):
            choose_device(wrong)


def test_the_copy_on_the_device_keeps_cells_open() -> None:
    batch = records(5)
    batch.width[0, 0] = 1e-200
    copy = trainable_copy(batch, CPU)
    assert copy.values.dtype == copy.lower.dtype == copy.width.dtype == torch.float32
    assert copy.width.log().isfinite().all()
    assert batch.width[0, 0] == 1e-200


def test_the_rule_looks_at_sizes_and_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    large, small = nn.Linear(512, 512), nn.Linear(64, 64)
    monkeypatch.setattr(device_module, "_multiplies_bf16", lambda device: True)
    assert choose_precision("auto", large, CPU, 512, never) == Precision("bfloat16")
    assert choose_precision("auto", large, CPU, 64, never) == Precision("float32")
    assert choose_precision("auto", small, CPU, 512, never) == Precision("float32")
    assert choose_precision("auto", nn.Conv2d(64, 64, 3), CPU, 64, never) == Precision("bfloat16", channels_last=True)
    assert choose_precision("float32", large, CPU, 512, never) == Precision("float32")
    monkeypatch.setattr(device_module, "_multiplies_bf16", lambda device: False)
    assert choose_precision("auto", large, CPU, 512, never) == Precision("float32")


def test_a_probe_takes_the_faster() -> None:
    for fast, slow in (("bfloat16", "float32"), ("float32", "bfloat16")):
        times = {Precision(fast): 1.0, Precision(slow): 2.0}
        assert choose_precision("probe", nn.Linear(2, 2), CPU, 8, times.__getitem__).name == fast


def test_probing_changes_nothing_that_is_learned() -> None:
    fits = {}
    for precision in ("probe", "float32", "bfloat16"):
        family = Gaussian()
        # No matrix multiplication: autocast leaves this family alone, and so must the probe.
        train(family, records(200), records(50, seed=1), Plan(max_steps=20, precision=precision), seed=0)  # type: ignore[arg-type]
        fits[precision] = family.mean
    assert torch.equal(fits["probe"], fits["float32"])
    assert torch.equal(fits["probe"], fits["bfloat16"])


def test_bf16_with_channels_last_learns_and_resumes_to_the_bit(tmp_path: Path) -> None:
    images, plan = records(64, columns=16), Plan(max_steps=30, precision="bfloat16", batch_size=16, checkpoint_steps=10)
    whole = Convolution()
    record = train(whole, images, images, plan, seed=0)
    assert record.precision == "bfloat16"
    assert whole.seen == {torch.bfloat16, torch.float32}
    assert record.curve[-1].figure is not None
    assert record.curve[0].figure is not None
    assert record.curve[-1].figure < record.curve[0].figure
    assert all(parameter.is_contiguous() for parameter in whole.parameters())

    class Stopped(Convolution):
        steps = 0

        def forward(self, batch: Batch, player: str, generator: torch.Generator) -> Tensor:
            self.steps += 1
            assert self.steps < 18, "the power fails"
            return super().forward(batch, player, generator)

    with pytest.raises(AssertionError, match="power"):
        train(Stopped(), images, images, plan, seed=0, checkpoint=tmp_path)
    resumed = Convolution()
    train(resumed, images, images, plan, seed=0, checkpoint=tmp_path, resume=True)
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), resumed.parameters(), strict=True))
