"""What latents tell of labels that the model never saw, beside as many principal components.

    python benchmarks/probes.py --data FOLDER --family vae --time 2m

The label is taken out (the class of magic, the income of adult, the digit of scikit-learn's digits), the family is
fitted to what is left of the training rows, and a logistic regression on the latents of held-out rows, fitted on one
half of these and tested on the other, is compared with one on as many principal components (`lw.latent_report`).
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from sklearn.datasets import load_digits

import likewise as lw

FAMILIES = {card.name: card.estimator for card in lw.families() if card.encodes}

LABELS = {"magic": "class", "adult": "income", "digits": "target"}


def rows_of(table: str, data: Path | None) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Training and held-out rows with their label."""
    if table == "digits":
        digits = load_digits(as_frame=True).frame
        order = np.random.default_rng(0).permutation(len(digits))
        return digits.iloc[order[600:]].reset_index(drop=True), digits.iloc[order[:600]].reset_index(drop=True)
    assert data is not None, "--data is needed"
    train, test = (pd.read_csv(data / table / f"{part}.csv") for part in ("train", "test"))
    return train, test


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, metavar="FOLDER", help="with TABLE/{train,test}.csv")
    parser.add_argument("--tables", nargs="+", choices=sorted(LABELS), default=["magic", "adult", "digits"])
    parser.add_argument("--family", choices=sorted(FAMILIES), default="vae")
    parser.add_argument("--time", default="2m", help="the budget of one fit")
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE", help="constructor arguments of the model")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    settings = {name: json.loads(value) for name, value in (pair.split("=", 1) for pair in options.set)}
    for table in options.tables:
        train, test = rows_of(table, options.data)
        labels = test.pop(LABELS[table]).astype(str)
        train = train.drop(columns=LABELS[table])
        model = getattr(lw, FAMILIES[options.family])(random_state=options.seed, max_time=options.time, **settings)
        model.fit(train)
        report = lw.latent_report(model, test, labels, columns=[], random_state=options.seed)
        print(f"{table}\n{report}\n", flush=True)


if __name__ == "__main__":
    main()
