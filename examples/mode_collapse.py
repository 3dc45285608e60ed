"""Mode collapse, and what may cure it: a GAN of the textbook on one blob and two, and then with one change at a time.

    python examples/mode_collapse.py --out mode_collapse.png

Trained by cross entropy (Goodfellow et al. 2014, the non-saturating form), the generator learns one blob. Of two it
visits one, since nothing in its loss asks where the rest of the data is. Each cure that was proposed changes the
settings named below; the table says which of them help here.

Looking ahead and judging packs need a critic that is not certain of everything after a few steps, so there it learns
ten times slower than the generator, as in Metz et al. (2016). That alone is no cure: it has a row of its own.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure

import likewise as lw

TEXTBOOK: dict[str, Any] = {
    # What likewise adds to a GAN is off: starts, column distributions, critics of pairs, referees, averages.
    "start": "marginals",
    "marginals": "learned",
    "pair_weight": 0,
    "candidates": 1,
    "ema_decay": 0,
    "validation_fraction": 0,
    # Two small networks and Adam.
    "loss": "nonsaturating",
    "penalty": "none",
    "latent": 2,
    "width": 64,
    "layers": 1,
    "critic_width": 64,
    "critic_layers": 1,
    "learning_rate": 1e-3,
    "critic_learning_rate": 1e-3,
    "beta1": 0.5,
    "beta2": 0.999,
    "batch_size": 128,
    "max_steps": 600,
}

SLOW_CRITIC: dict[str, Any] = {"critic_learning_rate": 1e-4, "max_steps": 1500}

ROWS: dict[str, tuple[str, dict[str, Any]]] = {
    "cross entropy, one blob": ("one_blob", {}),
    "cross entropy": ("two_blobs", {}),
    "Wasserstein": (
        "two_blobs",
        {"loss": "wasserstein", "penalty": "gradient", "gamma": 1.0, "critic_steps": 3, "beta1": 0.0, "beta2": 0.9},
    ),
    "relativistic": ("two_blobs", {"loss": "relativistic", "penalty": "r1r2", "gamma": 0.3}),
    "spectral": ("two_blobs", {"penalty": "spectral"}),
    "slow critic": ("two_blobs", {**SLOW_CRITIC, "beta1": 0.0}),
    # Of a critic that answers the generator, only the loss of the zero-sum game has the right slope.
    "unrolled": ("two_blobs", {**SLOW_CRITIC, "max_steps": 1000, "loss": "minimax", "unroll": 5}),
    "packed": ("two_blobs", {**SLOW_CRITIC, "beta1": 0.0, "pack": 2}),
}
"""Row -> its toy, and what it changes."""

RECORDS, DRAWN, SPREAD = 4_000, 2_500, 0.3

NEAR = 3.0
"""A sample is of high quality within so many standard deviations of the nearest mode: 98.9% of the truth is."""

FOUND = 0.1
"""A mode is found when it has this share of the samples, all of high quality."""


@dataclass(frozen=True)
class Outcome:
    """One fit.

    Attributes
    ----------
    points : samples (DRAWN, 2)
    modes : how many were found
    quality : the share of samples near a mode
    spread : their root mean square distance from it, as a part of the data's
    seconds : of the fit
    """

    points: np.ndarray
    modes: int
    quality: float
    spread: float
    seconds: float


def fit(toy: Any, settings: dict[str, Any], seed: int) -> Outcome:
    # Normal scores of a column close the gap between two groups of values, so numbers are only standardised here.
    model = lw.GAN(**settings, domain=lw.Table(maps={"x": "affine", "y": "affine"}), device="cpu", random_state=seed)
    start = time.perf_counter()
    model.fit(toy.sample(RECORDS, random_state=seed))
    seconds = time.perf_counter() - start
    points = model.sample(DRAWN, random_state=seed).to_numpy()
    distance = np.linalg.norm(points[:, None] - toy.modes, axis=2)
    nearest = distance.min(1)
    near = nearest <= NEAR * SPREAD
    share = np.bincount(distance.argmin(1)[near], minlength=len(toy.modes)) / DRAWN
    spread = float(np.sqrt((nearest[near] ** 2).mean() / 2)) / SPREAD if near.any() else np.nan
    return Outcome(points, int((share >= FOUND).sum()), float(near.mean()), spread, seconds)


def draw(outcomes: dict[str, list[Outcome]]) -> Figure:
    """A row of panels for each row of the table, a column for each seed."""
    seeds = max(len(row) for row in outcomes.values())
    figure = Figure(figsize=(max(4.5, 0.6 + 1.5 * seeds), 1 + 1.5 * len(outcomes)), layout="constrained")
    figure.suptitle("What a GAN learns of two blobs:\nsamples in colour, data in grey", fontsize=11)
    panels = figure.subplots(len(outcomes), seeds, squeeze=False)
    for line, (name, row) in zip(panels, outcomes.items(), strict=True):
        toy = lw.datasets.toy(ROWS[name][0])
        data = toy.sample(600, random_state=99).to_numpy()
        for seed, (panel, outcome) in enumerate(zip(line, row, strict=True)):
            all_found = outcome.modes == len(toy.modes)
            panel.scatter(*data.T, s=3, color="#b4b8bd", linewidths=0)
            panel.scatter(*outcome.points[:600].T, s=3, color="#1f62b8" if all_found else "#b8480a", linewidths=0)
            told = f"{outcome.modes} of {len(toy.modes)}, {outcome.quality:.0%}"
            panel.text(0.04, 0.94, told, transform=panel.transAxes, fontsize=7.5, va="top", color="#1c1e22")
            panel.set(xlim=(-4, 4), ylim=(-4, 4), xticks=[], yticks=[], aspect="equal")
            panel.spines[:].set_color("#d6d7d1")
            if line is panels[0]:
                panel.set_title(f"seed {seed}", fontsize=9)
        line[0].set_ylabel(name.replace(", ", ",\n"), fontsize=9)
    figure.supxlabel(
        f"In each panel: modes found (by at least {FOUND:.0%} of the samples\n"
        f"within {NEAR:.0f} standard deviations); share of samples so near to any mode.",
        fontsize=8,
        color="#555b66",
    )
    return figure


def main(arguments: list[str] | None = None) -> dict[str, list[Outcome]]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("mode_collapse.png"), help="where the figure goes")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--rows", nargs="*", choices=list(ROWS), default=list(ROWS), metavar="ROW")
    parser.add_argument("--quick", action="store_true", help="one seed and a few steps, to see that everything runs")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)  # networks this small are no faster with more
    seeds, less = (1, {"max_steps": 5}) if options.quick else (options.seeds, {})
    print(f"{'':24}{'all found':>12}{'high quality':>15}{'spread':>9}{'seconds a fit':>16}")
    outcomes: dict[str, list[Outcome]] = {}
    for name in options.rows:
        toy = lw.datasets.toy(ROWS[name][0])
        row = [fit(toy, {**TEXTBOOK, **ROWS[name][1], **less}, seed) for seed in range(seeds)]
        outcomes[name] = row
        found = sum(outcome.modes == len(toy.modes) for outcome in row)
        means = {part: np.mean([getattr(one, part) for one in row]) for part in ("quality", "seconds")}
        spreads = [one.spread for one in row if np.isfinite(one.spread)]
        spread = f"{np.mean(spreads):.0%}" if spreads else "–"
        told = f"{f'{found} of {seeds}':>12}{means['quality']:>15.0%}{spread:>9}{means['seconds']:>16.1f}"
        print(f"{name:24}{told}", flush=True)
    draw(outcomes).savefig(options.out, dpi=150)
    print(f"the figure: {options.out}")
    return outcomes


if __name__ == "__main__":
    main()
