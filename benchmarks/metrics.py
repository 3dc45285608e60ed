#!/usr/bin/env python
"""Every measure of the panel on generators known to be good or bad: figures, seconds of each part, peak memory.

    python benchmarks/metrics.py --data FOLDER                  # FOLDER/adult/{train,test}.csv, 2 threads
    python benchmarks/metrics.py --data FOLDER --table magic --judge c2st.py --part train
    python benchmarks/metrics.py --pairs 100000                 # memory and seconds of 100k x 100k distances

Bad generators are those of `planted.py`: of the training rows one half stays training, faults are planted in the other.
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
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from planted import PLANTED, halves
from threadpoolctl import threadpool_limits

from likewise.domains.table import Table
from likewise.metrics.distances import discrepancies, neighbours
from likewise.metrics.features import Features
from likewise.metrics.panel import PARTS, evaluate


def judged(script: Path, generated: pd.DataFrame, real: pd.DataFrame) -> float:
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
        train, test = halves(train, options.seed)
    train, fresh = halves(train, options.seed)
    start = time.perf_counter()
    features = Features(Table().fit(train), train)
    print(f"schema and scales: {time.perf_counter() - start:.1f} s", flush=True)
    for name in options.generators:
        held_out = test
        if name == "real":
            generated, held_out = test.iloc[::2], test.iloc[1::2]
        else:
            generated = PLANTED[name](train, fresh, np.random.default_rng(options.seed))
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
    parser.add_argument("--generators", nargs="+", default=["real", *PLANTED], choices=["real", *PLANTED])
    parser.add_argument("--parts", nargs="+", default=list(PARTS), choices=list(PARTS))
    parser.add_argument("--part", choices=["test", "train"], default="test", help="which rows are held out")
    parser.add_argument("--judge", type=Path, metavar="SCRIPT")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--pairs", type=int, metavar="N", help="only distances between N and N points")
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
