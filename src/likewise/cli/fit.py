"""`likewise fit`: from a table to a model file."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from json import dumps
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated, Any

import typer

from likewise.atomic import atomic_path
from likewise.cli.options import Data, Device, Force, Json, Names, Quiet, Seed, Verbose, split_names
from likewise.cli.outcome import Refused, tell
from likewise.cli.outputs import check_free, write_json

LOG = "training.jsonl"
"""The log in the checkpoint folder."""

if TYPE_CHECKING:
    from likewise.estimators.generative import Generative


def fit(
    data: Data,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="The model file. [default: the name of the data, ending in .safetensors]"),
    ] = None,
    family: Annotated[
        str, typer.Option(help="A family that `likewise families` lists, or hidden_tree.")
    ] = "autoregressive",
    time: Annotated[
        str | None,
        typer.Option(metavar="90s|5m|1h30m", help="The most time to spend on fitting; reading is not counted."),
    ] = None,
    max_steps: Annotated[int | None, typer.Option(min=1, help="The most steps of gradient descent.")] = None,
    seed: Seed = 0,
    device: Device = "auto",
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the checkpoint of an interrupted fit, if there is one.")
    ] = False,
    names: Names = None,
    log: Annotated[Path | None, typer.Option(help="Write the training log, a line of JSON an event.")] = None,
    json: Json = None,
    force: Force = False,
    quiet: Quiet = False,
    verbose: Verbose = 0,
) -> None:
    """Fit a model to a table and write it to one file that is safe to share.

    While it runs, checkpoints are kept in a folder beside the model file; it is removed when the fit is done.
    """
    out = _model_file(data, out)
    checkpoint = out.with_name(f"{out.name}.checkpoint")
    check_free(out, force)
    check_free(log, force)
    check_free(json, force)
    if checkpoint.exists() and not resume and not force:
        raise Refused(
            f"The checkpoint of an interrupted fit lies in {str(checkpoint)!r}: add --resume to go on from it, or "
            "--force to start anew."
        )
    own_names = split_names(names, data)

    from likewise.domains.table import Table
    from likewise.estimators.taxonomy import estimator_of

    model = estimator_of(
        family,
        max_time=time,
        max_steps=max_steps,
        random_state=seed,
        device=device,
        domain=None if own_names is None else Table(names=own_names),
        checkpoint=checkpoint,
        resume=resume,
        verbose=0 if quiet else 1 + verbose,
    )
    if not resume:
        _remove(checkpoint)
    start = perf_counter()
    with _checkpointed(checkpoint, log):
        model.fit(data)
        model.save(out)
        if log is not None and not (checkpoint / LOG).exists():
            # A family that learns in one pass has one event to tell.
            checkpoint.mkdir(exist_ok=True)
            (checkpoint / LOG).write_text(dumps({"event": "end", **model.training_record_}) + "\n", encoding="utf-8")

    summary = {"data": data, "file": str(out), "seconds": perf_counter() - start, **describe(model, data)}
    if not quiet:
        _tell_notes(model, verbose)
        tell(in_words(summary))
    if json is not None:
        write_json(json, summary)


def _model_file(data: str, out: Path | None) -> Path:
    out = out if out is not None else Path(f"{Path(data).stem}.safetensors")
    if out.suffix != ".safetensors":
        raise Refused(f"A model file ends in .safetensors, and {str(out)!r} does not.")
    if not out.parent.is_dir():
        raise Refused(f"The folder {str(out.parent)!r} does not exist.")
    return out


@contextmanager
def _checkpointed(checkpoint: Path, log: Path | None) -> Iterator[None]:
    """Keeps the checkpoint folder of a fit that did not end, if it holds any; the log is copied in any case."""
    done = False
    try:
        yield
        done = True
    except KeyboardInterrupt:
        kept = f"the checkpoint is kept in {str(checkpoint)!r}; the same command with --resume goes on from it."
        raise KeyboardInterrupt(kept if _checkpoints(checkpoint) else "there was nothing to keep yet.") from None
    finally:
        if log is not None and (checkpoint / LOG).exists():
            with atomic_path(log) as temporary:
                shutil.copyfile(checkpoint / LOG, temporary)
        if done or not _checkpoints(checkpoint):
            _remove(checkpoint)


def _checkpoints(folder: Path) -> list[Path]:
    return list(folder.glob("checkpoint-*.safetensors"))


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)


def describe(model: Generative, data: str) -> dict[str, Any]:
    """The facts of a fit, as JSON data; log-likelihoods in nats per record."""
    from likewise.estimators import fitting, scoring

    source = model.domain_.read(data)
    _, held_out = fitting.split(len(source), model.validation_fraction, model.seed_)
    scores = scoring.score(model.family_, model.domain_.encode(source.rows(held_out)), model.seed_)
    record = model.training_record_
    return {
        "family": model.family_name,
        "rows": len(source),
        "columns": model.n_features_in_,
        "held_out_rows": len(held_out) if len(held_out) < len(source) else 0,
        "log_likelihood": {
            "mean": scores.mean,
            "standard_error": float(scores.values.std() / math.sqrt(len(scores))),
            "kind": scores.kind,
            "base_measure": scores.base_measure,
        },
        "seconds_of_learning": record.get("seconds"),
        "steps": record.get("steps"),
        "stopped": record.get("stopped"),
        "parameters": sum(part.numel() for part in model.family_.state_dict().values()),
        "seed": model.seed_,
    }


def in_words(summary: dict[str, Any]) -> str:
    """One line that says what was fitted, how well, and where it is."""
    from likewise.estimators.taxonomy import ESTIMATORS

    likelihood = summary["log_likelihood"]
    held = summary["held_out_rows"]
    model = ESTIMATORS[summary["family"]][1]
    judged = f"of {held:,} held-out rows" if held else "of the training rows (too few to hold any out)"
    return (
        f"Fitted {model} to {summary['rows']:,} rows and {summary['columns']:,} columns "
        f"in {summary['seconds']:.1f} s; "
        f"log-likelihood {judged}: {likelihood['mean']:.3f} +/- {likelihood['standard_error']:.3f} nats a row "
        f"({likelihood['kind']}); written to {summary['file']}."
    )


def _tell_notes(model: Generative, verbose: int) -> None:
    from likewise.domains.table import Table

    assert isinstance(model.domain_, Table)
    for note in model.domain_.notes:
        tell(f"Note: {note}")
    if verbose:
        for facts in model.domain_.facts:
            for warning in facts.warnings:
                tell(f"Note: column {facts.name!r} is {facts.kind}: {warning}.")
