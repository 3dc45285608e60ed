"""One fitted model, judged as a row of a board is."""

from __future__ import annotations

from typing import Any

import numpy as np

from likewise.board import leaderboard
from likewise.board.contestants import Contestant
from likewise.board.division import divide
from likewise.board.references import REFERENCES, reference
from likewise.board.results import Result
from likewise.board.seeds import seed_for
from likewise.board.trial import Terms, borrowed_of, draw, likelihood_of, measure, parameters, some, try_reference
from likewise.domains.table import Table
from likewise.domains.table.sources import Source
from likewise.estimators.generative import Generative
from likewise.metrics.features import Features
from likewise.metrics.interval import Interval
from likewise.metrics.panel import Panel, evaluate
from likewise.metrics.support import Support, support

UNKNOWN = "what the model was trained on is not known"


def evaluate_model(
    model: Generative,
    records: Any,
    *,
    held_out: Any = None,
    name: str,
    path: str | None = None,
    target: str | None = None,
    seed: int = 0,
    max_rows: int,
) -> dict[str, Any]:
    """The row of a model.

    Parameters
    ----------
    model : Generative, fitted
    records : records
        What it was trained on, where `held_out` is given; else records that it has not seen, and there is no score,
        since copies cannot be told from new records.
    held_out : records, a share of `records`, or None
    """
    if held_out is None:
        result = _without_training(model, records, name, target, seed, max_rows)
        row = leaderboard.board([result])[0]
        row["reasons"]["score"] = f"{UNKNOWN}, and copies of it would look perfect"
        unknown = dict.fromkeys(("rank", "score", "score_low", "score_high", "fresh"))
        return {**row, **unknown, "path": path}
    division = divide(records, held_out, seed, _unfitted(model))
    terms = Terms(division, target, max_rows)
    generated = division.domain.read(draw(model, terms.size, seed_for(seed, "sample", name)))
    panel, found = measure(terms, generated, division.held_out)
    contestant = Contestant(name, model.family_name, model)
    borrowed = borrowed_of(model, contestant, terms)
    result = _result(contestant, panel, found, borrowed, division.held_out, len(generated))
    beside = [try_reference(reference(one, division, terms.size), terms).result for one in REFERENCES]
    row = leaderboard.board([result, *beside])[0]
    return {**row, "rank": None, "path": path}


def _without_training(
    model: Generative, records: Any, name: str, target: str | None, seed: int, max_rows: int
) -> Result:
    """What can be said of a model beside records that it has not seen, and no others."""
    domain = model.domain_
    assert isinstance(domain, Table)
    held_out = some(domain.read(records), max_rows, seed)
    domain.encode(held_out)
    features = Features(domain, held_out)
    generated = domain.read(draw(model, len(held_out), seed_for(seed, "sample", name)))
    panel = evaluate(generated, None, held_out, features, target=target, seed=seed_for(seed, "metrics"))
    middle = len(held_out) // 2
    order = np.random.default_rng(seed_for(seed, "halves")).permutation(len(held_out))
    halves = held_out.rows(order[middle:]), held_out.rows(order[:middle])
    found = support(generated, *halves, features, seed=seed_for(seed, "metrics"))
    contestant = Contestant(name, model.family_name, model)
    return _result(contestant, panel, found, (None, UNKNOWN), held_out, len(generated))


def _result(
    contestant: Contestant,
    panel: Panel,
    found: Support,
    borrowed: tuple[Interval | None, str | None],
    held_out: Source,
    drawn: int,
) -> Result:
    """What was measured, and the likelihood; `borrowed` is a figure, or the reason why there is none."""
    model = contestant.estimator
    likelihood, no_likelihood = likelihood_of(model, contestant, held_out)
    borrowed_score, no_borrowed_score = borrowed
    reasons = {
        "sample_seconds": "it was not timed",
        "rank": "one model by itself has no rank",
        "log_likelihood": no_likelihood,
        "borrowed_score": no_borrowed_score,
    }
    return Result(
        contestant.name,
        contestant.family,
        panel=panel,
        support=found,
        likelihood=likelihood,
        borrowed=borrowed_score,
        reasons={figure: why for figure, why in reasons.items() if why is not None},
        fit_seconds=model.training_record_.get("seconds"),
        parameters=parameters(model),
        drawn=drawn,
        training=dict(model.training_record_),
    )


def _unfitted(model: Generative) -> Table:
    """A domain that reads as the model's does."""
    assert isinstance(model.domain_, Table)
    return Table(names=model.domain_.names, missing_markers=model.domain_.missing_markers)
