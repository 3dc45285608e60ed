"""The families as data: what each one is, what it can do, and the estimator that brings it to users."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from likewise.families.family import ClosedFormLearner, Conditional, Density, Latent
from likewise.families.registry import FAMILIES, families_with, family_class

if TYPE_CHECKING:
    from likewise.estimators.generative import Generative

ESTIMATORS = MappingProxyType(
    {
        "autoregressive": ("likewise.estimators.autoregressive", "Autoregressive"),
        "bayesian_network": ("likewise.estimators.bayesian_network", "BayesianNetwork"),
        "diffusion": ("likewise.estimators.diffusion", "Diffusion"),
        "energy": ("likewise.estimators.energy", "EnergyModel"),
        "flow": ("likewise.estimators.flow", "Flow"),
        "gan": ("likewise.estimators.gan", "GAN"),
        "vae": ("likewise.estimators.vae", "VAE"),
    }
)
"""Family name -> the module and the class of its estimator."""

_WORDS: MappingProxyType[str, tuple[Literal["explicit", "implicit"], str, str, str, str]] = MappingProxyType(
    {
        "autoregressive": (
            "explicit",
            "exact, tractable",
            "sequential",
            "evidence-first order",
            "maximum likelihood by gradients",
        ),
        "bayesian_network": (
            "explicit",
            "exact, tractable",
            "ancestral",
            "exact inference",
            "structure search and counting",
        ),
        "diffusion": (
            "explicit",
            "a lower bound, or an estimate along the probability flow",
            "level by level",
            "shown to the network, which learned to answer",
            "denoising, by gradients",
        ),
        "energy": (
            "explicit",
            "unnormalised, or an estimate by annealed importance",
            "Markov chains from candidates of its base",
            "importance, with effective sample size",
            "noise contrast, contrastive divergence or score matching, by gradients",
        ),
        "flow": (
            "explicit",
            "exact on real values, a bound on grids",
            "one pass",
            "importance, with effective sample size",
            "maximum likelihood by gradients",
        ),
        "gan": ("implicit", "none", "one pass", "rejection", "two players, by gradients"),
        "vae": (
            "explicit",
            "a lower bound",
            "one pass",
            "importance, with effective sample size",
            "a bound of the likelihood, by gradients",
        ),
    }
)


@dataclass(frozen=True)
class FamilyCard:
    """What a family is and promises.

    Attributes
    ----------
    name, estimator : str
        The name in model files and on the command line, and the public class.
    likelihood : "explicit" (it states a density) or "implicit" (it only samples)
    density, sampling, evidence, learning : str
        How it scores, samples, samples under evidence and learns, in words.
    scores, conditions, encodes, closed_form : bool
        What its class implements: log-likelihoods, sampling under evidence, a latent space, learning without gradients.
    """

    name: str
    estimator: str
    likelihood: Literal["explicit", "implicit"]
    density: str
    sampling: str
    evidence: str
    learning: str
    scores: bool
    conditions: bool
    encodes: bool
    closed_form: bool


def families() -> tuple[FamilyCard, ...]:
    """The taxonomy of the families that this version has.

    Examples
    --------
    >>> import likewise as lw
    >>> [card.name for card in lw.families() if card.likelihood == "implicit"]
    ['gan']
    >>> [card.name for card in lw.families() if card.scores and card.encodes]
    ['diffusion', 'flow', 'vae']
    """
    cards = []
    for name in FAMILIES:
        found = family_class(name)
        likelihood, density, sampling, evidence, learning = _WORDS[name]
        cards.append(
            FamilyCard(
                name,
                ESTIMATORS[name][1],
                likelihood,
                density,
                sampling,
                evidence,
                learning,
                scores=issubclass(found, Density),
                conditions=issubclass(found, Conditional),
                encodes=name in families_with(Latent),
                closed_form=issubclass(found, ClosedFormLearner),
            )
        )
    return tuple(cards)


def estimator_class(name: str) -> type[Generative]:
    """The estimator of the family called `name`; KeyError when there is none."""
    module, attribute = ESTIMATORS[name]
    found: type[Generative] = getattr(import_module(module), attribute)
    return found


def estimators_with(protocol: type) -> tuple[str, ...]:
    """The names of the estimators whose family implements a protocol.

    Examples
    --------
    >>> estimators_with(Density)
    ('Autoregressive', 'BayesianNetwork', 'Diffusion', 'EnergyModel', 'Flow', 'VAE')
    """
    return tuple(ESTIMATORS[name][1] for name in families_with(protocol))
