"""Exact inference by variable elimination over batches of factors, with backward sampling through the elimination.

A factor is a non-negative tensor whose first axis is the row (1 where all rows share it) and whose other axes are
variables. Sums run in float64 with the largest element of each factor scaled to 1 per row, so that evidence of any
improbability keeps its digits; rows in which even that underflows are done again in log space.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from likewise.errors import NotSupported


@dataclass(frozen=True)
class Factor:
    """A function of variables: `table` is (rows or 1, states of the first variable, ...)."""

    variables: tuple[int, ...]
    table: Tensor


@dataclass(frozen=True)
class Plan:
    """An elimination order and the largest number of states that a step of it holds per row."""

    order: tuple[int, ...]
    peak: int


def plan(scopes: Sequence[tuple[int, ...]], sizes: Mapping[int, int]) -> Plan:
    """The better of a min-weight and a min-fill order (Kjaerulff 1990) over all variables of the scopes."""
    plans = [_greedy(scopes, sizes, by_fill) for by_fill in (False, True)]
    return min(plans, key=lambda found: found.peak)


def _greedy(scopes: Sequence[tuple[int, ...]], sizes: Mapping[int, int], by_fill: bool) -> Plan:
    neighbours: dict[int, set[int]] = {variable: set() for scope in scopes for variable in scope}
    for scope in scopes:
        for variable in scope:
            neighbours[variable].update(scope)
    for variable in neighbours:
        neighbours[variable].discard(variable)

    def weight(variable: int) -> float:
        return math.log2(sizes[variable]) + sum(math.log2(sizes[other]) for other in neighbours[variable])

    def cost(variable: int) -> tuple[float, float, int]:
        if not by_fill:
            return weight(variable), 0.0, variable
        around = neighbours[variable]
        fill = sum(len(around - neighbours[other]) - 1 for other in around)
        return fill / 2, weight(variable), variable

    costs = {variable: cost(variable) for variable in neighbours}
    order, peak = [], 1
    while neighbours:
        variable = min(costs, key=costs.__getitem__)
        around = neighbours.pop(variable)
        del costs[variable]
        order.append(variable)
        peak = max(peak, sizes[variable] * math.prod(sizes[other] for other in around))
        touched = set(around)
        for other in around:
            neighbours[other] |= around
            neighbours[other] -= {other, variable}
            touched |= neighbours[other] if by_fill else set()
        for other in touched:
            costs[other] = cost(other)
    return Plan(tuple(order), peak)


@dataclass(frozen=True)
class Elimination:
    """What an elimination found: the log of the total (rows,), and the factors met at each variable, in order."""

    log_total: Tensor
    buckets: list[tuple[int, list[Factor]]]
    in_logs: bool


def eliminate(factors: list[Factor], order: Sequence[int], rows: int, in_logs: bool = False) -> Elimination:
    """Sums all variables out of the product of the factors, in the given order."""
    device = factors[0].table.device if factors else torch.device("cpu")
    log_total = torch.zeros(rows, dtype=torch.float64, device=device)
    pool: list[Factor] = []
    for factor in factors:
        if in_logs:
            pool.append(Factor(factor.variables, factor.table.log()))
        else:
            scaled, scale = _scaled(factor)
            pool.append(scaled)
            log_total = log_total + scale
    buckets: list[tuple[int, list[Factor]]] = []
    for variable in order:
        bucket = [factor for factor in pool if variable in factor.variables]
        pool = [factor for factor in pool if variable not in factor.variables]
        buckets.append((variable, bucket))
        if in_logs:
            pool.append(_log_sum(bucket, variable))
        else:
            scaled, scale = _scaled(_sum(bucket, variable))
            pool.append(scaled)
            log_total = log_total + scale
    for factor in pool:
        log_total = log_total + (factor.table if in_logs else factor.table.log())
    return Elimination(log_total, buckets, in_logs)


def _scaled(factor: Factor) -> tuple[Factor, Tensor]:
    """The factor with its largest element 1 in every row, and the logs of what was divided out (rows or 1,)."""
    flat = factor.table.reshape(len(factor.table), -1)
    top = flat.amax(1)
    safe = torch.where(top > 0, top, torch.ones_like(top))
    table = factor.table / safe.reshape(-1, *(1 for _ in factor.variables))
    return Factor(factor.variables, table), safe.log()


def _sum(bucket: list[Factor], variable: int) -> Factor:
    """The product of the bucket, summed over `variable`; the largest factor enters last, as a matrix product."""
    ordered = sorted(bucket, key=lambda factor: factor.table.numel())
    scope, table = ordered[0].variables, ordered[0].table
    if len(ordered) == 1:
        at = scope.index(variable)
        return Factor(scope[:at] + scope[at + 1 :], table.sum(at + 1))
    for step, factor in enumerate(ordered[1:], 2):
        union = scope + tuple(other for other in factor.variables if other not in scope)
        if step == len(ordered):
            union = tuple(other for other in union if other != variable)
        letters = {name: at + 1 for at, name in enumerate(dict.fromkeys(scope + factor.variables))}
        table = torch.einsum(
            table,
            [0, *(letters[name] for name in scope)],
            factor.table,
            [0, *(letters[name] for name in factor.variables)],
            [0, *(letters[name] for name in union)],
        )
        scope = union
    return Factor(scope, table)


def _log_sum(bucket: list[Factor], variable: int) -> Factor:
    scope = tuple(dict.fromkeys(name for factor in bucket for name in factor.variables))
    total = _aligned(bucket[0], scope)
    for factor in bucket[1:]:
        total = total + _aligned(factor, scope)
    at = scope.index(variable)
    return Factor(scope[:at] + scope[at + 1 :], total.logsumexp(at + 1))


def _aligned(factor: Factor, scope: tuple[int, ...]) -> Tensor:
    """The table with its axes in the order of `scope`, of size 1 where the factor does not depend on a variable."""
    axes = sorted(range(len(factor.variables)), key=lambda at: scope.index(factor.variables[at]))
    table = factor.table.permute(0, *(at + 1 for at in axes))
    sizes = {factor.variables[at]: factor.table.shape[at + 1] for at in axes}
    return table.reshape(len(table), *(sizes.get(name, 1) for name in scope))


def draw(found: Elimination, rows: Tensor, generator: torch.Generator) -> dict[int, Tensor]:
    """A state of every variable from the distribution that was eliminated, for each of the given rows (n,)."""
    drawn: dict[int, Tensor] = {}
    for variable, bucket in reversed(found.buckets):
        total: Tensor | None = None
        for factor in bucket:
            at = factor.variables.index(variable)
            table = factor.table.movedim(at + 1, -1)
            others = [drawn[name] for name in factor.variables if name != variable]
            part = table[(rows if len(table) > 1 else torch.zeros_like(rows), *others)]
            part = part if found.in_logs else part.log()
            total = part if total is None else total + part
        assert total is not None
        drawn[variable] = sample_logits(total, generator)
    return drawn


def sample_logits(logits: Tensor, generator: torch.Generator) -> Tensor:
    """One state for each row of unnormalised log-probabilities (n, states)."""
    weights = (logits - logits.amax(1, keepdim=True)).exp()
    ends = weights.cumsum(1)
    u = torch.rand(len(ends), 1, generator=generator, device=generator.device, dtype=torch.float64).to(ends)
    return torch.searchsorted(ends, u * ends[:, -1:], right=True)[:, 0].clamp(max=ends.shape[1] - 1)


def row_limit(peak: int, max_memory: int, what: str) -> int:
    """How many rows fit the memory at once; NotSupported where not even one does."""
    rows = max_memory // (8 * peak)
    if rows < 1:
        raise NotSupported(
            f"Exact inference here needs a table of {peak:.3g} states ({8 * peak / 2**30:.3g} GiB), more than "
            f"max_memory allows ({max_memory / 2**30:.3g} GiB): {what}"
        )
    return rows
