"""A Markov chain on codes that proposes the changes which the slope of the log-density promises most of."""

from __future__ import annotations

import torch
from torch import Tensor

from likewise.mathematics.langevin import Evaluate, Walkers, accepted
from likewise.mathematics.relaxation import gumbel


def gibbs_with_gradients(
    walkers: Walkers,
    evaluate: Evaluate,
    blocks: list[slice],
    generator: torch.Generator,
    free: Tensor | None = None,
) -> tuple[Walkers, Tensor]:
    """One change of one code, proposed by slopes and accepted so that p is kept exactly (Grathwohl et al. 2021).

    The change of block b to code k is proposed with a probability in proportion to exp(d / 2), where d is the slope of
    column k less that of the present code: what the log-density would gain, were it linear (their algorithm 1).

    Parameters
    ----------
    walkers : Walkers
        Points whose columns hold one-hot codes in each block.
    evaluate : function of points
        Slopes of minus infinity are never proposed; anything else is valid, and better the nearer it is to the gain.
    blocks : list of slice
        The columns of each code; together they need not be all columns.
    generator : torch.Generator
    free : bool (N, number of columns in blocks) or None
        The changes that may be made; None for all.

    Returns
    -------
    Walkers and bool (N,)
        Where they stand now, and which of them have moved.
    """
    columns = torch.cat([torch.arange(block.start, block.stop) for block in blocks]).to(walkers.points.device)
    sizes = torch.tensor([block.stop - block.start for block in blocks], device=columns.device)
    owner = torch.arange(len(blocks), device=columns.device).repeat_interleave(sizes)

    def log_choice(at: Walkers) -> Tensor:
        """log-probabilities (N, columns) of the changes; those to the present code are none."""
        here, slope = at.points[:, columns], at.slope[:, columns]
        present = torch.zeros(len(here), len(blocks)).to(here).index_add(1, owner, torch.where(here > 0, slope, 0.0))
        gain = (slope - present[:, owner]).masked_fill(here > 0, -torch.inf)
        if free is not None:
            gain = gain.masked_fill(~free, -torch.inf)
        return torch.log_softmax(0.5 * gain, 1)

    forth = log_choice(walkers)
    possible = torch.isfinite(forth).any(1)
    chosen = (forth + gumbel(forth, generator)).argmax(1)
    moved, rows = walkers.points.clone(), torch.arange(len(forth), device=forth.device)
    block = owner[chosen]
    here = walkers.points[:, columns] * (owner == block.unsqueeze(1))
    back = here.argmax(1)
    moved[rows, columns[back]] = 0.0
    moved[rows, columns[chosen]] = 1.0
    moved = torch.where(possible.unsqueeze(1), moved, walkers.points)
    proposed = Walkers.at(moved, evaluate)
    log_ratio = proposed.log_density - walkers.log_density
    log_ratio = log_ratio + log_choice(proposed)[rows, back] - forth[rows, chosen]
    taken = accepted(log_ratio, generator) & possible
    return walkers.choose(taken, proposed), taken
