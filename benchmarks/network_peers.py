"""pyAgrum and pgmpy asked what `inference.py` asks likewise: the same network, the same tables, the same rows."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyagrum as gum

from likewise.exchange import NetworkDescription

with warnings.catch_warnings():
    warnings.simplefilter("ignore", FutureWarning)  # pgmpy imports what it has itself deprecated
    from pgmpy.estimators import ExpectationMaximization
    from pgmpy.factors.discrete import TabularCPD
    from pgmpy.inference import VariableElimination
    from pgmpy.models import DiscreteBayesianNetwork
    from pgmpy.parameter_estimator import DiscreteBayesianEstimator, DiscreteMLE

CHEAP = 1 << 14
"""pgmpy is asked where no clique of a junction tree has more states, and where there are at most a hundred columns."""

JOINT = 1 << 22
"""pgmpy finds the most probable states in a table of them all: no larger one is asked for."""


@dataclass
class Answers:
    """What a library answered before its seconds were over.

    Attributes
    ----------
    seconds : float
        For all the rows that were answered.
    posteriors : list of dict of int to array
        For each of these rows the posterior of each target.
    settings : str
        Those that were the fastest in a short trial.
    message : str or None
        Why no more rows were answered.
    """

    seconds: float
    posteriors: list[dict[int, np.ndarray]]
    settings: str
    message: str | None


class Agrum:
    """pyAgrum.

    Parameters
    ----------
    description : NetworkDescription
    path : Path
        The same network in a file. pyAgrum keeps numbers of a file in single precision, so tables are filled in again.
    threads : int
        What it may use; one is tried as well.
    """

    def __init__(self, description: NetworkDescription, path: Path, threads: int) -> None:
        self.names, self.parents, self.threads = description.variables, description.parents, threads
        self.network = gum.loadBN(str(path))
        for name, parents, table in zip(self.names, description.parents, description.tables, strict=True):
            own = self.network.cpt(name)
            axes = [*(self.names[parent] for parent in parents), name]
            own[:] = np.ascontiguousarray(table.transpose([axes.index(axis) for axis in reversed(own.names)]))

    @property
    def clique(self) -> float:
        """The states of the largest clique of its junction tree."""
        tree = gum.JunctionTreeGenerator().junctionTree(self.network)
        sizes = {node: float(self.network.variable(node).domainSize()) for node in self.network.nodes()}
        return max(float(np.prod([sizes[node] for node in tree.clique(clique)])) for clique in tree.nodes())

    def posteriors(
        self, states: np.ndarray, observed: np.ndarray, seconds: float, target: int | None = None
    ) -> tuple[Answers, list[float]]:
        """Posteriors row by row, of all that a row does not observe or of one target; and the seconds of each row.

        Evidence is put in afresh, or its values changed where all rows observe the same columns; with one thread, or
        with all: whatever is the fastest on the first rows.
        """
        ways = ["set", "change"] if (observed == observed[0]).all() and observed.any() else ["set"]
        choices = [(way, count) for way in ways for count in sorted({1, self.threads})]
        best, fastest = choices[0], np.inf
        if len(choices) > 1:
            for choice in choices:
                few, took = self._loop(states[:5], observed[:5], seconds / 10, target, *choice)
                if took and few.message is None and (typical := float(np.median(took[1:] or took))) < fastest:
                    best, fastest = choice, typical
        return self._loop(states, observed, seconds, target, *best)

    def _loop(
        self, states: np.ndarray, observed: np.ndarray, seconds: float, target: int | None, way: str, threads: int
    ) -> tuple[Answers, list[float]]:
        gum.setNumberOfThreads(threads)
        engine = gum.LazyPropagation(self.network)
        if target is not None:
            engine.addTarget(self.names[target])
        each: list[float] = []
        found = Answers(0.0, [], f"{way} evidence, threads: {threads}", None)
        try:
            for row, (values, seen) in enumerate(zip(states.tolist(), observed, strict=True)):
                known = {self.names[i]: values[i] for i in np.flatnonzero(seen)}
                wanted = np.flatnonzero(~seen).tolist() if target is None else [target]
                begun = time.perf_counter()
                if way == "set" or row == 0:
                    engine.setEvidence(known)
                else:
                    for name, value in known.items():
                        engine.chgEvidence(name, value)
                engine.makeInference()
                answers = {i: engine.posterior(self.names[i]) for i in wanted}
                each.append(time.perf_counter() - begun)
                found.posteriors.append({i: answer.toarray() for i, answer in answers.items()})
                if sum(each) > seconds:
                    break
        except (gum.GumException, MemoryError) as error:
            found.message = said(error)
        found.seconds = sum(each)
        return found, each

    def most_probable(self, states: np.ndarray, observed: np.ndarray) -> np.ndarray | None:
        """The most probable states of a row; None where pyAgrum fails, as 3.3.1 often does ("Empty tensor")."""
        engine = gum.LazyPropagation(self.network)
        try:
            engine.setEvidence({self.names[i]: int(states[i]) for i in np.flatnonzero(observed)})
            found = engine.mpe()
        except gum.GumException:
            return None
        return np.array([found[name] for name in self.names])

    def sample(self, rows: int, seed: int) -> pd.DataFrame:
        gum.initRandom(seed)
        generator = gum.BNDatabaseGenerator(self.network)
        generator.drawSamples(rows)
        return generator.to_pandas()

    def learned(self, frame: pd.DataFrame, prior: float) -> Any:
        """A network of the same graph with `prior` added to every count, which may be 0."""
        learner = gum.BNLearner(frame, self.network)
        learner.setNumberOfThreads(self.threads)
        if prior:
            learner.useSmoothingPrior(prior)
        else:
            learner.useNoPrior()
        return learner.learnParameters(self.network)

    def completed(self, frame: pd.DataFrame) -> Any:
        """A network of the same graph, from records with blanks, with one added to every count."""
        learner = gum.BNLearner(frame.fillna("?"), self.network, ["?"])
        learner.setNumberOfThreads(self.threads)
        learner.useSmoothingPrior(1)
        learner.useEM(1e-4)
        return learner.learnParameters(self.network)

    def tables(self, network: Any) -> list[np.ndarray]:
        """The tables of a network in the layout of a description."""
        found = []
        for name, parents in zip(self.names, self.parents, strict=True):
            axes = list(reversed(network.cpt(name).names))
            order = [axes.index(axis) for axis in (*(self.names[parent] for parent in parents), name)]
            found.append(network.cpt(name).toarray().transpose(order))
        return found


class Pgmpy:
    """pgmpy."""

    def __init__(self, description: NetworkDescription) -> None:
        self.names, self.states, self.parents = description.variables, description.states, description.parents
        self.network = self._graph()
        for name, parents, table in zip(self.names, self.parents, description.tables, strict=True):
            size = table.shape[-1]
            above = [self.names[parent] for parent in parents]
            own = TabularCPD(name, size, table.reshape(-1, size).T, above or None, list(table.shape[:-1]) or None)
            self.network.add_cpds(own)
        self.engine = VariableElimination(self.network)

    def _graph(self) -> Any:
        network = DiscreteBayesianNetwork()
        network.add_nodes_from(self.names)
        network.add_edges_from(
            (self.names[parent], name) for name, above in zip(self.names, self.parents, strict=True) for parent in above
        )
        return network

    def posteriors(
        self, states: np.ndarray, observed: np.ndarray, seconds: float, target: int
    ) -> tuple[Answers, list[float]]:
        """Posteriors of one target row by row, and the seconds of each row."""
        found, each = Answers(0.0, [], "greedy order", None), list[float]()
        try:
            for values, seen in zip(states.tolist(), observed, strict=True):
                known = {self.names[i]: values[i] for i in np.flatnonzero(seen)}
                begun = time.perf_counter()
                answer = self.engine.query([self.names[target]], evidence=known, show_progress=False)
                each.append(time.perf_counter() - begun)
                found.posteriors.append({target: np.asarray(answer.values)})
                if sum(each) > seconds:
                    break
        except (ValueError, MemoryError) as error:
            found.message = said(error)
        found.seconds = sum(each)
        return found, each

    def most_probable(self, states: np.ndarray, observed: np.ndarray) -> np.ndarray | None:
        """The most probable states of a row, None where pgmpy fails or would need too large a table."""
        if math.prod(len(self.states[i]) for i in np.flatnonzero(~observed)) > JOINT:
            return None
        known = {self.names[i]: int(states[i]) for i in np.flatnonzero(observed)}
        wanted = [name for name in self.names if name not in known]
        try:
            found = self.engine.map_query(wanted, evidence=known, show_progress=False)
        except (ValueError, MemoryError):
            return None
        return np.array([known.get(name, found.get(name)) for name in self.names])

    def learned(self, frame: pd.DataFrame, prior: float) -> Any:
        """A network of the same graph with `prior` added to every count, which may be 0."""
        labels = dict(zip(self.names, map(list, self.states), strict=True))
        if not prior:
            return self._graph().fit(frame, estimator=DiscreteMLE(state_names=labels))
        counts = {
            name: np.full((len(labels[name]), math.prod(len(self.states[parent]) for parent in parents)), prior)
            for name, parents in zip(self.names, self.parents, strict=True)
        }
        estimator = DiscreteBayesianEstimator(state_names=labels, prior_type="dirichlet", pseudo_counts=counts)
        return self._graph().fit(frame, estimator=estimator)

    def completed(self, frame: pd.DataFrame) -> Any:
        """A network of the same graph, from records with blanks."""
        network = self._graph()
        for table in ExpectationMaximization(network, frame).get_parameters(show_progress=False, max_iter=20):
            network.add_cpds(table)
        return network

    def tables(self, network: Any) -> list[np.ndarray]:
        """The tables of a network in the layout of a description."""
        found = []
        for name, parents in zip(self.names, self.parents, strict=True):
            own, members = network.get_cpds(name), [*parents, self.names.index(name)]
            axes = [own.variables.index(self.names[member]) for member in members]
            table = np.asarray(own.values).transpose(axes)
            places = [
                [own.state_names[self.names[member]].index(label) for label in self.states[member]]
                for member in members
            ]
            found.append(table[np.ix_(*places)])
        return found


def said(error: BaseException) -> str:
    """The first line of what went wrong."""
    text = getattr(error, "what", lambda: str(error))() or type(error).__name__
    return str(text).splitlines()[0][:300]


def largest_difference(ours: dict[int, np.ndarray], theirs: Sequence[dict[int, np.ndarray]]) -> float:
    """Between posteriors: ours of shape (rows, states) for each target, theirs row by row."""
    gaps = [np.abs(ours[i][row] - part).max() for row, answer in enumerate(theirs) for i, part in answer.items()]
    return float(max(gaps, default=np.nan))


def repeated(call: Callable[[], Any], times: int, seconds: float) -> tuple[list[float], Any]:
    """The seconds of each call, no more of them begun once all seconds are spent, and the last answer."""
    took: list[float] = []
    answer = None
    while len(took) < times and sum(took) < seconds:
        begun = time.perf_counter()
        answer = call()
        took.append(time.perf_counter() - begun)
    return took, answer
