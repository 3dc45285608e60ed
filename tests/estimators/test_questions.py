"""Questions to a Bayesian network, in the words of a user: their answers are those of hand and enumeration."""

from __future__ import annotations

import copy
import itertools
import math
import re
from pathlib import Path

import networkx
import numpy as np
import pandas as pd
import pytest

import likewise as lw
from likewise.errors import DataError, NotSupported
from likewise.exchange import read_network, write_network
from likewise.exchange.description import NetworkDescription
from likewise.families.bayesian_network.inference.relevance import too_wide

NETWORKS = Path(__file__).parents[3] / "shared" / "data" / "bayesian_networks"

SPRINKLER = """
network sprinkler { }
variable season { type discrete [ 2 ] { dry, wet }; }
variable rain { type discrete [ 2 ] { no, yes }; }
variable sprinkler { type discrete [ 2 ] { off, on }; }
variable grass { type discrete [ 3 ] { dry, damp, soaked }; }
probability ( season ) { table 0.6, 0.4; }
probability ( rain | season ) { (dry) 0.9, 0.1; (wet) 0.3, 0.7; }
probability ( sprinkler | season ) { (dry) 0.4, 0.6; (wet) 0.95, 0.05; }
probability ( grass | rain, sprinkler ) {
  (no, off) 0.95, 0.04, 0.01;
  (no, on) 0.1, 0.6, 0.3;
  (yes, off) 0.05, 0.55, 0.4;
  (yes, on) 0.01, 0.19, 0.8;
}
"""


@pytest.fixture
def model(tmp_path: Path) -> lw.BayesianNetwork:
    path = tmp_path / "sprinkler.bif"
    path.write_text(SPRINKLER)
    return lw.BayesianNetwork.read(path)


def joint(do: dict[str, str] | None = None) -> pd.Series:
    """The joint distribution, by hand; `do` cuts what a variable listens to."""
    do = do or {}
    season = {"dry": 0.6, "wet": 0.4}
    rain = {"dry": {"no": 0.9, "yes": 0.1}, "wet": {"no": 0.3, "yes": 0.7}}
    sprinkler = {"dry": {"off": 0.4, "on": 0.6}, "wet": {"off": 0.95, "on": 0.05}}
    grass = {
        ("no", "off"): (0.95, 0.04, 0.01),
        ("no", "on"): (0.1, 0.6, 0.3),
        ("yes", "off"): (0.05, 0.55, 0.4),
        ("yes", "on"): (0.01, 0.19, 0.8),
    }
    cells = {}
    for s, r, k, (g, wet) in itertools.product(
        season, ("no", "yes"), ("off", "on"), enumerate(("dry", "damp", "soaked"))
    ):
        parts = {
            "season": season[s],
            "rain": rain[s][r],
            "sprinkler": sprinkler[s][k],
            "grass": grass[r, k][g],
        }
        state = {"season": s, "rain": r, "sprinkler": k, "grass": wet}
        p = math.prod(float(state[name] == do[name]) if name in do else part for name, part in parts.items())
        cells[tuple(state.values())] = p
    return pd.Series(cells).rename_axis(["season", "rain", "sprinkler", "grass"])


def marginal(cells: pd.Series, name: str, **given: object) -> dict[str, float]:
    frame = cells.rename("p").reset_index()
    for column, allowed in given.items():
        frame = frame[frame[column].isin(allowed if isinstance(allowed, list) else [allowed])]
    total = frame.groupby(name, sort=False)["p"].sum()
    return (total / total.sum()).to_dict()


def close(found: pd.Series, expected: dict[str, float]) -> None:
    assert set(expected) <= set(found.index)
    for state, p in found.items():
        assert p == pytest.approx(expected.get(state, 0.0), abs=1e-12)


# -------------------------------------------------------------------------------------------------------------- asking


def test_a_query_is_what_the_joint_distribution_says(model):
    assert model.states_of("grass") == ["dry", "damp", "soaked"]
    for given in ({}, {"grass": "soaked"}, {"grass": ["damp", "soaked"], "sprinkler": "off"}, {"season": "dry"}):
        found = model.query("rain", given)
        close(found["probability"], marginal(joint(), "rain", **given))
        close(found["without evidence"], marginal(joint(), "rain"))


def test_what_is_set_from_outside_says_nothing_of_its_causes(model):
    seen = model.query("season", {"sprinkler": "on"})["probability"]
    set_ = model.query("season", do={"sprinkler": "on"})["probability"]
    close(seen, marginal(joint(), "season", sprinkler="on"))
    close(set_, {"dry": 0.6, "wet": 0.4})
    close(
        model.query("rain", {"grass": "damp"}, do={"sprinkler": "on"})["probability"],
        marginal(joint({"sprinkler": "on"}), "rain", grass="damp"),
    )
    rows = pd.DataFrame({"grass": ["damp", "dry", None]})
    found = model.posterior(rows, ["rain", "grass"], do={"sprinkler": "on"})
    for row, given in enumerate(({"grass": "damp"}, {"grass": "dry"}, {})):
        expected = marginal(joint({"sprinkler": "on"}), "rain", **given)
        np.testing.assert_allclose(found["rain"][row], [expected["no"], expected["yes"]], atol=1e-12)


def test_soft_evidence_weighs_states(model):
    cells = joint()
    weights = {"dry": 0.1, "damp": 0.5, "soaked": 2.0}
    weighed = cells * cells.index.get_level_values("grass").map(weights).to_numpy()
    close(model.query("rain", {"grass": weights})["probability"], marginal(weighed, "rain"))
    # A state that is not named does not agree at all.
    close(model.query("rain", {"grass": {"damp": 3.0}})["probability"], marginal(cells, "rain", grass="damp"))
    # What is set from outside stays as it is set.
    found = model.query("grass", {"rain": {"yes": 1.0}}, do={"rain": "no"})["probability"]
    close(found, marginal(joint({"rain": "no"}), "grass"))
    found = model.posterior({"grass": weights, "season": "wet"})
    expected = marginal(weighed, "grass", season="wet")
    np.testing.assert_allclose(found["grass"][0], [expected[state] for state in weights], atol=1e-12)


def test_records_are_rows_of_evidence_whose_blanks_are_unknown(model):
    rows = pd.DataFrame({"season": ["dry", None, "wet"], "grass": ["soaked", "soaked", None]})
    found = model.posterior(rows)
    assert list(found) == ["season", "rain", "sprinkler", "grass"]
    for row in range(3):
        given = {name: cell for name, cell in rows.iloc[row].items() if cell is not None and cell == cell}
        for name, part in found.items():
            expected = marginal(joint(), name, **given)
            np.testing.assert_allclose(part[row], [expected.get(s, 0.0) for s in model.states_of(name)], atol=1e-12)
    assert found["grass"][0].tolist() == [0, 0, 1]


def test_the_most_probable_explanation_and_the_most_probable_part(model):
    cells = joint()
    soaked = cells[cells.index.get_level_values("grass") == "soaked"]
    found = model.most_probable({"grass": "soaked"})
    assert tuple(found.states.iloc[0]) == soaked.idxmax()
    assert found.log_probability[0] == pytest.approx(math.log(soaked.max() / soaked.sum()))
    part = model.most_probable({"grass": "soaked"}, ["rain", "sprinkler"])
    summed = soaked.groupby(["rain", "sprinkler"]).sum()
    assert tuple(part.states.iloc[0]) == summed.idxmax()
    assert part.log_probability[0] == pytest.approx(math.log(summed.max() / summed.sum()))


def test_the_value_of_information_is_the_mutual_information(model):
    found = model.value_of_information("rain", {"season": "dry"})
    cells = joint()
    cells = cells[cells.index.get_level_values("season") == "dry"]
    cells = cells / cells.sum()
    for name in ("sprinkler", "grass"):
        both, a, b = cells.groupby(["rain", name]).sum(), cells.groupby("rain").sum(), cells.groupby(name).sum()
        bits = sum(p * math.log2(p / (a[r] * b[k])) for (r, k), p in both.items())
        assert found.loc[name, "bits"] == pytest.approx(bits, abs=1e-12)
    assert found.index.tolist() == ["grass", "sprinkler"]
    assert found["bits"].is_monotonic_decreasing
    assert model.value_of_information("rain", columns=["sprinkler"]).index.tolist() == ["sprinkler"]


def test_an_explanation_says_what_each_piece_adds(model):
    found = model.explain("rain", {"grass": "soaked", "sprinkler": "on"})
    now = marginal(joint(), "rain", grass="soaked", sprinkler="on")
    top = max(now, key=now.get)
    for piece, rest in (("grass", {"sprinkler": "on"}), ("sprinkler", {"grass": "soaked"})):
        left, alone = marginal(joint(), "rain", **rest), {piece: "soaked" if piece == "grass" else "on"}
        bits = sum(p * math.log2(p / left[state]) for state, p in now.items())
        assert found.loc[piece, "bits"] == pytest.approx(bits, abs=1e-12)
        assert found.loc[piece, f"adds to rain = {top}"] == pytest.approx(now[top] - left[top], abs=1e-12)
        by_itself = marginal(joint(), "rain", **alone)[top] - marginal(joint(), "rain")[top]
        assert found.loc[piece, "adds alone"] == pytest.approx(by_itself, abs=1e-12)


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda m: m.query("snow"), r"no column 'snow'"),
        (lambda m: m.posterior({}, ["rain", "rain"]), "named twice"),
        (lambda m: m.query("rain", {"grass": "green"}), "green"),
        (lambda m: m.query("rain", {"grass": {"green": 1.0}}), "no state 'green'"),
        (lambda m: m.query("rain", {"grass": {"dry": -1.0}}), "expected a number from 0 on"),
        (lambda m: m.query("rain", {"grass": {"dry": 0.0}}), "no state has a weight"),
        (lambda m: m.query("rain", do={"grass": ["dry", "damp"]}), "sets a column to one value"),
        (lambda m: m.query("rain", do={"grass": None}), "sets nothing"),
        (lambda m: m.explain("rain", pd.DataFrame({"grass": ["dry", "damp"]})), "one row of evidence; there are 2"),
        (lambda m: m.posterior(pd.DataFrame({"grass": ["dry", "mud"]})), "mud"),
    ],
)
def test_what_cannot_be_answered_says_why(model, ask, said):
    with pytest.raises(DataError, match=said):
        ask(model)


@pytest.mark.parametrize("targets", ["season", "rain", "sprinkler", "grass"])
def test_the_most_probable_state_of_one_column_is_that_of_an_enumeration(model, targets):
    weights = {"dry": 0.1, "damp": 0.5, "soaked": 2.0}
    weighed = joint() * joint().index.get_level_values("grass").map(weights).to_numpy()
    cases = [
        ({}, {}, joint()),
        ({"season": "wet"}, {}, joint()),
        ({"grass": ["damp", "soaked"], "sprinkler": "off"}, {}, joint()),
        ({"grass": weights, "season": "dry"}, {}, weighed),
        ({"grass": "damp"}, {"sprinkler": "on"}, joint({"sprinkler": "on"})),
    ]
    for given, do, cells in cases:
        allowed = {name: part for name, part in given.items() if not isinstance(part, dict)}
        expected = marginal(cells, targets, **allowed)
        found = model.most_probable(given, targets, do=do)
        assert found.states[targets].tolist() == [max(expected, key=expected.get)]
        assert found.log_probability[0] == pytest.approx(math.log(max(expected.values())), abs=1e-12)


COPIES = """
network copies { }
variable a { type discrete [ 2 ] { 0, 1 }; }
variable b { type discrete [ 2 ] { 0, 1 }; }
variable c { type discrete [ 2 ] { 0, 1 }; }
probability ( a ) { table 0.5, 0.5; }
probability ( b | a ) { (0) 1, 0; (1) 0, 1; }
probability ( c | b ) { (0) 1, 0; (1) 0, 1; }
"""


def test_impossible_evidence_names_its_row(tmp_path):
    (tmp_path / "copies.bif").write_text(COPIES)
    model = lw.BayesianNetwork.read(tmp_path / "copies.bif")
    rows = pd.DataFrame({"a": ["0", "0"], "c": ["0", "1"]})
    for ask in (
        model.most_probable,
        model.conditional,
        lambda rows: model.posterior(rows, "b"),
        lambda rows: model.posterior(rows, "b", method="loopy"),
    ):
        with pytest.raises(DataError, match="Row 1 of the evidence has probability zero"):
            ask(rows)
    soft = {"a": {"0": 1.0}, "c": {"1": 3.0}}
    for method in ("exact", "loopy"):
        with pytest.raises(DataError, match="Row 0 of the evidence has probability zero"):
            model.posterior(soft, "b", method=method)
    for row, given in ((1, rows), (0, soft)):
        with pytest.raises(NotSupported, match=f"Row {row}: none of 100 weighted draws agrees .* or impossible"):
            model.posterior(given, "b", method="likelihood_weighting", draws=100, random_state=0)


@pytest.mark.parametrize(
    "settings",
    [
        {"structure": [("kind", "size")]},
        {"structure": "hidden_tree", "states": 2, "components": 2},
        {"structure": [("kind", "size")], "values": "linear_gaussian"},
    ],
    ids=["tables", "hidden trees", "linear Gaussian"],
)
def test_no_rows_of_evidence_have_no_answers(settings):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"size": rng.normal(size=60), "kind": ["a", "b", "b"] * 20})
    model = lw.BayesianNetwork(random_state=0, **settings).fit(frame)
    for nothing in (frame.iloc[:0], frame[["kind"]].iloc[:0]):
        found = model.posterior(nothing)
        assert {name: part.shape for name, part in found.items()} == {
            name: (0, len(model.states_of(name))) for name in frame.columns
        }
        best = model.most_probable(nothing, "kind")
        assert best.states.shape == (0, 1)
        assert best.log_probability.shape == (0,)
        assert model.conditional(nothing, draws=4).records.shape == (0, 2)
    with pytest.raises(DataError, match="one row of evidence; there are 0"):
        model.query("kind", frame.iloc[:0])


def test_no_rows_of_evidence_have_no_answers_by_any_method(model):
    nothing = pd.DataFrame({"season": [], "grass": []}, dtype=object)
    for method in ("exact", "likelihood_weighting", "loopy"):
        found = model.posterior(nothing, ["rain", "grass"], do={"sprinkler": "on"}, method=method)
        assert [part.shape for part in found.values()] == [(0, 2), (0, 3)]


# ------------------------------------------------------------------------------------------------------- approximations


def test_weighted_draws_approach_the_posterior_of_any_evidence(model):
    rows = pd.DataFrame({"season": ["dry", None, None], "grass": ["soaked", "damp", None]})
    exact = model.posterior(rows)
    drawn = model.posterior(rows, method="likelihood_weighting", draws=40_000, random_state=0)
    for name, part in exact.items():
        np.testing.assert_allclose(drawn[name], part, atol=0.02)
    given = {"grass": {"damp": 1.0, "soaked": 0.2}, "rain": ["no"]}
    soft = model.posterior(
        given, "season", method="likelihood_weighting", draws=40_000, random_state=0, do={"sprinkler": "on"}
    )
    np.testing.assert_allclose(
        soft["season"], model.posterior(given, "season", do={"sprinkler": "on"})["season"], atol=0.02
    )


def test_weighted_draws_that_say_nothing_are_refused(model):
    with pytest.raises(NotSupported, match=r"worth .* independent ones"):
        model.posterior({"grass": "soaked"}, "rain", method="likelihood_weighting", draws=20, random_state=0)


def test_messages_are_exact_on_trees_and_near_elsewhere(model, tmp_path):
    # With the sprinkler known the graph has no loop.
    rows = pd.DataFrame({"sprinkler": ["on", "off", "on"], "grass": ["damp", None, None]})
    exact, loopy = model.posterior(rows), model.posterior(rows, method="loopy")
    for name, part in exact.items():
        np.testing.assert_allclose(loopy[name], part, atol=1e-8)
    given = {"grass": "soaked"}
    exact, loopy = model.posterior(given), model.posterior(given, method="loopy")
    for name, part in exact.items():
        np.testing.assert_allclose(loopy[name], part, atol=0.1)
    assert np.abs(loopy["rain"] - exact["rain"]).max() > 1e-6
    with pytest.raises(DataError, match="method='guess'"):
        model.posterior({}, method="guess")


def test_what_is_too_wide_is_refused_unless_an_approximation_is_named(tmp_path):
    (tmp_path / "sprinkler.bif").write_text(SPRINKLER)
    model, small = (lw.BayesianNetwork.read(tmp_path / "sprinkler.bif", max_memory=size) for size in (1 << 30, 40))
    for ask in (lambda: small.posterior({}), lambda: small.query("rain"), lambda: small.most_probable({})):
        with pytest.raises(NotSupported, match=r"of \d+ states.* max_memory"):
            ask()
    exact = model.posterior({"grass": "damp", "sprinkler": "on"}, "rain")["rain"]
    for method in ("likelihood_weighting", "loopy"):
        given = {"grass": "damp", "sprinkler": "on"}
        found = small.posterior(given, "rain", method=method, draws=40_000, random_state=0)["rain"]
        np.testing.assert_allclose(found, exact, atol=0.02)


def ring(size: int) -> NetworkDescription:
    """Variables of four states around one loop: the last listens to the one before it and to the first."""
    rng = np.random.default_rng(0)
    parents = [(), *((i - 1,) for i in range(1, size - 1)), (0, size - 2)]
    return NetworkDescription(
        "ring",
        tuple(f"v{i}" for i in range(size)),
        (tuple("abcd"),) * size,
        tuple(parents),
        tuple(rng.dirichlet(np.ones(4), (4,) * len(above)) for above in parents),
    )


def test_messages_go_around_networks_of_any_number_of_joint_states(tmp_path):
    write_network(ring(40), tmp_path / "ring.bif")  # 2^80 of them
    model = lw.BayesianNetwork.read(tmp_path / "ring.bif")
    rows = pd.DataFrame({"v39": ["a", "d", None], "v20": [None, "b", "c"]})
    exact, loopy = model.posterior(rows), model.posterior(rows, method="loopy")
    assert len(exact) == 40
    for name, part in exact.items():
        np.testing.assert_allclose(loopy[name], part, atol=1e-6)  # what goes around the loop has faded


def test_what_is_too_wide_by_any_number_of_states_is_refused_in_plain_numbers(tmp_path):
    # All pairs of causes have an effect: with all of these known, a table of all causes is needed.
    causes = 34
    pairs = list(itertools.combinations(range(causes), 2))
    network = NetworkDescription(
        "pairs",
        tuple(f"v{i}" for i in range(causes + len(pairs))),
        (tuple("abcd"),) * causes + (("no", "yes"),) * len(pairs),
        ((),) * causes + tuple(pairs),
        (np.full(4, 0.25),) * causes + (np.random.default_rng(0).dirichlet([1.0, 1.0], (4, 4)),) * len(pairs),
    )
    write_network(network, tmp_path / "pairs.bif")
    model = lw.BayesianNetwork.read(tmp_path / "pairs.bif")
    with pytest.raises(NotSupported, match=rf"largest of {4.0**causes:.3g}".replace("+", r"\+")):
        model.posterior({f"v{causes + k}": "yes" for k in range(len(pairs))}, "v0")
    for states in (2**62, 2**64, 10**308, 10**400):
        assert re.search(
            r"tables of [\d.]+e\+\d+ numbers \([\d.]+e\+\d+ GiB\)", str(too_wide(states + 1, states, 1 << 27))
        )


# ------------------------------------------------------------------------------------------------------ learned models


def test_a_learned_model_answers_about_numbers_in_intervals_that_can_be_given_again():
    frame = lw.datasets.load("wine")
    model = lw.BayesianNetwork(random_state=0).fit(frame)
    labels = model.states_of("alcohol")
    # Alcohol is measured in hundredths: an interval holds both its ends, and may be one value.
    ends = [label if isinstance(label, tuple) else (label, label) for label in labels]
    assert ends[0][0] is None
    assert ends[-1][1] is None
    assert all(b[0] - a[1] == pytest.approx(0.01) for a, b in itertools.pairwise(ends))
    prior = model.posterior({}, "alcohol")["alcohol"][0]
    assert prior.sum() == pytest.approx(1)
    draws = model.sample(20_000, random_state=0)["alcohol"].to_numpy()
    for label, (low, high), p in zip(labels, ends, prior, strict=True):
        share = ((draws >= (-np.inf if low is None else low)) & (draws <= (np.inf if high is None else high))).mean()
        assert share == pytest.approx(p, abs=4 * math.sqrt(p / 20_000) + 0.002)
        given = model.posterior({"alcohol": label}, "alcohol")["alcohol"][0]
        assert given.max() == pytest.approx(1, abs=1e-6)
        assert given.argmax() == labels.index(label)


def test_answers_agree_with_scores_and_draws():
    frame = lw.datasets.load("wine")
    model = lw.BayesianNetwork(random_state=0).fit(frame)
    given = {"alcohol": (13.0, 14.0), "hue": (None, 1.0)}
    answer = model.query("target", given)["probability"]
    draws = model.sample(20_000, random_state=0, given=given)["target"]
    for state, p in answer.items():
        assert (draws == state).mean() == pytest.approx(p, abs=4 * math.sqrt(p / 20_000) + 1e-3)
    # p(target | rest) by Bayes' theorem from the scores of whole records.
    row = frame.iloc[[0]]
    every = [row.assign(target=state).astype(frame.dtypes.to_dict()) for state in model.states_of("target")]
    logs = np.array([model.score(one) for one in every])
    found = model.posterior(row.drop(columns="target"), "target")["target"][0]
    np.testing.assert_allclose(found, np.exp(logs - np.logaddexp.reduce(logs)), atol=1e-9)


def test_a_target_in_a_state_that_was_never_seen_is_refused():
    frame = pd.DataFrame({"a": ["x", "y"] * 30, "b": ["u", "v"] * 30})
    model = lw.BayesianNetwork(random_state=0).fit(frame)
    rows = pd.DataFrame({"a": ["x", "z"], "b": [None, None]})
    assert model.posterior(rows, "b")["b"].sum(1) == pytest.approx([1, 1])
    for ask in (model.posterior, model.most_probable):
        with pytest.raises(DataError, match="Row 1 observes a in a state"):
            ask(rows)


def test_questions_survive_saving(tmp_path):
    frame = lw.datasets.load("wine")
    model = lw.BayesianNetwork(random_state=0).fit(frame)
    model.save(tmp_path / "wine.safetensors")
    again = lw.load(tmp_path / "wine.safetensors")
    pd.testing.assert_frame_equal(
        again.query("target", {"hue": (None, 1.0)}), model.query("target", {"hue": (None, 1.0)})
    )


# ------------------------------------------------------------------------------------------------------------ exchange


def test_a_network_that_is_read_and_written_is_the_same(model, tmp_path):
    for suffix in (".bif", ".xml"):
        model.write(tmp_path / f"sprinkler{suffix}")
        first, second = read_network(tmp_path / "sprinkler.bif"), read_network(tmp_path / f"sprinkler{suffix}")
        assert (first.variables, first.states, first.parents) == (second.variables, second.states, second.parents)
        assert all((a == b).all() for a, b in zip(first.tables, second.tables, strict=True))
    model.save(tmp_path / "sprinkler.safetensors")
    again = lw.load(tmp_path / "sprinkler.safetensors")
    pd.testing.assert_frame_equal(again.query("rain", {"grass": "dry"}), model.query("rain", {"grass": "dry"}))


@pytest.mark.skipif(not NETWORKS.is_dir(), reason="the networks are not on this machine")
@pytest.mark.parametrize("name", ["asia", "child", "alarm", "hailfinder", "water", "andes"])
def test_published_networks_come_back_exactly(name, tmp_path):
    model = lw.BayesianNetwork.read(NETWORKS / f"{name}.bif")
    model.write(tmp_path / "again.bif")
    first, second = read_network(NETWORKS / f"{name}.bif"), read_network(tmp_path / "again.bif")
    assert (first.variables, first.states, first.parents) == (second.variables, second.states, second.parents)
    assert all((a == b).all() for a, b in zip(first.tables, second.tables, strict=True))
    records = model.sample(50, random_state=0)
    assert np.isfinite(model.score_samples(records)).all()


def test_a_learned_network_is_written_with_intervals_and_tables(tmp_path):
    frame = lw.datasets.load("wine")
    model = lw.BayesianNetwork(structure="chow_liu", max_bins=4, random_state=0).fit(frame)
    model.write(tmp_path / "wine.bif")
    read = lw.BayesianNetwork.read(tmp_path / "wine.bif")
    found, expected = read.query("target"), model.query("target")
    np.testing.assert_allclose(found["probability"], expected["probability"], atol=1e-9)
    assert sorted(read.edges_) == sorted(model.edges_)


@pytest.mark.parametrize("suffix", [".bif", ".xml"])
def test_intervals_that_differ_in_late_digits_stay_apart_in_files(suffix, tmp_path):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "kind": rng.choice(["a", "b"], 300),
            "hundredths": (1e6 + rng.integers(0, 40, 300) / 100).round(2),
            "real": 1 + 1e-12 * rng.normal(size=300),
            "wide": rng.normal(size=300),
        }
    )
    edges = [("kind", name) for name in frame.columns[1:]]
    model = lw.BayesianNetwork(structure=edges, max_bins=6, random_state=0).fit(frame)
    model.write(tmp_path / f"model{suffix}")
    read = lw.BayesianNetwork.read(tmp_path / f"model{suffix}")
    for name in frame.columns[1:]:
        found, expected = read.states_of(name), model.states_of(name)
        assert len(set(found)) == len(expected) == 6
        for text, (low, high) in zip(found, expected, strict=True):
            ends = [float(end) if end else None for end in text.split("..")]
            assert ends == [None if end is None else pytest.approx(end, rel=1e-5) for end in (low, high)]
    first = model.states_of("wide")[0][1]
    assert read.states_of("wide")[0] == f"..{first:.6g}"  # six digits, where they are enough
    for given, text in zip(model.states_of("hundredths"), read.states_of("hundredths"), strict=True):
        np.testing.assert_allclose(
            read.query("kind", {"hundredths": text})["probability"],
            model.query("kind", {"hundredths": given})["probability"],
            atol=1e-9,
        )


def test_the_graph_goes_to_networkx(model):
    graph = model.to_networkx()
    assert networkx.is_directed_acyclic_graph(graph)
    assert set(graph.edges) == {("season", "rain"), ("season", "sprinkler"), ("rain", "grass"), ("sprinkler", "grass")}
    assert graph.nodes["grass"]["states"] == ["dry", "damp", "soaked"]


def test_a_network_of_files_knows_all_its_states(model):
    assert model.domain_.event.code_sizes == (2, 2, 2, 3)
    with pytest.raises(DataError, match="mud"):
        model.score_samples(pd.DataFrame({"season": ["dry"], "rain": ["no"], "sprinkler": ["off"], "grass": ["mud"]}))


def test_linear_gaussian_networks_have_no_file():
    frame = lw.datasets.load("diabetes")
    model = lw.BayesianNetwork(values="linear_gaussian", random_state=0).fit(frame)
    with pytest.raises(NotSupported, match="bins"):
        model.write("model.bif")


def test_what_trees_of_hidden_states_cannot_do_is_said_with_what_can(tmp_path):
    frame = pd.DataFrame({"a": ["x", "y"] * 30, "b": ["u", "v", "w"] * 20, "c": [True, False, False] * 20})
    model = lw.BayesianNetwork(structure="hidden_tree", states=2, components=1, random_state=0).fit(frame)
    for ask in (
        lambda: model.write(tmp_path / "model.bif"),
        lambda: model.most_probable({"a": "x"}),
        lambda: model.posterior({}, "b", do={"a": "x"}),
        lambda: model.fit_parameters(frame),
    ):
        with pytest.raises(NotSupported, match="without hidden states"):
            ask()
    assert not list(tmp_path.iterdir())
    assert model.most_probable({"a": "x", "b": "u"}, ["a", "c"]).states["a"].tolist() == ["x"]


# ---------------------------------------------------------------------------------------------------------- parameters


def test_complete_records_give_counts(model):
    records = model.sample(5000, random_state=1)
    fitted = model.fit_parameters(records, prior="none")
    share = records.groupby(["season", "rain"], observed=False).size().unstack()
    expected = share.div(share.sum(axis=1), axis=0).loc[["dry", "wet"], ["no", "yes"]].to_numpy()
    np.testing.assert_allclose(fitted.family_.network.of(1).table.numpy(), expected, atol=1e-12)
    smooth = model.fit_parameters(records, prior="dirichlet", weight=3.0)
    expected = (share + 3).div((share + 3).sum(axis=1), axis=0).loc[["dry", "wet"], ["no", "yes"]].to_numpy()
    np.testing.assert_allclose(smooth.family_.network.of(1).table.numpy(), expected, atol=1e-12)
    bdeu = model.fit_parameters(records, prior="bdeu", weight=8.0)
    expected = (share + 2).div((share + 2).sum(axis=1), axis=0).loc[["dry", "wet"], ["no", "yes"]].to_numpy()
    np.testing.assert_allclose(bdeu.family_.network.of(1).table.numpy(), expected, atol=1e-12)


def test_expectation_maximisation_never_loses_and_finds_the_truth(model):
    truth = joint()
    records = model.sample(20_000, random_state=2).astype(object)
    blank = np.random.default_rng(0).random(records.shape) < 0.3
    fitted = model.fit_parameters(records.mask(blank), prior="none", tolerance=1e-7)
    told = fitted.training_record_["parameters"]
    assert told["converged"]
    assert (np.diff(told["log_probability"]) > -1e-12).all()
    every = pd.DataFrame(truth.index.tolist(), columns=["season", "rain", "sprinkler", "grass"])
    q = np.exp(fitted.score_samples(every))
    assert float((truth.to_numpy() * np.log(truth.to_numpy() / q)).sum()) < 0.002
    # A maximum of the likelihood: the gradient within every row of every table is the same along all its entries.
    again = fitted.fit_parameters(records.mask(blank), prior="none", tolerance=1e-7)
    assert again.training_record_["parameters"]["log_probability"][-1] == pytest.approx(
        told["log_probability"][-1], abs=1e-6
    )


def test_expectation_maximisation_follows_its_definition(model):
    """One step by enumeration over what is unknown."""
    records = model.sample(60, random_state=3).astype(object)
    blank = np.random.default_rng(1).random(records.shape) < 0.4
    records = records.mask(blank)
    two = copy.deepcopy(model).fit_parameters(records, prior="dirichlet", max_iterations=2, tolerance=0.0)
    every = pd.DataFrame(joint().index.tolist(), columns=list(records.columns))
    # The parameters after one step are the start of the second.
    base = model.fit_parameters(records, prior="dirichlet", max_iterations=1)
    p = np.exp(base.score_samples(every))
    counts = np.ones((2, 2, 3))
    for _, row in records.iterrows():
        agrees = np.ones(len(every), dtype=bool)
        for name, cell in row.items():
            if isinstance(cell, str):
                agrees &= (every[name] == cell).to_numpy()
        weights = np.where(agrees, p, 0.0) / p[agrees].sum()
        # A leaf that a record does not observe adds nothing, as its likelihood does not depend on it.
        if isinstance(row["grass"], str):
            for k, weight in enumerate(weights):
                r, s, g = every.loc[k, ["rain", "sprinkler", "grass"]]
                counts[["no", "yes"].index(r), ["off", "on"].index(s), ["dry", "damp", "soaked"].index(g)] += weight
    tables = (counts / counts.sum(-1, keepdims=True)).reshape(4, 3)
    np.testing.assert_allclose(two.family_.network.of(3).table.numpy(), tables, atol=1e-9)


def test_parameters_of_trees_and_numbers_are_fitted_too():
    frame = lw.datasets.load("wine")
    model = lw.BayesianNetwork(max_parents=2, random_state=0).fit(frame)
    blanks = frame.astype(object).mask(np.random.default_rng(0).random(frame.shape) < 0.2)
    fitted = model.fit_parameters(blanks.astype({name: float for name in frame.columns if name != "target"}))
    curve = fitted.training_record_["parameters"]["log_probability"]
    assert len(curve) > 1
    assert np.isfinite(fitted.score(frame))
