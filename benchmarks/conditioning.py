"""How well models draw records under evidence: marginals of the other columns beside those of real rows.

    python benchmarks/conditioning.py --data FOLDER --families flow vae gan --time 5m

A family is fitted on adult's training rows (`FOLDER/adult/{train,test}.csv`) and asked for as many records as there are
test rows with the evidence, two categories and an interval. Printed for every other column is the total variation
between its distribution in the draws and in these test rows (numbers in tenths of the real rows), beside the noise: the
same between as many training rows with the evidence and the test rows; the mean over columns and the worst excess over
the noise; the effective sample size; and the seconds of the question.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch

import likewise as lw

FAMILIES = {card.name: card.estimator for card in lw.families() if card.conditions}

EVIDENCE = {"sex": "Female", "workclass": "Private", "age": (30, 40)}


def fits(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with the evidence."""
    low, high = EVIDENCE["age"]
    kept = (rows["sex"] == "Female") & (rows["workclass"] == "Private") & rows["age"].between(low, high)
    return rows[kept].reset_index(drop=True)


def total_variation(a: pd.Series, b: pd.Series) -> float:
    """Half the sum of absolute differences of shares; numbers are put into tenths of `b`."""
    if pd.api.types.is_numeric_dtype(b):
        edges = np.unique(np.quantile(b, np.linspace(0, 1, 11)[1:-1]))
        a, b = (pd.Series(np.searchsorted(edges, part, side="right")) for part in (a, b))
    shares = pd.concat([part.value_counts(normalize=True) for part in (a, b)], axis=1).fillna(0.0)
    return float(0.5 * (shares.iloc[:, 0] - shares.iloc[:, 1]).abs().sum())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--families", nargs="+", choices=sorted(FAMILIES), default=["flow", "vae", "gan"])
    parser.add_argument("--time", default="5m", help="the budget of one fit")
    parser.add_argument("--models", type=Path, metavar="FOLDER", help="where fitted models are kept and taken from")
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE", help="texts for constructors of models")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    train, test = (pd.read_csv(options.data / "adult" / f"{part}.csv") for part in ("train", "test"))
    real, others = fits(test), [name for name in train if name not in EVIDENCE]
    noise_rows = fits(train).sample(len(real), random_state=options.seed).reset_index(drop=True)
    noise = {name: total_variation(noise_rows[name], real[name]) for name in others}
    print(f"{len(real)} test rows have the evidence {EVIDENCE}")
    for family in options.families:
        path = None if options.models is None else options.models / f"{family}.safetensors"
        if path is not None and path.exists():
            model = lw.load(path)
        else:
            settings = {"random_state": options.seed, "max_time": options.time}
            settings |= dict(pair.split("=", 1) for pair in options.set)
            model = getattr(lw, FAMILIES[family])(**settings).fit(train)
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
                model.save(path)
        start = time.perf_counter()
        found = model.conditional(EVIDENCE, draws=len(real), random_state=options.seed)
        seconds = time.perf_counter() - start
        assert len(fits(found.records)) == len(real), "a draw does not have the evidence"
        apart = {name: total_variation(found.records[name], real[name]) for name in others}
        excess = {name: apart[name] - noise[name] for name in others}
        worst = max(excess, key=lambda name: excess[name])
        print(
            json.dumps(
                {
                    "family": family,
                    "mean": round(float(np.mean(list(apart.values()))), 4),
                    "noise": round(float(np.mean(list(noise.values()))), 4),
                    "worst_excess": round(excess[worst], 4),
                    "worst_column": worst,
                    "effective_sample_size": round(float(found.effective_sample_size[0]), 1),
                    "draws": len(real),
                    "seconds": round(seconds, 1),
                    "columns": {name: [round(apart[name], 3), round(noise[name], 3)] for name in others},
                }
            ),
            flush=True,
        )


if __name__ == "__main__":
    main()
