"""Precision, recall, density, coverage, alpha-precision and beta-recall against references and known cases."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from likewise.metrics.coverage import balls, supports


def normal(rows: int, seed: int, width: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(rows, width)).astype(np.float32)


def modes(rows: int, seed: int, kept: int = 5) -> np.ndarray:
    return normal(rows, seed, 2) + 10 * (np.arange(rows) % kept)[:, None]


@pytest.mark.parametrize(("rows", "shift"), [(300, 0.0), (300, 1.0), (450, 0.5)])
def test_balls_agree_with_prdc(rows, shift):
    import prdc

    generated, real = normal(rows, 0) + np.float32(shift), normal(300, 1)
    expected = prdc.compute_prdc(real.astype(float), generated.astype(float), nearest_k=5)
    found = balls(generated, real)
    for name in ("precision", "recall", "density", "coverage"):
        assert getattr(found, name).value == pytest.approx(expected[name], abs=0.004)


def test_a_dropped_mode_costs_coverage_and_recall_and_not_precision():
    found, fresh = balls(modes(1000, 0, kept=4), modes(1000, 1)), balls(modes(1000, 2), modes(1000, 1))
    assert found.coverage.high < 0.85 < fresh.coverage.low
    assert found.recall.high < 0.85 < fresh.recall.low
    assert found.precision.value > 0.9


def test_density_of_fresh_records_is_one():
    assert balls(normal(2000, 0), normal(2000, 1)).density.value == pytest.approx(1.0, abs=0.1)


def naive(generated: np.ndarray, real: np.ndarray) -> tuple[float, float]:
    """The two integrals by a loop over levels, from the definitions."""
    centre, own_centre = real.mean(0), generated.mean(0)
    between, within = cdist(real, generated), cdist(real, real)
    np.fill_diagonal(within, np.inf)
    place = np.linalg.norm(generated - own_centre, axis=1)[between.argmin(1)]
    precise, reached = [], []
    levels = np.linspace(0, 1, 101)
    for level in levels:
        radius = np.quantile(np.linalg.norm(real - centre, axis=1), level)
        precise.append(np.mean(np.linalg.norm(generated - centre, axis=1) <= radius))
        reached.append(np.mean((between.min(1) <= within.min(1)) & (place <= np.quantile(place, level))))
    return tuple(1 - np.abs(np.array(curve) - levels).sum() / levels.sum() for curve in (precise, reached))


@pytest.mark.parametrize("shift", [0.0, 0.7])
def test_supports_are_those_of_their_definitions(shift):
    generated, real = normal(250, 0).astype(float) + shift, normal(250, 1).astype(float)
    expected = naive(generated, real)
    found = supports(generated, real)
    assert found.alpha_precision.value == pytest.approx(expected[0], abs=1e-9)
    assert found.beta_recall.value == pytest.approx(expected[1], abs=1e-9)
    assert found.alpha_precision.low < expected[0] < found.alpha_precision.high


def test_fresh_records_are_precise_and_recall_half():
    found = supports(normal(3000, 0), normal(3000, 1))
    assert found.alpha_precision.value > 0.97
    assert found.beta_recall.value == pytest.approx(0.5, abs=0.04)
    copy = supports(normal(3000, 1), normal(3000, 1))
    assert copy.beta_recall.value > 0.99
