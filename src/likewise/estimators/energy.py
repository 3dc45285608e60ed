"""The energy-based model as a scikit-learn estimator."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any, Literal

from sklearn.utils.validation import check_is_fitted

from likewise.domains.domain import Domain
from likewise.engine.plan import Plan
from likewise.errors import NotSupported
from likewise.estimators import scoring
from likewise.estimators.generative import Generative
from likewise.events import Scores
from likewise.families.energy.family import EnergyFamily


class EnergyModel(Generative):
    """p(x) is proportional to exp(-E(x)): a network says how likely records are beside each other, and no more.

    The energy is E(x) = -log base(x) - f(x), with a simple distribution as the base and a network f that starts at
    zero. The default tells records from those of the base, a counted tree of pairs, by noise contrast (Gutmann and
    Hyvarinen 2010); `sample_borrowed` draws from the base alone. Contrastive divergence and score matching, the forms
    of the textbook, stand on independent columns.

    The normaliser is found after the fit by annealed importance sampling (Neal 2001), as `log_partition_` with
    `log_partition_error_`. Likelihoods are estimates: `score_samples`, `score` and `log_likelihood` have the normaliser
    in them, so that they can be laid beside those of other models; `log_likelihood(X, normalised=False)` leaves it out.

    A sample costs `candidates` evaluations of the network and one for each of `moves`, whatever was learned: candidates
    of the base are chosen by exp(f), and one entry after another is drawn anew by a Markov chain that keeps p. Records
    under evidence are chosen so among candidates of the base that agree with it, with their effective sample size;
    evidence under which too few of them carry weight is refused.

    Parameters
    ----------
    objective : "auto", "noise_contrastive", "contrastive_divergence", "score_matching" or "sliced_score_matching"
        "auto" is "noise_contrastive". Contrastive divergence has persistent chains (Tieleman 2008) that samples start
        from: Langevin moves of values, and changes of codes that gradients propose (Grathwohl et al. 2021). Score
        matching, of noisy values (Vincent 2011) or along random directions (Song et al. 2019), goes with a contrast of
        records of which one entry was changed (Ceylan and Gutmann 2018), for what is not a value.
    base : "auto", "independent" or "tree"
        Independent columns, or a tree of pairs (Chow and Liu 1968), which has no slopes that chains of the textbook
        could follow: "auto" is "tree" for "noise_contrastive", "independent" for the others.
    width, layers, bumps, dropout : int, int, int, float
        Of the network; `bumps` smooth steps and bumps through which it sees a value.
    noise_records : int
        Records of the base for each real one, of "noise_contrastive".
    chains, chain_moves : int
        Of "contrastive_divergence": how many are kept, and their moves in a training step.
    penalty : float
        Of "contrastive_divergence", on the square of f.
    sigma : float
        The noise of "score_matching", in normal scores.
    candidates, moves : int
        What a sample costs.
    learning_rate, weight_decay : float
        Of AdamW.
    batch_size : int or None
        Records a training step; None chooses by the number of records.
    patience : int
        Validations without improvement before the fit is cooled down and ended.
    max_time : seconds, a text such as "5m", or None
    max_steps : int or None
        The budget of the fit; with neither, it ends when held-out records no longer improve.
    validation_fraction : float
        The share of the records that is held out to know when to stop.
    random_state : int, RandomState or None
    device : "auto" or "cpu"
        Both are the processor, where records of the base are drawn; NotSupported for others.
    domain : Domain or None
        The schema, such as `Table(kinds=...)`; None infers it.
    checkpoint : path or None
        A folder in which an interrupted fit leaves what it needs to go on.
    resume : bool
        Whether to go on from there.
    verbose : int
        0 is silent, 1 shows a line of progress in a terminal.

    Attributes
    ----------
    log_partition_, log_partition_error_ : float
        log Z and its standard error, in nats; Z is relative to the base, whose own is 1.

    Examples
    --------
    >>> import likewise as lw
    >>> records = lw.datasets.load("wine")
    >>> model = lw.EnergyModel(width=16, max_steps=10, random_state=0).fit(records)
    >>> model.sample(3, random_state=0).shape
    (3, 14)
    >>> model.log_likelihood(records).kind, model.log_likelihood(records, normalised=False).kind
    ('estimate', 'unnormalised')
    """

    family_name = "energy"

    def __init__(
        self,
        *,
        objective: Literal[
            "auto", "noise_contrastive", "contrastive_divergence", "score_matching", "sliced_score_matching"
        ] = "auto",
        base: Literal["auto", "independent", "tree"] = "auto",
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
        batch_size: int | None = None,
        patience: int = 8,
        max_time: float | str | None = None,
        max_steps: int | None = None,
        validation_fraction: float = 0.1,
        random_state: Any = None,
        device: str = "auto",
        domain: Domain | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        resume: bool = False,
        verbose: int = 0,
    ) -> None:
        self.objective = objective
        self.base = base
        self.width = width
        self.layers = layers
        self.bumps = bumps
        self.dropout = dropout
        self.noise_records = noise_records
        self.chains = chains
        self.chain_moves = chain_moves
        self.penalty = penalty
        self.sigma = sigma
        self.candidates = candidates
        self.moves = moves
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.patience = patience
        self.max_time = max_time
        self.max_steps = max_steps
        self.validation_fraction = validation_fraction
        self.random_state = random_state
        self.device = device
        self.domain = domain
        self.checkpoint = checkpoint
        self.resume = resume
        self.verbose = verbose

    def _settings(self) -> dict[str, Any]:
        return self._named_alike()

    def _plan(self) -> Plan:
        if self.device not in ("auto", "cpu"):
            raise NotSupported(
                f"An energy-based model is fitted on the processor, where records of its base are drawn, not on "
                f"{self.device!r}: leave device='auto', or use a family that learns elsewhere, such as Flow."
            )
        return replace(super()._plan(), device="cpu", batch_size=self.batch_size, patience=self.patience)

    @property
    def log_partition_(self) -> float:
        """log Z in nats, relative to the base."""
        return float(self._fitted().log_partition)

    @property
    def log_partition_error_(self) -> float:
        """The standard error of `log_partition_`."""
        return float(self._fitted().log_partition_error)

    def log_likelihood(self, X: Any, y: Any = None, *, normalised: bool = True) -> Scores:
        """Log-likelihoods with their kind, base measure and standard error.

        Parameters
        ----------
        X : records
            A blank cell is observed to be missing where the column had blanks in `fit`.
        y : labels, optional
            Where the model was fitted with labels: with `y` this is log p(x, y); without it they are summed out.
        normalised : bool
            Whether the normaliser counts: then scores are of the kind "estimate", with its error in theirs, else
            "unnormalised".

        Returns
        -------
        Scores
            In nats, of densities in the units of the records.
        """
        family = self._fitted()
        source, labels = self._read(X, y)
        batch = self.domain_.encode(source, labels)
        ask = family.log_prob if normalised else family.unnormalised
        return scoring.score_by(ask, family, batch, self.seed_)

    def _fitted(self) -> EnergyFamily:
        check_is_fitted(self, "family_")
        assert isinstance(self.family_, EnergyFamily)
        return self.family_
