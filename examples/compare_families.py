"""Every family on one table, judged on records that none of them has seen.

    python examples/compare_families.py            # the wines that come with scikit-learn
    python examples/compare_families.py mine.csv

Leaves a folder with models, samples and report.html. Started again, it goes on where it was.
"""

from __future__ import annotations

import sys

import likewise as lw


def main() -> None:
    data = sys.argv[1] if len(sys.argv) > 1 else "wine"
    comparison = lw.compare(data, max_time="1m", folder="compared", verbose=1)
    print(comparison)
    print(comparison.report("compared/report.html"))

    best = comparison.rows[0]["model"]
    print(f"\nFive records of {best}:")
    print(comparison.models[best].sample(5, random_state=0))


if __name__ == "__main__":
    main()
