"""Scores of linear-Gaussian networks from one matrix of sums of products."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from scipy.special import gammaln

from likewise.families.bayesian_network.structure.counts import Floats, members

GaussianScoreName = Literal["bic", "aic", "bge"]

FLOOR = 1e-4
"""Share of a column's variance that others never explain: columns that determine each other had no score without it."""


class GaussianScores:
    """Scores of families of real columns, each a linear regression on its parents with normal errors.

    - BIC (Schwarz 1978): the largest log-likelihood less `(parents + 2) log(N) / 2`; AIC (Akaike 1974) has 1 in place
      of `log(N) / 2`.
    - BGe: the marginal likelihood under a normal-Wishart prior (Geiger and Heckerman 2002, equation 18, with the
      correction of Kuipers, Moffa and Heckerman 2014), with prior means 0, `alpha_mu` = 1, `alpha_w` = columns + 2 and
      the prior matrix `t I`, `t = alpha_mu (alpha_w - columns - 1) / (alpha_mu + 1)`. Columns are standardised first.

    All are differences of values of sets of columns, so equivalent networks have equal scores.

    Parameters
    ----------
    values : float64 (rows, columns)
    """

    equivalent = True

    def __init__(self, values: Floats, score: GaussianScoreName = "bic") -> None:
        self.rows, self.columns = values.shape
        self.score = score
        centred = values - values.mean(0) if self.rows else values
        scale = np.sqrt((centred**2).mean(0)) if self.rows else np.ones(self.columns)
        self.log_scale = np.log(np.where(scale > 0, scale, 1.0))
        centred = centred / np.where(scale > 0, scale, 1.0)
        products: Any = centred.T @ centred
        if score == "bge":
            alpha_mu, self.alpha_w = 1.0, self.columns + 2.0
            self.t = alpha_mu * (self.alpha_w - self.columns - 1) / (alpha_mu + 1)
            self.alpha_mu = alpha_mu
            # The means are 0 after centring, as are the prior's: the third term of the posterior matrix is 0.
            self.matrix: Floats = self.t * np.eye(self.columns) + products
        else:
            self.matrix = lifted(products / max(self.rows, 1))
        self._values: dict[int, Floats] = {}
        self._single: dict[int, float] = {}

    def __len__(self) -> int:
        return self.columns

    def family(self, child: int, parents: int) -> float:
        """The score of a regression."""
        return self._value(parents | 1 << child) - self._value(parents)

    def additions(self, child: int, parents: int) -> Floats:
        """The scores of the regressions on one further column each."""
        found = self._with_each(parents | 1 << child) - self._with_each(parents)
        found[list(members(parents | 1 << child))] = -np.inf
        return found

    def _value(self, columns: int) -> float:
        if columns not in self._single:
            own = list(members(columns))
            log_det, log_scale = 0.0, 0.0
            for place, column in enumerate(own):
                log_det += math.log(self._left(own[:place])[column])
                log_scale += float(self.log_scale[column])
            self._single[columns] = self._valued(len(own))(log_det, log_scale)
        return self._single[columns]

    def _with_each(self, columns: int) -> Floats:
        """The values of a set with each single column; for its own columns, of the set."""
        found = self._values.get(columns)
        if found is None:
            own = list(members(columns))
            log_det = sum(math.log(self._left(own[:place])[column]) for place, column in enumerate(own))
            log_scale = float(self.log_scale[own].sum())
            value = self._valued(len(own) + 1)
            found = value(log_det + np.log(self._left(own)), log_scale + self.log_scale)
            found[own] = self._value(columns)
            self._values[columns] = found
        return found

    def _left(self, given: list[int]) -> Floats:
        """What a set of columns leaves of each column's own entry of the matrix (Schur complements)."""
        own: Any = np.diag(self.matrix)
        if given:
            across = self.matrix[given]
            solved = np.linalg.solve(across[:, given], across)
            own = own - (across * solved).sum(0)
        # No column is left less, but for rounding, save those that are given.
        least = FLOOR if self.score != "bge" else self.t
        found: Floats = np.maximum(own, least)
        return found

    def _valued(self, size: int) -> Callable[[Any, Any], Any]:
        """The value of a set of `size` columns from log-determinant and the sum of its log-scales."""
        rows = self.rows
        if self.score != "bge":
            price = 0.5 * math.log(max(rows, 1)) if self.score == "bic" else 1.0
            free = size * (size + 3) / 2
            fixed = -0.5 * rows * size * (1 + math.log(2 * math.pi)) - price * free
            return lambda log_det, log_scale: fixed - 0.5 * rows * log_det - rows * log_scale
        less = self.alpha_w - self.columns + size
        places = np.arange(1, size + 1)
        fixed = (
            0.5 * size * math.log(self.alpha_mu / (rows + self.alpha_mu))
            - 0.5 * size * rows * math.log(math.pi)
            + float((gammaln((rows + less + 1 - places) / 2) - gammaln((less + 1 - places) / 2)).sum())
            + 0.5 * less * size * math.log(self.t)
        )
        return lambda log_det, log_scale: fixed - 0.5 * (rows + less) * log_det - rows * log_scale


def lifted(covariances: Floats) -> Floats:
    """Covariances (..., columns, columns) with eigenvalues of `FLOOR` at least: as much is left of each given others.

    A bound on what is left of each given some would do as well, but score equivalent networks differently.
    """
    if not covariances.shape[-1]:
        return covariances
    values, vectors = np.linalg.eigh(covariances)
    low = values[..., :1] < FLOOR
    whole: Floats = (vectors * np.maximum(values, FLOOR)[..., None, :]) @ vectors.swapaxes(-1, -2)
    return np.where(low[..., None], whole, covariances)
