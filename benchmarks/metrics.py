#!/usr/bin/env python
"""Every measure of the panel on generators known to be good or bad: figures, seconds of each part, peak memory.

    python benchmarks/metrics.py --data FOLDER                  # FOLDER/adult/{train,test}.csv, 2 threads
    python benchmarks/metrics.py --data FOLDER --table magic --judge c2st.py --part train
    python benchmarks/metrics.py --pairs 100000                 # memory and seconds of 100k x 100k distances
    python benchmarks/metrics.py --data FOLDER --write PLANTED  # bad generators as files for `compare --samples`

The clock includes reading data frames into features and all parts of `evaluate`, not the making of the records. The row
`real` takes half of the held-out records for generated ones. With `--judge`, the score of that script against training
records stands beside ours. Peak memory is of the whole process, imports included.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from threadpoolctl import threadpool_limits

from likewise.domains.table import Table
from likewise.metrics.distances import discrepancies, neighbours
from likewise.metrics.features import Features
from likewise.metrics.panel import PARTS, evaluate

Frame = pd.DataFrame


def independent(train: Frame, rng: np.random.Generator) -> Frame:
    """Each column drawn by itself."""
    return Frame({name: train[name].to_numpy()[rng.integers(len(train), size=len(train))] for name in train})


def copied(train: Frame, rng: np.random.Generator) -> Frame:
    """The training records in another order."""
    return train.iloc[rng.permutation(len(train))].reset_index(drop=True)


def gaussian(train: Frame, rng: np.random.Generator) -> Frame:
    """One Gaussian over numbers and one-hot categories."""
    numbers = train.select_dtypes("number")
    categories = train.drop(columns=numbers.columns).astype(str)
    wide = pd.concat([numbers, pd.get_dummies(categories, prefix_sep="\\0", dtype=float)], axis=1)
    drawn = Frame(rng.multivariate_normal(wide.mean(), wide.cov(), len(train)), columns=wide.columns)
    made = {}
    for name in train:
        if name in numbers:
            low, high = train[name].min(), train[name].max()
            made[name] = drawn[name].clip(low, high).round().astype(train[name].dtype)
            if train[name].dtype.kind == "f":
                made[name] = drawn[name].clip(low, high)
            continue
        own = [column for column in wide if column.startswith(f"{name}\\0")]
        made[name] = drawn[own].idxmax(axis=1).str.removeprefix(f"{name}\\0").astype(categories[name].dtype)
    return Frame(made).astype({name: train[name].dtype for name in categories})


def dropped(train: Frame, rng: np.random.Generator) -> Frame:
    """Real records without those of the second most frequent state of one column."""
    states = min(
        (train[name].value_counts(normalize=True) for name in train if 2 <= train[name].nunique() <= 50),
        key=lambda shares: abs(shares.iloc[1] - 0.2),
    )
    kept = train[train[states.index.name] != states.index[1]]
    return kept.iloc[rng.integers(len(kept), size=len(train))].reset_index(drop=True)


def outliers(train: Frame, rng: np.random.Generator) -> Frame:
    """Real records, 5% of which have numbers at, or beyond, the ends of their range."""
    made = copied(train, rng)
    rows = rng.permutation(len(made))[: len(made) // 20]
    for name in made.select_dtypes("number"):
        ends = np.array([train[name].min(), train[name].max()])
        wide = ends + np.array([-0.5, 0.5]) * np.ptp(ends)
        made.loc[rows, name] = rng.choice(wide, len(rows)).astype(made[name].dtype)
    return made


def noisy(train: Frame, rng: np.random.Generator) -> Frame:
    """Training records with noise of 1% of a standard deviation on every number."""
    made = copied(train, rng)
    for name in made.select_dtypes("number"):
        moved = made[name] + 0.01 * train[name].std() * rng.normal(size=len(made))
        made[name] = (moved.round() if made[name].dtype.kind == "i" else moved).astype(made[name].dtype)
    return made


def ordered(train: Frame, rng: np.random.Generator) -> Frame:
    """Each column sorted by itself."""
    return Frame({name: np.sort(train[name].to_numpy()) for name in train})


GENERATORS: dict[str, Callable[[Frame, np.random.Generator], Frame]] = {
    "independent": independent,
    "copy": copied,
    "gaussian": gaussian,
    "dropped": dropped,
    "outliers": outliers,
    "noisy copy": noisy,
    "sorted": ordered,
}


def judged(script: Path, generated: Frame, real: Frame) -> float:
    """The judge's score, through the files that it reads."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [str(Path(folder) / name) for name in ("generated.parquet", "real.parquet")]
        generated.to_parquet(paths[0])
        real.to_parquet(paths[1])
        out = subprocess.run([sys.executable, str(script), *paths], check=True, capture_output=True, text=True)
    return float(out.stdout)


def peak() -> float:
    """Peak memory of this process in GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def panels(options: argparse.Namespace) -> None:
    train = pd.read_csv(options.data / options.table / "train.csv")
    test = pd.read_csv(options.data / options.table / "test.csv")
    if options.part == "train":
        order = np.random.default_rng(0).permutation(len(train))
        train, test = (train.iloc[part].reset_index(drop=True) for part in np.array_split(order, 2))
    if options.write:
        options.write.mkdir(parents=True, exist_ok=True)
        for name in [name for name in options.generators if name != "real"]:
            made = GENERATORS[name](train, np.random.default_rng(options.seed))
            made.to_csv(options.write / f"{name.replace(' ', '_')}.csv", index=False)
        return
    start = time.perf_counter()
    features = Features(Table().fit(train), train)
    print(f"schema and scales: {time.perf_counter() - start:.1f} s", flush=True)
    for name in options.generators:
        held_out = test
        if name == "real":
            generated, held_out = test.iloc[::2], test.iloc[1::2]
        else:
            generated = GENERATORS[name](train, np.random.default_rng(options.seed))
        seconds, figures, busy = {}, {}, time.process_time()
        sources = [features.domain.read(part) for part in (generated, train, held_out)]
        for part in options.parts:
            start = time.perf_counter()
            panel = evaluate(*sources, features, seed=options.seed, parts=[part])
            seconds[part] = time.perf_counter() - start
            figures |= {field: found for field, found in panel.figures().items() if found is not None}
        print(f"\n{name}: {len(generated)} generated, {len(train)} training, {len(held_out)} held-out records")
        for field, found in figures.items():
            print(f"  {field:18s} {found.value:8.4f}  [{found.low:.4f}, {found.high:.4f}]")
        if options.judge:
            print(f"  judge against training records: {judged(options.judge, generated, train):.4f}")
        busy = time.process_time() - busy
        named = ", ".join(f"{part} {spent:.1f}" for part, spent in seconds.items())
        print(
            f"  {sum(seconds.values()):.1f} s in all ({named})\n  {busy:.1f} s of processor; peak {peak():.2f} GB",
            flush=True,
        )
        if options.json:
            row = {field: [found.value, found.low, found.high] for field, found in figures.items()}
            with options.json.open("a") as file:
                file.write(json.dumps({"table": options.table, "generator": name, "seconds": seconds, **row}) + "\n")


def pairs_of(size: int, width: int = 64) -> None:
    rng = np.random.default_rng(0)
    a, b = (rng.normal(size=(size, width)).astype(np.float32) for _ in range(2))
    for task in (lambda: neighbours(a, b, 5), lambda: discrepancies(a, b)):
        start = time.perf_counter()
        task()
        print(f"{size} x {size} x {width}: {time.perf_counter() - start:.0f} s, peak {peak():.2f} GB", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, metavar="FOLDER", help="with TABLE/{train,test}.csv")
    parser.add_argument("--table", default="adult")
    parser.add_argument("--generators", nargs="+", default=["real", *GENERATORS], choices=["real", *GENERATORS])
    parser.add_argument("--parts", nargs="+", default=list(PARTS), choices=list(PARTS))
    parser.add_argument("--part", choices=["test", "train"], default="test", help="which rows are held out")
    parser.add_argument("--judge", type=Path, metavar="SCRIPT")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--pairs", type=int, metavar="N", help="only distances between N and N points")
    parser.add_argument("--write", type=Path, metavar="FOLDER", help="only writes what bad generators make")
    parser.add_argument("--json", type=Path, help="appends one line a generator")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    with threadpool_limits(options.threads):
        if options.pairs:
            pairs_of(options.pairs)
        elif options.data:
            panels(options)
        else:
            parser.error("one of --data and --pairs is needed")


if __name__ == "__main__":
    main()
