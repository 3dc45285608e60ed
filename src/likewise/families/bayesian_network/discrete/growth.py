"""Growing the tree of one node: greedy splits on the states of candidate parents, level by level from histograms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from likewise.families.bayesian_network.discrete.partitions import Integers, Tree, pack

MAX_TARGETS = 24
"""Groups of each kind in which a child is seen while its splits are sought; its distribution keeps all states."""

MIN_SPLIT = 32
"""Smaller nodes are leaves."""

Floats = np.ndarray[tuple[int, ...], np.dtype[np.float64]]


@dataclass(frozen=True)
class Column:
    """One column of the training rows as growth sees it.

    Attributes
    ----------
    states : int64 (rows,)
    size : int
        The number of states.
    grouped : int64 (rows,)
        States merged into groups: how the column is seen as a parent while splits are sought.
    group_of : int64 (states,)
    ordered : int
        The first `ordered` groups are in the order of a value; groups from there on are unordered codes.
    target : int64 (rows,)
        States merged into fewer groups still: how the column is seen as a child.
    targets : int
        The number of these.
    """

    states: Integers
    size: int
    grouped: Integers
    group_of: Integers
    ordered: int
    target: Integers
    targets: int

    @property
    def groups(self) -> int:
        return int(self.group_of.max()) + 1


def column(states: Integers, size: int, ordered: int, max_groups: int, max_codes: int) -> Column:
    """A column whose first `ordered` states follow a value.

    Ordered states are merged by rank into `max_groups`; all codes but the `max_codes` - 1 most frequent are one group.
    """
    group_of, used = _groups(states, size, ordered, max_groups, max_codes)
    target_of, _ = _groups(states, size, ordered, min(max_groups, MAX_TARGETS), min(max_codes, MAX_TARGETS))
    return Column(states, size, group_of[states], group_of, used, target_of[states], int(target_of.max()) + 1)


def _groups(states: Integers, size: int, ordered: int, max_groups: int, max_codes: int) -> tuple[Integers, int]:
    """The group of each state, and how many groups are ordered."""
    counts = np.bincount(states, minlength=size).astype(float)
    group_of = np.zeros(size, dtype=np.int64)
    used = 0
    if ordered:
        share = counts[:ordered]
        middle = (share.cumsum() - 0.5 * share) / max(share.sum(), 1.0)
        wanted = np.floor(middle * max_groups) if ordered > max_groups else np.arange(ordered)
        group_of[:ordered] = np.unique(wanted, return_inverse=True)[1]
        used = int(group_of[:ordered].max()) + 1
    codes = size - ordered
    ranks = np.empty(codes, dtype=np.int64)
    ranks[np.argsort(-counts[ordered:], kind="stable")] = np.arange(codes)
    group_of[ordered:] = used + np.minimum(ranks, max_codes - 1)
    return group_of, used


def grow(
    child: Column,
    candidates: list[tuple[int, Column]],
    penalty: float,
    max_parents: int,
    max_depth: int = 24,
    max_cells: int = 1 << 14,
    min_rows: int = 4,
) -> Tree:
    """The tree of `child` over candidate parents (position in the event, column).

    A split is kept when it raises the log-likelihood of the training rows by more than `penalty` times the BIC price of
    the distribution it adds, (d - 1) log(N) / 2 with d the states seen in the node. Where the tree wants more than
    `max_parents` parents, those that gained most are kept and it is grown again.
    """
    splits, gains = _grow(child, [part for _, part in candidates], penalty, max_depth, max_cells, min_rows)
    used = [position for position in np.argsort(-gains, kind="stable") if gains[position] > 0]
    if len(used) > max_parents:
        return grow(
            child,
            [candidates[position] for position in sorted(used[:max_parents])],
            penalty,
            max_parents,
            max_depth,
            max_cells,
            min_rows,
        )
    place = {int(position): rank for rank, position in enumerate(used)}
    renamed = [[place[split[0]], split[1]] if split != 0 else 0 for split in splits]
    chosen = [candidates[position] for position in used]
    return Tree([name for name, _ in chosen], [part.size for _, part in chosen], renamed)


def _grow(
    child: Column, parents: list[Column], penalty: float, max_depth: int, max_cells: int, min_rows: int
) -> tuple[list[Any], Floats]:
    """Splits in preorder with positions among `parents`, and the gain of each parent in nats."""
    rows = len(child.states)
    table: Any = np.arange(rows + 1) * np.log(np.maximum(np.arange(rows + 1), 1))  # n log n
    price = penalty * 0.5 * np.log(max(rows, 2))
    gains = np.zeros(len(parents))
    tree: list[dict[str, Any]] = [{}]
    names = np.zeros(1, dtype=np.int64)  # the place in `tree` of each open node
    node = np.zeros(rows, dtype=np.int64)  # the open node of each row
    targets = child.targets
    target, seen = child.target, [part.grouped for part in parents]
    leaves = 1
    for _ in range(max_depth):
        if not len(names) or not parents:
            break
        own = np.bincount(node * targets + target, minlength=len(names) * targets).reshape(len(names), targets)
        here = table[own].sum(1) - table[own.sum(1)]
        cost = price * np.maximum((own > 0).sum(1) - 1, 1)
        best = np.zeros(len(names))
        choice: list[tuple[int, Any] | None] = [None] * len(names)
        for position, part in enumerate(parents):
            counts: Any = np.bincount(
                (node * part.groups + seen[position]) * targets + target, minlength=len(names) * part.groups * targets
            )
            counts = counts.reshape(len(names), part.groups, targets)
            gain, left = _best_split(counts, part.ordered, table, min_rows)
            gain = gain - here
            for at in np.flatnonzero((gain > cost) & (gain > best + 1e-9)):
                best[at], choice[at] = gain[at], (position, left[at])
        order = np.argsort(-best, kind="stable")
        kept = [at for at in order if choice[at] is not None][: max(max_cells - leaves, 0)]
        leaves += len(kept)
        fresh = np.full((len(names), 2), -1)
        opened: list[int] = []
        position_of = np.full(len(names), -1)
        width = max(part.groups for part in parents)
        left_groups = np.zeros((len(names), width), dtype=bool)
        for at in sorted(kept):
            chosen = choice[at]
            assert chosen is not None
            position, left = chosen
            gains[position] += best[at]
            position_of[at], left_groups[at, : len(left)] = position, left
            tree[names[at]] = {
                "split": [position, pack(left[parents[position].group_of])],
                "branches": (len(tree), len(tree) + 1),
            }
            fresh[at] = len(opened), len(opened) + 1
            opened += [len(tree), len(tree) + 1]
            tree += [{}, {}]
        going = position_of[node] >= 0
        node, target, seen = node[going], target[going], [part[going] for part in seen]
        state = np.zeros(len(node), dtype=np.int64)
        for position in range(len(parents)):
            at = position_of[node] == position
            state[at] = seen[position][at]
        node = fresh[node, (~left_groups[node, state]).astype(int)]
        # Nodes too small ever to be split again are closed.
        large = np.bincount(node, minlength=len(opened)) >= MIN_SPLIT
        going = large[node]
        node, target, seen = (np.cumsum(large) - 1)[node[going]], target[going], [part[going] for part in seen]
        names = np.array(opened, dtype=np.int64)[large]
    return _preorder(tree), gains


def _best_split(counts: Any, ordered: int, table: Floats, min_rows: int) -> tuple[Floats, Any]:
    """For every node the largest log-likelihood after a split of one parent's groups (nodes,), and its left groups.

    `counts` is (nodes, groups of the parent, groups of the child). Groups that follow a value are cut at one place, as
    they are; unordered codes are cut along the leading direction of their child distributions, or one against the rest.
    """
    nodes, groups, _ = counts.shape
    best = np.full(nodes, -np.inf)
    left = np.zeros((nodes, groups), dtype=bool)
    total = counts.sum(1, keepdims=True)

    def consider(part: Any, sets: Any) -> None:
        """Keeps the best of the left parts (nodes, cuts, child groups), whose parent groups are sets(node, cut)."""
        if not part.shape[1]:
            return
        rest = total - part
        left_rows, right_rows = part.sum(2), rest.sum(2)
        value = table[part].sum(2) + table[rest].sum(2) - table[left_rows] - table[right_rows]
        value[(left_rows < min_rows) | (right_rows < min_rows)] = -np.inf
        cut = value.argmax(1)
        found = value[np.arange(nodes), cut]
        for at in np.flatnonzero(found > best + 1e-9):
            best[at], left[at] = found[at], sets(at, cut[at])

    if ordered > 1:
        consider(
            counts[:, :ordered].cumsum(1)[:, : ordered - (ordered == groups)], lambda at, cut: np.arange(groups) <= cut
        )
    if groups > ordered:
        consider(counts[:, ordered:], lambda at, cut: np.arange(groups) == ordered + cut)
    if groups - ordered > 3:
        order = np.argsort(_leading_scores(counts), axis=1, kind="stable")
        walked = np.take_along_axis(counts, order[:, :, None], 1).cumsum(1)[:, :-1]

        def first(at: int, cut: int) -> Any:
            chosen = np.zeros(groups, dtype=bool)
            chosen[order[at, : cut + 1]] = True
            return chosen

        consider(walked, first)
    return best, left


def _leading_scores(counts: Any) -> Floats:
    """The place of each group (nodes, groups) on the direction along which child distributions differ most."""
    size = counts.sum(2, keepdims=True)
    share = counts / np.maximum(size, 1)
    total = counts.sum(1, keepdims=True)
    mean = total / np.maximum(total.sum(2, keepdims=True), 1)
    # Chi-square geometry: differences in rare states count for more.
    apart = (share - mean) / np.sqrt(np.maximum(mean, 1e-9)) * (size > 0)
    weight = size[:, :, 0]
    start = (weight * (apart**2).sum(2)).argmax(1)
    direction = apart[np.arange(len(counts)), start]
    scores = np.einsum("ngk,nk->ng", apart, direction)
    for _ in range(2):
        direction = np.einsum("ng,ngk->nk", weight * scores, apart)
        direction /= np.maximum(np.linalg.norm(direction, axis=1, keepdims=True), 1e-12)
        scores = np.einsum("ngk,nk->ng", apart, direction)
    return np.where(weight > 0, scores, 0.0)


def _preorder(tree: list[dict[str, Any]]) -> list[Any]:
    out: list[Any] = []
    waiting = [0]
    while waiting:
        node = tree[waiting.pop()]
        out.append(node.get("split", 0))
        if node:
            left, right = node["branches"]
            waiting += [right, left]
    return out
