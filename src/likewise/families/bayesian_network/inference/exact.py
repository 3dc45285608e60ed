"""Exact answers for tables of evidence: how probable it is, what it says of every other column, what explains it best.

Rows are put into groups that share a plan (`planning`), a group's plan says which factors are left and in which order
they are contracted (`relevance`, `contraction`), and a group runs in blocks of rows that fit the memory and the cache.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from queue import SimpleQueue
from typing import Any

import numpy as np
import torch

from likewise.errors import DataError
from likewise.families.bayesian_network.inference.contraction import Array, Bools, Integers
from likewise.families.bayesian_network.inference.enumeration import enumerable, marginals
from likewise.families.bayesian_network.inference.parameters import Parameters
from likewise.families.bayesian_network.inference.passes import (
    Algebra,
    Pass,
    Workspace,
    drawn,
    inward,
    likeliest,
    outward,
    trace,
)
from likewise.families.bayesian_network.inference.planning import Prices, groups, rows_alike
from likewise.families.bayesian_network.inference.relevance import Query, query_of, too_wide

BLOCK = 1 << 24
"""Bytes of tables that a block of rows works on: about what stays near the processor."""

KEPT = 512
"""Plans that are remembered, as long as their tables take no more than an eighth of the memory."""


@dataclass(frozen=True)
class Evidence:
    """What is known of the states of all entries in each row.

    Attributes
    ----------
    states : int64 (B, E)
        Of observed entries; anything elsewhere.
    observed : bool (B, E)
    log_weights : entry -> float64 (B, states)
        Of entries that are not observed: how well each state agrees with what is known; 0 where nothing is.
    cut : frozenset of int
        Entries observed in every row that were set from outside: their parents say nothing about them.
    """

    states: Integers
    observed: Bools
    log_weights: Mapping[int, Array] = field(default_factory=dict)
    cut: frozenset[int] = frozenset()

    def __len__(self) -> int:
        return len(self.states)

    def rows(self, index: Integers | slice) -> Evidence:
        """The rows at `index`."""
        weights = {i: logs[index] for i, logs in self.log_weights.items()}
        return Evidence(self.states[index], self.observed[index], weights, self.cut)


class Inference:
    """Exact inference in one network.

    Parameters
    ----------
    parameters : Parameters
    names : list of str
        Of the entries, for what is said of them.
    max_memory : int
        Bytes that a group of rows may take at once.
    """

    def __init__(self, parameters: Parameters, names: Sequence[str], max_memory: int) -> None:
        self.parameters, self.names, self.max_memory = parameters, names, max_memory
        self._prices: Prices | None = None
        self._queries: dict[Any, Query] = {}
        self._kept = 0

    @property
    def prices(self) -> Prices:
        """What the parts of the network cost."""
        if self._prices is None:
            self._prices = Prices(self.parameters.parents, self.parameters.sizes)
        return self._prices

    # ------------------------------------------------------------------------------------------------------- answers

    def log_prob(self, evidence: Evidence) -> Array:
        """The log-probability (B,) of the evidence."""
        total: Array = np.zeros(len(evidence))
        for rows, _, part in self._parts(evidence):
            query = self._query(part)
            for at, logs in self._runs(query, part, "numbers", lambda found, own: found.log_total.copy()):
                total[rows[at]] = logs + query.settled_logs(self.parameters, part.states[at])
        return total

    def posterior(self, evidence: Evidence, targets: Sequence[int]) -> list[Array]:
        """For each target its distribution (B, states) given the evidence; DataError where that has probability 0."""
        sizes = self.parameters.sizes
        out: list[Array] = [np.zeros((len(evidence), sizes[i])) for i in targets]
        place = {i: k for k, i in enumerate(targets)}
        for i, k in place.items():
            seen = np.flatnonzero(evidence.observed[:, i])
            out[k][seen, evidence.states[seen, i]] = 1.0
        separable = not evidence.cut and not evidence.log_weights
        for rows, asked, part in self._parts(evidence, separable):
            if asked is not None and enumerable(self.parameters, asked):
                for i, marginal in zip(asked, marginals(self.parameters, asked, part.states), strict=True):
                    if i in place:
                        self._write(out[place[i]], rows, marginal)
                continue
            goals = tuple(i for i in (place if asked is None else asked) if i in place)
            goals = tuple(i for i in goals if not part.observed[:, i].all())
            if not goals:
                continue
            query = self._query(part, goals, asked, seen_only=True)

            def read(found: Pass, own: Evidence, query: Query = query) -> dict[int, Array]:
                weights = weights_of(query, own)[0] if query.folded else {}
                folded = {
                    number: (i, partial(query.unfolded, number, states=own.states, weights=weights))
                    for number, i in query.folded.items()
                }
                return outward(found, folded)

            for at, answers in self._runs(query, part, "numbers", read):
                for i, marginal in answers.items():
                    self._write(out[place[i]], rows[at], marginal)
        return out

    @staticmethod
    def _write(out: Array, rows: Integers, marginal: Array) -> None:
        nothing = np.isnan(marginal[0])
        if nothing.any():
            raise impossible(int(rows[nothing.argmax()]))
        out[rows, : len(marginal)] = marginal.T

    def most_probable(
        self, evidence: Evidence, targets: Collection[int] | None = None
    ) -> tuple[Integers, Array, Array]:
        """The jointly most probable states (B, E) of the targets, all others summed out, and two log-probabilities.

        Columns that are neither observed nor targets are -1; None asks for all. The log-probabilities are that of the
        states together with the evidence, and that of the states given the evidence.
        """
        every = range(len(self.names))
        goals = frozenset(every if targets is None else targets)
        states = np.where(evidence.observed, evidence.states, -1)
        logs, given = np.zeros(len(evidence)), np.zeros(len(evidence))
        for rows, _, part in self._parts(evidence):
            wanted = tuple(sorted(i for i in goals if not part.observed[:, i].all()))
            summed = len(wanted) < sum(not part.observed[:, i].all() for i in every)
            query = self._query(part, seen_only=True, apart=wanted, last=wanted if summed else ())
            # The cell of a tree follows from the parents: where nothing else is summed, it is maximised with them.
            maximised = frozenset(wanted) if summed else frozenset(query.plan.buckets)

            def best(found: Pass, own: Evidence, only: frozenset[int] = maximised) -> tuple[dict[int, Integers], Array]:
                return trace(found, np.arange(len(own)), likeliest, only), found.log_total

            for at, (chosen, total) in self._runs(query, part, "logs", best, maximised):
                logs[rows[at]] = total + query.settled_logs(self.parameters, part.states[at])
                for i in wanted:
                    open_ = ~part.observed[at, i]
                    states[rows[at][open_], i] = chosen[i][open_]
            if np.isneginf(logs[rows]).any():
                raise impossible(int(rows[np.isneginf(logs[rows]).argmax()]))
            for at, total in self._runs(query, part, "numbers", lambda found, own: found.log_total.copy()):
                given[rows[at]] = logs[rows[at]] - total - query.settled_logs(self.parameters, part.states[at])
        return states, logs, given

    def draw(
        self, evidence: Evidence, draws: int, generator: torch.Generator
    ) -> Iterator[tuple[Integers, Query, dict[int, Integers]]]:
        """For groups of rows: their numbers, the query, and `draws` states in a row of each entry it sums over.

        States are classes, see `Query.classes`.
        """

        def states(found: Pass, own: Evidence) -> tuple[Array, dict[int, Integers]]:
            return found.log_total, trace(found, np.arange(len(own)).repeat(draws), drawn(generator))

        for rows, _, part in self._parts(evidence):
            query = self._query(part, seen_only=True)
            for at, (total, chosen) in self._runs(query, part, "numbers", states, threads=1):
                total = total + query.settled_logs(self.parameters, part.states[at])
                if np.isneginf(total).any():
                    raise impossible(int(rows[at][np.isneginf(total).argmax()]))
                yield rows[at], query, chosen

    def families(
        self, evidence: Evidence, read: Callable[[Query, Pass, Evidence], Any]
    ) -> Iterator[tuple[Integers, Evidence, Query, Any]]:
        """For blocks of rows: their numbers, the evidence, the query, and what `read` makes of the inward pass.

        The states of every entry stay apart.
        """
        for rows, _, part in self._parts(evidence):
            query = self._query(part, seen_only=True, lumped=False)
            for at, answer in self._runs(query, part, "numbers", partial(read, query)):
                yield rows[at], part.rows(at), query, answer

    def alike(self, evidence: Evidence, targets: tuple[int, ...]) -> Iterator[tuple[Integers, Evidence, Query]]:
        """The rows of each pattern of what is observed, and their query about the targets that it leaves open.

        For its factors: it may be too wide to be answered exactly.
        """
        for rows in rows_alike(evidence.observed):
            part = evidence.rows(rows)
            goals = tuple(i for i in targets if not part.observed[0, i])
            if goals:
                yield rows, part, self._query(part, goals, seen_only=True, lumped=False, limited=False)

    # ------------------------------------------------------------------------------------------------------- groups

    def _parts(
        self, evidence: Evidence, separable: bool = False
    ) -> Iterator[tuple[Integers, tuple[int, ...] | None, Evidence]]:
        """Rows that are answered together, the columns that they are asked about (None: all), and their evidence."""
        if len(evidence) == 1:  # needs no prices
            yield np.zeros(1, dtype=np.int64), None, evidence
            return
        for group in groups(self.prices, evidence.observed, separable):
            yield group.rows, group.asked, evidence.rows(group.rows)

    def _query(
        self,
        part: Evidence,
        targets: tuple[int, ...] | None = None,
        asked: tuple[int, ...] | None = None,
        *,
        seen_only: bool = False,
        apart: tuple[int, ...] = (),
        lumped: bool = True,
        last: tuple[int, ...] = (),
        limited: bool = True,
    ) -> Query:
        """The plan for a group; plans are remembered."""
        every: Bools = np.array(part.observed.all(0))
        weighted: Bools = np.array(part.observed.any(0) & ~every)
        if asked is not None:
            # Whatever else is not observed is cut off by what is.
            every[:] = True
            every[list(asked)] = False
            weighted &= ~every
        weighted[[i for i in part.log_weights if not every[i]]] = True
        unseen = self.parameters.unseen
        unseen_too = frozenset(
            i
            for i in np.flatnonzero(weighted).tolist()
            if seen_only and (part.observed[:, i] & (part.states[:, i] == unseen[i])).any()
        )
        how = (seen_only, unseen_too, apart, lumped, last, limited)
        key = (every.tobytes(), weighted.tobytes(), targets, part.cut, how)
        if key not in self._queries:
            if len(self._queries) >= KEPT or 8 * self._kept > self.max_memory // 8:
                self._queries.clear()
                self._kept = 0
            observed, weighed = np.flatnonzero(every).tolist(), np.flatnonzero(weighted).tolist()
            found = query_of(
                self.parameters,
                observed,
                weighed,
                targets,
                seen_only=seen_only,
                unseen_too=unseen_too,
                apart=apart,
                lumped=lumped,
                cut=part.cut,
                last=last,
                uses=len(part),
                most=self.max_memory // 8 if limited else None,
            )
            self._queries[key] = found
            self._kept += found.kept
        return self._queries[key]

    # --------------------------------------------------------------------------------------------------------- runs

    def _runs(
        self,
        query: Query,
        part: Evidence,
        algebra: Algebra,
        read: Callable[[Pass, Evidence], Any],
        maximised: frozenset[int] = frozenset(),
        threads: int | None = None,
    ) -> Iterator[tuple[slice, Any]]:
        """What `read` makes of the passes over blocks of rows and their evidence."""
        size, workers = self._block(query, algebra, torch.get_num_threads() if threads is None else threads)
        slices = [slice(start, min(start + size, len(part))) for start in range(0, len(part), size)]
        workers = min(len(slices), workers)
        spaces: SimpleQueue[Workspace] = SimpleQueue()
        for _ in range(workers):
            spaces.put(Workspace(kept=len(slices) > workers))

        def run(at: slice) -> Any:
            space = spaces.get()
            answer = self._run(query, part.rows(at), algebra, read, maximised, space)
            spaces.put(space)
            return answer

        if workers < 2 or size * query.plan.held[0] < 1 << 17:
            for at in slices:
                yield at, run(at)
            return
        with ThreadPoolExecutor(workers) as pool:
            yield from zip(slices, pool.map(run, slices), strict=True)

    def _run(
        self,
        query: Query,
        part: Evidence,
        algebra: Algebra,
        read: Callable[[Pass, Evidence], Any],
        maximised: frozenset[int],
        space: Workspace,
    ) -> Any:
        weights, lows, scales = weights_of(query, part)
        floors = [factor.floor + (0.0 if factor.weighed is None else lows[factor.weighed]) for factor in query.factors]
        factors = [factor.numbers(part.states, weights) for factor in query.factors]
        if algebra == "numbers":
            found = inward(query.plan, factors, floors, len(part), space=space)
            found.log_total += scales
            answer = read(found, part)
            if not found.unsure.any():
                return answer
            algebra = "logs"
        with np.errstate(divide="ignore"):
            logs = [np.log(factor) for factor in factors]
        found = inward(query.plan, logs, floors, len(part), algebra, maximised)
        found.log_total += scales
        return read(found, part)

    def _block(self, query: Query, algebra: Algebra, threads: int) -> tuple[int, int]:
        """How many rows a thread works on at once, and how many threads; NotSupported where not even one row fits."""
        wide, narrow = query.plan.held
        if algebra == "logs":
            wide += 2 * query.plan.widest
        room = self.max_memory - 8 * narrow
        if room < 8 * wide:
            raise too_wide(wide + narrow, query.order.peak, self.max_memory // 8)
        # Twice, since what one block has used up is kept for the next.
        fits = room // (16 * wide)
        workers = threads if fits >= threads else 1
        return max(1, min(fits // workers, max(64, BLOCK // (8 * wide)))), workers


def weights_of(query: Query, part: Evidence) -> tuple[dict[int, Array], dict[int, float], Array]:
    """The weights (states, rows) of weighed entries, the logs of their least positive numbers, what was divided out."""
    weights: dict[int, Array] = {}
    floors: dict[int, float] = {}
    scales: Array = np.zeros(len(part))
    for i in query.weighted:
        seen = part.observed[:, i]
        logs = part.log_weights.get(i)
        states = len(query.classes[i])
        own: Array = np.ones((states, len(part)))
        if logs is not None:
            logs = logs[:, :states]
            top = np.where(seen, 0.0, logs.max(1))
            top[np.isneginf(top)] = 0.0
            scales += top
            own = np.exp(np.where(seen[:, None], 0.0, logs) - top[:, None]).T.copy()
        if i in query.unseen_too:
            own[-1] = 0.0
        own[:, seen] = 0.0
        own[part.states[seen, i], seen] = 1.0
        floors[i] = float(np.log(own[own > 0].min())) if logs is not None and own.any() else 0.0
        weights[i] = own
    return weights, floors, scales


def impossible(row: int) -> DataError:
    """What is said of a row of evidence that cannot be."""
    return DataError(f"Row {row} of the evidence has probability zero: nothing can be said or drawn under it.")
