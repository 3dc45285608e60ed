"""The Bayesian network family: a graph over the columns, closed-form learning, exact answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Literal, cast, get_args

import numpy as np
import torch
from torch import Tensor

from likewise.errors import DataError, NotSupported
from likewise.events import Batch, Event, State
from likewise.families.bayesian_network.discrete import learning
from likewise.families.bayesian_network.discrete.estimation import Prior, fit_parameters
from likewise.families.bayesian_network.discrete.evidence import asked, evidence_of
from likewise.families.bayesian_network.discrete.graphs import graph_finder
from likewise.families.bayesian_network.discrete.network import DiscreteNetwork
from likewise.families.bayesian_network.discrete.options import Options
from likewise.families.bayesian_network.edges import edge_of, tier_of
from likewise.families.bayesian_network.hidden_tree import learning as hidden_learning
from likewise.families.bayesian_network.hidden_tree.meaning import Meaning, meaning, numeric, quantiles
from likewise.families.bayesian_network.hidden_tree.network import MAX_STATES, HiddenTreeNetwork
from likewise.families.bayesian_network.inference.approximation import likelihood_weighting, loopy_propagation
from likewise.families.bayesian_network.linear_gaussian import learning as gaussian_learning
from likewise.families.bayesian_network.linear_gaussian.network import LinearGaussianNetwork
from likewise.families.bayesian_network.structure.bootstrap import edge_strengths
from likewise.families.bayesian_network.structure.hill_climbing import Climb
from likewise.families.bayesian_network.structure.search import SearchName
from likewise.families.family import Draws, Family, LogProb, Question
from likewise.families.settings import POSITIVE, check, one_of, optional, whole

Structure = Literal["auto", "chow_liu", "hill_climbing", "ges", "exact", "ordered", "hidden_tree"]
Conditionals = Literal["trees", "tables"]
ValueModel = Literal["bins", "linear_gaussian"]
Score = Literal["bdeu", "bic", "aic", "k2", "bge"]

Network = DiscreteNetwork | LinearGaussianNetwork | HiddenTreeNetwork

LIMIT = 1 << 16
"""No setting that counts something may be larger."""


class BayesianNetworkFamily(Family):
    """A Bayesian network whose every score, sample and conditional is exact.

    Each column is a node with discrete states: its codes, its value cut into bins with a density inside each bin. Every
    node has a distribution for each cell of a partition of its parents' states: a decision tree, so that it can have
    many parents, or a full table.

    Parameters
    ----------
    event : Event
    structure : "auto", "chow_liu", "hill_climbing", "ges", "exact", "ordered", "hidden_tree", or a list of edges
        The graph: the best tree (Chow and Liu 1968); greedy search on `score`, over graphs or over classes of
        equivalent graphs; the best graph of all; an order of the columns in which every node may look at all before it
        (trees only), or edges `(parent, child)` by name or number. "auto" takes what predicts held-out rows best.
        "hidden_tree": a mixture of trees of hidden states, one behind every column.
    conditionals : "trees" or "tables"
    score : "bdeu", "bic", "aic", "k2" or "bge"
        What searches maximise.
    equivalent_sample_size : "auto" or float
        Of BDeu. "auto" is 1, and in hill climbing over bins the power of two under which the records are the most
        probable, in the tree of most mutual information.
    required, forbidden : lists of edges
        By name or number.
    tiers : list of lists of columns
        No column has a parent in a later tier.
    max_parents, max_bins : int or None
        Limits per column. None: graphs that are searched have at most 4 parents a column (6 with linear Gaussians),
        and as many as are required; of an order, trees ask at most 8. Trees have at most 128 bins, tables bins chosen
        on held-out rows.
    smoothing : "auto" or float
        Pseudo-counts added to every state of every cell, or back-off of cells to coarser cells with strengths chosen on
        held-out rows.
    tabu, restarts : int
        How many moves hill climbing goes on beyond a local optimum; how often it starts anew from a disturbed graph.
    values : "bins" or "linear_gaussian"
    states, components : int or None
        Of structure="hidden_tree": hidden states behind each column, and trees at most, each for its part of the rows;
        None for as many states as a part has rows and seconds for, and for several mixtures of such trees.
    max_memory : int
        Bytes that one table of exact inference may take.
    max_states : int
        structure="ordered" leaves out the weakest edges until no question, whatever is observed, needs a table of more
        states than this per record.
    network : dict or None
        What was learned, written by `fit_closed_form`.
    """

    name: ClassVar[str] = "bayesian_network"
    kinds = ("exact",)
    sampling = "parents first"
    answering = "exact inference"
    fitted_by = "structure search and counting"
    approximations = ("likelihood_weighting", "loopy")

    def __init__(
        self,
        event: Event,
        *,
        structure: Structure | list[Any] = "auto",
        conditionals: Conditionals = "trees",
        score: Score = "bdeu",
        equivalent_sample_size: Literal["auto"] | float = "auto",
        required: list[Any] | None = None,
        forbidden: list[Any] | None = None,
        tiers: list[Any] | None = None,
        max_parents: int | None = None,
        max_bins: int | None = None,
        smoothing: Literal["auto"] | float = "auto",
        tabu: int = 10,
        restarts: int = 0,
        values: ValueModel = "bins",
        states: int | None = None,
        components: int | None = None,
        max_memory: int = 1 << 30,
        max_states: int = 1 << 24,
        network: dict[str, Any] | None = None,
    ) -> None:
        edges = structure if isinstance(structure, str) else [edge_of(event, edge) for edge in structure]
        super().__init__(
            event,
            {
                "structure": edges,
                "conditionals": conditionals,
                "score": score,
                "equivalent_sample_size": equivalent_sample_size,
                "required": [edge_of(event, edge) for edge in required or []],
                "forbidden": [edge_of(event, edge) for edge in forbidden or []],
                "tiers": [tier_of(event, tier) for tier in tiers or []],
                "max_parents": max_parents,
                "max_bins": max_bins,
                "smoothing": smoothing,
                "tabu": tabu,
                "restarts": restarts,
                "values": values,
                "states": states,
                "components": components,
                "max_memory": max_memory,
                "max_states": max_states,
                "network": network,
            },
        )
        if not isinstance(structure, list):
            check(one_of(*get_args(Structure)), structure=structure)
        check(one_of(*get_args(Conditionals)), conditionals=conditionals)
        check(one_of(*get_args(Score)), score=score)
        check(one_of(*get_args(ValueModel)), values=values)
        check(optional(whole(1, LIMIT)), max_parents=max_parents, max_bins=max_bins)
        check(optional(whole(1, MAX_STATES)), states=states)
        check(optional(whole(1, LIMIT)), components=components)
        check(whole(0, LIMIT), tabu=tabu, restarts=restarts)
        check(whole(1, 1 << 50), max_memory=max_memory)
        check(whole(1, 1 << 40), max_states=max_states)
        if equivalent_sample_size != "auto":
            check(POSITIVE, equivalent_sample_size=equivalent_sample_size)
        if smoothing != "auto":
            check(POSITIVE, smoothing=smoothing)
        if structure == "ordered" and conditionals == "tables":
            raise ValueError("structure='ordered' gives every node many parents: it needs conditionals='trees'.")
        if values == "linear_gaussian" and structure in ("ordered", "hidden_tree"):
            raise ValueError(f"structure={structure!r} needs values='bins'.")
        if values == "bins" and score == "bge":
            raise ValueError("structure_score='bge' is a score of regressions: it needs values='linear_gaussian'.")
        asked = self._options(0)
        if asked.required or asked.forbidden or asked.tiers:
            if not isinstance(structure, str):
                raise ValueError(
                    "required, forbidden and tiers are for searches: structure is a list of edges already."
                )
            if structure == "hidden_tree" and network is None:
                raise ValueError(
                    "required, forbidden and tiers are for graphs over the columns, and structure='hidden_tree' joins "
                    "hidden states: leave them out, or use structure='auto'."
                )
            asked.constraints(len(event))  # whether they contradict each other
        self.network: Network | None = None
        if network is not None:
            if not isinstance(network, dict):
                raise TypeError("The network of a model is a dictionary.")
            self.network = self._build(network)

    def _build(self, network: dict[str, Any]) -> Network:
        if "trees" in network:
            if not network["trees"]:
                raise ValueError("A mixture has one tree at least.")
            return HiddenTreeNetwork(self.event, network["grains"], network["states"], network["trees"])
        if "structure" in network:
            check(one_of("edges", "ordered", *get_args(SearchName)), structure=network["structure"])
        for part in network["conditionals"]:
            if part["smoothing"] is not None:
                learning.smoothing_of(part["smoothing"])
        memory = self.settings["max_memory"]
        if self.settings["values"] == "bins":
            return DiscreteNetwork(self.event, network["grains"], network["conditionals"], memory)
        for part in network["regressions"]:
            if part is not None:
                check(POSITIVE, strength=part["strength"])
        return LinearGaussianNetwork(self.event, network["conditionals"], network["regressions"], memory)

    # ------------------------------------------------------------------------------------------------------ learning

    def fit_closed_form(
        self, train: Batch, held_out: Batch, seed: int, *, partial: bool = False, seconds: float | None = None
    ) -> Mapping[str, Any]:
        """Finds bins, graph and parameters; with `partial`, adds the counts of `train` to a network already learned.

        Only trees of hidden states take so long that `seconds` limits them. Returns what was tried, with the mean
        held-out log-probability of each candidate structure.
        """
        for batch in (train, held_out):
            if not batch.fully_observed:
                raise NotSupported(
                    "A Bayesian network learns from rows whose every entry is observed (observed to be "
                    "missing is fine)."
                )
        if not len(train):
            raise DataError("There are no rows to learn from.")
        if partial and self.network is not None:
            self._add_rows(self.network, train)
            return {"added_rows": len(train)}
        apart = train.rows(slice(0, 0))
        if not len(held_out):
            # Choices are made by records that nothing was counted from; these are counted afterwards.
            order = np.random.default_rng(seed).permutation(len(train))
            cut = len(train) // 10
            apart, rest = (train.rows(torch.from_numpy(np.sort(part))) for part in (order[:cut], order[cut:]))
            held_out, train = (apart, rest) if cut else (train, train)
        network, description, record = self._learn(train, held_out, seed, seconds)
        self.network = network
        self.settings["network"] = description
        if len(apart):
            self._add_rows(network, apart)
        return record

    def _learn(
        self, train: Batch, held_out: Batch, seed: int, seconds: float | None
    ) -> tuple[Network, dict[str, Any], Mapping[str, Any]]:
        own = self.settings
        if own["structure"] == "hidden_tree":
            options = hidden_learning.Options(own["states"], own["components"], own["max_bins"], seconds=seconds)
            return hidden_learning.fit(self.event, train, held_out, options, seed)
        learner = learning.fit if own["values"] == "bins" else gaussian_learning.fit
        return learner(self.event, train, held_out, self._options(seed), own["max_memory"])

    def _options(self, seed: int) -> Options:
        own = self.settings
        return Options(
            own["structure"],
            own["conditionals"],
            own["score"],
            None if own["equivalent_sample_size"] == "auto" else float(own["equivalent_sample_size"]),
            own["max_parents"],
            own["max_bins"],
            None if own["smoothing"] == "auto" else float(own["smoothing"]),
            Climb(own["tabu"], own["restarts"], seed=seed),
            own["max_states"],
            own["required"],
            own["forbidden"],
            own["tiers"],
            [entry.name for entry in self.event.all],
        )

    def _add_rows(self, network: Network, train: Batch) -> None:
        description, options = self.settings["network"], self._options(0)
        if isinstance(network, DiscreteNetwork):
            network.add_counts(train)
            learning.estimate(network, description["conditionals"], options.smoothing)
        elif isinstance(network, HiddenTreeNetwork):
            network.add_rows(train)
        else:
            gaussian_learning.add_rows(network, train)
            gaussian_learning.estimate(network, description, options)

    def fit_parameters(
        self, question: Question, prior: Prior, max_iterations: int, tolerance: float
    ) -> Mapping[str, Any]:
        """Fits the tables of the graph anew to records of which not everything has to be known; see `estimation`."""
        network = self._fitted()
        if not isinstance(network, DiscreteNetwork):
            raise NotSupported(
                "Parameters are fitted to incomplete records with values='bins' and without hidden states only."
            )
        return fit_parameters(network, evidence_of(network.nodes, question), prior, max_iterations, tolerance)

    def edge_strengths(
        self, records: Batch, search: SearchName, resamples: int, seed: int
    ) -> tuple[list[list[float]], list[list[float]]]:
        """How often a search in resampled records joins two columns, and in which direction; see `bootstrap`."""
        network, options = self._fitted(), self._options(seed)
        if isinstance(network, LinearGaussianNetwork):
            find = gaussian_learning.graph_finder(self.event, records, replace(options, structure=search))
        else:
            find = graph_finder(network.nodes, records, options, search)
        strength, direction = edge_strengths(find, len(records), len(self.event), resamples, seed)
        return strength.tolist(), direction.tolist()

    # ------------------------------------------------------------------------------------------------------- answers

    def _fitted(self) -> Network:
        if self.network is None:
            raise NotSupported("This Bayesian network has not been fitted yet.")
        return self.network

    @property
    def edges(self) -> list[tuple[int, int]]:
        """The edges (parent, child) of the graph; a value and its code are one."""
        return [(parent, child) for child, parents in enumerate(self._fitted().graph) for parent in parents]

    def log_prob(self, batch: Batch, seed: int = 0) -> LogProb:
        """Exact scores of records with any evidence."""
        values = self._fitted().log_prob(batch)
        return LogProb(values, "exact", torch.zeros_like(values))

    def sample(self, size: int, generator: torch.Generator) -> Batch:
        """`size` independent records."""
        return self._fitted().sample(size, generator)

    def conditional(self, evidence: Batch, draws: int, generator: torch.Generator) -> Draws:
        """`draws` exact, independent records for each record of evidence."""
        return Draws(self._fitted().conditional(evidence, draws, generator))

    def states(self, entry: int) -> list[State]:
        """The states of an entry that answers are about: bins of its value, in order, then its codes."""
        return self._fitted().states(entry)

    def posterior(self, question: Question, targets: Sequence[int]) -> list[Tensor]:
        """For each target the exact probabilities (B, states) of its states."""
        return self._fitted().posterior(question, targets)

    def approximate_posterior(
        self, question: Question, targets: Sequence[int], method: str, draws: int, generator: torch.Generator
    ) -> list[Tensor]:
        """As `posterior`, for networks that are too wide for exact answers; see `approximation`."""
        network = self._fitted()
        if not isinstance(network, DiscreteNetwork):
            raise NotSupported("This kind of network answers exactly, or not at all: use method='exact'.")
        evidence = asked(network.nodes, question, targets)
        if method == "loopy":
            found = loopy_propagation(network, evidence, targets)
        else:
            found = likelihood_weighting(network, evidence, targets, draws, generator)
        return [torch.from_numpy(part[:, : len(self.states(i))]) for i, part in zip(targets, found, strict=True)]

    @property
    def structure(self) -> str:
        """How the graph was found, of "auto" what predicted held-out records best; "edges" where it was given."""
        own = self.settings["structure"]
        if not isinstance(own, str):
            return "edges"
        return own if own != "auto" else str((self.settings["network"] or {}).get("structure", "edges"))

    @property
    def search(self) -> SearchName:
        """The search by which the graph was found; where it was otherwise, the one that finds what comes next to it.

        Trees for hidden states, a graph that gives the columns their order for "ordered".
        """
        found = "chow_liu" if self.structure == "hidden_tree" else self.structure
        if found in get_args(SearchName):
            return cast(SearchName, found)
        # Codes and values together rarely have classes of equivalent graphs.
        return "hill_climbing" if self.settings["values"] == "linear_gaussian" else self._options(0).best

    @property
    def trees(self) -> int:
        """How many trees of hidden states there are; 0 where the network is none."""
        network = self._fitted()
        return len(network.trees) if isinstance(network, HiddenTreeNetwork) else 0

    @property
    def weights(self) -> list[float]:
        """The weight of each tree of hidden states in the mixture; empty where the network is none."""
        network = self._fitted()
        return network.weights.tolist() if isinstance(network, HiddenTreeNetwork) else []

    @property
    def hidden(self) -> int:
        """How many hidden states there are behind every column in the first tree; 0 where there are none."""
        network = self._fitted()
        return network.hidden[0] if isinstance(network, HiddenTreeNetwork) else 0

    def hidden_states(self, entry: int | None, tree: int) -> Meaning:
        """What the hidden states behind an entry stand for, None for the root of the tree."""
        network = self._fitted()
        if not isinstance(network, HiddenTreeNetwork):
            raise NotSupported("This network has no hidden states: use structure='hidden_tree'.")
        return meaning(network, tree, entry)

    def typical_values(self, entry: int, shares: Tensor, levels: Sequence[float]) -> list[list[State]] | None:
        """Of distributions (n, states) of an entry the quantiles; None where its states are no numbers."""
        network = self._fitted()
        if isinstance(network, LinearGaussianNetwork) or not numeric(network.nodes, entry):
            return None
        return quantiles(network.nodes, entry, shares, levels)

    def most_probable(self, question: Question, targets: Sequence[int]) -> tuple[Tensor, Tensor]:
        """The jointly most probable states (B, targets), and the log of their probability (B,) given the evidence."""
        return self._fitted().most_probable(question, targets)
