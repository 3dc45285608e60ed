"""The family of energy-based models: settings, learning, samples, and the normaliser."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from likewise.dense_view import DenseView
from likewise.errors import DataError
from likewise.events import Batch, Event, Quantised
from likewise.families.energy import evidence as answers
from likewise.families.energy.base import Base, BaseName, Independent, Tree
from likewise.families.energy.chains import Target
from likewise.families.energy.objectives import (
    Objective,
    contrastive_divergence,
    denoising,
    noise_contrastive,
    one_entry_changed,
    sliced,
)
from likewise.families.family import Draws, Family, LogProb, Player
from likewise.families.settings import BELOW_ONE, NON_NEGATIVE, POSITIVE, POSITIVE_WHOLE, WHOLE, check, one_of
from likewise.mathematics.annealed_importance import annealed_importance
from likewise.mathematics.relaxation import gumbel
from likewise.mathematics.resampling import effective_sizes
from likewise.networks.roles import network as network_of

NOISE_TURNS = 16
"""Turns of noise that are drawn at once."""

JUDGED = 2048
"""Records of the base that a validation looks at."""

SAMPLE_TILE = 1 << 15
"""Candidates drawn at once."""

ANEW = 0.05
"""The share of chains that start from the base again, each time they are used."""

GUARD = 50.0
"""Nats between data and chains at which contrastive divergence has diverged."""

CHANGED = 2
"""Entries of a record that are changed in a turn of score matching, for what is not a value."""

ANNEALED, LEAST_LEVELS, MOST_LEVELS, FINENESS = 1024, 4, 64, 3.0
"""Chains of the annealed importance sampling of the normaliser, its levels at least and at most, and levels for each
nat by which the base's records are worth fewer than they are: f far below 0 costs nothing."""

SETTLING = 50
"""Moves in which the step of Langevin moves is adapted after a fit."""


class EnergyFamily(Family):
    """p(x) = base(x) exp(f(x)) / Z: the energy is E(x) = -log base(x) - f(x), with f a network that starts at zero.

    The base is a simple distribution that answers every question exactly; what it says of evidence, f only weighs. So
    records are drawn as candidates of the base that are kept by exp(f), and then moved by Markov chains that keep p.
    f sees records as other networks do: a value on a grid is the middle of its cell, and a state that no training
    record had is no state. Z is found by annealed importance sampling once the fit is done.

    Parameters
    ----------
    event : Event
    objective : "auto", "noise_contrastive", "contrastive_divergence", "score_matching" or "sliced_score_matching"
        See `objectives.py`. "auto" is "noise_contrastive". Contrastive divergence runs persistent chains (Tieleman
        2008). Score matching of values goes with `one_entry_changed` for everything else.
    base : "auto", "independent" or "tree"
        See `base.py`. "auto" is "tree" for "noise_contrastive", "independent" for the others.
    width, layers, bumps, dropout : of the network
    noise_records : int
        Records of the base for each real one, of "noise_contrastive".
    chains, chain_moves : int
        Of "contrastive_divergence": how many are kept, and their moves in a turn.
    penalty : float
        Of "contrastive_divergence", on f^2.
    sigma : float
        The noise of "score_matching", in normal scores.
    candidates, moves : int
        Of a record that is sampled: candidates of the base, and moves of a chain.
    learning_rate, weight_decay : float
        Of AdamW.
    network : dict or None
        What was learned of the tree.
    """

    name = "energy"
    kinds = ("estimate", "unnormalised")
    sampling = "chains from candidates of a base"
    answering = "importance, with effective sample size"
    fitted_by = "noise contrast, contrastive divergence or score matching, by gradients"
    plainly = "its base alone"

    def __init__(
        self,
        event: Event,
        *,
        objective: Objective = "auto",
        base: Literal["auto"] | BaseName = "auto",
        width: int = 256,
        layers: int = 2,
        bumps: int = 16,
        dropout: float = 0.1,
        noise_records: int = 1,
        chains: int = 2048,
        chain_moves: int = 5,
        penalty: float = 1e-3,
        sigma: float = 0.1,
        candidates: int = 16,
        moves: int = 32,
        learning_rate: float = 1e-3,
        weight_decay: float = 0.01,
        network: dict[str, Any] | None = None,
    ) -> None:
        sizes = {
            "width": width,
            "layers": layers,
            "noise_records": noise_records,
            "chains": chains,
            "chain_moves": chain_moves,
            "candidates": candidates,
        }
        rates = {"penalty": penalty, "learning_rate": learning_rate, "weight_decay": weight_decay}
        check(one_of(*get_args(Objective)), objective=objective)
        check(one_of("auto", *get_args(BaseName)), base=base)
        check(POSITIVE_WHOLE, **sizes)
        check(WHOLE, bumps=bumps, moves=moves)
        check(BELOW_ONE, dropout=dropout)
        check(POSITIVE, sigma=sigma)
        check(NON_NEGATIVE, **rates)
        objective = "noise_contrastive" if objective == "auto" else objective
        if base == "auto":
            base = "tree" if objective == "noise_contrastive" else "independent"
        if base == "tree" and objective != "noise_contrastive":
            raise ValueError(f"objective={objective!r} follows slopes, which base='tree' has not: use 'independent'.")
        if network is not None and not isinstance(network, dict):
            raise TypeError("The network of a model is a dictionary.")
        words = {"objective": objective, "base": base}
        others = {"bumps": bumps, "moves": moves, "dropout": dropout, "sigma": sigma, "network": network}
        super().__init__(event, {**words, **sizes, **rates, **others})
        self.objective, self.candidates, self.moves = objective, candidates, moves
        self._view = DenseView(event)
        self._quantised = any(isinstance(event.all[i].value, Quantised) for i in event.value_entries)
        self.base: Base = Independent(event) if base == "independent" else Tree(event, network)
        self.energy: nn.Module = network_of("energy", event.layout)(event, width, layers, bumps, dropout)
        self.log_step = nn.Buffer(torch.tensor(-1.0))
        kept = nn.Buffer(torch.zeros(chains, self._view.size)) if objective == "contrastive_divergence" else None
        self.chains: Tensor | None = kept
        self.log_partition = nn.Buffer(torch.zeros((), dtype=torch.float64))
        self.log_partition_error = nn.Buffer(torch.full((), torch.inf, dtype=torch.float64))
        self._noise = torch.zeros(0, self._view.size)
        self._gap = 0.0

    # -------------------------------------------------------------------------------------------------------- learning

    def players(self) -> list[Player]:
        """One player, the network: the base stays as it was counted."""
        own = self.settings
        return [
            Player("energy", list(self.energy.parameters()), own["learning_rate"], weight_decay=own["weight_decay"])
        ]

    @torch.no_grad()
    def prepare(self, train: Batch, generator: torch.Generator) -> None:
        """Counts the base, and starts chains as draws from it."""
        if not train.fully_observed:
            raise DataError("An energy learns from whole records: give labels where it was fitted with labels.")
        self.base.prepare(train)
        if isinstance(self.base, Tree):
            self.settings["network"] = self.base.description
        if self.chains is not None:
            self.chains.copy_(self._target().points(self.base.sample(len(self.chains), generator), generator))

    def forward(self, batch: Batch, player: str, generator: torch.Generator) -> Tensor:
        """The loss of a minibatch: the mean of its objective."""
        found: Tensor = self._losses(batch, generator).mean()
        return found

    def validate(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """Of held-out records (B,): their objective; of contrastive divergence, -log p(x) / base(x) by importance."""
        if self.objective != "contrastive_divergence":
            return self._losses(batch, generator)
        drawn = self._view.dense(self.base.sample(JUDGED, generator)).float()
        level = torch.logsumexp(self.energy(drawn).double(), 0) - math.log(JUDGED)
        gain: Tensor = self.energy(self._view.dense(batch).float()).double() - level
        return -gain

    def _losses(self, batch: Batch, generator: torch.Generator) -> Tensor:
        if not batch.fully_observed:
            raise DataError("An energy learns from whole records: give labels where it was fitted with labels.")
        if self.objective in ("score_matching", "sliced_score_matching"):
            return self._score_matching(batch, generator)
        real = self._view.dense(batch).float()
        if self.objective == "noise_contrastive":
            count = len(real) * self.settings["noise_records"] if self.training else JUDGED
            contrast = self._contrast(count, generator)
        else:
            contrast = self._run_chains(len(real), generator)
        f = self.energy(torch.cat([real, contrast]), generator)
        f_real, f_contrast = f[: len(real)], f[len(real) :]
        if self.objective == "noise_contrastive":
            return noise_contrastive(f_real, f_contrast)
        self._gap = float((f_contrast.mean() - f_real.mean()).detach())
        losses = contrastive_divergence(f_real, f_contrast, self.settings["penalty"])
        # The engine goes back to where the loss was a number, at half the rate.
        return losses if abs(self._gap) < GUARD else losses * math.nan

    def _contrast(self, size: int, generator: torch.Generator) -> Tensor:
        """Dense views (size, view) of records of the base: while learning, drawn for several turns at once."""
        if not self.training:
            return self._view.dense(self.base.sample(size, generator)).float()
        if len(self._noise) < size:
            self._noise = self._view.dense(self.base.sample(NOISE_TURNS * size, generator)).float()
        drawn, self._noise = self._noise[:size], self._noise[size:]
        return drawn

    @torch.no_grad()
    def _run_chains(self, size: int, generator: torch.Generator) -> Tensor:
        """What f sees (size, view) of some of the persistent chains after a few moves."""
        assert self.chains is not None
        target, learning = self._target(), self.training
        rows = torch.randperm(len(self.chains), generator=generator, device=generator.device)[:size]
        anew = rows[: math.ceil(ANEW * len(rows))]
        self.chains[anew] = target.points(self.base.sample(len(anew), generator), generator)
        self.energy.eval()
        points = target.run(self.chains[rows], self.settings["chain_moves"], self.log_step, generator, adapt=True)
        self.energy.train(learning)
        self.chains[rows] = points
        return target.shown(points)

    def _score_matching(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """Score matching of the values, and the contrast of records of which one entry was changed."""
        target, total = self._target(), torch.zeros(len(batch), device=batch.codes.device)
        with torch.no_grad():
            points = target.points(batch, generator)
        columns = target.value_columns
        if columns:
            present = self.event.present(batch.codes)[:, target.values].float()
            noise = torch.randn(present.shape, generator=generator, device=generator.device)
            blurred = self.objective == "score_matching"
            with torch.enable_grad():
                sigma = self.settings["sigma"]
                at = (points[:, columns] + (sigma * noise if blurred else 0.0)).requires_grad_()
                place = torch.tensor(columns, device=points.device)
                f = self.energy(points.index_copy(1, place, at), generator)
                (slope,) = torch.autograd.grad(f.sum(), at, create_graph=True)
                score = slope - at
                if blurred:
                    total = total + denoising(score, noise, sigma, present)
                else:
                    total = total + sliced(score, at, noise.sign(), present)
        entries = [i for i in target.entries if i not in target.values or self.event.code_sizes[i] > 1]
        if entries:
            shown = target.shown(points)
            real = self.energy(shown, generator)
            picked = torch.randint(len(entries), (CHANGED,), generator=generator, device=generator.device)
            for k in picked.tolist():
                changed = self.energy(target.redrawn(shown, entries[k], generator), generator)
                total = total + one_entry_changed(real, changed) * len(entries) / CHANGED
        return total

    def remarks(self) -> list[str]:
        """What a sample costs; and that chains ran away from the data, where they did."""
        each = "gradients" if isinstance(self.base, Independent) else "evaluations"
        found = [f"A sample costs {self.candidates} candidates and {self.moves} moves ({each} of the energy), no more."]
        if not abs(self._gap) < GUARD:
            found.append(f"The energies of chains and data came {abs(self._gap):.3g} nats apart: the fit went back.")
        return found

    def learner_state(self) -> Mapping[str, Tensor]:
        """The noise that was drawn and not used; chains are a buffer."""
        return {"noise": self._noise}

    def load_learner_state(self, state: Mapping[str, Tensor]) -> None:
        self._noise = state["noise"]

    # -------------------------------------------------------------------------------------------------- the normaliser

    @torch.no_grad()
    def examine(self, records: Batch) -> Mapping[str, float]:
        """Finds log Z, by annealed importance sampling from the base, and how far Langevin moves should go."""
        self.eval()
        self._noise = self._noise[:0].clone()
        generator = torch.Generator(self.log_step.device).manual_seed(0)
        pilot, start = (self._target().points(self.base.sample(ANNEALED, generator), generator) for _ in range(2))
        if isinstance(self.base, Independent):
            self._target().run(pilot, SETTLING, self.log_step, generator, adapt=True)
        log_step = self.log_step.clone()

        def move(points: Tensor, exponent: float) -> Tensor:
            moves = 1 if isinstance(self.base, Independent) else len(target.entries)
            return self._target(exponent).run(points, moves, log_step, generator)

        target = self._target()
        worth = float(effective_sizes(target.ratio(pilot).double(), len(pilot))) / len(pilot)
        levels = min(MOST_LEVELS, max(LEAST_LEVELS, math.ceil(FINENESS * -math.log(max(worth, 1e-9)))))
        exponents = [(k + 1) / levels for k in range(levels)]
        found = annealed_importance(start, target.ratio, move, exponents)
        self.log_partition.fill_(found.log_ratio)
        self.log_partition_error.fill_(found.standard_error)
        return {"log_partition": found.log_ratio, "log_partition_error": found.standard_error}

    # -------------------------------------------------------------------------------------------------------- sampling

    def _target(self, exponent: float = 1.0, free: Tensor | None = None) -> Target:
        return Target(self.base, self.energy, exponent, free)

    @torch.no_grad()
    def sample(self, size: int, generator: torch.Generator) -> Batch:
        """`size` records, for a fixed number of evaluations each.

        Each is chosen by exp(f) among `candidates` of the base, or taken from the persistent chains where contrastive
        divergence left some, and then moved `moves` times.
        """
        self.eval()
        tile = max(1, SAMPLE_TILE // self.candidates)
        parts = [self._sample(min(tile, size - start), generator) for start in range(0, size, tile)]
        return Batch.join(parts) if parts else Batch.unknown(self.event, 0)

    def _sample(self, size: int, generator: torch.Generator) -> Batch:
        target = self._target()
        if self.chains is not None:
            place = torch.randint(len(self.chains), (size,), generator=generator, device=generator.device)
            points = self.chains[place]
        else:
            drawn = self.base.sample(size * self.candidates, generator)
            odds = self.energy(self._view.dense(drawn).float()).view(size, self.candidates)
            own = self.candidates * torch.arange(size, device=odds.device)
            chosen = (odds + gumbel(odds, generator)).argmax(1)
            points = target.points(drawn.rows(chosen + own), generator)
        return target.records(target.run(points, self.moves, self.log_step.clone(), generator))

    @torch.no_grad()
    def sample_borrowed(self, size: int, generator: torch.Generator) -> Batch:
        """`size` records of the base."""
        return self.base.sample(size, generator)

    # --------------------------------------------------------------------------------------------------- the questions

    @torch.no_grad()
    def log_prob(self, batch: Batch, seed: int = 0) -> LogProb:
        """log p(x) in nats and in the user's units, an estimate: its error is that of log Z, and of what is summed out.

        See `unnormalised` for the part that needs no Z.
        """
        found = self.unnormalised(batch, seed)
        errors = (found.standard_error.square() + self.log_partition_error.square()).sqrt()
        return LogProb(found.values - self.log_partition, "estimate", errors)

    @torch.no_grad()
    def unnormalised(self, batch: Batch, seed: int = 0) -> LogProb:
        """log base(x) + f(x) in nats: see `evidence.py` for records of which a part is unknown."""
        return answers.unnormalised(self, batch, seed)

    @torch.no_grad()
    def conditional(self, evidence: Batch, draws: int, generator: torch.Generator) -> Draws:
        """`draws` records for each record of evidence: see `evidence.py`, whose errors it raises."""
        self.eval()
        return answers.conditional(self, evidence, draws, generator)
