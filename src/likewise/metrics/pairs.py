"""How far the dependence between each two columns is from the real one."""

from __future__ import annotations

from dataclasses import dataclass

from likewise.metrics.interval import Interval


@dataclass(frozen=True)
class Pair:
    """Two columns.

    Attributes
    ----------
    error : float
        In [0, 1]: half the difference of correlations of two numbers, total variation of the joint table of two
        categories, difference of correlation ratios of a number and a category.
    real, generated : float
        Normalised mutual information in [0, 1], how strongly the two depend on each other.
    """

    first: str
    second: str
    error: float
    real: float
    generated: float


@dataclass(frozen=True)
class PairErrors:
    """Errors of all pairs.

    Attributes
    ----------
    mean : Interval
        Of `Pair.error`.
    mutual_information : Interval
        The differences of normalised mutual information, weighted by the real one: the share of the real dependence
        that is lost or invented. 0 is best; independent columns have 1.
    pairs : tuple of Pair, the worst first
    """

    mean: Interval
    mutual_information: Interval
    pairs: tuple[Pair, ...]
