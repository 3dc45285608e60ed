"""How fast trees of hidden states answer: draws of whole rows, and posteriors of one column under random evidence.

    python benchmarks/hidden_trees.py --data FOLDER --time 5m

A model is fitted to adult's training rows (`FOLDER/adult/{train,test}.csv`). Timed are as many draws as there are
training rows, and the posterior of income in 10,000 test rows of which every other cell is blank with probability one
half: each row observes other columns. Reading the frame is a part of it. Threads are torch's own default unless
`--threads` says otherwise.
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

ROWS = 10_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--time", default="5m", help="the budget of the fit")
    parser.add_argument("--keep", type=Path, metavar="FILE", help="where the fitted model is written")
    parser.add_argument("--threads", type=int)
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    train, test = (pd.read_csv(options.data / "adult" / f"{name}.csv") for name in ("train", "test"))
    model = lw.BayesianNetwork(structure="hidden_tree", random_state=0, max_time=options.time).fit(train)
    if options.keep is not None:
        model.save(options.keep)
    start = time.perf_counter()
    model.sample(len(train), random_state=0)
    sampled = time.perf_counter()
    blank = np.random.default_rng(0).random((ROWS, test.shape[1])) < 0.5
    evidence = test.head(ROWS).mask(blank).drop(columns="income")
    asked = time.perf_counter()
    found = model.posterior(evidence, "income")["income"]
    answered = time.perf_counter()
    known = np.array([model.states_of("income").index(label) for label in test["income"].head(ROWS)])
    told = {
        "states": model.training_record_["states"],
        "trees": model.training_record_["components"],
        "sample_seconds": sampled - start,
        "posterior_seconds": answered - asked,
        "right": float((found.argmax(1) == known).mean()),
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main()
