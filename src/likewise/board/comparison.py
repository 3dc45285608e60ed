"""Several models of the same records, side by side, judged on records that none of them has seen."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import likewise
from likewise.board import leaderboard
from likewise.board.budget import Purse
from likewise.board.contestants import Contestant, contestants, settings_of
from likewise.board.division import Division, divide
from likewise.board.folder import Folder
from likewise.board.ranking import RULE
from likewise.board.references import REFERENCES, reference
from likewise.board.results import Result
from likewise.board.rounds import Failures, shorten
from likewise.board.trial import Outcome, Terms, failed, named, try_contestant, try_reference
from likewise.board.watching import Lines, Watcher
from likewise.domains.table import Table
from likewise.domains.table.sources import Source
from likewise.engine.plan import seconds
from likewise.errors import DataError
from likewise.estimators.files import load
from likewise.estimators.randomness import seed_from
from likewise.estimators.validation import check_positive

if TYPE_CHECKING:
    import pandas as pd

ROWS = 20_000
"""At most so many records of each model are judged, unless told otherwise."""


@dataclass(frozen=True, eq=False, repr=False)
class Comparison:
    """The outcome of `compare`.

    Attributes
    ----------
    rows : list of dict
        One a model, the best first, then those that failed, then the reference rows `real`, `independent` and `copy`;
        every figure with its interval (`_low`, `_high`), None where there is none, and `reasons` that say why;
        `stopped` says why a fit was ended early, `hearings` what it had reached before.
    models : dict
        Name -> fitted model.
    failures : dict
        Name -> why it failed, a sentence.
    data : dict
        What was compared: names and sizes.
    seed : int
    folder : Path
        Where models, samples and figures lie.
    """

    rows: list[dict[str, Any]]
    models: dict[str, Any]
    failures: dict[str, str]
    data: dict[str, Any]
    seed: int
    folder: Path
    terms: Terms
    outcomes: tuple[Outcome, ...]
    keeper: Any = None

    @property
    def leaderboard(self) -> pd.DataFrame:
        """The board as a data frame, indexed by model; higher is better but where the head says "(lower)"."""
        return leaderboard.frame(self.rows)

    def to_json(self) -> dict[str, Any]:
        """The board as JSON data: `data`, `seed`, `rows`, `failures` and the rule of the ranking."""
        return {"data": self.data, "seed": self.seed, "rows": self.rows, "failures": self.failures, "ranking": RULE}

    def report(self, path: str | os.PathLike[str], *, command: str | None = None) -> Path:
        """Writes one self-contained HTML file that shows everything.

        Parameters
        ----------
        path : str or path
        command : str, optional
            The command that does this comparison again, as the report should print it.
        """
        from likewise.board.dossier import dossier
        from likewise.board.report import write_report

        return write_report(dossier(self, command), Path(path))

    def __str__(self) -> str:
        return leaderboard.text(self.rows)

    def __repr__(self) -> str:
        finished = sum(row["rank"] is not None for row in self.rows)
        best = f", the best {self.rows[0]['model']!r}" if finished else ""
        return f"Comparison of {self.data['name']!r}: {finished} finished{best}; {len(self.failures)} failed"


def compare(
    records: Any,
    *,
    families: Iterable[Any] | Mapping[str, Any] | str | None = None,
    max_time: float | str | None = None,
    max_steps: int | None = None,
    holdout: Any = 0.2,
    target: str | None = None,
    samples: Mapping[str, Any] | None = None,
    random_state: Any = 0,
    folder: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    max_rows: int = ROWS,
    device: str = "auto",
    domain: Table | None = None,
    verbose: int = 0,
) -> Comparison:
    """Fits every family to the same training records, and judges all by the records they generate.

    Beside the models stand three reference rows: fresh real records (`real`), training records with each column
    shuffled by itself (`independent`), and the training records themselves (`copy`). A model that fails is listed with
    the reason, and the others go on.

    Parameters
    ----------
    records : records
        Whatever `fit` takes: a data frame, an array, the path of a table, the name of a bundled set.
    families : names of families, estimators, or a mapping of names to either; None for all families
        Anything with `fit(records)` and `sample(n)` may take part. "hidden_tree" is a Bayesian network with hidden
        states, which takes part beside the plain one: that one explains, this one is closer to the data.
    max_time : seconds, or a text such as "10m"
        For all fits together, shared equally; a family that ends early leaves its time to the others. Judging comes on
        top of it. Where there are at least four families that learn step by step, all are first given a part of their
        share; one that lies far behind the better half, no longer learns, and would stay behind if it went on to
        improve as it does, is stopped, and the others have the rest.
    max_steps : int, optional
        Steps of gradient descent of each fit, instead of a time. Those of families that are stopped go to the others.
        On one machine the board is then a function of records, settings and seed.
    holdout : float in (0, 1), or records
        The share that is held out, or records to be held out.
    target : str, optional
        The column that the utility of records is measured by; None chooses.
    samples : mapping of names to records, optional
        Records that other generators made, to be judged beside the models.
    random_state : int, RandomState or None
        One seed for everything.
    folder : path, optional
        Where models, samples and figures are kept. A comparison that was killed goes on there when it is started again,
        and what is finished is not done again.
    overwrite : bool
        Whether another comparison that lies in the folder may be replaced.
    max_rows : int
        At most so many records of each model are judged.
    device : "auto", "cpu", "cuda", "cuda:1" or "mps"
    domain : Table, optional
        The schema, such as `Table(kinds=...)`; None infers it.
    verbose : int
        0 is silent, 1 prints a line a step on stderr.

    Returns
    -------
    Comparison

    Raises
    ------
    DataError
        When records cannot be used, there are too few, or `folder` holds another comparison.

    Examples
    --------
    >>> import likewise as lw
    >>> wine = lw.datasets.load("wine")
    >>> found = lw.compare(wine, families=["bayesian_network"], samples={"same": wine.iloc[:50]})
    >>> found.leaderboard.loc["bayesian_network", "status"]
    'ok'
    >>> [row["model"] for row in found.rows[-3:]]
    ['real', 'independent', 'copy']
    """
    return run(
        records,
        families=families,
        max_time=max_time,
        max_steps=max_steps,
        holdout=holdout,
        target=target,
        samples=samples,
        random_state=random_state,
        folder=folder,
        overwrite=overwrite,
        max_rows=max_rows,
        device=device,
        domain=domain,
        watcher=Lines() if verbose else Watcher(),
    )


def run(
    records: Any,
    *,
    families: Iterable[Any] | Mapping[str, Any] | str | None,
    max_time: float | str | None,
    max_steps: int | None,
    holdout: Any,
    target: str | None,
    samples: Mapping[str, Any] | None,
    random_state: Any,
    folder: str | os.PathLike[str] | None,
    overwrite: bool,
    max_rows: int,
    device: str,
    domain: Table | None,
    watcher: Watcher,
) -> Comparison:
    """`compare`, told to a watcher."""
    start = time.perf_counter()
    seed = seed_from(random_state)
    total = None if max_time is None else seconds(max_time)
    steps = None if max_steps is None else check_positive("max_steps", max_steps)
    if total is not None and steps is not None:
        raise DataError("A comparison has one budget: give max_time or max_steps, not both.")
    division = divide(records, holdout, seed, domain)
    given = {name: _checked(division, one) for name, one in (samples or {}).items()}
    taking_part = contestants(families, given, seed=seed, device=device, domain=division.unfitted)
    if target is not None and target not in division.features.names:
        raise DataError(f"target={target!r} is no modelled column; there are {_listed(division.features.names)}.")
    terms = Terms(division, target, check_positive("max_rows", max_rows))
    keeper: tempfile.TemporaryDirectory[str] | None = None
    if folder is None:
        keeper = tempfile.TemporaryDirectory(prefix="likewise-")
        place = Folder(Path(keeper.name), lasting=False)
    else:
        place = Folder(Path(folder))
    made_of = {
        "likewise": likewise.__version__,
        "data": division.digest[:16],
        "seed": seed,
        "time": total,
        "steps": steps,
        "target": target,
        "rows": terms.rows,
    }
    place.claim(made_of, overwrite=overwrite)
    purse = _purse(taking_part, total, steps)
    watcher.begin([*REFERENCES, *(one.title for one in taking_part)])
    try:
        outcomes = [*_references(terms, place, watcher), *_trials(taking_part, terms, place, purse, watcher)]
    finally:
        watcher.end()
    results = [one.result for one in outcomes]
    comparison = Comparison(
        rows=leaderboard.board(results),
        models={one.result.name: one.model for one in outcomes if one.model is not None},
        failures={one.name: one.reason for one in results if one.status == "failed"},
        data=_facts(division, terms, time.perf_counter() - start, place),
        seed=seed,
        folder=place.path,
        terms=terms,
        outcomes=tuple(outcomes),
        keeper=keeper,
    )
    place.finish(comparison.to_json())
    return comparison


def _purse(taking_part: Sequence[Contestant], total: float | None, steps: int | None) -> Purse:
    """Seconds for all fits together; or steps, of which fits that no steps are made of take none."""
    if steps is None:
        return Purse(total, "max_time", [one.name for one in taking_part if one.samples is None])
    limited = [one.name for one in taking_part if one.limited]
    return Purse(steps * len(limited), "max_steps", limited)


def _checked(division: Division, samples: Any) -> Source:
    """Records that came from elsewhere, refused before anything is fitted where they are of another table."""
    source = named(division.domain.read(samples), division)
    division.domain.encode(source)
    return source


def _references(terms: Terms, folder: Folder, watcher: Watcher) -> list[Outcome]:
    outcomes = []
    for name in REFERENCES:
        made = reference(name, terms.division, terms.size)
        kept = _kept(folder, name)
        if kept is None:
            watcher.stage(name, "measuring")
            outcome = try_reference(made, terms)
            folder.keep_row(name, outcome.result.to_json())
        else:
            outcome = Outcome(kept, generated=made.generated)
        watcher.done(outcome.result.figures(), again=kept is not None)
        outcomes.append(outcome)
    return outcomes


def _trials(
    taking_part: Sequence[Contestant], terms: Terms, folder: Folder, purse: Purse, watcher: Watcher
) -> list[Outcome]:
    """Each contestant in turn; an error of one is its own.

    Those that a budget cuts short come last, when it is known what the others have left to them.
    """

    failures: Failures = {}

    def tried(one: Contestant) -> Outcome:
        found = _finished(one, terms, folder)
        again = found is not None
        if found is None:
            start = time.perf_counter()
            try:
                if one.name in failures:
                    raise failures[one.name].error
                found = try_contestant(one, terms, folder, purse.share(one.name), purse.unit, watcher)
            except Exception as error:
                before = failures[one.name].seconds if one.name in failures else 0.0
                found = failed(one, error, terms.division, before + time.perf_counter() - start)
            folder.keep_row(one.name, found.result.to_json())
        watcher.done(found.result.figures(), again=again)
        purse.settle(one.name, found.result.taken(purse.unit))
        return found

    limited = [one for one in taking_part if one.limited]
    outcomes = [tried(one) for one in taking_part if not one.limited]
    failures |= shorten(limited, terms, folder, purse, watcher)
    return outcomes + [tried(one) for one in limited]


def _finished(one: Contestant, terms: Terms, folder: Folder) -> Outcome | None:
    """What an earlier run has finished of a contestant, unless it failed or was made with other settings."""
    kept = _kept(folder, one.name)
    if kept is None:
        return None
    if kept.settings != settings_of(one, terms.division):
        folder.forget(one.name)
        return None
    if kept.status == "failed" or not folder.samples(one.name).exists():
        return None
    if one.ours and folder.fitted(one.name) is None:
        return None
    model = load(folder.model(one.name)) if one.ours else None
    return Outcome(kept, model, terms.division.domain.read(folder.samples(one.name)))


def _kept(folder: Folder, name: str) -> Result | None:
    stored = folder.row(name)
    try:
        return None if stored is None else Result.from_json(stored)
    except (KeyError, TypeError, ValueError):
        return None


def _facts(division: Division, terms: Terms, taken: float, folder: Folder) -> dict[str, Any]:
    """What was compared, as JSON data; the time is that of all runs."""
    before = folder.board().get("data", {}).get("seconds") or 0.0
    return {
        "name": division.name,
        "columns": list(division.training.names),
        "training_records": len(division.training),
        "held_out_records": len(division.held_out),
        "judged_records": terms.size,
        "split": division.split,
        "target": terms.target,
        "seconds": max(taken, float(before)),
    }


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
