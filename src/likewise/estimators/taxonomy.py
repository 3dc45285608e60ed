"""The families as data: what each one is, what it can do, and the estimator that brings it to users."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from likewise.errors import DataError
from likewise.events import Kind
from likewise.families.family import Borrower, ClosedFormLearner, Conditional, Density, Latent, Travelling
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

VARIANTS: Mapping[str, tuple[str, Mapping[str, Any]]] = MappingProxyType(
    {"hidden_tree": ("bayesian_network", {"structure": "hidden_tree"})}
)
"""Name -> a family and settings of it that go by a name of their own.

A plain network explains; with hidden states its records are closer to the data.
"""

_SAID: MappingProxyType[Kind, str] = MappingProxyType(
    {"exact": "exact", "bound": "a lower bound", "estimate": "an estimate", "unnormalised": "unnormalised"}
)
"""Kinds of scores in words."""


@dataclass(frozen=True)
class FamilyCard:
    """What a family is and can do, read off its class.

    Attributes
    ----------
    name, estimator : str
        The name in model files and on the command line, and the public class.
    likelihood : "explicit" (it states a density) or "implicit" (it only samples)
    tractability : "tractable" (a density is exact), "approximate" or "none"
    density, sampling, evidence, learning : str
        How it scores whole records, samples, samples under evidence and learns, in words.
    scores, conditions, encodes, travels : bool
        Whether it has log-likelihoods, samples under evidence, a latent space, and samples that come out of noise step
        by step.
    labels : bool
        Whether it learns p(records | labels) with `conditional=True`.
    borrows : bool
        Whether it stands on a part of another family, which can be sampled alone.
    closed_form : bool
        Whether it learns without gradients.
    """

    name: str
    estimator: str
    likelihood: Literal["explicit", "implicit"]
    tractability: Literal["tractable", "approximate", "none"]
    density: str
    sampling: str
    evidence: str
    learning: str
    scores: bool
    conditions: bool
    encodes: bool
    travels: bool
    labels: bool
    borrows: bool
    closed_form: bool

    @property
    def abilities(self) -> tuple[str, ...]:
        """What it can do besides sampling, in verbs."""
        verbs = {
            "score": self.scores,
            "condition": self.conditions,
            "encode": self.encodes,
            "travel": self.travels,
            "label": self.labels,
        }
        return tuple(verb for verb, able in verbs.items() if able)


def families() -> tuple[FamilyCard, ...]:
    """The taxonomy of the families that this version has, read off what their classes implement.

    Examples
    --------
    >>> import likewise as lw
    >>> [card.name for card in lw.families() if card.likelihood == "implicit"]
    ['gan']
    >>> [card.name for card in lw.families() if card.tractability == "tractable"]
    ['autoregressive', 'bayesian_network', 'flow']
    >>> [card.name for card in lw.families() if card.scores and card.encodes]
    ['diffusion', 'flow', 'vae']
    """
    return tuple(_card(name) for name in FAMILIES)


def _card(name: str) -> FamilyCard:
    found = family_class(name)
    scores = issubclass(found, Density)
    return FamilyCard(
        name,
        ESTIMATORS[name][1],
        "explicit" if scores else "implicit",
        "tractable" if "exact" in found.kinds else "approximate" if scores else "none",
        " or ".join(_SAID[kind] for kind in found.kinds) or "none",
        found.sampling,
        found.answering,
        found.fitted_by,
        scores=scores,
        conditions=issubclass(found, Conditional),
        encodes=name in families_with(Latent),
        travels=issubclass(found, Travelling),
        labels="conditional" in inspect.signature(found).parameters,
        borrows=issubclass(found, Borrower),
        closed_form=issubclass(found, ClosedFormLearner),
    )


def estimator_class(name: str) -> type[Generative]:
    """The estimator of the family called `name`; KeyError when there is none."""
    module, attribute = ESTIMATORS[name]
    found: type[Generative] = getattr(import_module(module), attribute)
    return found


def estimator_of(name: str, **settings: Any) -> Generative:
    """A new estimator of a family, or of one of `VARIANTS`, with these settings.

    Raises
    ------
    DataError
        Where there is none of that name.

    Examples
    --------
    >>> estimator_of("hidden_tree", random_state=0)
    BayesianNetwork(random_state=0, structure='hidden_tree')
    """
    family, own = VARIANTS.get(name, (name, {}))
    if family not in ESTIMATORS:
        raise DataError(f"There is no family called {name!r}; there are {', '.join((*ESTIMATORS, *VARIANTS))}.")
    return estimator_class(family)(**own, **settings)


def estimators_with(protocol: type) -> tuple[str, ...]:
    """The names of the estimators whose family implements a protocol.

    Examples
    --------
    >>> estimators_with(Density)
    ('Autoregressive', 'BayesianNetwork', 'Diffusion', 'EnergyModel', 'Flow', 'VAE')
    """
    return tuple(ESTIMATORS[name][1] for name in families_with(protocol))
