"""Methods that exist only where the family can do what they need: `hasattr` never lies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from sklearn.utils.metaestimators import available_if

from likewise.errors import NotSupported
from likewise.estimators.taxonomy import estimators_with

Method = TypeVar("Method", bound=Callable[..., Any])


def needs(protocol: type) -> Callable[[Method], Method]:
    """Decorates a method of an estimator that exists only where the family's class implements `protocol`.

    Looking it up elsewhere raises AttributeError, as for any method that a class does not have; its cause is the
    NotSupported that names a family which can.
    """

    def decorate(method: Method) -> Method:
        def check(estimator: Any) -> bool:
            require(estimator, protocol, method.__name__)
            return True

        decorated: Method = available_if(check)(method)
        return decorated

    return decorate


class AlsoSetting(Generic[Method]):
    """A method that shares its name with a setting, as `conditional` does: read it is the method, set the setting.

    scikit-learn wants a parameter of the constructor stored under its name; it is found there by `get_params`.
    """

    def __init__(self, method: Method) -> None:
        self._method: Any = method

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, estimator: Any, owner: type | None = None) -> Any:
        return self._method.__get__(estimator, owner)

    def __set__(self, estimator: Any, value: bool) -> None:
        vars(estimator)[self._name] = value


def require(estimator: Any, protocol: type, what: str) -> None:
    """Raises NotSupported, naming estimators that can, where the family of `estimator` lacks `protocol`."""
    if issubclass(estimator.family_class(), protocol):
        return
    able = estimators_with(protocol)
    instead = f"use {' or '.join(able)}" if able else "no family of this version can"
    raise NotSupported(f"{type(estimator).__name__} has no {what}: {instead}.")
