"""Structure search on records drawn from published networks, side by side with peers in the same run.

    python benchmarks/structure.py --folder FOLDER --json structure.jsonl
    python benchmarks/structure.py --folder FOLDER --networks alarm --rows 5000 --peers agrum causal-learn

The folder holds networks as NAME.bif, such as those of the bnlearn repository. For each seed records are drawn from the
network by `BayesianNetwork.read(...).sample`, and their columns shuffled: greedy search depends on their order. Every
library gets the same records as states, numbered; one thread each; the clock holds the search alone, from a table in
memory to a graph (pyAgrum's begins after it has read the table, likewise's before).

"shd" is the structural Hamming distance between the classes of the graph found and of the truth, "log-likelihood" the
mean of `--held-out` fresh records, with tables of the graph fitted alike for all: one added to every count. "truth" is
the true graph with tables fitted in the same way. likewise's rows are `structure="hill_climbing"` and `structure="ges"`
as a user gets them, and `--extra` ones with other scores; causal-learn's GES has BDeu with its own defaults, and is
stopped after `--limit` seconds.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import networkx
import numpy as np
import pandas as pd
import torch
from rich.console import Console
from rich.table import Table

import likewise as lw
from likewise.families.bayesian_network.structure.constraints import constraints
from likewise.families.bayesian_network.structure.hill_climbing import Climb
from likewise.families.bayesian_network.structure.search import find_graph

Graph = list[list[int]]
ASKED = ["alarm", "child", "insurance", "hailfinder"]
SEARCHES: dict[str, dict[str, Any]] = {
    "hill_climbing": {"method": "hill_climbing", "score": "bdeu"},
    "ges": {"method": "ges", "score": "bdeu"},
}
EXTRA: dict[str, dict[str, Any]] = {
    "hill_climbing, bic": {"method": "hill_climbing", "score": "bic"},
    "hill_climbing, bic, no tabu": {"method": "hill_climbing", "score": "bic", "tabu": 0},
    "hill_climbing, sample size 1": {"method": "hill_climbing", "score": "bdeu", "sample_size": 1.0},
    "hill_climbing, sample size 5": {"method": "hill_climbing", "score": "bdeu", "sample_size": 5.0},
    "hill_climbing, 5 restarts": {"method": "hill_climbing", "score": "bdeu", "restarts": 5},
    "ges, bic": {"method": "ges", "score": "bic"},
}


class Case:
    """A network, and records drawn from it.

    Parameters
    ----------
    path : Path
    held_out : int
        How many fresh records graphs are judged by.
    """

    def __init__(self, path: Path, held_out: int) -> None:
        self.name, self.model = path.stem, lw.BayesianNetwork.read(path)
        self.columns = list(self.model.to_networkx().nodes)
        self.labels = [self.model.states_of(name) for name in self.columns]
        self.sizes = [len(own) for own in self.labels]
        place = {name: i for i, name in enumerate(self.columns)}
        self.truth: Graph = [[] for _ in self.columns]
        for parent, child in self.model.edges_:
            self.truth[place[child]].append(place[parent])
        self.held_out = self.draw(held_out, 10_000)

    def draw(self, rows: int, seed: int) -> np.ndarray:
        """States (rows, columns)."""
        frame = self.model.sample(rows, random_state=seed)
        return np.stack(
            [
                frame[name].map({label: k for k, label in enumerate(own)})
                for name, own in zip(self.columns, self.labels, strict=True)
            ],
            1,
        ).astype(np.int64)

    def log_likelihood(self, graph: Graph, states: np.ndarray) -> float:
        """Of held-out records, in nats a record, with one added to every count of `states`."""
        total = 0.0
        for i, above in enumerate(graph):
            shape = [*(self.sizes[p] for p in above), self.sizes[i]]
            counts = np.ones(int(np.prod(shape)))
            at = np.ravel_multi_index(tuple(states[:, [*above, i]].T), shape)
            counts += np.bincount(at, minlength=len(counts))
            table = counts.reshape(-1, self.sizes[i])
            table /= table.sum(1, keepdims=True)
            tests = np.ravel_multi_index(tuple(self.held_out[:, [*above, i]].T), shape)
            total += float(np.log(table.ravel()[tests]).mean())
        return total

    def distance(self, edges: Any) -> int:
        return lw.graphs.structural_hamming_distance(
            drawn(len(self.sizes), edges), drawn(len(self.sizes), edges_of(self.truth))
        )


def drawn(nodes: int, edges: Any) -> networkx.DiGraph:
    found = networkx.DiGraph()
    found.add_nodes_from(range(nodes))
    found.add_edges_from(edges)
    return found


def edges_of(graph: Graph) -> list[tuple[int, int]]:
    return [(parent, child) for child, above in enumerate(graph) for parent in above]


# Searches -----------------------------------------------------------------------------------------------------------
# Each is told states, the number of states of each column and its settings; it answers seconds, the edges of a class or
# graph, and a graph.


def likewise(states: np.ndarray, sizes: list[int], settings: dict[str, Any]) -> tuple[float, Any, Graph]:
    begun = time.perf_counter()
    climb = Climb(settings.get("tabu", 10), settings.get("restarts", 0))
    free = constraints(len(sizes))
    size = settings.get("sample_size")
    found = find_graph(states, sizes, settings["method"], free, settings["score"], size, climb, names=settings["names"])
    return time.perf_counter() - begun, edges_of(found), found


def agrum(states: np.ndarray, sizes: list[int], settings: dict[str, Any]) -> tuple[float, Any, Graph]:
    import pyagrum as gum

    gum.setNumberOfThreads(1)
    template = gum.BayesNet()
    for i, size in enumerate(sizes):
        template.add(gum.RangeVariable(f"x{i}", "", 0, size - 1))
    learner = gum.BNLearner(pd.DataFrame(states, columns=[f"x{i}" for i in range(len(sizes))]), template)
    learner.setNumberOfThreads(1)
    learner.useScoreBIC()
    learner.useNoPrior()
    getattr(learner, settings["search"])()
    begun = time.perf_counter()
    graph = learner.learnDAG()
    seconds = time.perf_counter() - begun
    found: Graph = [[] for _ in sizes]
    for parent, child in graph.arcs():
        found[child].append(parent)
    return seconds, edges_of(found), found


def causal_learn(states: np.ndarray, sizes: list[int], settings: dict[str, Any]) -> tuple[float, Any, Graph]:
    from causallearn.search.ScoreBased.GES import ges

    begun = time.perf_counter()
    matrix = ges(states, score_func="local_score_BDeu")["G"].graph
    seconds = time.perf_counter() - begun
    edges = [(int(u), int(v)) for u, v in np.argwhere(matrix == -1)]  # [u, v] is -1 for u -> v, and both for u - v
    found: Graph = [[] for _ in sizes]
    for parent, child in lw.graphs.dag(drawn(len(sizes), edges)).edges:
        found[child].append(parent)
    return seconds, edges, found


PEERS: dict[str, dict[str, tuple[Callable[..., Any], dict[str, Any]]]] = {
    "agrum": {
        "pyAgrum hill climbing": (agrum, {"search": "useGreedyHillClimbing"}),
        "pyAgrum tabu": (agrum, {"search": "useLocalSearchWithTabuList"}),
    },
    "causal-learn": {"causal-learn GES": (causal_learn, {})},
}


def limited(call: Callable[..., Any], arguments: tuple[Any, ...], seconds: float) -> Any:
    """What a call answers in a process of its own; None where it takes too long."""
    with multiprocessing.get_context("fork").Pool(1) as pool:
        waiting = pool.apply_async(call, arguments)
        try:
            return waiting.get(seconds)
        except multiprocessing.TimeoutError:
            return None


# The run ------------------------------------------------------------------------------------------------------------


def measure(case: Case, rows: int, seed: int, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Every search on the records of one seed."""
    states = case.draw(rows, seed)
    order = np.random.default_rng(seed).permutation(len(case.sizes))
    shuffled, sizes = np.ascontiguousarray(states[:, order]), [case.sizes[i] for i in order]
    # A name decides between columns that are copies of each other, as some of hailfinder are.
    names = [case.columns[i] for i in order]
    calls: dict[str, tuple[Callable[..., Any], dict[str, Any]]] = {
        f"likewise {name}": (likewise, {**own, "names": names})
        for name, own in {**SEARCHES, **(EXTRA if options.extra else {})}.items()
    }
    for peer in options.peers:
        calls.update(PEERS[peer])
    found = [{"search": "truth", "shd": 0, "log-likelihood": case.log_likelihood(case.truth, states)}]
    for name, (call, settings) in calls.items():
        slow = call is causal_learn
        times = 1 if slow else options.repeats
        answers = [
            limited(call, (shuffled, sizes, settings), options.limit) if slow else call(shuffled, sizes, settings)
            for _ in range(times)
        ]
        if answers[0] is None:
            found.append({"search": name, "message": f"over {options.limit:g} s"})
            continue
        seconds, edges, graph = min(answers, key=lambda answer: answer[0])
        straight: Graph = [[] for _ in graph]
        for place, above in enumerate(graph):
            straight[order[place]] = [int(order[p]) for p in above]
        found.append(
            {
                "search": name,
                "shd": case.distance([(int(order[u]), int(order[v])) for u, v in edges]),
                "log-likelihood": case.log_likelihood(straight, states),
                "seconds": seconds,
                "edges": sum(map(len, graph)),
            }
        )
    return [{"network": case.name, "rows": rows, "seed": seed, **row} for row in found]


def shown(rows: list[dict[str, Any]]) -> Table:
    """Means over the seeds."""
    table = Table("network", "rows", "search", "SHD", "each seed", "log-likelihood", "to truth", "seconds", "edges")
    frame = pd.DataFrame(rows)
    truth = frame[frame["search"] == "truth"].set_index(["network", "rows", "seed"])["log-likelihood"]
    for (network, count, search), part in frame.groupby(["network", "rows", "search"], sort=False):
        done = part.dropna(subset=["shd"])
        if not len(done):
            table.add_row(network, str(count), search, part["message"].iloc[0])
            continue
        away = done["log-likelihood"].to_numpy() - truth.loc[[(network, count, s) for s in done["seed"]]].to_numpy()
        clock = "" if search == "truth" else f"{done['seconds'].mean():.2f}"
        table.add_row(
            network,
            str(count),
            search,
            f"{done['shd'].mean():.1f}",
            " ".join(str(int(value)) for value in done["shd"]),
            f"{done['log-likelihood'].mean():.3f}",
            f"{away.mean():+.4f}",
            clock,
            "" if search == "truth" else f"{done['edges'].mean():.1f}",
        )
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--networks", nargs="+", default=ASKED)
    parser.add_argument("--rows", nargs="+", type=int, default=[5_000, 20_000])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--held-out", type=int, default=10_000)
    parser.add_argument("--peers", nargs="*", choices=list(PEERS), default=["agrum"])
    parser.add_argument("--extra", action="store_true", help="other settings of likewise's searches as well")
    parser.add_argument("--repeats", type=int, default=2, help="the fastest of so many runs counts")
    parser.add_argument("--limit", type=float, default=300.0, help="seconds, of causal-learn")
    parser.add_argument("--json", type=Path, help="a row for each search of each seed")
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    torch.set_num_threads(1)
    rows: list[dict[str, Any]] = []
    for name in options.networks:
        case = Case(options.folder / f"{name}.bif", options.held_out)
        for count in options.rows:
            for seed in range(options.seeds):
                rows += measure(case, count, seed, options)
                if options.json:
                    options.json.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    Console(width=150).print(shown(rows))


if __name__ == "__main__":
    main()
