"""Bad generators, each with a fault that some metric forgives, made from fresh records rather than from training."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

Rng = np.random.Generator


def _numbers(frame: pd.DataFrame) -> list[str]:
    return [name for name in frame if pd.api.types.is_numeric_dtype(frame[name])]


def independent(train: pd.DataFrame, fresh: pd.DataFrame, rng: Rng) -> pd.DataFrame:
    """Every column from a record of its own."""
    return pd.DataFrame({name: fresh[name].to_numpy()[rng.permutation(len(fresh))] for name in fresh})


def gaussian(train: pd.DataFrame, fresh: pd.DataFrame, rng: Rng) -> pd.DataFrame:
    """One Gaussian for all numbers; categories as they are most often."""
    names = _numbers(train)
    numbers = train[names].astype(float).fillna(train[names].mean())
    drawn = rng.multivariate_normal(numbers.mean(), np.atleast_2d(np.cov(numbers.T)), len(fresh))
    made = independent(train, fresh, rng)
    for i, name in enumerate(names):
        values = drawn[:, i]
        whole = pd.api.types.is_integer_dtype(train[name])
        made[name] = np.rint(values).astype(np.int64) if whole else values
    return made


def dropped_mode(train: pd.DataFrame, fresh: pd.DataFrame, rng: Rng) -> pd.DataFrame:
    """One of the modes, or one category, never occurs."""
    names = [name for name in fresh if name not in _numbers(fresh)]
    if names:
        shares = fresh[names[-1]].astype(str).value_counts(normalize=True)
        kept = fresh[fresh[names[-1]].astype(str) != shares.index[-1]]
    else:
        angle = np.arctan2(fresh.iloc[:, 1], fresh.iloc[:, 0])
        kept = fresh[np.abs(angle) > np.pi / 8]
    return kept.sample(len(fresh), replace=len(kept) < len(fresh), random_state=0).reset_index(drop=True)


def outliers(train: pd.DataFrame, fresh: pd.DataFrame, rng: Rng) -> pd.DataFrame:
    """One record in twenty lies far away."""
    made = fresh.copy().reset_index(drop=True)
    rows = rng.choice(len(made), len(made) // 20, replace=False)
    for name in _numbers(made):
        low, high = made[name].min(), made[name].max()
        values = rng.uniform(low - 2 * (high - low), high + 2 * (high - low), len(rows))
        made.loc[rows, name] = np.rint(values) if pd.api.types.is_integer_dtype(made[name]) else values
    return made


def noisy_copies(train: pd.DataFrame, fresh: pd.DataFrame, rng: Rng) -> pd.DataFrame:
    """Training records with a little noise on every number."""
    made = train.sample(len(fresh), replace=len(fresh) > len(train), random_state=1).reset_index(drop=True)
    for name in _numbers(made):
        noise = 0.002 * train[name].std() * rng.standard_normal(len(made))
        whole = pd.api.types.is_integer_dtype(made[name])
        made[name] = made[name] + (np.rint(noise).astype(np.int64) if whole else noise)
    return made


def copies(train: pd.DataFrame, fresh: pd.DataFrame, rng: Rng) -> pd.DataFrame:
    """Training records."""
    return train.sample(len(fresh), replace=len(fresh) > len(train), random_state=2).reset_index(drop=True)


def sorted_columns(train: pd.DataFrame, fresh: pd.DataFrame, rng: Rng) -> pd.DataFrame:
    """Every column sorted by itself, so that all rise together."""
    return pd.DataFrame({name: fresh[name].sort_values(ignore_index=True, na_position="first") for name in fresh})


PLANTED: dict[str, Callable[[pd.DataFrame, pd.DataFrame, Rng], pd.DataFrame]] = {
    "independent columns": independent,
    "one Gaussian": gaussian,
    "a dropped mode": dropped_mode,
    "some outliers": outliers,
    "copies with noise": noisy_copies,
    "copies": copies,
    "sorted columns": sorted_columns,
}
"""Name -> what makes records from training records and fresh ones."""

COPIES = ("copies with noise", "copies")
