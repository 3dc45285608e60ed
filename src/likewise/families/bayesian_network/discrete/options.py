"""What the learner of a discrete network is asked for, and the rows it learns from."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from likewise.families.bayesian_network.discrete.partitions import Integers
from likewise.families.bayesian_network.structure.constraints import Constraints, constraints
from likewise.families.bayesian_network.structure.hill_climbing import GREEDY, Climb
from likewise.families.bayesian_network.structure.scores import ScoreName
from likewise.families.bayesian_network.structure.search import SearchName

MAX_PARENTS = {"trees": 8, "tables": 4}


@dataclass(frozen=True)
class Options:
    """What the learner is asked for; see `BayesianNetworkFamily`."""

    structure: str | list[list[int]] = "auto"
    conditionals: str = "trees"
    score: ScoreName = "bdeu"
    equivalent_sample_size: float | None = None
    max_parents: int | None = None
    max_bins: int | None = None
    smoothing: float | None = None
    climb: Climb = GREEDY
    max_states: int = 1 << 24
    required: list[list[int]] = field(default_factory=list)
    forbidden: list[list[int]] = field(default_factory=list)
    tiers: list[list[int]] = field(default_factory=list)
    names: list[str] = field(default_factory=list)

    @property
    def best(self) -> SearchName:
        """The best search for graphs of this score: "auto" has its bins, and "ordered" the order of what it finds."""
        return "hill_climbing" if self.score == "k2" else "ges"

    def constraints(self, columns: int) -> Constraints:
        """What the graph over the columns must obey."""
        names = self.names or None
        found = constraints(columns, self.max_parents, self.required, self.forbidden, self.tiers, names)
        return found if self.max_parents else replace(found, max_parents=MAX_PARENTS["tables"])


@dataclass(frozen=True)
class Rows:
    """Training and held-out rows as states (rows, columns), with what each column is."""

    train: Integers
    held_out: Integers
    sizes: list[int]
    ordered: list[int]
    unseen: list[int | None]
