"""A mixture of trees of hidden states over the nodes of an event: exact scores, samples, conditionals, posteriors."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from likewise.errors import NotSupported
from likewise.events import Batch, Event, State
from likewise.families.bayesian_network.discrete.evidence import asked, evidence_of
from likewise.families.bayesian_network.discrete.nodes import Nodes
from likewise.families.bayesian_network.hidden_tree.passes import (
    Messages,
    Tables,
    Upward,
    beliefs,
    distinct,
    upward,
    with_unseen,
)
from likewise.families.bayesian_network.hidden_tree.tables import Marginals, Strengths
from likewise.families.bayesian_network.hidden_tree.tree import HiddenTree, expected, log_prob
from likewise.families.bayesian_network.inference.exact import Evidence, impossible
from likewise.families.bayesian_network.prepared import Prepared
from likewise.families.family import Question
from likewise.mathematics import categorical

MAX_STATES = 1 << 12
"""Hidden states of a node at most: a limit on what a model file may ask for."""

TILE = 1 << 23
"""Numbers that the messages of a tile of rows take in one tree, about."""

Look = Callable[[Tensor], Messages]
"""From the leaves of a tree to what is known of a column in every row."""

Passed = tuple[Tensor, Upward]
"""The log of a tree's weight times its probability of the evidence (B,), and the messages in it."""


class HiddenTreeNetwork(Prepared[list[Tables]]):
    """A mixture of trees; each has a hidden state behind every column (hidden Chow-Liu trees: Liu and Van den Broeck
    2021).

    Parameters
    ----------
    event : Event
    grains : list
        See `Nodes`.
    states : list of int
        Hidden states of every node, of every tree.
    trees : list of list of int
        The column above each column, -1 at the root, of every tree.

    Attributes
    ----------
    shown : float64 (states of all columns)
        How often training records were in each state, those that none had left out.
    weights : float64 (trees,)
    """

    def __init__(self, event: Event, grains: list[Any], states: Any, trees: Any) -> None:
        super().__init__()
        self.event, self.nodes = event, Nodes(event, grains)
        if not (isinstance(trees, list) and isinstance(states, list) and len(trees) == len(states)):
            raise ValueError("A mixture is a list of trees, and of the numbers of their hidden states.")
        self.hidden: list[int] = []
        self.sizes = [size - (self.nodes.unseen(i) is not None) for i, size in enumerate(self.nodes.sizes)]
        self.starts = [sum(self.sizes[:i]) for i in range(len(self.sizes))]
        self.shown: Tensor
        self.weights: Tensor
        self.register_buffer("shown", torch.zeros(sum(self.sizes), dtype=torch.float64))
        self.register_buffer("weights", torch.zeros(len(trees), dtype=torch.float64))
        self.trees = nn.ModuleList()
        for parents, own in zip(trees, states, strict=True):
            self._append(parents, own)

    def _append(self, parents: Any, states: Any) -> HiddenTree:
        if type(states) is not int or not 1 <= states <= MAX_STATES:
            raise ValueError(f"A tree has from 1 to {MAX_STATES} hidden states a node.")
        if not isinstance(parents, list) or len(parents) != len(self.event):
            raise ValueError("A tree of hidden states has another number of columns than its event.")
        tree = HiddenTree(parents, states, sum(self.sizes))
        self.hidden.append(states)
        self.trees.append(tree)
        return tree

    def of(self, t: int) -> HiddenTree:
        """Tree number `t`."""
        found = self.trees[t]
        assert isinstance(found, HiddenTree)
        return found

    # ----------------------------------------------------------------------------------------------------- parameters

    @property
    def marginals(self) -> Marginals:
        """The columns' own distributions."""
        return Marginals(self.shown, self.sizes, [self.nodes.numbers(i) for i in range(len(self.event))])

    @property
    def tables(self) -> list[Tables]:
        """The distributions of every tree, float64."""
        return self.prepared

    def _prepare(self) -> list[Tables]:
        marginals = self.marginals
        trees = [self.of(t) for t in range(len(self.trees))]
        return [marginals.tables(tree.shape, tree.counts.double(), tree.strengths) for tree in trees]

    def count(self, batch: Batch) -> None:
        """Adds fully observed records to the counts of columns and of grains."""
        self.nodes.count(batch)
        states = self.nodes.states(batch)
        for i, (start, size) in enumerate(zip(self.starts, self.sizes, strict=True)):
            counted = torch.bincount(states[:, i], minlength=size)[:size]
            self.shown[start : start + size] += counted.double()
        self.changed()

    def add(self, parents: list[int], counts: Tables, strengths: Strengths) -> None:
        """Adds a tree to the mixture; it weighs as much as it counts records."""
        self._append(parents, len(counts.root)).keep(counts, strengths)
        self._weigh()

    def _weigh(self) -> None:
        sizes = torch.stack([self.of(t).root.double().sum() for t in range(len(self.trees))])
        self.weights = sizes / sizes.sum()
        self.changed()

    def add_rows(self, batch: Batch) -> None:
        """Adds what is expected of the hidden states of fully observed records to all counts."""
        tables = self.tables
        trees = [self.of(t) for t in range(len(tables))]
        # Several mixtures of all records may stand side by side: a record counts once in each.
        times = sum(float(tree.root.sum()) for tree in trees) / float(self.shown[: self.sizes[0]].sum())
        weights = self.weights.log()
        self.count(batch)
        index = self.complete(batch) + torch.tensor(self.starts)
        for part in index.split(self._rows):
            scores = [log_prob(tree.shape, own, part) for tree, own in zip(trees, tables, strict=True)]
            shares = times * (torch.stack(scores, 1) + weights).softmax(1)
            for t, (tree, own) in enumerate(zip(trees, tables, strict=True)):
                found, counts = expected(tree.shape, own, part, shares[:, t])[1], tree.counts
                tree.keep(Tables(counts.root + found.root, counts.steps + found.steps, counts.leaves + found.leaves))
        self._weigh()

    def complete(self, batch: Batch) -> Tensor:
        """The states (rows, columns) of fully observed records, without those in states that no training record had."""
        states = self.nodes.states(batch)
        return states[(states < torch.tensor(self.sizes, device=states.device)).all(1)]

    # --------------------------------------------------------------------------------------------------------- scores

    def log_prob(self, batch: Batch) -> Tensor:
        """Exact log-probabilities (B,) of records with any evidence, in the user's units."""
        total = self.nodes.log_values(batch)
        evidence = evidence_of(self.nodes, Question(batch))
        for rows, trees, offset in self._upward(evidence, seen_only=False):
            total[rows] += torch.stack([logs for logs, _ in trees]).logsumexp(0) + offset
        return total

    @property
    def _rows(self) -> int:
        """Rows of a tile."""
        return max(16, TILE // (len(self.event) * max(self.hidden, default=1)))

    def _upward(self, evidence: Evidence, seen_only: bool) -> Iterator[tuple[slice, Iterator[Passed], Tensor]]:
        """For tiles of rows: which, the messages of one tree after the other, and what their logs lack (B,)."""
        for start in range(0, len(evidence), self._rows):
            rows = slice(start, start + self._rows)
            part = evidence.rows(rows)
            looks, offset = self._looks(part, seen_only)
            yield rows, (self._passed(t, looks, len(part)) for t in range(len(self.trees))), offset

    def _passed(self, t: int, looks: Sequence[Look | None], rows: int) -> Passed:
        tables = self.tables[t]
        leaves = with_unseen(tables.leaves)
        found = upward(self.of(t).shape, tables, [look and look(leaves) for look in looks], rows)
        return found.log_prob + self.weights[t].log(), found

    def _looks(self, evidence: Evidence, seen_only: bool) -> tuple[list[Look | None], Tensor]:
        """What is known of every entry, as a map of `with_unseen(leaves)` to weights, and what these lack (B,)."""
        offset = torch.zeros(len(evidence), dtype=torch.float64)
        looks: list[Look | None] = []
        for i, entry in enumerate(self.event.all):
            start, size = self.starts[i], self.sizes[i]
            observed = torch.from_numpy(evidence.observed[:, i])
            states = torch.from_numpy(evidence.states[:, i])
            unseen = observed & (states >= size)
            known = observed & ~unseen
            # The reserved share is the same whatever the hidden state.
            offset[known] += np.log1p(-entry.reserved)
            if unseen.any():
                offset[unseen] += np.log(entry.reserved)
            weighed = i in evidence.log_weights and bool((~observed).any())
            if not weighed:
                looks.append(_observed(torch.where(known, states + start, sum(self.sizes))) if known.any() else None)
                continue
            logs = torch.from_numpy(evidence.log_weights[i]).masked_fill(observed[:, None], 0.0)
            weights = logs[:, :size]
            if size < logs.shape[1]:
                lost = torch.full_like(logs[:, size:], -torch.inf) if seen_only else logs[:, size:]
            else:
                lost = logs[:, :0]
            top = torch.cat([weights, lost], 1).amax(1).clamp(min=-1e300)
            offset += torch.where(observed, torch.zeros_like(top), top)
            shares = (weights - top[:, None]).exp() * (1 - entry.reserved)
            apart = (lost - top[:, None]).exp().sum(1) * entry.reserved
            looks.append(_weighed(observed, known, states.clamp(max=size - 1) + start, shares, apart, start))
        return looks, offset

    # -------------------------------------------------------------------------------------------------------- answers

    @property
    def graph(self) -> list[list[int]]:
        """The parents of each entry in the first tree, hidden state above hidden state."""
        return self.of(0).shape.above

    def states(self, entry: int) -> list[State]:
        """The states of an entry: its bins, then its codes, without what was never seen."""
        return self.nodes.described(entry)

    def posterior(self, question: Question, targets: Sequence[int]) -> list[Tensor]:
        """For each target the probabilities (B, states) of its states."""
        evidence = self._asked(question, targets)
        out = [torch.zeros(len(evidence), self.sizes[i], dtype=torch.float64) for i in targets]
        for rows, trees, _ in self._upward(evidence, seen_only=True):
            # Sums over trees, in proportion to e^highest, the highest log of a tree so far.
            parts = [own[rows] for own in out]
            total = torch.zeros(len(evidence.states[rows]), dtype=torch.float64)
            highest = torch.full_like(total, -1e300)
            for t, (logs, found) in enumerate(trees):
                before, highest = highest, torch.maximum(highest, logs)
                fade, share = (before - highest).exp(), (logs - highest).exp()
                total.mul_(fade).add_(share)
                hidden = beliefs(self.of(t).shape, self.tables[t], found, targets)
                for i, own in zip(targets, parts, strict=True):
                    shown = self._shown(evidence, rows, i, self.tables[t], hidden[i])
                    own.mul_(fade[:, None]).add_(share[:, None] * shown)
            _refuse_impossible(total, rows.start)
            for own in parts:
                own.div_(total[:, None])
        for place, i in enumerate(targets):
            own = out[place]
            known = torch.from_numpy(evidence.observed[:, i])
            states = torch.from_numpy(evidence.states[:, i])[known]
            own[known] = torch.nn.functional.one_hot(states, own.shape[1]).double()
        return out

    def _shown(self, evidence: Evidence, rows: slice, i: int, tables: Tables, hidden: Tensor) -> Tensor:
        """p(state of entry `i` | evidence) where it is not observed, (B, states), from p(z | evidence)."""
        leaf = tables.leaves[self.starts[i] :][: self.sizes[i]]
        if i not in evidence.log_weights:
            return hidden @ leaf.T
        logs = torch.from_numpy(evidence.log_weights[i][rows, : self.sizes[i]])
        weights = (logs - logs.amax(1, keepdim=True).clamp(min=-1e300)).exp()
        # Given z, states are weighed and normed; what z says of the evidence at its own column is in p(z | evidence).
        total = weights @ leaf
        return weights * ((hidden / total.clamp(min=1e-300)) @ leaf.T)

    def most_probable(self, question: Question, targets: Sequence[int]) -> tuple[Tensor, Tensor]:
        """The most probable state (B, 1) of one target, and the log of its probability given the evidence (B,)."""
        evidence = self._asked(question, targets)
        asked_of = [i for i in targets if not evidence.observed[:, i].all()]
        if len(asked_of) > 1:
            raise NotSupported(
                "Trees of hidden states know the most probable state of one column at a time: ask for one target, or "
                "fit a network without hidden states, such as structure='auto'."
            )
        best = torch.from_numpy(evidence.states[:, list(targets)].copy())
        logs = torch.zeros(len(evidence), dtype=torch.float64)
        for i in asked_of:
            shares, states = self.posterior(question, [i])[0].max(1)
            best[:, list(targets).index(i)] = states
            logs = shares.log()
        return best, logs

    def _asked(self, question: Question, targets: Sequence[int]) -> Evidence:
        if question.set_from_outside:
            raise NotSupported(
                "Hidden states stand for no causes, so that setting a column from outside means nothing here: fit a "
                "network without hidden states, such as structure='auto'."
            )
        return asked(self.nodes, question, targets)

    # -------------------------------------------------------------------------------------------------------- samples

    def sample(self, size: int, generator: torch.Generator) -> Batch:
        """`size` independent records."""
        states = torch.empty(len(self.event), size, dtype=torch.int64).T
        trees = categorical.from_table(self.weights[None], torch.zeros(size, dtype=torch.int64), generator)
        for t, tables in enumerate(self.tables):
            at = (trees == t).nonzero()[:, 0]
            shape = self.of(t).shape
            hidden: dict[int, Tensor] = {}
            for node in shape.order:
                over = shape.parents[node]
                hidden[node] = _below(tables, node, hidden[over] if over >= 0 else None, len(at), generator)
                leaf = tables.leaves[self.starts[node] :][: self.sizes[node]]
                states[at, node] = categorical.from_table(leaf.T, hidden[node], generator)
        return self.nodes.records(states, generator)

    def conditional(self, evidence: Batch, draws: int, generator: torch.Generator) -> Batch:
        """`draws` exact, independent records for each record of evidence."""
        known = evidence_of(self.nodes, Question(evidence))
        states = torch.from_numpy(known.states.repeat(draws, 0))
        for rows, trees, _ in self._upward(known, seen_only=True):
            logs = torch.stack([own for own, _ in trees], 1)
            shares = (logs - logs.amax(1, keepdim=True).clamp(min=-1e300)).exp()
            _refuse_impossible(shares.sum(1), rows.start)
            record = torch.arange(len(shares)).repeat_interleave(draws)
            drawn = categorical.from_weights(shares[record], generator)
            for t in drawn.unique().tolist():
                at = (drawn == t).nonzero()[:, 0]
                # The messages of these records alone are found again, which is less than to keep those of all.
                records, which = record[at].unique(return_inverse=True)
                part = known.rows((rows.start + records).numpy())
                _, found = self._passed(t, self._looks(part, seen_only=True)[0], len(part))
                for i, z in self._hidden(t, self.tables[t], found, which, generator).items():
                    states[rows.start * draws + at, i] = self._leaf(part, which, i, self.tables[t], z, generator)
        observed = torch.from_numpy(known.observed.repeat(draws, 0))
        states = torch.where(observed, torch.from_numpy(known.states.repeat(draws, 0)), states)
        return self.nodes.records(states, generator, evidence.repeat(draws))

    def _hidden(
        self, t: int, tables: Tables, found: Upward, record: Tensor, generator: torch.Generator
    ) -> dict[int, Tensor]:
        """Hidden states of every node of tree `t` given the evidence of the records (n,), drawn from the root down."""
        shape = self.of(t).shape
        hidden: dict[int, Tensor] = {}
        for node in shape.order:
            over, message = shape.parents[node], found.messages[node]
            if message is None:
                hidden[node] = _below(tables, node, hidden[over] if over >= 0 else None, len(record), generator)
                continue
            weights = message.of(record)
            weights = weights * (tables.root if over < 0 else tables.steps[node][hidden[over]])
            hidden[node] = categorical.from_weights(weights, generator)
        return hidden

    def _leaf(
        self, evidence: Evidence, rows: Tensor, i: int, tables: Tables, z: Tensor, generator: torch.Generator
    ) -> Tensor:
        """States (n,) of entry `i` given hidden states, and what each row's evidence says of the entry itself."""
        leaf = tables.leaves[self.starts[i] :][: self.sizes[i]]
        if i not in evidence.log_weights:
            return categorical.from_table(leaf.T, z, generator)
        logs = torch.from_numpy(evidence.log_weights[i][rows.numpy(), : self.sizes[i]])
        weights = (logs - logs.amax(1, keepdim=True).clamp(min=-1e300)).exp()
        return categorical.from_weights(weights * leaf.T[z], generator)


def _refuse_impossible(total: Tensor, first: int) -> None:
    """DataError where the evidence of a row, the first of which has this number, has no probability in any tree."""
    if not bool((total > 0).all()):
        raise impossible(first + int((total > 0).int().argmin()))


def _observed(index: Tensor) -> Look:
    """Weights of an entry that is observed in some rows, and not known in those whose index is the last of all."""
    found, at = distinct(index)
    return lambda leaves: Messages(leaves[found], at)


def _weighed(observed: Tensor, known: Tensor, at: Tensor, shares: Tensor, apart: Tensor, start: int) -> Look:
    """Weights of an entry whose states are weighed where it is not observed."""

    def look(leaves: Tensor) -> Messages:
        weighed = shares @ leaves[start : start + shares.shape[1]] + apart[:, None]
        seen = torch.where(known[:, None], leaves[at], torch.ones((), dtype=leaves.dtype))
        return Messages(torch.where(observed[:, None], seen, weighed))

    return look


def _below(tables: Tables, node: int, above: Tensor | None, size: int, generator: torch.Generator) -> Tensor:
    """Hidden states (size,) of a node given those of the node above, None for the root."""
    if above is None:
        return categorical.from_table(tables.root[None], torch.zeros(size, dtype=torch.int64), generator)
    return categorical.from_table(tables.steps[node], above, generator)
