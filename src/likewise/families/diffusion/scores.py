"""How probable records are: the variational bound, and the density along the probability flow."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from likewise.events import Batch, Status
from likewise.families.diffusion.evidence import log_sets
from likewise.families.entry import log_sure
from likewise.families.family import LogProb
from likewise.families.noise import record_noise
from likewise.families.tiles import padded
from likewise.mathematics.probability_flow import log_density
from likewise.mathematics.schedules import even_levels

if TYPE_CHECKING:
    from likewise.families.diffusion.family import DiffusionFamily

SCORE_TILE = 64
"""Records scored together. Always the same number, so that a score never depends on its neighbours."""

EXACT_SIZE = 12
"""Up to so many values the trace of the Jacobian is exact; beyond it is estimated."""

PROBES = 4
"""Random signs an estimate of the trace takes."""

CANDIDATES = 128
"""Draws by which the probability of a set is estimated."""


def log_prob(family: DiffusionFamily, batch: Batch, seed: int) -> LogProb:
    """Scores (B,) of records in double precision, see `DiffusionFamily.log_prob`."""
    if not len(batch):
        return LogProb(batch.values.new_zeros(0), "bound", batch.values.new_zeros(0))
    whole = batch.fully_observed
    found = [(_tile(family, tile, seed, whole), kept) for tile, kept in padded(batch, SCORE_TILE)]
    values, errors = (torch.cat([part[i][:kept] for part, kept in found]) for i in range(2))
    bounded = whole and not (family.likelihood == "flow" and family.values)
    return LogProb(values, "bound" if bounded else "estimate", errors)


def _tile(family: DiffusionFamily, tile: Batch, seed: int, whole: bool) -> tuple[Tensor, Tensor]:
    """Log-probabilities (B,) and their standard errors, over the repetitions of `score_draws`."""
    noise = _Noise(family, tile, seed)
    known = family.known(tile)
    draws = [
        _codes_bound(family, tile, known, noise, k) + _values_term(family, tile, known, noise, k)
        for k in range(family.score_draws)
    ]
    each = torch.stack(draws)
    mean = each.mean(0)
    error = each.std(0) / math.sqrt(len(each)) if len(each) > 1 else torch.zeros_like(mean)
    total = mean + family.event.log_share(tile.hide(family.given))
    for i in family.sure:
        sure = log_sure(family.event.all[i], tile.codes[:, i])
        total = total + torch.where(tile.status[:, i] == Status.OBSERVED, sure, 0.0)
    never = family.event.unseen(tile.codes) & (tile.status == Status.OBSERVED)
    for i in family.coded:
        if family.event.all[i].unseen is not None:
            total = total + torch.where(never[:, i], math.log(family.event.all[i].reserved), 0.0)
    if whole or not tile.restrictions:
        return total, error
    level, spread = log_sets(family, tile, CANDIDATES, seed)
    return total + level, torch.hypot(error, spread)


class _Noise:
    """The uniform noise of each record of a tile, by repetition."""

    def __init__(self, family: DiffusionFamily, tile: Batch, seed: int) -> None:
        entries, values = len(family.event), len(family.values)
        noises = {"noise": family.score_levels * values, "signs": PROBES * values}
        sizes = {"order": entries, "count": 1, "cell": values, "level": 1, **noises}
        drawn = record_noise(tile, seed, (family.score_draws, sum(sizes.values())))
        self._parts = dict(zip(sizes, drawn.to(tile.values.device).split(list(sizes.values()), 2), strict=True))

    def part(self, name: str, k: int) -> Tensor:
        found: Tensor = self._parts[name][:, k]
        return found


def _codes_bound(family: DiffusionFamily, tile: Batch, known: Tensor, noise: _Noise, k: int) -> Tensor:
    """The bound (B,) of the log-probability of the codes that are observed, along one random order."""
    total = torch.zeros(len(tile), dtype=torch.float64, device=tile.codes.device)
    if not family.coded:
        return total
    told = known[:, family.coded]
    count = told.sum(1)
    # Codes that are not observed stay hidden, and come last.
    rank = torch.where(told, noise.part("order", k)[:, family.coded], 2.0).argsort(1).argsort(1)
    exact = torch.zeros_like(known)
    exact[:, family.given] = known[:, family.given]
    # How many are hidden, one number of each stratum: every number once, where there are as many strata.
    strata = min(len(family.coded), family.score_levels)
    for part in range(strata):
        hidden_count = (1 + (part + noise.part("count", k).squeeze(1)) * count / strata).floor()
        hidden = told & (rank < hidden_count.unsqueeze(1))
        shown = known.clone()
        shown[:, family.coded] = told & ~hidden
        logits = family.logits(tile.codes, tile.values, shown, exact)
        total = total + family.reader.mean_hidden(family.coded, logits, tile.codes, hidden) * count / strata
    return total


def _values_term(family: DiffusionFamily, tile: Batch, known: Tensor, noise: _Noise, k: int) -> Tensor:
    """The log-density (B,) of the values that are observed given the codes, in the user's units, at points of cells."""
    if not family.values:
        return tile.values.new_zeros(len(tile))
    at = family.values
    present = (family.event.present(tile.codes) & known)[:, at]
    parts = (part[:, at] for part in (tile.values, tile.lower, tile.width))
    values, lower, width = (torch.where(present, part, fill) for part, fill in zip(parts, (0.0, 0.0, 1.0), strict=True))
    cells = noise.part("cell", k)[:, family.dequantisation.quantised]
    x, log_q = family.dequantisation(values, lower, width, present, None, cells)
    real = [v for v in range(len(at)) if v not in family.dequantisation.quantised]
    volume = torch.where(present[:, real], width[:, real], 1.0).log().sum(1)
    density = _flow if family.likelihood == "flow" else _bound
    found: Tensor = density(family, tile, known, present, x, noise, k) - log_q + volume
    return found


def _bound(
    family: DiffusionFamily, tile: Batch, known: Tensor, present: Tensor, x: Tensor, noise: _Noise, k: int
) -> Tensor:
    """The variational bound (B,) in continuous time (Kingma et al. 2021, equations 11 to 15).

    -log p(x) <= KL(q(y_high | x) || p(y_high)) - E log p(x | y_low) + integral of |x - denoised|^2 / s^2 d log s, with
    p(x | y_low) normal of deviation `low` around the denoised record. Levels are stratified; what the integrand would
    be for standard normal records is subtracted with its noise, and added as its mean.
    """
    low, high = family.schedule.least, family.schedule.greatest
    size = present.sum(1)
    here = present.to(x.dtype)
    normal = torch.special.ndtri(noise.part("noise", k).clamp(1e-12, 1 - 1e-12)).view(len(x), family.score_levels, -1)
    square = (x * x * here).sum(1)
    prior = 0.5 * ((high * high * size + square) / (1 + high * high) - size + size * math.log1p(1 / high**2))
    shift = noise.part("level", k).squeeze(1)
    span = math.log(high / low)
    total, denoise = -prior, family.seeing(tile, known, present)
    for part in range(family.score_levels):
        level = low * torch.exp(span * (part + shift) / family.score_levels)
        eps = normal[:, part]
        s = level.unsqueeze(1)
        clean = denoise(x + s * eps, level)
        term = ((x - clean) ** 2 * here).sum(1) / level**2
        # A standard normal record is denoised to y / (1 + s^2).
        noisy = ((eps - s * x) ** 2 * here).sum(1)
        control = (noisy - size - level**2 * square) / (1 + level**2) ** 2
        total = total - span / family.score_levels * (term - control)
    eps = normal[:, 0]
    clean = denoise(x + low * eps, low)
    last = ((x - clean) ** 2 * here).sum(1) / (2 * low**2) - 0.5 * ((eps * eps) * here).sum(1) + 0.5 * size
    found: Tensor = total - last - size * (0.5 * math.log(2 * math.pi) + math.log(low))
    return found


def _flow(
    family: DiffusionFamily, tile: Batch, known: Tensor, present: Tensor, x: Tensor, noise: _Noise, k: int
) -> Tensor:
    """The log-density (B,) along the probability flow."""
    levels = even_levels(family.schedule.least, family.schedule.greatest, family.flow_steps)
    probes = None
    if len(family.values) > EXACT_SIZE:
        signs = noise.part("signs", k).view(len(x), PROBES, -1)
        probes = torch.where(signs < 0.5, -1.0, 1.0).to(x).movedim(1, 0)

    seeing = family.seeing(tile, known, present)

    def denoise(y: Tensor, level: float) -> Tensor:
        # An absent coordinate is 0, and that of a standard normal record stays there.
        return torch.where(present, seeing(y, level), y / (1 + level * level))

    found = log_density(denoise, x * present, levels, probes)[0]
    absent = 0.5 * math.log(2 * math.pi * (1 + levels[0] ** 2)) * (~present).sum(1)
    density: Tensor = (found if probes is None else found.mean(0)) + absent
    return density
