"""Models in files: what of an estimator is written, and how it is built again from a file that nobody trusts."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from likewise import storage
from likewise.domains.domain import Domain
from likewise.domains.table import Table
from likewise.engine.record import strict
from likewise.errors import ModelFileError
from likewise.estimators.signatures import misfit
from likewise.estimators.taxonomy import ESTIMATORS, estimator_class
from likewise.events import Event
from likewise.families.family import Family

if TYPE_CHECKING:
    from likewise.estimators.generative import Generative

Model = TypeVar("Model", bound="Generative")

DOMAINS: Mapping[str, type[Domain]] = {Table.name: Table}
"""The closed list of domains: name -> class."""

CIRCUMSTANCES = ("domain", "checkpoint", "resume", "verbose", "device")
"""Parameters that belong to one fit on one machine, not to the model."""

LIMIT = "max_"
"""How the names of settings start that limit rather than size, and so may be any number."""

_FIELDS = {"family", "parameters", "settings", "domain", "seed", "features", "training"}
_SMALL = 10_000
_LARGE = 1e6


# ------------------------------------------------------------------------------------------------------------ writing


def save(model: Generative, path: str | os.PathLike[str]) -> None:
    """Writes a fitted estimator to one `.safetensors` file; see `Generative.save`."""
    description, domain_tensors = model.domain_.state()
    parameters = model.get_params(deep=False)
    names = getattr(model, "feature_names_in_", None)
    header = {
        "family": model.family_name,
        "parameters": {
            name: value for name, value in parameters.items() if name not in CIRCUMSTANCES and _is_plain(value)
        },
        "settings": model.family_.settings,
        "domain": {"name": model.domain_.name, "description": description},
        "seed": model.seed_,
        "features": {"count": int(model.n_features_in_), "names": None if names is None else [str(n) for n in names]},
        "training": strict(model.training_record_),
    }
    tensors = {f"domain.{name}": tensor for name, tensor in domain_tensors.items()}
    tensors |= {f"family.{name}": tensor for name, tensor in model.family_.state_dict().items()}
    storage.write(path, header, tensors)


def _is_plain(value: Any) -> bool:
    """Whether a parameter is JSON data; a RandomState, say, is not, and is left out."""
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    if isinstance(value, Mapping):
        return all(isinstance(key, str) and _is_plain(part) for key, part in value.items())
    return value is None or type(value) in (bool, int, float, str)


# ------------------------------------------------------------------------------------------------------------ reading


def load(path: str | os.PathLike[str]) -> Generative:
    """The fitted model in a file.

    Parameters
    ----------
    path : str or path
        A file written by `save`.

    Returns
    -------
    Generative
        The estimator of the family that the file names, its parameters as they were; those of one fit on one machine
        (`domain`, `device`, `checkpoint`, `resume`, `verbose`) are not kept and have their defaults.

    Raises
    ------
    ModelFileError
        When the file is missing, damaged, hostile or written by a later version.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> import likewise as lw
    >>> records = {"size": [1.5, 2.25, 3.0, 2.5] * 5, "kind": ["a", "b", "b", "a"] * 5}
    >>> model = lw.BayesianNetwork(random_state=0).fit(records)
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "model.safetensors"
    >>> model.save(path)
    >>> bool((lw.load(path).score_samples(records) == model.score_samples(records)).all())
    True
    """
    header, tensors = storage.read(path)
    try:
        return _restore(header, tensors)
    except ModelFileError as error:
        raise ModelFileError(f"{os.fspath(path)!r} is not a model file that can be read: {error}.") from error
    except Exception as error:
        raise ModelFileError(
            f"{os.fspath(path)!r} is not a model file that can be read: its contents do not describe a model "
            f"({type(error).__name__})."
        ) from error


def load_as(cls: type[Model], path: str | os.PathLike[str]) -> Model:
    """The fitted model in a file, which must be one of this class."""
    model = load(path)
    if not isinstance(model, cls):
        raise ModelFileError(f"{os.fspath(path)!r} holds a model of {type(model).__name__}, not of {cls.__name__}.")
    return model


def describe(path: str | os.PathLike[str]) -> dict[str, Any]:
    """What a model file says of itself, without building the model: family, settings, domain, seed, training record.

    Raises
    ------
    ModelFileError
        As `load`; the checksum is verified.
    """
    header = storage.read_header(path, verify=True)
    try:
        _check_fields(header)
    except ModelFileError as error:
        raise ModelFileError(f"{os.fspath(path)!r} is not a model file that can be read: {error}.") from error
    return header


def _check_fields(header: Mapping[str, Any]) -> None:
    if set(header) != _FIELDS:
        raise ModelFileError("its model entry has other fields than a model has")
    if not isinstance(header["family"], str) or header["family"] not in ESTIMATORS:
        raise ModelFileError(f"it names the unknown family {str(header['family'])[:80]!r}")
    for name in ("parameters", "settings", "domain", "features", "training"):
        if not isinstance(header[name], dict):
            raise ModelFileError(f"its {name} are no JSON object")
    if set(header["domain"]) != {"name", "description"} or not isinstance(header["domain"]["description"], dict):
        raise ModelFileError("its domain is not described")
    if header["domain"]["name"] not in [*DOMAINS]:
        raise ModelFileError(f"it names the unknown domain {str(header['domain']['name'])[:80]!r}")
    if type(header["seed"]) is not int or not 0 <= header["seed"] < 2**63:
        raise ModelFileError("its seed is not a whole number of 63 bits")


def _restore(header: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Generative:
    _check_fields(header)
    for name, tensor in tensors.items():
        if not name.startswith(("family.", "domain.")):
            raise ModelFileError(f"tensor {name[:80]!r} belongs to neither family nor domain")
        if tensor.is_floating_point() and bool(tensor.isnan().any()):
            raise ModelFileError(f"tensor {name[:80]!r} holds NaN")
    of_domain, of_family = (
        {name.removeprefix(room): tensor for name, tensor in tensors.items() if name.startswith(room)}
        for room in ("domain.", "family.")
    )
    cls = estimator_class(header["family"])
    parameters = header["parameters"]
    if set(parameters) & set(CIRCUMSTANCES) or misfit(cls, parameters) is not None:
        raise ModelFileError("its parameters are not those of its family")
    domain = DOMAINS[header["domain"]["name"]].restore(header["domain"]["description"], of_domain)
    model = cls(**parameters)
    count, names = header["features"]["count"], header["features"]["names"]
    if type(count) is not int or not (
        names is None or (isinstance(names, list) and len(names) == count and all(isinstance(n, str) for n in names))
    ):
        raise ModelFileError("its features are not described")
    family = rebuild(cls.family_class(), domain.event, header["settings"], of_family)
    model._adopt(domain, family, header["seed"], dict(header["training"]), count, names)
    return model


def rebuild(cls: type[Family], event: Event, settings: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Family:
    """A family from its settings and tensors, neither of which is trusted.

    It is built without memory, on torch's "meta" device, and only where that cannot take long: no number in the
    settings is larger than the file could back with tensors, and building may not call torch more often than so many
    tensors explain. Tensors are adopted when every name, shape and type is what the family has.

    Raises
    ------
    ModelFileError
        When settings and tensors do not belong together.
    """
    wrong = misfit(cls, settings)
    if wrong is not None:
        raise ModelFileError(f"the setting {wrong[:80]!r} is not one of the family")
    most = max(_SMALL, sum(tensor.numel() for tensor in tensors.values()))
    for number in _numbers({name: part for name, part in settings.items() if not name.startswith(LIMIT)}):
        if abs(number) > (most if isinstance(number, int) else _LARGE):
            raise ModelFileError(f"the setting {number} is larger than its tensors")
    with torch.device("meta"), _Budget(2_000 + 200 * len(tensors)):
        family = cls(event, **settings)
    # A setting that is younger than the file has its default, under which a model is what it was before.
    if any(name not in family.settings or family.settings[name] != setting for name, setting in settings.items()):
        raise ModelFileError("its settings are not those of the family")
    expected = family.state_dict()
    if set(expected) != set(tensors):
        odd = min(set(expected) ^ set(tensors))
        raise ModelFileError(f"tensor {odd[:80]!r} is {'missing' if odd in expected else 'not part of the model'}")
    for name, tensor in expected.items():
        if tensor.shape != tensors[name].shape or tensor.dtype != tensors[name].dtype:
            raise ModelFileError(f"tensor {name[:80]!r} has another shape or type than the model")
    family.load_state_dict(dict(tensors), assign=True)
    assert not any(part.is_meta for part in (*family.parameters(), *family.buffers())), "a buffer that is not saved"
    return family.eval()


class _Budget(TorchFunctionMode):
    """Stops building a module that calls torch more often than it should."""

    def __init__(self, calls: int) -> None:
        super().__init__()
        self._left = calls

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self._left -= 1
        if self._left < 0:
            raise ModelFileError("its settings describe a larger model than its tensors")
        return function(*args, **(kwargs or {}))


def _numbers(settings: Any) -> Iterator[int | float]:
    if isinstance(settings, Mapping):
        for part in settings.values():
            yield from _numbers(part)
    elif isinstance(settings, list):
        for part in settings:
            yield from _numbers(part)
    elif isinstance(settings, int | float) and not isinstance(settings, bool):
        yield settings
