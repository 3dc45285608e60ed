"""What the hidden states of a Bayesian network stand for, in the user's words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch

from likewise.errors import DataError
from likewise.estimators.questions import columns, entries
from likewise.estimators.validation import check_positive
from likewise.events import State
from likewise.families.bayesian_network.family import BayesianNetworkFamily

if TYPE_CHECKING:
    from likewise.estimators.generative import Generative

LEVELS = (0.1, 0.5, 0.9)
"""Of the quantiles that are told of numbers: the central 80% and the median."""


def behind(model: Generative, tree: int = 0) -> str:
    """The column at the root of a tree."""
    assert isinstance(model.family_, BayesianNetworkFamily)
    return columns(model)[model.family_.hidden_states(None, tree).node]


def table(model: Generative, column: str | None, top: int | None, tree: int) -> pd.DataFrame:
    """See `BayesianNetwork.hidden_states`."""
    family = model.family_
    assert isinstance(family, BayesianNetworkFamily)
    count = None if top is None else check_positive("top", top)
    number = check_positive("tree", tree, zero=True)
    if 0 < family.trees <= number:
        raise DataError(f"tree={tree!r}; the model has {family.trees}, numbered from 0.")
    with torch.inference_mode():
        found = family.hidden_states(None if column is None else entries(model, column)[0], number)
        best = found.shares.argsort(descending=True, stable=True)[:count]
        rows: list[dict[str, Any]] = []
        # Of a single state there is nothing to tell.
        told = [i for i, overall in enumerate(found.overall) if len(overall) > 1]
        parts = {i: _typical(model, i, found.columns[i][best]) for i in told}
        bits = {i: found.bits(i)[best].tolist() for i in told}
    for row, (state, share) in enumerate(zip(best.tolist(), found.shares[best].tolist(), strict=True)):
        for i in sorted(told, key=lambda i: -bits[i][row]):
            named = {"state": state, "probability": share, "column": columns(model)[i]}
            rows.append({**named, **parts[i][row], "bits": bits[i][row]})
    kinds: dict[str, Any] = {"state": np.int64, "probability": float, "column": object, "typical": object}
    kinds |= {"share": float, "low": object, "high": object, "bits": float}
    return pd.DataFrame({name: pd.Series([row[name] for row in rows], dtype=kind) for name, kind in kinds.items()})


def _typical(model: Generative, entry: int, shares: torch.Tensor) -> list[dict[str, Any]]:
    """For each distribution (n, states) of an entry its typical value, how probable that is, and the ends around it."""
    family = model.family_
    assert isinstance(family, BayesianNetworkFamily)
    states, likeliest = family.states(entry), shares.argmax(1).tolist()
    blank = model.domain_.event.all[entry].missing
    missing = [k for k, state in enumerate(states) if state.code == blank]
    quantiles = family.typical_values(entry, shares, LEVELS)
    found = []
    for row, place in enumerate(likeliest):
        # Numbers have many states: that they are missing is typical where it is so of most records.
        if quantiles is not None and not (missing and float(shares[row, missing[0]]) > 0.5):
            low, typical, high = (_value(model, entry, state) for state in quantiles[row])
            share = float("nan")
        else:
            place = place if quantiles is None else missing[0]
            (typical,) = model.domain_.labels_of(entry, [states[place]])
            low, high, share = None, None, float(shares[row, place])
        found.append({"typical": typical, "share": share, "low": low, "high": high})
    return found


def _value(model: Generative, entry: int, state: State) -> Any:
    """A value in the user's units."""
    (label,) = model.domain_.labels_of(entry, [state])
    return label[0] if isinstance(label, tuple) else label
