"""The generative adversarial network as a scikit-learn estimator."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any, Literal

from likewise.domains.domain import Domain
from likewise.engine.plan import Plan
from likewise.estimators.generative import Generative
from likewise.estimators.validation import check_above_zero


class GAN(Generative):
    """A generator learns to fool a critic that learns to tell its records from real ones: it samples, and no more.

    There is no density, so there are no scores: `hasattr(model, "score_samples")` is False. The default is the
    relativistic loss with gradient penalties on both sides (Huang et al. 2025), helped by three parts that can each be
    turned off: a start from counted pairs (`start="marginals"`), a critic of pairs in closed form (`pair_weight=0`),
    and a referee that picks one of several generated records by its odds of being real (`candidates=1`). Every column's
    own distribution is set by counting (or not: `marginals="learned"`). The losses of the textbook are there under
    their names. `sample_borrowed` draws from the start alone.

    Held-out records are watched during the fit: kept are the generator and the referee under which they are likeliest,
    by tables of pairs and by the referee's odds, and when the generator leaves a part of them out,
    `training_record_["remarks"]` names it.

    A model file holds 2,048 quantiles of every numeric column: for a small table these are its values, column by
    column.

    Records under evidence are found by rejection: those of the generator that agree with it are kept, weighted by the
    referee, with their effective sample size. Evidence that hardly any record agrees with is refused, and so is a
    single point of a continuous column: give an interval.

    Parameters
    ----------
    loss : "relativistic", "nonsaturating", "minimax" or "wasserstein"
    penalty : "auto", "none", "r1", "r1r2", "gradient", "clip" or "spectral"
        What keeps the critic smooth; "auto" is "r1r2" for the relativistic loss, "gradient" for Wasserstein, else
        "none". "clip" bounds its weights (Arjovsky et al. 2017), "spectral" the norm of its layers (Miyato et al.
        2018).
    gamma : float
        The weight of the penalty.
    pack : int
        Records that the critic judges together, against mode collapse (Lin et al. 2018); it wants a slow critic too.
    unroll : int
        Turns of the critic that the generator looks ahead, against mode collapse (Metz et al. 2016); 0 is none. A step
        costs about as many times more. It wants a loss of zero sum, "minimax" or "wasserstein", and a critic that
        learns slowly: under others the generator also gains by leading it astray (`examples/mode_collapse.py`).
    codes : "straight_through" or "relaxed"
        How gradients pass what is not continuous.
    temperature : float
        Of the relaxation of codes.
    start : "tree" or "marginals"
        What the generator does before it has learned: every column depends on one other, by the tree of Chow and Liu
        (1968), or on none.
    marginals : "counted" or "learned"
        Where every column's own distribution comes from: counting, or the generator, as in the textbook.
    pair_weight : float
        Of the critic of pairs.
    candidates : int
        Generated records for each one that is kept.
    latent, width, layers : int
        Dimensions of the noise, units and residual layers of the generator.
    critic_width, critic_layers : int
        Of the critic and the referee.
    learning_rate, critic_learning_rate, beta1, beta2, eps : float
        Of Adam. Two learning rates are two time scales: a generator slower than its critic meets one that is nearly
        the best (Heusel et al. 2017).
    gradient_clip : float
        The largest norm of a player's gradient; a longer one is shortened to it.
    critic_steps : int
        Turns that the critic takes for one of the generator.
    ema_decay : float
        Of the average of the generator's weights, which is what samples are drawn from; 0 takes the last ones.
    batch_size : int or None
        Records a training step; None chooses by the number of records.
    patience : int
        Validations without improvement before the fit is cooled down and ended.
    max_time : seconds, a text such as "5m", or None
    max_steps : int or None
        The budget of the fit; with neither, it ends when held-out records no longer improve.
    validation_fraction : float
        The share of the records that is held out to watch the fit.
    random_state : int, RandomState or None
    device : "auto", "cpu", "cuda", "cuda:1" or "mps"
        Where the fit is computed; samples are computed on the processor.
    domain : Domain or None
        The schema, such as `Table(kinds=...)`; None infers it.
    checkpoint : path or None
        A folder in which an interrupted fit leaves what it needs to go on.
    resume : bool
        Whether to go on from there, with the same budget or a larger one.
    verbose : int
        0 is silent, 1 shows a line of progress in a terminal.

    Examples
    --------
    >>> import likewise as lw
    >>> model = lw.GAN(width=16, critic_width=16, max_steps=10, random_state=0).fit(lw.datasets.load("wine"))
    >>> model.sample(3).shape
    (3, 14)
    >>> hasattr(model, "score_samples")
    False
    """

    family_name = "gan"

    def __init__(
        self,
        *,
        loss: Literal["relativistic", "nonsaturating", "minimax", "wasserstein"] = "relativistic",
        penalty: Literal["auto", "none", "r1", "r1r2", "gradient", "clip", "spectral"] = "auto",
        gamma: float = 0.1,
        pack: int = 1,
        unroll: int = 0,
        codes: Literal["straight_through", "relaxed"] = "straight_through",
        temperature: float = 0.7,
        start: Literal["tree", "marginals"] = "tree",
        marginals: Literal["counted", "learned"] = "counted",
        pair_weight: float = 1.0,
        candidates: int = 16,
        latent: int = 64,
        width: int = 256,
        layers: int = 2,
        critic_width: int = 256,
        critic_layers: int = 2,
        learning_rate: float = 2e-3,
        critic_learning_rate: float = 2e-3,
        beta1: float = 0.0,
        beta2: float = 0.99,
        eps: float = 1e-8,
        gradient_clip: float = 100.0,
        critic_steps: int = 1,
        ema_decay: float = 0.999,
        batch_size: int | None = None,
        patience: int = 20,
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
        self.loss = loss
        self.penalty = penalty
        self.gamma = gamma
        self.pack = pack
        self.unroll = unroll
        self.codes = codes
        self.temperature = temperature
        self.start = start
        self.marginals = marginals
        self.pair_weight = pair_weight
        self.candidates = candidates
        self.latent = latent
        self.width = width
        self.layers = layers
        self.critic_width = critic_width
        self.critic_layers = critic_layers
        self.learning_rate = learning_rate
        self.critic_learning_rate = critic_learning_rate
        self.beta1 = beta1
        self.beta2 = beta2
        self.eps = eps
        self.gradient_clip = gradient_clip
        self.critic_steps = critic_steps
        self.ema_decay = ema_decay
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
        clip = check_above_zero("gradient_clip", self.gradient_clip)
        return replace(super()._plan(), batch_size=self.batch_size, patience=self.patience, cooldown=0.4, clip=clip)
