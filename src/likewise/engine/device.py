"""Where and in which precision a fit is computed."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
from torch import nn

from likewise.engine.plan import PrecisionChoice
from likewise.errors import DataError
from likewise.events import Batch

BF16_WEIGHTS = 2**18
"""Bf16 pays from matrices of this many weights on (512 x 512) ..."""

BF16_BATCH = 256
"""... met by this many records at once. Below, casting costs more than the multiplication saves."""


def choose_device(choice: str) -> torch.device:
    """The device of a fit: `"auto"` is this process's CUDA device where there is one, else the processor."""
    if choice == "auto":
        choice = "cuda" if torch.cuda.is_available() else "cpu"
    if choice == "cuda" and "LOCAL_RANK" in os.environ:
        choice = f"cuda:{os.environ['LOCAL_RANK']}"
    try:
        device = torch.device(choice)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError):
        raise DataError(f"There is no device {choice!r} on this machine: try device='cpu'.") from None
    if device.type == "meta":
        raise DataError("device='meta' holds no numbers: try device='cpu'.")
    return device


@dataclass(frozen=True)
class Precision:
    """How the loss is computed. Weights, their average, moments and validation stay in float32 always."""

    name: str
    channels_last: bool = False

    def autocast(self, device: torch.device) -> AbstractContextManager[object]:
        return torch.autocast(device.type, dtype=torch.bfloat16, enabled=self.name == "bfloat16")


def choose_precision(
    choice: PrecisionChoice,
    module: nn.Module,
    device: torch.device,
    batch: int,
    measure: Callable[[Precision], float],
) -> Precision:
    """The precision of a fit. The rule of `"auto"` looks at sizes and processor only; `"probe"` measures seconds.

    Bf16 is chosen where the device multiplies it natively, most weights lie in large matrices or kernels, and the
    minibatch is large. Then convolutional networks also keep their channels last.
    """
    convolutional = any(isinstance(part, nn.Conv2d | nn.ConvTranspose2d) for part in module.modules())
    narrow, wide = Precision("bfloat16", convolutional), Precision("float32")
    if choice in ("bfloat16", "float32"):
        return narrow if choice == "bfloat16" else wide
    if choice == "probe":
        return min((wide, narrow), key=measure)
    weights = [p.numel() for p in module.parameters() if p.dim() > 1]
    # A kernel meets every pixel of every record, so that far fewer weights fill the processor.
    enough = BF16_WEIGHTS // 16 if convolutional else BF16_WEIGHTS
    large = sum(n for n in weights if n >= enough)
    pays = batch >= (BF16_BATCH // 8 if convolutional else BF16_BATCH) and 2 * large > sum(weights)
    return narrow if pays and _multiplies_bf16(device) else wide


def _multiplies_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type == "cpu":
        return "amx_bf16" in _processor_flags() or "avx512_bf16" in _processor_flags()
    return False


def _processor_flags() -> frozenset[str]:
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as lines:
            return next((frozenset(line.split()) for line in lines if line.startswith("flags")), frozenset())
    except OSError:
        return frozenset()


def stopwatch(work: Callable[[], object], device: torch.device, laps: int = 5) -> float:
    """Seconds that `laps` rounds of work take, after two to warm up."""
    start = 0.0
    for lap in range(laps + 2):
        if lap == 2:
            _synchronise(device)
            start = time.perf_counter()
        work()
    _synchronise(device)
    return time.perf_counter() - start


def _synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def trainable_copy(batch: Batch, device: torch.device) -> Batch:
    """The records in float32 on the device, once and for all; cells stay wide enough to have a logarithm."""
    clamped = Batch(
        batch.codes, batch.values, batch.lower, batch.width.clamp(1e-30, 1e30), batch.status, batch.restrictions
    )
    return clamped.to(device, torch.float32)
