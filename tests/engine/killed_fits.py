"""Fits that are killed with SIGKILL at random moments and resumed until they end: `killed_fits.py FOLDER TRIALS`.

Prints whether each ended with the very tensors of a fit that was never stopped, and every checkpoint seen half-written.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from small_families import Noisy, records

from likewise.engine.checkpoint import _read
from likewise.engine.loop import train
from likewise.engine.plan import Plan
from likewise.errors import ModelFileError

PLAN = Plan(max_steps=80, validate_every=10, checkpoint_steps=3)
TRAIN, HELD_OUT = records(300), records(60, seed=1)


def start(folder: Path) -> int:
    """A child process that fits, resuming where it can, and writes the outcome; its process id."""
    child = os.fork()
    if child == 0:
        family = Noisy()
        record = train(family, TRAIN, HELD_OUT, PLAN, seed=0, checkpoint=folder, resume=True)
        curve = [value for point in record.curve for value in (point.step, point.figure, *point.losses.values())]
        outcome = {**family.state_dict(), "curve": torch.tensor(curve, dtype=torch.float64)}
        save_file(outcome, folder / "outcome.safetensors")
        os._exit(0)
    return child


def main(folder: Path, trials: int) -> None:
    chance = random.Random(0)
    # What torch imports at the first step is imported once, before all forks.
    train(Noisy(), TRAIN, HELD_OUT, Plan(max_steps=1), seed=0)
    began = time.perf_counter()
    os.waitpid(start(folder / "whole"), 0)
    duration = time.perf_counter() - began
    whole = load_file(folder / "whole" / "outcome.safetensors")
    identical, unsound, kills = [], [], 0
    for trial in range(trials):
        own = folder / str(trial)
        while not (own / "outcome.safetensors").exists():
            child = start(own)
            time.sleep(chance.uniform(0, 0.7 * duration))
            if os.waitpid(child, os.WNOHANG) != (0, 0):
                continue
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            kills += 1
            for file in own.glob("checkpoint-*"):
                try:
                    _read(file)
                except ModelFileError:
                    unsound.append(str(file))
        outcome = load_file(own / "outcome.safetensors")
        identical.append(
            outcome.keys() == whole.keys() and all(torch.equal(whole[name], part) for name, part in outcome.items())
        )
    sys.stdout.write(json.dumps({"identical": identical, "unsound": unsound, "kills": kills, "seconds": duration}))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]), int(sys.argv[2]))
