"""Seeds of their own for each purpose, all from one."""

from __future__ import annotations

import hashlib


def seed_for(seed: int, *purpose: object) -> int:
    """A seed below 2**31 that depends on the seed of the comparison and on the purpose alone.

    Examples
    --------
    >>> seed_for(0, "sample", "flow") == seed_for(0, "sample", "flow"), seed_for(0, "a") == seed_for(0, "b")
    (True, False)
    """
    digest = hashlib.sha256("/".join(map(str, (seed, *purpose))).encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1
