"""Products of factors summed over all variables, and the derivatives of the sum: every marginal from two passes.

The value of the contraction is the probability of the evidence; its derivative with respect to a factor, times that
factor, is the marginal over the factor's variables (Darwiche 2003). So the inward pass of a junction tree is a
contraction along an elimination order, and the outward pass its differentiation backwards, by which nothing is ever
divided.

The last axis of an array is the row of evidence, of size 1 where all rows share it; axes before it are variables. All
terms are positive, so sums keep the digits of their terms, and what could be lost is lost by underflow. Every array
carries a lower bound of the logs of its positive numbers, which adds up from factor to factor. Where the bound falls
far, the array is scaled to a maximum of 1 in every row and its smallest positive numbers are measured; and a row in
which a product could still fall below what a double holds is computed again from logarithms.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from string import ascii_letters
from typing import Literal

import numpy as np
import torch

from likewise.families.bayesian_network.inference.contraction import Array, Bools, Contraction, Integers
from likewise.families.bayesian_network.inference.elimination import Scope

FAR = 300.0
"""Arrays whose positive numbers may lie further from 1, as logs, are scaled."""

SAFE = -690.0
"""exp of this is a normal number: no product of positive terms above it loses digits."""

Algebra = Literal["numbers", "logs"]
"""How terms are multiplied and summed: as numbers or as logarithms."""


class Workspace:
    """Memory that passes over blocks of rows use again: fresh memory is slow to come by.

    Parameters
    ----------
    kept : bool
        Whether anything is kept; of no use where there is only one block.
    """

    def __init__(self, kept: bool = False) -> None:
        self._kept = kept
        self._free: dict[tuple[int, ...], list[Array]] = {}
        self._made: Counter[tuple[int, ...]] = Counter()

    def take(self, shape: tuple[int, ...]) -> Array:
        """An array of this shape, with anything in it."""
        free = self._free.setdefault(shape, [])
        if free:
            return free.pop()
        self._made[shape] += 1
        return np.empty(shape)

    def give(self, array: Array) -> None:
        """Takes an array back that nobody needs any more; more of a shape than were made here are not kept."""
        if self._kept and len(self._free.get(array.shape, ())) < self._made[array.shape]:
            self._free[array.shape].append(array)


@dataclass
class Pass:
    """An inward pass: the values of all slots.

    Attributes
    ----------
    lows : list of floats or float64 (rows,)
        Lower bounds of the logs of the positive numbers of each slot.
    log_total : float64 (rows,)
    unsure : bool (rows,)
        Rows in which digits may have been lost.
    """

    plan: Contraction
    algebra: Algebra
    rows: int
    values: list[Array]
    lows: list[Array | float]
    log_total: Array
    unsure: Bools
    space: Workspace

    def doubt(self, low: Array | float) -> None:
        """Marks the rows whose products may lie below what a double holds."""
        if self.algebra == "numbers" and _least(low) < SAFE:
            self.unsure |= np.less(low, SAFE)

    def watched(self, value: Array, low: Array | float, high: float) -> tuple[Array | float, Array | float]:
        """What was divided out of the array, as logs, and its new lower bound."""
        if self.algebra == "logs" or (high < FAR and _least(low) > -FAR):
            return 0.0, low
        flat = value.reshape(-1, value.shape[-1])
        top = flat.max(0)
        top[top == 0] = 1.0
        value /= top
        low = np.log(np.min(flat, 0, where=flat > 0, initial=1.0))
        lost = low < SAFE / 2
        self.unsure |= lost
        return np.log(top), np.where(lost, 0.0, low)


def _least(low: Array | float) -> float:
    return low if isinstance(low, float) else float(low.min())


def inward(
    plan: Contraction,
    factors: Sequence[Array],
    floors: Sequence[float],
    rows: int,
    algebra: Algebra = "numbers",
    maximised: Collection[int] = (),
    space: Workspace | None = None,
) -> Pass:
    """Sums everything out.

    Parameters
    ----------
    factors : arrays (states, ..., rows or 1)
        In logs unless the algebra is that of numbers.
    floors : floats
        A lower bound of the logs of each factor's positive numbers, none below `SAFE / 2`.
    maximised : variables
        Over which the largest term is taken rather than the sum: then the algebra is that of logs.
    """
    found = Pass(
        plan,
        algebra,
        rows,
        list(factors),
        [max(floor, SAFE / 2) for floor in floors],
        np.zeros(rows),
        np.full(rows, algebra == "numbers" and min(floors, default=0.0) < SAFE / 2),
        space or Workspace(),
    )
    highs = [0.0] * len(factors)
    values, lows = found.values, found.lows
    multiply, maximise = _multiply(algebra), _logs_by(np.max)
    for step, formulas in zip(plan.steps, plan.formulas, strict=True):
        combine = maximise if step.closes in maximised else multiply
        value = combine(formulas[0], [values[part] for part in step.parts], found.space)
        low, high = lows[step.parts[0]], highs[step.parts[0]]
        for part in step.parts[1:]:
            low, high = low + lows[part], high + highs[part]
        found.doubt(low)
        if step.closes is not None:
            high += math.log(plan.sizes[step.closes])
        scale, low = found.watched(value, low, high)
        if not isinstance(scale, float):
            found.log_total += scale
            high = 0.0
        values.append(value)
        lows.append(low)
        highs.append(high)
    for slot in plan.roots:
        if algebra == "numbers":
            with np.errstate(divide="ignore"):
                found.log_total += np.log(values[slot])
        else:
            found.log_total += values[slot]
    return found


def outward(found: Pass, folded: Mapping[int, tuple[int, Callable[[Array], Array]]]) -> dict[int, Array]:
    """The marginals (states, rows or 1) of the targets, each row adding up to 1; NaN where the total is zero.

    `folded` are targets whose states are in classes: the number of a factor -> the target, and what makes its marginal
    of that of the factor. The pass is used up: its values are given back to its workspace.
    """
    plan, multiply = found.plan, _multiply(found.algebra)
    places: dict[int, list[int]] = {}
    for variable, slot in plan.places.items():
        places.setdefault(slot, []).append(variable)
    out: dict[int, Array] = {}
    for slot, slope in _derivatives(found, plan.needed([*plan.places.values(), *folded])):
        scope = plan.scopes[slot]
        for variable in places.get(slot, ()):
            names = ascii_letters[1 : len(scope) + 1] + ascii_letters[0]
            formula = f"{names},{names}->{names[scope.index(variable)]}{names[-1]}"
            out[variable] = _normalised(multiply(formula, [slope, found.values[slot]], Workspace()), found.algebra, 1)
        if slot in folded:
            variable, unfold = folded[slot]
            out[variable] = unfold(_joint(found, slot, slope))
    return out


def factor_marginals(found: Pass) -> Iterator[tuple[int, Array]]:
    """For each factor its number and the joint marginal (states, ..., rows or 1) of its variables.

    The pass is used up as by `outward`.
    """
    plan = found.plan
    for slot, slope in _derivatives(found, plan.needed(range(plan.given))):
        if slot < plan.given:
            yield slot, _joint(found, slot, slope)


def _joint(found: Pass, slot: int, slope: Array) -> Array:
    """The joint marginal (states, ..., rows or 1) of the variables of a slot."""
    value = found.values[slot]
    product = slope * value if found.algebra == "numbers" else slope + value
    return _normalised(product, found.algebra, len(found.plan.scopes[slot]))


def _derivatives(found: Pass, needed: list[bool]) -> Iterator[tuple[int, Array]]:
    """The derivative of the total with respect to each slot that is needed, by row up to a factor."""
    plan, values, space, multiply = found.plan, found.values, found.space, _multiply(found.algebra)
    blank = 1.0 if found.algebra == "numbers" else 0.0
    slopes: dict[int, Array] = {slot: np.full((1,), blank) for slot in plan.roots if needed[slot]}
    lows: dict[int, Array | float] = dict.fromkeys(slopes, 0.0)
    highs = dict.fromkeys(slopes, 0.0)
    yield from list(slopes.items())
    for step, formulas in zip(reversed(plan.steps), reversed(plan.formulas), strict=True):
        if not needed[step.out]:
            continue
        slope, low, high = slopes.pop(step.out), lows.pop(step.out), highs.pop(step.out)
        space.give(values[step.out])
        values[step.out] = NOTHING
        if len(step.parts) == 1:
            # What was summed over comes back as an axis along which the derivative is constant.
            assert step.closes is not None
            (own,) = step.parts
            back = np.expand_dims(slope, 0).transpose(_axes((step.closes, *plan.scopes[step.out]), plan.scopes[own]))
            slopes[own], lows[own], highs[own] = back, low, high
            yield own, back
            continue
        high += sum(math.log(plan.sizes[name]) for name in plan.joint(step))
        for at, own in enumerate(step.parts):
            if needed[own]:
                others = [part for part in step.parts if part != own]
                slopes[own] = multiply(formulas[1 + at], [slope, *(values[part] for part in others)], space)
                bound = sum((found.lows[part] for part in others), start=low)
                found.doubt(bound)
                scale, lows[own] = found.watched(slopes[own], bound, high)
                highs[own] = high if isinstance(scale, float) else 0.0
                yield own, slopes[own]
        if slope.ndim == len(plan.scopes[step.out]) + 1 and slope.base is None:
            space.give(slope)


def _axes(have: Scope, want: Scope) -> list[int]:
    """The transposition that brings axes, the row's last, from one order into another."""
    return [*(have.index(name) for name in want), len(have)]


def _normalised(marginal: Array, algebra: Algebra, axes: int) -> Array:
    """The marginal over its first axes, adding up to 1 in each row."""
    over = tuple(range(axes))
    if algebra == "logs":
        top = marginal.max(over)
        marginal = np.exp(marginal - np.where(np.isinf(top), 0.0, top))
    with np.errstate(invalid="ignore"):
        found: Array = marginal / marginal.sum(over)
        return found


def trace(
    found: Pass, rows: Integers, choose: Callable[[Array, bool], Integers], only: Collection[int] | None = None
) -> dict[int, Integers]:
    """A state (n,) of every variable for each of the given rows, chosen backwards along the elimination.

    `choose` takes weights (n, states), and whether they are logs, and returns a state for each. `only` these variables,
    which were eliminated last, are traced; None for all.
    """
    in_logs = found.algebra != "numbers"
    chosen: dict[int, Integers] = {}
    for variable in reversed(list(found.plan.buckets)):
        if only is not None and variable not in only:
            break
        total: Array | None = None
        for slot in found.plan.buckets[variable]:
            scope, table = found.plan.scopes[slot], found.values[slot]
            table = np.moveaxis(table, scope.index(variable), -1)
            row = rows if table.shape[-2] > 1 else np.zeros_like(rows)
            part = table[(*(chosen[name] for name in scope if name != variable), row)]
            total = part if total is None else total + part if in_logs else total * part
        assert total is not None
        chosen[variable] = choose(total, in_logs)
    return chosen


def likeliest(weights: Array, in_logs: bool) -> Integers:
    """The state of the largest weight."""
    found: Integers = weights.argmax(1)
    return found


def drawn(generator: torch.Generator) -> Callable[[Array, bool], Integers]:
    """A choice of states with probabilities in proportion to their weights."""

    def choose(weights: Array, in_logs: bool) -> Integers:
        if in_logs:
            weights = np.exp(weights - weights.max(1, keepdims=True))
        ends = weights.cumsum(1)
        u = torch.rand(len(ends), generator=generator, device=generator.device, dtype=torch.float64).cpu().numpy()
        u *= ends[:, -1]
        # A state of weight zero ends where the one before it ends, and is passed by.
        found: Integers = np.minimum((ends <= u[:, None]).sum(1), ends.shape[1] - 1)
        return found

    return choose


Combine = Callable[[str, Sequence[Array], Workspace], Array]
"""Multiplies arrays and sums, as the formula of `einsum` says."""

NOTHING: Array = np.empty(0)
"""In place of values that are used up."""

LARGE = 1 << 15
"""Arrays of more numbers are taken from the workspace."""


def _multiply(algebra: Algebra) -> Combine:
    return _numbers if algebra == "numbers" else _logs_by(_log_sum)


def _numbers(formula: str, operands: Sequence[Array], space: Workspace) -> Array:
    if max(operand.size for operand in operands) < LARGE:
        found: Array = np.einsum(formula, *operands)
        return found
    sizes: dict[str, int] = {}
    names, output = formula.split("->")
    for part, operand in zip(names.split(","), operands, strict=True):
        for name, size in zip(part, operand.shape, strict=True):
            sizes[name] = max(size, sizes.get(name, 1))
    out = space.take(tuple(sizes[name] for name in output))
    np.einsum(formula, *operands, out=out)
    return out


def _logs_by(reduce: Callable[..., Array]) -> Combine:
    """The same of logs, where `reduce` says what becomes of terms that differ only in what is summed over."""

    def combine(formula: str, operands: Sequence[Array], space: Workspace) -> Array:
        inputs, output = formula.split("->")
        joint = output[:-1] + "".join(sorted(set(inputs) - set(output) - {","})) + output[-1]
        parts = [_aligned(array, names, joint) for array, names in zip(operands, inputs.split(","), strict=True)]
        total = parts[0]
        for part in parts[1:]:
            total = total + part
        summed = tuple(at for at, name in enumerate(joint) if name not in output)
        return reduce(total, axis=summed) if summed else total

    return combine


def _aligned(array: Array, names: str, joint: str) -> Array:
    """The array with its axes in the order of `joint`, of size 1 where it has none."""
    order = sorted(range(len(names)), key=lambda at: joint.index(names[at]))
    sizes = dict(zip(names, array.shape, strict=True))
    return array.transpose(order).reshape([sizes.get(name, 1) for name in joint])


def _log_sum(logs: Array, axis: tuple[int, ...]) -> Array:
    top = logs.max(axis, keepdims=True)
    top = np.where(np.isinf(top), 0.0, top)
    with np.errstate(divide="ignore"):
        found: Array = np.log(np.exp(logs - top).sum(axis)) + top.squeeze(axis)
    return found
