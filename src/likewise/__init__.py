"""Generative modelling for anyone who has data.

Public names are imported when they are first used, so that `import likewise` and `likewise --help` stay fast.

Examples
--------
>>> import likewise as lw
>>> frame = lw.datasets.load("wine")
>>> frame.shape
(178, 14)
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

__version__ = "0.1.0"

_HOMES = {
    "Autoregressive": "likewise.estimators.autoregressive",
    "BayesianNetwork": "likewise.estimators.bayesian_network",
    "Comparison": "likewise.board.comparison",
    "DataError": "likewise.errors",
    "Diffusion": "likewise.estimators.diffusion",
    "EnergyModel": "likewise.estimators.energy",
    "Flow": "likewise.estimators.flow",
    "GAN": "likewise.estimators.gan",
    "Gallery": "likewise.board.gallery.gallery",
    "Generative": "likewise.estimators.generative",
    "LatentReport": "likewise.tasks.representation",
    "LikewiseError": "likewise.errors",
    "ModelFileError": "likewise.errors",
    "NotSupported": "likewise.errors",
    "Scores": "likewise.events",
    "Table": "likewise.domains.table",
    "TrainingDiverged": "likewise.errors",
    "VAE": "likewise.estimators.vae",
    "check_generative": "likewise.estimators.checks",
    "compare": "likewise.board.comparison",
    "families": "likewise.estimators.taxonomy",
    "gallery": "likewise.board.gallery.gallery",
    "latent_report": "likewise.tasks.representation",
    "load": "likewise.estimators.files",
}
"""Public name -> the module that defines it."""

_ROOMS = ("datasets", "errors", "graphs")
"""Modules that are public as a whole."""

if TYPE_CHECKING:
    from likewise import datasets as datasets
    from likewise import errors as errors
    from likewise import graphs as graphs
    from likewise.board.comparison import Comparison as Comparison
    from likewise.board.comparison import compare as compare
    from likewise.board.gallery.gallery import Gallery as Gallery
    from likewise.board.gallery.gallery import gallery as gallery
    from likewise.domains.table import Table as Table
    from likewise.errors import DataError as DataError
    from likewise.errors import LikewiseError as LikewiseError
    from likewise.errors import ModelFileError as ModelFileError
    from likewise.errors import NotSupported as NotSupported
    from likewise.errors import TrainingDiverged as TrainingDiverged
    from likewise.estimators.autoregressive import Autoregressive as Autoregressive
    from likewise.estimators.bayesian_network import BayesianNetwork as BayesianNetwork
    from likewise.estimators.checks import check_generative as check_generative
    from likewise.estimators.diffusion import Diffusion as Diffusion
    from likewise.estimators.energy import EnergyModel as EnergyModel
    from likewise.estimators.files import load as load
    from likewise.estimators.flow import Flow as Flow
    from likewise.estimators.gan import GAN as GAN
    from likewise.estimators.generative import Generative as Generative
    from likewise.estimators.taxonomy import families as families
    from likewise.estimators.vae import VAE as VAE
    from likewise.events import Scores as Scores
    from likewise.tasks.representation import LatentReport as LatentReport
    from likewise.tasks.representation import latent_report as latent_report

__all__ = [*sorted([*_HOMES, *_ROOMS]), "__version__"]


def __getattr__(name: str) -> object:
    if name in _ROOMS or name == "families":
        return import_module(f"likewise.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'likewise' has no attribute {name!r}")
    found = getattr(import_module(_HOMES[name]), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted(__all__)


class _Families(ModuleType):
    """The room `likewise.families`, which can be called: `likewise.families()` gives the taxonomy."""

    def __call__(self) -> object:
        return import_module(_HOMES["families"]).families()


class _Package(ModuleType):
    """Importing a room sets it on its package; the room of families is a public function as well."""

    def __setattr__(self, name: str, value: object) -> None:
        if name == "families" and isinstance(value, ModuleType):
            value.__class__ = _Families
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
