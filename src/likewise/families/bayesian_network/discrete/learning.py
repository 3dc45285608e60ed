"""Learning a discrete network: bins, graph, partitions, parameters; every choice made on held-out rows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from likewise.errors import NotSupported
from likewise.events import Batch, Event
from likewise.families.bayesian_network.discrete.cutting import Cut, discretise, rows_of, suited
from likewise.families.bayesian_network.discrete.graphs import graphs
from likewise.families.bayesian_network.discrete.growth import Column, column, grow
from likewise.families.bayesian_network.discrete.network import DiscreteNetwork
from likewise.families.bayesian_network.discrete.nodes import Nodes
from likewise.families.bayesian_network.discrete.options import MAX_PARENTS, Options, Rows
from likewise.families.bayesian_network.discrete.partitions import MAX_CELLS, Integers, Partition, Table, Tree
from likewise.families.bayesian_network.discrete.smoothing import Floats, Smoothing, group_counts, smoothed
from likewise.families.bayesian_network.inference.elimination import least_peak

# Measured on held-out rows of adult and its like: finer groups or a lower penalty cost time and gain under .02 nats.
STRENGTHS = (1.0, 3.0, 10.0, 30.0, 100.0)
DISCOUNTS = (0.0, 0.3, 0.6)
MAX_BINS = 128
TABLE_BINS = (4, 6, 8, 12, 16, 24, 32)
PARENT_GROUPS = (32, 12)
PARENT_CODES = 64
LOSS = 0.05
"""Nats a record that a limit on states may cost before coarser groups of parents' states are tried."""
PENALTY = 0.25


@dataclass
class Learned:
    """The partitions and parameters of all nodes.

    Attributes
    ----------
    partitions : list of Partition
    counts : list of float64 (cells, states)
        Of the training rows.
    smoothings : list of Smoothing
    held_out : float
        Mean log-probability of the states of the held-out rows, in nats.
    """

    partitions: list[Partition] = field(default_factory=list)
    counts: list[Floats] = field(default_factory=list)
    smoothings: list[Smoothing] = field(default_factory=list)
    held_out: float = 0.0


def fit(
    event: Event, train: Batch, held_out: Batch, options: Options, max_memory: int
) -> tuple[DiscreteNetwork, dict[str, Any], Mapping[str, Any]]:
    """The network, its description for the settings, and a record of the fit."""
    found: Learned | None = None
    tried: dict[str, float] = {}
    best, chosen, cut = -np.inf, "", None
    for told, own in _cuts(event, train, held_out, options):
        rows = rows_of(own.nodes, train, held_out)
        inside = own.log_density(held_out)
        for name, candidates in graphs(rows, options):
            label = name + told
            for groups in PARENT_GROUPS:
                free = learned = _parameters(rows, candidates, options, groups)
                if name == "ordered":
                    tried[f"{label}, {groups} groups, no limit"] = inside + free.held_out
                    kept = _tractable(rows, free, options.max_states, groups, options.required)
                    learned = _parameters(rows, kept, options, groups)
                tried[f"{label}, {groups} groups" if name == "ordered" else label] = inside + learned.held_out
                if inside + learned.held_out > best:
                    best, found, chosen, cut = inside + learned.held_out, learned, name, own
                if free.held_out - learned.held_out < LOSS:
                    break
    assert found is not None
    assert cut is not None
    conditionals = describe(found, options)
    network = DiscreteNetwork(event, cut.nodes.grains, conditionals, max_memory)
    cut.onto(network.nodes)
    network.add_counts(train)
    estimate(network, conditionals, options.smoothing)
    return (
        network,
        {"structure": chosen, "grains": cut.nodes.grains, "conditionals": conditionals},
        {
            "bins": {event.all[i].name: len(part) for i, part in enumerate(cut.nodes.grains) if part is not None},
            "held_out": tried,
            "structure": chosen,
            "held_out_log_prob": float(network.log_prob(held_out).mean()),
            "edges": sum(len(part.parents) for part in found.partitions),
            "cells": sum(part.cells for part in found.partitions),
        },
    )


def _cuts(event: Event, train: Batch, held_out: Batch, options: Options) -> list[tuple[str, Cut]]:
    """The ways to cut numbers into bins that are to be tried, with what tells them apart."""
    if options.conditionals == "trees" or options.max_bins or not event.value_entries:
        return [("", discretise(event, train, options.max_bins or MAX_BINS))]
    uniform = [(f", {bins} bins", discretise(event, train, bins)) for bins in TABLE_BINS]
    plain = replace(options, structure="chow_liu", required=[], forbidden=[], tiers=[])

    def predicted(cut: Cut) -> float:
        rows = rows_of(cut.nodes, train, held_out)
        _, tree = graphs(rows, plain)[0]
        return _parameters(rows, tree, plain).held_out + cut.log_density(held_out)

    return [max(uniform, key=lambda pair: predicted(pair[1])), (", own bins", suited(event, train, options))]


def fit_tables(event: Event, train: Batch, held_out: Batch, parents: list[list[int]], options: Options) -> Learned:
    """Full tables over given parents for an event without values."""
    rows = rows_of(Nodes(event, [None] * len(event)), train, held_out)
    return _parameters(rows, parents, replace(options, conditionals="tables"))


def describe(found: Learned, options: Options) -> list[dict[str, Any]]:
    """The conditionals as JSON data."""
    return [
        {
            "parents": part.parents,
            "splits": part.splits if isinstance(part, Tree) else None,
            "smoothing": None if options.smoothing is not None else [smoothing.strength, smoothing.discount],
        }
        for part, smoothing in zip(found.partitions, found.smoothings, strict=True)
    ]


def estimate(network: DiscreteNetwork, conditionals: list[dict[str, Any]], pseudo: float | None) -> None:
    """Tables from counts, with the smoothing that the conditionals name or `pseudo` counts where they name none."""
    for i, part in enumerate(conditionals):
        own, unseen = network.of(i), network.nodes.unseen(i)
        counts = own.counts.numpy()
        if part["smoothing"] is None:
            table = dirichlet(counts, pseudo or 1.0, unseen)
        else:
            table = backed_off(own.partition, counts, smoothing_of(part["smoothing"]), unseen)
        if unseen is not None:
            reserved = network.event.all[i].reserved
            table = table * (1 - reserved)
            table[:, unseen] = reserved
        own.table.copy_(torch.from_numpy(table))
    network.changed()


def smoothing_of(pair: Any) -> Smoothing:
    """The smoothing written in a model's settings; ValueError or TypeError on anything else."""
    strength, discount = pair
    return Smoothing(float(strength), float(discount))


def _parameters(rows: Rows, candidates: list[list[int]], options: Options, groups: int = PARENT_GROUPS[0]) -> Learned:
    """Partitions and parameters of every node over its candidate parents."""
    trees = options.conditionals == "trees"
    out = Learned()
    states = torch.from_numpy(rows.train), torch.from_numpy(rows.held_out)
    columns = _columns(rows, groups) if trees else []
    for i, above in enumerate(candidates):
        partition: Partition
        if trees:
            required = {p for p, child in options.required if child == i}
            limit = options.max_parents or max(MAX_PARENTS["trees"], len(required))
            tree = grow(columns[i], [(p, columns[p]) for p in above], PENALTY, limit)
            if len(required.union(tree.parents)) > limit:
                others = [p for p in tree.parents if p not in required]
                tree = grow(columns[i], [(p, columns[p]) for p in others], PENALTY, limit - len(required))
            partition = _with_parents(_pruned(tree, i, states, rows, options), sorted(required), rows.sizes)
        else:
            sizes = [rows.sizes[p] for p in above]
            if math.prod(sizes) > MAX_CELLS:
                raise NotSupported(
                    f"The {len(above)} parents of {options.names[i]!r} have {math.prod(sizes)} configurations, and a "
                    f"table at most {MAX_CELLS}: use fewer, or values='bins' with conditionals='trees'."
                )
            partition = Table(above, sizes)
        counts = cell_counts(partition, states[0], i, rows.sizes[i])
        smoothing, score, _ = _smoothing(partition, counts, states[1], i, rows, options)
        out.partitions.append(partition)
        out.counts.append(counts)
        out.smoothings.append(smoothing)
        out.held_out += score
    return out


def _with_parents(tree: Tree, required: list[int], sizes: list[int]) -> Tree:
    """The tree with all parents that it must have, whether or not it asks for them."""
    missing = [p for p in required if p not in tree.parents]
    if not missing:
        return tree
    return Tree([*tree.parents, *missing], [*tree.sizes, *(sizes[p] for p in missing)], tree.splits)


def _columns(rows: Rows, groups: int) -> list[Column]:
    """The columns as growth sees them."""
    return [column(rows.train[:, i], size, rows.ordered[i], groups, PARENT_CODES) for i, size in enumerate(rows.sizes)]


def _tractable(
    rows: Rows, learned: Learned, max_states: int, groups: int, required: list[list[int]]
) -> list[list[int]]:
    """The parents of every column, strongest edges first, as far as exact inference stays within `max_states`."""
    columns = _columns(rows, groups)
    edges = sorted(
        (-gain, i, parent)
        for i, (partition, counts) in enumerate(zip(learned.partitions, learned.counts, strict=True))
        if isinstance(partition, Tree)
        for parent, gain in zip(partition.parents, _gains(partition, counts), strict=True)
    )
    parents: list[list[int]] = [[] for _ in rows.sizes]
    for parent, child in required:
        parents[child].append(parent)
    for _, child, parent in edges:
        if [parent, child] in required:
            continue
        parents[child].append(parent)
        above = {p for family in parents for p in family}
        sizes = {i: columns[i].groups if i in above else 1 for i in range(len(parents))}
        scopes = [(*family, i) for i, family in enumerate(parents)]
        if least_peak(scopes, sizes) > max_states:
            parents[child].pop()
    return parents


def _gains(tree: Tree, counts: Floats) -> Floats:
    """How many nats of the training rows the splits on each parent gained."""
    totals = group_counts(counts, tree.hierarchy)
    size = totals.sum(1)
    fit = (totals * np.log(np.maximum(totals, 1.0))).sum(1) - size * np.log(np.maximum(size, 1.0))
    order = np.argsort(tree.depth, kind="stable")
    up = tree.hierarchy.up
    gains = np.zeros(len(tree.parents))
    np.add.at(gains, tree.feature[order][up[1:]], fit[1:])
    inner = np.unique(up[1:])
    np.add.at(gains, tree.feature[order][inner], -fit[inner])
    return gains


def cell_counts(partition: Partition, states: Tensor, i: int, size: int) -> Floats:
    """How many rows are in each cell and state of column `i`."""
    key = partition.route(states) * size + states[:, i]
    counts: Floats = torch.bincount(key, minlength=partition.cells * size).reshape(-1, size).double().numpy()
    return counts


def _smoothing(
    partition: Partition, counts: Floats, held_out: Tensor, i: int, rows: Rows, options: Options
) -> tuple[Smoothing, float, Floats]:
    """The smoothing that predicts held-out rows best, their mean log-probability under it, and the table."""
    tests = partition.route(held_out).numpy(), held_out[:, i].numpy()
    if options.smoothing is not None:
        table = dirichlet(counts, options.smoothing, rows.unseen[i])
        return Smoothing(options.smoothing), _mean_log(table, tests), table
    hierarchy = partition.hierarchy
    totals, base = group_counts(counts, hierarchy), uniform(counts.shape[1], rows.unseen[i])
    best: tuple[Smoothing, float, Floats] | None = None
    for strength in STRENGTHS:
        for discount in DISCOUNTS:
            smoothing = Smoothing(strength, discount)
            table = smoothed(totals, hierarchy, smoothing, base)[hierarchy.cell]
            score = _mean_log(table, tests)
            if best is None or score > best[1]:
                best = smoothing, score, table
    assert best is not None
    return best


def uniform(size: int, unseen: int | None) -> Floats:
    """The uniform distribution over all states but the unseen one."""
    base = np.ones(size)
    if unseen is not None and size > 1:
        base[unseen] = 0.0
    shares: Floats = base / base.sum()
    return shares


def dirichlet(counts: Floats, pseudo: float, unseen: int | None) -> Floats:
    """Posterior means (cells, states) with `pseudo` counts for every state."""
    raised = counts + pseudo * (uniform(counts.shape[1], unseen) > 0)
    table: Floats = raised / raised.sum(1, keepdims=True)
    return table


def backed_off(partition: Partition, counts: Floats, smoothing: Smoothing, unseen: int | None) -> Floats:
    """Distributions (cells, states), each smoothed towards the coarser groups around its cell."""
    hierarchy, base = partition.hierarchy, uniform(counts.shape[1], unseen)
    table: Floats = smoothed(group_counts(counts, hierarchy), hierarchy, smoothing, base)[hierarchy.cell]
    return table


def _mean_log(table: Floats, tests: tuple[Integers, Integers]) -> float:
    """The mean log-probability of held-out rows, given as their cells and their states."""
    return float(np.log(np.maximum(table[tests], 1e-300)).mean())


def _pruned(tree: Tree, i: int, states: tuple[Tensor, Tensor], rows: Rows, options: Options) -> Tree:
    """The tree without the branches that do not help to predict held-out rows (reduced-error pruning)."""
    counts = cell_counts(tree, states[0], i, rows.sizes[i])
    smoothing = _smoothing(tree, counts, states[1], i, rows, options)[0]
    hierarchy = tree.hierarchy
    base = uniform(counts.shape[1], rows.unseen[i])
    groups = smoothed(group_counts(counts, hierarchy), hierarchy, smoothing, base)
    tests = group_counts(cell_counts(tree, states[1], i, rows.sizes[i]), hierarchy)
    own = (tests * np.log(np.maximum(groups, 1e-300))).sum(1)
    below = np.zeros(len(own))
    inner = np.zeros(len(own), dtype=bool)
    inner[hierarchy.up[1:]] = True
    cut = np.zeros(len(own), dtype=bool)
    for group in range(len(own) - 1, -1, -1):  # finer groups come after coarser ones
        cut[group] = inner[group] and below[group] <= own[group]
        if hierarchy.up[group] >= 0:
            below[hierarchy.up[group]] += below[group] if inner[group] and not cut[group] else own[group]
    return tree.cut(cut)
