"""Whether one tree of hidden states is learned better by expectation maximisation or by gradient.

    python benchmarks/hidden_tree_gradient.py --data FOLDER --tables adult magic --states 64 --seconds 60

Each table is a folder with `train.csv`; a tenth of its rows is held out. Both learn the same tree, over all rows, from
the same clusters: the library's learner by stepwise expectation maximisation, Adam by the gradient of the mean
log-likelihood of minibatches (as many rows as the learner's) in the logits of all tables, with the rate falling to
nothing by half a cosine. Both keep what scores held-out rows best, which is asked after each pass. Printed: the mean
log-probability of the bins and codes of held-out rows, at the start and at best, in nats a row, and the seconds and
passes. Threads are torch's own default unless `--threads` says otherwise.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

import likewise as lw
from likewise.families.bayesian_network.hidden_tree import learning
from likewise.families.bayesian_network.hidden_tree.partition import Partition
from likewise.families.bayesian_network.hidden_tree.passes import Shape, Tables
from likewise.families.bayesian_network.hidden_tree.regularisation import start
from likewise.families.bayesian_network.hidden_tree.setting import Setting
from likewise.families.bayesian_network.hidden_tree.tree import log_prob


def prepared(frame: pd.DataFrame, seed: int) -> learning.Learner:
    """The library's learner, with a tenth of the rows held out."""
    table = lw.Table().fit(frame)
    batch = table.encode(frame)
    order = torch.from_numpy(np.random.default_rng(seed).permutation(len(frame)))
    held_out, train = batch.rows(order[: len(order) // 10]), batch.rows(order[len(order) // 10 :])
    return learning.Learner(table.event, train, held_out, learning.Options(), seed)


class Logits:
    """The tables of a tree as logits."""

    def __init__(self, tables: Tables, sizes: list[int]) -> None:
        self.sizes = sizes
        tiny = torch.finfo(torch.float32).tiny
        parts = (tables.root, tables.steps, tables.leaves)
        self.parts = [part.clamp(min=tiny).log().requires_grad_() for part in parts]

    @property
    def tables(self) -> Tables:
        root, steps, leaves = self.parts
        shown = torch.cat([own.softmax(0) for own in leaves.split(self.sizes)])
        return Tables(root.softmax(0), steps.softmax(2), shown)


def by_gradient(
    learner: learning.Learner, shape: Shape, states: int, rate: float, seconds: float
) -> tuple[list[float], float]:
    """Held-out scores before the first pass and after each, and the seconds."""
    rows = torch.arange(len(learner.index))
    counts = learner.started(shape, states, Setting().decay, rows, learner.generator)
    logits = Logits(learner.marginals.tables(shape, counts, start(len(shape))), learner.network.sizes)
    adam = torch.optim.Adam(logits.parts, lr=rate)

    def score() -> float:
        with torch.no_grad():
            return float(learner.scores(shape, logits.tables).mean())

    found, begun, taken = [score()], time.perf_counter(), 0.0
    while taken < seconds:
        for part in torch.randperm(len(rows), generator=learner.generator).split(learning.MINIBATCH):
            for group in adam.param_groups:
                group["lr"] = rate * (1 + math.cos(math.pi * min(taken / seconds, 1.0))) / 2
            loss: Tensor = -log_prob(shape, logits.tables, learner.index[part]).mean()
            adam.zero_grad()
            loss.backward()
            adam.step()
            taken = time.perf_counter() - begun
        found.append(score())
    return found, taken


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--tables", nargs="+", default=["adult", "magic"])
    parser.add_argument("--states", type=int, default=64)
    parser.add_argument("--rates", nargs="+", type=float, default=[0.003, 0.01, 0.03, 0.1])
    parser.add_argument("--seconds", type=float, default=60.0, help="of one way to learn")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int)
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    for name in options.tables:
        frame = pd.read_csv(options.data / name / "train.csv")
        learner = prepared(frame, options.seed)
        rows = torch.arange(len(learner.index))
        whole = Partition(learner.groups, learner.rows, torch.zeros(len(rows), dtype=torch.int64))
        shape = Shape(tuple(whole.trees[0].parents))
        tests = torch.arange(len(learner.tests))
        begun = time.perf_counter()
        until = time.monotonic() + options.seconds
        part = learning.Part(list(shape.parents), rows, tests, options.seed)
        tree = learner.tree(part, options.states, Setting().decay, until)
        told = {"table": name, "states": options.states, "way": "expectation maximisation"}
        seconds = time.perf_counter() - begun
        print(json.dumps(told | {"best": float(tree.scores.mean()), "passes": tree.passes, "seconds": seconds}))
        for rate in options.rates:
            found, seconds = by_gradient(learner, shape, options.states, rate, options.seconds)
            told = {"table": name, "states": options.states, "way": "gradient", "rate": rate}
            facts = {"start": found[0], "best": max(found), "passes": len(found) - 1, "seconds": seconds}
            print(json.dumps(told | facts), flush=True)


if __name__ == "__main__":
    main()
