"""What a pattern of evidence leaves to sum over: relevant nodes, classes of their states, factors, a plan.

Nodes below which nothing is known or asked sum to one and are left out, and so are those that the observed ones cut off
from what is asked. Observed nodes are gathered away. States of a node between which no relevant child can tell are one
class. A tree enters as the table over its parents that are not observed or, where that would be large, as one more
variable, its cell, with a small factor for each such parent: whether the parent's state can lead to the cell.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from likewise.errors import NotSupported
from likewise.families.bayesian_network.discrete.partitions import Table, Tree
from likewise.families.bayesian_network.inference.contraction import Array, Contraction, Integers, contraction
from likewise.families.bayesian_network.inference.elimination import Order, Scope, best_order
from likewise.families.bayesian_network.inference.factors import Cells, Child, Factor, Fixed, Likelihood, Reach, Weights
from likewise.families.bayesian_network.inference.parameters import Parameters

SPLIT_AT = (1 << 24, 1 << 20, 1 << 16, 1 << 12, 1 << 8)
"""Trees over more configurations than this are tried by their cells."""

SMALL = 1 << 14
"""A plan whose tables hold no more states than this is good enough."""


@dataclass(frozen=True, eq=False)
class Query:
    """One pattern of evidence, and what is asked.

    Attributes
    ----------
    observed : frozenset of int
        Entries gathered away.
    weighted : tuple of int
        Relevant entries whose states are weighed.
    classes : entry -> int64 (states,)
        The class of each state, for relevant entries that are not observed. States at the end that are not possible
        have none.
    settled : tuple of int
        Observed entries with observed parents: numbers, which only the probability of the evidence asks for.
    factors : tuple of Factor
    plan : Contraction
        Over entries by number, and cells of the tree of entry i as number E + i.
    order : Order
    unseen_too : frozenset of int
        Weighed entries whose last state, which was never seen, only rows have that observed it.
    folded : factor -> entry
        The factors of targets whose states are in classes: their marginals are read off before that.
    """

    observed: frozenset[int]
    weighted: tuple[int, ...]
    classes: Mapping[int, Integers]
    settled: tuple[int, ...]
    factors: tuple[Factor, ...]
    plan: Contraction
    order: Order
    unseen_too: frozenset[int]
    folded: Mapping[int, int]

    def unfolded(self, number: int, joint: Array, states: Integers, weights: Mapping[int, Array]) -> Array:
        """The marginal (states, rows) of a target whose states are in classes, from that of its factor."""
        factor = self.factors[number]
        own = factor.source if isinstance(factor, Fixed) else factor
        assert isinstance(own, Child)
        return own.unfolded(joint, states, weights)

    @property
    def kept(self) -> int:
        """The numbers that remembering the query keeps."""
        return sum(factor.array.size for factor in self.factors if isinstance(factor, Fixed))

    def settled_logs(self, parameters: Parameters, states: Integers) -> Array:
        """The log-probability (B,) of what needs no summing."""
        total: Array = np.zeros(len(states))
        with np.errstate(divide="ignore"):
            for i in self.settled:
                cell = Cells(parameters.partitions[i], (), ()).at(states)
                total += np.log(parameters.tables[i][states[:, i], cell])
        return total


def too_wide(numbers: int, peak: int, most: int) -> NotSupported:
    """What is said of a question that needs more numbers than there is room for; `peak` is its largest table."""
    # What no float holds is as good as this.
    needed, widest = (float(min(number, 10**300)) for number in (numbers, peak))
    needs, has = 8 * needed / 2**30, 8 * most / 2**30
    return NotSupported(
        f"Exact inference here needs tables of {needed:.3g} numbers ({needs:.3g} GiB), the largest of {widest:.3g} "
        f"states, more than max_memory allows ({has:.3g} GiB): observe more columns, raise max_memory, ask for an "
        "approximation by name (method=...), or fit with a smaller max_parents or with structure='chow_liu'."
    )


def query_of(
    parameters: Parameters,
    observed: Collection[int],
    weighted: Collection[int] = (),
    targets: Collection[int] | None = None,
    *,
    seen_only: bool = False,
    unseen_too: Collection[int] = (),
    apart: Collection[int] = (),
    lumped: bool = True,
    cut: Collection[int] = (),
    last: Collection[int] = (),
    uses: int = 1,
    most: int | None = None,
) -> Query:
    """Everything about a pattern of evidence that does not depend on the values in it.

    Parameters
    ----------
    targets : entries or None
        Those whose marginals are asked for: what they do not depend on is left out. None asks for the probability of
        the evidence, of which nothing may be left out.
    seen_only : bool
        Whether entries that are not observed have none of the states that stand for what was never seen.
    unseen_too : entries
        Those that have it all the same, since it was observed in some row.
    apart : entries
        Those that are relevant in any case, and whose states must stay apart.
    lumped : bool
        Whether states of other entries may be put into classes.
    cut : entries
        Observed ones that no longer listen to their parents, since they were set from outside.
    last : entries
        To be eliminated after all others.
    uses : int
        For how many rows the plan will serve.
    most : int or None
        Numbers that there is room for; NotSupported where a single table has more. None for no limit.
    """
    seen, own = frozenset(observed), frozenset(cut)
    goals = frozenset(targets or ()) - seen
    needed = _needed(parameters, [*seen, *weighted, *goals, *apart], own) - own
    if targets is not None:
        needed = _connected(parameters, needed, seen, goals)
    free = sorted(
        {i for i in needed if i not in seen} | {p for i in needed for p in parameters.parents[i] if p not in seen}
    )
    whole = frozenset(apart) if lumped else frozenset(free)
    counts = {i: parameters.seen(i) if seen_only and i not in unseen_too else parameters.sizes[i] for i in free}
    classes = {i: np.arange(counts[i]) if i in whole else _classes(parameters, i, counts[i], needed) for i in free}
    sizes = {i: int(classes[i].max()) + 1 for i in free}
    trees: list[tuple[int, Scope, int]] = []
    settled = []
    for i in sorted(needed):
        partition = parameters.partitions[i]
        above = tuple(p for p in partition.parents if p not in seen)
        if i in seen and not above:
            settled.append(i)
            continue
        cells = 0 if isinstance(partition, Table) or not above else partition.cells
        trees.append((i, above if i in seen else (i, *above), cells))
    split, found = _arranged(trees, sizes, len(parameters.sizes), last, uses)
    if most is not None and found.peak > most:
        raise too_wide(found.peak, found.peak, most)
    weighed = tuple(i for i in weighted if i in classes)
    factors = _factors(parameters, trees, split, seen, classes, weighed)
    for i in weighed:
        if sizes[i] == counts[i]:
            factors.append(Weights((i,)))
    folded = _folded(factors, goals)
    alone = [i for i in goals if i not in folded.values()]
    plan = contraction([f.scope for f in factors], [f.wide for f in factors], sizes, found.variables, alone)
    return Query(
        seen,
        weighed,
        classes,
        tuple(settled),
        tuple(factors),
        plan,
        found,
        frozenset(unseen_too),
        folded,
    )


def _folded(factors: list[Factor], goals: Collection[int]) -> dict[int, int]:
    """The factors of targets whose states are in classes: number -> target."""
    found = {}
    for number, factor in enumerate(factors):
        own = factor.source if isinstance(factor, Fixed) else factor
        if isinstance(own, Child) and own.groups is not None and own.node in goals:
            found[number] = own.node
    return found


def _needed(parameters: Parameters, known: list[int], cut: frozenset[int]) -> set[int]:
    """The given nodes and all above them."""
    if cut:
        found: set[int] = set()
        waiting = list(known)
        while waiting:
            node = waiting.pop()
            if node not in found:
                found.add(node)
                waiting += [] if node in cut else parameters.parents[node]
        return found
    bits = 0
    for node in known:
        bits |= parameters.above[node]
    return {node for node in range(len(parameters.sizes)) if bits >> node & 1}


def _connected(parameters: Parameters, needed: set[int], seen: frozenset[int], goals: Collection[int]) -> set[int]:
    """Those of the needed nodes whose factors hang together with the goals once the observed nodes are taken out."""
    found: set[int] = set()
    reached = set(goals)
    waiting = list(goals)
    while waiting:
        node = waiting.pop()
        for member in [node, *parameters.children[node]]:
            if member in found or member not in needed:
                continue
            found.add(member)
            for other in [member, *parameters.parents[member]]:
                if other not in seen and other not in reached:
                    reached.add(other)
                    waiting.append(other)
    return found


def _arranged(
    trees: list[tuple[int, Scope, int]], sizes: dict[int, int], entries: int, last: Collection[int], uses: int
) -> tuple[frozenset[int], Order]:
    """Which trees enter by their cells, and the order of elimination."""
    best: tuple[frozenset[int], Order] | None = None
    for threshold in (None, *SPLIT_AT):
        split = frozenset(
            i
            for i, scope, cells in trees
            if threshold is not None and cells and math.prod(sizes[p] for p in scope) > threshold
        )
        if best is not None and split == best[0]:
            continue
        scopes: list[Scope] = []
        for i, scope, cells in trees:
            cell = entries + i
            if i in split:
                sizes[cell] = cells
                scopes += [(cell, node) for node in scope] or [(cell,)]
            else:
                scopes.append(scope)
        found = best_order(scopes, sizes, last, uses)
        # A table is held whole before anything is summed.
        held = max((math.prod(sizes[node] for node in scope) for scope in scopes), default=1)
        found = Order(found.variables, max(found.peak, held), found.total + held)
        if best is None or found.total < best[1].total:
            best = split, found
        if best[1].peak <= SMALL or not any(cells for _, _, cells in trees):
            break
    assert best is not None
    return best


def _factors(
    parameters: Parameters,
    trees: list[tuple[int, Scope, int]],
    split: frozenset[int],
    seen: frozenset[int],
    classes: Mapping[int, Integers],
    weighted: Collection[int],
) -> list[Factor]:
    first = {i: np.unique(groups, return_index=True)[1] for i, groups in classes.items()}
    found: list[Factor] = []
    for i, scope, _ in trees:
        partition, floor = parameters.partitions[i], parameters.floors[i]
        table = parameters.tables[i] if i in seen else parameters.tables[i][: len(classes[i])]
        above = tuple(p for p in partition.parents if p not in seen)
        groups = None
        if i not in seen and len(first[i]) < len(classes[i]):
            groups = classes[i]
        if i in split:
            assert isinstance(partition, Tree)
            found += _cell_factors(parameters, i, table, partition, seen, first, groups, i in weighted)
            continue
        cells = Cells(partition, above, tuple(first[p] for p in above))
        if i in seen:
            found.append(Likelihood(scope, floor, i, table, cells))
            continue
        weighs = i if groups is not None and i in weighted else None
        factor = Child(scope, floor, i, table, cells, groups, weighs, cells.wide or weighs is not None)
        nothing: Integers = np.zeros((1, 0), dtype=np.int64)
        found.append(factor if factor.wide else Fixed(scope, factor.numbers(nothing, {}), factor))
    return found


def _cell_factors(
    parameters: Parameters,
    i: int,
    table: Array,
    tree: Tree,
    seen: frozenset[int],
    first: Mapping[int, Integers],
    groups: Integers | None,
    weighted: bool,
) -> list[Factor]:
    cell = len(parameters.sizes) + i
    floor = parameters.floors[i]
    found: list[Factor] = []
    masks: dict[int, Array] = {}
    for parent, mask in zip(tree.parents, tree.masks, strict=True):
        if parent in seen:
            masks[parent] = mask.astype(np.float64)
        else:
            found.append(Fixed((cell, parent), mask[:, first[parent]].astype(np.float64)[..., None]))
    if i in seen or masks:
        found.append(Reach((cell,), floor if i in seen else 0.0, i, table if i in seen else None, masks))
    if i not in seen:
        every = Cells(Table([cell], [tree.cells]), (cell,), (np.arange(tree.cells),))
        weighs = i if groups is not None and weighted else None
        factor = Child((i, cell), floor, i, table, every, groups, weighs, weighs is not None)
        nothing: Integers = np.zeros((1, 0), dtype=np.int64)
        found.append(factor if factor.wide else Fixed((i, cell), factor.numbers(nothing, {}), factor))
    return found


def _classes(parameters: Parameters, i: int, size: int, needed: set[int]) -> Integers:
    """The class of each of the first states of entry `i`: alike for every relevant child's tree."""
    signature = np.zeros(size, dtype=np.uint64)
    generator = np.random.default_rng(0)
    for child in parameters.children[i]:
        if child not in needed:
            continue
        partition = parameters.partitions[child]
        if isinstance(partition, Table):
            return np.arange(size)
        mask = partition.masks[partition.parents.index(i)][:, :size]
        # Sums of random 64-bit numbers tell sets of cells apart.
        names = generator.integers(0, 1 << 63, size=len(mask), dtype=np.uint64)
        signature += (mask * names[:, None]).sum(0, dtype=np.uint64)
    first = np.unique(signature, return_index=True)[1]
    ordered = signature[np.sort(first)]
    classes: Integers = (signature[:, None] == ordered[None, :]).argmax(1)
    return classes
