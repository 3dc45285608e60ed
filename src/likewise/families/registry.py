"""The closed list of families. A model file names a family; only what stands here can be built from one."""

from __future__ import annotations

from importlib import import_module
from types import MappingProxyType

from likewise.families.family import Family

FAMILIES = MappingProxyType(
    {
        "autoregressive": ("likewise.families.autoregressive.family", "AutoregressiveFamily"),
        "bayesian_network": ("likewise.families.bayesian_network.family", "BayesianNetworkFamily"),
        "diffusion": ("likewise.families.diffusion.family", "DiffusionFamily"),
        "energy": ("likewise.families.energy.family", "EnergyFamily"),
        "flow": ("likewise.families.flow.family", "FlowFamily"),
        "gan": ("likewise.families.gan.family", "GANFamily"),
        "vae": ("likewise.families.vae.family", "VAEFamily"),
    }
)
"""Name -> the module and the class of the family."""


def family_class(name: str) -> type[Family]:
    """The class of the family called `name`; KeyError when there is none.

    Examples
    --------
    >>> family_class("autoregressive").name
    'autoregressive'
    """
    module, attribute = FAMILIES[name]
    found: type[Family] = getattr(import_module(module), attribute)
    assert issubclass(found, Family)
    assert found.name == name
    return found


def families_with(protocol: type) -> tuple[str, ...]:
    """The names of the families that implement a protocol of `likewise.families.family`.

    Examples
    --------
    >>> from likewise.families.family import ClosedFormLearner
    >>> families_with(ClosedFormLearner)
    ('bayesian_network',)
    """
    return tuple(name for name in FAMILIES if issubclass(family_class(name), protocol))
