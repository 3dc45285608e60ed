"""Markov chains whose stationary distribution is base(x) exp(b f(x)): Langevin moves of values, one code at a time."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from likewise.events import Batch, Quantised
from likewise.families.energy.base import Base, Independent
from likewise.mathematics import truncated_normal
from likewise.mathematics.gibbs_with_gradients import gibbs_with_gradients
from likewise.mathematics.langevin import Walkers, accepted, metropolis_langevin

ACCEPTANCE = 0.57
"""The share of Langevin moves that the step is adapted to accept (Roberts and Rosenthal 1998)."""

GAIN = 0.3
"""Of the logarithm of the step, for each unit of acceptance above or below."""

LEAST_LOG_STEP, MOST_LOG_STEP = -5.0, 0.5


class Target:
    """The density base(x) exp(b f(x)) among the points of `Base`.

    A value on a grid is a point of its cell, and f sees the middle of that: the mass of a cell is the base's mass times
    exp(f), exactly.

    Parameters
    ----------
    base : Base
    energy : module
        f, a number (N,) for each dense view (N, view).
    exponent : float
        b.
    free : bool (N, E) or None
        The entries that may change; None for all.
    """

    def __init__(self, base: Base, energy: nn.Module, exponent: float = 1.0, free: Tensor | None = None) -> None:
        self.base, self.energy, self.exponent, self.free = base, energy, exponent, free
        event, view = base.event, base.view
        self.event, self.view = event, view
        self.values = list(event.value_entries)
        self.value_columns = [column for column in view.value_columns if column is not None]
        self.coded = [i for i, part in enumerate(view.code_columns) if part.stop > part.start]
        self.blocks = [view.code_columns[i] for i in self.coded]
        self.entries = [i for i in range(len(event)) if i in self.values or i in self.coded]
        # Entries that share a grid, one of them first, and their columns.
        self.quantised = [
            (at[0], [view.value_columns[i] for i in at])
            for at in event.alike
            if isinstance(event.all[at[0]].value, Quantised)
        ]

    def points(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """Points (N, view) float32 of fully observed records: grids anywhere in their cells, absent values normal."""
        points = self.view.dense(batch).float()
        for i, column in zip(self.values, self.value_columns, strict=True):
            uniform = torch.rand(len(batch), generator=generator, device=generator.device, dtype=torch.float64)
            level = uniform.to(points.device).clamp(1e-9, 1 - 1e-9)
            if isinstance(self.event.all[i].value, Quantised):
                low = batch.lower[:, i].double()
                inside = truncated_normal.quantile(level, low, low + batch.width[:, i].double())
                points[:, column] = torch.where(batch.codes[:, i] == 0, inside.float(), points[:, column])
            points[:, column] = torch.where(
                batch.codes[:, i] == 0, points[:, column], torch.special.ndtri(level).float()
            )
        return points

    def codes_and_values(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Codes (N, E) and values (N, E), the latter also where the code is not 0."""
        codes = torch.zeros(len(points), len(self.event), dtype=torch.int64, device=points.device)
        values = points.new_zeros(len(points), len(self.event))
        for i, block in zip(self.coded, self.blocks, strict=True):
            codes[:, i] = points[:, block].argmax(1)
        values[:, self.values] = points[:, self.value_columns]
        return codes, values

    def records(self, points: Tensor) -> Batch:
        """The records that points stand for."""
        return self.event.complete(*self.codes_and_values(points))

    def shown(self, points: Tensor) -> Tensor:
        """What f sees of points: values on grids in the middle of their cells."""
        if not self.quantised:
            return points
        points = points.clone()
        for i, columns in self.quantised:
            points[:, columns] = self.event.measure(i, points[:, columns].double())[0].to(points)
        return points

    @torch.no_grad()
    def ratio(self, points: Tensor) -> Tensor:
        """f (N,) of points."""
        found: Tensor = self.energy(self.shown(points))
        return found

    def evaluate(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """log-density (N,) of points, and slopes (N, view): of values, and of codes up to a constant of each entry.

        Slopes of codes are exact for the base, and linear for f.
        """
        with torch.no_grad():
            codes, values = self.codes_and_values(points)
            total, levels = self.base.levels(codes, values)
        with torch.inference_mode(False), torch.enable_grad():
            shown = self.shown(points).clone().requires_grad_()
            f = self.energy(shown)
            (slope,) = torch.autograd.grad(f.sum(), shown)
        slope = self.exponent * slope
        slope[:, self.value_columns] -= points[:, self.value_columns]
        for i, block in zip(self.coded, self.blocks, strict=True):
            slope[:, block] += levels[i].to(slope)
        return (total + self.exponent * f.detach()).detach(), slope

    @torch.no_grad()
    def move(self, walkers: Walkers, log_step: Tensor, generator: torch.Generator, adapt: bool = False) -> Walkers:
        """One change of a code and one Langevin move of all values; with `adapt`, `log_step` is adapted in place."""
        free = self.free
        if self.blocks:
            allowed = None
            if free is not None:
                sizes = [block.stop - block.start for block in self.blocks]
                allowed = torch.cat(
                    [free[:, [i]].expand(-1, size) for i, size in zip(self.coded, sizes, strict=True)], 1
                )
            walkers, _ = gibbs_with_gradients(walkers, self.evaluate, self.blocks, generator, allowed)
        if self.values:
            step = log_step.exp().float()
            width = step if free is None else step * free[:, self.values].float()
            walkers, taken = metropolis_langevin(walkers, self.evaluate, width, generator, self.value_columns)
            if adapt:
                log_step += GAIN * (taken.float().mean() - ACCEPTANCE)
                log_step.clamp_(LEAST_LOG_STEP, MOST_LOG_STEP)
        return walkers

    @torch.no_grad()
    def run(
        self, points: Tensor, moves: int, log_step: Tensor, generator: torch.Generator, adapt: bool = False
    ) -> Tensor:
        """Points after so many moves: those of `move` over a base with slopes, else draws of one entry each."""
        if isinstance(self.base, Independent):
            walkers = Walkers.at(points, self.evaluate)
            for _ in range(moves):
                walkers = self.move(walkers, log_step, generator, adapt)
            return walkers.points
        points, left = self.shown(points), moves
        ratio: Tensor = self.energy(points)
        while left > 0 and self.entries:
            order = torch.randperm(len(self.entries), generator=generator, device=generator.device)[:left].tolist()
            for k in order:
                points, ratio = self.change(self.entries[k], points, ratio, generator)
            left -= len(order)
        return points

    @torch.no_grad()
    def change(self, i: int, points: Tensor, ratio: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Entry `i` is drawn anew, and the change accepted by f; `ratio` is f (N,) of the points, before and after.

        The draw is from the base given all other entries, so that the ratio of Metropolis and Hastings is
        exp(b (f(new) - f(old))) alone. Points stand, and are left, in the middle of their cells.
        """
        moved = self.redrawn(points, i, generator)
        level: Tensor = self.energy(moved)
        taken = accepted(self.exponent * (level - ratio), generator)
        if self.free is not None:
            taken &= self.free[:, i]
        return torch.where(taken.unsqueeze(1), moved, points), torch.where(taken, level, ratio)

    @torch.no_grad()
    def redrawn(self, points: Tensor, i: int, generator: torch.Generator) -> Tensor:
        """The points with entry `i` drawn from the base given all others, in the middle of its cell."""
        codes, values = self.codes_and_values(points)
        code, value = self.base.redraw(i, codes, values, generator)
        moved, block, column = points.clone(), self.view.code_columns[i], self.view.value_columns[i]
        if block.stop > block.start:
            moved[:, block] = nn.functional.one_hot(code, block.stop - block.start).to(moved)
        if column is not None:
            on_grid = isinstance(self.event.all[i].value, Quantised)
            moved[:, column] = self.event.measure(i, value.double())[0].to(moved) if on_grid else value
        return moved
