"""How a command ends: an exit code, and one sentence on stderr where something went wrong."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import zip_longest
from typing import Any, TextIO

import typer
from typer.core import TyperCommand, TyperGroup

from likewise.errors import DataError, LikewiseError, ModelFileError, NotSupported, TrainingDiverged

EXIT_CODES = (
    "Exit codes: 0 done, 1 failure, 2 wrong usage or unusable data, 3 done but some models failed, "
    "130 interrupted with the checkpoint kept."
)

FAILURE, UNUSABLE, SOME_FAILED, INTERRUPTED = 1, 2, 3, 130


class Refused(Exception):
    """What a command was asked to do does not go together, or would overwrite something."""


class Verb(TyperCommand):
    """One verb; `--json` without a path means stdout."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        told = []
        for word, following in zip_longest(args, args[1:]):
            told.append(word)
            if word == "--json" and (following is None or (following.startswith("-") and following != "-")):
                told.append("-")
        return list(super().parse_args(ctx, told))


class Verbs(TyperGroup):
    """The group of verbs; whatever one of them raises on purpose becomes a sentence and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        with sentences():
            return super().invoke(ctx)


@contextmanager
def sentences() -> Iterator[None]:
    """Turns the errors that users meet into one sentence on stderr and an exit code, and warnings into a line each."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("default", UserWarning)
            warnings.showwarning = _show_warning
            yield
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read our output has seen enough. What is still buffered must not fail again when Python exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(0) from None
    except KeyboardInterrupt as interruption:
        tell(f"Interrupted{': ' + str(interruption) if str(interruption) else '.'}")
        raise typer.Exit(INTERRUPTED) from None
    except (Refused, DataError, NotSupported, ModelFileError) as error:
        raise _end(error, UNUSABLE) from None
    except (TrainingDiverged, LikewiseError) as error:
        raise _end(error, FAILURE) from None
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        raise _end(f"{error.strerror or type(error).__name__}{where}.", FAILURE) from None
    except MemoryError:
        raise _end("There is not enough memory for this; use fewer records or columns.", FAILURE) from None


def _end(message: object, code: int) -> typer.Exit:
    tell(f"Error: {message}")
    return typer.Exit(code)


def tell(sentence: str) -> None:
    """A line on stderr."""
    print(" ".join(sentence.split()), file=sys.stderr, flush=True)  # noqa: T201


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    tell(f"Warning: {message}")
