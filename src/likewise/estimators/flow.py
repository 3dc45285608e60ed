"""The normalizing flow as a scikit-learn estimator."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any, Literal

from likewise.domains.domain import Domain
from likewise.engine.plan import Plan
from likewise.estimators.generative import Generative


class Flow(Generative):
    """log p(x) = log p(f(x)) + log |df/dx|: an invertible network takes values to a simple distribution, and back.

    Likelihoods of columns of real numbers are exact. Numbers on a grid (integers, two decimals) are dequantised, and
    scores of records that have some are bounds. Categories, blanks and spikes have an exact factor of their own,
    p(codes) p(values | codes), an autoregressive model of the codes alone: `sample_borrowed` draws from it, with every
    value from its own column. Records have exact latents: `decode(encode(X))` gives X back.

    Parameters
    ----------
    architecture : "spline", "realnvp" or "maf"
        Couplings by rational-quadratic splines (Durkan et al. 2019) or affine maps (Dinh et al. 2017), with an
        invertible linear layer between them, or masked autoregressive layers (Papamakarios et al. 2017).
    blocks : int
        Each is a linear layer and two couplings, or a linear layer and a masked layer.
    bins, bound : int, float
        Of the splines, which bend within [-bound, bound] normal scores.
    base : "normal", "student" or "mixture"
        What values are mapped to.
    base_components : int
        Of the mixture.
    dequantisation : "uniform" or "variational"
        How a number on a grid is spread over its cell.
    width, layers, dropout, bumps : int, int, float, int
        Of the networks of the layers; `bumps` smooth steps and bumps through which they see a value.
    code_width, code_hidden, code_layers, code_dropout : int, int, int, float
        Of the factor of codes.
    importance_samples : int
        Points of each cell that a score looks at: more are a tighter bound.
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
    >>> model = lw.Flow(blocks=1, width=16, code_width=16, max_steps=10, random_state=0).fit(records)
    >>> model.sample(3, random_state=0).shape
    (3, 14)
    >>> model.encode(records).shape
    (178, 17)
    """

    family_name = "flow"

    def __init__(
        self,
        *,
        architecture: Literal["spline", "realnvp", "maf"] = "spline",
        blocks: int = 4,
        bins: int = 16,
        bound: float = 5.0,
        base: Literal["normal", "student", "mixture"] = "normal",
        base_components: int = 16,
        dequantisation: Literal["uniform", "variational"] = "uniform",
        width: int = 128,
        layers: int = 2,
        dropout: float = 0.1,
        bumps: int = 16,
        code_width: int = 128,
        code_hidden: int = 256,
        code_layers: int = 2,
        code_dropout: float = 0.1,
        importance_samples: int = 16,
        learning_rate: float = 2e-3,
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
        self.architecture = architecture
        self.blocks = blocks
        self.bins = bins
        self.bound = bound
        self.base = base
        self.base_components = base_components
        self.dequantisation = dequantisation
        self.width = width
        self.layers = layers
        self.dropout = dropout
        self.bumps = bumps
        self.code_width = code_width
        self.code_hidden = code_hidden
        self.code_layers = code_layers
        self.code_dropout = code_dropout
        self.importance_samples = importance_samples
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
        return replace(super()._plan(), batch_size=self.batch_size, patience=self.patience)
