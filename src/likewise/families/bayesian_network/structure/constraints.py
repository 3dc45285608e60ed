"""What a graph must and must not have: required and forbidden edges, and how many parents a column may have."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from likewise.families.bayesian_network.discrete.partitions import Bools
from likewise.families.bayesian_network.structure.graph import topological_order


@dataclass(frozen=True)
class Constraints:
    """Constraints that every search obeys.

    Attributes
    ----------
    allowed : bool (columns, columns)
        Whether the edge [parent, child] may be there.
    required : bool (columns, columns)
        Whether it must be there; such edges are allowed.
    max_parents : int
        But for columns of which more are required.
    """

    allowed: Bools
    required: Bools
    max_parents: int

    @property
    def free(self) -> bool:
        """Whether nothing is asked of any edge."""
        return not self.required.any() and int(self.allowed.sum()) == len(self.allowed) * (len(self.allowed) - 1)

    @property
    def fit_trees(self) -> bool:
        """Whether no column has two required parents."""
        return bool((self.required.sum(0) <= 1).all())

    @cached_property
    def most(self) -> list[int]:
        """How many parents each column may have."""
        return [max(self.max_parents, int(asked)) for asked in self.required.sum(0)]

    @property
    def settled(self) -> Bools:
        """Whether an edge between two columns can only be [parent, child]."""
        found: Bools = self.required | (self.allowed & ~self.allowed.T)
        return found

    def reordered(self, order: Sequence[int]) -> Constraints:
        """The constraints when the columns come in another order."""
        at = np.ix_(order, order)
        return Constraints(self.allowed[at], self.required[at], self.max_parents)

    def obeyed(self, parents: Sequence[Sequence[int]]) -> bool:
        """Whether a graph obeys the constraints."""
        edges = np.zeros(self.allowed.shape, dtype=bool)
        for child, above in enumerate(parents):
            edges[list(above), child] = True
        few = bool((edges.sum(0) <= self.most).all())
        return few and not (edges & ~self.allowed).any() and not (self.required & ~edges).any()


def constraints(
    columns: int,
    max_parents: int | None = None,
    required: Iterable[Sequence[int]] = (),
    forbidden: Iterable[Sequence[int]] = (),
    tiers: Sequence[Iterable[int]] = (),
    names: Sequence[str] | None = None,
) -> Constraints:
    """Constraints from edges (parent, child) and tiers: no column has a parent in a later tier.

    With `max_parents` None a column may have any number of parents.

    Raises
    ------
    ValueError
        Where they contradict each other, naming the columns.
    """
    named = list(names) if names is not None else [f"column {i}" for i in range(columns)]
    limit = columns if max_parents is None else max_parents
    allowed = ~np.eye(columns, dtype=bool)
    tier: dict[int, int] = {}
    for place, part in enumerate(tiers):
        for i in part:
            if i in tier:
                raise ValueError(f"{named[i]} is in two tiers.")
            tier[i] = place
    for late, place in tier.items():
        for early, other in tier.items():
            allowed[late, early] &= other >= place
    for parent, child in forbidden:
        allowed[parent, child] = False
    wanted = np.zeros((columns, columns), dtype=bool)
    for parent, child in required:
        if parent == child:
            raise ValueError(f"{named[child]} cannot be its own parent.")
        if not allowed[parent, child]:
            later = tier.get(parent, 0) > tier.get(child, 0) and parent in tier and child in tier
            why = "comes in a later tier" if later else "is also forbidden"
            raise ValueError(f"The edge {named[parent]} -> {named[child]} is required, but {why}.")
        wanted[parent, child] = True
    for i in np.flatnonzero(wanted.sum(0) > limit).tolist():
        raise ValueError(f"{named[i]} has {wanted[:, i].sum()} required parents; max_parents is {limit}.")
    try:
        topological_order([np.flatnonzero(wanted[:, i]).tolist() for i in range(columns)])
    except ValueError:
        on_cycle = next(i for i in range(columns) if _reaches_itself(wanted, i))
        raise ValueError(f"The required edges form a cycle through {named[on_cycle]}.") from None
    return Constraints(allowed, wanted, limit)


def _reaches_itself(edges: Bools, start: int) -> bool:
    seen, waiting = set[int](), [start]
    while waiting:
        for child in np.flatnonzero(edges[waiting.pop()]).tolist():
            if child == start:
                return True
            if child not in seen:
                seen.add(child)
                waiting.append(child)
    return False
