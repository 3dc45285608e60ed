"""Errors of pairs against numpy, scikit-learn, SDMetrics and closed forms."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import normalized_mutual_info_score

from likewise.metrics.features import Column
from likewise.metrics.interval import NoFigure
from likewise.metrics.pairs import pairs


def number(name: str, values: np.ndarray) -> Column:
    return Column(name, "number", np.asarray(values, float))


def category(name: str, codes: np.ndarray) -> Column:
    return Column(name, "category", np.asarray(codes), tuple("abcdef"[: int(np.max(codes)) + 1]))


def draws(seed: int, size: int = 800) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=size)
    y = 0.6 * x + 0.8 * rng.normal(size=size)
    a = rng.integers(0, 3, size)
    b = np.where(rng.random(size) < 0.7, a, rng.integers(0, 3, size))
    return x, y, a, b


def test_two_numbers_have_half_the_difference_of_correlations():
    (x, y, *_), (u, v, *_) = draws(0), draws(1)
    found = pairs([number("x", 100 + x), number("y", -y)], [number("x", 100 + u), number("y", v)])
    expected = abs(np.corrcoef(x, -y)[0, 1] - np.corrcoef(u, v)[0, 1]) / 2
    assert found.mean.value == found.pairs[0].error == pytest.approx(expected)


def test_correlations_leave_blanks_out():
    (x, y, *_), (u, v, *_) = draws(0), draws(1)
    x = np.where(np.arange(800) % 5 == 0, np.nan, x)
    v = np.where(np.arange(800) % 7 == 0, np.nan, v)
    found = pairs([number("x", x), number("y", y)], [number("x", u), number("y", v)])
    first, second = (pd.DataFrame({"x": a, "y": b}).corr().iloc[0, 1] for a, b in ((x, y), (u, v)))
    assert found.pairs[0].error == pytest.approx(abs(first - second) / 2)


def test_a_constant_has_no_correlation():
    x, y, *_ = draws(0)
    found = pairs([number("x", np.ones(800)), number("y", y)], [number("x", x), number("y", y)])
    assert found.pairs[0].error == pytest.approx(abs(np.corrcoef(x, y)[0, 1]) / 2)


def test_two_categories_have_the_total_variation_of_their_table():
    (_, _, a, _), (_, _, c, d) = draws(0), draws(1)
    found = pairs([category("a", a), category("b", a)], [category("a", c), category("b", d)])
    tables = [np.histogram2d(p, q, bins=3)[0] / 800 for p, q in ((a, a), (c, d))]
    assert found.pairs[0].error == pytest.approx(0.5 * np.abs(tables[0] - tables[1]).sum())


def test_a_number_and_a_category_have_the_difference_of_correlation_ratios():
    (x, _, a, _), (u, _, c, _) = draws(0), draws(1)
    x, u = x + a, u + 3 * c
    found = pairs([number("x", x), category("a", a)], [number("x", u), category("a", c)])
    ratios = []
    for values, codes in ((x, a), (u, c)):
        means = np.array([values[codes == k].mean() for k in range(3)])[codes]
        ratios.append(np.sqrt(means.var() / values.var()))
    assert found.pairs[0].error == pytest.approx(abs(ratios[0] - ratios[1]))


def test_sdmetrics_agrees():
    from sdmetrics import column_pairs

    (x, y, a, _), (u, v, c, d) = draws(0), draws(1)
    numbers = pairs([number("x", x), number("y", -y)], [number("x", u), number("y", v)]).mean.value
    frames = [pd.DataFrame({"x": p, "y": q}) for p, q in ((u, v), (x, -y))]
    assert numbers == pytest.approx(1 - column_pairs.CorrelationSimilarity.compute(*frames))
    categories = pairs([category("a", a), category("b", a)], [category("a", c), category("b", d)]).mean.value
    frames = [pd.DataFrame({"a": p.astype(str), "b": q.astype(str)}) for p, q in ((c, d), (a, a))]
    assert categories == pytest.approx(1 - column_pairs.ContingencySimilarity.compute(*frames))


def test_mutual_information_is_that_of_scikit_learn():
    x, y, a, b = draws(0)
    pair = pairs([category("a", a), category("b", b)], [category("a", b), category("b", b)]).pairs[0]
    assert pair.generated == pytest.approx(normalized_mutual_info_score(a, b))
    assert pair.real == pytest.approx(1.0)
    bins = [np.searchsorted(np.quantile(part, np.linspace(0.1, 0.9, 9)), part) for part in (x, y)]
    pair = pairs([number("x", x), number("y", y)], [number("x", x), number("y", y)]).pairs[0]
    assert pair.generated == pair.real == pytest.approx(normalized_mutual_info_score(*bins))


def test_independent_columns_lose_all_the_dependence_and_fresh_records_none():
    def columns(x, y, a, b):
        return [number("x", x), number("y", y), category("a", a), category("b", b)]

    real = columns(*draws(0, 20_000))
    apart = columns(*(draws(seed, 20_000)[seed - 1] for seed in (1, 2, 3, 4)))
    assert pairs(apart, real).mutual_information.value > 0.95
    fresh = pairs(columns(*draws(9, 20_000)), real)
    assert fresh.mutual_information.value < 0.06
    assert fresh.mean.high < 0.02


def test_the_interval_holds_what_fresh_draws_give():
    held = 0
    for seed in range(60):
        (x, y, *_), (u, v, *_) = draws(seed), draws(500 + seed)
        mean = pairs([number("x", x), number("y", -y)], [number("x", u), number("y", v)], seed).mean
        held += mean.low <= 0.6 <= mean.high
    assert held >= 52


def test_one_column_has_no_pairs():
    with pytest.raises(NoFigure):
        pairs([number("x", np.arange(30.0))], [number("x", np.arange(30.0))])
