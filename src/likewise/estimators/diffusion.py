"""The diffusion model as a scikit-learn estimator."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any, Literal

from likewise.domains.domain import Domain
from likewise.engine.plan import Plan
from likewise.estimators.generative import Generative

EPOCH_STEPS = 16
"""Minibatches of a pass through the records: large ones, since the levels of noise in them differ so much."""


class Diffusion(Generative):
    """Records appear out of noise: codes are uncovered one by one, values are denoised level by level.

    One network learns to tell hidden codes from the others (masked diffusion, Austin et al. 2021), and, given the
    codes, what values were before noise was added to them (Ho et al. 2020; Karras et al. 2022). Scores are variational
    bounds, or estimates along the probability flow; latents are what that flow makes of records. Evidence is shown to
    the network, which has learned to answer for any part of a record.

    `Diffusion(schedule="linear", prediction="noise", sampler="ddpm", steps=1000)` is algorithms 1 and 2 of Ho et al.

    Parameters
    ----------
    schedule : "edm", "linear", "cosine" or "flow"
        How much noise is met in training and on the way of a sample: that of Karras et al. (2022), with logarithms of
        levels of mean `noise_mean` and standard deviation `noise_deviation`; the chains of Ho et al. (2020) and of
        Nichol and Dhariwal (2021); or the straight path of flow matching (Lipman et al. 2023).
    noise_mean, noise_deviation : float
    prediction : "velocity", "noise" or "data"
        What the network says of a value with noise.
    sampler : "dpm++", "heun", "ddim" or "ddpm"
        DPM-Solver++(2M) (Lu et al. 2022), the second-order one of Karras et al., the deterministic one of Song et al.
        (2021), or the ancestral one of Ho et al.
    steps : int
        Levels of noise that a sample passes.
    likelihood : "bound" or "flow"
        Whether scores are variational bounds, or estimates of the density along the probability flow.
    score_levels, score_draws : int
        Levels of noise that a bound is an average over, and repetitions of it: its standard error comes from them.
    flow_steps : int
        Along the probability flow, by which latents are found, and scores with `likelihood="flow"`.
    evidence_share : float
        The share of training records of which a part is hidden, or shown without noise, so that evidence is understood.
    conditioning : "learned" or "inpainting"
        Whether known values are shown to the network, or put in on the way of a sample (Lugmayr et al. 2022), each step
        taken `resamplings` times.
    resamplings : int
    guidance : float
        Of models fitted with `conditional=True`: how far samples go beyond what their labels ask for (Ho and Salimans
        2022). Scores have none.
    label_dropout : float
        The share of training records whose labels are hidden, for guidance.
    width, hidden, layers, dropout, bumps : int or None, int or None, int, float, int
        Size and regularisation of the network, and the steps and bumps through which it sees a value. The width is by
        default 32 for each column, from 96 to 256, and layers have twice as many hidden units.
    learning_rate, weight_decay : float
        Of AdamW.
    ema_decay : float
        Of the average of the weights, which is what is kept.
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
    device : "auto", "cpu", "cuda", "cuda:1" or "mps"
        Where the fit is computed; scores and samples are computed on the processor.
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
    >>> records = lw.datasets.load("wine")
    >>> model = lw.Diffusion(width=16, hidden=16, max_steps=10, random_state=0).fit(records)
    >>> model.sample(3, random_state=0).shape
    (3, 14)
    >>> model.encode(records).shape
    (178, 17)
    """

    family_name = "diffusion"

    def __init__(
        self,
        *,
        schedule: Literal["edm", "linear", "cosine", "flow"] = "edm",
        noise_mean: float = -1.2,
        noise_deviation: float = 1.2,
        prediction: Literal["velocity", "noise", "data"] = "velocity",
        sampler: Literal["dpm++", "heun", "ddim", "ddpm"] = "dpm++",
        steps: int = 32,
        likelihood: Literal["bound", "flow"] = "bound",
        score_levels: int = 4,
        score_draws: int = 4,
        flow_steps: int = 24,
        evidence_share: float = 0.1,
        conditioning: Literal["learned", "inpainting"] = "learned",
        resamplings: int = 5,
        guidance: float = 0.0,
        label_dropout: float = 0.1,
        width: int | None = None,
        hidden: int | None = None,
        layers: int = 3,
        dropout: float = 0.0,
        bumps: int = 16,
        learning_rate: float = 2e-3,
        weight_decay: float = 0.0,
        ema_decay: float = 0.999,
        batch_size: int | None = None,
        patience: int = 16,
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
        self.schedule = schedule
        self.noise_mean = noise_mean
        self.noise_deviation = noise_deviation
        self.prediction = prediction
        self.sampler = sampler
        self.steps = steps
        self.likelihood = likelihood
        self.score_levels = score_levels
        self.score_draws = score_draws
        self.flow_steps = flow_steps
        self.evidence_share = evidence_share
        self.conditioning = conditioning
        self.resamplings = resamplings
        self.guidance = guidance
        self.label_dropout = label_dropout
        self.width = width
        self.hidden = hidden
        self.layers = layers
        self.dropout = dropout
        self.bumps = bumps
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
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
        return replace(super()._plan(), batch_size=self.batch_size, epoch_steps=EPOCH_STEPS, patience=self.patience)
