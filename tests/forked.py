"""Programs in processes of their own, each forked from one that has imported what they need: `Forks`.

A new interpreter imports torch and the library for seconds; a fork has them. What is forked has computed nothing and
has one thread, so a program finds what it would find in a new interpreter, and may be killed as one.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryFile

IMPORTED = ("torch._dynamo", "sklearn.ensemble", "likewise.board.comparison", "likewise.estimators.autoregressive")
"""What most programs need; torch imports the first of them with the first optimizer."""


class Forks:
    """The process that is forked, as tests see it; it starts with the first program."""

    def __init__(self) -> None:
        self._forked: subprocess.Popen[str] | None = None

    def run(self, program: str, *arguments: object, folder: Path) -> subprocess.CompletedProcess[str]:
        """Runs a program as `python -c` would in this folder; its module is no file, and it has nothing to read."""
        if self._forked is None:
            environment = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "GLOO_SOCKET_IFNAME": "lo"}
            # One thread: only such a process may be forked.
            environment = {**os.environ, **environment, "OMP_NUM_THREADS": "1"}
            command, pipe = [sys.executable, __file__], subprocess.PIPE
            self._forked = subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, text=True)
        assert self._forked.stdin is not None
        assert self._forked.stdout is not None
        words = ["-c", *map(str, arguments)]
        self._forked.stdin.write(json.dumps([program, words, str(folder)]) + "\n")
        self._forked.stdin.flush()
        return subprocess.CompletedProcess(words, *json.loads(self._forked.stdout.readline()))

    def close(self) -> None:
        """Ends it, and waits for its end."""
        if self._forked is not None:
            self._forked.communicate()


def fork(program: str, words: list[str], folder: str) -> tuple[int, str, str]:
    """The status with which the program ended, minus the number of a signal that ended it, and what it has printed."""
    with TemporaryFile() as out, TemporaryFile() as error, open(os.devnull, "rb") as nothing:
        child = os.fork()
        if child == 0:
            for descriptor, file in enumerate((nothing, out, error)):
                os.dup2(file.fileno(), descriptor)
            os.chdir(folder)
            sys.argv = words
            exec(compile(program, "<program>", "exec", dont_inherit=True), {"__name__": "__main__"})
            sys.exit()
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        printed = []
        for file in (out, error):
            file.seek(0)
            printed.append(file.read().decode())
    return status, printed[0], printed[1]


def main() -> None:
    for name in IMPORTED:
        __import__(name)
    for line in sys.stdin:
        sys.stdout.write(json.dumps(fork(*json.loads(line))) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
