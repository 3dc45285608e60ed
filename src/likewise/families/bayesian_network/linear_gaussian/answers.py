"""Answers of a linear-Gaussian network about states of its entries.

Everything is a ratio of probabilities of evidence. Soft evidence is a weighted sum of hard evidence (`Cases`), an
intervention a question to a network in which nothing acts on what was set, and the joint probability of states and
evidence a sum over worlds, in which a value asked about lies in each of its parts at once.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from likewise.errors import DataError, NotSupported
from likewise.events import Batch, Restriction, Status
from likewise.families.bayesian_network.discrete.network import by_evidence
from likewise.families.bayesian_network.linear_gaussian.separation import bearing
from likewise.families.bayesian_network.linear_gaussian.worlds import evaluate, evaluate_parts, log_totals, worlds_of
from likewise.families.family import Question
from likewise.mathematics.monotone import EDGE

if TYPE_CHECKING:
    from likewise.families.bayesian_network.linear_gaussian.network import LinearGaussianNetwork

MAX_COMBINATIONS = 1 << 16
"""More joint states of targets than this are not compared for one record."""


@dataclass(frozen=True)
class Cases:
    """Hard evidence whose weighted sum is the evidence of some records.

    Attributes
    ----------
    batch : Batch
        The cases of all records.
    record : int64 (C,)
        The record of each.
    log_weights : float64 (C,)
    log_codes : entry -> float64 (C, codes)
        Weights of the codes of entries without a value.
    """

    batch: Batch
    record: Tensor
    log_weights: Tensor
    log_codes: dict[int, Tensor]


def posterior(network: LinearGaussianNetwork, question: Question, targets: Sequence[int]) -> list[Tensor]:
    """For each target the probabilities (B, states) of its states."""
    evidence = question.evidence
    network = _asked(network, question)
    found = [torch.zeros(len(evidence), len(network.states(i)), dtype=torch.float64) for i in targets]
    for rows in by_evidence(evidence.status):
        own = _rows(question, rows)
        for i, part in zip(targets, found, strict=True):
            if int(evidence.status[rows[0], i]) == Status.OBSERVED:
                part[rows, _observed(network, own.evidence, i, rows)] = 1.0
                continue
            logs = _log_joint(network, own, [i])
            _check_possible(logs, rows)
            part[rows] = torch.softmax(logs, 1)
    return found


def most_probable(network: LinearGaussianNetwork, question: Question, targets: Sequence[int]) -> tuple[Tensor, Tensor]:
    """The jointly most probable states (B, targets), and the log of their probability (B,) given the evidence."""
    evidence = question.evidence
    network = _asked(network, question)
    states = torch.zeros(len(evidence), len(targets), dtype=torch.int64)
    best = torch.zeros(len(evidence), dtype=torch.float64)
    for pattern in by_evidence(evidence.status):
        places = [k for k, i in enumerate(targets) if int(evidence.status[pattern[0], i]) != Status.OBSERVED]
        places = _order(network, targets, places)
        sizes = [len(network.states(targets[k])) for k in places]
        count = math.prod(sizes)
        if count > MAX_COMBINATIONS:
            names = ", ".join(network.event.all[targets[k]].name for k in places[:6])
            raise NotSupported(
                f"A linear-Gaussian network compares the joint states of {names} one by one, and there are "
                f"{count:.3g}; at most {MAX_COMBINATIONS} are possible: ask for fewer targets, or use values='bins'."
            )
        for rows in pattern.split(max(1, 4 * MAX_COMBINATIONS // count)):
            own = _rows(question, rows)
            logs = _log_joint(network, own, [targets[k] for k in places])
            _check_possible(logs, rows)
            top, at = logs.max(1)
            best[rows] = top - logs.logsumexp(1)
            for k, i in enumerate(targets):
                if k not in places:
                    states[rows, k] = _observed(network, own.evidence, i, rows)
            for k, size in reversed(list(zip(places, sizes, strict=True))):
                states[rows, k] = at % size
                at = at // size
    return states, best


def intervened(network: LinearGaussianNetwork, cut: Collection[int]) -> LinearGaussianNetwork:
    """The network in which nothing acts on some observed entries: their own factors are constant."""
    if not cut:
        return network
    event = network.event
    codes: list[Any] = [{"parents": [], "splits": None} for _ in event.all]
    values: list[Any] = [None if entry.value is None else {"codes": [], "values": []} for entry in event.all]
    found = type(network)(event, codes, values, network.codes.max_memory)
    for i in range(len(event)):
        if i in cut:
            found.codes.of(i).table.fill_(1.0)
            continue
        found.codes.conditionals[i] = network.codes.of(i)
        found.codes.parents[i] = network.codes.parents[i]
        if event.all[i].value is not None:
            found.regressions[str(i)] = network.of(i)
            found.value_parents[i] = network.value_parents[i]
    found.order, found.codes.order = network.order, network.codes.order
    return found


def _asked(network: LinearGaussianNetwork, question: Question) -> LinearGaussianNetwork:
    """The network that a question is about (Pearl 2000, section 1.3); DataError where no state has any weight."""
    status = question.evidence.status
    assert bool((status[:, list(question.set_from_outside)] == Status.OBSERVED).all()), "what is set is observed"
    for i, likelihood in question.likelihoods.items():
        _check_possible(likelihood.double().log(), torch.arange(len(status)), status[:, i] != Status.OBSERVED)
    return intervened(network, question.set_from_outside)


# ---------------------------------------------------------------------------------------------------------- evidence


def _bearing(
    network: LinearGaussianNetwork, question: Question, targets: Sequence[int]
) -> tuple[LinearGaussianNetwork, Question]:
    """The network and the question without what says nothing about the targets."""
    status = question.evidence.status[0].tolist()
    observed = {i for i, known in enumerate(status) if known == Status.OBSERVED}
    noticed = {i for i, known in enumerate(status) if known == Status.RESTRICTED or i in question.likelihoods}
    bears, causes = bearing(network, observed, noticed - observed, targets)
    likelihoods = {i: part for i, part in question.likelihoods.items() if i in bears}
    batch = question.evidence.hide([i for i in range(len(status)) if i not in bears])
    return intervened(network, causes), Question(batch, likelihoods)


def _rows(question: Question, rows: Tensor) -> Question:
    likelihoods = {i: part[rows] for i, part in question.likelihoods.items()}
    return Question(question.evidence.rows(rows), likelihoods, question.set_from_outside)


def _observed(network: LinearGaussianNetwork, evidence: Batch, i: int, rows: Tensor) -> Tensor:
    """The observed states (B,) of entry `i`; DataError where no training record had one."""
    entry, code = network.event.all[i], evidence.codes[:, i]
    unseen = (code >= entry.seen).nonzero()[:, 0]
    if len(unseen):
        raise DataError(
            f"Row {int(rows[unseen[0]])} observes {entry.name} in a state that no training record had, which is none "
            "of the states that answers are about: leave the column out of the targets."
        )
    if entry.value is None:
        return code
    inner = _parts(network, i)[1:, 0].contiguous()
    part = torch.searchsorted(inner, evidence.values[:, i].double().contiguous(), right=True)
    return torch.where(code == 0, part, code + len(inner))


def _cases(network: LinearGaussianNetwork, question: Question) -> Cases:
    """The evidence of records of one pattern as a sum over hard evidence: states of equal weight are one case."""
    batch = question.evidence
    record = torch.arange(len(batch))
    log_weights, log_codes = torch.zeros(len(batch), dtype=torch.float64), {}
    for i, likelihood in question.likelihoods.items():
        entry, weights = network.event.all[i], likelihood.double().to(record.device)[record]
        if int(question.evidence.status[0, i]) == Status.OBSERVED:
            continue
        if entry.value is None:
            allowed = torch.zeros(len(batch), entry.code.size, dtype=torch.bool)
            allowed[:, : entry.seen] = weights > 0
            batch = _restricted(batch, i, allowed, torch.zeros(len(batch), 1, 2, dtype=torch.float64))
            log_codes[i] = torch.zeros(allowed.shape, dtype=torch.float64)
            log_codes[i][:, : entry.seen] = weights.clamp(min=1e-300).log()
            continue
        same = weights[:, :, None] == weights[:, None, :]
        first = same.byte().argmax(2) == torch.arange(weights.shape[1])
        at, which = (first & (weights > 0)).nonzero(as_tuple=True)
        chosen, parts = same[at, which], _parts(network, i)
        allowed = torch.zeros(len(at), entry.code.size, dtype=torch.bool)
        allowed[:, 0] = chosen[:, : len(parts)].any(1)
        allowed[:, 1 : entry.seen] = chosen[:, len(parts) :]
        inside = torch.where(chosen[:, : len(parts), None], parts, torch.tensor([EDGE, -EDGE], dtype=torch.float64))
        batch = _restricted(batch.rows(at), i, allowed, inside)
        record, log_weights = record[at], log_weights[at] + weights[at, which].log()
        log_codes = {j: logs[at] for j, logs in log_codes.items()}
    return Cases(batch, record, log_weights, log_codes)


def _parts(network: LinearGaussianNetwork, i: int) -> Tensor:
    """The parts (S, 2) of the value of entry `i`: its first states."""
    ends = [[state.low, state.high] for state in network.states(i) if state.low is not None]
    return torch.tensor(ends, dtype=torch.float64)


def _restricted(batch: Batch, i: int, codes: Tensor, intervals: Tensor) -> Batch:
    """The records with an entry, observed in none, restricted further: to codes (B, K) and intervals (B, P, 2)."""
    before = batch.restrictions.get(i)
    if before is not None and int(batch.status[0, i]) == Status.RESTRICTED:
        old, new = before.intervals.double()[:, :, None, :], intervals[:, None, :, :]
        low, high = torch.maximum(old[..., 0], new[..., 0]), torch.minimum(old[..., 1], new[..., 1])
        codes, intervals = codes & before.codes, torch.stack([low, high], -1).flatten(1, 2)
    is_empty = intervals[..., 0] >= intervals[..., 1]
    order = is_empty.byte().argsort(dim=1, stable=True)
    kept = max(1, int((~is_empty).sum(1).max())) if len(batch) else 1
    intervals = intervals.gather(1, order[:, :kept, None].expand(-1, -1, 2))
    return batch.restrict(i, Restriction(codes, intervals))


# ---------------------------------------------------------------------------------------------------- joint probability


def _order(network: LinearGaussianNetwork, targets: Sequence[int], places: list[int]) -> list[int]:
    """Places of targets as `_log_joint` takes them: values, entries without a value, and one value."""
    valued = [k for k in places if network.event.all[targets[k]].value is not None]
    return [*valued[:-1], *(k for k in places if k not in valued), *valued[-1:]]


def _log_joint(network: LinearGaussianNetwork, question: Question, targets: Sequence[int]) -> Tensor:
    """The log-probability (B, joint states) of the joint states of targets, the last the fastest, with the evidence.

    It is that up to a constant of each record, which belongs to evidence that says nothing about the targets. Records
    are of one pattern of evidence; targets are in the order of `_order`, and none is observed.
    """
    network, question = _bearing(network, question, targets)
    cases, records, event = _cases(network, question), len(question.evidence), network.event
    valued = [i for i in targets if event.all[i].value is not None]
    ahead, last = valued[:-1], valued[-1] if valued else None
    plain = [i for i in targets if i not in valued]
    batch, states = _each_state(network, cases.batch, ahead)
    for i in [*plain, *valued[-1:]]:
        seen = torch.arange(event.all[i].code.size) < event.all[i].seen
        line = torch.tensor([[-EDGE, EDGE]], dtype=torch.float64)
        batch = _restricted(batch, i, seen.expand(len(batch), -1), line.expand(len(batch), -1, -1))
    parts = None if last is None else _parts(network, last)
    kinds = math.prod(event.all[i].seen for i in plain)
    size = 1 if last is None else len(network.states(last))
    joint = states * kinds * size
    logs = torch.full((len(batch), kinds * size), -math.inf, dtype=torch.float64)
    for part in network.tiles(batch, torch.arange(len(batch))):
        own = batch.rows(part)
        worlds = worlds_of(network, own, sampling=True)
        weighed = worlds.log_codes.clone()
        for i, weights in cases.log_codes.items():
            weighed += weights[part[worlds.row] // states, worlds.codes[:, i]]
        worlds = replace(worlds, log_codes=weighed)
        place = worlds.row
        for i in plain:
            place = place * event.all[i].seen + worlds.codes[:, i]
        if last is None or parts is None:
            terms = evaluate(network, own, worlds)[0]
        else:
            found, code = evaluate_parts(network, own, worlds, last, parts), worlds.codes[:, last]
            here, away = (code == 0).nonzero()[:, 0], (code > 0).nonzero()[:, 0]
            terms = torch.cat([found[here].flatten(), found[away, 0]])
            inside = (place[here, None] * size + torch.arange(len(parts))).flatten()
            place = torch.cat([inside, place[away] * size + len(parts) + code[away] - 1])
        logs[part] = log_totals(terms, place, len(part) * kinds * size).reshape(len(part), -1)
    place = cases.record[:, None] * joint + torch.arange(joint)
    weighted = (logs.reshape(-1, joint) + cases.log_weights[:, None]).flatten()
    return log_totals(weighted, place.flatten(), records * joint).reshape(records, joint)


def _each_state(network: LinearGaussianNetwork, batch: Batch, entries: Sequence[int]) -> tuple[Batch, int]:
    """Each record restricted to each joint state of some entries with values, and how many of these there are."""
    sizes = [len(network.states(i)) for i in entries]
    times, rows = math.prod(sizes), len(batch)
    batch, at = batch.repeat(times), torch.arange(times).repeat(rows)
    for i, size in reversed(list(zip(entries, sizes, strict=True))):
        parts, state = _parts(network, i), at % size
        code = (state - len(parts) + 1).clamp(min=0)
        inside = parts[state.clamp(max=len(parts) - 1)][:, None, :]
        allowed = code[:, None] == torch.arange(network.event.all[i].code.size)
        batch = _restricted(batch, i, allowed, inside)
        at = at // size
    return batch, times


def _check_possible(logs: Tensor, rows: Tensor, checked: Tensor | None = None) -> None:
    nothing = torch.isneginf(logs).all(1)
    impossible = (nothing if checked is None else nothing & checked).nonzero()[:, 0]
    if len(impossible):
        raise DataError(
            f"Row {int(rows[impossible[0]])} of the evidence has probability zero: nothing can be said under it."
        )
