"""What settings of families may be: rules, and the one sentence that says which setting broke which."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Rule:
    """What a setting must be, in words and as a test."""

    words: str
    admits: Callable[[Any], bool]


def one_of(*choices: str) -> Rule:
    """One of these words."""
    return Rule(f"one of {', '.join(choices)}", lambda value: isinstance(value, str) and value in choices)


def whole(least: int, most: int | None = None) -> Rule:
    """A whole number within these ends; True and False are none."""
    words = f"a whole number of at least {least}" if most is None else f"a whole number from {least} to {most}"
    return Rule(words, lambda value: type(value) is int and least <= value and (most is None or value <= most))


def number(words: str, within: Callable[[float], bool]) -> Rule:
    """A finite number of which `within` holds; True and False are none."""

    def admits(value: Any) -> bool:
        plain = isinstance(value, int | float) and not isinstance(value, bool)
        return plain and abs(value) <= sys.float_info.max and within(value)

    return Rule(words, admits)


def optional(rule: Rule) -> Rule:
    """What the rule admits, or None."""
    return Rule(f"{rule.words}, or None", lambda value: value is None or rule.admits(value))


POSITIVE_WHOLE = Rule("a positive whole number", whole(1).admits)
WHOLE = whole(0)
POSITIVE = number("a positive number", lambda value: value > 0)
NON_NEGATIVE = number("a number of at least 0", lambda value: value >= 0)
SHARE = number("a number between 0 and 1", lambda value: 0 <= value <= 1)
BELOW_ONE = number("a number of at least 0 and below 1", lambda value: 0 <= value < 1)


def check(rule: Rule, /, **settings: Any) -> None:
    """ValueError, naming the setting and what it is, for the first of these settings that breaks the rule.

    Examples
    --------
    >>> check(POSITIVE_WHOLE, width=8, layers=0)
    Traceback (most recent call last):
        ...
    ValueError: layers must be a positive whole number, not 0
    """
    for name, value in settings.items():
        if not rule.admits(value):
            raise ValueError(f"{name} must be {rule.words}, not {value!r}")
