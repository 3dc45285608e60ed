"""Whether the defaults of `Autoregressive` are the best choice: one setting at a time is changed, and the fit repeated.

    python benchmarks/defaults.py --tables shoppers magic --max-steps 1000 --data FOLDER --json defaults.jsonl

Each table is a folder with `train.csv`; a tenth of its rows is held out, test rows are never looked at. Printed are the
mean held-out log-likelihood in nats a record, less that of the defaults (positive is better), and the seconds of the
fit. Steps are fixed rather than time, so that a busy machine changes nothing but the seconds.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

import likewise as lw

VARIATIONS: dict[str, tuple[Any, ...]] = {
    "n_orders": (1, 4),
    "width": (96, 192),
    "hidden": (128, 384),
    "layers": (2, 4),
    "dropout": (0.0, 0.2),
    "components": (8, 24),
    "learning_rate": (1e-3, 4e-3),
    "weight_decay": (0.0, 0.1),
    "batch_size": (256, 1024),
}
"""Setting -> what is tried in the place of its default."""


def fit(train: pd.DataFrame, held_out: pd.DataFrame, options: argparse.Namespace, **settings: Any) -> dict[str, Any]:
    """The held-out log-likelihood of one fit, its standard error, and seconds."""
    model = lw.Autoregressive(random_state=options.seed, max_steps=options.max_steps, **settings)
    start = time.perf_counter()
    model.fit(train)
    seconds = time.perf_counter() - start
    return {"values": model.score_samples(held_out), "seconds": seconds, "steps": model.training_record_["steps"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", nargs="+", default=["shoppers", "magic"])
    parser.add_argument("--settings", nargs="+", choices=sorted(VARIATIONS), default=list(VARIATIONS))
    parser.add_argument("--max-steps", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1, help="torch threads")
    parser.add_argument("--data", type=Path, required=True, metavar="FOLDER", help="with TABLE/train.csv")
    parser.add_argument("--json", type=Path, help="appends one line a fit")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    for table in options.tables:
        records = pd.read_csv(options.data / table / "train.csv")
        order = np.random.default_rng(0).permutation(len(records))
        held_out, train = (records.iloc[part].reset_index(drop=True) for part in np.split(order, [len(records) // 10]))
        base = fit(train, held_out, options)
        print(f"{table}: defaults {base['values'].mean():.3f} nats a record, {base['seconds']:.0f} s", flush=True)
        for name in options.settings:
            for value in VARIATIONS[name]:
                found = fit(train, held_out, options, **{name: value})
                gain = found["values"] - base["values"]
                row = {
                    "table": table,
                    "setting": name,
                    "value": value,
                    "gain": float(gain.mean()),
                    "standard_error": float(gain.std() / len(gain) ** 0.5),
                    "relative_seconds": found["seconds"] / base["seconds"],
                    "steps": found["steps"],
                }
                print(
                    f"  {name + ' ' + str(value):22s} {row['gain']:+.3f} +/- {row['standard_error']:.3f}"
                    f"   {row['relative_seconds']:.2f} times the seconds",
                    flush=True,
                )
                if options.json:
                    with options.json.open("a") as file:
                        file.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main()
