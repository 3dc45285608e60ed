"""What the report says in sentences of its own."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING

from markupsafe import Markup, escape

from likewise.board.report.data import ModelReport, ReportData
from likewise.board.report.measures import plain, value_of
from likewise.tasks.latent_wording import beside

if TYPE_CHECKING:
    from likewise.tasks.representation import LatentReport

REFERENCE_NAMES = {
    "real": "Fresh real records",
    "independent": "Independent columns",
    "copy": "Copy of the training set",
}

KINDS = {
    "exact": "exact",
    "bound": "a lower bound: the true figure is at least this",
    "estimate": "an estimate",
    "unnormalised": "without its constant: not comparable with others",
}

STOPPED = {
    "max_steps": "ended after the steps it was given",
    "max_time": "ended after the time it was given",
    "plateau": "ended when held-out records no longer improved",
    "worsening": "ended when held-out records became worse",
}


def title_of(model: ModelReport) -> str:
    """The name under which a row is shown."""
    if model.row.get("family") == "reference":
        return REFERENCE_NAMES.get(model.name, model.name)
    return model.name


def sentence(text: str) -> str:
    """A text that begins with a capital letter.

    Examples
    --------
    >>> sentence("hard to tell from real")
    'Hard to tell from real'
    """
    return text[:1].upper() + text[1:]


def soft(name: str) -> Markup:
    """A name that may be broken where its parts meet.

    Examples
    --------
    >>> print(soft("bill_length_mm"), soft("BayesianNetwork"))
    bill_<wbr>length_<wbr>mm Bayesian<wbr>Network
    """
    return Markup(re.sub(r"(?<=[_./-])(?=.)|(?<=[a-z])(?=[A-Z])", "<wbr>", str(escape(name))))


def same(one: str, other: str) -> bool:
    """Whether two names differ only in how they are written.

    Examples
    --------
    >>> same("bayesian_network", "BayesianNetwork")
    True
    """
    first, second = ("".join(letter for letter in text.lower() if letter.isalnum()) for text in (one, other))
    return first == second


def date(text: str) -> str:
    """An ISO date and time for people to read; another text as it is.

    Examples
    --------
    >>> date("2026-11-21T10:05:00+00:00")
    '2026-11-21, 10:05'
    """
    try:
        return f"{datetime.fromisoformat(text):%Y-%m-%d, %H:%M}"
    except ValueError:
        return text


def lead(data: ReportData) -> str:
    """The finding in a sentence or two."""
    ranked = [model for model in data.models if value_of(model.row, "score") is not None]
    if not ranked:
        return "No model finished."
    best = ranked[0]
    text = f"{best.name} comes first with a score of {_score(best)}"
    near = [model.name for model in ranked[1:] if _reaches(model, best)]
    if near:
        names = near[0] if len(near) == 1 else f"{', '.join(near[:-1])} and {near[-1]}"
        text += f", within the reach of {names}"
    references = {model.name: model for model in data.references if value_of(model.row, "score") is not None}
    if {"real", "independent"} <= references.keys():
        real, independent = references["real"], references["independent"]
        text += f"; fresh real records would have {_score(real)}, independent columns {_score(independent)}"
        if _reaches(independent, best):
            return f"{text}. So few records hardly tell models from independent columns."
    return f"{text}."


def finding(report: LatentReport) -> str:
    """What is to be said of a latent space before it is shown."""
    size, active, distance = len(report.coordinates), report.active, report.prior_distance
    are = f"all {size}" if active == size else f"{active} of {size}"
    better = sum(one.gain.low > 0 for one in report.probes)
    worse = sum(one.gain.high < 0 for one in report.probes)
    return (
        f"{sentence(are)} latents are active. The energy distance of encoded records to the prior is "
        f"{plain(distance.value)} ({plain(distance.low)} to {plain(distance.high)}; 0 where they are alike). Linear "
        f"models read {better} of {len(report.probes)} columns surely better from latents than from {beside(report)}; "
        f"{worse} surely worse."
    )


def _score(model: ModelReport) -> str:
    return plain(model.row["score"])


def _reaches(model: ModelReport, best: ModelReport) -> bool:
    """Whether a model's interval overlaps that of the best."""
    low, high = value_of(best.row, "score_low"), value_of(model.row, "score_high")
    return low is not None and high is not None and high >= low
