"""The joint states of unknown codes, and of unknown cells that matter, under which a linear-Gaussian network is solved.

A *world* of a record gives every code that matters a state. Given a world, values are jointly Gaussian. A quantised
value that is unknown and has known values below it takes one world a cell: its children see the centre of its cell.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from likewise.errors import NotSupported
from likewise.events import Batch, Quantised, Restriction, Status
from likewise.families.bayesian_network.linear_gaussian.blocks import Role, System, solve
from likewise.families.bayesian_network.structure.graph import ancestors

if TYPE_CHECKING:
    from likewise.families.bayesian_network.linear_gaussian.network import LinearGaussianNetwork

MAX_WORLDS = 1 << 16
"""More joint states of unknown codes and cells than this are not enumerated for one record."""


@dataclass(frozen=True)
class Worlds:
    """Worlds of the records of one pattern of evidence.

    Attributes
    ----------
    row : int64 (W,)
        The record of each world.
    codes : int64 (W, E)
    settled : bool (W, E)
        Which codes the world fixes.
    values, low, width : float64 (W, E)
        Known coordinates, and cells as in a batch.
    roles : int64 (W, E)
    log_codes : float64 (W,)
        The log-probability of the codes.
    """

    row: Tensor
    codes: Tensor
    settled: Tensor
    values: Tensor
    low: Tensor
    width: Tensor
    roles: Tensor
    log_codes: Tensor

    def rows(self, index: Tensor) -> Worlds:
        """The worlds at `index`."""
        return Worlds(*(getattr(self, name)[index] for name in self.__dataclass_fields__))


def _needed(network: LinearGaussianNetwork, status: Tensor) -> tuple[set[int], set[int], list[int]]:
    """The values and the codes that matter under a pattern of evidence, and those of the codes that are unknown."""
    known = [i for i in range(len(status)) if status[i] != Status.UNKNOWN]
    values = ancestors(network.value_parents, [i for i in known if i in network.event.value_entries])
    asked = {p for i in values for p in network.of(i).code_parents} | values | set(known)
    codes = ancestors(network.codes.parents, sorted(asked))
    free = [i for i in sorted(codes) if status[i] != Status.OBSERVED and network.event.code_sizes[i] > 1]
    return values, codes, free


def count_worlds(network: LinearGaussianNetwork, status: Tensor) -> int:
    """How many worlds one record of this pattern of evidence can have; NotSupported where they are too many."""
    values, _, free = _needed(network, status)
    count = math.prod(network.event.code_sizes[i] for i in free)
    for i in values:
        value = network.event.all[i].value
        below = any(i in network.value_parents[child] for child in values)
        if isinstance(value, Quantised) and status[i] != Status.OBSERVED and below:
            count, free = count * (value.size or 1), [*free, i]
    if count > MAX_WORLDS:
        names = ", ".join(network.event.all[i].name for i in free[:6])
        raise NotSupported(
            f"A linear-Gaussian network sums over {count:.3g} joint states of the unknown columns {names}; at most "
            f"{MAX_WORLDS} are possible: observe more of them, or use values='bins'."
        )
    return count


def worlds_of(network: LinearGaussianNetwork, batch: Batch, sampling: bool = False) -> Worlds:
    """All possible worlds of records of one pattern of evidence; `sampling` leaves out unseen codes."""
    event = network.event
    values, codes, free = _needed(network, batch.status[0])
    grid = torch.zeros(1, 0, dtype=torch.int64)
    if free:
        grid = torch.cartesian_prod(*(torch.arange(event.code_sizes[i]) for i in free)).reshape(-1, len(free))
    row = torch.arange(len(batch)).repeat_interleave(len(grid))
    own = batch.rows(row)
    states = own.codes.clone()
    states[:, free] = grid.repeat(len(batch), 1)
    possible = torch.ones(len(row), dtype=torch.bool)
    for i in free:
        if batch.status[0, i] == Status.RESTRICTED:
            possible &= own.restrictions[i].codes.gather(1, states[:, i : i + 1])[:, 0]
        unseen = event.all[i].unseen
        if sampling and unseen is not None:
            possible &= states[:, i] != unseen
    log_codes = torch.zeros(len(row), dtype=torch.float64)
    for i in sorted(codes):
        part = network.codes.of(i)
        log_codes += part.table.double()[part.partition.route(states), states[:, i]].log()
    roles = torch.full(states.shape, int(Role.IGNORED))
    for i in values:
        status = int(batch.status[0, i])
        value = event.all[i].value
        role = {
            int(Status.OBSERVED): Role.CELL if isinstance(value, Quantised) else Role.POINT,
            int(Status.UNKNOWN): Role.UNKNOWN,
            int(Status.RESTRICTED): Role.WITHIN,
        }[status]
        roles[:, i] = torch.where(states[:, i] == 0, int(role), int(Role.ABSENT))
    settled = torch.zeros(states.shape, dtype=torch.bool)
    settled[:, sorted(codes)] = True
    worlds = Worlds(row, states, settled, own.values.double(), own.lower.double(), own.width.double(), roles, log_codes)
    keep = (possible & torch.isfinite(log_codes)).nonzero()[:, 0]
    return _with_cells(network, batch, worlds.rows(keep))


def _with_cells(network: LinearGaussianNetwork, batch: Batch, worlds: Worlds) -> Worlds:
    """The worlds with a world a cell for quantised values that are not observed but have known values below them."""
    parts = []
    for at, roles in _patterns(worlds.roles):
        part = worlds.rows(at)
        relevant = _relevant(network, roles)
        part.roles[:, [i for i in range(len(roles)) if roles[i] != Role.ABSENT and i not in relevant]] = Role.IGNORED
        for i in relevant:
            value = network.event.all[i].value
            below = any(i in network.value_parents[child] for child in relevant)
            if not (isinstance(value, Quantised) and roles[i] in (Role.UNKNOWN, Role.WITHIN) and below):
                continue
            size = value.size
            if size is None or len(part.row) * size > 1 << 22:
                raise NotSupported(
                    f"The unknown quantised column {network.event.all[i].name} has more cells than can be summed over "
                    "in a linear-Gaussian network: observe it, or use values='bins'."
                )
            assert value.low is not None
            centre, lower, width = value.cells(value.low + torch.arange(size))
            part = part.rows(torch.arange(len(part.row)).repeat_interleave(size))
            times = len(part.row) // size
            cell = replace(
                part,
                values=part.values.clone(),
                low=part.low.clone(),
                width=part.width.clone(),
                roles=part.roles.clone(),
            )
            cell.values[:, i], cell.low[:, i] = centre.repeat(times), lower.repeat(times)
            cell.width[:, i] = width.repeat(times)
            cell.roles[:, i] = Role.CELL
            part = cell
        parts.append(part)
    return (
        Worlds(*(torch.cat([getattr(part, name) for part in parts]) for name in Worlds.__dataclass_fields__))
        if (parts)
        else worlds
    )


def _patterns(roles: Tensor) -> list[tuple[Tensor, list[int]]]:
    names, which = torch.unique(roles, dim=0, return_inverse=True)
    return [((which == k).nonzero()[:, 0], names[k].tolist()) for k in range(len(names))]


def _relevant(network: LinearGaussianNetwork, roles: list[int]) -> list[int]:
    """The entries whose values are known in part, and those above them, parents first."""
    present = [[p for p in above if roles[p] not in (Role.ABSENT, Role.IGNORED)] for above in network.value_parents]
    known = [i for i, role in enumerate(roles) if role in (Role.POINT, Role.CELL, Role.WITHIN)]
    found = ancestors(present, known)
    return [i for i in network.order if i in found]


def evaluate(
    network: LinearGaussianNetwork, batch: Batch, worlds: Worlds, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """The log-probability of each world with what is observed (W,), the values (W, E), and which of these are settled.

    With a generator, unknown values on which something known depends are drawn.
    """
    logs, values = worlds.log_codes.clone(), worlds.values.clone()
    settled = torch.zeros(worlds.codes.shape, dtype=torch.bool)
    for at, system in _systems(network, batch, worlds):
        found, drawn = solve(system, _names(network), generator)
        logs[at] += found[:, 0]
        values[at[:, None], torch.tensor(system.entries)[None, :]] = drawn
        settled[at[:, None], torch.tensor(system.entries)[None, :]] = True
    return logs, values, settled


def evaluate_parts(network: LinearGaussianNetwork, batch: Batch, worlds: Worlds, entry: int, parts: Tensor) -> Tensor:
    """The log-probability (W, S) of each world with what is observed and the value of `entry` in each of the parts.

    Parts (S, 2) are intervals; where the entry is absent they say nothing. It is RESTRICTED in the batch.
    """
    logs = worlds.log_codes[:, None].repeat(1, len(parts))
    for at, system in _systems(network, batch, worlds):
        if entry in system.entries:
            k = system.entries.index(entry)
            system.intervals[k] = _common(system.intervals[k], parts)
        logs[at] += solve(system, _names(network))[0]
    return logs


def _common(intervals: Tensor | None, parts: Tensor) -> Tensor:
    """The intersections (B, S, P, 2) of a union of intervals (B, 1, P, 2) with each of the parts (S, 2)."""
    assert intervals is not None
    low = torch.maximum(intervals[..., 0], parts[None, :, None, 0])
    return torch.stack([low, torch.maximum(low, torch.minimum(intervals[..., 1], parts[None, :, None, 1]))], -1)


def _names(network: LinearGaussianNetwork) -> list[str]:
    return [entry.name for entry in network.event.all]


def _systems(network: LinearGaussianNetwork, batch: Batch, worlds: Worlds) -> Iterator[tuple[Tensor, System]]:
    """Groups of worlds and their equations; worlds in which no value is known are in none."""
    for at, roles in _patterns(worlds.roles):
        entries = _relevant(network, roles)
        if entries:
            yield at, _system(network, batch, worlds.rows(at), entries, [Role(roles[i]) for i in entries])


def _system(
    network: LinearGaussianNetwork, batch: Batch, worlds: Worlds, entries: list[int], roles: list[Role]
) -> System:
    event, rows, size = network.event, len(worlds.row), len(entries)
    free = {i for i, role in zip(entries, roles, strict=True) if role in (Role.UNKNOWN, Role.WITHIN)}
    intercepts, deviations = torch.zeros(rows, size, dtype=torch.float64), torch.ones(rows, size, dtype=torch.float64)
    slopes = torch.zeros(rows, size, size, dtype=torch.float64)
    known = worlds.values.clone()
    known[:, sorted(free)] = 0.0
    intervals: list[Tensor | None] = []
    links: list[list[int]] = []
    for k, i in enumerate(entries):
        own = network.of(i)
        intercepts[:, k], deviations[:, k] = own.predict(event, worlds.codes, known)
        links.append([entries.index(p) for p in own.value_parents if p in free])
        cell = own.table.route(worlds.codes)
        for p in own.value_parents:
            if p in free:
                slopes[:, k, entries.index(p)] = own.coefficients[cell, 1 + own.value_parents.index(p)]
        within = _interval(batch, worlds, i, roles[k])
        intervals.append(None if within is None else within[:, None])
    at = torch.tensor(entries)
    width = worlds.width[:, at].clamp(min=1e-300).log()
    return System(entries, roles, links, intercepts, deviations, slopes, known[:, at], width, intervals)


def _interval(batch: Batch, worlds: Worlds, i: int, role: Role) -> Tensor | None:
    if role not in (Role.CELL, Role.WITHIN):
        return None
    cell = torch.stack([worlds.low[:, i], worlds.low[:, i] + worlds.width[:, i]], 1)[:, None, :]
    restriction: Restriction | None = batch.restrictions.get(i)
    if restriction is None or batch.status[0, i] != Status.RESTRICTED:
        return cell
    allowed = restriction.intervals.double()[worlds.row]
    if role == Role.WITHIN:
        return allowed
    low, high = torch.maximum(allowed[..., 0], cell[..., 0]), torch.minimum(allowed[..., 1], cell[..., 1])
    return torch.stack([low, torch.maximum(low, high)], -1)


def log_totals(logs: Tensor, row: Tensor, rows: int) -> Tensor:
    """The log of the sum of exp(logs) over the worlds of each record (rows,)."""
    top = torch.full((rows,), float("-inf"), dtype=torch.float64).scatter_reduce(0, row, logs, "amax")
    safe = top.clamp(min=-1e300)
    sums = torch.zeros(rows, dtype=torch.float64).index_add(0, row, (logs - safe[row]).exp())
    return torch.where(torch.isinf(top), top, safe + sums.log())
