"""One `.safetensors` file a model: tensors and one JSON entry. Reading executes nothing and trusts nothing.

The file is what safetensors prescribes: eight bytes for the length of a JSON header, the header, the bytes of the
tensors. Its `__metadata__` holds the format version (`likewise`), the JSON of the model (`model`) and a SHA-256
(`sha256`) over the whole file, with zeros in place of the checksum's own digits. The header is ASCII, so that its cost
in memory is known before it is parsed; tensors lie without gaps in the order of the header, so that none shares
another's bytes.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any, NoReturn

import torch
from torch import Tensor

from likewise.atomic import atomic_path
from likewise.errors import ModelFileError

FORMAT_VERSION = 1
"""The format that this version writes; it reads all earlier ones."""

HEADER_BYTES = 16 << 20
HEADER_VALUES = 1_000_000
HEADER_DEPTH = 64
TENSORS = 50_000
"""Limits on a file, chosen so that the worst header they allow parses in less than 200 MB."""

_DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}
_BLANK = "0" * 64
_CHUNK = 1 << 20


@dataclass(frozen=True)
class _Slot:
    """Where one tensor lies: its name, type, shape and number of bytes."""

    name: str
    dtype: torch.dtype
    shape: tuple[int, ...]
    size: int


@dataclass(frozen=True)
class _Opened:
    """A file whose header has been read and whose sizes agree."""

    file: FileIO
    head: bytes
    model: str
    digest: str
    slots: list[_Slot]


# ------------------------------------------------------------------------------------------------------------ writing


def write(path: str | os.PathLike[str], header: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    """Writes a model file atomically: readers see the whole old file or the whole new one.

    Parameters
    ----------
    path : str or path
        Overwritten if it exists.
    header : mapping
        JSON data: string keys, finite numbers, lists, strings, booleans, None.
    tensors : mapping of names to tensors

    Raises
    ------
    ModelFileError
        When the header or the number of tensors exceeds what a reader would accept.
    TypeError, ValueError
        When the header is not JSON data.
    """
    model = json.dumps(_plain(header, 0), allow_nan=False, separators=(",", ":"), sort_keys=True)
    # Widest elements first: every tensor starts at a multiple of its element, as memory maps want.
    ordered = sorted(tensors.items(), key=lambda item: (-item[1].element_size(), item[0]))
    entries: dict[str, Any] = {"__metadata__": {"likewise": str(FORMAT_VERSION), "model": model, "sha256": _BLANK}}
    end = 0
    for name, tensor in ordered:
        begin, end = end, end + tensor.numel() * tensor.element_size()
        entries[name] = {"dtype": _NAMES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [begin, end]}
    text = json.dumps(entries, separators=(",", ":"))
    text += " " * (-len(text) % 8)
    try:
        _check_limits(text)
        _check_limits(model)
        if len(tensors) > TENSORS:
            raise ValueError(f"its {len(tensors)} tensors are more than {TENSORS}")
    except ValueError as error:
        raise ModelFileError(f"The model is too large to be written to {os.fspath(path)!r}: {error}.") from error
    head = len(text).to_bytes(8, "little") + text.encode("ascii")
    digest = hashlib.sha256(head)
    for _, tensor in ordered:
        digest.update(_bytes(tensor))
    with atomic_path(Path(path)) as temporary, open(temporary, "wb") as file:
        file.write(head.replace(_digest_field(_BLANK), _digest_field(digest.hexdigest()), 1))
        for _, tensor in ordered:
            file.write(_bytes(tensor))


def _digest_field(digest: str) -> bytes:
    return b'"sha256":"' + digest.encode("ascii") + b'"'


def _bytes(tensor: Tensor) -> memoryview:
    """The bytes of a tensor, in memory order; a copy only where it lies on another device or is strided."""
    flat = tensor.detach().to("cpu").contiguous().reshape(-1).view(torch.uint8)
    return flat.numpy().data


def _plain(value: Any, depth: int) -> Any:
    """The same JSON data, or TypeError for what would not come back as it went in."""
    if depth > HEADER_DEPTH - 4:
        raise TypeError("a model's header must be plain data of modest depth")
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            raise TypeError("keys in a model's header must be strings")
        return {key: _plain(part, depth + 1) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part, depth + 1) for part in value]
    return value


# ------------------------------------------------------------------------------------------------------------ reading


def read(path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The header and the tensors of a model file, its checksum verified.

    Raises
    ------
    ModelFileError
        When the file is missing, truncated, damaged, hostile or of a later format: one sentence.
    """
    with _opened(path) as opened:
        digest = _Checksum(opened)
        tensors = {}
        for slot in opened.slots:
            flat = torch.empty(slot.size, dtype=torch.uint8)
            digest.fill(flat.numpy().data)
            if slot.dtype == torch.bool and slot.size and int(flat.max()) > 1:
                _refuse(path, f"tensor {slot.name!r} holds bytes that are no booleans")
            tensors[slot.name] = flat.view(slot.dtype).reshape(slot.shape)
        digest.verify(path)
        return _model(opened, path), tensors


def read_header(path: str | os.PathLike[str], *, verify: bool = False) -> dict[str, Any]:
    """The header of a model file, without its tensors; sizes are checked, the checksum only when `verify` is true.

    Raises
    ------
    ModelFileError
        As `read`.
    """
    with _opened(path) as opened:
        if verify:
            digest, buffer = _Checksum(opened), memoryview(bytearray(_CHUNK))
            left = sum(slot.size for slot in opened.slots)
            while left:
                digest.fill(buffer[: min(left, _CHUNK)])
                left -= min(left, _CHUNK)
            digest.verify(path)
        return _model(opened, path)


class _Checksum:
    """Hashes a file while it is read."""

    def __init__(self, opened: _Opened) -> None:
        self._opened = opened
        self._hash = hashlib.sha256(opened.head.replace(_digest_field(opened.digest), _digest_field(_BLANK), 1))

    def fill(self, buffer: memoryview) -> None:
        done = 0
        while done < len(buffer):
            count = self._opened.file.readinto(buffer[done : done + _CHUNK])
            if not count:
                raise EOFError("the file ends early")
            self._hash.update(buffer[done : done + count])
            done += count

    def verify(self, path: str | os.PathLike[str]) -> None:
        if self._hash.hexdigest() != self._opened.digest:
            _refuse(path, "its checksum does not match its contents")


@contextmanager
def _opened(path: str | os.PathLike[str]) -> Iterator[_Opened]:
    """The file with its header parsed and every declared size checked; turns whatever happens into ModelFileError."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            _refuse(path, "it is not a file")
        with open(path, "rb", buffering=0) as file:
            yield _open(file, path)
    except ModelFileError:
        raise
    except FileNotFoundError as error:
        raise ModelFileError(f"There is no model file at {os.fspath(path)!r}.") from error
    except Exception as error:
        detail = str(error).split("\n")[0][:200].rstrip(".") or type(error).__name__
        raise ModelFileError(_sentence(path, detail)) from error


def _open(file: FileIO, path: str | os.PathLike[str]) -> _Opened:
    total = os.fstat(file.fileno()).st_size
    prefix = file.read(8)
    if len(prefix) < 8:
        _refuse(path, "it is too short")
    length = int.from_bytes(prefix, "little")
    if length > total - 8:
        _refuse(path, "its header is longer than the file")
    if length > HEADER_BYTES:
        _refuse(path, f"its header of {length} bytes exceeds {HEADER_BYTES}")
    head = prefix
    while len(head) < 8 + length:
        part = file.read(8 + length - len(head))
        if not part:
            _refuse(path, "it ends within the header")
        head += part
    header = _parse(head[8:].decode("ascii"))
    if not isinstance(header, dict):
        _refuse(path, "its header is no JSON object")
    metadata = header.pop("__metadata__", None)
    if not isinstance(metadata, dict) or not isinstance(metadata.get("likewise"), str):
        _refuse(path, "it was not written by likewise")
    version = metadata["likewise"]
    if not (version.isascii() and version.isdigit() and len(version) < 9 and int(version) > 0):
        _refuse(path, "its format version is not a number")
    if int(version) > FORMAT_VERSION:
        raise ModelFileError(
            f"{os.fspath(path)!r} was written by a later version of likewise (format {int(version)}; "
            f"this version reads up to {FORMAT_VERSION}): upgrade likewise."
        )
    if set(metadata) != {"likewise", "model", "sha256"} or not all(isinstance(v, str) for v in metadata.values()):
        _refuse(path, "its metadata has unexpected entries")
    slots = _slots(header, total - 8 - length, path)
    return _Opened(file, head, metadata["model"], metadata["sha256"], slots)


def _slots(header: dict[str, Any], available: int, path: str | os.PathLike[str]) -> list[_Slot]:
    """The declared tensors, checked to fill the data section exactly: nothing is allocated before this."""
    if len(header) > TENSORS:
        _refuse(path, f"{len(header)} tensors are more than {TENSORS}")
    slots, end = [], 0
    for name, entry in header.items():
        if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
            _refuse(path, f"tensor {name[:80]!r} is not described by dtype, shape and data_offsets")
        dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
        if not isinstance(dtype, str) or dtype not in _DTYPES:
            _refuse(path, f"tensor {name[:80]!r} has an unknown dtype")
        if not (_is_sizes(shape) and len(shape) <= 8 and math.prod(max(size, 1) for size in shape) <= 1 << 48):
            _refuse(path, f"tensor {name[:80]!r} has an impossible shape")
        size = math.prod(shape) * _DTYPES[dtype].itemsize
        if not (_is_sizes(offsets) and offsets == [end, end + size]):
            _refuse(path, f"tensor {name[:80]!r} does not lie where its size says")
        slots.append(_Slot(name, _DTYPES[dtype], tuple(shape), size))
        end += size
    if end != available:
        _refuse(path, f"its tensors need {end} bytes and it has {available}")
    return slots


def _is_sizes(value: Any) -> bool:
    return isinstance(value, list) and all(type(part) is int and 0 <= part < 1 << 62 for part in value)


def _model(opened: _Opened, path: str | os.PathLike[str]) -> dict[str, Any]:
    model = _parse(opened.model)
    if not isinstance(model, dict):
        _refuse(path, "its model entry is no JSON object")
    return model


# --------------------------------------------------------------------------------------------------------------- JSON


_MARKS = re.compile(r"\\.|[\"\[\]{}]", re.DOTALL)


def _parse(text: str) -> Any:
    """Strict JSON: no duplicate keys, no NaN or infinity, 64-bit integers, modest depth; ValueError otherwise."""
    _check_limits(text)
    return json.loads(
        text, object_pairs_hook=_unique, parse_constant=_no_constant, parse_float=_finite, parse_int=_integer
    )


def _check_limits(text: str) -> None:
    """Bounds what parsing can cost, before it: bytes, values (one a bracket, comma or colon) and depth."""
    if len(text) > HEADER_BYTES:
        raise ValueError(f"its header of {len(text)} bytes exceeds {HEADER_BYTES}")
    if not text.isascii():
        raise ValueError("its header is not ASCII")
    if sum(map(text.count, "{[,:")) > HEADER_VALUES:
        raise ValueError(f"its header holds more than {HEADER_VALUES} values")
    depth, quoted = 0, False
    for mark in _MARKS.finditer(text):
        if mark[0] == '"':
            quoted = not quoted
        elif not quoted and mark[0] in "[{":
            depth += 1
            if depth > HEADER_DEPTH:
                raise ValueError(f"its header is nested more than {HEADER_DEPTH} deep")
        elif not quoted and mark[0] in "]}":
            depth -= 1


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("its header repeats a key")
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"its header holds {name}")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("its header holds a number beyond the finite ones")
    return value


def _integer(text: str) -> int:
    if len(text) > 20 or not -(1 << 63) <= int(text) < 1 << 64:
        raise ValueError("its header holds an integer of more than 64 bits")
    return int(text)


def _sentence(path: str | os.PathLike[str], detail: str) -> str:
    return f"{os.fspath(path)!r} is not a model file that can be read: {detail}."


def _refuse(path: str | os.PathLike[str], detail: str) -> NoReturn:
    raise ModelFileError(_sentence(path, detail))
