"""Partial records under a flow: importance where it serves, elsewhere sequential Monte Carlo among latents."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from likewise.events import Batch, Quantised, Status
from likewise.families.autoregressive.walk import Walker, is_exact, patterns
from likewise.families.effective import refuse_few
from likewise.families.entry import log_sure
from likewise.families.family import Draws
from likewise.families.noise import record_generator
from likewise.families.rejection import as_given, inside
from likewise.mathematics import truncated_normal
from likewise.mathematics.annealing import PARTICLES, Annealed, anneal
from likewise.mathematics.monotone import EDGE
from likewise.mathematics.resampling import LEAST_EFFECTIVE, effective_sizes, resample_shuffled

if TYPE_CHECKING:
    from likewise.families.flow.family import FlowFamily

TILE = 16384
"""Candidates held in memory at once."""

CANDIDATES = 2048
"""Of importance sampling, for each record of evidence and at least sixteen times the draws."""

ENOUGH = 100
"""Draws by importance are taken where the effective sample size of the candidates is at least this."""

SETTLE, MOST_MOVES = 1, 12
"""Of annealing: see `anneal`. A move costs a pass of the flow and a walk through the codes."""

MOST_STATES = 1024
"""Combinations of unknown codes that are summed one by one."""


class PartialRecords:
    """What a flow says of records of which not all is known.

    Parameters
    ----------
    family : FlowFamily
        In double precision.
    """

    def __init__(self, family: FlowFamily) -> None:
        self.family, self.event = family, family.event

    # ---------------------------------------------------------------------------------------------------------- scores

    def log_prob(
        self, batch: Batch, seed: int, whole: Callable[[Batch], tuple[Tensor, Tensor]]
    ) -> tuple[Tensor, Tensor, bool]:
        """log-probabilities (B,), standard errors (B,), and whether any was estimated.

        Unknown codes of entries without values are summed out, by `whole`, the score of whole records; everything else
        is a normaliser of sequential Monte Carlo, with noise from hash(seed, record).
        """
        values, errors = (batch.values.new_zeros(len(batch)) for _ in range(2))
        estimated = False
        for status, rows in patterns(batch):
            part = batch.rows(rows)
            hidden = [i for i, known in enumerate(status.tolist()) if known != Status.OBSERVED]
            states = math.prod(self.event.code_sizes[i] for i in hidden)
            if states <= MOST_STATES and not any(self.event.all[i].value for i in hidden):
                values[rows], errors[rows] = self._enumerate(part, hidden, whole)
                continue
            estimated = True
            size = max(1, TILE // PARTICLES)
            found = [self._anneal(tile, PARTICLES, record_generator(tile, seed))[1] for tile in part.tiles(size)]
            values[rows] = torch.cat([one.log_normaliser for one in found]) + self.event.log_share(
                part.hide(self.family.codes.given)
            )
            errors[rows] = torch.cat([one.standard_error for one in found])
        return values, errors, estimated

    def _enumerate(
        self, part: Batch, hidden: list[int], whole: Callable[[Batch], tuple[Tensor, Tensor]]
    ) -> tuple[Tensor, Tensor]:
        """The sum over every state of codes without values."""
        each, spread = [], []
        for codes in itertools.product(*(range(self.event.code_sizes[i]) for i in hidden)):
            filled = part.hide([])
            allowed = torch.ones(len(part), dtype=torch.bool, device=part.codes.device)
            for i, code in zip(hidden, codes, strict=True):
                filled.codes[:, i], filled.status[:, i] = code, int(Status.OBSERVED)
                if i in part.restrictions:
                    allowed &= part.restrictions[i].codes[:, code]
            found, error = whole(replace(filled, restrictions={}))
            each.append(torch.where(allowed, found, -torch.inf))
            spread.append(error)
        terms, errors = torch.stack(each, 1), torch.stack(spread, 1)
        total = torch.logsumexp(terms, 1)
        return total, (torch.exp(terms - total.unsqueeze(1)).nan_to_num(0.0) * errors).square().sum(1).sqrt()

    # ----------------------------------------------------------------------------------------------------------- draws

    def conditional(self, evidence: Batch, draws: int, generator: torch.Generator) -> Draws:
        """`draws` whole records for each record of evidence, with their effective sample sizes."""
        batches, rows, sizes = [], [], []
        for status, index in patterns(evidence):
            candidates = max(CANDIDATES, 16 * draws)
            exact = self._exact(status)
            for tile in index.split(max(1, TILE // (draws if exact else candidates))):
                part = evidence.rows(tile)
                if exact:
                    batch, _ = self._candidates(part, draws, generator)
                    size = torch.full((len(part),), torch.nan, dtype=torch.float64)
                else:
                    batch, size = self._weighted(part, status, candidates, draws, generator)
                batches.append(batch)
                rows.append(tile)
                sizes.append(size)
        if not batches:
            return Draws(Batch.unknown(self.event, 0))
        back = torch.argsort(torch.cat(rows))
        spread = (back.unsqueeze(1) * draws + torch.arange(draws)).flatten()
        effective = torch.cat(sizes)[back]
        batch = as_given(Batch.join(batches).rows(spread), evidence.repeat(draws))
        return Draws(batch, None if bool(effective.isnan().all()) else effective.nan_to_num(float(draws)))

    def _exact(self, status: Tensor) -> bool:
        """Whether nothing is known but the codes that come first in their order: then candidates need no weights."""
        valued = status[self.family.values]
        factor = self.family.codes
        begins = factor.model is None or is_exact(status[factor.at], factor.model.orders[0])
        return begins and bool((valued == Status.UNKNOWN).all()) and not bool((status == Status.RESTRICTED).any())

    def _weighted(
        self, part: Batch, status: Tensor, candidates: int, draws: int, generator: torch.Generator
    ) -> tuple[Batch, Tensor]:
        """Draws by importance, and for records of evidence for which that serves badly, by annealing."""
        points = [
            i
            for i in self.family.values
            if status[i] == Status.OBSERVED and not isinstance(self.event.all[i].value, Quantised)
        ]
        lost = torch.ones(len(part), dtype=torch.bool)
        out, effective = part.repeat(draws), torch.zeros(len(part), dtype=torch.float64)
        if not bool((part.codes[:, points] == 0).any()):
            batch, log_weight = self._candidates(part, candidates, generator)
            size = effective_sizes(log_weight, candidates)
            lost = size < ENOUGH
            picked = resample_shuffled(log_weight, candidates, draws, generator)
            out, effective = batch.rows(picked), size.clamp(max=draws)
        if bool(lost.any()):
            found, size = self._annealed(part.rows(lost), draws, generator)
            at = lost.nonzero().squeeze(1)
            out = _put(out, (at.unsqueeze(1) * draws + torch.arange(draws)).flatten(), found)
            effective[at] = size
        return out, effective

    def _annealed(self, part: Batch, draws: int, generator: torch.Generator) -> tuple[Batch, Tensor]:
        particles = max(PARTICLES, draws)
        batches, sizes = [], []
        for tile in part.tiles(max(1, TILE // particles)):
            batch, found = self._anneal(tile, particles, generator)
            refuse_few(found.effective_sample_size, particles, min(LEAST_EFFECTIVE, draws))
            keep = torch.arange(len(tile)).unsqueeze(1) * particles + torch.arange(draws)
            batches.append(batch.rows(keep.flatten()))
            sizes.append(found.effective_sample_size.clamp(max=draws))
        return Batch.join(batches), torch.cat(sizes)

    def _candidates(self, part: Batch, count: int, generator: torch.Generator) -> tuple[Batch, Tensor]:
        """`count` whole records for each record of evidence, and their log-weights (B * count,).

        Codes are drawn in the order of their factor, whose joint scores and samples have too, values by the flow; a
        weight is the probability of the evidence on codes along the way, and whether values lie in their intervals and
        cells.
        """
        family, repeated = self.family, part.repeat(count)
        codes = repeated.codes.clone()
        log_weight = torch.zeros(len(codes), dtype=torch.float64)
        factor = family.codes
        if factor.model is not None:
            told = factor.part(repeated)
            walk = Walker(factor.event, factor.model.network).walk(told, factor.model.orders[0], generator)
            codes[:, factor.at], log_weight = walk.batch.codes, walk.log_weight
        values = torch.zeros(codes.shape, dtype=torch.float64)
        if family.flow is not None:
            base = family.base.sample(len(codes), generator).to(values)
            values = family._spread(family._values(codes, repeated.values, base)) + repeated.hide(family.values).values
        drawn = self.event.complete(codes, values)
        for i in self.family.values:
            known = repeated.status[:, i] == Status.OBSERVED
            other = (drawn.values[:, i] - repeated.values[:, i]).abs() > 1e-9
            log_weight = log_weight.masked_fill(known & other, -torch.inf)
        log_weight = log_weight.masked_fill(~inside(self.event, repeated, drawn), -torch.inf)
        return drawn, log_weight

    # ------------------------------------------------------------------------------------------------------- annealing

    def _anneal(
        self, part: Batch, particles: int, generator: torch.Generator | list[torch.Generator]
    ) -> tuple[Batch, Annealed]:
        """Whole records (B * particles) from the posterior of each record of evidence, all of one pattern."""
        posterior = Posterior(self.family, part, particles)
        found = anneal(
            posterior.log_likelihood,
            len(part),
            particles,
            posterior.dimension,
            generator,
            settle=SETTLE,
            most_moves=MOST_MOVES,
        )
        codes, values, _ = posterior.records(found.points.reshape(-1, posterior.dimension))
        return self.event.complete(codes, values), found


class Posterior:
    """Records that agree with their evidence as a function of standard normals, and how likely they are.

    A code that is not known is a step of its conditional distribution function, within the allowed codes. A value that
    is not known is a normal score, one in an interval the quantile of the normal restricted to it, and so is an
    observed value on a grid, whose interval is its cell. Only observed real values are points.

    Parameters
    ----------
    family : FlowFamily
    part : Batch
        Records of evidence of one pattern.
    particles : int
    """

    def __init__(self, family: FlowFamily, part: Batch, particles: int) -> None:
        self.family, self.event = family, family.event
        self.told = part.repeat(particles)
        status = part.status[0]
        at = family.codes.at
        self.free_codes = (
            [] if family.codes.model is None else [k for k in range(len(at)) if status[at[k]] != Status.OBSERVED]
        )
        self.free_values = [
            v
            for v, i in enumerate(family.values)
            if status[i] != Status.OBSERVED or isinstance(self.event.all[i].value, Quantised)
        ]
        self.dimension = max(1, len(self.free_codes) + len(self.free_values))
        each = [self._intervals(family.values[v], status) for v in self.free_values]
        most = max((part.shape[1] for part in each), default=1)
        empty = torch.tensor([1.0, 0.0], dtype=torch.float64)
        padded = [torch.cat([part, empty.expand(len(part), most - part.shape[1], 2)], 1) for part in each]
        self.room = Unions(torch.stack(padded, 1) if padded else torch.zeros(len(self.told), 0, 1, 2))

    def _intervals(self, i: int, status: Tensor) -> Tensor:
        """Where the value of an entry may lie: disjoint intervals (N, P, 2)."""
        told = self.told
        if status[i] == Status.RESTRICTED:
            return told.restrictions[i].intervals.double()
        low = torch.full((len(told),), -EDGE, dtype=torch.float64)
        high = -low
        if status[i] == Status.OBSERVED:
            low, high = told.lower[:, i].double(), (told.lower[:, i] + told.width[:, i]).double()
        return torch.stack([low, high], 1).unsqueeze(1)

    def log_likelihood(self, u: Tensor) -> Tensor:
        """log of the density of the records at `u` (N, dimension) relative to the reference: (N,)."""
        return self.records(u)[2]

    def records(self, u: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Codes (N, E), values (N, E) and log-likelihoods (N,) at `u` (N, dimension)."""
        family = self.family
        codes, total = self._codes(u)
        if family.flow is None:
            return codes, torch.zeros(codes.shape, dtype=torch.float64), total
        present = family._present(codes)
        z = self.told.values[:, family.values].double()
        free = self.free_values
        z[:, free] = self.room.points(u[:, len(self.free_codes) : len(self.free_codes) + len(free)])
        reference = truncated_normal.log_density(z[:, free]) - self.room.log_mass
        total = total - torch.where(present[:, free], reference, torch.zeros_like(reference)).sum(1)
        z = torch.where(present, z, torch.zeros_like(z))
        base, log_det = family.flow(z, present, family._context(codes, self.told.values))
        total = total + family.base.log_prob(base, present) + log_det
        fixed = [v for v in range(len(family.values)) if v not in self.free_values]
        width = self.told.width[:, [family.values[v] for v in fixed]].double()
        total = total + torch.where(present[:, fixed], width, torch.ones_like(width)).log().sum(1)
        return codes, family._spread(z) + self.told.hide(family.values).values, total

    def _codes(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """Codes (N, E), and the log-probability (N,) of the evidence on them along the way."""
        family, told = self.family, self.told
        factor = family.codes
        codes = told.codes.clone()
        total = torch.zeros(len(codes), dtype=torch.float64)

        def choose(k: int, cumulative: Tensor, share: Tensor) -> Tensor:
            i = factor.at[k]
            if i in factor.given:
                return codes[:, i]
            if k not in self.free_codes:
                total.add_(share.gather(1, codes[:, [i]]).squeeze(1).log())
                return codes[:, i]
            if i in told.restrictions:
                share = share * told.restrictions[i].codes
                total.add_(share.sum(1).log())
                cumulative = share.cumsum(1)
            else:
                cumulative = cumulative[:, : self.event.all[i].seen]
            level = torch.special.ndtr(u[:, [self.free_codes.index(k)]]) * cumulative[:, -1:]
            codes[:, i] = (level > cumulative).sum(1).clamp(max=cumulative.shape[1] - 1)
            return codes[:, i]

        factor.walk(len(codes), choose)
        for i in factor.sure:
            if told.status[0, i] == Status.OBSERVED:
                total = total + log_sure(self.event.all[i], codes[:, i])
        return codes, total


class Unions:
    """The standard normal restricted to unions of disjoint intervals (N, V, P, 2), of which some may be empty."""

    def __init__(self, intervals: Tensor) -> None:
        self._low, self._high = intervals.double().unbind(3)
        pieces = truncated_normal.log_mass(self._low, self._high)
        self.log_mass = torch.logsumexp(pieces, 2)
        self._share = torch.softmax(pieces, 2).nan_to_num(0.0)
        self._cumulative = self._share.cumsum(2)

    def points(self, u: Tensor) -> Tensor:
        """The quantiles (N, V) at the levels that standard normals u (N, V) stand for."""
        level = torch.special.ndtr(u).clamp(1e-15, 1 - 1e-15).unsqueeze(2)
        p = (level > self._cumulative).sum(2, keepdim=True).clamp(max=self._share.shape[2] - 1)
        share = self._share.gather(2, p)
        within = (level - self._cumulative.gather(2, p) + share) / share.clamp(min=1e-300)
        low, high = self._low.gather(2, p), self._high.gather(2, p)
        found = truncated_normal.quantile(within.clamp(1e-15, 1 - 1e-15), low, high)
        # The whole line is the normal itself, with all its digits in both tails.
        return torch.where((low <= -EDGE) & (high >= EDGE), u.unsqueeze(2), found).squeeze(2)


def _put(batch: Batch, at: Tensor, part: Batch) -> Batch:
    """The batch with the records at these positions replaced."""
    out = [
        own.index_copy(0, at, new.to(own.dtype))
        for own, new in zip(
            (batch.codes, batch.values, batch.lower, batch.width),
            (part.codes, part.values, part.lower, part.width),
            strict=True,
        )
    ]
    return Batch(out[0], out[1], out[2], out[3], torch.zeros_like(batch.status))
