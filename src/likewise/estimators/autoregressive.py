"""The autoregressive model as a scikit-learn estimator."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any, Literal

from likewise.domains.domain import Domain
from likewise.engine.plan import Plan
from likewise.estimators.generative import Generative


class Autoregressive(Generative):
    """p(x) = p(x_1) p(x_2 | x_1) ..., with one network for every conditional, learned by maximum likelihood.

    Likelihoods are exact. With `order="any"` the density is the uniform mixture over a few stored orders, and the
    network also learns conditionals given any set of columns, so that records under evidence are drawn in the order in
    which the evidence comes first (Uria, Murray and Larochelle, 2014). With `order="fixed"` there is one order, that of
    the columns.

    Parameters
    ----------
    order : "any" or "fixed"
    n_orders : int
        How many orders `order="any"` stores.
    width, hidden, layers, dropout : int, int, int, float
        Size and regularisation of the network: of the embedding of an entry, of its hidden layers, how many of them.
    components : int
        Logistic components of the mixture of each value.
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
    >>> model = lw.Autoregressive(width=16, hidden=32, max_steps=10, random_state=0).fit(lw.datasets.load("wine"))
    >>> model.sample(3, given={"target": "class_0"}).shape
    (3, 14)
    """

    family_name = "autoregressive"

    def __init__(
        self,
        *,
        order: Literal["any", "fixed"] = "any",
        n_orders: int = 2,
        width: int = 128,
        hidden: int = 256,
        layers: int = 3,
        dropout: float = 0.1,
        components: int = 16,
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
        self.order = order
        self.n_orders = n_orders
        self.width = width
        self.hidden = hidden
        self.layers = layers
        self.dropout = dropout
        self.components = components
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
