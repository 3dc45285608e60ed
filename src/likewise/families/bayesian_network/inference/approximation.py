"""Answers for networks that are too wide for exact ones: weighted samples and loopy propagation, asked for by name.

Likelihood weighting draws what is not known from its parents and weighs a draw by the probability of what is known
(Fung and Chang 1990; Shachter and Peot 1990). Loopy propagation passes the messages that are exact on trees around in
any graph until they settle (Pearl 1988; Murphy, Weiss and Jordan 1999): where they do, posteriors are often good and
never guaranteed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from string import ascii_letters

import numpy as np
import torch

from likewise.errors import NotSupported
from likewise.families.bayesian_network.discrete.network import DiscreteNetwork
from likewise.families.bayesian_network.inference.contraction import Array, Integers
from likewise.families.bayesian_network.inference.exact import Evidence, impossible, weights_of
from likewise.families.bayesian_network.inference.relevance import Query

LEAST_WORTH = 30.0
"""Fewer independent draws than this say nothing."""

TILE = 1 << 18
"""Draws at once."""

DAMPING = 0.3
"""The share of the old message in a new one: oscillations die out, and the speed hardly suffers."""


def likelihood_weighting(
    network: DiscreteNetwork, evidence: Evidence, targets: Sequence[int], draws: int, generator: torch.Generator
) -> list[Array]:
    """For each target its distribution (B, states) by weighted draws; NotSupported where they are worth too little."""
    out: list[Array] = [np.zeros((len(evidence), network.nodes.sizes[i])) for i in targets]
    rows_at_once = max(1, TILE // draws)
    for start in range(0, len(evidence), rows_at_once):
        part = evidence.rows(slice(start, start + rows_at_once))
        states, logs = _weighted(network, part, draws, generator)
        top = logs.max(1, keepdims=True)
        weights = np.exp(logs - np.where(np.isneginf(top), 0.0, top))
        total = weights.sum(1)
        worth = total**2 / np.maximum((weights**2).sum(1), 1e-300)
        if (worth < LEAST_WORTH).any():
            row = int(worth.argmin())
            told = (
                f"{draws} weighted draws are worth {worth[row]:.1f} independent ones, since the evidence is improbable"
            )
            if not total[row]:
                told = f"none of {draws} weighted draws agrees with the evidence, which is improbable or impossible"
            raise NotSupported(f"Row {start + row}: {told}; ask for more draws, observe less, or use method='exact'.")
        for k, i in enumerate(targets):
            size = network.nodes.sizes[i]
            at = np.arange(len(part))[:, None] * size + states[:, :, i]
            counts = np.bincount(at.ravel(), weights.ravel(), len(part) * size).reshape(-1, size)
            out[k][start : start + len(part)] = counts / total[:, None]
    return out


def _weighted(
    network: DiscreteNetwork, evidence: Evidence, draws: int, generator: torch.Generator
) -> tuple[Integers, Array]:
    """Joint states (B, draws, E), and the logs of their weights (B, draws)."""
    states = torch.from_numpy(evidence.states.repeat(draws, 0))
    observed = torch.from_numpy(evidence.observed.repeat(draws, 0))
    logs = torch.zeros(len(states), dtype=torch.float64)
    for i in network.order:
        if not evidence.observed[:, i].all():
            drawn = network.draw_child(i, states, generator)
            states[:, i] = torch.where(observed[:, i], states[:, i], drawn)
        if i not in evidence.cut and evidence.observed[:, i].any():
            own = network.of(i)
            log = own.table.double()[own.partition.route(states), states[:, i]].log()
            logs += torch.where(observed[:, i], log, 0.0)
        if i in evidence.log_weights:
            each = torch.from_numpy(evidence.log_weights[i].repeat(draws, 0))
            log = each.gather(1, states[:, i : i + 1])[:, 0]
            logs += torch.where(observed[:, i], 0.0, log)
    rows = len(evidence)
    return states.numpy().reshape(rows, draws, -1), logs.numpy().reshape(rows, draws)


def loopy_propagation(
    network: DiscreteNetwork,
    evidence: Evidence,
    targets: Sequence[int],
    iterations: int = 1000,
    tolerance: float = 1e-10,
) -> list[Array]:
    """For each target its distribution (B, states) where messages settle; NotSupported where they do not."""
    out: list[Array] = [np.zeros((len(evidence), network.nodes.sizes[i])) for i in targets]
    for i, answer in zip(targets, out, strict=True):
        seen = np.flatnonzero(evidence.observed[:, i])
        answer[seen, evidence.states[seen, i]] = 1.0
    goals = tuple(i for i in targets if not evidence.observed[:, i].all())
    for rows, part, query in network.inference.alike(evidence, goals):
        beliefs = _settled(query, part, rows, iterations, tolerance)
        for i, answer in zip(targets, out, strict=True):
            if i in beliefs:
                answer[rows, : len(beliefs[i])] = beliefs[i].T
    return out


def _settled(query: Query, part: Evidence, rows: Integers, iterations: int, tolerance: float) -> dict[int, Array]:
    """The beliefs (states, B) of every variable once they change by less than the tolerance; `rows` have numbers."""
    weights = weights_of(query, part)[0]
    factors = [factor.numbers(part.states, weights) for factor in query.factors]
    scopes = [factor.scope for factor in query.factors]
    around: dict[int, list[int]] = {}
    for k, scope in enumerate(scopes):
        for name in scope:
            around.setdefault(name, []).append(k)
    flat = {name: np.full((query.plan.sizes[name], len(part)), 1 / query.plan.sizes[name]) for name in around}
    messages = {(k, name): flat[name] for k, scope in enumerate(scopes) for name in scope}
    beliefs, changed = flat, math.inf
    for _ in range(iterations):
        for k, scope in enumerate(scopes):
            letters = dict(zip(scope, ascii_letters[1:], strict=False))
            own = "".join(letters[name] for name in scope) + "a"
            incoming = {
                name: _combined([flat[name], *(messages[j, name] for j in around[name] if j != k)], rows)
                for name in scope
            }
            for name in scope:
                others = [other for other in scope if other != name]
                formula = ",".join([own, *(f"{letters[other]}a" for other in others)]) + f"->{letters[name]}a"
                sent = np.einsum(formula, factors[k], *(incoming[other] for other in others), optimize="greedy")
                new = _combined([np.broadcast_to(sent, flat[name].shape)], rows)
                # What a message rules out stays out.
                messages[k, name] = np.where(new > 0, (1 - DAMPING) * new + DAMPING * messages[k, name], 0.0)
        settled = {
            name: _combined([messages[k, name] for k in own_factors], rows) for name, own_factors in around.items()
        }
        changed = max(float(np.abs(belief - beliefs[name]).max()) for name, belief in settled.items())
        beliefs = settled
        if changed < tolerance:
            return beliefs
    raise NotSupported(
        f"Loopy propagation has not settled after {iterations} rounds (beliefs still change by {changed:.2g}): use "
        "method='likelihood_weighting', or observe more columns."
    )


def _combined(messages: Sequence[Array], rows: Integers) -> Array:
    """The product of messages (states, B), adding up to 1 in every row; DataError where it is 0 throughout.

    On trees and elsewhere: what propagation rules out is out of the question.
    """
    with np.errstate(divide="ignore"):
        logs = sum((np.log(message) for message in messages[1:]), start=np.log(messages[0]))
    top = logs.max(0)
    if np.isneginf(top).any():
        raise impossible(int(rows[np.isneginf(top).argmax()]))
    product = np.exp(logs - top)
    found: Array = product / product.sum(0)
    return found
