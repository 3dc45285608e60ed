"""The toys' densities are densities, their samples follow them, and the bundled sets come with the types they have."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, stats

from likewise import datasets
from likewise.errors import DataError

REAL = [name for name in datasets.TOYS if name != "mixed"]


def midpoints(low: float, high: float, size: int) -> np.ndarray:
    edges = np.linspace(low, high, size + 1)
    return (edges[1:] + edges[:-1]) / 2


def cell_masses(toy: datasets.Toy, bins: int, fine: int) -> np.ndarray:
    """The mass of each of bins^d equal cells of the region, by the midpoint rule with fine^d points a cell."""
    axes = [midpoints(*span, bins * fine) for span in toy.region.values()]
    points = np.stack([axis.ravel() for axis in np.meshgrid(*axes, indexing="ij")], axis=1)
    density = np.exp(toy.log_density(points))
    volume = math.prod((high - low) / (bins * fine) for low, high in toy.region.values())
    if len(axes) == 1:
        return density.reshape(bins, fine).sum(1) * volume
    return density.reshape(bins, fine, bins, fine).sum((1, 3)) * volume


@pytest.mark.parametrize("name", REAL)
def test_densities_integrate_to_one_and_samples_follow_them(name):
    toy = datasets.toy(name)
    # 18 x 50 midpoints meet the edges of the checkerboard's squares (2 wide in a region 9 wide) and resolve every mode;
    # the moons are smooth on a wider scale, and slower.
    masses = cell_masses(toy, 18, 12 if name == "two_moons" else 50)
    assert abs(masses.sum() - 1) < 1e-3

    records = toy.sample(20_000, random_state=1)
    assert list(records.columns) == list(toy.columns)
    edges = [np.linspace(*span, 19) for span in toy.region.values()]
    counts, _ = np.histogramdd(records.to_numpy(), edges)
    assert counts.sum() >= 19_990
    expected = masses.ravel() * counts.sum() / masses.sum()
    # Cells with few expected records are taken together, as the chi-square approximation asks.
    full = expected >= 5
    observed = np.append(counts.ravel()[full], counts.ravel()[~full].sum())
    wanted = np.append(expected[full], expected[~full].sum())
    if wanted[-1] < 5:
        observed, wanted = observed[:-1], wanted[:-1] * observed[:-1].sum() / wanted[:-1].sum()
    assert stats.chisquare(observed, wanted).pvalue > 1e-3


@pytest.mark.parametrize("name", [name for name in REAL if datasets.toy(name).modes is not None])
def test_modes_are_local_maxima(name):
    toy = datasets.toy(name)
    at = toy.log_density(toy.modes)
    for direction in np.vstack([np.eye(len(toy.columns)), -np.eye(len(toy.columns))]):
        assert (toy.log_density(toy.modes + 0.02 * direction) < at + 1e-9).all()


def test_two_moons_agree_with_adaptive_quadrature():
    toy = datasets.toy("two_moons")
    points = np.array([[0.0, 1.0], [1.0, -0.5], [0.5, 0.25], [-1.05, -0.1], [2.3, 0.9], [-1.5, 1.5]])

    def density(x, y):
        def upper(t, x, y):
            return math.exp(-((x - math.cos(t)) ** 2 + (y - math.sin(t)) ** 2) / 0.02) / (0.02 * math.pi * math.pi)

        def half(x, y):
            nearest = [t for t in [math.atan2(y, x)] if 0 < t < math.pi]
            return integrate.quad(upper, 0, math.pi, (x, y), points=nearest, epsabs=0, epsrel=1e-11, limit=400)[0]

        return (half(x, y) + half(1 - x, 0.5 - y)) / 2

    exact = np.log([density(x, y) for x, y in points])
    np.testing.assert_allclose(toy.log_density(points), exact, rtol=0, atol=1e-8)


def test_mixed_sums_to_one_over_states_and_integrates_over_values():
    toy = datasets.toy("mixed")
    total = 0.0
    log_amount = midpoints(math.log(1e-2), math.log(1e3), 4000)
    for group in ("north", "south", "west"):
        for visits in range(7):
            atoms = pd.DataFrame({"group": group, "amount": [0.0, np.nan], "visits": visits})
            values = pd.DataFrame({"group": group, "amount": np.exp(log_amount), "visits": visits})
            step = log_amount[1] - log_amount[0]
            total += np.exp(toy.log_density(atoms)).sum() + (np.exp(toy.log_density(values) + log_amount) * step).sum()
    assert abs(total - 1) < 1e-6


def test_mixed_samples_follow_their_probabilities():
    toy = datasets.toy("mixed")
    records = toy.sample(20_000, random_state=3)
    state = np.select([records["amount"].isna(), records["amount"] == 0], [2, 1], 0)
    observed, expected = [], []
    for group in ("north", "south", "west"):
        for visits in range(7):
            atoms = np.exp(toy.log_density(pd.DataFrame({"group": group, "amount": [0.0, np.nan], "visits": visits})))

            def density(u, group=group, visits=visits):
                record = pd.DataFrame({"group": [group], "amount": [math.exp(u)], "visits": [visits]})
                return math.exp(toy.log_density(record)[0] + u)

            values = integrate.quad(density, -3, 6, points=[0, 1, 2])[0]
            rows = (records["group"] == group) & (records["visits"] == visits)
            observed += [(rows & (state == code)).sum() for code in (1, 2, 0)]
            expected += [*atoms, values]
    observed, expected = np.array(observed), np.array(expected) * 20_000
    full = expected >= 5
    observed = np.append(observed[full], observed[~full].sum())
    expected = np.append(expected[full], expected[~full].sum())
    assert stats.chisquare(observed, expected * observed.sum() / expected.sum()).pvalue > 1e-3

    south = np.log(records["amount"][(records["group"] == "south") & (state == 0)])
    assert stats.kstest(south, "norm", (2.0, 0.5)).pvalue > 1e-3


def test_mixed_gives_impossible_records_no_density():
    impossible = pd.DataFrame(
        {"group": ["east", "north", "north", "north"], "amount": [1.0, -1.0, 1.0, np.inf], "visits": [1, 1, 2.5, 1]}
    )
    assert (datasets.toy("mixed").log_density(impossible) == -np.inf).all()


def test_the_same_seed_gives_the_same_records():
    for name in datasets.TOYS:
        toy = datasets.toy(name)
        pd.testing.assert_frame_equal(toy.sample(50, random_state=5), toy.sample(50, random_state=5))


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("breast_cancer", (569, 31)),
        ("diabetes", (442, 11)),
        ("digits", (1797, 65)),
        ("iris", (150, 5)),
        ("linnerud", (20, 6)),
        ("wine", (178, 14)),
    ],
)
def test_bundled_sets_have_their_published_shapes(name, shape):
    assert datasets.load(name).shape == shape


def test_bundled_sets_have_the_types_of_what_was_measured():
    wine = datasets.load("wine")
    assert wine["proline"].dtype == np.int64
    assert wine["alcohol"].dtype == np.float64
    assert wine["target"].value_counts().to_dict() == {"class_1": 71, "class_0": 59, "class_2": 48}
    assert datasets.load("diabetes")["age"].between(19, 79).all()


def test_unknown_names_are_refused_by_name():
    with pytest.raises(DataError, match="'moons'"):
        datasets.toy("moons")
    with pytest.raises(DataError, match="'boston'"):
        datasets.load("boston")
    with pytest.raises(DataError, match="'y' is missing"):
        datasets.toy("ring").log_density(pd.DataFrame({"x": [1.0]}))
