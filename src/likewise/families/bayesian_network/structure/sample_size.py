"""The equivalent sample size of BDeu, from the records."""

from __future__ import annotations

import numpy as np
from scipy.special import gammaln

from likewise.families.bayesian_network.structure.chow_liu import most_telling_tree
from likewise.families.bayesian_network.structure.counts import Counts
from likewise.families.bayesian_network.structure.scores import mutual_information

CHOICES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)


def evident_sample_size(counts: Counts) -> float:
    """That of `CHOICES` under which the records are the most probable, in the tree of most mutual information.

    The best graph depends much on the equivalent sample size, of which its evidence is a judge (Silander, Kontkanen and
    Myllymaki 2007). A tree takes no search, and its tables are those of pairs, which searches count anyway: for a tree
    with edges (u, v), u the parent, and the values V of sets that BDeu is made of (`FamilyScores`),

    `log p(records | a) = V(root) - V() + sum_uv [V(u, v) - V(u)]`,
    `V(S) = sum_k lgamma(a / cells + n_k) - lgamma(a / cells)`.
    """
    parents = most_telling_tree(mutual_information(counts))
    first = np.cumsum([0, *counts.sizes])
    own = [slice(first[i], first[i + 1]) for i in range(len(counts))]
    tables = [(-1.0, np.array([counts.rows]))]
    alone = counts.alone
    for child, above in enumerate(parents):
        if above:
            tables += [(1.0, counts.pairs[own[above[0]], own[child]]), (-1.0, alone[above[0]])]
        else:
            tables.append((1.0, alone[child]))
    numbers = np.concatenate([table.reshape(-1) for _, table in tables])
    cells = np.concatenate([np.full(table.size, float(table.size)) for _, table in tables])
    signs = np.concatenate([np.full(table.size, sign) for sign, table in tables])

    def evidence(size: float) -> float:
        return float((signs * (gammaln(size / cells + numbers) - gammaln(size / cells))).sum())

    return max(CHOICES, key=evidence)
