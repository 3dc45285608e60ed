"""How well families learn real tables, judged by boosted trees: fits, samples, and prints the judge's scores.

    python benchmarks/tables.py --family autoregressive --tables adult magic --time 5m --data FOLDER --judge SCRIPT
    python benchmarks/tables.py --family all --tables all --metrics --data FOLDER --judge SCRIPT

Each table is a folder with `train.csv` and `test.csv`. A family is fitted on the training rows alone (it holds some of
them out for itself), as many records are drawn as there are training rows, and the judge, a script called as
`judge generated.csv real.csv`, prints 1 - 2 max(AUC - 0.5, 0): 1 where no classifier tells generated from real. Scores
are against training rows, against the held-out test rows, and, since a judge with fewer rows sees less, against as many
training rows as there are test rows ("c2st_train_equal", the mean of five choices of them). "borrowed_train" is the
score of what a family borrows by itself, such as the base of an energy. Copies are the shares of
generated and of test rows that stand in the training rows, and of training rows that stand there more than once. The
clock of "fit" counts `fit` whole, that of "sample" drawing and decoding. Threads are torch's own default unless
`--threads` says otherwise. With `--part train`, a tenth of the training rows plays the part of the test rows: that is
how defaults are chosen, and `--change families.bayesian_network.hidden_tree.learning.PARTS=4` puts another value in the
place of a constant of the library. `--metrics` adds every figure of `likewise.metrics`, seeded alike.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import itertools
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

import likewise as lw
from likewise.metrics.features import Features
from likewise.metrics.panel import evaluate

# Published scores of the same judge against training rows, five models each (arXiv 2603.23016).
PUBLISHED = {
    "independent columns": {"adult": 0.016, "beijing": 0.017, "default": 0.000, "magic": 0.005, "shoppers": 0.021},
    "CTGAN": {"adult": 0.000, "beijing": 0.000, "default": 0.000, "magic": 0.103, "shoppers": 0.000},
    "TVAE": {"adult": 0.000, "beijing": 0.000, "default": 0.002, "magic": 0.298, "shoppers": 0.000},
    "TabSyn": {"adult": 0.794, "beijing": 0.527, "default": 0.402, "magic": 0.760, "shoppers": 0.655},
    "TabDiff": {"adult": 0.841, "beijing": 0.772, "default": 0.591, "magic": 0.773, "shoppers": 0.736},
    "TabPC": {"adult": 0.855, "beijing": 0.570, "default": 0.262, "magic": 0.860, "shoppers": 0.894},
}

FAMILIES = {card.name: card.estimator for card in lw.families()}

TABLES = ("adult", "beijing", "beijing_missing", "default", "magic", "shoppers")


def judged(script: Path, generated: pd.DataFrame, real: pd.DataFrame, seed: int) -> float:
    """The judge's score, through the files that it reads."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [str(Path(folder) / name) for name in ("generated.parquet", "real.parquet")]
        generated.to_parquet(paths[0])
        real.to_parquet(paths[1])
        command = [sys.executable, str(script), *paths, "--seed", str(seed)]
        return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def copies(rows: pd.DataFrame, train: pd.DataFrame) -> float:
    """The share of rows that stand among the training rows, value for value."""
    known = set(train.itertuples(index=False, name=None))
    return float(np.mean([row in known for row in rows.itertuples(index=False, name=None)]))


def panel(generated: pd.DataFrame, train: pd.DataFrame, test: pd.DataFrame, seed: int) -> dict[str, float | None]:
    """Every figure of the library's own metrics."""
    domain = lw.Table().fit(train)
    found = evaluate(generated, train, test, Features(domain, train), seed=seed)
    return {f"own_{name}": None if one is None else one.value for name, one in found.figures().items()}


def parts_of(table: str, data: Path, part: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Training rows, and the held-out ones: the test rows, or with "train" a tenth of the training rows."""
    train, test = (pd.read_csv(data / table / f"{name}.csv") for name in ("train", "test"))
    if part == "train":
        order = np.random.default_rng(0).permutation(len(train))
        test, train = train.iloc[order[: len(train) // 10]], train.iloc[order[len(train) // 10 :]]
    return train.reset_index(drop=True), test.reset_index(drop=True)


def run(table: str, family: str, seed: int, options: argparse.Namespace) -> dict[str, Any]:
    """One fit: scores, copies, held-out log-likelihood and seconds."""
    train, test = parts_of(table, options.data, options.part)
    settings = dict(pair.split("=", 1) for pair in options.set)
    settings = {
        name: json.loads(value) if value[:1] in "[{0123456789tfn-." else value for name, value in settings.items()
    }
    model = getattr(lw, FAMILIES[family])(random_state=seed, max_time=options.time, **settings)
    start = time.perf_counter()
    model.fit(train)
    fitted = time.perf_counter()
    generated = model.sample(len(train), random_state=seed)
    sampled = time.perf_counter()
    score = model.log_likelihood(test) if hasattr(model, "log_likelihood") else None
    choices = [train.sample(min(len(test), len(train)), random_state=k).reset_index(drop=True) for k in range(5)]
    borrowed = model.sample_borrowed(len(train), random_state=seed) if hasattr(model, "sample_borrowed") else None
    return {
        "table": table,
        "family": family,
        "seed": seed,
        **settings,
        **dict(wanted.split("=", 1) for wanted in options.change),
        "c2st_train": judged(options.judge, generated, train, seed),
        "c2st_heldout": judged(options.judge, generated, test, seed),
        "c2st_train_equal": float(np.mean([judged(options.judge, generated, some, seed) for some in choices])),
        "borrowed_train": None if borrowed is None else judged(options.judge, borrowed, train, seed),
        "copies": copies(generated, train),
        "copies_real": copies(test, train),
        "copies_within": float(train.duplicated(keep=False).mean()),
        "log_likelihood": None if score is None else score.mean,
        "kind": "none" if score is None else score.kind,
        "fit_seconds": fitted - start,
        "sample_seconds": sampled - fitted,
        "steps": model.training_record_.get("steps"),
        "stopped": model.training_record_.get("stopped"),
        "threads": torch.get_num_threads(),
        **(panel(generated, train, test, seed) if options.metrics else {}),
    }


def change(wanted: str) -> None:
    """Puts another value in the place of a constant, as in "families.vae.learning.NAME=3"."""
    path, value = wanted.split("=", 1)
    module, name = path.rsplit(".", 1)
    found = importlib.import_module(f"likewise.{module}")
    getattr(found, name)
    setattr(found, name, ast.literal_eval(value))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--family", choices=[*sorted(FAMILIES), "all"], default="autoregressive")
    parser.add_argument("--tables", nargs="+", choices=[*TABLES, "all"], default=["adult", "shoppers", "magic"])
    parser.add_argument("--metrics", action="store_true", help="the library's own metrics as well")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--time", default="5m", help="the budget of one fit")
    parser.add_argument("--threads", type=int, help="torch threads")
    parser.add_argument("--part", choices=["test", "train"], default="test", help="which rows are held out")
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE", help="constructor arguments of the model")
    parser.add_argument("--change", nargs="*", default=[], metavar="MODULE.NAME=VALUE", help="constants of the library")
    parser.add_argument("--data", type=Path, required=True, metavar="FOLDER", help="with TABLE/{train,test}.csv")
    parser.add_argument("--judge", type=Path, required=True, metavar="SCRIPT")
    parser.add_argument("--json", type=Path, help="appends one line a fit")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    for wanted in options.change:
        change(wanted)
    scores = [
        "c2st_train",
        "borrowed_train",
        "c2st_heldout",
        "c2st_train_equal",
        "copies",
        "copies_real",
        "copies_within",
    ]
    shown = [*scores, "log_likelihood", "fit_seconds", "sample_seconds"]
    families = sorted(FAMILIES) if options.family == "all" else [options.family]
    tables = TABLES if "all" in options.tables else options.tables
    for table, family in itertools.product(tables, families):
        rows = []
        for seed in options.seeds:
            rows.append(run(table, family, seed, options))
            print(json.dumps(rows[-1]), flush=True)
            if options.json:
                with options.json.open("a") as file:
                    file.write(json.dumps(rows[-1]) + "\n")
        frame = pd.DataFrame(rows)
        print(f"\n{family} on {table}: mean (and standard deviation) of {len(rows)} seeds")
        for name in (*shown, *(name for name in frame if name.startswith("own_"))):
            if frame[name].notna().all():
                print(f"  {name:24s} {frame[name].mean():10.4f}  ({frame[name].std(ddof=0):.4f})")
        published = {name: scores[table] for name, scores in PUBLISHED.items() if table in scores}
        print("  published c2st:  " + ", ".join(f"{name} {score:.3f}" for name, score in published.items()) + "\n")


if __name__ == "__main__":
    main()
