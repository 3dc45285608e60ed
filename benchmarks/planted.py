"""Bad generators, each with a fault that some metric forgives, on a board beside honest models.

    python benchmarks/planted.py --toys ring mixed --time 1m
    python benchmarks/planted.py --data FOLDER --tables adult --toys   # FOLDER/adult/{train,test}.csv, and no toy

Training rows are split into two halves: models learn from one; faults are planted in the other, fresh records, so that
outliers, say, are not copies besides. Only the copies are of the half that models learn from. The test rows are held
out. Of a toy each part is drawn anew. Told are the board with its verdicts, and of every planted generator whether it
stands below all honest models, and whether its verdict names its fault; the exit status is 1 where one does not. An
honest model that had too little time may rightly stand below a planted one: it is told which of them are spoilt
themselves, having lost more than three tenths of their score to strays, omissions or copies.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import likewise as lw
from likewise.board.verdict import SPOILT

Rng = np.random.Generator


def _numbers(frame: pd.DataFrame) -> list[str]:
    return [name for name in frame if pd.api.types.is_numeric_dtype(frame[name])]


def independent(train: pd.DataFrame, fresh: pd.DataFrame, rng: Rng) -> pd.DataFrame:
    """Every column from a record of its own."""
    return pd.DataFrame({name: fresh[name].to_numpy()[rng.permutation(len(fresh))] for name in fresh})


def gaussian(train: pd.DataFrame, fresh: pd.DataFrame, rng: Rng) -> pd.DataFrame:
    """One Gaussian for all numbers; every category from a record of its own."""
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
    return kept.sample(len(fresh), replace=len(kept) < len(fresh), random_state=rng).reset_index(drop=True)


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
    made = train.sample(len(fresh), replace=len(fresh) > len(train), random_state=rng).reset_index(drop=True)
    for name in _numbers(made):
        noise = 0.002 * train[name].std() * rng.standard_normal(len(made))
        whole = pd.api.types.is_integer_dtype(made[name])
        made[name] = made[name] + (np.rint(noise).astype(np.int64) if whole else noise)
    return made


def copies(train: pd.DataFrame, fresh: pd.DataFrame, rng: Rng) -> pd.DataFrame:
    """Training records."""
    return train.sample(len(fresh), replace=len(fresh) > len(train), random_state=rng).reset_index(drop=True)


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

FAULTS = {
    "independent columns": "independent of each other",
    "one Gaussian": "lie where no real ones do",
    "a dropped mode": "leaves out a part of the data",
    "some outliers": "outliers",
    "copies with noise": "copies of training records",
    "copies": "a copy of the training data",
    "sorted columns": "ties columns together that are not",
}
"""Name -> what a verdict has to say."""


def planted(train: pd.DataFrame, fresh: pd.DataFrame, seed: int) -> dict[str, pd.DataFrame]:
    """Name -> bad records, as many as there are fresh ones."""
    return {name: make(train, fresh, np.random.default_rng(seed)) for name, make in PLANTED.items()}


def halves(records: pd.DataFrame, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Training records and fresh ones, chosen at random."""
    order = np.random.default_rng(seed).permutation(len(records))
    train, fresh = (records.iloc[part].reset_index(drop=True) for part in np.array_split(order, 2))
    return train, fresh


def shortcomings(rows: list[dict[str, Any]]) -> dict[str, list[str]]:
    """Name of a planted generator -> what the board gets wrong about it; nothing where all is well.

    `rows` are those of a `Comparison`.
    """
    found = {row["model"]: row for row in rows if row["rank"] is not None}
    honest = sorted(set(found) - set(PLANTED))
    told: dict[str, list[str]] = {name: [] for name in PLANTED}
    for name, wrong in told.items():
        if name not in found:
            wrong.append("failed")
            continue
        wrong += [f"stands above {other}" for other in honest if found[other]["rank"] > found[name]["rank"]]
        if FAULTS[name] not in found[name]["verdict"]:
            wrong.append(f'its verdict does not say "{FAULTS[name]}"')
    return told


def spoilt(rows: list[dict[str, Any]]) -> set[str]:
    """The honest models that lost more than three tenths of their score to strays, omissions and copies."""
    ranked = [row for row in rows if row["rank"] is not None and row["model"] not in PLANTED]
    return {row["model"] for row in ranked if row["plausible"] * row["complete"] * row["fresh"] < SPOILT}


def judge(name: str, parts: tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame], options: argparse.Namespace) -> bool:
    """Prints a board of training, fresh and held-out records; whether it is right about every planted generator."""
    train, fresh, held_out = parts
    print(f"\n{name}: {len(train)} training, {len(fresh)} fresh, {len(held_out)} held-out records", flush=True)
    board = lw.compare(
        train,
        families=options.families,
        max_time=options.time,
        samples=planted(train, fresh, options.seed),
        holdout=held_out,
        max_rows=options.rows,
        random_state=options.seed,
        device="cpu",
    )
    print(f"\n{board}\n")
    told = shortcomings(board.rows)
    for generator, wrong in told.items():
        print(f"{generator}: {'; '.join(wrong) or 'below every honest model, its fault named'}")
    for model in sorted(spoilt(board.rows)):
        print(f"{model} is spoilt itself")
    for model, reason in board.failures.items():
        print(f"{model} failed: {reason}")
    return not any(told.values()) and not board.failures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--toys", nargs="*", default=["ring", "mixed"], choices=lw.datasets.TOYS)
    parser.add_argument("--records", type=int, default=2_000, help="of a toy, in each of its three parts")
    parser.add_argument("--tables", nargs="*", default=[], metavar="TABLE")
    parser.add_argument("--data", type=Path, metavar="FOLDER", help="with TABLE/{train,test}.csv")
    parser.add_argument("--families", nargs="+", metavar="FAMILY", help="the honest models; all families by default")
    parser.add_argument("--time", default="1m", help="for all fits of one board together")
    parser.add_argument("--rows", type=int, default=5_000, help="at most so many records of each are judged")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if options.tables and options.data is None:
        parser.error("--tables needs --data")
    right = []
    for name in options.toys:
        toy, seeds = lw.datasets.toy(name), np.random.default_rng(options.seed).spawn(3)
        train, fresh, held_out = (toy.sample(options.records, random_state=one) for one in seeds)
        right.append(judge(name, (train, fresh, held_out), options))
    for name in options.tables:
        train, fresh = halves(pd.read_csv(options.data / name / "train.csv"), options.seed)
        right.append(judge(name, (train, fresh, pd.read_csv(options.data / name / "test.csv")), options))
    raise SystemExit(0 if all(right) else 1)


if __name__ == "__main__":
    main()
