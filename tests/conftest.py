"""What every test process starts from."""

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

# Several test processes share the cores; each computes with one thread. Torch reads this when it is first imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A process that a script started in the background ignores SIGINT, and so do its children; tests send it on purpose.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# What several rooms are tested with stands beside this file.
sys.path.append(str(Path(__file__).parent))

from forked import Forks


@pytest.fixture(scope="session")
def forks() -> Iterator[Forks]:
    """Runs programs in processes of their own."""
    forks = Forks()
    yield forks
    forks.close()


@pytest.fixture(scope="module")
def few_trees() -> Iterator[None]:
    """Judges of few trees: they take most of the time of a comparison, and tests of all else need no good ones."""
    with pytest.MonkeyPatch.context() as patch:
        for measure in ("two_sample", "utility"):
            patch.setattr(f"likewise.metrics.{measure}.ROUNDS", 10)
        yield
