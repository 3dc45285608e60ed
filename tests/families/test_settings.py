"""Settings that mean nothing are refused by name, by every family alike."""

import inspect
import math

import numpy as np
import pytest

from likewise.events import Categorical, Columns, Entry, Event, Real
from likewise.families.registry import FAMILIES, family_class
from likewise.families.settings import (
    BELOW_ONE,
    NON_NEGATIVE,
    POSITIVE,
    POSITIVE_WHOLE,
    SHARE,
    WHOLE,
    check,
    one_of,
    optional,
    whole,
)
from likewise.mathematics.monotone import MonotoneMap

EVENT = Event(Columns(), (Entry("x", Categorical(1), Real(MonotoneMap.affine(0.0, 1.0))), Entry("y", Categorical(3))))

RULES = {
    "a positive whole number": (POSITIVE_WHOLE, [1, 7], [0, -1, 1.0]),
    "a whole number of at least 0": (WHOLE, [0, 7], [-1, 0.0]),
    "a whole number of at least 2": (whole(2), [2, 3], [1, 2.0]),
    "a whole number from 1 to 9": (whole(1, 9), [1, 9], [0, 10]),
    "a positive number": (POSITIVE, [1, 1e-300, np.float64(2)], [0, -0.0, -1, 10**400]),
    "a number of at least 0": (NON_NEGATIVE, [0, 0.0, 3], [-1e-300]),
    "a number between 0 and 1": (SHARE, [0, 0.5, 1], [-0.1, 1.1]),
    "a number of at least 0 and below 1": (BELOW_ONE, [0, 0.99], [1, 1.0, -0.1]),
    "a whole number from 1 to 9, or None": (optional(whole(1, 9)), [9, None], [0, 10]),
    "one of cat, dog": (one_of("cat", "dog"), ["cat", "dog"], ["do", "", 0]),
}
NEVER = [math.nan, math.inf, -math.inf, True, False, None, "1", [1], np.float64("nan")]


@pytest.mark.parametrize("words", RULES)
def test_a_rule_admits_what_it_says_and_names_what_broke_it(words: str) -> None:
    rule, good, bad = RULES[words]
    check(rule, **{f"setting_{k}": value for k, value in enumerate(good)})
    for value in [*bad, *(never for never in NEVER if not any(never is one for one in good))]:
        with pytest.raises(ValueError, match=f"^width must be {words}, not ") as caught:
            check(rule, depth=good[0], width=value)
        assert str(caught.value).endswith(repr(value))


@pytest.mark.parametrize("family", FAMILIES)
def test_no_number_of_a_family_may_be_nan_or_a_truth_value(family: str) -> None:
    parameters = inspect.signature(family_class(family)).parameters.items()
    numbers = [name for name, each in parameters if type(each.default) in (int, float)]
    assert numbers
    for name in numbers:
        for wrong in (math.nan, True):
            with pytest.raises(ValueError, match=f"^{name} must be "):
                family_class(family)(EVENT, **{name: wrong})
