"""The equivalent sample size is the one of largest evidence, and finds the one that tables were drawn with."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest

from likewise.families.bayesian_network.structure.chow_liu import chow_liu
from likewise.families.bayesian_network.structure.constraints import constraints
from likewise.families.bayesian_network.structure.counts import Counts
from likewise.families.bayesian_network.structure.hill_climbing import Climb
from likewise.families.bayesian_network.structure.sample_size import CHOICES, evident_sample_size
from likewise.families.bayesian_network.structure.scores import FamilyScores, network_score
from likewise.families.bayesian_network.structure.search import find_graph


def tree(columns: int, rows: int, sample_size: float, seed: int) -> tuple[np.ndarray, list[int]]:
    """Rows of a chain of columns of three and four states, whose tables are drawn from the prior of BDeu."""
    rng = np.random.default_rng(seed)
    sizes = [3 + i % 2 for i in range(columns)]
    states = np.zeros((rows, columns), dtype=np.int64)
    states[:, 0] = rng.choice(3, rows, p=rng.dirichlet(np.full(3, sample_size / 3)))
    for i in range(1, columns):
        table = rng.dirichlet(np.full(sizes[i], sample_size / (sizes[i] * sizes[i - 1])), sizes[i - 1])
        states[:, i] = (rng.random((rows, 1)) >= table[states[:, i - 1]].cumsum(1)[:, :-1]).sum(1)
    return states, sizes


@pytest.mark.parametrize("seed", range(4))
def test_its_evidence_is_the_largest_score_of_the_tree(seed: int) -> None:
    states, sizes = tree(8, 400, 10.0, seed)
    counts = Counts(states, sizes)
    scores = {size: network_score(FamilyScores(states, sizes, "bdeu", size), chow_liu(counts)) for size in CHOICES}
    assert evident_sample_size(counts) == max(scores, key=scores.__getitem__)


@pytest.mark.parametrize("truth", [4.0, 16.0, 64.0])
def test_the_prior_that_tables_were_drawn_from_is_found(truth: float) -> None:
    for seed in range(3):
        states, sizes = tree(60, 5000, truth, seed)
        assert truth / 2 <= evident_sample_size(Counts(states, sizes)) <= 2 * truth


@pytest.mark.parametrize("method", ["hill_climbing", "ges"])
def test_hill_climbing_alone_takes_it(method: Literal["hill_climbing", "ges"]) -> None:
    states, sizes = tree(10, 60, 16.0, 1)
    evident = evident_sample_size(Counts(states, sizes))
    climb, free = Climb(10), constraints(10)

    def found(size: float | None) -> list[list[int]]:
        return find_graph(states, sizes, method, free, "bdeu", size, climb)

    # The two sizes lead to different graphs here, or the test would say nothing.
    assert found(1.0) != found(evident)
    assert found(None) == found(evident if method == "hill_climbing" else 1.0)


@pytest.mark.parametrize(("rows", "sizes"), [(0, [2, 2, 3]), (5, [1, 1])])
def test_records_that_tell_nothing_leave_it_at_one(rows: int, sizes: list[int]) -> None:
    assert evident_sample_size(Counts(np.zeros((rows, len(sizes)), dtype=np.int64), sizes)) == 1.0
