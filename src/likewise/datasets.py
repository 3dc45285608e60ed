"""Toys whose densities are known exactly, and scikit-learn's bundled real sets by name.

Everything comes as a pandas data frame. Densities are in nats, in the units of the columns.

Examples
--------
>>> ring = toy("ring")
>>> records = ring.sample(3, random_state=0)
>>> records.shape, ring.log_density(records).shape
((3, 2), (3,))
>>> load("wine")["target"].cat.categories.tolist()
['class_0', 'class_1', 'class_2']
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from likewise.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

Floats = np.ndarray[Any, np.dtype[np.float64]]
Seed = int | np.random.Generator | None


@dataclass(frozen=True, eq=False)
class Toy:
    """A distribution with a known density.

    Attributes
    ----------
    columns : tuple of str
    region : column -> (low, high)
        Where a plot should look, for the numeric columns: all but about a millionth of the mass lies there.
    base_measure : str
        What the density is against.
    modes : float array (modes, columns) or None
        The places of the modes, where there are some to speak of.
    """

    name: str
    columns: tuple[str, ...]
    region: Mapping[str, tuple[float, float]]
    base_measure: str
    modes: Floats | None
    _draw: Callable[[int, np.random.Generator], Mapping[str, Any]]
    _log_density: Callable[[Any], Floats]

    def sample(self, n_samples: int, random_state: Seed = None) -> pd.DataFrame:
        """`n_samples` independent records."""
        import pandas as pd

        return pd.DataFrame(
            dict(self._draw(n_samples, np.random.default_rng(random_state))), columns=list(self.columns)
        )

    def log_density(self, records: pd.DataFrame | Floats) -> Floats:
        """The exact log density of records (n,) float64 in nats; -inf where there is none.

        `records` is a frame with the toy's columns, or an array with them in order where all are numeric.
        """
        import pandas as pd

        frame = records if isinstance(records, pd.DataFrame) else pd.DataFrame(records, columns=list(self.columns))
        missing = [column for column in self.columns if column not in frame.columns]
        if missing:
            raise DataError(
                f"The toy {self.name!r} has a density over {list(self.columns)}; {missing[0]!r} is missing."
            )
        with np.errstate(divide="ignore"):
            return self._log_density(frame)


def _planar(
    name: str,
    spans: tuple[tuple[float, float], ...],
    draw: Callable[[int, np.random.Generator], Floats],
    log_density: Callable[[Floats], Floats],
    modes: Floats | None = None,
) -> Toy:
    """A toy whose columns are all real, one a span, from functions on (n, d) arrays."""
    columns = ("x", "y")[: len(spans)]
    return Toy(
        name,
        columns,
        dict(zip(columns, spans, strict=True)),
        "Lebesgue on " + ", ".join(columns),
        modes,
        lambda n, rng: dict(zip(columns, draw(n, rng).T, strict=True)),
        lambda frame: log_density(frame[list(columns)].to_numpy(np.float64)),
    )


def _log_normal(x: Floats, mean: Any, scale: Any) -> Floats:
    """log N(x; mean, scale^2)."""
    return np.asarray(-0.5 * ((x - mean) / scale) ** 2 - np.log(scale) - 0.5 * math.log(2 * math.pi))


def _gaussians(name: str, span: tuple[float, float], means: Floats, scales: Any, weights: Any = None) -> Toy:
    """A mixture of Gaussians with one scale a component: p(x) = sum_k w_k N(x; m_k, s_k^2 I)."""
    size, dimension = means.shape
    scale = np.broadcast_to(np.asarray(scales, np.float64), size)
    weight = np.full(size, 1 / size) if weights is None else np.asarray(weights, np.float64)

    def draw(n: int, rng: np.random.Generator) -> Floats:
        part = rng.choice(size, n, p=weight)
        return np.asarray(means[part] + scale[part, None] * rng.standard_normal((n, dimension)))

    def log_density(x: Floats) -> Floats:
        parts = _log_normal(x[:, None, :], means, scale[:, None]).sum(2) + np.log(weight)
        return np.asarray(np.logaddexp.reduce(parts, axis=1))

    return _planar(name, (span,) * dimension, draw, log_density, means)


def _two_moons(noise: float = 0.1) -> Toy:
    """Two half circles of radius 1, facing each other, with Gaussian noise.

    p(x) = 1/2 sum_k 1/pi int_0^pi N(x; c_k(t), noise^2 I) dt, the integral by Gauss-Legendre quadrature: with this many
    nodes it is exact to about 1e-12 in the whole region.
    """
    nodes, node_weights = np.polynomial.legendre.leggauss(240)
    log_node_weights = np.log(node_weights / 4)  # dt = pi/2 d node, over pi, over two moons

    def arc(t: Floats, lower: Any) -> Floats:
        """Points of the upper moon, or of the lower one: its half turn about (1/2, 1/4)."""
        x, y = np.cos(t), np.sin(t)
        return np.stack([np.where(lower, 1 - x, x), np.where(lower, 0.5 - y, y)], axis=-1)

    centres = np.concatenate([arc(math.pi / 2 * (nodes + 1), lower) for lower in (False, True)])

    def draw(n: int, rng: np.random.Generator) -> Floats:
        points = arc(rng.uniform(0, math.pi, n), rng.random(n) < 0.5)
        return np.asarray(points + noise * rng.standard_normal((n, 2)))

    def log_density(x: Floats) -> Floats:
        out = np.empty(len(x))
        for start in range(0, len(x), 4096):  # 4096 x 480 distances at a time
            rows = slice(start, start + 4096)
            parts = _log_normal(x[rows, None, :], centres, noise).sum(2) + np.tile(log_node_weights, 2)
            out[rows] = np.logaddexp.reduce(parts, axis=1)
        return out

    return _planar("two_moons", ((-1.6, 2.6), (-1.1, 1.6)), draw, log_density)


def _pinwheel(arms: int = 5, twist: float = 0.25) -> Toy:
    """Gaussian arms around a hub, turned by an angle that grows with the radius (after Johnson et al. 2016).

    A turn by an angle that depends on the radius alone keeps areas, so p(x) is the density of the straight arms at the
    point turned back.
    """
    mean, scale = np.array([1.0, 0.0]), np.array([0.3, 0.1])
    starts = 2 * math.pi * np.arange(arms) / arms

    def turn(x: Floats, angle: Floats) -> Floats:
        cos, sin = np.cos(angle), np.sin(angle)
        return np.stack([cos * x[..., 0] - sin * x[..., 1], sin * x[..., 0] + cos * x[..., 1]], axis=-1)

    def swirl(x: Floats) -> Floats:
        return np.asarray(twist * np.exp(np.linalg.norm(x, axis=-1)))

    def draw(n: int, rng: np.random.Generator) -> Floats:
        x = mean + scale * rng.standard_normal((n, 2))
        return turn(x, rng.choice(starts, n) + swirl(x))

    def log_density(x: Floats) -> Floats:
        back = turn(x[:, None, :], -starts - swirl(x)[:, None])
        parts = _log_normal(back, mean, scale).sum(2) - math.log(arms)
        return np.asarray(np.logaddexp.reduce(parts, axis=1))

    return _planar("pinwheel", ((-2.6, 2.6), (-2.6, 2.6)), draw, log_density)


def _checkerboard(squares: int = 4, side: float = 2.0) -> Toy:
    """Uniform on the dark squares of a board centred at the origin."""
    half = squares * side / 2
    dark = np.array([(i, j) for i in range(squares) for j in range(squares) if (i + j) % 2 == 0])

    def draw(n: int, rng: np.random.Generator) -> Floats:
        return np.asarray((rng.choice(dark, n) + rng.random((n, 2))) * side - half)

    def log_density(x: Floats) -> Floats:
        cell = np.floor((x + half) / side)
        inside = ((cell >= 0) & (cell < squares)).all(1) & (cell.sum(1) % 2 == 0)
        return np.where(inside, -math.log(len(dark) * side**2), -np.inf)

    return _planar("checkerboard", ((-half - 0.5, half + 0.5),) * 2, draw, log_density)


def _banana() -> Toy:
    """A Gaussian bent along a parabola: x ~ N(0, 1), y | x ~ N(x^2 - 1, (1/2)^2)."""

    def draw(n: int, rng: np.random.Generator) -> Floats:
        x = rng.standard_normal(n)
        return np.stack([x, x**2 - 1 + 0.5 * rng.standard_normal(n)], axis=1)

    def log_density(x: Floats) -> Floats:
        return _log_normal(x[:, 0], 0.0, 1.0) + _log_normal(x[:, 1], x[:, 0] ** 2 - 1, 0.5)

    return _planar("banana", ((-5.0, 5.0), (-3.5, 25.0)), draw, log_density)


_GROUPS = ("north", "south", "west")
_GROUP_SHARE = np.array([0.5, 0.3, 0.2])
_STATE_SHARE = np.array([[0.3, 0.6, 0.1], [0.6, 0.3, 0.1], [0.1, 0.5, 0.4]])  # group x (value, zero, missing)
_AMOUNT_CENTRE, _AMOUNT_SCALE = np.array([1.0, 2.0, 0.0]), 0.5
_VISIT_SHARE = np.array([[0.2, 0.5, 0.4], [0.3, 0.7, 0.5], [0.6, 0.8, 0.1]])  # group x state
_VISITS = 6


def _mixed() -> Toy:
    """A category, a value with a spike at zero and missing cells, and a count, each depending on those before it.

    `group` is one of three; `amount | group` is zero, missing or log-normal; `visits | group, state of amount` is
    binomial. The density is the product of the three.
    """
    binomial = np.array([math.comb(_VISITS, k) for k in range(_VISITS + 1)], np.float64)

    def draw(n: int, rng: np.random.Generator) -> Mapping[str, Any]:
        import pandas as pd

        group = rng.choice(3, n, p=_GROUP_SHARE)
        state = (rng.random(n)[:, None] > _STATE_SHARE.cumsum(1)[group, :2]).sum(1)
        value = np.exp(_AMOUNT_CENTRE[group] + _AMOUNT_SCALE * rng.standard_normal(n))
        return {
            "group": pd.Categorical.from_codes(group, list(_GROUPS)),
            "amount": np.choose(state, [value, np.zeros(n), np.full(n, np.nan)]),
            "visits": rng.binomial(_VISITS, _VISIT_SHARE[group, state]),
        }

    def log_density(frame: Any) -> Floats:
        names = frame["group"].astype(object).to_numpy()
        known = np.isin(names, _GROUPS)
        group = np.array([_GROUPS.index(name) if ok else 0 for name, ok in zip(names, known, strict=True)], np.int64)
        amount = frame["amount"].to_numpy(np.float64)
        state = np.select([np.isnan(amount), amount == 0], [2, 1], 0)
        visits = frame["visits"].to_numpy(np.float64)
        valid = known & np.isin(visits, np.arange(_VISITS + 1)) & ~(amount < 0) & ~np.isinf(amount)
        count = np.where(valid, visits, 0).astype(np.int64)
        safe = np.where((state == 0) & valid, amount, 1.0)
        log_value = _log_normal(np.log(safe), _AMOUNT_CENTRE[group], _AMOUNT_SCALE) - np.log(safe)
        share = _VISIT_SHARE[group, state]
        total = (
            np.log(_GROUP_SHARE[group])
            + np.log(_STATE_SHARE[group, state])
            + np.where(state == 0, log_value, 0.0)
            + np.log(binomial[count])
            + count * np.log(share)
            + (_VISITS - count) * np.log1p(-share)
        )
        return np.where(valid, total, -np.inf)

    region = {"amount": (0.0, 80.0), "visits": (0.0, float(_VISITS))}
    return Toy(
        "mixed",
        ("group", "amount", "visits"),
        region,
        "Lebesgue on amount, counting elsewhere",
        None,
        draw,
        log_density,
    )


def _ring_of_eight() -> Toy:
    angles = 2 * math.pi * np.arange(8) / 8
    return _gaussians("ring", (-2.6, 2.6), 2 * np.stack([np.cos(angles), np.sin(angles)], axis=1), 0.1)


def _grid_of_25() -> Toy:
    places = np.stack(np.meshgrid(np.arange(-4.0, 5, 2), np.arange(-4.0, 5, 2)), axis=-1).reshape(-1, 2)
    return _gaussians("grid", (-4.5, 4.5), places, 0.05)


_TOYS: dict[str, Callable[[], Toy]] = {
    "one_mode": lambda: _gaussians("one_mode", (-1.0, 5.0), np.array([[2.0]]), 0.5),
    "two_modes": lambda: _gaussians(
        "two_modes", (-5.0, 6.0), np.array([[-2.0], [1.5]]), np.array([0.5, 0.8]), np.array([0.6, 0.4])
    ),
    "one_blob": lambda: _gaussians("one_blob", (0.0, 4.0), np.array([[2.0, 2.0]]), 0.3),
    "two_blobs": lambda: _gaussians("two_blobs", (-4.0, 4.0), np.array([[-2.0, -2.0], [2.0, 2.0]]), 0.3),
    "ring": _ring_of_eight,
    "grid": _grid_of_25,
    "two_moons": _two_moons,
    "pinwheel": _pinwheel,
    "checkerboard": _checkerboard,
    "banana": _banana,
    "mixed": _mixed,
}

TOYS = tuple(_TOYS)
"""The names of the toys."""


def toy(name: str) -> Toy:
    """The toy called `name`, one of `TOYS`; DataError when there is none."""
    if name not in _TOYS:
        raise DataError(f"There is no toy called {name!r}; there are {', '.join(TOYS)}.")
    return _TOYS[name]()


# -------------------------------------------------------------------------------------------------------- bundled sets

BUNDLED = ("breast_cancer", "diabetes", "digits", "iris", "linnerud", "wine")
"""The names of scikit-learn's bundled real sets."""


def load(name: str) -> pd.DataFrame:
    """The bundled set called `name`, one of `BUNDLED`, as a data frame; DataError when there is none.

    Columns that scikit-learn stores as floats although they are counts come as integers, and classes come as a
    categorical column `target` under their names.
    """
    from sklearn import datasets as bundled

    if name not in BUNDLED:
        raise DataError(f"There is no bundled set called {name!r}; there are {', '.join(BUNDLED)}.")
    import pandas as pd

    # The diabetes set comes standardised unless asked otherwise; here it stays in the units it was measured in.
    options = {"scaled": False} if name == "diabetes" else {}
    found = getattr(bundled, f"load_{name}")(as_frame=True, **options)
    frame = found.frame.copy()
    names = found.get("target_names")
    if "target" in frame.columns and names is not None:
        frame["target"] = pd.Categorical.from_codes(frame["target"].to_numpy(), [str(one) for one in names])
    for column in frame.columns.drop("target", errors="ignore"):
        values = frame[column]
        if (values == values.round()).all():
            frame[column] = values.astype("int64")
    return frame
