"""How well a linear model predicts columns of records from a few coordinates, beside as many principal components."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.preprocessing import StandardScaler

from likewise.metrics.features import OTHER, Column
from likewise.metrics.interval import Interval, NoFigure, around, blocks, jackknife, share

Array = np.ndarray[Any, np.dtype[Any]]

FEWEST = 8
"""Records with a value that are needed to learn from, and as many to test on."""

VARIED = 1e-9
"""The least variance of a principal component, as a share of the largest."""

ITERATIONS, TOLERANCE = 300, 1e-3
"""Of logistic regression."""


@dataclass(frozen=True)
class Probe:
    """How well linear models predict a column of records that they have not seen.

    Attributes
    ----------
    measure : "accuracy" of logistic regression (categories), or "R2" of ridge regression (numbers)
    latents, components : Interval
        From latents, and from as many principal components; over tested records, the models as they are.
    gain : Interval
        The first minus the second, paired record by record.
    baseline : float
        Of the most frequent level, or the mean, of the records learned from.
    """

    column: str
    measure: Literal["accuracy", "R2"]
    latents: Interval
    components: Interval
    gain: Interval
    baseline: float


def halves(size: int, seed: int) -> tuple[Array, Array]:
    """Positions of the records to learn from and of those to test on, at random, half of them each."""
    order = np.random.default_rng(seed).permutation(size)
    return np.sort(order[size // 2 :]), np.sort(order[: size // 2])


def numbers(columns: Sequence[Column]) -> Array:
    """Records as numbers, float64 (n, p), as someone would give them to a linear method.

    A number is as it is, a category whose levels are numbers too; blanks are at the mean, and told apart by a column of
    their own. Of other categories there is one column a level that occurs.

    Examples
    --------
    >>> size = Column("size", "number", np.array([1.0, np.nan, 3.0]))
    >>> kind = Column("kind", "category", np.array([0, 1, 1]), ("a", "b"))
    >>> numbers([size, kind]).tolist()
    [[1.0, 0.0, 1.0, 0.0], [2.0, 1.0, 0.0, 1.0], [3.0, 0.0, 0.0, 1.0]]
    """
    parts: list[Array] = []
    for column in columns:
        values = column.values if column.kind == "number" else _as_numbers(column)
        if values is None:
            parts.append((column.values[:, None] == np.unique(column.values)).astype(np.float64))
            continue
        blank = np.isnan(values)
        mean = values[~blank].mean() if not blank.all() else 0.0
        parts.append(np.where(blank, mean, values)[:, None])
        if blank.any():
            parts.append(blank[:, None].astype(np.float64))
    return np.concatenate(parts, axis=1)


def _as_numbers(column: Column) -> Array | None:
    """The cells of a category whose levels are numbers, NaN where blank or rare; None where one of them is none."""
    found = np.full(len(column.levels) + 1, np.nan)
    for i, level in enumerate(column.levels):
        if level == OTHER:
            continue
        try:
            found[i] = float(level)
        except ValueError:
            return None
    cells: Array = found[column.values.astype(np.int64)]
    return cells if np.isfinite(found).any() else None


def components(features: Array, count: int, rows: Array, seed: int = 0) -> Array:
    """At most `count` principal components (n, k) of standardised features (n, p), both learned from `rows`.

    There are no more than directions in which `rows` differ. A direction in which they do not is noise, and where
    another record does, such as a blank of which `rows` have none, a linear model would multiply it beyond all bounds.
    """
    scaled = StandardScaler().fit(features[rows]).transform(features)
    count = min(count, len(rows), features.shape[1])
    fitted = PCA(count, random_state=seed).fit(scaled[rows])
    found: Array = fitted.transform(scaled)
    variance = fitted.explained_variance_
    return found[:, variance >= VARIED * variance[0]]


def probe(latents: Array, principal: Array, column: Column, parts: tuple[Array, Array], seed: int = 0) -> Probe:
    """A column predicted from latents (n, d), and from principal components.

    Parameters
    ----------
    parts : positions of the records to learn from, and of those to test on
        Records in which the column is blank do not count.

    Raises
    ------
    NoFigure
        Where too few records have a value, or it does not vary.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> latents, noise = rng.normal(size=(2, 400, 2))
    >>> column = Column("k", "category", (latents[:, 0] > 0).astype(int), ("no", "yes"))
    >>> found = probe(latents, noise, column, halves(400, seed=0))
    >>> found.measure, found.latents.value > 0.95, found.components.value < 0.6, found.gain.low > 0.3
    ('accuracy', True, True, True)
    """
    known = ~column.missing
    learned, tested = (part[known[part]] for part in parts)
    if min(len(learned), len(tested)) < FEWEST:
        raise NoFigure("too few records have a value")
    if any(len(np.unique(column.values[part])) < 2 for part in (learned, tested)):
        raise NoFigure("it does not vary")
    predict = _classes if column.kind == "category" else _values
    guesses = [predict(each, column.values, learned, tested) for each in (latents, principal)]
    truth = column.values[tested]
    if column.kind == "category":
        levels, counts = np.unique(column.values[learned], return_counts=True)
        right = [guess == truth for guess in guesses]
        margin = right[0].astype(np.float64) - right[1]
        gain = around(float(margin.mean()), float(margin.std(ddof=1) / np.sqrt(len(truth))), -1.0, 1.0)
        baseline = float((truth == levels[counts.argmax()]).mean())
        return Probe(column.name, "accuracy", share(right[0]), share(right[1]), gain, baseline)
    every, group = np.ones(len(truth), bool), blocks(len(truth), seed)
    without = [group != k for k in np.unique(group)]
    whole = np.array([_determination(truth, guess, every) for guess in guesses])
    left = np.array([[_determination(truth, guess, rows) for guess in guesses] for rows in without])
    return Probe(
        column.name,
        "R2",
        jackknife(whole[0], left[:, 0], high=1.0),
        jackknife(whole[1], left[:, 1], high=1.0),
        jackknife(whole[0] - whole[1], left[:, 0] - left[:, 1]),
        _determination(truth, np.full(len(truth), column.values[learned].mean()), every),
    )


def _classes(x: Array, y: Array, learned: Array, tested: Array) -> Array:
    """The levels that logistic regression on standardised coordinates finds most probable."""
    scaler = StandardScaler().fit(x[learned])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # nearly there is near enough for a level
        model = LogisticRegression(max_iter=ITERATIONS, tol=TOLERANCE).fit(scaler.transform(x[learned]), y[learned])
    found: Array = model.predict(scaler.transform(x[tested]))
    return found


def _values(x: Array, y: Array, learned: Array, tested: Array) -> Array:
    """The values that ridge regression on standardised coordinates predicts."""
    scaler = StandardScaler().fit(x[learned])
    centre, scale = y[learned].mean(), y[learned].std() or 1.0
    model = Ridge(alpha=1.0).fit(scaler.transform(x[learned]), (y[learned] - centre) / scale)
    found: Array = centre + scale * model.predict(scaler.transform(x[tested]))
    return found


def _determination(truth: Array, guess: Array, rows: Array) -> float:
    """The coefficient of determination, R2."""
    spread = ((truth[rows] - truth[rows].mean()) ** 2).sum()
    return float(1.0 - ((truth - guess)[rows] ** 2).sum() / spread) if spread > 0.0 else 0.0
