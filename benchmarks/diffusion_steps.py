"""How good samples of a diffusion are after how many steps: the curve that the default number of steps was read off.

    python benchmarks/diffusion_steps.py --data FOLDER --judge SCRIPT --tables magic adult --time 5m --figure steps.png

A model is fitted once to each table; then as many records are drawn with every sampler and number of steps as there are
training rows, and the judge (see `benchmarks/tables.py`) says how well they can be told from the training rows. A
tenth of the training rows is left aside, as defaults are never chosen on test rows.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import matplotlib
import torch
from tables import judged, parts_of

import likewise as lw

matplotlib.use("Agg")

import matplotlib.pyplot as plt

REFERENCE = 1000
"""Steps of the default sampler beside which the others are seen."""


def curve(model: lw.Diffusion, train: Any, judge: Path, sampler: str, steps: list[int]) -> list[dict[str, Any]]:
    """Scores and seconds of one sampler."""
    family, rows = model.family_, []
    family.sampler = sampler
    for count in steps:
        family.steps = count
        start = time.perf_counter()
        drawn = model.sample(len(train), random_state=0)
        taken = time.perf_counter() - start
        rows.append(
            {"sampler": sampler, "steps": count, "c2st_train": judged(judge, drawn, train, 0), "seconds": taken}
        )
        print(json.dumps(rows[-1]), flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, metavar="FOLDER", help="with TABLE/train.csv")
    parser.add_argument("--judge", type=Path, required=True, metavar="SCRIPT")
    parser.add_argument("--tables", nargs="+", default=["magic"])
    parser.add_argument("--samplers", nargs="+", default=["dpm++", "heun", "ddim", "ddpm"])
    parser.add_argument("--steps", nargs="+", type=int, default=[8, 12, 16, 24, 32, 64, 128])
    parser.add_argument("--time", default="5m", help="the budget of a fit")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--figure", type=Path, metavar="PNG")
    parser.add_argument("--json", type=Path, metavar="FILE", help="appends one line a score")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    _, axes = plt.subplots(1, len(options.tables), figsize=(5 * len(options.tables), 3.6), squeeze=False)
    for axis, table in zip(axes[0], options.tables, strict=True):
        train, _ = parts_of(table, options.data, "train")
        model = lw.Diffusion(max_time=options.time, random_state=0).fit(train)
        for sampler in options.samplers:
            # A second-order step of Heun's asks the network twice.
            reference = [REFERENCE] if sampler == model.sampler else []
            rows = curve(model, train, options.judge, sampler, [*options.steps, *reference])
            axis.plot([row["steps"] for row in rows], [row["c2st_train"] for row in rows], marker="o", label=sampler)
            if options.json:
                with options.json.open("a") as file:
                    file.writelines(json.dumps({"table": table, **row}) + "\n" for row in rows)
        axis.axvline(model.steps, color="grey", linestyle=":", label="default")
        axis.set(xscale="log", xlabel="steps", ylabel="two-sample score", title=table, ylim=(0, 1.02))
        axis.legend()
    if options.figure:
        plt.tight_layout()
        plt.savefig(options.figure, dpi=120)


if __name__ == "__main__":
    main()
