"""Methods that exist only where the family can do what they need: `hasattr` never lies."""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature
from typing import Any, TypeVar

from sklearn.utils.metaestimators import available_if

from likewise.errors import NotSupported
from likewise.estimators.taxonomy import ESTIMATORS, estimators_with
from likewise.families.registry import family_class

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


def require(estimator: Any, protocol: type, what: str) -> None:
    """Raises NotSupported, naming estimators that can, where the family of `estimator` lacks `protocol`."""
    if issubclass(estimator.family_class(), protocol):
        return
    able = estimators_with(protocol)
    instead = f"use {' or '.join(able)}" if able else "no family of this version can"
    raise NotSupported(f"{type(estimator).__name__} has no {what}: {instead}.")


def require_setting(estimator: Any, setting: str, what: str) -> None:
    """Raises NotSupported, naming estimators that can, where the family of `estimator` has no such setting."""
    if setting in signature(estimator.family_class()).parameters:
        return
    able = [ESTIMATORS[name][1] for name in ESTIMATORS if setting in signature(family_class(name)).parameters]
    raise NotSupported(f"{type(estimator).__name__} has no {what}: use {' or '.join(able)}.")
