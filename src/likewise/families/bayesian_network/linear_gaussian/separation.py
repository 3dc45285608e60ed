"""Which evidence bears on some entries of a linear-Gaussian network (Pearl 1988; Lauritzen et al. 1990)."""

from __future__ import annotations

from collections.abc import Sequence, Set
from typing import TYPE_CHECKING

from likewise.families.bayesian_network.structure.graph import ancestors

if TYPE_CHECKING:
    from likewise.families.bayesian_network.linear_gaussian.network import LinearGaussianNetwork


def bearing(
    network: LinearGaussianNetwork, observed: Set[int], noticed: Set[int], targets: Sequence[int]
) -> tuple[set[int], set[int]]:
    """The entries whose evidence bears on the targets, and those of them that do so as causes alone.

    `observed` entries are known, `noticed` ones in part. What is a cause alone may as well have been set from outside.
    Code i is node i, value i is node E + i; evidence bears on the targets where it touches their component of the moral
    graph of all ancestors, from which observed nodes are taken out.
    """
    event = network.event
    count, valued = len(event), set(event.value_entries)
    parents: list[list[int]] = [list(above) for above in network.codes.parents] + [[] for _ in event.all]
    for i in valued:
        own = network.of(i)
        # A value is there where its code is 0; so are those it depends on.
        parents[count + i] = [i, *own.code_parents, *own.value_parents, *(count + p for p in own.value_parents)]

    def nodes(entries: Set[int]) -> set[int]:
        return {*entries, *(count + i for i in entries & valued)}

    fixed, goals = nodes(observed), nodes(set(targets))
    families = [{i, *parents[i]} for i in ancestors(parents, sorted(fixed | goals | nodes(noticed)))]
    reached, active, waiting = goals - fixed, set[int](), families
    while any(reached & family for family in waiting):
        touched = [family for family in waiting if reached & family]
        waiting = [family for family in waiting if not reached & family]
        active |= set().union(*touched)
        reached |= active - fixed
    # No factor of a cause alone is among those that were touched.
    own_factor = {i for i, above in enumerate(parents) if reached & {i, *above}}
    bears = {i for i in observed | noticed if nodes({i}) & active}
    return bears, {i for i in bears & observed if not nodes({i}) & own_factor}
