"""Exact inference in published networks, side by side with pyAgrum and pgmpy in the same run.

    python benchmarks/inference.py --folder FOLDER --parts posteriors pattern single --json inference.jsonl
    python benchmarks/inference.py --folder FOLDER --parts load

The folder holds networks as NAME.bif, such as those of the bnlearn repository. pyAgrum cannot read some labels ("<5"),
so every library reads a copy whose states are s0, s1, ... and whose rows of tables add up to one; pyAgrum's tables are
filled in again in double precision. One part of one network is a process of its own, likewise's turn the first in it:
"memory" is the peak of the process after likewise's turn, "memory before" that after imports, in GiB. A process that
dies or runs out of `--timeout` leaves a message in place of what it had not measured yet.

`--parts posteriors`: rows drawn from the network, of which 10, 50 and 90% of the columns are evidence, every row its
own columns: seconds for the posteriors of all others, by `model.posterior` on a DataFrame ("cold": plans and all; and
again, "warm") and within the family ("engine"); by pyAgrum's LazyPropagation row by row, with one thread or all,
whatever is faster on five rows. pyAgrum answers `--peer-rows` rows or as many as `--peer-seconds` allow, "agrum rows",
and its seconds are scaled to all rows; only setting evidence, inference and fetching each posterior count. "ratio" is
pyAgrum's to likewise's cold ones. "difference" is the largest between two probabilities of those rows. "gap" is by how
many nats the states of `most_probable` are more probable than those that pyAgrum finds, or pgmpy where pyAgrum fails
and few columns are left; 0 where both are right.

`--parts pattern`: the same with one pattern of evidence for all of 10,000 rows. pyAgrum may keep its evidence and
change the values, if that is faster.

`--parts single`: one row and one target, the same pattern with other values, the median of 200. Its "memory" counts the
peers' turns with smaller shares of evidence.

`--parts sampling`: 100,000 records as a DataFrame. "errors" is the largest distance of a state's share from its
probability, in standard errors.

`--parts parameters`: tables of a given graph from 100,000 records, of most likelihood and with one added to every
count; "difference" is the largest to likewise's, where a configuration of parents occurs. pyAgrum answers the former
only if all of them occur.

`--parts blanks`: tables of a given graph from 5,000 records of which 5 and 30% of the cells are blank, by expectation
maximisation, with one added to every count; "divergence" is that of the truth, in nats, measured on 100,000 fresh
records. Beside it what is left after rows with blanks are deleted, and all records without their blanks. pgmpy's
expectation maximisation knows columns that are blank in every row only, so it is asked what it makes of these.

`--parts rare`: 1,000 records under evidence of two or three columns with a probability of about 1e-4.

`--parts load`: reading every network, the states of the largest clique without evidence ("width"), and whether and how
fast it answers all posteriors then, within `--max-memory`.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import itertools
import json
import math
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyagrum as gum
import torch
from network_cases import Case, errors, relabelled, scattered, shares, tables_of
from network_peers import Agrum, Answers, Pgmpy, largest_difference, repeated, said
from rich.console import Console
from rich.table import Table

import likewise as lw
from likewise.exchange import NetworkDescription, read_network, write_network
from likewise.families.bayesian_network.inference.exact import Evidence
from likewise.families.bayesian_network.inference.relevance import query_of

ASKED = ["asia", "child", "insurance", "alarm", "hailfinder", "andes", "pigs"]
Row = dict[str, Any]
Report = Callable[[list[Row]], None]


def timed(call: Callable[[], Any]) -> tuple[float, Any]:
    begun = time.perf_counter()
    found = call()
    return time.perf_counter() - begun, found


def peak() -> float:
    """The largest memory that this process has held so far, in GiB."""
    found = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return found / (2**30 if sys.platform == "darwin" else 2**20)


# Questions ----------------------------------------------------------------------------------------------------------


def posteriors(case: Case, options: argparse.Namespace, report: Report) -> None:
    """Every row its own evidence."""
    rng, states = np.random.default_rng(options.seed), case.draw(options.rows, options.seed)
    ask(case, states, {share: scattered(*states.shape, share, rng) for share in options.shares}, options, report)


def pattern(case: Case, options: argparse.Namespace, report: Report) -> None:
    """All rows observe the same columns, half of them."""
    rng, states = np.random.default_rng(options.seed), case.draw(options.pattern_rows, options.seed)
    observed = np.tile(scattered(1, states.shape[1], 0.5, rng), (len(states), 1))
    ask(case, states, {0.5: observed}, options, report)


def ask(
    case: Case, states: np.ndarray, patterns: dict[float, np.ndarray], options: argparse.Namespace, report: Report
) -> None:
    """likewise's posteriors of all rows for each share of evidence, then those of pyAgrum for some of them."""
    before = peak()
    rows: list[Row] = [{"evidence": share, "rows": len(states), "memory before": before} for share in patterns]
    few = slice(0, options.peer_rows)
    kept: list[dict[int, np.ndarray]] = []
    for row, observed in zip(rows, patterns.values(), strict=True):
        frame, evidence = case.frame(states, observed), Evidence(states, observed)
        every = range(states.shape[1])
        kept.append({})
        try:
            case.forget()
            row["cold"], found = timed(functools.partial(case.model.posterior, frame))
            row["warm"], found = timed(functools.partial(case.model.posterior, frame))
            kept[-1] = {i: found[name][few].copy() for i, name in enumerate(case.description.variables)}
            del found
            case.forget()
            engine = case.model.family_.network.inference
            row["engine cold"], _ = timed(functools.partial(engine.posterior, evidence, every))
            row["engine warm"], _ = timed(functools.partial(engine.posterior, evidence, every))
        except (lw.NotSupported, MemoryError) as error:
            row["message"] = said(error)
        report(rows)
    after = peak()
    for row, observed, ours in zip(rows, patterns.values(), kept, strict=True):
        row["memory"] = after
        theirs, _ = case.agrum.posteriors(states[few], observed[few], options.peer_seconds)
        row |= peer(theirs, len(states))
        if ours:
            row["ratio"] = row["agrum"] / row["cold"]
            row["difference"] = largest_difference(ours, theirs.posteriors)
        report(rows)
        if ours:
            row |= explained(case, states[: options.mpe_rows], observed[: options.mpe_rows])
            report(rows)


def peer(found: Answers, rows: int) -> Row:
    """What pyAgrum took, scaled to all rows."""
    answered = len(found.posteriors)
    seconds = found.seconds * rows / answered if answered else math.nan
    told = {"agrum": seconds, "agrum rows": answered, "agrum settings": found.settings}
    return told if found.message is None else told | {"agrum message": found.message}


def explained(case: Case, states: np.ndarray, observed: np.ndarray) -> Row:
    """By how much likewise's most probable states are more probable than the others', largest and least of the rows."""
    try:
        ours, *_ = case.model.family_.network.inference.most_probable(Evidence(states, observed))
    except (lw.NotSupported, MemoryError) as error:
        return {"gap message": said(error)}
    gaps, asked = [], {"pyAgrum": 0, "pgmpy": 0}
    for row, seen, own in zip(states, observed, ours, strict=True):
        for name, library in (("pyAgrum", case.agrum), ("pgmpy", case.pgmpy)):
            theirs = None if library is None else library.most_probable(row, seen)
            if theirs is not None:
                gaps.append(case.log_prob(own) - case.log_prob(theirs))
                asked[name] += 1
                break
    told = {"gap rows": " ".join(f"{name} {count}" for name, count in asked.items() if count) or "none"}
    return told | ({"gap": max(gaps), "gap least": min(gaps)} if gaps else {})


def single(case: Case, options: argparse.Namespace, report: Report) -> None:
    """One row and one target at a time, in milliseconds."""
    rng, states = np.random.default_rng(options.seed), case.draw(options.repeats + 1, options.seed)
    rows: list[Row] = []
    before = peak()
    for share in options.shares:
        columns = rng.permutation(states.shape[1])
        observed = np.zeros_like(states, dtype=bool)
        observed[:, columns[: round(share * len(columns))]] = True
        target = int(columns[-1])
        rows.append(alone(case, states, observed, target, options) | {"evidence": share, "memory before": before})
        report(rows)


def alone(case: Case, states: np.ndarray, observed: np.ndarray, target: int, options: argparse.Namespace) -> Row:
    """The medians of one-row questions, the first of each left out."""
    names, labels = case.description.variables, case.description.states
    seen = np.flatnonzero(observed[0])
    given = [{names[i]: labels[i][row[i]] for i in seen} for row in states]
    engine, name = case.model.family_.network.inference, names[target]
    calls: dict[str, Callable[[int], np.ndarray]] = {
        "query": lambda k: case.model.query(name, given=given[k])["probability"].to_numpy(),
        "posterior": lambda k: case.model.posterior(given[k], name)[name][0],
        "engine": lambda k: engine.posterior(Evidence(states[k : k + 1], observed[k : k + 1]), [target])[0][0],
    }
    row: Row = {"rows": len(states) - 1, "target": name}
    ours = np.zeros((len(states), len(labels[target])))
    for way, call in calls.items():
        took = []
        for k in range(len(states)):
            seconds, ours[k] = timed(functools.partial(call, k))
            took.append(seconds)
        row[f"{way} ms"] = 1e3 * statistics.median(took[1:])
    row["memory"] = peak()
    for title, library in (("agrum", case.agrum), ("pgmpy", case.pgmpy)):
        if library is None:
            continue
        theirs, each = library.posteriors(states, observed, options.peer_seconds, target)
        if len(each) > 1:
            row[f"{title} ms"] = 1e3 * statistics.median(each[1:])
            row[f"{title} difference"] = largest_difference({target: ours}, theirs.posteriors)
        row[f"{title} settings"], row[f"{title} rows"] = theirs.settings, len(each)
        if theirs.message is not None:
            row[f"{title} message"] = theirs.message
    return row


# Records ------------------------------------------------------------------------------------------------------------


def sampling(case: Case, options: argparse.Namespace, report: Report) -> None:
    """Records as a DataFrame."""
    count, seeds = options.records, itertools.count(options.seed)
    row: Row = {"rows": count, "memory before": peak()}
    took, frame = repeated(lambda: case.model.sample(count, random_state=next(seeds)), 3, math.inf)
    row |= {"first": took[0], "seconds": statistics.median(took), "memory": peak()}
    chances: dict[str, np.ndarray] = {}
    try:
        chances = {name: found[0] for name, found in case.model.posterior({}).items()}
        row |= errors(shares(frame, case.description), chances, count)
    except lw.NotSupported as error:
        row["message"] = said(error)
    report([row])
    took, frame = repeated(lambda: case.agrum.sample(count, next(seeds)), 3, options.peer_seconds / 3)
    row |= {"agrum": statistics.median(took), "agrum calls": len(took)}
    if chances:
        row["agrum errors"] = errors(shares(frame, case.description), chances, count)["errors"]
    row["ratio"] = row["agrum"] / row["seconds"]
    report([row])


def parameters(case: Case, options: argparse.Namespace, report: Report) -> None:
    """Tables of the given graph: of most likelihood, and with one added to every count."""
    states = case.draw(options.records, options.seed)
    frame, before, model = case.frame(states), peak(), case.model
    rows: list[Row] = []
    ours = []
    for prior in ("none", "dirichlet"):
        took, _ = repeated(functools.partial(model.fit_parameters, frame, prior=prior, weight=1.0), 3, math.inf)
        ours.append(tables_of(model, case.description))
        rows.append({"rows": len(frame), "prior": prior, "first": took[0], "seconds": statistics.median(took)})
        rows[-1] |= {"memory before": before, "memory": peak()}
        report(rows)
    told = case.met(states)
    for row, tables, count in zip(rows, ours, (0.0, 1.0), strict=True):
        for title, library in (("agrum", case.agrum), ("pgmpy", Pgmpy(case.description))):
            try:
                took, network = repeated(functools.partial(library.learned, frame, count), 3, options.peer_seconds / 3)
            except (gum.GumException, ValueError) as error:
                row[f"{title} message"] = said(error)
                continue
            theirs = library.tables(network)
            gaps = [np.abs(a - b)[met].max() for a, b, met in zip(tables, theirs, told, strict=True)]
            row |= {title: statistics.median(took), f"{title} difference": float(max(gaps))}
            report(rows)
    report(rows)


def blanks(case: Case, options: argparse.Namespace, report: Report) -> None:
    """Tables of the given graph from records with blanks."""
    count = min(5000, options.records)
    states, fresh = case.draw(count, options.seed), case.draw(options.records, options.seed + 1)
    frame, judged = case.frame(states), case.frame(fresh)
    truth = case.model.score(judged)
    rows: list[Row] = []
    for share in (0.05, 0.3):
        blank = np.random.default_rng(options.seed).random(states.shape) < share
        holed = frame.astype(object).mask(blank)
        whole = frame[~blank.any(axis=1)]
        model = lw.BayesianNetwork.read(case.path)
        took, _ = timed(functools.partial(model.fit_parameters, holed))
        told = model.training_record_["parameters"]
        row: Row = {"blank": share, "rows": count, "whole rows": len(whole), "seconds": took}
        row |= {"iterations": told["iterations"], "divergence": truth - model.score(judged)}
        row["divergence of all"] = truth - lw.BayesianNetwork.read(case.path).fit_parameters(frame).score(judged)
        if len(whole):
            kept = lw.BayesianNetwork.read(case.path).fit_parameters(whole)
            row["divergence of whole"] = truth - kept.score(judged)
        row["memory"] = peak()
        rows.append(row)
        report(rows)
        for title, library in (("agrum", case.agrum), ("pgmpy", Pgmpy(case.description))):
            try:
                took, network = timed(functools.partial(library.completed, holed))
                description = dataclasses.replace(case.description, tables=tuple(library.tables(network)))
                write_network(description, case.path.with_suffix(".learned.bif"))
                theirs = lw.BayesianNetwork.read(case.path.with_suffix(".learned.bif"))
                row |= {title: took, f"{title} divergence": truth - theirs.score(judged)}
            except Exception as error:  # whatever a peer makes of blanks
                row[f"{title} message"] = said(error)
            report(rows)


def rare(case: Case, options: argparse.Namespace, report: Report) -> None:
    """Records under evidence that is hardly ever true."""
    description, engine = case.description, case.model.family_.network.inference
    rng, best, count = np.random.default_rng(options.seed), (math.inf, 0.0, {}), len(description.variables)
    for members in [rng.choice(count, 2 + k % 2, replace=False) for k in range(60)]:
        joint = list(itertools.product(*(range(len(description.states[i])) for i in members)))
        states = np.zeros((len(joint), count), dtype=np.int64)
        states[:, members] = joint
        observed = np.zeros_like(states, dtype=bool)
        observed[:, members] = True
        logs = engine.log_prob(Evidence(states, observed))
        k = int(np.abs(logs - math.log(1e-4)).argmin())
        if (distance := abs(logs[k] - math.log(1e-4))) < best[0]:
            known = {description.variables[i]: description.states[i][states[k, i]] for i in members}
            best = distance, math.exp(logs[k]), known
    given, drawn, seeds = best[2], 1000, itertools.count(options.seed)
    row: Row = {"rows": drawn, "given": " ".join(f"{name}={label}" for name, label in given.items())}
    row |= {"probability": best[1], "memory before": peak()}
    case.forget()
    took, frame = repeated(lambda: case.model.sample(drawn, random_state=next(seeds), given=given), 5, math.inf)
    row |= {"first": took[0], "seconds": statistics.median(took), "memory": peak()}
    chances = {name: found[0] for name, found in case.model.posterior(given).items()}
    row |= errors(shares(frame, description), chances, drawn)
    report([row])


def load(case: Case, options: argparse.Namespace, report: Report) -> None:
    """Reading a file, and its posteriors where nothing is known."""
    original = options.folder / f"{case.name}.bif"
    with tempfile.TemporaryDirectory() as folder:
        # What the first model of a process imports is no part of reading a file.
        coin = NetworkDescription("coin", ("side",), (("head", "tail"),), ((),), (np.array([0.5, 0.5]),))
        write_network(coin, Path(folder) / "coin.bif")
        lw.BayesianNetwork.read(Path(folder) / "coin.bif").posterior({})
    row: Row = {"columns": len(case.description.variables), "memory before": peak()}
    row["load"], model = timed(lambda: lw.BayesianNetwork.read(original, max_memory=int(options.max_memory * 2**30)))
    engine = model.family_.network.inference
    row["numbers"] = sum(table.size for table in engine.parameters.tables)
    report([row])
    every = tuple(range(row["columns"]))
    row["plan"], query = timed(lambda: query_of(engine.parameters, [], [], every, seen_only=True))
    row["width"] = query.order.peak
    report([row])
    model.family_.network.changed()
    try:
        row["posteriors"], _ = timed(lambda: model.posterior({}))
        row["posteriors again"], _ = timed(lambda: model.posterior({}))
    except (lw.NotSupported, MemoryError) as error:
        row["message"] = said(error)
    row["memory"] = peak()
    report([row])
    row["agrum load"], _ = timed(lambda: Agrum(case.description, case.path, options.threads))
    report([row])


@dataclass(frozen=True)
class Part:
    """What is measured, on which networks (None: all of the folder), and which figures are shown."""

    run: Callable[[Case, argparse.Namespace, Report], None]
    networks: list[str] | None
    shown: list[str]


MEMORY = ["memory before", "memory"]
TIMES = ["evidence", "rows", "cold", "warm", "engine cold", "engine warm", "agrum", "agrum rows", "ratio", "difference"]
SINGLE = ["evidence", "query ms", "posterior ms", "engine ms"]
PEERS = ["agrum ms", "agrum difference", "pgmpy ms", "pgmpy difference"]
DRAWN = [
    "rows",
    "first",
    "seconds",
    "agrum",
    "agrum calls",
    "ratio",
    "errors",
    "agrum errors",
    "compared",
    "impossible",
]
LEARNED = ["prior", "rows", "first", "seconds", "agrum", "agrum difference", "pgmpy", "pgmpy difference"]
BLANKS = [
    "blank",
    "rows",
    "whole rows",
    "seconds",
    "iterations",
    "divergence",
    "divergence of all",
    "divergence of whole",
    "agrum",
    "agrum divergence",
    "pgmpy",
    "pgmpy divergence",
]
RARE = ["given", "probability", "rows", "first", "seconds", "errors", "compared", "impossible"]
LOADED = ["columns", "numbers", "load", "agrum load", "plan", "width", "posteriors", "posteriors again"]
PARTS = {
    "posteriors": Part(posteriors, ASKED, [*TIMES, "gap", "gap rows", *MEMORY]),
    "pattern": Part(pattern, ASKED, [*TIMES, "gap", "gap rows", *MEMORY]),
    "single": Part(single, ASKED, [*SINGLE, *PEERS, *MEMORY]),
    "sampling": Part(sampling, ["alarm", "andes", "pigs"], [*DRAWN, *MEMORY]),
    "parameters": Part(parameters, ["alarm"], [*LEARNED, *MEMORY]),
    "blanks": Part(blanks, ["alarm"], [*BLANKS, "memory"]),
    "rare": Part(rare, ["alarm"], [*RARE, *MEMORY]),
    "load": Part(load, None, [*LOADED, *MEMORY]),
}


# Processes ----------------------------------------------------------------------------------------------------------


def measured(part: str, name: str, arguments: list[str], timeout: float) -> list[Row]:
    """The figures of one part of one network, from a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        answers = Path(folder) / "rows.json"
        command = [sys.executable, __file__, *arguments, "--process", part, name, str(answers)]
        message = None
        try:
            code = subprocess.run(command, timeout=timeout).returncode
            message = f"The process ended with code {code}." if code else None
        except subprocess.TimeoutExpired:
            message = f"Not done after {timeout:g} seconds."
        rows: list[Row] = json.loads(answers.read_text(encoding="utf-8")) if answers.exists() else [{}]
    return [{"part": part, "network": name} | row | ({"stopped": message} if message else {}) for row in rows]


def process(part: str, name: str, answers: Path, options: argparse.Namespace) -> None:
    """Measures, and writes down what is known whenever more is."""

    known: list[Row] = []

    def report(rows: list[Row]) -> None:
        known[:] = rows
        written = answers.with_suffix(".part")
        written.write_text(json.dumps([row | {"threads": options.threads} for row in rows]), encoding="utf-8")
        os.replace(written, answers)

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{name}.bif"
        write_network(relabelled(read_network(options.folder / f"{name}.bif")), path)
        try:
            PARTS[part].run(Case(name, path, read_network(path), options), options, report)
        except lw.NotSupported as error:
            report([*known, {"message": said(error)}])


def shown(rows: list[Row], part: str) -> Iterator[Table | str]:
    """A table of the figures, and below it what went wrong."""
    table = Table(title=part)
    names = ["network", *(name for name in PARTS[part].shown if any(name in row for row in rows))]
    for name in names:
        table.add_column(name, justify="left" if name in ("network", "given", "gap rows") else "right")
    for row in rows:
        table.add_row(*(written(row.get(name)) for name in names))
    yield table
    for row in rows:
        for name in ("message", "agrum message", "pgmpy message", "gap message", "stopped"):
            if name in row:
                yield f"{row['network']} {row.get('evidence', '')} {name}: {row[name]}"


def written(value: Any) -> str:
    return "" if value is None else f"{value:.3g}" if isinstance(value, float) else str(value)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="with NAME.bif")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--networks", nargs="+", help="by name, instead of those that a part is usually run on")
    parser.add_argument("--shares", nargs="+", type=float, default=[0.1, 0.5, 0.9], help="of the columns observed")
    parser.add_argument("--rows", type=int, default=1000, help="for posteriors")
    parser.add_argument("--pattern-rows", type=int, default=10_000)
    parser.add_argument("--records", type=int, default=100_000, help="for sampling and parameters")
    parser.add_argument("--repeats", type=int, default=200, help="of questions about one row")
    parser.add_argument("--peer-rows", type=int, default=100, help="that pyAgrum answers of posteriors and pattern")
    parser.add_argument("--peer-seconds", type=float, default=120.0, help="after which a peer answers no more rows")
    parser.add_argument("--mpe-rows", type=int, default=10, help="whose most probable states are compared")
    parser.add_argument("--max-memory", type=float, default=4.0, help="of likewise's inference, in GiB")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="of likewise and its peers")
    parser.add_argument("--timeout", type=float, default=1800.0, help="seconds for one part of one network")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="appends one line a row of the tables")
    parser.add_argument("--process", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.process:
        part, name, answers = options.process
        process(part, name, Path(answers), options)
        return
    found = sorted(path.stem for path in options.folder.glob("*.bif"))
    if missing := sorted(set(options.networks or ()) - set(found)):
        parser.error(f"{options.folder} holds no {', '.join(missing)}.bif")
    console = Console(width=None if sys.stdout.isatty() else 200)
    for part in options.parts:
        usual = PARTS[part].networks or found
        rows: list[Row] = []
        for name in options.networks or [name for name in usual if name in found]:
            console.print(f"{part}: {name} ...", highlight=False)
            rows += measured(part, name, sys.argv[1:], options.timeout)
            if options.json:
                with options.json.open("a", encoding="utf-8") as file:
                    file.writelines(json.dumps(row) + "\n" for row in rows if row["network"] == name)
        for block in shown(rows, part):
            console.print(block, markup=False) if isinstance(block, str) else console.print(block)


if __name__ == "__main__":
    main()
