"""How many modes of a mixture a model finds, and how many of its samples lie in one: the ring of 8 and the grid of 25.

    python benchmarks/modes.py --toy grid --time 2m --threads 1
    python benchmarks/modes.py --toy grid --time 2m --threads 1 --family energy

A sample is of high quality within three standard deviations of the nearest mode, and a mode is found when some
high-quality sample is nearest to it (Lin et al. 2018, section 4.1, which draws 2,500 samples; PacGAN4 finds 24.8 of the
25 modes with 93.6% high-quality samples). Of the truth itself 98.9% are of high quality.
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

import numpy as np
import pandas as pd
import torch

import likewise as lw
from likewise.estimators.taxonomy import estimator_class

MODES = {
    "ring": (2 * np.array([(np.cos(k * np.pi / 4), np.sin(k * np.pi / 4)) for k in range(8)]), 0.1),
    "grid": (np.array([(x, y) for x in range(-4, 5, 2) for y in range(-4, 5, 2)], dtype=float), 0.05),
}
"""Toy -> places of its modes, and their standard deviation."""

DRAWN = 2_500


def quality(points: Any, toy: str) -> tuple[int, float]:
    """The number of modes found and the share of high-quality points."""
    places, spread = MODES[toy]
    distance = np.linalg.norm(np.asarray(points)[:, None] - places, axis=2)
    good = distance.min(1) <= 3 * spread
    return len(np.unique(distance.argmin(1)[good])), float(good.mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--toy", choices=sorted(MODES), default="grid")
    parser.add_argument("--family", choices=[card.name for card in lw.families()], default="gan")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2, 3, 4])
    parser.add_argument("--records", type=int, default=50_000)
    parser.add_argument("--time", help="the budget of one fit")
    parser.add_argument(
        "--steps", type=int, help="the budget of one fit in steps, which the load of the machine leaves alone"
    )
    parser.add_argument("--threads", type=int, help="torch threads")
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE", help="constructor arguments of the model")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    settings = dict(pair.split("=", 1) for pair in options.set)
    settings = {
        name: json.loads(value) if value[:1] in "[{0123456789tfn-." else value for name, value in settings.items()
    }
    toy, rows = lw.datasets.toy(options.toy), []
    modes, share = quality(toy.sample(DRAWN, random_state=0), options.toy)
    print(f"the truth: {modes} modes, {share:.1%} of high quality", flush=True)
    for seed in options.seeds:
        records = pd.DataFrame(toy.sample(options.records, random_state=seed), columns=["x", "y"])
        limits = {"max_time": options.time, "max_steps": options.steps}
        model = estimator_class(options.family)(random_state=seed, **limits, **settings)
        start, own = time.perf_counter(), time.process_time()
        model.fit(records)
        seconds, own = time.perf_counter() - start, time.process_time() - own
        modes, share = quality(model.sample(DRAWN, random_state=seed), options.toy)
        facts = {"seed": seed, "modes": modes, "high_quality": round(share, 4)}
        facts |= {"seconds": round(seconds), "processor_seconds": round(own), "steps": model.training_record_["steps"]}
        rows.append({**facts, "best_step": model.training_record_["best_step"]})
        print(json.dumps(rows[-1]), flush=True)
    frame = pd.DataFrame(rows)
    print(f"{options.toy}: {frame['modes'].mean():.1f} modes, {frame['high_quality'].mean():.1%} of high quality")


if __name__ == "__main__":
    main()
