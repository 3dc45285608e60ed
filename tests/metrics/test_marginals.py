"""Marginal errors against scipy, SDMetrics and closed forms."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ks_2samp

from likewise.metrics.features import Column
from likewise.metrics.marginals import marginals


def number(values: np.ndarray) -> Column:
    return Column("x", "number", np.asarray(values, float))


def category(codes: np.ndarray) -> Column:
    return Column("k", "category", np.asarray(codes), ("a", "b", "c"))


def test_numbers_have_the_distance_of_kolmogorov_and_smirnov():
    rng = np.random.default_rng(0)
    fake, real = rng.normal(size=700).round(1), rng.normal(loc=0.3, size=900).round(1)
    assert marginals([number(fake)], [number(real)]).columns["x"] == pytest.approx(ks_2samp(fake, real).statistic)


def test_categories_have_total_variation():
    fake, real = category(np.repeat([0, 1], [30, 70])), category(np.repeat([0, 1, 2], [50, 30, 20]))
    assert marginals([fake], [real]).columns["k"] == pytest.approx(0.4)


def test_sdmetrics_agrees():
    from sdmetrics import single_column

    rng = np.random.default_rng(0)
    x, y = rng.exponential(size=500), rng.exponential(1.2, size=500)
    a, b = rng.integers(0, 3, 500), rng.integers(0, 2, 500)
    found = marginals([number(x), category(a)], [number(y), category(b)])
    series = [pd.Series(part) for part in (x, y, a.astype(str), b.astype(str))]
    assert found.columns["x"] == pytest.approx(1 - single_column.KSComplement.compute(series[1], series[0]))
    assert found.columns["k"] == pytest.approx(1 - single_column.TVComplement.compute(series[3], series[2]))


def test_blanks_are_part_of_a_column():
    values = np.random.default_rng(0).normal(size=1000)
    holes = np.where(np.arange(1000) < 300, np.nan, values)
    found = marginals([number(holes)], [number(values)])
    assert found.columns["x"] == pytest.approx(0.3, abs=0.05)
    assert found.detail["x"][0].kind == "missing"
    assert found.detail["x"][0].generated == pytest.approx(0.3)


def test_the_interval_of_the_mean_holds_what_fresh_draws_give():
    def draw(seed: int):
        rng = np.random.default_rng(seed)
        return [number(rng.normal(size=2000)), category(rng.integers(0, 3, 2000))]

    def shifted(seed: int):
        rng = np.random.default_rng(seed)
        return [number(rng.normal(loc=0.5, size=2000)), category(rng.integers(0, 2, 2000))]

    found = [marginals(shifted(seed), draw(1000 + seed), seed).mean for seed in range(100)]
    truth = (0.1974 + 1 / 3) / 2
    assert sum(part.low <= truth <= part.high for part in found) >= 88


def test_detail_says_which_range_and_which_side():
    real = np.random.default_rng(0).normal(size=5000)
    clipped = np.minimum(real, np.quantile(real, 0.9))[real < np.quantile(real, 0.95)]
    regions = marginals([number(clipped)], [number(real)]).detail["x"]
    top = [r for r in regions if r.kind == "range" and r.from_quantile >= 0.899]
    assert sum(r.real for r in top) == pytest.approx(0.1, abs=0.002)
    assert sum(r.generated for r in top if r.from_quantile > 0.94) == 0.0
    stray = marginals([number(np.r_[real, [99.0] * 250])], [number(real)]).detail["x"]
    assert next(r for r in stray if r.kind == "above").generated == pytest.approx(250 / 5250)


@pytest.mark.parametrize("values", [np.ones(50), np.arange(50.0), np.r_[np.zeros(45), np.arange(5.0) + 1]])
def test_ranges_cover_the_real_records_once(values):
    regions = marginals([number(values)], [number(values)]).detail["x"]
    assert sum(r.real for r in regions) == pytest.approx(1.0)
    assert all(r.real == pytest.approx(r.generated) for r in regions)
    assert all(r.to_quantile - r.from_quantile == pytest.approx(r.real) for r in regions)
