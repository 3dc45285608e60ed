"""Whether generated records can stand in for real ones to learn from: train on synthetic, test on real."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from likewise.metrics.features import Column
from likewise.metrics.interval import Interval, NoFigure, blocks, jackknife
from likewise.metrics.two_sample import area

Array = np.ndarray[Any, np.dtype[Any]]

FEW = 10
"""The most levels of a column that is predicted by default."""

ROUNDS = 100
"""Trees that predict a number or a class, each made for what the ones before it get wrong."""

LEAF, LEAVES = 20, 20
"""Records that a leaf must have, at most, and leaves that as many records as there are could then fill, at least."""


@dataclass(frozen=True)
class Utility:
    """How well trees predict a column of held-out records.

    Attributes
    ----------
    measure : "AUC" (macro, one against the rest) or "R2"
    generated, real : Interval
        Of trees trained on generated and on real records; over held-out records, the trees as they are.
    """

    target: str
    measure: str
    generated: Interval
    real: Interval


def default_target(columns: Sequence[Column]) -> str | None:
    """The last category of 2 to 10 levels among the columns, else the last number that varies, else None.

    Examples
    --------
    >>> default_target([Column("k", "category", np.array([0, 1]), ("a", "b")), Column("x", "number", np.ones(2))])
    'k'
    """
    for column in reversed(columns):
        if column.kind == "category" and 2 <= len(np.unique(column.values[~column.missing])) <= FEW:
            return column.name
    for column in reversed(columns):
        if column.kind == "number" and len(np.unique(column.values[~column.missing])) > 1:
            return column.name
    return None


def utility(
    generated: tuple[Array, Column],
    training: tuple[Array, Column],
    held_out: tuple[Array, Column],
    seed: int = 0,
) -> Utility:
    """Trees trained on generated and on equally many training records, both tested on held-out ones.

    Parameters
    ----------
    generated, training, held_out : (float array (n, d), Column)
        Features without the target (see `Features.flat`), and the target; records in which it is blank do not count.

    Raises
    ------
    NoFigure
        Where the held-out target, or that of training, does not vary.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> def part(sign):
    ...     x = rng.normal(size=(300, 1))
    ...     return x, Column("k", "category", (sign * x[:, 0] > 0).astype(int), ("no", "yes"))
    >>> found = utility(part(-1), part(1), part(1))
    >>> found.measure, found.generated.value < 0.1, found.real.value > 0.9
    ('AUC', True, True)
    """
    target = held_out[1]
    known = [(x[~y.missing], y.values[~y.missing]) for x, y in (generated, training, held_out)]
    size = min(len(known[0][1]), len(known[1][1]))
    rng = np.random.default_rng(seed)
    parts = [rng.permutation(len(y))[:size] for _, y in known[:2]]
    made, real = ((x[part], y[part]) for (x, y), part in zip(known[:2], parts, strict=True))
    test = known[2]
    if any(len(np.unique(y)) < 2 for y in (real[1], test[1])):
        raise NoFigure(f"the target {target.name!r} does not vary")
    figures = [_figure(part, test, target.kind == "category", seed) for part in (made, real)]
    return Utility(target.name, "AUC" if target.kind == "category" else "R2", *figures)


def _figure(part: tuple[Array, Array], test: tuple[Array, Array], classes: bool, seed: int) -> Interval:
    score = _Areas(part, test, seed) if classes else _Determination(part, test, seed)
    group = blocks(len(test[1]), seed)
    every = np.ones(len(test[1]), bool)
    without = np.array([score(group != k) for k in np.unique(group)])
    return jackknife(score(every), without, high=1.0)


def _settings(size: int, seed: int) -> dict[str, Any]:
    """Of trees that can split few records too."""
    leaf = max(1, min(LEAF, size // LEAVES))
    return {"max_iter": ROUNDS, "min_samples_leaf": leaf, "early_stopping": False, "random_state": seed}


class _Areas:
    """Macro AUC, one against the rest, of the classes that the held-out records have."""

    def __init__(self, part: tuple[Array, Array], test: tuple[Array, Array], seed: int) -> None:
        self._truth = test[1]
        self._classes = np.unique(test[1])
        self._scores = np.zeros((len(test[1]), len(self._classes)))
        if len(np.unique(part[1])) < 2:
            return  # trees that have seen one class rank nothing: 1/2
        trees = HistGradientBoostingClassifier(**_settings(len(part[1]), seed)).fit(*part)
        of_class = {label: k for k, label in enumerate(trees.classes_.tolist())}
        probabilities = trees.predict_proba(test[0])
        for k, label in enumerate(self._classes.tolist()):
            if label in of_class:
                self._scores[:, k] = probabilities[:, of_class[label]]

    def __call__(self, rows: Array) -> float:
        truth, areas = self._truth[rows], []
        for k, label in enumerate(self._classes):
            positive = truth == label
            if positive.any() and not positive.all():
                areas.append(area(self._scores[rows, k], positive))
        return float(np.mean(areas)) if areas else 0.5


class _Determination:
    """The coefficient of determination, R2."""

    def __init__(self, part: tuple[Array, Array], test: tuple[Array, Array], seed: int) -> None:
        self._truth = test[1]
        trees = HistGradientBoostingRegressor(**_settings(len(part[1]), seed)).fit(*part)
        self._predicted = trees.predict(test[0])

    def __call__(self, rows: Array) -> float:
        truth, residual = self._truth[rows], (self._truth - self._predicted)[rows]
        spread = ((truth - truth.mean()) ** 2).sum()
        return float(1.0 - (residual**2).sum() / spread) if spread > 0.0 else 0.0
