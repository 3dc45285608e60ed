"""Distances in pieces against scikit-learn, scipy, POT and brute force."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from scipy.stats import energy_distance
from sklearn.neighbors import NearestNeighbors

from likewise.metrics import distances
from likewise.metrics.distances import discrepancies, neighbours, squared, typical_distance


def normal(rows: int, width: int, seed: int, at: float = 0.0) -> np.ndarray:
    return (at + np.random.default_rng(seed).normal(size=(rows, width))).astype(np.float32)


@pytest.mark.parametrize("piece", [1, 3000, 2**23])
@pytest.mark.parametrize("among", [7, 128, 1000])
def test_neighbours_are_those_of_scikit_learn_in_pieces_of_any_size(piece, among, monkeypatch):
    monkeypatch.setattr(distances, "PIECE", piece)
    a, b = normal(50, 6, 0), normal(among, 6, 1)
    found, positions = neighbours(a, b, 5)
    expected, where = (
        NearestNeighbors(n_neighbors=5, algorithm="brute").fit(b.astype(float)).kneighbors(a.astype(float))
    )
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    np.testing.assert_array_equal(positions, where)


def test_a_point_is_not_its_own_neighbour_but_its_twin_is():
    a = normal(300, 4, 0)
    a[7] = a[250]
    found, positions = neighbours(a, a, alike=True)
    assert positions[7, 0] == 250
    assert found[7, 0] == found[250, 0] == 0.0
    assert (np.delete(found, [7, 250]) > 0).all()


def test_points_that_are_alike_are_at_zero_far_from_the_origin_too():
    a = normal(100, 30, 0, at=300.0)
    order = np.random.default_rng(0).permutation(100)
    found, positions = neighbours(a[order], a)
    assert (found == 0.0).all()
    np.testing.assert_array_equal(positions[:, 0], order)
    near, _ = neighbours(a + np.float32(0.01), a)
    np.testing.assert_allclose(near, 0.01 * np.sqrt(30), rtol=0.02)


def test_pair_distances_agree_with_pot():
    import ot

    a, b = normal(200, 5, 0), normal(300, 5, 1)
    ours = np.concatenate([piece.numpy().copy() for _, piece in squared(a, b)])
    np.testing.assert_allclose(ours, ot.dist(a.astype(float), b.astype(float)), rtol=1e-4, atol=1e-4)


def kernel_mean(a: np.ndarray, b: np.ndarray, scale: float, alike: bool) -> float:
    kernel = np.exp(-(cdist(a, b) ** 2) / (2 * scale**2))
    return (kernel.sum() - len(a)) / (len(a) * (len(a) - 1)) if alike else kernel.mean()


def test_mmd_is_that_of_its_definition():
    x, y = normal(150, 3, 0, 0.3).astype(float), normal(200, 3, 1).astype(float)
    scale = np.median(cdist(y, y)[~np.eye(200, dtype=bool)])
    assert typical_distance(y) == pytest.approx(scale, rel=1e-4)
    expected = kernel_mean(x, x, scale, True) + kernel_mean(y, y, scale, True) - 2 * kernel_mean(x, y, scale, False)
    assert discrepancies(x, y).mmd.value == pytest.approx(expected, abs=1e-6)


def test_energy_distance_is_that_of_scipy_but_for_its_bias():
    x, y = normal(400, 1, 0, 0.5).astype(float), normal(300, 1, 1).astype(float)
    biased = energy_distance(x[:, 0], y[:, 0]) ** 2
    bias = cdist(x, x).sum() / 400**2 / 399 + cdist(y, y).sum() / 300**2 / 299
    assert discrepancies(x, y).energy.value == pytest.approx(biased - bias, abs=1e-5)


def test_both_are_unbiased_and_their_intervals_honest():
    found = [discrepancies(normal(100, 2, seed), normal(100, 2, 1000 + seed)) for seed in range(200)]
    for kind in ("mmd", "energy"):
        values = np.array([getattr(part, kind).value for part in found])
        assert abs(values.mean()) < 3 * values.std() / np.sqrt(200)
        assert (values < 0).any()
        held = np.mean([getattr(part, kind).low <= 0 <= getattr(part, kind).high for part in found])
        assert held > 0.9


def test_a_shift_is_outside_of_the_interval():
    found = discrepancies(normal(400, 2, 0, 0.5), normal(400, 2, 1))
    assert found.mmd.low > 0.0
    assert found.energy.low > 0.0
