"""The variational autoencoder as a scikit-learn estimator."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any, Literal

from likewise.domains.domain import Domain
from likewise.engine.plan import Plan
from likewise.estimators.generative import Generative


class VAE(Generative):
    """Latents decoded to records, learned through an encoder that bounds their likelihood.

    A latent is drawn from a prior, and every column independently of the others from a distribution that a network
    reads off the latent. A second network, the encoder, gives for each record a Gaussian over latents, with which the
    likelihood is bounded from below (Kingma and Welling 2014): scores are such bounds. With another prior than the
    Gaussian one, it is fitted to the latents of encoded records while the autoencoder learns (two stages in one fit:
    Dai and Wipf 2019), and `sample_borrowed` draws records with the plain Gaussian prior.

    Parameters
    ----------
    latent : int
        Dimensions of the latent space.
    prior : "gaussian", "mixture" or "flow"
        What latents are drawn from: a standard normal, a learned mixture of `prior_components` Gaussians, or a learned
        flow of `prior_layers` coupling layers with networks of `prior_width` units.
    prior_components, prior_width, prior_layers : int
    beta : float
        Weight of the divergence from the Gaussian prior (Higgins et al. 2017): above one latents are fewer and more
        independent, below one records are kept more exactly, and the prior must be learned.
    free_bits : float
        Nats below which a latent dimension is not pushed to the prior (Kingma et al. 2016), against posterior collapse.
    warmup : int
        Steps over which the weight of the divergence grows from zero.
    importance_samples : int
        Latents a record in training: above one, the importance-weighted bound (Burda et al. 2016).
    doubly_reparameterised : bool
        Whether its gradients for the encoder are those of Tucker et al. (2019).
    score_importance_samples : int
        Latents a record in scores: the more, the tighter the bound.
    noise : "learned" or "fixed"
        Values are mixtures of `components` logistics, all learned; or Gaussian with standard deviation `noise_scale`
        in normal scores, the decoder of the squared error.
    noise_scale : float
    components : int
    hidden_share : float
        The share of training records of which a random part is hidden, so that scores of partial records are tight.
    width, hidden, layers, dropout : int, int, int, float
        Size and regularisation of encoder and decoder: of a layer, inside residual layers, how many of them.
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
    >>> model = lw.VAE(latent=4, width=16, max_steps=10, random_state=0).fit(lw.datasets.load("wine"))
    >>> model.sample(3).shape
    (3, 14)
    >>> model.encode(lw.datasets.load("wine")).shape
    (178, 4)
    """

    family_name = "vae"

    def __init__(
        self,
        *,
        latent: int = 16,
        prior: Literal["gaussian", "mixture", "flow"] = "mixture",
        prior_components: int = 256,
        prior_width: int = 64,
        prior_layers: int = 6,
        beta: float = 0.6,
        free_bits: float = 0.0,
        warmup: int = 0,
        importance_samples: int = 1,
        doubly_reparameterised: bool = True,
        score_importance_samples: int = 64,
        noise: Literal["learned", "fixed"] = "learned",
        noise_scale: float = 0.1,
        components: int = 5,
        hidden_share: float = 0.1,
        width: int = 128,
        hidden: int = 256,
        layers: int = 2,
        dropout: float = 0.0,
        learning_rate: float = 2e-3,
        weight_decay: float = 0.0,
        ema_decay: float = 0.999,
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
        self.latent = latent
        self.prior = prior
        self.prior_components = prior_components
        self.prior_width = prior_width
        self.prior_layers = prior_layers
        self.beta = beta
        self.free_bits = free_bits
        self.warmup = warmup
        self.importance_samples = importance_samples
        self.doubly_reparameterised = doubly_reparameterised
        self.score_importance_samples = score_importance_samples
        self.noise = noise
        self.noise_scale = noise_scale
        self.components = components
        self.hidden_share = hidden_share
        self.width = width
        self.hidden = hidden
        self.layers = layers
        self.dropout = dropout
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
        return replace(super()._plan(), batch_size=self.batch_size, patience=self.patience)
