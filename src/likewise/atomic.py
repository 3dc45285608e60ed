"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_path(final: Path | str) -> Iterator[Path]:
    """A path beside `final` to write to; on leaving, what was written becomes `final` in one step, safe on disk.

    The temporary file keeps the ending of `final`, because writers choose their format by it, and is hidden. If the
    body raises, it is removed and `final` stays as it was. A symbolic link is followed, not replaced.

    Examples
    --------
    >>> import tempfile
    >>> final = Path(tempfile.mkdtemp()) / "numbers.txt"
    >>> with atomic_path(final) as temporary:
    ...     _ = temporary.write_text("1 2 3")
    ...     final.exists()
    False
    >>> final.read_text()
    '1 2 3'
    """
    final = Path(os.path.realpath(final))
    temporary = final.with_name(f".{final.stem[:100]}.{secrets.token_hex(6)}.partial{final.suffix}")
    try:
        yield temporary
        with open(temporary, "rb+") as written:
            os.fsync(written.fileno())
        os.replace(temporary, final)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(final.parent)


def _sync_folder(folder: Path) -> None:
    """Makes a rename durable; only POSIX systems let a folder be opened."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
