"""Sequential Monte Carlo from a standard normal reference to a posterior: draws, and the normaliser with its error."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

PARTICLES = 512
"""As many for each row serve well up to a few dozen dimensions."""

ACCEPTANCE = 0.3
"""The share of moves that steps are adapted to accept."""

GAIN = 0.5
"""Of the logarithm of the step, for each unit of acceptance above or below."""

WIDER = 0.5
"""By how much the variance of steps exceeds that of the particles, in units of its relative error."""

LEAST_LOG_STEP = -10.0

Source = torch.Generator | Sequence[torch.Generator]


class Annealed(NamedTuple):
    """What `anneal` found, in float64.

    Attributes
    ----------
    points : (rows, particles, dimension)
        Equally weighted draws of each posterior, in random order: the first k of them are k draws.
    log_normaliser : (rows,)
        log E[likelihood(u)] over the reference, in nats; minus infinity where no particle had any likelihood.
    standard_error : (rows,)
        Of `log_normaliser`.
    effective_sample_size : (rows,)
        How many independent draws the points are worth, for the mean of the worst coordinate; 0 where there are none.
    """

    points: Tensor
    log_normaliser: Tensor
    standard_error: Tensor
    effective_sample_size: Tensor


@torch.no_grad()
def anneal(
    log_likelihood: Callable[[Tensor], Tensor],
    rows: int,
    particles: int,
    dimension: int,
    generator: Source,
    *,
    keep: float = 0.5,
    forget: float = 0.1,
    settle: int = 2,
    most_moves: int = 40,
    most_levels: int = 200,
) -> Annealed:
    """Draws from p(u) ~ N(u; 0, I) likelihood(u) for many likelihoods at once, one a row.

    The particles of a row go from the reference to the posterior through N(0, I) likelihood^b with b rising from 0 to 1
    (Neal 2001; Del Moral, Doucet and Jasra 2006): b rises as far as leaves `keep` of the particles effective, they are
    resampled systematically, and moved by Crank-Nicolson steps that keep a normal with the particles' own mean and
    covariance (Rudolf and Sprungk 2018), under which a Gaussian posterior mixes at once however narrow it is.

    Parameters
    ----------
    log_likelihood : function of u (rows * particles, dimension) float64, giving (rows * particles,)
        In nats, the particles of a row one after another; any constant counts into the normaliser. NaN counts as minus
        infinity.
    rows, particles, dimension : int
        Memory is a few times rows x particles x dimension numbers: callers choose their tiles. See `PARTICLES`.
    generator : torch.Generator, or one for each row
        What comes out for a row depends on its own likelihood alone, given the generator and the number of rows; with a
        generator for each row, it depends on that one alone.
    keep : float
        The effective share of the particles that a level leaves.
    forget : float
        Particles are moved until no direction correlates more than so with where they started.
    settle : int
        How often they forget once the posterior is reached.
    most_moves, most_levels : int
        Moves on a level, and levels, at most. After these the rest of the way is one step, however few particles
        survive it.

    Notes
    -----
    The error and the effective sample size come from the families of particles that descend from one of the first
    (Chan and Lai 2013; Lee and Whiteley 2018): as long as relatives are alike, they count as one. Modes that no
    particle of the reference came near are not found, and nothing can tell.

    Examples
    --------
    >>> centre = torch.tensor([[0.0], [2.0]])
    >>> found = anneal(
    ...     lambda u: -0.5 * ((u.view(2, -1, 1) - centre[:, None]) / 0.1).square().sum(2).flatten(),
    ...     2, 512, 1, torch.Generator().manual_seed(0),
    ... )
    >>> found.points.mean(1).round(decimals=1).flatten()
    tensor([0., 2.], dtype=torch.float64)
    """
    noise = _Noise(generator, rows)
    order = noise.uniform(particles).argsort(1)
    u = noise.normal(particles, dimension)

    def evaluate(points: Tensor) -> Tensor:
        found = log_likelihood(points.reshape(rows * particles, dimension)).double().view(rows, particles)
        return found.nan_to_num(nan=-torch.inf, posinf=torch.inf, neginf=-torch.inf)

    level = evaluate(u)
    ancestor = torch.arange(particles, device=u.device).expand(rows, -1)
    exponent, log_normaliser = u.new_zeros(rows), u.new_zeros(rows)
    log_step, rises = u.new_full((rows,), math.log(0.5)), torch.zeros(rows, dtype=torch.int64, device=u.device)
    moved, left = torch.zeros_like(rises), torch.full_like(rises, settle + 1)
    impossible = torch.isneginf(level).all(1)
    log_normaliser[impossible], left[impossible] = -torch.inf, 0
    frame: tuple[Tensor, ...] = _normal(u)
    start, ready = torch.zeros_like(u), left > 0
    while bool((left > 0).any()):
        alive, offset = left > 0, noise.uniform(1)
        if bool(ready.any()):
            rising = ready & (exponent < 1)
            rise = torch.where(rises < most_levels, _rise(level, exponent, keep), 1 - exponent) * rising
            gained, picked = _reweigh(level, rise, offset)
            u = u.gather(1, picked.unsqueeze(2).expand_as(u))
            level, ancestor = level.gather(1, picked), ancestor.gather(1, picked)
            exponent, rises, log_normaliser = exponent + rise, rises + rising, log_normaliser + gained
            # Between two levels steps stay as they are, but for their length.
            fresh = ready[:, None, None]
            frame = tuple(torch.where(fresh, new, old) for new, old in zip(_normal(u), frame, strict=True))
            start = torch.where(fresh, _whiten(u, frame), start)
        u, level, accepted = _move(u, level, exponent, frame, log_step, alive, evaluate, noise)
        log_step = (log_step + GAIN * (accepted - ACCEPTANCE)).clamp(LEAST_LOG_STEP, 0.0)
        moved = torch.where(ready, 1, moved + 1)
        likeness = (start * _whiten(u, frame)).mean(1) / start.square().mean(1).clamp(min=1e-300)
        ready = alive & ((likeness.amax(1) < forget) | (moved >= most_moves))
        left = torch.where(ready & (exponent >= 1), left - 1, left)
    standard_error, effective = _diversity(u, level, ancestor, impossible)
    return Annealed(u.gather(1, order.unsqueeze(2).expand_as(u)), log_normaliser, standard_error, effective)


class _Noise:
    """Float64 noise for rows, from one generator or from one for each row."""

    def __init__(self, generator: Source, rows: int) -> None:
        self._generator, self._rows = generator, rows
        assert isinstance(generator, torch.Generator) or len(generator) == rows

    def normal(self, *shape: int) -> Tensor:
        return self._of(torch.randn, shape)

    def uniform(self, *shape: int) -> Tensor:
        return self._of(torch.rand, shape)

    def _of(self, draw: Callable[..., Tensor], shape: tuple[int, ...]) -> Tensor:
        if isinstance(self._generator, torch.Generator):
            one = self._generator
            return draw(self._rows, *shape, generator=one, device=one.device, dtype=torch.float64)
        if not self._rows:
            return torch.zeros(0, *shape, dtype=torch.float64)
        return torch.stack([draw(*shape, generator=g, device=g.device, dtype=torch.float64) for g in self._generator])


def _rise(level: Tensor, exponent: Tensor, keep: float) -> Tensor:
    """By how much the exponent (rows,) may rise, so that `keep` of the particles with a likelihood stay effective."""
    left = 1 - exponent
    wanted = keep * (~torch.isneginf(level)).sum(1).double()
    level = level - level.amax(1, keepdim=True).nan_to_num(neginf=0.0)

    def enough(rise: Tensor) -> Tensor:
        weight = torch.exp(rise.unsqueeze(1) * level).nan_to_num(nan=0.0)
        return weight.sum(1).square() / weight.square().sum(1).clamp(min=1e-300) >= wanted

    low, high = torch.zeros_like(left), left
    for _ in range(60):
        middle = 0.5 * (low + high)
        good = enough(middle)
        low, high = torch.where(good, middle, low), torch.where(good, high, middle)
    # A rise of exactly zero would never end.
    return torch.where(enough(left), left, torch.minimum(low.clamp(min=1e-12), left))


def _reweigh(level: Tensor, rise: Tensor, offset: Tensor) -> tuple[Tensor, Tensor]:
    """log of the mean weight (rows,) where exponents rise, and positions (rows, P) drawn by weight.

    Systematically (Kitagawa 1996), with one uniform (rows, 1) each; rows whose exponent stays keep their particles.
    """
    count = level.shape[1]
    stays = (rise == 0).unsqueeze(1)
    log_weight = torch.where(torch.isneginf(level), -torch.inf, rise.unsqueeze(1) * level)
    log_weight = torch.where(stays, 0.0, log_weight)
    cumulative = torch.softmax(log_weight, 1).cumsum(1)
    steps = (torch.arange(count, device=level.device) + offset) / count
    picked = torch.searchsorted(cumulative, steps * cumulative[:, -1:], right=True).clamp(max=count - 1)
    picked = torch.where(stays, torch.arange(count, device=level.device), picked)
    return log_weight.logsumexp(1) - math.log(count), picked


def _normal(u: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (rows, 1, D) and a root (rows, D, D) of the covariance of particles, shrunk towards its diagonal."""
    count, dimension = u.shape[1:]
    mean = u.mean(1, keepdim=True)
    centred = u - mean
    covariance = centred.mT @ centred / count
    scale = covariance.diagonal(dim1=1, dim2=2).clamp(min=1e-24).sqrt()
    correlation = covariance / (scale.unsqueeze(1) * scale.unsqueeze(2)) * min(1 - 1e-9, count / (4 * dimension))
    correlation.diagonal(dim1=1, dim2=2).fill_(1.0)
    root, failed = torch.linalg.cholesky_ex(correlation)
    plain = torch.eye(dimension, dtype=u.dtype, device=u.device).expand_as(root)
    # A normal narrower than the target in some direction would leave particles stuck in the tails of that direction.
    wide = math.sqrt(1 + WIDER * math.sqrt(dimension / count))
    return mean, wide * scale.unsqueeze(2) * torch.where((failed > 0)[:, None, None], plain, root)


def _whiten(u: Tensor, frame: tuple[Tensor, ...]) -> Tensor:
    """Particles (rows, P, D) in coordinates in which the normal of a mean and a root of its covariance is standard."""
    mean, root = frame
    found: Tensor = torch.linalg.solve_triangular(root, (u - mean).mT, upper=False)
    return found.mT


def _move(
    u: Tensor,
    level: Tensor,
    exponent: Tensor,
    frame: tuple[Tensor, ...],
    log_step: Tensor,
    alive: Tensor,
    evaluate: Callable[[Tensor], Tensor],
    noise: _Noise,
) -> tuple[Tensor, Tensor, Tensor]:
    """One step of every particle of the rows alive, and the share (rows,) of proposals that were accepted."""
    mean, root = frame
    here = _whiten(u, frame)
    step = log_step.exp()[:, None, None]
    there = (1 - step.square()).sqrt() * here + step * noise.normal(*u.shape[1:])
    proposal = mean + there @ root.mT
    found = evaluate(proposal)
    # The step keeps the normal of the particles: what counts is the target's density relative to it.
    gain = exponent.unsqueeze(1) * (found - level)
    gain = gain - 0.5 * (proposal.square() - u.square()).sum(2) + 0.5 * (there.square() - here.square()).sum(2)
    chance = gain.nan_to_num(nan=-torch.inf).clamp(max=0.0).exp()
    taken = (noise.uniform(u.shape[1]) < chance) & alive.unsqueeze(1)
    u = torch.where(taken.unsqueeze(2), proposal, u)
    return u, torch.where(taken, found, level), chance.mean(1)


def _tests(u: Tensor, level: Tensor) -> Tensor:
    """Coordinates and log-likelihood (rows, particles, D + 1), standardised over the particles of each row."""
    found = torch.cat([u, level.clamp(min=-1e30).unsqueeze(2)], 2)
    found = found - found.mean(1, keepdim=True)
    return found / found.square().mean(1, keepdim=True).clamp(min=1e-300).sqrt()


def _diversity(u: Tensor, level: Tensor, ancestor: Tensor, impossible: Tensor) -> tuple[Tensor, Tensor]:
    """Standard error (rows,) of the log-normaliser, effective sample size (rows,), by families of particles.

    The variance of a mean over particles is that of its sums over families; it is taken for each coordinate and for the
    log-likelihood, relative to what independent draws would have.
    """
    rows, count = ancestor.shape
    sizes = torch.zeros(rows, count, dtype=u.dtype, device=u.device)
    sizes = sizes.scatter_add(1, ancestor, torch.ones_like(sizes))
    alike = (sizes / count).square().sum(1)
    several = ((1 - alike) * count / (count - 1)).clamp(min=1e-12)  # 0 where all descend from one
    variance = (sizes / count - 1 / count).square().sum(1) / several
    tests = _tests(u, level)
    sums = torch.zeros_like(tests).scatter_add(1, ancestor.unsqueeze(2).expand_as(tests), tests)
    inflation = (sums.square().sum(1) / count).amax(1) / several
    # A variance among few families is not known well enough to promise many draws: of one family, just one.
    effective = torch.minimum(count / inflation.clamp(min=1.0), alike.reciprocal().square())
    return variance.sqrt(), torch.where(impossible, 0.0, effective)
