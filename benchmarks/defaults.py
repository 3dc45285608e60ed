"""Whether the defaults of a family are the best choice: one setting at a time is changed, and the fit repeated.

    python benchmarks/defaults.py --family flow --max-steps 400 --data FOLDER --judge SCRIPT --json defaults.jsonl
    python benchmarks/defaults.py --summary defaults.jsonl

Each table is a folder with `train.csv`; a tenth of its rows is held out, test rows are never looked at. Printed are the
mean held-out log-likelihood (or its bound) in nats a record, less that of the defaults (positive is better), the
judge's score of a sample against the training rows and against the held-out ones, where a judge is given (see
`tables.py`), less that of the defaults, and the seconds of the fit. Steps are fixed rather than time, so that a busy
machine changes nothing but the seconds. `--summary` prints how each change did on every table from what earlier runs
wrote. What stands in the file of `--json` is not run again.
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
from tables import TABLES, judged

import likewise as lw

FAMILIES = {card.name: card.estimator for card in lw.families()}

VARIATIONS: dict[str, dict[str, tuple[Any, ...]]] = {
    "autoregressive": {
        "n_orders": (1, 4),
        "width": (96, 192),
        "hidden": (128, 384),
        "layers": (2, 4),
        "dropout": (0.0, 0.2),
        "components": (8, 24),
        "learning_rate": (1e-3, 4e-3),
        "weight_decay": (0.0, 0.1),
        "batch_size": (256, 1024),
    },
    "flow": {
        "architecture": ("maf",),
        "blocks": (3, 6),
        "bumps": (8,),
        "bins": (8,),
        "base": ("student",),
        "width": (192,),
        "dropout": (0.0, 0.2),
        "code_dropout": (0.3,),
        "learning_rate": (1e-3, 4e-3),
        "weight_decay": (0.1,),
    },
    "vae": {
        "latent": (8, 32),
        "prior": ("flow",),
        "prior_components": (512,),
        "beta": (0.4, 1.0),
        "hidden_share": (0.3,),
        "hidden": (512,),
        "dropout": (0.1, 0.2),
        "learning_rate": (1e-3, 4e-3),
    },
}
"""Family -> setting -> what is tried in the place of its default."""

HELD_OUT = 2000
"""Held-out records that are scored, at most."""


def fit(table: str, options: argparse.Namespace, **settings: Any) -> dict[str, Any]:
    """Held-out log-likelihood with its standard error, the judge's score, seconds and steps of one fit."""
    records = pd.read_csv(options.data / table / "train.csv")
    order = np.random.default_rng(0).permutation(len(records))
    held_out, train = (records.iloc[part].reset_index(drop=True) for part in np.split(order, [len(records) // 10]))
    model = getattr(lw, FAMILIES[options.family])(random_state=options.seed, max_steps=options.max_steps, **settings)
    start = time.perf_counter()
    model.fit(train)
    seconds = time.perf_counter() - start
    values = model.score_samples(held_out.iloc[:HELD_OUT])
    found = {"table": table, "family": options.family, "settings": settings, "seed": options.seed}
    found |= {"log_likelihood": float(np.mean(values)), "standard_error": float(np.std(values) / len(values) ** 0.5)}
    if options.judge is not None:
        sample = model.sample(len(train), random_state=options.seed)
        found["judge"] = judged(options.judge, sample, train, options.seed)
        found["judge_held_out"] = judged(options.judge, sample, held_out, options.seed)
    return found | {"seconds": seconds, "steps": model.training_record_["steps"]}


def told(settings: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in settings.items()) or "defaults"


def summary(rows: list[dict[str, Any]]) -> None:
    """Each change on every table: gain in nats and in the judge's score."""
    frame = pd.DataFrame([{**row, "settings": told(row["settings"])} for row in rows])
    for family, part in frame.groupby("family"):
        for figure in ("log_likelihood", "judge", "judge_held_out"):
            if figure not in part or part[figure].isna().all():
                continue
            table = part.pivot_table(index="settings", columns="table", values=figure, sort=False)
            gains = table - table.loc["defaults"]
            gains.loc["defaults"] = table.loc["defaults"]
            gains["better on"] = (gains > 0).sum(axis=1).where(gains.index != "defaults")
            print(f"\n{family}, {figure} of the defaults, and by how much each change is better")
            print(gains.round(3).to_string())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--family", choices=sorted(VARIATIONS), default="autoregressive")
    parser.add_argument("--tables", nargs="+", default=list(TABLES))
    parser.add_argument("--settings", nargs="+", help="those that are changed; all of them unless named")
    parser.add_argument("--max-steps", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1, help="torch threads")
    parser.add_argument("--data", type=Path, metavar="FOLDER", help="with TABLE/train.csv")
    parser.add_argument("--judge", type=Path, metavar="SCRIPT")
    parser.add_argument("--json", type=Path, help="appends one line a fit")
    parser.add_argument("--summary", type=Path, metavar="JSON", help="only prints what earlier runs wrote")
    options = parser.parse_args()
    if options.summary is not None:
        summary([json.loads(line) for line in options.summary.read_text().splitlines()])
        return
    if options.data is None:
        parser.error("--data is needed")
    torch.set_num_threads(options.threads)
    known = options.json.read_text().splitlines() if options.json and options.json.exists() else []
    rows = [json.loads(line) for line in known]
    variations = VARIATIONS[options.family]
    names = options.settings or list(variations)
    changes: list[dict[str, Any]] = [{}, *({name: value} for name in names for value in variations[name])]
    for settings in changes:
        for table in options.tables:
            key = {"table": table, "family": options.family, "settings": settings, "seed": options.seed}
            if any(key.items() <= row.items() for row in rows):
                continue
            row = fit(table, options, **settings)
            rows.append(row)
            print(f"{table:16s} {told(settings):24s} {row['log_likelihood']:9.3f} {row['seconds']:6.0f} s", flush=True)
            if options.json:
                with options.json.open("a") as file:
                    file.write(json.dumps(row) + "\n")
    summary(rows)


if __name__ == "__main__":
    main()
