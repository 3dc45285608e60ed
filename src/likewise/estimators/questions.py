"""Questions to a model that knows how probable each state of a column is: from the user's words and back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from likewise.domains.domain import Domain
from likewise.errors import DataError
from likewise.estimators.randomness import generator_from
from likewise.estimators.validation import check_positive, check_records
from likewise.events import Batch, Status
from likewise.families.family import Answering, Approximating, Family, Question

Array = np.ndarray[Any, np.dtype[np.float64]]


class Fitted(Protocol):
    """What questions are about: the fitted parts of an estimator."""

    domain_: Domain
    family_: Family


@dataclass(frozen=True)
class MostProbable:
    """What is jointly most probable in each row of evidence.

    Attributes
    ----------
    states : DataFrame
        A column for each target, a row for each row of evidence: the label of its state, as `states` gives them.
    log_probability : float64 (rows,)
        Of these states together, given the evidence, in nats.
    """

    states: pd.DataFrame
    log_probability: Array


def columns(model: Fitted) -> list[str]:
    """The names of the columns, and of the labels, that can be asked about."""
    return [entry.name for entry in model.domain_.event.all]


def entries(model: Fitted, names: str | Iterable[str] | None) -> list[int]:
    """The entries of columns by name, None for all; DataError where there is no such column."""
    every = columns(model)
    wanted = every if names is None else [names] if isinstance(names, str) else list(names)
    for name in wanted:
        if name not in every:
            shown = ", ".join(map(repr, every[:12])) + (" and more" if len(every) > 12 else "")
            raise DataError(f"There is no column {name!r} to ask about; there are {shown}.")
    if len(set(wanted)) < len(wanted):
        raise DataError(f"A target is named twice in {wanted!r}; name each once.")
    return [every.index(name) for name in wanted]


def labels(model: Fitted, entry: int) -> list[Any]:
    """What the states of an entry are called."""
    assert isinstance(model.family_, Answering)
    return model.domain_.labels_of(entry, model.family_.states(entry))


def texts_of(labels: Sequence[Any], missing: str = "") -> list[str]:
    """The labels of a column as a text each, an interval as `low..high`: as `--given` takes it on the command line.

    Ends of intervals have six digits, or as many more as it takes to tell them apart.

    Examples
    --------
    >>> texts_of([(None, 0.123456789), (0.123456789, None), None], "missing")
    ['..0.123457', '0.123457..', 'missing']
    >>> texts_of([(None, 1000000.25), (1000000.5, None)])
    ['..1000000.2', '1000000.5..']
    """
    ends = {end for label in labels if isinstance(label, tuple) for end in label if isinstance(end, float)}
    digits = next(digits for digits in range(6, 18) if len({f"{end:.{digits}g}" for end in ends}) == len(ends))

    def text(label: Any) -> str:
        if isinstance(label, tuple):
            parts = ("" if e is None else f"{e:.{digits}g}" if isinstance(e, float) else str(e) for e in label)
            return "..".join(parts)
        return missing if label is None else str(label)

    return [text(label) for label in labels]


def question(model: Fitted, given: Any, do: Mapping[str, Any] | None) -> Question:
    """What is known, from the user's words.

    In a mapping a column may be given as a mapping of its values to how well each agrees with what was noticed.
    """
    soft: dict[str, Mapping[Any, float]] = {}
    if given is None or isinstance(given, Mapping):
        soft = {str(name): part for name, part in (given or {}).items() if isinstance(part, Mapping)}
        batch = model.domain_.evidence({name: part for name, part in (given or {}).items() if str(name) not in soft})
    else:
        batch = model.domain_.evidence(model.domain_.read(check_records(given, model, fitted=True)))
    set_: list[int] = []
    if do:
        batch, set_ = _set(model, batch, do)
    weights = {entries(model, name)[0]: _likelihood(model, name, part, len(batch)) for name, part in soft.items()}
    return Question(batch, weights, tuple(set_))


def _set(model: Fitted, batch: Batch, do: Mapping[str, Any]) -> tuple[Batch, list[int]]:
    """The evidence with columns set to single values."""
    for name, part in do.items():
        if isinstance(part, Mapping | tuple | list | set):
            raise DataError(f"do={{{name!r}: ...}} sets a column to one value; {part!r} is none.")
    own = model.domain_.evidence(do)
    at = entries(model, [str(name) for name in do])
    for i, name in zip(at, do, strict=True):
        if int(own.status[0, i]) != Status.OBSERVED:
            raise DataError(f"do={{{name!r}: {do[name]!r}}} sets nothing: give the column a value.")
    parts = [part.clone() for part in (batch.codes, batch.values, batch.lower, batch.width, batch.status)]
    for part, other in zip(parts, (own.codes, own.values, own.lower, own.width, own.status), strict=True):
        part[:, at] = other[:, at].to(part.dtype)
    kept = {i: part for i, part in batch.restrictions.items() if i not in at}
    return Batch(parts[0], parts[1], parts[2], parts[3], parts[4], kept), at


def _likelihood(model: Fitted, name: str, said: Mapping[Any, float], rows: int) -> Tensor:
    entry = entries(model, name)[0]
    every = labels(model, entry)
    for label, weight in said.items():
        if label not in every:
            raise DataError(f"Column {name!r} has no state {label!r}; expected one of {every!r}.")
        if isinstance(weight, bool) or not isinstance(weight, int | float | np.number) or not 0 <= weight < np.inf:
            raise DataError(f"Column {name!r}: state {label!r} weighs {weight!r}; expected a number from 0 on.")
    weights = torch.tensor([float(said.get(label, 0.0)) for label in every], dtype=torch.float64)
    if not bool(weights.any()):
        raise DataError(f"Column {name!r}: no state has a weight above 0.")
    return weights.expand(rows, -1)


def posterior(model: Fitted, asked: Question, targets: Sequence[int]) -> list[Array]:
    """For each target the probabilities (rows, states) of its states."""
    assert isinstance(model.family_, Answering)
    with torch.inference_mode():
        return [part.cpu().numpy() for part in model.family_.posterior(asked, targets)]


def approximate_posterior(
    model: Fitted, asked: Question, targets: Sequence[int], method: Any, draws: int, random_state: Any
) -> list[Array]:
    """As `posterior`, by a method that is asked for by name."""
    family = model.family_
    if not isinstance(family, Approximating):
        raise DataError(f"method={method!r}; expected 'exact'.")
    if method not in family.approximations:
        raise DataError(f"method={method!r}; expected 'exact' or one of {', '.join(map(repr, family.approximations))}.")
    size, generator = check_positive("draws", draws), generator_from(random_state)
    with torch.inference_mode():
        found = family.approximate_posterior(asked, targets, method, size, generator)
    return [part.cpu().numpy() for part in found]


def most_probable(model: Fitted, asked: Question, targets: Sequence[int]) -> MostProbable:
    """The jointly most probable states of the targets."""
    assert isinstance(model.family_, Answering)
    with torch.inference_mode():
        states, logs = model.family_.most_probable(asked, targets)
    found = {}
    for k, i in enumerate(targets):
        names = np.empty(len(labels(model, i)), dtype=object)
        names[:] = labels(model, i)
        found[columns(model)[i]] = names[states[:, k].cpu().numpy()]
    return MostProbable(pd.DataFrame(found), logs.cpu().numpy())


# ------------------------------------------------------------------------------------------------------- explanations


def table(model: Fitted, target: str, asked: Question) -> pd.DataFrame:
    """The probability of each state of the target, and what it is where nothing is known."""
    (i,) = entries(model, target)
    _one_row(asked)
    nothing = Question(model.domain_.evidence({}))
    now, before = (posterior(model, part, [i])[0][0] for part in (asked, nothing))
    index = pd.Index(labels(model, i), name=target, dtype=object, tupleize_cols=False)
    return pd.DataFrame({"probability": now, "without evidence": before}, index=index)


def value_of_information(model: Fitted, target: str, asked: Question, names: Iterable[str] | None) -> pd.DataFrame:
    """By how many bits each column that is not yet known would change the answer, on average over what it may be.

    The mutual information of target and column given the evidence (Howard 1966; Lindley 1956).
    """
    (i,) = entries(model, target)
    _one_row(asked)
    known = {k for k in range(len(columns(model))) if int(asked.evidence.status[0, k]) == Status.OBSERVED}
    wanted = [k for k in entries(model, names) if k != i and k not in known]
    found = []
    if wanted:
        now = dict(zip([i, *wanted], posterior(model, asked, [i, *wanted]), strict=True))
        found = [float(dependence(model, asked, k, [i], now)[0]) for k in wanted]
    names_ = [columns(model)[k] for k in wanted]
    told = pd.DataFrame({"bits": found}, index=pd.Index(names_, name="column", dtype=object))
    return told.sort_values("bits", ascending=False, kind="stable")


def dependence(model: Fitted, asked: Question, entry: int, others: Sequence[int], now: Mapping[int, Array]) -> Array:
    """The mutual information of an entry with each of the others given one row of evidence, in bits.

    sum_s p(s) KL(p(other | s) || p(other)) over the states s of the entry: how many bits it tells about the other, on
    average over what it may be. `now` has the distributions (1, states) of all of them under the evidence.
    """
    chance = now[entry][0]
    at = np.flatnonzero(chance > 0)
    each = torch.eye(len(chance), dtype=torch.float64)[torch.from_numpy(at)]
    rows = asked.evidence.rows(torch.zeros(len(at), dtype=torch.int64))
    soft = {k: part.expand(len(at), -1) for k, part in asked.likelihoods.items()}
    soft[entry] = each * soft[entry] if entry in soft else each
    then = posterior(model, Question(rows, soft, asked.set_from_outside), others)
    return np.array([chance[at] @ _bits(part, now[k][0]) for k, part in zip(others, then, strict=True)])


def explanation(model: Fitted, target: str, asked: Question) -> pd.DataFrame:
    """How far the answer about the target moves without each piece of the evidence, and by it alone."""
    (i,) = entries(model, target)
    _one_row(asked)
    status = asked.evidence.status[0]
    pieces = [k for k in range(len(status)) if int(status[k]) != Status.UNKNOWN or k in asked.likelihoods]
    pieces = [k for k in pieces if k != i]
    now = posterior(model, asked, [i])[0][0]
    before = posterior(model, Question(model.domain_.evidence({})), [i])[0][0]
    top = int(now.argmax())
    rows = []
    for k in pieces:
        rest = _without(asked, [k])
        alone = _without(asked, [j for j in pieces if j != k])
        left, own = (posterior(model, part, [i])[0][0] for part in (rest, alone))
        rows.append([float(_bits(now[None], left)[0]), now[top] - left[top], own[top] - before[top]])
    index = pd.Index([columns(model)[k] for k in pieces], name="evidence", dtype=object)
    named = f"{target} = {labels(model, i)[top]}"
    told = pd.DataFrame(rows, index=index, columns=["bits", f"adds to {named}", "adds alone"])
    return told.sort_values("bits", ascending=False, kind="stable")


def _without(asked: Question, hidden: Sequence[int]) -> Question:
    """The question with entries unknown."""
    kept = {k: part for k, part in asked.likelihoods.items() if k not in hidden}
    return Question(asked.evidence.hide(hidden), kept, tuple(k for k in asked.set_from_outside if k not in hidden))


def _bits(now: Array, before: Array) -> Array:
    """The divergence of each row from `before`, in bits (Kullback and Leibler 1951)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(now > 0, now * np.log2(now / before), 0.0)
    total: Array = terms.sum(-1)
    return total


def _one_row(asked: Question) -> None:
    if len(asked.evidence) != 1:
        raise DataError(f"This question is about one row of evidence; there are {len(asked.evidence)}.")
