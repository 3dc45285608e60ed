"""One command line for all tests of it, run in this process."""

from collections.abc import Callable

import pytest
from typer.testing import CliRunner, Result

from likewise.cli.app import app


@pytest.fixture
def likewise(tmp_path, monkeypatch) -> Callable[..., Result]:
    """Runs `likewise` with the arguments, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")

    def run(*arguments: object) -> Result:
        return CliRunner().invoke(app, [str(argument) for argument in arguments], prog_name="likewise")

    return run
