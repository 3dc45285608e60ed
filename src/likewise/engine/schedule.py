"""The learning rate over a fit: linear warm-up, constant, linear cool-down to zero.

The shape is the trapezoid of Zhai et al. (2022) and Hägele et al. (2024): the constant part can be left at any moment,
so a plateau, or the end of a budget given in seconds, leads to weights as well cooled as a known number of steps.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from likewise.engine.plan import Plan


@dataclass(frozen=True)
class Cooling:
    """A cool-down: after how many steps and seconds it began, and after how many steps it ends (None: by time)."""

    step: int
    elapsed: float
    stop: int | None
    early: bool


def factor(plan: Plan, step: int, elapsed: float, cooling: Cooling | None) -> float:
    """The factor, in (0, 1], on the learning rate of the step that follows `step` steps and `elapsed` seconds."""
    shares = [(step + 1) / (plan.warmup + 1)]
    if plan.max_steps is not None:
        shares.append((step + 1) / (0.1 * plan.max_steps + 1))
    if plan.max_time is not None:
        shares.append(elapsed / (0.1 * plan.max_time))
    rise = min(1.0, max(shares))
    if cooling is None:
        return rise
    fall = 1.0
    if cooling.stop is not None:
        fall = min(fall, (cooling.stop - step) / (cooling.stop - cooling.step))
    if plan.max_time is not None:
        fall = min(fall, (plan.max_time - elapsed) / max(plan.max_time - cooling.elapsed, 1e-9))
    # A step that is taken at all moves a little: time may run out between looking at the clock and the step.
    return max(1e-3, rise * fall)


def due(plan: Plan, step: int, elapsed: float) -> Cooling | None:
    """The cool-down that the budget asks for, once no more of it remains than the cool-down takes."""
    by_steps = plan.max_steps is not None and step >= math.ceil((1 - plan.cooldown) * plan.max_steps)
    by_time = plan.max_time is not None and elapsed >= (1 - plan.cooldown) * plan.max_time
    return Cooling(step, elapsed, plan.max_steps, early=False) if by_steps or by_time else None


def early(plan: Plan, step: int, elapsed: float) -> Cooling:
    """The cool-down after a plateau: as long in proportion to the steps so far, but within the budget."""
    stop = step + max(1, round(plan.cooldown / (1 - plan.cooldown) * step))
    return Cooling(step, elapsed, stop if plan.max_steps is None else min(stop, plan.max_steps), early=True)


def finished(plan: Plan, step: int, elapsed: float, cooling: Cooling | None) -> str | None:
    """Why the fit is over, or None."""
    if plan.max_steps is not None and step >= plan.max_steps:
        return "max_steps"
    if plan.max_time is not None and elapsed >= plan.max_time:
        return "max_time"
    if cooling is not None and cooling.stop is not None and step >= cooling.stop:
        return "plateau"
    return None
