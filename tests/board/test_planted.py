"""No bad generator looks good, and no copy of the data wins: planted ones stand below every honest model."""

import pytest
from planted import COPIES, FAULTS, planted

import likewise as lw


@pytest.fixture(scope="module")
def ring() -> lw.Comparison:
    toy = lw.datasets.toy("ring")
    train, held_out, fresh = (toy.sample(size, random_state=i) for i, size in enumerate((1000, 500, 1000)))
    samples = planted(train, fresh, seed=0)
    honest = {"network": lw.BayesianNetwork(random_state=0)}
    return lw.compare(train, families=honest, samples=samples, holdout=held_out, max_rows=1000)


def test_every_bad_generator_stands_below_the_honest_model(ring):
    assert ring.failures == {}
    assert ring.rows[0]["model"] == "network"
    assert all(row["score"] < 0.5 * ring.rows[0]["score"] for row in ring.rows[1:-3])


def test_copies_stand_below_everything(ring):
    assert {row["model"] for row in ring.rows[-5:-3]} == set(COPIES)


@pytest.mark.parametrize("name", FAULTS)
def test_the_verdict_names_the_fault(ring, name):
    row = next(row for row in ring.rows if row["model"] == name)
    assert FAULTS[name] in row["verdict"], row["verdict"]


def test_the_honest_model_is_not_blamed(ring):
    verdict = ring.rows[0]["verdict"]
    assert "memorises nothing" in verdict
    assert not any(words in verdict for name, words in FAULTS.items() if name != "one Gaussian"), verdict
