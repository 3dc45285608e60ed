"""What a file of a discrete Bayesian network says, in one frozen and checked object."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter

import numpy as np

from likewise.errors import DataError

TOLERANCE = 0.01
"""How far the sum of a row may be from one: three times 0.33 may pass. The rows of sixteen networks of the bnlearn
repository are off by 3e-7 at most."""


class DescriptionError(DataError):
    """A description contradicts itself.

    Attributes
    ----------
    variable : int
        The position of a variable at fault.
    """

    def __init__(self, message: str, variable: int) -> None:
        super().__init__(message)
        self.variable = variable


@dataclass(frozen=True, eq=False)
class NetworkDescription:
    """A discrete Bayesian network as a file holds it: nothing renormalised, nothing reordered.

    Attributes
    ----------
    name : str
    variables : tuple of str
        Their names, in the order of the file; at least one.
    states : tuple of tuples of str
        The labels of each variable, at least one each.
    parents : tuple of tuples of int
        The positions of each variable's parents, in the order of the file.
    tables : tuple of arrays of float64
        Each of shape (states of parent 1, ..., states of parent k, own states): p(own state | states of the parents).

    Raises
    ------
    DataError
        Where names or labels repeat, sizes disagree, parents form a cycle, or a row is not a distribution: its
        probabilities are finite, not negative, and sum to one within `TOLERANCE`.

    Examples
    --------
    >>> network = NetworkDescription(
    ...     name="weather",
    ...     variables=("rain", "wet"),
    ...     states=(("yes", "no"), ("yes", "no")),
    ...     parents=((), (0,)),
    ...     tables=(np.array([0.2, 0.8]), np.array([[0.9, 0.1], [0.3, 0.7]])),
    ... )
    >>> network.variables[network.parents[1][0]]
    'rain'
    """

    name: str
    variables: tuple[str, ...]
    states: tuple[tuple[str, ...], ...]
    parents: tuple[tuple[int, ...], ...]
    tables: tuple[np.ndarray, ...]

    def __post_init__(self) -> None:
        count = len(self.variables)
        if count == 0:
            raise DataError("A network needs at least one variable.")
        for what, found in (("states", self.states), ("parents", self.parents), ("tables", self.tables)):
            if len(found) != count:
                raise DataError(f"A network of {count} variables needs as many entries of {what}, not {len(found)}.")
        if (repeated := first_repeated(self.variables)) is not None:
            raise DescriptionError(f"There are two variables called {shown(self.variables[repeated])}.", repeated)
        for variable in range(count):
            self._check_states(variable)
            self._check_parents(variable)
        self._check_cycles()
        for variable in range(count):
            self._check_table(variable)

    def _check_states(self, variable: int) -> None:
        name, labels = shown(self.variables[variable]), self.states[variable]
        if not labels:
            raise DescriptionError(f"The variable {name} needs at least one state.", variable)
        if (repeated := first_repeated(labels)) is not None:
            raise DescriptionError(f"The variable {name} has two states {shown(labels[repeated])}.", variable)

    def _check_parents(self, variable: int) -> None:
        name, parents = shown(self.variables[variable]), self.parents[variable]
        for parent in parents:
            if not 0 <= parent < len(self.variables):
                raise DescriptionError(f"A parent of {name} is at {parent}, where no variable is.", variable)
        if (repeated := first_repeated(parents)) is not None:
            twice = shown(self.variables[parents[repeated]])
            raise DescriptionError(f"The variable {name} has the parent {twice} twice.", variable)

    def _check_cycles(self) -> None:
        try:
            TopologicalSorter(dict(enumerate(self.parents))).prepare()
        except CycleError as error:
            cycle = error.args[1]
            path = " -> ".join(shown(self.variables[variable]) for variable in cycle)
            raise DescriptionError(f"The parents form a cycle, {path}, and may not.", cycle[0]) from None

    def _check_table(self, variable: int) -> None:
        name, table = shown(self.variables[variable]), self.tables[variable]
        shape = tuple(len(self.states[place]) for place in (*self.parents[variable], variable))
        if not isinstance(table, np.ndarray) or table.dtype != np.float64 or table.shape != shape:
            found = f"{table.dtype} of shape {table.shape}" if isinstance(table, np.ndarray) else type(table).__name__
            raise DescriptionError(f"The table of {name} must be float64 of shape {shape}, not {found}.", variable)
        with np.errstate(invalid="ignore", over="ignore"):
            error = np.abs(table.sum(axis=-1) - 1)
        # Comparisons with NaN are false: whatever is not shown to be right is wrong. Rounded, 0.33 * 3 is off by 0.01.
        right = (table >= 0).all(axis=-1) & (error.round(12) <= TOLERANCE)
        if right.all():
            return
        first = np.unravel_index(int(np.argmin(right)), right.shape)
        row = table[first]
        labels = [self.states[parent][state] for parent, state in zip(self.parents[variable], first, strict=True)]
        given = configuration([self.variables[parent] for parent in self.parents[variable]], labels)
        if not np.isfinite(row).all():
            fault = "are not all finite"
        elif (row < 0).any():
            fault = f"include {float(row.min())!r}, which is negative"
        else:
            fault = f"sum to {float(row.sum()):.6g}, not to 1 within {TOLERANCE}"
        raise DescriptionError(f"The probabilities of {name}{given} {fault}.", variable)


def configuration(parents: Sequence[str], labels: Sequence[str]) -> str:
    """The states of some parents in words, to be put after the name of their child.

    Examples
    --------
    >>> configuration(["rain", "season"], ["no", "dry"])
    " given 'rain' = 'no', 'season' = 'dry'"
    """
    pairs = ", ".join(f"{shown(parent)} = {shown(label)}" for parent, label in zip(parents, labels, strict=True))
    return f" given {pairs}" if pairs else ""


def first_repeated(values: Sequence[object]) -> int | None:
    """The first place that repeats an earlier value; None where all differ.

    Examples
    --------
    >>> first_repeated("abca")
    3
    """
    seen: set[object] = set()
    for place, value in enumerate(values):
        if value in seen:
            return place
        seen.add(value)
    return None


def shown(text: str) -> str:
    """A name as messages quote it: in one line, and not longer than a reader can bear.

    Examples
    --------
    >>> shown("two\\nlines")
    "'two\\\\nlines'"
    """
    return repr(text if len(text) <= 80 else f"{text[:77]}...")
