"""Flows side by side with zuko's and nflows': likelihood in the same seconds, speed at equal architecture, sampling.

    python benchmarks/flows.py --data FOLDER --seconds 300 --threads 2 --json flows.jsonl

`--parts likelihood`: each table is a folder with `data.csv.gz` and `test_mask.csv.gz`, no headers, of which the first
column of the mask is the split. All columns are real: uniform noise as wide as a hundredth of a column's standard
deviation is added, the same for all libraries, and columns are standardised by training rows. All but the first model
have the transforms, bins and hidden units of the options, and learn in one loop, for the same seconds (building not
counted): AdamW, a cosine from the learning rate to zero, the weights that are best on a tenth of the training rows.
Printed are mean log-likelihoods of test rows in nats, and the difference to likewise's with two standard errors (of
paired rows). `likewise` is `Flow` with its defaults, its own loop, and its maps to normal scores; `likewise stack` its
layers in the loop and at the sizes of the others; zuko's NSF is its default, autoregressive in each transform; nflows'
is RQ-NSF (C) (Durkan et al. 2019).

`--parts steps`: training steps a second, all models taking turns step by step, so that a busy machine is as busy for
all of them; the median. zuko's coupling (`passes=2`) and ours differ in that zuko's moves all coordinates, half of them
by constants; `likewise masked` and zuko's default have the same masked networks.

`--parts sampling`: what drawing costs against what a density costs, of one masked autoregressive layer; the least of
ten, models taking turns.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import zuko
from nflows.distributions import StandardNormal as NflowsNormal
from nflows.flows import Flow as NflowsFlow
from nflows.nn.nets import ResidualNet
from nflows.transforms import CompositeTransform, LULinear, MaskedAffineAutoregressiveTransform, RandomPermutation
from nflows.transforms.coupling import PiecewiseRationalQuadraticCouplingTransform
from torch import Tensor, nn

import likewise as lw
from likewise.networks.base import StandardNormal
from likewise.networks.coupling import Affine, Coupling, Elementwise, Spline, splits
from likewise.networks.invertible import Composition, Invertible
from likewise.networks.masked import MaskedAutoregressive
from likewise.networks.triangular import Triangular

TABLES = ["kin40k", "protein", "parkinsons", "tamielectric"]
BOUND = 5.0


class LikewiseFlow(nn.Module):
    """An invertible map and a standard normal base."""

    def __init__(self, parts: list[Invertible], size: int) -> None:
        super().__init__()
        self.map, self.base = Composition(parts), StandardNormal(size)

    def log_prob(self, x: Tensor) -> Tensor:
        z, log_det = self.map(x)
        return self.base.log_prob(z) + log_det

    def sample(self, size: int) -> Tensor:
        return self.map.inverse(self.base.sample(size, torch.Generator().manual_seed(0)))


class ZukoFlow(nn.Module):
    """zuko's flows with the methods of the others."""

    def __init__(self, flow: nn.Module) -> None:
        super().__init__()
        self.flow = flow

    def log_prob(self, x: Tensor) -> Tensor:
        return self.flow().log_prob(x)

    def sample(self, size: int) -> Tensor:
        return self.flow().sample((size,))


def likewise_coupling(size: int, options: argparse.Namespace, linear: bool = True) -> nn.Module:
    parts: list[Invertible] = []
    for moved in splits(size, options.transforms):
        if linear:
            parts.append(Triangular(torch.randperm(size).tolist()))
        parts.append(Coupling(moved, Spline(options.bins, BOUND), 0, options.hidden, options.layers))
    return LikewiseFlow(parts, size)


def likewise_masked(size: int, options: argparse.Namespace) -> nn.Module:
    orders = [list(range(size)), list(range(size))[::-1]]
    spline = Spline(options.bins, BOUND)
    return LikewiseFlow(
        [
            MaskedAutoregressive(orders[i % 2], spline, 0, options.hidden, options.layers)
            for i in range(options.transforms)
        ],
        size,
    )


def zuko_spline(size: int, options: argparse.Namespace, passes: int | None = None) -> nn.Module:
    return ZukoFlow(
        zuko.flows.NSF(
            size,
            transforms=options.transforms,
            bins=options.bins,
            passes=passes,
            hidden_features=[options.hidden] * options.layers,
            residual=True,
        )
    )


def nflows_spline(size: int, options: argparse.Namespace, linear: bool = True) -> nn.Module:
    def network(inputs: int, outputs: int) -> nn.Module:
        return ResidualNet(inputs, outputs, hidden_features=options.hidden, num_blocks=options.layers)

    parts: list[nn.Module] = []
    for i in range(options.transforms):
        if linear:
            parts += [RandomPermutation(size), LULinear(size, identity_init=True)]
        mask = (torch.arange(size) + i) % 2
        parts.append(
            PiecewiseRationalQuadraticCouplingTransform(
                mask, network, num_bins=options.bins, tails="linear", tail_bound=BOUND
            )
        )
    return NflowsFlow(CompositeTransform(parts), NflowsNormal([size]))


# Likelihood ---------------------------------------------------------------------------------------------------------


def read(folder: Path, noise: float) -> tuple[Tensor, Tensor]:
    """Training and test rows of the first split, with noise, standardised."""
    records = pd.read_csv(folder / "data.csv.gz", header=None).to_numpy(float)
    test = pd.read_csv(folder / "test_mask.csv.gz", header=None).to_numpy()[:, 0].astype(bool)
    shape = np.random.default_rng(0).uniform(-0.5, 0.5, records.shape)
    records = records + noise * records[~test].std(0) * shape
    mean, spread = records[~test].mean(0), records[~test].std(0)
    rows = torch.from_numpy((records - mean) / spread).float()
    return rows[torch.from_numpy(~test)], rows[torch.from_numpy(test)]


def log_likelihoods(model: nn.Module, rows: Tensor) -> Tensor:
    with torch.no_grad():
        return torch.cat([model.log_prob(part) for part in rows.split(2000)]).double()


def fit(model: nn.Module, train: Tensor, options: argparse.Namespace) -> int:
    """Learns for the seconds of the options, keeps the weights that are best on held-out rows; the steps taken."""
    order = torch.randperm(len(train), generator=torch.Generator().manual_seed(0))
    held_out, train = train[order[: len(train) // 10]][:4000], train[order[len(train) // 10 :]]
    optimiser = torch.optim.AdamW(model.parameters(), options.learning_rate, weight_decay=0.0, fused=True)
    noise = torch.Generator().manual_seed(options.seed)
    best, kept, steps, begun, checks = -math.inf, copy.deepcopy(model.state_dict()), 0, time.perf_counter(), 0
    while (share := (time.perf_counter() - begun) / options.seconds) < 1:
        for group in optimiser.param_groups:
            group["lr"] = options.learning_rate * 0.5 * (1 + math.cos(math.pi * share))
        batch = train[torch.randint(len(train), (options.batch_size,), generator=noise)]
        optimiser.zero_grad()
        (-model.log_prob(batch).mean()).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimiser.step()
        steps += 1
        if share * 25 > checks + 1:
            checks = int(share * 25)
            value = float(log_likelihoods(model, held_out).mean())
            if value > best:
                best, kept = value, copy.deepcopy(model.state_dict())
    if float(log_likelihoods(model, held_out).mean()) < best:
        model.load_state_dict(kept)
    return steps


def fitted_network(build: Callable[..., nn.Module]) -> Callable[..., dict[str, Any]]:
    """Fits what `build` builds; log-likelihoods of test rows in nats, and steps."""

    def run(train: Tensor, test: Tensor, options: argparse.Namespace) -> dict[str, Any]:
        torch.manual_seed(options.seed)
        model = build(train.shape[1], options)
        steps = fit(model, train, options)
        return {"values": log_likelihoods(model, test), "steps": steps}

    return run


def fitted_estimator(train: Tensor, test: Tensor, options: argparse.Namespace) -> dict[str, Any]:
    """`Flow` as anybody would use it, on columns said to be real; it holds out a tenth of the training rows itself."""
    columns = [f"x{i}" for i in range(train.shape[1])]
    train, test = (pd.DataFrame(part.double().numpy(), columns=columns) for part in (train, test))
    table = lw.Table(kinds=dict.fromkeys(columns, "real"))
    model = lw.Flow(domain=table, max_time=options.seconds, random_state=options.seed).fit(train)
    return {"values": torch.from_numpy(model.score_samples(test)), "steps": model.training_record_["steps"]}


# Each is called with training rows, test rows and options.
CONTESTANTS: dict[str, Callable[..., dict[str, Any]]] = {
    "likewise": fitted_estimator,
    "likewise stack": fitted_network(likewise_coupling),
    "zuko": fitted_network(zuko_spline),
    "nflows": fitted_network(nflows_spline),
}


def compare_likelihoods(options: argparse.Namespace) -> list[dict[str, Any]]:
    rows = []
    for table in options.tables:
        train, test = read(options.data / table, options.noise)
        ours = None
        for name in options.libraries:
            found = CONTESTANTS[name](train, test, options)
            values = found["values"]
            row = {"part": "likelihood", "table": table, "model": name, "log_likelihood": float(values.mean())}
            row |= {"steps": found["steps"], "seconds": options.seconds}
            if ours is None:
                ours = values
            gain = ours - values
            row |= {"ours_less_this": float(gain.mean()), "two_errors": 2 * float(gain.std()) / len(gain) ** 0.5}
            print(
                f"{table:14s} {name:14s} {row['log_likelihood']:9.3f} nats a row"
                f"   likewise's less this {row['ours_less_this']:+.3f} +/- {row['two_errors']:.3f}"
                f"   {row['steps']} steps",
                flush=True,
            )
            rows.append(row)
    return rows


# Speed --------------------------------------------------------------------------------------------------------------


def compare_steps(options: argparse.Namespace) -> list[dict[str, Any]]:
    rows = []
    for size in options.sizes:
        torch.manual_seed(options.seed)
        models = {
            "likewise coupling": likewise_coupling(size, options, linear=False),
            "zuko coupling": zuko_spline(size, options, passes=2),
            "nflows coupling": nflows_spline(size, options, linear=False),
            "likewise masked": likewise_masked(size, options),
            "zuko masked": zuko_spline(size, options),
        }
        optimisers = {name: torch.optim.AdamW(one.parameters(), 1e-4, fused=True) for name, one in models.items()}
        x, times = torch.randn(options.batch_size, size), {name: list[float]() for name in models}
        for _ in range(options.rounds):
            for name, model in models.items():
                start = time.perf_counter()
                optimisers[name].zero_grad()
                (-model.log_prob(x).mean()).backward()
                nn.utils.clip_grad_norm_(model.parameters(), 5.0)
                optimisers[name].step()
                times[name].append(time.perf_counter() - start)
        middle = {name: statistics.median(each[len(each) // 5 :]) for name, each in times.items()}
        for name in models:
            zukos = middle["zuko " + ("masked" if "masked" in name else "coupling")]
            row = {"part": "steps", "columns": size, "model": name, "steps_a_second": 1 / middle[name]}
            row |= {"against_zuko": zukos / middle[name], "threads": options.threads}
            row |= {"parameters": sum(p.numel() for p in models[name].parameters())}
            print(
                f"{size:3d} columns  {name:18s} {row['steps_a_second']:7.1f} steps a second, "
                f"{row['against_zuko']:.2f} times zuko's   {row['parameters']} parameters",
                flush=True,
            )
            rows.append(row)
    return rows


# Sampling -----------------------------------------------------------------------------------------------------------


def masked_models(size: int, width: int) -> dict[str, nn.Module]:
    """One masked autoregressive layer of each library, with two hidden layers (likewise: an inner residual layer)."""

    def ours(elementwise: Elementwise) -> nn.Module:
        map_ = MaskedAutoregressive(list(range(size)), elementwise, 0, width, 1)
        for parameter in map_.parameters():
            nn.init.normal_(parameter, std=0.02)
        return LikewiseFlow([map_], size)

    return {
        "likewise affine": ours(Affine()),
        "zuko affine": ZukoFlow(zuko.flows.MAF(size, transforms=1, hidden_features=[width] * 2)),
        "nflows affine": NflowsFlow(
            MaskedAffineAutoregressiveTransform(size, hidden_features=width, num_blocks=1), NflowsNormal([size])
        ),
        "likewise spline": ours(Spline(8, BOUND)),
        "zuko spline": ZukoFlow(zuko.flows.NSF(size, transforms=1, hidden_features=[width] * 2)),
    }


def compare_sampling(options: argparse.Namespace) -> list[dict[str, Any]]:
    rows = []
    size, records = 64, 1000
    for width in (256, 512):
        torch.manual_seed(options.seed)
        models = {name: model.eval() for name, model in masked_models(size, width).items()}
        density, drawing = dict.fromkeys(models, math.inf), dict.fromkeys(models, math.inf)
        x = torch.randn(records, size)
        with torch.no_grad():
            for _ in range(10):
                for name, model in models.items():
                    start = time.perf_counter()
                    model.log_prob(x)
                    middle = time.perf_counter()
                    model.sample(records)
                    density[name] = min(density[name], middle - start)
                    drawing[name] = min(drawing[name], time.perf_counter() - middle)
        for name in models:
            row = {"part": "sampling", "model": name, "width": width, "density_ms": 1e3 * density[name]}
            row |= {"sample_ms": 1e3 * drawing[name], "ratio": drawing[name] / density[name]}
            print(
                f"width {width}  {name:16s} density {row['density_ms']:7.1f} ms, samples {row['sample_ms']:8.1f} ms: "
                f"{row['ratio']:.1f} times",
                flush=True,
            )
            rows.append(row)
    return rows


PARTS = {"likelihood": compare_likelihoods, "steps": compare_steps, "sampling": compare_sampling}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, metavar="FOLDER", help="with TABLE/data.csv.gz")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--tables", nargs="+", default=TABLES)
    parser.add_argument("--libraries", nargs="+", choices=CONTESTANTS, default=list(CONTESTANTS))
    parser.add_argument("--seconds", type=float, default=300.0, help="of learning, for each model and table")
    parser.add_argument("--threads", type=int, default=1, help="torch threads")
    parser.add_argument("--transforms", type=int, default=6)
    parser.add_argument("--bins", type=int, default=8)
    parser.add_argument("--hidden", type=int, default=128)
    parser.add_argument("--layers", type=int, default=2, help="residual layers of each network")
    parser.add_argument("--batch-size", type=int, default=512)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--noise", type=float, default=0.01, help="its width, in standard deviations")
    parser.add_argument("--sizes", nargs="+", type=int, default=[9, 20], help="columns, for steps a second")
    parser.add_argument("--rounds", type=int, default=50, help="steps of each model, for steps a second")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="appends one line a figure")
    options = parser.parse_args()
    if "likelihood" in options.parts and options.data is None:
        parser.error("likelihoods need --data")
    torch.set_num_threads(options.threads)
    rows = [row for part in options.parts for row in PARTS[part](options)]
    if options.json:
        with options.json.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows)


if __name__ == "__main__":
    main()
