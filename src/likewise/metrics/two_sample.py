"""The two-sample test: how well boosted trees tell generated records from real ones, and by which columns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier

from likewise.metrics.interval import LEVEL_Z, Interval, NoFigure

Array = np.ndarray[Any, np.dtype[Any]]
Probability = Callable[[Array], Array]

FOLDS = 3

ROUNDS = 100
"""Trees that judge one fold, each made for what the ones before it get wrong."""

WIDER = 1.3
"""By how much repeated draws of both sides vary more than folds whose trees are taken as given."""

SHUFFLED = 6000
"""Unseen records of one fold by which the importance of columns is measured."""


@dataclass(frozen=True, eq=False)
class TwoSample:
    """What the test found.

    Attributes
    ----------
    score : Interval
        1 - 2 max(AUC - 1/2, 0): 1 where nothing tells the two apart, 0 where everything does.
    tells : tuple of (column, share of importance), the largest first
        By how much AUC falls when the column is shuffled among records that the trees have not seen, as a share of all;
        empty where no column tells.
    suspicion : float64 array (k,)
        The probability, by trees that have not seen it, that a generated record is generated.
    positions : int64 array (k,)
        Which generated records those are.
    """

    score: Interval
    tells: tuple[tuple[str, float], ...]
    suspicion: Array
    positions: Array


def two_sample(
    generated: Array,
    real: Array,
    keys: tuple[Array, Array],
    names: Sequence[str],
    column_of_feature: Array,
    seed: int = 0,
) -> TwoSample:
    """How hard it is for boosted trees to tell generated records from real ones.

    Equally many of both (a random part of the larger set) are dealt into three folds, those that are alike value for
    value into the same one: a copy would otherwise be known by its twin, whose side is never its own. AUC is the mean
    of the folds. Its interval is that of DeLong, DeLong and Clarke-Pearson (1988), an infinitesimal jackknife, with
    groups of like records as its units (Obuchowski 1997), and three tenths wider because the trees, too, would be
    others with other records.

    The trees are grown as xgboost grows them by default (rate 0.3, depth 6, 100 rounds), so that scores are
    comparable with published ones.

    Parameters
    ----------
    generated, real : float arrays (n, d), (m, d)
        See `Features.flat`.
    keys : int64 arrays (n,), (m,)
        See `Features.keys`.
    names : names of the columns
    column_of_feature : int array (d,)
        The position in `names` of the column of each feature.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> real, fake = rng.normal(size=(300, 1)), rng.normal(size=(300, 1)) + 3.0
    >>> keys = np.arange(300), np.arange(300, 600)
    >>> found = two_sample(fake, real, keys, ["x"], np.array([0]))
    >>> found.score.value < 0.2, found.tells
    (True, (('x', 1.0),))
    """
    rng = np.random.default_rng(seed)
    size = min(len(generated), len(real))
    if size < 2 * FOLDS:
        raise NoFigure(f"a two-sample test needs {2 * FOLDS} records of each side")
    chosen = [np.sort(rng.permutation(len(part))[:size]) for part in (generated, real)]
    features = np.concatenate([generated[chosen[0]], real[chosen[1]]])
    groups = np.unique(np.concatenate([keys[0][chosen[0]], keys[1][chosen[1]]]), return_inverse=True)[1]
    fake = np.arange(2 * size) < size
    fold = deal(groups, fake, rng)
    suspicion = np.full(2 * size, 0.5)
    auc, variance = np.full(FOLDS, 0.5), np.zeros(FOLDS)
    tells: tuple[tuple[str, float], ...] = ()
    for k in range(FOLDS):
        test = fold == k
        if len(np.unique(fake[~test])) < 2 or len(np.unique(fake[test])) < 2:
            continue
        judge = _judge(features[~test], fake[~test], seed)
        suspicion[test] = judge(features[test])
        auc[k], variance[k] = _area(suspicion[test], fake[test], groups[test])
        if k == 0:
            part = rng.permutation(np.flatnonzero(test))[:SHUFFLED]
            tells = _tells(judge, features[part], fake[part], names, column_of_feature, rng)
    error = WIDER * float(np.sqrt(variance.sum())) / FOLDS
    mean = float(auc.mean())
    low, value, high = (_score(area) for area in (mean + LEVEL_Z * error, mean, mean - LEVEL_Z * error))
    return TwoSample(Interval(value, low, high), tells, suspicion[:size], chosen[0])


def _score(auc: float) -> float:
    return min(1.0 - 2.0 * max(auc - 0.5, 0.0), 1.0) if auc < 1.0 else 0.0


def deal(groups: Array, fake: Array, rng: np.random.Generator) -> Array:
    """A fold for each record, the same within a group; each kind of group is dealt as evenly as possible.

    Examples
    --------
    >>> groups, fake = np.array([0, 1, 2, 0, 1, 2]), np.array([True] * 3 + [False] * 3)
    >>> folds = deal(groups, fake, np.random.default_rng(0))
    >>> sorted(folds[:3].tolist()), (folds[:3] == folds[3:]).all()
    ([0, 1, 2], np.True_)
    """
    fakes, reals = (np.bincount(groups, weights=side).astype(np.int64) for side in (fake, ~fake))
    order = np.lexsort((rng.random(len(fakes)), reals, fakes))
    of_group = np.empty(len(fakes), np.int64)
    of_group[order[::-1]] = (np.arange(len(fakes)) + rng.integers(FOLDS)) % FOLDS
    return of_group[groups]


def _judge(features: Array, fake: Array, seed: int) -> Probability:
    """Trees that have learned to tell; the probability of being generated."""
    trees = HistGradientBoostingClassifier(
        learning_rate=0.3,
        max_iter=ROUNDS,
        max_depth=6,
        max_leaf_nodes=None,
        l2_regularization=1.0,
        min_samples_leaf=4,  # as many records as have a Hessian of 1 at even odds
        early_stopping=False,
        random_state=seed,
    )
    trees.fit(features, fake)
    return lambda unseen: np.asarray(trees.predict_proba(unseen)[:, 1])


def area(scores: Array, positive: Array) -> float:
    """The area under the receiver operating characteristic: P(a positive scores higher), ties counted half.

    Examples
    --------
    >>> area(np.array([0.1, 0.4, 0.4, 0.9]), np.array([False, False, True, True]))
    0.875
    """
    return float(_placements(scores, positive)[positive].mean())


def _placements(scores: Array, positive: Array) -> Array:
    """For each record the share of the other side that it is on the right side of, ties counted half."""
    sides = np.sort(scores[positive]), np.sort(scores[~positive])
    placed = np.empty(len(scores))
    for side, others, sign in ((positive, sides[1], 1), (~positive, sides[0], -1)):
        below = np.searchsorted(others, scores[side], "left") + np.searchsorted(others, scores[side], "right")
        placed[side] = below / (2 * len(others)) if sign > 0 else 1.0 - below / (2 * len(others))
    return placed


def _area(scores: Array, fake: Array, groups: Array) -> tuple[float, float]:
    """The area and its variance, with groups as the units."""
    placed = _placements(scores, fake)
    mean = float(placed[fake].mean())
    influence = (placed - mean) / np.where(fake, fake.sum(), (~fake).sum())
    sums = np.bincount(np.unique(groups, return_inverse=True)[1], weights=influence)
    return mean, float((sums**2).sum())


def _tells(
    judge: Probability,
    features: Array,
    fake: Array,
    names: Sequence[str],
    column_of_feature: Array,
    rng: np.random.Generator,
) -> tuple[tuple[str, float], ...]:
    if len(np.unique(fake)) < 2:
        return ()
    whole = area(judge(features), fake)
    falls = np.zeros(len(names))
    order = rng.permutation(len(features))
    for i in range(len(names)):
        those = np.flatnonzero(column_of_feature == i)
        kept = features[:, those].copy()
        features[:, those] = kept[order]
        falls[i] = max(whole - area(judge(features), fake), 0.0)
        features[:, those] = kept
    if whole <= 0.5 or not falls.sum() > 0.0:
        return ()
    shares = falls / falls.sum()
    return tuple((names[i], float(shares[i])) for i in np.argsort(-shares, kind="stable") if shares[i] > 0.0)
