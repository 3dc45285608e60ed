"""A fit that is killed at random moments and resumed gives the same model file as one never stopped.

    python benchmarks/kill_resume.py --trials 20

Each trial starts `likewise fit`, kills it with SIGKILL at a random moment (also while reading, between steps and while
writing), starts it again with `--resume`, kills it again, and lets it end. Tensors must be identical to the bit. All
the while the output file is watched: it must be absent or whole.
"""

from __future__ import annotations

import argparse
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from likewise import storage


def start(options: argparse.Namespace, out: Path, *more: str) -> subprocess.Popen[bytes]:
    """`likewise fit` as a process of its own."""
    command = [sys.executable, "-m", "likewise", "fit", options.data, "--family", options.family, "--seed", "0", "-q"]
    return subprocess.Popen([*command, "--max-steps", str(options.max_steps), "--out", str(out), *more])


def watched(process: subprocess.Popen[bytes], out: Path, until: float) -> bool:
    """Waits for the end of the process, or kills it at `until`; reads the output whenever it is there."""
    while process.poll() is None:
        if time.perf_counter() >= until:
            process.send_signal(signal.SIGKILL)
            process.wait()
        if out.exists():
            storage.read(out)
        time.sleep(0.01)
    return process.returncode == 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="wine")
    parser.add_argument("--family", default="autoregressive")
    parser.add_argument("--max-steps", type=int, default=300)
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--kills", type=int, default=2, help="how often each trial is killed")
    options = parser.parse_args()
    moments = random.Random(0)
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder) / "whole.safetensors"
        begun = time.perf_counter()
        assert watched(start(options, whole), whole, float("inf"))
        span = time.perf_counter() - begun
        _, expected = storage.read(whole)
        kills = 0
        for trial in range(options.trials):
            out = Path(folder) / f"{trial}.safetensors"
            done, more = False, list[str]()
            for _ in range(options.kills):
                done = watched(start(options, out, *more), out, time.perf_counter() + span * moments.random())
                if done:
                    break
                kills += 1
                more = [] if not out.with_name(out.name + ".checkpoint").exists() else ["--resume"]
                if out.exists():
                    more.append("--force")  # killed after writing, before leaving
            if not done:
                assert watched(start(options, out, *more), out, float("inf")), "the resumed fit failed"
            _, tensors = storage.read(out)
            same = tensors.keys() == expected.keys() and all(torch.equal(tensors[k], expected[k]) for k in expected)
            print(f"trial {trial}: killed so far {kills}, identical to the bit: {same}", flush=True)
            if not same:
                sys.exit(1)
    print(f"{options.trials} trials, {kills} kills, an uninterrupted fit takes {span:.1f} s: all identical")


if __name__ == "__main__":
    main()
