"""Checkpoints: everything a fit needs to go on, in files that are whole or absent.

The newest two are kept, and beside them the state before the cool-down that a budget asked for: from there the fit goes
on as if it had been given a larger budget at once.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
import warnings
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from likewise.atomic import atomic_path
from likewise.engine.learner import Learner
from likewise.engine.plan import Plan
from likewise.engine.record import strict
from likewise.errors import DataError, ModelFileError
from likewise.events import Batch

FORMAT = 1
KEPT = 2
WARM = "before-cooling.safetensors"
BUDGET = ("max_time", "max_steps")
"""The settings of a plan with which a fit may go on that are not those it began with."""

_NAME = re.compile(r"checkpoint-(\d{8})\.safetensors")

Found = tuple[dict[str, Any], dict[str, Tensor]]


class Checkpoints:
    """The checkpoints of one fit in a folder.

    Parameters
    ----------
    folder : Path
        Created when needed.
    fingerprint : JSON data
        What the fit is made of. Only a fit made of the same may go on from here, but for its `BUDGET`.
    seconds, steps : float or None, int or None
        A checkpoint is due when either has passed since the last.
    """

    def __init__(
        self, folder: Path, fingerprint: Mapping[str, Any], seconds: float | None = None, steps: int | None = None
    ) -> None:
        self.folder = Path(folder)
        self.seconds, self.steps = seconds, steps
        self._time, self._step = time.perf_counter(), 0
        self.fingerprint: dict[str, Any] = json.loads(json.dumps(fingerprint))
        if self.folder.exists() and not self.folder.is_dir():
            raise DataError(f"checkpoint={str(folder)!r} is a file: name a folder.")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DataError(f"The checkpoint folder {str(folder)!r} cannot be made: {error.strerror}.") from None

    def due(self, step: int) -> bool:
        """Whether it is time for another checkpoint."""
        by_time = self.seconds is not None and time.perf_counter() - self._time >= self.seconds
        return by_time or (self.steps is not None and step // self.steps > self._step // self.steps)

    def write(self, step: int, header: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Path:
        """A new checkpoint, of the state after `step`; then only the newest two remain."""
        existing = self._files()
        number = _number(existing[-1]) + 1 if existing else 1
        final = self.folder / f"checkpoint-{number:08d}.safetensors"
        self._save(final, header, tensors)
        for old in self._files()[:-KEPT]:
            old.unlink(missing_ok=True)
        # A process that was killed while writing leaves its unfinished file behind.
        for partial in self.folder.glob(".*.partial.safetensors"):
            partial.unlink(missing_ok=True)
        self._time, self._step = time.perf_counter(), step
        return final

    def keep_warm(self, header: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        """Keeps the state before the learning rate begins to fall."""
        self._save(self.folder / WARM, header, tensors)

    def _save(self, final: Path, header: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        held = {name: part.detach().cpu().contiguous() for name, part in tensors.items()}
        text = json.dumps({"format": FORMAT, "fingerprint": self.fingerprint, **header})
        with atomic_path(final) as temporary:
            save_file(held, temporary, {"header": text, "sha256": _digest(text, held)})

    def newest(self) -> Found | None:
        """Header and tensors of the newest checkpoint that is sound; None where there is none at all.

        For a fit with another budget it is the newest of a rate that no budget has yet made fall.

        Raises
        ------
        DataError
            When it belongs to another fit: the message says what differs.
        ModelFileError
            When there are checkpoints and none of them can be read.
        """
        files = self._files()
        for file in reversed(files):
            try:
                header, tensors = _read(file)
            except ModelFileError as error:
                warnings.warn(f"{error} Going on from the one before.", stacklevel=2)
                continue
            if set(self.differing(header)) - set(BUDGET):
                raise self._another(header)
            if self.differing(header) and _cooled(header):
                header, tensors = self._before_cooling(header)
            self._step = header["standing"]["step"]
            return header, tensors
        if files:
            raise ModelFileError(f"No checkpoint in {str(self.folder)!r} can be read: remove the folder to start anew.")
        return None

    def differing(self, header: Mapping[str, Any]) -> list[str]:
        """What the fit of a checkpoint was made of that is not so now."""
        stored = header["fingerprint"]
        names = sorted(stored.keys() | self.fingerprint.keys())
        return [name for name in names if stored.get(name) != self.fingerprint.get(name)]

    def _before_cooling(self, later: Mapping[str, Any]) -> Found:
        try:
            header, tensors = _read(self.folder / WARM)
        except ModelFileError:
            raise self._another(later) from None
        if set(self.differing(header)) - set(BUDGET):
            raise self._another(later)
        return header, tensors

    def _another(self, header: Mapping[str, Any]) -> DataError:
        stored, names = header["fingerprint"], self.differing(header)
        told = "; ".join(f"{name} was {stored.get(name)}, now {self.fingerprint.get(name)}" for name in names)
        return DataError(f"The checkpoint in {str(self.folder)!r} belongs to another fit: {told}.")

    def _files(self) -> list[Path]:
        return sorted(path for path in self.folder.iterdir() if _NAME.fullmatch(path.name))


def _cooled(header: Mapping[str, Any]) -> bool:
    """Whether a budget has made the learning rate fall; a plateau does so with any budget."""
    cooling = header["standing"]["cooling"]
    return cooling is not None and not cooling["early"]


def _number(path: Path) -> int:
    match = _NAME.fullmatch(path.name)
    assert match
    return int(match[1])


def _read(file: Path) -> Found:
    damaged = ModelFileError(f"The checkpoint {str(file)!r} is damaged.")
    try:
        with safe_open(file, "pt") as opened:
            metadata = opened.metadata() or {}
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
        text = metadata["header"]
        if metadata["sha256"] != _digest(text, tensors):
            raise damaged
        header: dict[str, Any] = json.loads(text)
        newer = header["format"] > FORMAT
    except (SafetensorError, OSError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise damaged from error
    if newer:
        raise ModelFileError(f"The checkpoint {str(file)!r} was written by a later version of likewise.")
    return header, tensors


def _digest(text: str, tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        part = tensors[name]
        digest.update(f"{name} {part.dtype} {tuple(part.shape)}".encode())
        digest.update(_bytes(part))
    return digest.hexdigest()


def _bytes(tensor: Tensor) -> memoryview:
    content: memoryview = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data
    return content


def fingerprint(learner: Learner, train: Batch, held_out: Batch, plan: Plan, seed: int, fresh: bool) -> dict[str, Any]:
    """What a fit is made of: family and settings, records, plan and seed. How often it is saved does not matter.

    The first weights belong to it where earlier learning goes on; else seed and settings stand for them.
    """
    assert isinstance(learner, nn.Module)
    weights = learner.state_dict()
    shapes = json.dumps({name: list(part.shape) for name, part in weights.items()}, sort_keys=True)
    settings = {name: value for name, value in asdict(plan).items() if not name.startswith("checkpoint_")}
    return {
        "family": learner.name,
        "settings": json.dumps(strict(learner.settings), sort_keys=True, default=str),
        "weights": _digest(shapes, {} if fresh else weights)[:16],
        "training records": describe(train),
        "held-out records": describe(held_out),
        "seed": seed,
        **settings,
    }


def describe(batch: Batch) -> str:
    """The shape of a batch and a hash of all its content."""
    digest = hashlib.sha256()
    parts = [batch.codes, batch.values, batch.lower, batch.width, batch.status]
    for i in sorted(batch.restrictions):
        parts += [torch.tensor(i), batch.restrictions[i].codes, batch.restrictions[i].intervals]
    for part in parts:
        digest.update(f"{part.dtype} {tuple(part.shape)}".encode())
        digest.update(_bytes(part))
    return f"{len(batch)} x {batch.codes.shape[1]} ({digest.hexdigest()[:16]})"
