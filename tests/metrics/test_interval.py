"""Intervals against closed forms, and how often they hold the truth."""

import numpy as np
import pytest

from likewise.metrics.interval import BLOCKS, blocks, clustered, jackknife, share


def test_a_share_has_the_interval_of_wilson():
    # Newcombe (1998), table I: 81 of 263, and 15 of 148.
    for count, size, low, high in ((81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611)):
        found = share(np.arange(size) < count)
        assert (found.low, found.high) == pytest.approx((low, high), abs=5e-5)


def test_the_jackknife_of_a_mean_is_its_standard_error_over_blocks():
    values = np.random.default_rng(0).normal(size=4000)
    group = blocks(4000, 0)
    assert np.bincount(group).tolist() == [200] * BLOCKS
    found = jackknife(values.mean(), np.array([values[group != k].mean() for k in range(BLOCKS)]))
    error = np.array([values[group == k].mean() for k in range(BLOCKS)]).std(ddof=1) / np.sqrt(BLOCKS)
    assert found.high - found.value == pytest.approx(2.093 * error, rel=1e-3)


@pytest.mark.parametrize("kind", ["jackknife", "clustered"])
def test_intervals_hold_the_truth_nineteen_times_in_twenty(kind):
    rng, held = np.random.default_rng(0), 0
    for seed in range(400):
        cluster = np.repeat(np.arange(200), 3)
        values = rng.exponential(size=200)[cluster] if kind == "clustered" else rng.exponential(size=600)
        if kind == "clustered":
            found = clustered(values, cluster)
        else:
            group = blocks(600, seed)
            found = jackknife(values.mean(), np.array([values[group != k].mean() for k in range(BLOCKS)]))
        held += found.low <= 1.0 <= found.high
    assert 0.92 < held / 400 < 0.98
