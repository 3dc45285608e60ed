"""`likewise query`: how probable each state of a column is, given what is known."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from likewise.cli.options import Force, Json
from likewise.cli.outcome import Refused, tell
from likewise.cli.outputs import STDOUT, check_free, check_table, write_json, write_table

if TYPE_CHECKING:
    from likewise.estimators.bayesian_network import BayesianNetwork


def query(
    model: Annotated[
        Path, typer.Argument(metavar="MODEL", help="A file of a Bayesian network: a model, or BIF or XMLBIF.")
    ],
    target: Annotated[
        list[str] | None, typer.Option(metavar="COLUMN", help="The column that is asked about. May be repeated.")
    ] = None,
    given: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN=WHAT",
            help="What is known: column=value, column=low..high or column=a|b. May be repeated.",
        ),
    ] = None,
    do: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN=VALUE", help="What is set from outside, whatever it depends on. May be repeated."),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(metavar="DATA", help="Rows of evidence, blank cells being unknown; answers are a row each."),
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Say which evidence moved the answer, and how far.")
    ] = False,
    worth: Annotated[
        bool, typer.Option("--worth", help="Say which other column would change the answer most, in bits.")
    ] = False,
    likeliest: Annotated[
        bool,
        typer.Option("--likeliest", help="The jointly most probable states of the targets, of all columns by default."),
    ] = False,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="A .csv or .parquet file. [default: a table on stdout]")
    ] = None,
    json: Json = None,
    force: Force = False,
) -> None:
    """Ask a Bayesian network how probable each state of a column is, exactly."""
    if not target and not likeliest:
        raise Refused("Nothing is asked: name a column with --target, or add --likeliest.")
    if data is not None and (given or explain or worth):
        raise Refused("--data gives the evidence of every row: it does not go with --given, --explain or --worth.")
    if likeliest and (explain or worth):
        raise Refused("--likeliest is about several columns at once: it does not go with --explain or --worth.")
    if json == STDOUT and out is None and (data is not None or likeliest):
        raise Refused("The answers and --json - would both go to stdout: name a file with --out.")
    check_table(out)
    check_free(out, force)
    check_free(json, force)

    network = _network(model)
    evidence, set_ = _said(network, given or [], "--given"), _said(network, do or [], "--do")
    start = time.perf_counter()
    told: dict[str, Any] = {"model": str(model), "given": given or [], "do": do or []}
    if likeliest:
        told |= _tell_likeliest(network, data, evidence, set_, target, out)
    elif data is not None:
        told |= _tell_rows(network, data, set_, target, out)
    else:
        told["answers"] = [
            _tell_answer(network, name, evidence, set_, explain, worth, json == STDOUT) for name in target or []
        ]
        if out is not None:
            rows = [(answer["target"], state, p) for answer in told["answers"] for state, p in answer["probability"]]
            write_table(
                {"target": [r[0] for r in rows], "state": [r[1] for r in rows], "probability": [r[2] for r in rows]},
                ["target", "state", "probability"],
                out,
            )
    told["seconds"] = time.perf_counter() - start
    if out is not None:
        tell(f"Answered in {told['seconds']:.1f} s; written to {out}.")
    if json is not None:
        write_json(json, told)


def _network(path: Path) -> BayesianNetwork:
    """The Bayesian network in a file."""
    from likewise.errors import NotSupported
    from likewise.estimators.bayesian_network import BayesianNetwork
    from likewise.estimators.files import load
    from likewise.exchange import SUFFIXES

    if path.suffix.lower() in SUFFIXES:
        return BayesianNetwork.read(path)

    loaded = load(path)
    if not isinstance(loaded, BayesianNetwork):
        raise NotSupported(
            f"{str(path)!r} holds a model of {type(loaded).__name__}, which does not answer questions exactly: fit "
            "one with --family bayesian_network."
        )
    return loaded


def _said(network: BayesianNetwork, words: list[str], option: str) -> dict[str, Any]:
    from likewise.cli.given import parse
    from likewise.domains.table import Table

    assert isinstance(network.domain_, Table)
    columns = (*network.domain_.facts, *network.domain_.labels)
    return parse(words, {facts.name: facts.family for facts in columns}, option)


def _tell_answer(
    network: BayesianNetwork,
    target: str,
    evidence: dict[str, Any],
    do: dict[str, Any],
    explain: bool,
    worth: bool,
    silent: bool,
) -> dict[str, Any]:
    from likewise.cli import tables
    from likewise.estimators.questions import texts_of

    answer = network.query(target, evidence, do=do)
    states = texts_of(list(answer.index))
    told: dict[str, Any] = {
        "target": target,
        "probability": list(zip(states, answer["probability"], strict=True)),
        "without_evidence": list(zip(states, answer["without evidence"], strict=True)),
    }
    rows = [
        [state, f"{now:.6g}", f"{before:.6g}"] for state, (now, before) in zip(states, answer.to_numpy(), strict=True)
    ]
    if not silent:
        tables.grid([target, "probability", "without evidence"], rows, right=["probability", "without evidence"])
    if explain:
        found = network.explain(target, evidence, do=do)
        told["explanation"] = found.reset_index().to_dict("records")
        if not silent:
            _grid("evidence", found)
    if worth:
        found = network.value_of_information(target, evidence, do=do)
        told["worth"] = found.reset_index().to_dict("records")
        if not silent:
            _grid("column", found.head(20))
    return told


def _grid(head: str, found: Any) -> None:
    from likewise.cli import tables

    heads = [head, *found.columns]
    rows = [
        [str(name), *(f"{number:.4g}" for number in row)]
        for name, row in zip(found.index, found.to_numpy(), strict=True)
    ]
    tables.grid(heads, rows, right=heads[1:])


def _tell_rows(
    network: BayesianNetwork, data: str, do: dict[str, Any], target: list[str] | None, out: Path | None
) -> dict[str, Any]:
    from likewise.estimators.questions import texts_of

    found = network.posterior(network.domain_.read(data), target, do=do)
    columns = {
        f"{name}={state}": part[:, k]
        for name, part in found.items()
        for k, state in enumerate(texts_of(network.states_of(name)))
    }
    write_table(columns, list(columns), out)
    return {
        "records": len(next(iter(found.values()))),
        "columns": list(columns),
        "file": None if out is None else str(out),
    }


def _tell_likeliest(
    network: BayesianNetwork,
    data: str | None,
    evidence: dict[str, Any],
    do: dict[str, Any],
    target: list[str] | None,
    out: Path | None,
) -> dict[str, Any]:
    from likewise.estimators.questions import texts_of

    records = evidence if data is None else network.domain_.read(data)
    found = network.most_probable(records, target, do=do)
    frame = found.states.copy()
    for name in frame:
        states = network.states_of(name)
        texts = texts_of(states)
        frame[name] = [texts[states.index(state)] for state in found.states[name]]
    frame["log_probability"] = found.log_probability
    write_table(frame, list(frame.columns), out)
    return {"records": len(frame), "file": None if out is None else str(out)}
