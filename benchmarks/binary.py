"""Log-likelihoods of models of binary records: the density estimation benchmark with its standard splits.

    python benchmarks/binary.py --folder FOLDER --sets nltcs plants --time 10m

FOLDER has NAME.npz with arrays `train`, `valid`, `test` of zeros and ones (Lowd and Davis 2010; Van Haaren and Davis
2012). A model is fitted to `train` and `valid` together and holds a tenth of them out for itself; `--set NAME=VALUE`
sets constructor arguments of `BayesianNetwork`. Test log-likelihoods in nats a record, with their standard error,
beside those of ID-SPN (Rooshenas and Lowd 2014). The clock counts `fit` whole. One thread unless `--threads` says
otherwise.
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

ID_SPN = {
    "nltcs": -6.02,
    "plants": -12.54,
    "baudio": -39.79,
    "jester": -52.86,
    "bnetflix": -56.36,
    "accidents": -26.98,
}


def records(cells: np.ndarray) -> pd.DataFrame:
    """Binary records as categories."""
    return pd.DataFrame(cells.astype(int).astype(str), columns=[f"x{i}" for i in range(cells.shape[1])])


def run(name: str, options: argparse.Namespace, settings: dict[str, Any]) -> dict[str, Any]:
    """One fit and its test score."""
    parts = np.load(options.folder / f"{name}.npz")
    model = lw.BayesianNetwork(random_state=options.seed, max_time=options.time, **settings)
    start = time.perf_counter()
    model.fit(records(np.concatenate([parts["train"], parts["valid"]])))
    seconds = time.perf_counter() - start
    values = model.log_likelihood(records(parts["test"])).values
    record = model.training_record_
    return {
        "set": name,
        "columns": parts["train"].shape[1],
        "log_likelihood": float(values.mean()),
        "standard_error": float(values.std() / np.sqrt(len(values))),
        "id_spn": ID_SPN.get(name),
        "fit_seconds": seconds,
        "states": record.get("states"),
        "trees": record.get("components"),
        **settings,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--sets", nargs="+", default=[*ID_SPN])
    parser.add_argument("--time", default="10m", help="the budget of one fit")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--set", nargs="*", default=["structure=hidden_tree"], metavar="NAME=VALUE")
    parser.add_argument("--json", type=Path, help="appends one line a fit")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    pairs = dict(pair.split("=", 1) for pair in options.set)
    settings = {name: int(value) if value.isdigit() else value for name, value in pairs.items()}
    for name in options.sets:
        found = run(name, options, settings)
        print(json.dumps(found), flush=True)
        if options.json:
            with options.json.open("a") as file:
                file.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
