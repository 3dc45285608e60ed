"""The Bayesian network as a scikit-learn estimator."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Literal

from likewise.domains.domain import Domain
from likewise.estimators.generative import Generative


class BayesianNetwork(Generative):
    """A graph over the columns, learned by search and counting: every score, sample and conditional is exact.

    Each column is a node; numeric ones are cut into bins with a density inside each bin. Every node has a distribution
    for each cell of a partition of its parents' states: a decision tree, so that it can have many parents, or a full
    table.

    Parameters
    ----------
    structure : "auto", "chow_liu", "hill_climbing", "ordered", or a list of edges
        The graph: the best tree (Chow and Liu, 1968); greedy search on `structure_score`; an order of the columns in
        which a node may look at all before it (trees only); or edges `(parent, child)` by name. "auto" takes what
        predicts held-out records best.
    conditionals : "trees" or "tables"
    structure_score : "bic" or "bdeu"
        What hill climbing maximises.
    equivalent_sample_size : float
        Of BDeu.
    max_parents, max_bins : int or None
        Limits for each column; None chooses.
    smoothing : "auto" or float
        Pseudo-counts added to every state, or back-off to coarser cells with strengths chosen on held-out records.
    tabu : int
        How many moves hill climbing goes on beyond a local optimum.
    values : "bins" or "linear_gaussian"
        The nodes of numeric columns.
    max_memory : int
        Bytes that one table of exact inference may take.
    max_states : int
        structure="ordered" leaves out the weakest edges until no question needs a table of more states than this.
    max_time, max_steps : accepted like every family's
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
        structure: Literal["auto", "chow_liu", "hill_climbing", "ordered"] | Sequence[tuple[str, str]] = "auto",
        conditionals: Literal["trees", "tables"] = "trees",
        structure_score: Literal["bic", "bdeu"] = "bic",
        equivalent_sample_size: float = 10.0,
        max_parents: int | None = None,
        max_bins: int | None = None,
        smoothing: Literal["auto"] | float = "auto",
        tabu: int = 0,
        values: Literal["bins", "linear_gaussian"] = "bins",
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
        self.max_parents = max_parents
        self.max_bins = max_bins
        self.smoothing = smoothing
        self.tabu = tabu
        self.values = values
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
        return {**self._named_alike(), "structure": structure, "score": self.structure_score}
