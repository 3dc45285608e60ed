"""The steps that sum variables out of a product of factors, planned before any number is known.

The last axis of an array is the row of evidence, of size 1 where all rows share it; axes before it are variables.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from string import ascii_letters
from typing import Any

import numpy as np

from likewise.errors import NotSupported
from likewise.families.bayesian_network.inference.elimination import Scope

Array = np.ndarray[Any, np.dtype[np.float64]]
Integers = np.ndarray[Any, np.dtype[np.int64]]
Bools = np.ndarray[Any, np.dtype[np.bool_]]

SMALLER = 8
"""Three factors are multiplied at once, unless two of them make one that is so many times smaller than all."""


@dataclass(frozen=True)
class Product:
    """One step: the product of one to three slots into slot `out`, summed over what `out` has not.

    `closes` is the variable that the step sums out, None in the middle of a product.
    """

    parts: tuple[int, ...]
    out: int
    closes: int | None


@dataclass(frozen=True)
class Contraction:
    """The steps that sum all variables out of a product of factors, in an order.

    Attributes
    ----------
    scopes : tuple of tuples
        The variables of each slot: the given factors first, then one slot a step.
    steps : tuple of Product
    roots : tuple of int
        Slots without variables, whose product is the total.
    buckets : variable -> slots
        The factors met at each variable, in the order of elimination.
    places : variable -> slot
        For each target, the smallest slot that has it.
    wide : tuple of bool
        Whether a slot has its own numbers in every row.
    given : int
        How many of the slots are factors.
    """

    scopes: tuple[Scope, ...]
    steps: tuple[Product, ...]
    roots: tuple[int, ...]
    buckets: Mapping[int, tuple[int, ...]]
    places: Mapping[int, int]
    wide: tuple[bool, ...]
    sizes: Mapping[int, int]
    given: int

    @cached_property
    def held(self) -> tuple[int, int]:
        """The numbers held at once: for each row, and for all rows together."""
        kept = [0, 0]
        widest = [1, 1]
        for slot, wide in enumerate(self.wide):
            kept[not wide] += self._states(slot)
            widest[not wide] = max(widest[not wide], self._states(slot))
        # Derivatives are as large as what they are of: two are alive at a time, and a product that is read off.
        return kept[0] + 3 * widest[0], kept[1] + (0 if any(self.wide) else 3 * widest[1])

    @cached_property
    def widest(self) -> int:
        """The terms of the largest sum, which only sums of logs hold at once."""
        return max((math.prod(self.sizes[name] for name in self.joint(step)) for step in self.steps), default=1)

    def _states(self, slot: int) -> int:
        return math.prod(self.sizes[name] for name in self.scopes[slot])

    def joint(self, step: Product) -> Scope:
        """The variables of the parts of a step."""
        return tuple(dict.fromkeys(name for part in step.parts for name in self.scopes[part]))

    @cached_property
    def formulas(self) -> list[tuple[str, ...]]:
        """For each step the forward formula, and those of the derivatives to each of its parts."""
        found = []
        for step in self.steps:
            joint = self.joint(step)
            if len(joint) >= len(ascii_letters):
                raise NotSupported(f"Exact inference here joins {len(joint)} columns at once, which is too many.")
            letter = dict(zip(joint, ascii_letters[1:], strict=False))
            *parts, out = (
                "".join(letter[name] for name in self.scopes[slot]) + ascii_letters[0]
                for slot in (*step.parts, step.out)
            )
            backwards = [",".join([out, *parts[:at], *parts[at + 1 :]]) + f"->{part}" for at, part in enumerate(parts)]
            found.append((",".join(parts) + f"->{out}", *backwards))
        return found

    def needed(self, wanted: Iterable[int]) -> list[bool]:
        """Which slots lie on the way from a root to a wanted one."""
        found = [False] * len(self.scopes)
        for slot in wanted:
            found[slot] = True
        for step in self.steps:
            found[step.out] |= any(found[part] for part in step.parts)
        return found


def contraction(
    scopes: Sequence[Scope],
    wide: Sequence[bool],
    sizes: Mapping[int, int],
    order: Sequence[int],
    targets: Collection[int] = (),
) -> Contraction:
    """The steps of an elimination; `wide` says which factors differ between rows."""
    found, kinds = list(scopes), list(wide)
    rank = {name: at for at, name in enumerate(order)}
    steps: list[Product] = []
    buckets: dict[int, tuple[int, ...]] = {}
    pool = set(range(len(scopes)))

    def states(slot: int) -> tuple[int, int]:
        return math.prod(sizes[name] for name in found[slot]), slot

    def product(*slots: int) -> Scope:
        # All products have their axes in one order, so that memory is walked through from one end to the other.
        return tuple(sorted({name for slot in slots for name in found[slot]}, key=rank.__getitem__, reverse=True))

    def add(parts: Sequence[int], scope: Scope, closes: int | None) -> int:
        found.append(scope)
        kinds.append(any(kinds[part] for part in parts))
        steps.append(Product(tuple(parts), len(found) - 1, closes))
        return len(found) - 1

    for variable in order:
        bucket = sorted((slot for slot in pool if variable in found[slot]), key=states)
        if not bucket:
            continue
        buckets[variable] = tuple(bucket)
        pool.difference_update(bucket)
        joint = math.prod(sizes[name] for name in {name for slot in bucket for name in found[slot]})
        while len(bucket) > 1:
            small = product(bucket[0], bucket[1])
            if len(bucket) == 2 or (len(bucket) == 3 and SMALLER * math.prod(sizes[n] for n in small) > joint):
                break
            bucket = sorted([add(bucket[:2], small, None), *bucket[2:]], key=states)
        pool.add(add(bucket, tuple(name for name in product(*bucket) if name != variable), variable))
    places: dict[int, int] = {}
    wanted = set(targets)
    for slot in sorted(range(len(found)), key=states, reverse=True):
        for name in found[slot]:
            if name in wanted:
                places[name] = slot
    return Contraction(
        tuple(found), tuple(steps), tuple(sorted(pool)), buckets, places, tuple(kinds), dict(sizes), len(scopes)
    )
