"""Records of other generators on the same board, and what becomes of those that cheat.

    python examples/judge_other_generators.py

A Bayesian network learns a ring of eight modes. Beside it stand scikit-learn's Gaussian mixture, and samples that
would each win by some measure: shuffled columns have perfect histograms, copies fool every classifier, and one absurd
record in twenty hardly shows in an average.
"""

from __future__ import annotations

import numpy as np
from sklearn.mixture import GaussianMixture

import likewise as lw


def main() -> None:
    ring = lw.datasets.toy("ring")
    records, unseen, fresh = (ring.sample(1500, random_state=seed) for seed in range(3))
    rng = np.random.default_rng(0)
    absurd = fresh.copy()
    absurd.iloc[:75] = rng.uniform(-20, 20, size=(75, 2))
    comparison = lw.compare(
        records,
        families={"network": lw.BayesianNetwork(), "mixture": GaussianMixture(8, random_state=0)},
        samples={
            "shuffled": records.apply(lambda column: rng.permutation(column.to_numpy())),
            "parrot": records + rng.normal(scale=1e-4, size=records.shape),
            "absurd": absurd,
        },
        holdout=unseen,
        verbose=1,
    )
    print(comparison)


if __name__ == "__main__":
    main()
