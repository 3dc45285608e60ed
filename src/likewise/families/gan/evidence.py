"""Draws under evidence: of the generator's own records those that agree, by the referee's preference."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from likewise.events import Batch, Status
from likewise.families.family import Draws
from likewise.families.gan.choice import log_preference
from likewise.families.labels import label_groups
from likewise.families.rejection import Candidates, as_given, rejection

if TYPE_CHECKING:
    from likewise.families.gan.family import GANFamily

OTHERS = 64
"""Sets of other candidates over which the referee's preference for a record is averaged."""


def conditional(family: GANFamily, evidence: Batch, draws: int, generator: torch.Generator) -> Draws:
    """`draws` records for each record of evidence, by rejection.

    Evidence is applied before the referee chooses: of the generator's own records, those that agree are weighted by how
    much the choice among candidates changes their density, so draws have the conditional distribution of what `sample`
    draws, and no candidate is thrown away by the referee first. Labels of a conditional model that are observed are
    given to the generator; unknown ones are drawn with the records.
    """
    event = family.event
    if family.labels is None:
        return rejection(_weighted(family, None, generator), event, evidence, draws, generator)

    def whole(size: int, generator: torch.Generator) -> Candidates:
        return Candidates(*family._chosen(size, generator), torch.zeros(size))

    at = list(event.label_entries)
    given = (evidence.status[:, at] == Status.OBSERVED).all(1)
    parts, rows, sizes = [], [], []
    free = (~given).nonzero().squeeze(1)
    if len(free):
        found = rejection(whole, event, evidence.rows(free), draws, generator)
        assert found.effective_sample_size is not None
        parts, rows, sizes = [found.batch], [free], [found.effective_sample_size]
    told = given.nonzero().squeeze(1)
    for codes, values, group in label_groups(event, evidence.rows(told)):
        mine = told[group]
        labels = family.labels.show(codes, values, generator)
        found = rejection(_weighted(family, labels, generator), event, evidence.rows(mine).hide(at), draws, generator)
        assert found.effective_sample_size is not None
        parts.append(found.batch)
        rows.append(mine)
        sizes.append(found.effective_sample_size)
    if not parts:
        return Draws(Batch.unknown(event, 0))
    back = torch.cat(rows).argsort()
    batch = Batch.join(parts).rows((back.unsqueeze(1) * draws + torch.arange(draws)).flatten())
    return Draws(as_given(batch, evidence.repeat(draws)), torch.cat(sizes)[back])


def _weighted(
    family: GANFamily, labels: Tensor | None, generator: torch.Generator
) -> Callable[[int, torch.Generator], Candidates]:
    """Draws the generator's own records, weighted by how the referee's choice changes their density."""
    rest = family.candidates - 1

    def generate(size: int, generator: torch.Generator) -> Tensor:
        return family._generate(size, generator, True, None if labels is None else labels.expand(size, -1))[0]

    others = family.referee(generate(OTHERS * rest, generator)).view(OTHERS, rest) if rest else torch.zeros(1, 0)

    def draw(size: int, generator: torch.Generator) -> Candidates:
        drawn = generate(size, generator)
        log_weight = log_preference(family.referee(drawn), others) if rest else torch.zeros(size)
        return Candidates(*family._view.harden(drawn), log_weight)

    return draw
