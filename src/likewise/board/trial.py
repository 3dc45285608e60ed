"""One contestant: fitted within its budget, asked for records, and judged by them."""

from __future__ import annotations

import hashlib
import inspect
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any

import numpy as np

from likewise.board.contestants import EXTERNAL, Contestant
from likewise.board.division import Division
from likewise.board.folder import Folder
from likewise.board.ranking import hardest
from likewise.board.references import REAL, Reference, other_halves
from likewise.board.results import REFERENCE, Likelihood, Result
from likewise.board.seeds import seed_for
from likewise.board.watching import Watcher
from likewise.domains.table.sources import Source, write
from likewise.engine.plan import seconds
from likewise.errors import DataError, NotSupported
from likewise.estimators.files import CIRCUMSTANCES, load
from likewise.metrics.interval import Interval
from likewise.metrics.panel import Panel, evaluate
from likewise.metrics.support import Support, support


@dataclass(frozen=True, eq=False)
class Terms:
    """What holds for every row of one comparison.

    Attributes
    ----------
    target : str or None
        The column that utility predicts.
    rows : int
        At most so many records of each contestant, and of the held-out ones, are judged.
    """

    division: Division
    target: str | None
    rows: int

    @property
    def size(self) -> int:
        """Records that each contestant is asked for."""
        return min(self.rows, max(len(self.division.training), len(self.division.held_out)))


@dataclass(frozen=True, eq=False)
class Outcome:
    """A result with the model and the records it is about, None where there is none."""

    result: Result
    model: Any = None
    generated: Source | None = None


# ------------------------------------------------------------------------------------------------------------- measures


def measure(terms: Terms, generated: Source, held_out: Source) -> tuple[Panel, Support]:
    """Everything the metrics say about generated records."""
    division = terms.division
    held_out = some(held_out, terms.rows, division.seed)
    training = division.training
    features, seed = division.features, seed_for(division.seed, "metrics")
    panel = evaluate(generated, training, held_out, features, target=terms.target, seed=seed)
    found = support(generated, training, held_out, features, seed=seed)
    return panel, found


def some(source: Source, size: int, seed: int) -> Source:
    """At most `size` of the records, chosen at random, the same ones every time."""
    if len(source) <= size:
        return source
    return source.rows(np.sort(np.random.default_rng(seed_for(seed, "rows")).permutation(len(source))[:size]))


def named(source: Source, division: Division) -> Source:
    """Columns of arrays, which go by position, under the names that they have in training."""
    names = division.training.names
    by_position = source.memory["container"] == "array" and len(source.names) == len(names)
    return replace(source, names=names) if by_position else source


def try_reference(reference: Reference, terms: Terms) -> Outcome:
    """A reference row."""
    panel, found = measure(terms, reference.generated, reference.held_out)
    if reference.name == REAL:
        panel = _averaged(panel, terms)
    none = (
        "no model: "
        + {
            "real": "these are real records",
            "independent": "these are training records with each column shuffled by itself",
            "copy": "these are the training records",
        }[reference.name]
    )
    missing = ("log_likelihood", "borrowed_score", "fit_seconds", "sample_seconds", "parameters", "path")
    result = Result(
        reference.name,
        REFERENCE,
        panel=panel,
        support=found,
        reasons=dict.fromkeys(missing, none),
        drawn=len(reference.generated),
    )
    return Outcome(result, generated=reference.generated)


def _averaged(panel: Panel, terms: Terms) -> Panel:
    """The two-sample scores of real records over several halvings; the intervals are those of one of them."""
    division, seed = terms.division, seed_for(terms.division.seed, "metrics")
    again = [
        evaluate(one.generated, division.training, one.held_out, division.features, seed=seed, parts=["two_sample"])
        for one in other_halves(division)
    ]
    scores = {}
    for name in ("c2st_train", "c2st_heldout"):
        found = [one for one in (getattr(each, name) for each in (panel, *again)) if one is not None]
        if found:
            ends = [float(np.mean([getattr(one, end) for one in found])) for end in ("value", "low", "high")]
            scores[name] = Interval(*ends)
    return replace(panel, **scores)  # type: ignore[arg-type]


# ---------------------------------------------------------------------------------------------------------- contestants


def try_contestant(
    contestant: Contestant, terms: Terms, folder: Folder, budget: float | None, watcher: Watcher
) -> Outcome:
    """Fits, samples and measures; whatever is finished is kept in the folder on the way."""
    name, division = contestant.name, terms.division
    model, fit_seconds, sample_seconds = None, None, None
    if contestant.samples is None:
        model, fit_seconds = fitted(contestant, terms, folder, budget, watcher)
        watcher.stage(contestant.title, "sampling")
        start = perf_counter()
        drawn = draw(model, terms.size, seed_for(division.seed, "sample", name))
        sample_seconds = perf_counter() - start
    else:
        drawn = contestant.samples
    generated = some(named(division.domain.read(drawn), division), terms.rows, division.seed)
    if len(generated) < 2:
        raise DataError(f"{contestant.title} has {len(generated)} generated records; expected at least 2.")
    division.domain.encode(generated)
    folder.keep_samples(name, generated)
    watcher.stage(contestant.title, "measuring")
    panel, found = measure(terms, generated, division.held_out)
    likelihood, why = likelihood_of(model, contestant, division.held_out)
    reasons = {} if why is None else {"log_likelihood": why}
    borrowed, why = borrowed_of(model, contestant, terms)
    if why is not None:
        reasons["borrowed_score"] = why
    if model is None:
        none = "these records came from elsewhere"
        reasons |= dict.fromkeys(("fit_seconds", "sample_seconds", "parameters", "path"), none)
    elif contestant.ours and not folder.lasting:
        reasons["path"] = "no folder was named"
    elif not contestant.ours:
        none = "this model is not one of the library's"
        reasons |= {"path": none, "parameters": none}
    result = Result(
        name,
        contestant.family,
        panel=panel,
        support=found,
        likelihood=likelihood,
        borrowed=borrowed,
        reasons=reasons,
        fit_seconds=fit_seconds,
        sample_seconds=sample_seconds,
        parameters=parameters(model) if contestant.ours else None,
        drawn=len(generated),
        path=str(folder.model(name)) if contestant.ours and folder.lasting else None,
        settings=settings_of(contestant, division),
        training=dict(model.training_record_) if model is not None and contestant.ours else {},
    )
    return Outcome(result, model, generated)


def fitted(
    contestant: Contestant, terms: Terms, folder: Folder, budget: float | None, watcher: Watcher
) -> tuple[Any, float]:
    """The fitted model, and the seconds that its fit took over all runs."""
    name, division = contestant.name, terms.division
    model = contestant.estimator
    found = folder.fitted(name) if contestant.ours else None
    if found is not None:
        return load(folder.model(name)), float(found["fit_seconds"])
    if not contestant.ours:
        watcher.stage(contestant.title, "fitting")
        start = perf_counter()
        learned = model.fit(write(division.training.memory, division.training.vectors))
        return (model if learned is None else learned), perf_counter() - start
    limits = [seconds(limit) for limit in (budget, model.max_time) if limit is not None]
    limit = folder.limit(name, min(limits) if limits else None)
    watcher.stage(contestant.title, "fitting", limit)
    checkpoint = folder.checkpoint(name)
    model.set_params(max_time=limit, checkpoint=checkpoint, resume=True)
    start = perf_counter()
    model.fit(division.training)
    taken = max(perf_counter() - start, float(model.training_record_.get("seconds") or 0.0))
    model.set_params(checkpoint=None, resume=False)
    model.save(folder.model(name))
    folder.keep_fit(name, {"fit_seconds": taken})
    return model, taken


def draw(model: Any, size: int, seed: int) -> Any:
    """`size` records; whoever takes a `random_state` gets one."""
    try:
        seeded = "random_state" in inspect.signature(model.sample).parameters
    except (TypeError, ValueError):
        seeded = False
    drawn = model.sample(size, random_state=seed) if seeded else model.sample(size)
    # scikit-learn's own density models return records with the component each came from.
    return drawn[0] if isinstance(drawn, tuple) else drawn


def likelihood_of(model: Any, contestant: Contestant, held_out: Source) -> tuple[Likelihood, str | None]:
    """The log-likelihood of held-out records, or the reason why there is none."""
    if model is None:
        return Likelihood("none"), "these records came without a model"
    if not contestant.ours or not hasattr(model, "log_likelihood"):
        return Likelihood("none"), f"{type(model).__name__} states no density"
    try:
        scores = model.log_likelihood(held_out)
    except NotSupported as error:
        return Likelihood("none"), str(error)
    mean = float(np.mean(scores.values))
    if not math.isfinite(mean):
        return Likelihood(scores.kind), "some held-out records have no probability under this model"
    spread = float(np.std(scores.values, ddof=1) / math.sqrt(len(scores))) if len(scores) > 1 else None
    return Likelihood(scores.kind, mean, spread, scores.base_measure), None


def borrowed_of(model: Any, contestant: Contestant, terms: Terms) -> tuple[Interval | None, str | None]:
    """The two-sample score of what a model borrows from another family, or the reason why there is none."""
    if not contestant.ours or model is None:
        return None, "what it borrows is not known"
    if not hasattr(model, "sample_borrowed"):
        return None, "it borrows nothing from another family"
    division = terms.division
    drawn = division.domain.read(model.sample_borrowed(terms.size, seed_for(division.seed, "borrowed")))
    held_out, seed = some(division.held_out, terms.rows, division.seed), seed_for(division.seed, "metrics")
    parts = ["two_sample"]
    panel = evaluate(drawn, division.training, held_out, division.features, seed=seed, parts=parts)
    return hardest(panel), panel.reasons.get("c2st_heldout")


def parameters(model: Any) -> int:
    return sum(part.numel() for part in model.family_.state_dict().values())


def failed(contestant: Contestant, error: BaseException, division: Division, taken: float) -> Outcome:
    """The row of a contestant that did not make it in `taken` seconds."""
    text = " ".join(str(error).split()) or type(error).__name__
    if not isinstance(error, DataError | NotSupported) and type(error).__module__ == "builtins":
        text = f"{type(error).__name__}: {text}" if str(error) else text
    return Outcome(
        Result(
            contestant.name,
            contestant.family,
            status="failed",
            reason=text[:500],
            fit_seconds=taken,
            settings=settings_of(contestant, division),
        )
    )


def settings_of(contestant: Contestant, division: Division) -> Mapping[str, str]:
    """What a contestant is made with, as texts: a row that was made with something else is not its own."""
    if contestant.samples is not None:
        source = division.domain.read(contestant.samples)
        digest = hashlib.sha256()
        for vector in source.vectors:
            digest.update(vector.data.tobytes() + vector.missing.tobytes() + repr(vector.levels).encode())
        return {"samples": digest.hexdigest()[:16]}
    kind = type(contestant.estimator)
    if contestant.family == EXTERNAL and not hasattr(contestant.estimator, "get_params"):
        return {"class": kind.__qualname__}
    parameters = contestant.estimator.get_params(deep=False)
    left_out = {*CIRCUMSTANCES, "max_time"} if contestant.ours else set()
    return {name: repr(value) for name, value in sorted(parameters.items()) if name not in left_out}
