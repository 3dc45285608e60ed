"""Discrete Bayesian networks in the files that others write and read: BIF and XMLBIF."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from likewise.atomic import atomic_path
from likewise.errors import DataError
from likewise.exchange import bif, xmlbif
from likewise.exchange.description import NetworkDescription

__all__ = ["SUFFIXES", "NetworkDescription", "read_network", "write_network"]

_FORMATS: dict[str, Literal["bif", "xmlbif"]] = {
    ".bif": "bif",
    ".xml": "xmlbif",
    ".xmlbif": "xmlbif",
    ".bifxml": "xmlbif",
}

SUFFIXES = tuple(_FORMATS)
"""How the names of files of networks end."""


def read_network(path: str | os.PathLike[str]) -> NetworkDescription:
    """The network in a file, exactly as it stands there.

    Parameters
    ----------
    path : str or path
        Its suffix says the format: `.bif` is BIF; `.xml`, `.xmlbif` and `.bifxml` are XMLBIF.

    Raises
    ------
    DataError
        When the suffix is not known, the file is missing, or what it holds is malformed: one sentence with the line
        and what was expected.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "coin.bif"
    >>> _ = path.write_text(
    ...     "network coin { } variable side { type discrete [ 2 ] { head, tail }; }"
    ...     "probability ( side ) { table 0.5, 0.5; }"
    ... )
    >>> read_network(path).states
    (('head', 'tail'),)
    """
    kind = _format(path)
    try:
        content = Path(path).read_bytes()
    except FileNotFoundError:
        raise DataError(f"There is no network file at {os.fspath(path)!r}.") from None
    try:
        return bif.loads(_decoded(content)) if kind == "bif" else xmlbif.loads(content)
    except DataError as error:
        raise DataError(f"{os.fspath(path)!r} cannot be read, {error}") from None


def write_network(description: NetworkDescription, path: str | os.PathLike[str]) -> None:
    """Writes a network so that `read_network` gives back every bit of it; an existing file is replaced in one step.

    Parameters
    ----------
    description : NetworkDescription
    path : str or path
        Its suffix says the format, as for `read_network`.

    Raises
    ------
    DataError
        When the suffix is not known, or a name holds what the format cannot.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> path = Path(tempfile.mkdtemp()) / "coin.xmlbif"
    >>> write_network(NetworkDescription("coin", ("side",), (("head", "tail"),), ((),), (np.array([0.5, 0.5]),)), path)
    >>> read_network(path).tables
    (array([0.5, 0.5]),)
    """
    text = bif.dumps(description) if _format(path) == "bif" else xmlbif.dumps(description)
    try:
        content = text.encode("utf-8")
    except UnicodeEncodeError as error:
        wrong = f"U+{ord(text[error.start]):04X}"
        raise DataError(f"A name holds {wrong}, which is no character of a text file: rename it.") from None
    with atomic_path(Path(path)) as temporary:
        temporary.write_bytes(content)


def _format(path: str | os.PathLike[str]) -> Literal["bif", "xmlbif"]:
    kind = _FORMATS.get(Path(path).suffix.lower())
    if kind is None:
        raise DataError(f"The format of {os.fspath(path)!r} is not known: its name must end in {', '.join(_FORMATS)}.")
    return kind


def _decoded(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(f"line {line}: expected text in UTF-8, found the byte 0x{content[error.start]:02X}.") from None
