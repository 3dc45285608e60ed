"""What a board tells of a Bayesian network: columns by themselves, and what parents tell about children."""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from likewise.board.report.data import Floats, Network, NetworkDrawing
from likewise.domains.table.table import CONSTANTS
from likewise.errors import NotSupported
from likewise.estimators import questions
from likewise.estimators.generative import Generative
from likewise.events import Entry, Real, State, Value
from likewise.families.family import Answering, Question

NODES = 100
"""A graph of more nodes is not drawn."""

STATES = 8
"""States of a node that are told apart, at most."""

ATOMS = 3
"""Single values of a number that are told apart from its intervals, at most, where there are many states."""

Labelled = list[tuple[str, float]]
Place = tuple[float, float]


def network_of(model: Any) -> Network | None:
    """The drawing of a model's graph, or why there is none; None where the model is no Bayesian network."""
    if not isinstance(model, Generative) or not (hasattr(model, "edges_") and hasattr(model, "posterior")):
        return None
    used = {name for edge in model.edges_ for name in edge}
    names = [name for name in questions.columns(model) if name != CONSTANTS or name in used]
    if len(names) > NODES:
        edges = f"{len(model.edges_)} edge{'' if len(model.edges_) == 1 else 's'}"
        reason = f"{len(names)} nodes and {edges}: graphs of more than {NODES} nodes are not drawn."
        return Network(reason=reason)
    place = {name: node for node, name in enumerate(names)}
    joined = tuple((place[parent], place[child]) for parent, child in model.edges_)
    at = questions.entries(model, names)
    nothing = Question(model.domain_.evidence({}))
    try:
        chances = dict(zip(at, questions.posterior(model, nothing, at), strict=True))
        strengths = _strengths(model, nothing, [(at[parent], at[child]) for parent, child in joined], chances)
    except NotSupported as error:
        without = ((),) * len(names)
        reason = f"How probable states are, and how much edges tell, is not shown: {error}"
        return Network(NetworkDrawing(tuple(names), joined, None, without, without), reason)
    states = [drawn_states(model, entry, chances[entry][0]) for entry in at]
    return Network(
        NetworkDrawing(
            tuple(names),
            joined,
            tuple(strengths),
            tuple(tuple(label for label, _ in one) for one in states),
            tuple(tuple(share for _, share in one) for one in states),
        )
    )


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
