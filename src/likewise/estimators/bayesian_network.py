"""The Bayesian network as a scikit-learn estimator."""

from __future__ import annotations

import copy
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Self, cast, get_args

import torch
from pandas import DataFrame
from sklearn.utils.validation import check_is_fitted

from likewise.domains.domain import Domain
from likewise.estimators import hidden_states, networks, questions
from likewise.estimators.answering import AnsweringMixin
from likewise.estimators.generative import Generative
from likewise.estimators.randomness import seed_from
from likewise.exchange import read_network, write_network
from likewise.families.bayesian_network.discrete.estimation import Prior, PriorName
from likewise.families.bayesian_network.family import BayesianNetworkFamily
from likewise.families.bayesian_network.structure.search import SearchName
from likewise.families.family import Question
from likewise.families.settings import POSITIVE_WHOLE, check, one_of


class BayesianNetwork(AnsweringMixin, Generative):
    """A graph over the columns, learned by search and counting: every score, sample and conditional is exact.

    Each column is a node; numeric ones are cut into bins with a density inside each bin. Every node has a distribution
    for each cell of a partition of its parents' states: a decision tree, so that it can have many parents, or a full
    table.

    Parameters
    ----------
    structure : "auto", "chow_liu", "hill_climbing", "ges", "exact", "ordered", "hidden_tree", or a list of edges
        The graph:

        - "chow_liu": the best tree (Chow and Liu 1968).
        - "hill_climbing": greedy search for a large `structure_score`, by adding, deleting and reversing edges.
        - "ges": greedy search over classes of equivalent graphs (Chickering 2002), deletions first and each edge
          deleted by force at the end (XGES: Nazaret and Blei 2024). It takes little longer and finds far better graphs.
        - "exact": the graph of largest score among all, for up to 20 columns (Silander and Myllymaeki 2006).
        - "ordered": an order of the columns in which a node may look at all before it (trees only).
        - "hidden_tree": trees with a hidden state behind every column (Liu and Van den Broeck 2021), close to the data
          as deep models are, with the same exact answers, but no graph to be read.
        - edges `(parent, child)` by name.

        "auto" takes what predicts held-out records best.
    conditionals : "trees" or "tables"
    structure_score : "bdeu", "bic", "aic", "k2" or "bge"
        What searches maximise; "bge" is one for values="linear_gaussian" and columns that are all numbers, where
        anything but "aic" and "bge" means BIC for values.
    equivalent_sample_size : "auto" or float
        Of BDeu: how many records its prior is worth. "auto" is 1, and in hill climbing over bins the power of two, up
        to 64, under which the records are the most probable, in the tree of most mutual information. Hill climbing
        over bins leaves out parents that tell nothing where the others are known, though BDeu gains by them.
    required, forbidden : sequences of edges `(parent, child)` by name, or None
        Edges that the graph must have, or must not have. A required edge stays where its parent turns out to tell
        nothing. Like tiers they are not for structure="hidden_tree", whose edges join hidden states.
    tiers : sequence of sequences of columns, or None
        No column has a parent in a later tier; columns in no tier are free.
    max_parents, max_bins : int or None
        Limits for each column; None chooses.
    smoothing : "auto" or float
        Pseudo-counts added to every state, or back-off to coarser cells with strengths chosen on held-out records.
    tabu, restarts : int
        How many moves hill climbing goes on beyond a local optimum, and how often it starts anew from its best graph
        with a few random changes.
    values : "bins" or "linear_gaussian"
        The nodes of numeric columns.
    states, components : int or None
        Of structure="hidden_tree": how many hidden states each column has, and how many trees there are at most, each
        for the part of the records whose columns depend on each other alike. None for as many states as the records
        of each part and the seconds suffice for, and held-out records ask for, and for several such mixtures side by
        side as long as held-out records gain.
    max_memory : int
        Bytes that one table of exact inference may take.
    max_states : int
        structure="ordered" leaves out the weakest edges until no question needs a table of more states than this.
    max_time : seconds, a text such as "5m", or None
        Of structure="hidden_tree"; any other takes the time it takes.
    max_steps : accepted like every family's
        A network is learned in one pass, which no budget cuts short.
    validation_fraction : float
        The share of the records that is held out to choose between graphs.
    random_state : int, RandomState or None
    device : "auto", "cpu", "cuda", "cuda:1" or "mps"
        Counting is done on the processor in any case.
    domain : Domain or None
        The schema, such as `Table(kinds=...)`; None infers it.
    checkpoint, resume : accepted like every family's
        There is nothing to go on from: the fit is one pass.
    verbose : int

    Examples
    --------
    >>> import likewise as lw
    >>> frame = lw.datasets.load("wine")
    >>> model = lw.BayesianNetwork(random_state=0).fit(frame)
    >>> model.sample(3, given={"target": "class_0"})["target"].tolist()
    ['class_0', 'class_0', 'class_0']
    >>> model.log_likelihood(frame).kind
    'exact'
    """

    family_name = "bayesian_network"

    def __init__(
        self,
        *,
        structure: Literal["auto", "chow_liu", "hill_climbing", "ges", "exact", "ordered", "hidden_tree"]
        | Sequence[tuple[str, str]] = "auto",
        conditionals: Literal["trees", "tables"] = "trees",
        structure_score: Literal["bdeu", "bic", "aic", "k2", "bge"] = "bdeu",
        equivalent_sample_size: Literal["auto"] | float = "auto",
        required: Sequence[tuple[str, str]] | None = None,
        forbidden: Sequence[tuple[str, str]] | None = None,
        tiers: Sequence[Sequence[str]] | None = None,
        max_parents: int | None = None,
        max_bins: int | None = None,
        smoothing: Literal["auto"] | float = "auto",
        tabu: int = 10,
        restarts: int = 0,
        values: Literal["bins", "linear_gaussian"] = "bins",
        states: int | None = None,
        components: int | None = None,
        max_memory: int = 1 << 30,
        max_states: int = 1 << 24,
        max_time: float | str | None = None,
        max_steps: int | None = None,
        validation_fraction: float = 0.1,
        random_state: Any = None,
        device: str = "auto",
        domain: Domain | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        resume: bool = False,
        verbose: int = 0,
    ) -> None:
        self.structure = structure
        self.conditionals = conditionals
        self.structure_score = structure_score
        self.equivalent_sample_size = equivalent_sample_size
        self.required = required
        self.forbidden = forbidden
        self.tiers = tiers
        self.max_parents = max_parents
        self.max_bins = max_bins
        self.smoothing = smoothing
        self.tabu = tabu
        self.restarts = restarts
        self.values = values
        self.states = states
        self.components = components
        self.max_memory = max_memory
        self.max_states = max_states
        self.max_time = max_time
        self.max_steps = max_steps
        self.validation_fraction = validation_fraction
        self.random_state = random_state
        self.device = device
        self.domain = domain
        self.checkpoint = checkpoint
        self.resume = resume
        self.verbose = verbose

    def _settings(self) -> dict[str, Any]:
        structure = self.structure if isinstance(self.structure, str) else [list(edge) for edge in self.structure]
        told = {
            "required": None if self.required is None else [list(edge) for edge in self.required],
            "forbidden": None if self.forbidden is None else [list(edge) for edge in self.forbidden],
            "tiers": None if self.tiers is None else [list(tier) for tier in self.tiers],
        }
        return {**self._named_alike(), **told, "structure": structure, "score": self.structure_score}

    # ------------------------------------------------------------------------------------------------------ parameters

    def fit_parameters(
        self,
        X: Any,
        y: Any = None,
        *,
        prior: PriorName = "dirichlet",
        weight: float = 1.0,
        max_iterations: int = 200,
        tolerance: float = 1e-4,
    ) -> Self:
        """Fits the tables of a graph that is known, or was learned before, to records with blanks.

        A blank cell is unknown: it is summed out by expectation maximisation (Lauritzen 1995).

        Parameters
        ----------
        X, y : records, and labels where the model has some
        prior : "none", "dirichlet" or "bdeu"
            Maximum likelihood; `weight` pseudo-counts for every state of every cell; or `weight` in all, spread evenly
            over each table (Heckerman, Geiger and Chickering 1995).
        weight : float
        max_iterations : int
            Of expectation maximisation.
        tolerance : float
            It ends when an iteration gains less than this, in nats a record.

        Returns
        -------
        self
            `training_record_["parameters"]` says how it went: iterations, whether it converged, the curve.

        Raises
        ------
        DataError
            Where a record cannot be explained by any parameters of the graph, naming it.
        NotSupported
            With values="linear_gaussian" or structure="hidden_tree".
        """
        check_is_fitted(self, "family_")
        source, labels = self._read(X, y)
        batch = self.domain_.encode(source, labels, blanks="unknown")
        family = copy.deepcopy(self.family_, {id(self.family_.event): self.family_.event})
        assert isinstance(family, BayesianNetworkFamily)
        with torch.inference_mode():
            record = family.fit_parameters(Question(batch), Prior(prior, weight), max_iterations, tolerance)
        self.family_ = family
        self.training_record_ = {**self.training_record_, "parameters": dict(record)}
        return self

    # ------------------------------------------------------------------------------------------------------- structure

    def edge_confidence(
        self, X: Any, y: Any = None, *, resamples: int = 100, structure: str | None = None, random_state: Any = None
    ) -> DataFrame:
        """How often each edge is found when the records are drawn anew (Friedman, Goldszmidt and Wyner 1999).

        Every resample has as many records as X, drawn from it with replacement. They are searched with the settings of
        the model, in the bins in which a fit would see all of X.

        Parameters
        ----------
        X, y : records, and labels where the model has some
            Usually those of the fit.
        resamples : int
        structure : "hill_climbing", "ges", "exact" or "chow_liu", optional
            The search; None for the one that found the model's graph, of structure="auto" the one that was chosen.
            Where no search alone did, "chow_liu" for hidden states, and else "ges", which finds the order of columns
            that structure="ordered" goes by ("hill_climbing" with structure_score="k2" or values="linear_gaussian").
        random_state : int, RandomState or None

        Returns
        -------
        DataFrame
            A row for each edge `from`, `to` that was found at least once, in either direction, the most frequent first:
            `strength`, the share of resamples in which the two columns were joined, and `direction`, the share of these
            in which the edge went this way; where both ways fit equally well each has half of it.

        Raises
        ------
        NotSupported
            Where the search cannot be done, as for `fit`.

        Examples
        --------
        >>> import likewise as lw
        >>> records = {"wet": ["yes", "no", "no", "no"] * 25, "rain": ["yes", "no", "no", "yes"] * 25}
        >>> model = lw.BayesianNetwork(structure="ges", random_state=0).fit(records)
        >>> model.edge_confidence(records, resamples=10, random_state=0)
           from    to  strength  direction
        0   wet  rain       1.0        0.5
        1  rain   wet       1.0        0.5
        """
        check_is_fitted(self, "family_")
        assert isinstance(self.family_, BayesianNetworkFamily)
        structure = self.family_.search if structure is None else structure
        check(one_of(*get_args(SearchName)), structure=structure)
        check(POSITIVE_WHOLE, resamples=resamples)
        source, labels = self._read(X, y)
        batch = self.domain_.encode(source, labels)
        with torch.inference_mode():
            seed = seed_from(random_state)
            strength, direction = self.family_.edge_strengths(batch, cast(SearchName, structure), resamples, seed)
        names = questions.columns(self)
        pairs = [(u, v) for u in range(len(names)) for v in range(len(names)) if strength[u][v] > 0]
        pairs.sort(key=lambda pair: (-strength[pair[0]][pair[1]], min(pair), max(pair), -direction[pair[0]][pair[1]]))
        return DataFrame(
            {
                "from": [names[u] for u, _ in pairs],
                "to": [names[v] for _, v in pairs],
                "strength": [strength[u][v] for u, v in pairs],
                "direction": [direction[u][v] for u, v in pairs],
            }
        )

    # -------------------------------------------------------------------------------------------------------- exchange

    @classmethod
    def read(cls, path: str | os.PathLike[str], *, max_memory: int = 1 << 30) -> Self:
        """A fitted model of the discrete network in a file: BIF (`.bif`) or XMLBIF (`.xml`, `.xmlbif`, `.bifxml`).

        Columns are the variables and categories their states; records come as pandas frames of categories.

        Parameters
        ----------
        path : str or path
        max_memory : int
            Bytes that exact inference may take at once.

        Raises
        ------
        DataError
            When the file is not a network, naming the line.

        Examples
        --------
        >>> import tempfile, pathlib
        >>> import likewise as lw
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "rain.bif"
        >>> _ = path.write_text('''network rain { }
        ... variable rain { type discrete [ 2 ] { yes, no }; }
        ... variable wet { type discrete [ 2 ] { yes, no }; }
        ... probability ( rain ) { table 0.2, 0.8; }
        ... probability ( wet | rain ) { (yes) 0.9, 0.1; (no) 0.1, 0.9; }''')
        >>> model = lw.BayesianNetwork.read(path)
        >>> model.query("rain", given={"wet": "yes"})["probability"].round(3).to_dict()
        {'yes': 0.692, 'no': 0.308}
        """
        return networks.restore(cls(conditionals="tables", max_memory=max_memory), read_network(path))

    def write(self, path: str | os.PathLike[str]) -> None:
        """Writes the network to a BIF or XMLBIF file, by suffix as in `read`, atomically.

        A numeric column becomes a variable whose states are intervals, and a tree becomes a table. Densities inside
        the intervals have no place in such files: `save` keeps everything.

        Raises
        ------
        NotSupported
            Where a table would be too large, with values="linear_gaussian" or structure="hidden_tree".
        """
        check_is_fitted(self, "family_")
        write_network(networks.describe(self, Path(path).stem), path)

    def to_networkx(self) -> Any:
        """The graph as a `networkx.DiGraph`: nodes are columns, with their `states`, edges go from parent to child."""
        check_is_fitted(self, "family_")
        import networkx

        graph = networkx.DiGraph()
        for name in questions.columns(self):
            graph.add_node(name, states=self.states_of(name))
        graph.add_edges_from(self.edges_)
        return graph

    @property
    def edges_(self) -> list[tuple[str, str]]:
        """The edges (parent, child) of the learned graph, of structure="hidden_tree" those of the first tree."""
        check_is_fitted(self, "family_")
        assert isinstance(self.family_, BayesianNetworkFamily)
        names = questions.columns(self)
        return [(names[parent], names[child]) for parent, child in self.family_.edges]

    # --------------------------------------------------------------------------------------------------- hidden states

    @property
    def tree_weights_(self) -> list[float]:
        """The weight of each tree in the mixture of structure="hidden_tree"; empty for other structures.

        Where several mixtures of all records stand side by side, each is that of the tree's part, over their number.
        """
        check_is_fitted(self, "family_")
        assert isinstance(self.family_, BayesianNetworkFamily)
        return self.family_.weights

    def hidden_states(self, column: str | None = None, *, top: int | None = 8, tree: int = 0) -> DataFrame:
        """What the hidden states behind a column stand for, exactly: the records that are in each of them.

        Only for structure="hidden_tree". A state says most of columns near its own in the tree (see `edges_`), and
        little of those far away. A tree of several stands for a part of the records alone (see `tree_weights_`), and
        so do its states: what is told is told of that part.

        Parameters
        ----------
        column : column, optional
            None for the one at the root of the tree, which is near all others.
        top : int or None
            How many states, the most probable first; None for all.
        tree : int
            Which tree of the mixture; the first is 0.

        Returns
        -------
        DataFrame
            A row for each `state` and `column`; of a state the columns that it says most about come first.
            `probability` is the share of the tree's records in the state. Of categories `typical` is the most probable
            one, None being *missing*, and `share` how probable it is; of numbers `typical` is the median of those that
            are not missing, and four fifths of them lie from `low` to `high`, in the user's units. `bits` says how far
            the column's distribution in the state is from that of all the tree's records (Kullback and Leibler 1951).

        Raises
        ------
        NotSupported
            Where the network has no hidden states.

        Examples
        --------
        >>> import likewise as lw
        >>> records = {"wet": ["yes", "no", "no"] * 40, "rain": [9.5, 0.5, 0.25] * 40}
        >>> model = lw.BayesianNetwork(structure="hidden_tree", states=2, random_state=0).fit(records)
        >>> found = model.hidden_states("wet")
        >>> found[found["column"] == "rain"]["typical"].tolist()
        [0.5, 9.5]
        """
        check_is_fitted(self, "family_")
        return hidden_states.table(self, column, top, tree)
