"""What a board tells of a Bayesian network: columns by themselves, what parents tell about children, hidden states."""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from pandas import DataFrame

from likewise.board.report.cells import number, percent
from likewise.board.report.data import Floats, HiddenState, HiddenStates, Network, NetworkDrawing
from likewise.board.seeds import seed_for
from likewise.board.trial import some
from likewise.domains.table.sources import Source
from likewise.domains.table.table import CONSTANTS
from likewise.errors import NotSupported
from likewise.estimators import hidden_states, questions
from likewise.estimators.bayesian_network import BayesianNetwork
from likewise.estimators.generative import Generative
from likewise.events import Entry, Real, State, Value
from likewise.families.bayesian_network.family import BayesianNetworkFamily
from likewise.families.family import Answering, Question

NODES = 100
"""A graph of more nodes is not drawn."""

STATES = 8
"""States of a node that are told apart, at most."""

ATOMS = 3
"""Single values of a number that are told apart from its intervals, at most, where there are many states."""

RESAMPLES = 50
"""Bootstrap samples that say how sure edges are."""

RECORDS = 2_000
"""Training records that these are drawn from, at most."""

SEARCHED = 30
"""Of networks with more columns no bootstrap sample is drawn: each is a search."""

HIDDEN = 6
"""Hidden states that are told of."""

FACTS = 5
"""Columns that are told of each."""

TELLING = 0.1
"""Bits by which a hidden state moves a column of which something is told."""

Labelled = list[tuple[str, float]]
Place = tuple[float, float]


def network_of(model: Any, training: Source | None = None, seed: int = 0) -> Network | None:
    """The drawing of a model's graph, or why there is none; None where the model is no Bayesian network.

    With training records, how often the search that found the graph finds each edge in records drawn anew. A graph of
    structure="ordered" is not searched for but grown in trees, which takes too long to be repeated: there it is the
    search that finds the order of the columns.
    """
    if not isinstance(model, BayesianNetwork):
        return None
    family, hidden = model.family_, hidden_of(model)
    assert isinstance(family, BayesianNetworkFamily)
    # In a tree of hidden states every column hangs somewhere, constants as well.
    used = {name for edge in model.edges_ for name in (edge if hidden is None else edge[:1])}
    names = [name for name in questions.columns(model) if name != CONSTANTS or name in used]
    if len(names) > NODES:
        edges = f"{len(model.edges_)} edge{'' if len(model.edges_) == 1 else 's'}"
        reason = f"{len(names)} nodes and {edges}: graphs of more than {NODES} nodes are not drawn."
        return Network(reason=reason, hidden=hidden)
    place = {name: node for node, name in enumerate(names)}
    joined = tuple((place[parent], place[child]) for parent, child in model.edges_ if child in place)
    at = questions.entries(model, names)
    nothing = Question(model.domain_.evidence({}))
    try:
        chances = dict(zip(at, questions.posterior(model, nothing, at), strict=True))
        strengths = _strengths(model, nothing, [(at[parent], at[child]) for parent, child in joined], chances)
    except NotSupported as error:
        without = ((),) * len(names)
        reason = f"How probable states are, and how much edges tell, is not shown: {error}"
        return Network(NetworkDrawing(tuple(names), joined, None, without, without, hidden is None), reason, hidden)
    states = [drawn_states(model, entry, chances[entry][0]) for entry in at]
    found = None if hidden is not None or training is None else found_again(model, names, joined, training, seed)
    drawing = NetworkDrawing(
        tuple(names),
        joined,
        tuple(strengths),
        tuple(tuple(label for label, _ in one) for one in states),
        tuple(tuple(share for _, share in one) for one in states),
        hidden is None,
        found,
        0 if found is None else RESAMPLES,
        "" if found is None or family.structure == family.search else family.search,
    )
    return Network(drawing, hidden=hidden)


def _strengths(
    model: Generative, nothing: Question, edges: Sequence[tuple[int, int]], chances: Mapping[int, Floats]
) -> list[float]:
    """What each parent tells about each child, in bits; one question a parent."""
    children: dict[int, list[int]] = {}
    for parent, child in edges:
        children.setdefault(parent, []).append(child)
    told = {
        (parent, child): max(float(bits), 0.0)
        for parent, own in children.items()
        for child, bits in zip(own, questions.dependence(model, nothing, parent, own, chances), strict=True)
    }
    return [told[edge] for edge in edges]


def found_again(
    model: BayesianNetwork, names: Sequence[str], edges: Sequence[tuple[int, int]], training: Source, seed: int
) -> tuple[tuple[float, float], ...] | None:
    """Of each edge the share of bootstrap samples in which its columns were joined, and how often this way.

    None where the graph was given by hand, where it is too large to be searched for again and again, and where models
    cannot tell.
    """
    confidence, family = getattr(model, "edge_confidence", None), model.family_
    assert isinstance(family, BayesianNetworkFamily)
    if confidence is None or family.structure == "edges" or not edges or len(names) > SEARCHED:
        return None
    records, seed = some(training, RECORDS, seed), seed_for(seed, "bootstrap")
    try:
        return confidences(confidence(records, resamples=RESAMPLES, random_state=seed), names, edges)
    except NotSupported:
        return None


def confidences(
    table: DataFrame, names: Sequence[str], edges: Sequence[tuple[int, int]]
) -> tuple[tuple[float, float], ...]:
    """`strength` and `direction` of each edge (parent, child) in a table of edges `from`, `to`; 0 of those not there.

    Examples
    --------
    >>> table = DataFrame({"from": ["a"], "to": ["b"], "strength": [0.9], "direction": [0.8]})
    >>> confidences(table, ["a", "b", "c"], [(0, 1), (2, 1)])
    ((0.9, 0.8), (0.0, 0.0))
    """
    rows = zip(table["from"], table["to"], table["strength"], table["direction"], strict=True)
    known = {(parent, child): (float(strength), float(way)) for parent, child, strength, way in rows}
    return tuple(known.get((names[parent], names[child]), (0.0, 0.0)) for parent, child in edges)


# ------------------------------------------------------------------------------------------------------- hidden states


def hidden_of(model: BayesianNetwork) -> HiddenStates | None:
    """The most probable hidden states at the root of the first tree, in words; None where there are none."""
    family = model.family_
    assert isinstance(family, BayesianNetworkFamily)
    if not family.trees:
        return None
    told = []
    for _, rows in model.hidden_states(top=HIDDEN).groupby("state", sort=False):
        facts = rows[(rows["bits"] >= TELLING) | (rows["bits"] == rows["bits"].max())][:FACTS]
        words = tuple(_fact(*row) for row in zip(*(facts[part] for part in _FACT), strict=True))
        told.append(HiddenState(float(rows["probability"].iloc[0]), words))
    return HiddenStates(hidden_states.behind(model), family.hidden, family.trees, family.weights[0], tuple(told))


_FACT = ("column", "typical", "share", "low", "high")


def _fact(column: str, typical: Any, share: float, low: Any, high: Any) -> tuple[str, str, str]:
    """A column, its typical value, and how probable that is or between which values most lie."""
    if not math.isnan(share):
        return column, _said(typical) if not isinstance(typical, tuple) else _span(typical, 2, True), percent(share)
    return column, _short(typical), f"{_short(low)} to {_short(high)}"


def _short(label: Any) -> str:
    """A value in words, a fraction with as many digits as tell something."""
    return number(float(label)) if _is_number(label) and not float(label).is_integer() else _said(label)


# -------------------------------------------------------------------------------------------------------------- states


def drawn_states(model: Generative, entry: int, chances: Floats) -> Labelled:
    """At most 8 states of an entry with their probabilities, in words.

    Neighbouring intervals of a number become few that are about equally probable; *missing* and its most probable
    single values stay apart. Of categories the most probable stay.
    """
    assert isinstance(model.family_, Answering)
    own, states = model.domain_.event.all[entry], model.family_.states(entry)
    labels, places = questions.labels(model, entry), [_place(own, state) for state in states]
    if own.value is None and not all(label is None or _is_number(label) for label in labels):
        return _categories(labels, chances)
    if own.value is None:
        places = [None if label is None else (label, label) for label in labels]
    return _numbers(labels, chances, places, own.value)


def _place(own: Entry, state: State) -> Place | None:
    """Where a state begins and ends, in model units; None for those that are no numbers."""
    if state.low is not None and state.high is not None:
        return state.low, state.high
    z = own.coordinates[state.code] if own.coordinates else None
    return None if z is None else (z, z)


def _categories(labels: Sequence[Any], chances: Floats) -> Labelled:
    """The most probable in their order, and the others together."""
    kept = set(range(len(labels)))
    if len(labels) > STATES:
        kept = set(np.argsort(-chances, kind="stable")[: STATES - 1].tolist())
    told = [(_said(labels[k]), float(chances[k])) for k in sorted(kept)]
    others = sorted(set(range(len(labels))) - kept)
    return [*told, (f"{len(others)} others", float(chances[others].sum()))] if others else told


def _numbers(labels: Sequence[Any], chances: Floats, places: Sequence[Place | None], value: Value | None) -> Labelled:
    """Intervals, then the most probable single values, then what is no number.

    Other single values belong to the intervals in which they lie.
    """
    among = {k: place for k, place in enumerate(places) if place is not None}
    apart = [k for k in range(len(labels)) if k not in among]
    single = [] if value is None else [k for k, (low, high) in among.items() if low == high]
    bins = sorted(among.keys() - set(single), key=lambda k: among[k])
    shares = chances[bins]
    if len(labels) > STATES:
        single.sort(key=lambda k: -chances[k])
        for k in single[ATOMS:]:
            shares[max(bisect_right(bins, among[k][0], key=lambda b: among[b][0]) - 1, 0)] += chances[k]
        single = sorted(single[:ATOMS])
    runs = evenly(shares, max(STATES - len(single) - len(apart), 1))
    spans = [(_end(labels[bins[run[0]]], 0), _end(labels[bins[run[-1]]], 1)) for run in runs]
    digits = _digits([end for span in spans for end in span])
    words = [_span(span, digits, closed=not isinstance(value, Real)) for span in spans]
    told = [(word, float(shares[run].sum())) for word, run in zip(words, runs, strict=True)]
    return told + [(_said(labels[k]), float(chances[k])) for k in (*single, *apart)]


def evenly(chances: Any, groups: int) -> list[range]:
    """Neighbours in at most so many groups that are as equally probable as can be: of the least sum of squares.

    Examples
    --------
    >>> evenly([0.1, 0.1, 0.2, 0.4, 0.1, 0.1], 3)
    [range(0, 3), range(3, 4), range(4, 6)]
    """
    below = np.concatenate([[0.0], np.cumsum(chances)])
    size = len(below) - 1
    if not size:
        return []
    # The cost of a group of the states from `low` to before `high`.
    apart = np.square(below[None, :] - below[:, None])
    apart[np.tril_indices(size + 1)] = np.inf
    best, starts = apart[0], []
    for _ in range(min(groups, size) - 1):
        totals = best[:, None] + apart
        starts.append(totals.argmin(0))
        best = totals.min(0)
    ends = [size]
    for start in reversed(starts):
        ends.append(int(start[ends[-1]]))
    return [range(low, high) for low, high in zip([0, *ends[:0:-1]], ends[::-1], strict=True)]


# --------------------------------------------------------------------------------------------------------------- words


def _is_number(label: Any) -> bool:
    return isinstance(label, int | float | np.number) and not isinstance(label, bool | np.bool_)


def _end(label: Any, side: int) -> Any:
    """The low or the high end of an interval, or a single value."""
    return label[side] if isinstance(label, tuple) else label


def _span(span: tuple[Any, Any], digits: int, closed: bool) -> str:
    """An interval in words; `closed` where its ends belong to it."""
    low, high = (None if end is None else _said(end, digits) for end in span)
    if low is None:
        return "any" if high is None else f"{'up to' if closed else 'under'} {high}"
    if high is None:
        return f"from {low}" if closed else f"over {low}"
    return low if low == high else f"{low} to {high}"


def _digits(ends: Sequence[Any]) -> int:
    """Decimals by which different ends look different."""
    numbers = sorted({float(end) for end in ends if _is_number(end)})
    gaps = np.diff(numbers)
    # A gap of 0.01 may come out a little smaller.
    return max(0, -math.floor(math.log10(gaps.min()) + 1e-6)) if len(gaps) else 2


def _said(label: Any, digits: int | None = None) -> str:
    """A value in words."""
    if label is None:
        return "missing"
    if not _is_number(label):
        # Moments to the minute, and days without a time.
        return re.sub(r"^(\d+-\d\d-\d\d)T(\d\d:\d\d)[:.\d]*$", r"\1 \2", str(label)).removesuffix(" 00:00")
    if not digits and float(label).is_integer() and abs(label) < 1e9:
        text = f"{int(label):,}" if abs(label) >= 10_000 else str(int(label))
    elif digits is None or digits > 5 or abs(label) >= 1e9:
        text = f"{label:.5g}"
    else:
        text = f"{label:,.{digits}f}"
    return text.replace("-", "−")
