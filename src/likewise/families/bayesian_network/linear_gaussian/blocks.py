"""Sums over unknown values of a linear-Gaussian network whose codes are all given.

In a group of rows every value entry has the same role. Unknown values are jointly Gaussian, so what is observed below
them is too; up to two intervals (cells, restrictions) add one more exact factor to each block of dependent unknowns.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import torch
from torch import Tensor

from likewise.errors import NotSupported
from likewise.mathematics import bivariate_normal, truncated_normal


class Role(IntEnum):
    """What a value entry is in a row."""

    ABSENT = 0
    POINT = 1
    CELL = 2
    UNKNOWN = 3
    WITHIN = 4
    IGNORED = 5


@dataclass(frozen=True)
class System:
    """The linear equations of one group of rows, v_i = intercept_i + sum_j slope_ij v_j + deviation_i e_i.

    Attributes
    ----------
    entries : list of int
        The value entries at hand, parents first.
    roles : list of Role
        Of each: POINT, CELL, UNKNOWN or WITHIN.
    links : list of list of int
        For each the places, in `entries`, of its parents that are UNKNOWN or WITHIN.
    intercepts, deviations : (B, n)
    slopes : (B, n, n)
        Of the parents in `links`; observed parents are in the intercept.
    values, log_width : (B, n)
        Observed points and the log-volume of their units.
    intervals : list of (B, S, P, 2) or None
        Of CELL and WITHIN entries: S alternatives, unions of P disjoint intervals each. One entry at most has several.
    """

    entries: list[int]
    roles: list[Role]
    links: list[list[int]]
    intercepts: Tensor
    deviations: Tensor
    slopes: Tensor
    values: Tensor
    log_width: Tensor
    intervals: list[Tensor | None]


def solve(system: System, names: list[str], generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
    """The log-probability (B, S) of what is observed, with each alternative of the entry that has several.

    With a generator also draws (B, n) of the unknown values; then no entry has several alternatives.
    """
    total = torch.zeros(len(system.intercepts), 1, dtype=torch.float64)
    drawn = system.values.clone()
    free = [k for k, role in enumerate(system.roles) if role in (Role.UNKNOWN, Role.WITHIN)]
    for k, role in enumerate(system.roles):
        if k in free or system.links[k]:
            continue
        standard = (system.values[:, k] - system.intercepts[:, k]) / system.deviations[:, k]
        if role == Role.POINT:
            density = truncated_normal.log_density(standard) - system.deviations[:, k].log() + system.log_width[:, k]
            total = total + density[:, None]
        else:
            total = total + _log_within(system.intervals[k], system.intercepts[:, k], system.deviations[:, k])
    for block in _blocks(system, free):
        part, values = _block(system, block, names, generator)
        total = total + part
        if generator is not None:
            drawn[:, [k for k in block if k in free]] = values
    return total, drawn


def _blocks(system: System, free: list[int]) -> list[list[int]]:
    """Sets of places that depend on each other through unknown values, in the order of the system."""
    group = {k: {k} for k in free}
    for k, above in enumerate(system.links):
        members = set(above) | ({k} if k in group else set())
        if not members:
            continue
        merged = set().union(*(group[m] for m in members)) | {k}
        for m in merged:
            group[m] = merged
    return [sorted(part) for part in {id(part): part for part in group.values()}.values()]


def _block(
    system: System, block: list[int], names: list[str], generator: torch.Generator | None
) -> tuple[Tensor, Tensor]:
    roles = system.roles
    free = [k for k in block if roles[k] in (Role.UNKNOWN, Role.WITHIN)]
    points = [k for k in block if roles[k] == Role.POINT]
    limited = [k for k in block if roles[k] in (Role.CELL, Role.WITHIN)]
    if len(limited) > (2 if generator is None else 1):
        listed = ", ".join(names[system.entries[k]] for k in limited)
        raise NotSupported(
            f"Linear-Gaussian columns {listed} are known or asked about as intervals and share unknown columns: "
            f"{'their joint probability has' if generator is None else 'draws under them have'} no closed form. "
            "Observe the columns between them, or use values='bins'."
        )
    size = len(free)
    eye = torch.eye(size, dtype=torch.float64)
    # v = (I - B)^-1 (c + D e)
    mixing = torch.linalg.inv(eye - system.slopes[:, free][:, :, free])
    mean = (mixing @ system.intercepts[:, free, None])[:, :, 0]
    spread = mixing * system.deviations[:, None, free]
    covariance = spread @ spread.transpose(1, 2)
    # What is seen: rows of A v + a + noise.
    seen = [*points, *limited]
    rows = len(mean)
    loads = torch.zeros(rows, len(seen), size, dtype=torch.float64)
    shift, noise = torch.zeros(rows, len(seen), dtype=torch.float64), torch.zeros(rows, len(seen), dtype=torch.float64)
    for at, k in enumerate(seen):
        if roles[k] == Role.WITHIN:
            loads[:, at, free.index(k)] = 1.0
        else:
            loads[:, at] = system.slopes[:, k][:, free]
            shift[:, at], noise[:, at] = system.intercepts[:, k], system.deviations[:, k]
    expected = (loads @ mean[:, :, None])[:, :, 0] + shift
    joint = loads @ covariance @ loads.transpose(1, 2) + torch.diag_embed(noise**2)
    lower = torch.linalg.cholesky(joint) if seen else joint
    count = len(points)
    observed = system.values[:, points] - expected[:, :count]
    white = torch.linalg.solve_triangular(lower[:, :count, :count], observed[:, :, None], upper=False)[:, :, 0]
    scale = lower.diagonal(dim1=1, dim2=2)
    total = (truncated_normal.log_density(white) - scale[:, :count].log() + system.log_width[:, points]).sum(1)[:, None]
    away = observed
    if limited:
        centre = expected[:, count:] + (lower[:, count:, :count] @ white[:, :, None])[:, :, 0]
        within = [system.intervals[k] for k in limited]
        if len(limited) == 1:
            total = total + _log_within(within[0], centre[:, 0], scale[:, count])
        else:
            total = total + _log_both(within, centre, lower[:, count:, count:])
        if generator is not None:
            assert within[0] is not None
            inside = draw_within(within[0][:, 0], centre[:, 0], scale[:, count], generator)
            away = torch.cat([away, (inside - expected[:, count])[:, None]], 1)
    if generator is None:
        return total, mean

    # Matheron's rule: a joint draw, moved by how far what it shows is from what was seen.
    def normal(columns: int) -> Tensor:
        return torch.randn(rows, columns, generator=generator, device=generator.device, dtype=torch.float64).to(mean)

    moved = (spread @ normal(size)[:, :, None])[:, :, 0]
    if seen:
        shown = (loads @ moved[:, :, None])[:, :, 0] + noise * normal(len(seen))
        moved = (
            moved
            + (covariance @ loads.transpose(1, 2) @ torch.cholesky_solve((away - shown)[:, :, None], lower))[:, :, 0]
        )
    return total, mean + moved


def _log_within(intervals: Tensor | None, mean: Tensor, deviation: Tensor) -> Tensor:
    assert intervals is not None
    ends = (intervals - mean[:, None, None, None]) / deviation[:, None, None, None]
    return truncated_normal.log_mass(ends[..., 0], ends[..., 1]).logsumexp(2)


def _log_both(intervals: list[Tensor | None], mean: Tensor, lower: Tensor) -> Tensor:
    """The same for two values, lower the triangular root (B, 2, 2) of their covariance."""
    first, second = intervals
    assert first is not None
    assert second is not None
    own = lower.diagonal(dim1=1, dim2=2)
    # Each in deviations of its own: the second is load * the first + a rest of deviation `rest`.
    whole = lower[:, 1].norm(dim=1)
    first = (first - mean[:, 0, None, None, None]) / own[:, 0, None, None, None]
    second = (second - mean[:, 1, None, None, None]) / whole[:, None, None, None]
    load, rest = ((part / whole)[:, None, None, None] for part in (lower[:, 1, 0], own[:, 1]))
    return bivariate_normal.log_mass(first[..., :, None, :], second[..., None, :, :], load, rest).logsumexp((2, 3))


def draw_within(intervals: Tensor, mean: Tensor, deviation: Tensor, generator: torch.Generator) -> Tensor:
    """Normal values restricted to a union of disjoint intervals (B, P, 2)."""
    ends = (intervals - mean[:, None, None]) / deviation[:, None, None]
    masses = truncated_normal.log_mass(ends[..., 0], ends[..., 1])
    u = torch.rand(2, len(mean), generator=generator, device=generator.device, dtype=torch.float64).to(mean)
    weights = (masses - masses.amax(1, keepdim=True)).exp().cumsum(1)
    piece = torch.searchsorted(weights, u[0][:, None] * weights[:, -1:], right=True).clamp(max=weights.shape[1] - 1)
    chosen = ends.gather(1, piece[:, :, None].expand(-1, -1, 2))[:, 0]
    inside = mean + deviation * truncated_normal.quantile(u[1], chosen[:, 0], chosen[:, 1])
    edges = intervals.gather(1, piece[:, :, None].expand(-1, -1, 2))[:, 0]
    return torch.minimum(torch.maximum(inside, edges[:, 0]), edges[:, 1])
