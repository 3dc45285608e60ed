"""The same fits in one process and in two over loopback: `two_processes.py FOLDER`. Prints how they compare."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from small_families import Duel, Gaussian, records

from likewise.engine.loop import train
from likewise.engine.plan import Plan

TRAIN, HELD_OUT = records(256), records(64, seed=1)
FAMILIES = {"gaussian": Gaussian, "duel": Duel}
PLAN = Plan(max_steps=60, batch_size=64, validate_every=20, checkpoint_steps=20)


def fit(folder: Path, name: str, rank: int) -> None:
    family = FAMILIES[name]()
    log = folder / f"{name}-{rank}.jsonl"
    train(family, TRAIN, HELD_OUT, PLAN, seed=0, checkpoint=folder / f"{name}-checkpoints", log=log)
    save_file(family.state_dict(), folder / f"{name}-{rank}.safetensors")


def main(folder: Path) -> None:
    one, two = folder / "one", folder / "two"
    one.mkdir()
    two.mkdir()
    for name in FAMILIES:
        fit(one, name, 0)
    children = []
    for rank in range(2):
        child = os.fork()
        if child == 0:
            store = f"file://{folder / 'store'}"
            torch.distributed.init_process_group("gloo", init_method=store, rank=rank, world_size=2)
            for name in FAMILIES:
                fit(two, name, rank)
            torch.distributed.barrier()
            os._exit(0)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0]

    def close(a: Path, b: Path, tolerance: float) -> bool:
        first, second = load_file(a), load_file(b)
        return all(torch.allclose(first[name], second[name], rtol=0, atol=tolerance) for name in first)

    result = {
        "ranks agree": all(close(two / f"{name}-0.safetensors", two / f"{name}-1.safetensors", 0) for name in FAMILIES),
        "as one": {
            name: close(one / f"{name}-0.safetensors", two / f"{name}-0.safetensors", 1e-3) for name in FAMILIES
        },
        "logs": len(list(two.glob("gaussian-*.jsonl"))),
    }
    sys.stdout.write(json.dumps(result))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]))
