"""Pictures of many cells as PNG that know strengths alone: the page's style sheet gives the colour."""

from __future__ import annotations

import base64
import struct
import zlib
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

STRENGTHS = 64
"""Steps between nothing and full colour."""


def png(strengths: Array) -> bytes:
    """A PNG (W3C 2003) of strengths (height, width) in [0, 1]: black throughout, as opaque as the strength says.

    Examples
    --------
    >>> picture = png(np.array([[0.0, 1.0]]))
    >>> picture[:8], struct.unpack(">II", picture[16:24])
    (b'\\x89PNG\\r\\n\\x1a\\n', (2, 1))
    """
    steps = np.round(np.clip(strengths, 0.0, 1.0) * (STRENGTHS - 1)).astype(np.uint8)
    height, width = steps.shape
    lines = np.concatenate([np.zeros((height, 1), np.uint8), steps], axis=1)  # a line begins with its filter: none
    opacity = np.round(np.linspace(0, 255, STRENGTHS)).astype(np.uint8)
    parts = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
        (b"PLTE", bytes(3 * STRENGTHS)),
        (b"tRNS", opacity.tobytes()),
        (b"IDAT", zlib.compress(lines.tobytes(), 9)),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, content) for name, content in parts)


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def inline(strengths: Array) -> str:
    """The same as an address that holds the picture."""
    return "data:image/png;base64," + base64.b64encode(png(strengths)).decode()


def speckle(places: Array, side: int, radius: float) -> Array:
    """Strengths (side, side * frames) of dots at places (frames, n, 2), shares of width and height from the lower left.

    Frames lie side by side; dots outside of their frame are left out, and overlapping ones are no stronger than one.

    Examples
    --------
    >>> speckle(np.array([[[0.5, 0.5]], [[0.1, 0.9]]]), 5, 0.5).round(1)
    array([[0., 0., 0., 0., 0., 1., 0., 0., 0., 0.],
           [0., 0., 0., 0., 0., 0., 0., 0., 0., 0.],
           [0., 0., 1., 0., 0., 0., 0., 0., 0., 0.],
           [0., 0., 0., 0., 0., 0., 0., 0., 0., 0.],
           [0., 0., 0., 0., 0., 0., 0., 0., 0., 0.]])
    """
    frames = len(places)
    picture = np.zeros((frames, side, side))
    across, down = places[..., 0] * side, (1.0 - places[..., 1]) * side
    frame = np.broadcast_to(np.arange(frames)[:, None], across.shape)
    reach = int(np.ceil(radius + 0.5))
    for i in range(-reach, reach + 1):
        for j in range(-reach, reach + 1):
            row, column = np.floor(down).astype(int) + i, np.floor(across).astype(int) + j
            inside = (row >= 0) & (row < side) & (column >= 0) & (column < side)
            apart = np.hypot(row + 0.5 - down, column + 0.5 - across)
            strength = np.clip(radius + 0.5 - apart, 0.0, 1.0)
            np.maximum.at(picture, (frame[inside], row[inside], column[inside]), strength[inside])
    return np.concatenate(list(picture), axis=1)
