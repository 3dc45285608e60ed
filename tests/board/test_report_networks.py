"""The section on networks: what the model says of its columns, and what parents tell about children."""

import itertools
import math
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import likewise as lw
from likewise.board.dossier import dossier
from likewise.board.networks import NODES, drawn_states, evenly, network_of
from likewise.board.report.cells import percent
from likewise.board.report.data import Network
from likewise.board.report.graph import graph_section
from likewise.board.report.page import render
from likewise.errors import NotSupported
from likewise.estimators.generative import Generative

SPRINKLER = """network lawn { }
variable cloudy { type discrete [ 2 ] { no, yes }; }
variable sprinkler { type discrete [ 2 ] { no, yes }; }
variable rain { type discrete [ 2 ] { no, yes }; }
variable wet { type discrete [ 3 ] { dry, damp, wet }; }
probability ( cloudy ) { table 0.4, 0.6; }
probability ( sprinkler | cloudy ) { (no) 0.5, 0.5; (yes) 0.9, 0.1; }
probability ( rain | cloudy ) { (no) 0.8, 0.2; (yes) 0.2, 0.8; }
probability ( wet | sprinkler, rain ) {
  (no, no) 0.9, 0.1, 0.0; (no, yes) 0.1, 0.3, 0.6; (yes, no) 0.2, 0.5, 0.3; (yes, yes) 0.0, 0.1, 0.9;
}"""


@pytest.fixture
def lawn(tmp_path):
    path = tmp_path / "lawn.bif"
    path.write_text(SPRINKLER)
    return lw.BayesianNetwork.read(path)


def joint_of_the_lawn():
    """p(cloudy, sprinkler, rain, wet), multiplied out by hand."""
    sprinkler, rain = [[0.5, 0.5], [0.9, 0.1]], [[0.8, 0.2], [0.2, 0.8]]
    wet = [[[0.9, 0.1, 0.0], [0.1, 0.3, 0.6]], [[0.2, 0.5, 0.3], [0.0, 0.1, 0.9]]]
    joint = np.zeros((2, 2, 2, 3))
    for c, s, r, w in itertools.product(range(2), range(2), range(2), range(3)):
        joint[c, s, r, w] = [0.4, 0.6][c] * sprinkler[c][s] * rain[c][r] * wet[s][r][w]
    return joint


def information(joint, first, second):
    """The mutual information of two axes, in bits."""
    pair = joint.sum(tuple({0, 1, 2, 3} - {first, second}))
    return sum(
        pair[a, b] * math.log2(pair[a, b] / (pair[a].sum() * pair[:, b].sum()))
        for a, b in np.argwhere(pair > 0).tolist()
    )


def test_strengths_are_what_a_parent_tells_about_a_child(lawn):
    drawing = network_of(lawn).drawing
    assert drawing.names == ("cloudy", "sprinkler", "rain", "wet")
    assert sorted(drawing.edges) == [(0, 1), (0, 2), (1, 3), (2, 3)]
    joint = joint_of_the_lawn()
    for (parent, child), bits in zip(drawing.edges, drawing.strengths, strict=True):
        assert bits == pytest.approx(information(joint, parent, child), rel=1e-6)
    assert drawing.states == (("no", "yes"),) * 3 + (("dry", "damp", "wet"),)
    assert drawing.marginals[3] == pytest.approx(joint.sum((0, 1, 2)), rel=1e-6)


def test_what_a_finding_is_worth_is_the_same_information(lawn):
    worth = lawn.value_of_information("wet")["bits"]
    joint = joint_of_the_lawn()
    assert worth.to_dict() == pytest.approx(
        {name: information(joint, k, 3) for k, name in enumerate(["cloudy", "sprinkler", "rain"])}, rel=1e-6
    )


def test_evidence_that_leaves_one_state_is_that_state(lawn):
    for name, found in lawn.posterior({"wet": {"damp": 0.3}, "cloudy": {"no": 1, "yes": 2}}).items():
        expected = lawn.posterior({"wet": "damp", "cloudy": {"no": 1, "yes": 2}})[name]
        np.testing.assert_allclose(found, expected, atol=1e-12)
    assert lawn.most_probable({"wet": {"damp": 0.3}}).states.equals(lawn.most_probable({"wet": "damp"}).states)


def test_models_without_a_graph_have_no_network():
    assert network_of(object()) is None
    assert network_of(None) is None


def test_a_network_that_is_too_wide_is_drawn_without_figures(lawn, monkeypatch):
    def refuse(question, targets):
        raise NotSupported("It is too wide.")

    monkeypatch.setattr(lawn.family_, "posterior", refuse)
    found = network_of(lawn)
    assert found.reason.endswith("It is too wide.")
    assert found.drawing.strengths is None
    assert len(found.drawing.edges) == 4
    assert found.drawing.marginals == ((),) * 4


def test_large_graphs_are_not_drawn():
    records = np.random.default_rng(0).integers(0, 2, (60, NODES + 1)).astype(str)
    frame = pd.DataFrame(records, columns=[f"c{k}" for k in range(NODES + 1)])
    found = network_of(lw.BayesianNetwork(structure=[("c0", "c1")], conditionals="tables").fit(frame))
    assert found.drawing is None
    assert found.reason == "101 nodes and 1 edge: graphs of more than 100 nodes are not drawn."


# --------------------------------------------------------------------------------------------- bootstrap, hidden states


def test_edges_of_a_searched_graph_say_how_often_they_are_found(monkeypatch):
    asked = []

    def edge_confidence(self, X, y=None, *, resamples=100, structure=None, random_state=None):
        asked.append((len(X), resamples))
        rows = [("a", "b", 0.95, 0.5), ("b", "a", 0.95, 0.5), ("a", "c", 0.2, 1.0)]
        return pd.DataFrame(rows, columns=["from", "to", "strength", "direction"])

    rng = np.random.default_rng(0)
    a = rng.choice(["x", "y"], 400)
    frame = pd.DataFrame({"a": a, "b": np.where(rng.random(400) < 0.9, a, "z"), "c": rng.choice(["u", "v"], 400)})
    model = lw.BayesianNetwork(structure="chow_liu", random_state=0).fit(frame)
    source = model.domain_.read(frame)
    monkeypatch.setattr(lw.BayesianNetwork, "edge_confidence", edge_confidence, raising=False)
    drawing = network_of(model, source).drawing
    for joined, found in zip(drawing.edges, drawing.found, strict=True):
        told = {(0, 1): (0.95, 0.5), (1, 0): (0.95, 0.5), (0, 2): (0.2, 1.0)}
        assert found == told.get(joined, (0.0, 0.0))
    assert {frozenset(joined) for joined in drawing.edges} >= {frozenset((0, 1))}
    assert asked == [(400, drawing.resamples)]
    assert drawing.greedy == ""
    assert network_of(model).drawing.found is None
    given = lw.BayesianNetwork(structure=[("a", "b")], random_state=0).fit(frame)
    assert network_of(given, source).drawing.found is None
    monkeypatch.delattr(lw.BayesianNetwork, "edge_confidence")
    if not hasattr(model, "edge_confidence"):
        assert network_of(model, source).drawing.found is None
    assert len(asked) == 1


def test_the_search_in_place_of_trees_over_an_order_is_named():
    rng = np.random.default_rng(0)
    a = rng.choice(["x", "y"], 300)
    frame = pd.DataFrame({"a": a, "b": np.where(rng.random(300) < 0.9, a, "z"), "c": rng.choice(["u", "v"], 300)})
    model = lw.BayesianNetwork(structure="ordered", random_state=0).fit(frame)
    drawing = network_of(model, model.domain_.read(frame)).drawing
    assert drawing.greedy == "ges"
    assert dict(zip(map(frozenset, drawing.edges), drawing.found, strict=True))[frozenset((0, 1))][0] == 1.0


@pytest.fixture(scope="module")
def hidden_tree():
    """Two kinds of records, that every column but one tells apart."""
    rng = np.random.default_rng(0)
    kind = rng.choice(["large", "small"], 400, p=[0.6, 0.4])
    size = np.where(kind == "large", rng.normal(50, 2, 400), rng.normal(10, 2, 400)).round(1)
    frame = pd.DataFrame(
        {"kind": kind, "size": size, "legs": np.where(kind == "large", 4, 2), "noise": rng.random(400)}
    )
    frame["unit"] = "cm"
    return lw.BayesianNetwork(structure="hidden_tree", states=2, components=1, random_state=0).fit(frame)


def test_a_tree_of_hidden_states_is_drawn_without_directions(hidden_tree):
    found = network_of(hidden_tree, None)
    assert not found.drawing.directed
    assert found.drawing.found is None
    assert len(found.drawing.edges) == 3
    names = found.drawing.names
    for (one, other), bits in zip(found.drawing.edges, found.drawing.strengths, strict=True):
        worth = hidden_tree.value_of_information(names[other])["bits"]
        assert bits == pytest.approx(worth[names[one]], rel=1e-6, abs=1e-12)
    assert (found.hidden.states, found.hidden.trees) == (2, 1)
    assert found.hidden.column not in {child for _, child in hidden_tree.edges_}


def test_hidden_states_are_told_by_what_sets_their_records_apart(hidden_tree):
    large, small = network_of(hidden_tree).hidden.told
    assert large.share == pytest.approx(0.6, abs=0.06)
    assert small.share == pytest.approx(0.4, abs=0.06)
    for state, kind, legs, size in ((large, "large", "4", 50), (small, "small", "2", 10)):
        facts = {column: (value, beside) for column, value, beside in state.facts}
        assert "noise" not in facts
        assert facts["kind"][0] == kind
        assert facts["legs"][0] == legs
        assert float(facts["size"][0]) == pytest.approx(size, abs=1)
        ends = [float(end) for end in facts["size"][1].split(" to ")]
        assert ends == pytest.approx([size - 2.6, size + 2.6], abs=1)


def test_one_tree_of_a_mixture_says_its_weight():
    """In records of one kind the columns depend on each other in other pairs than in those of the other kind."""
    rng = np.random.default_rng(2)
    one, (x, y) = rng.random(300) < 0.7, rng.integers(0, 2, (2, 300))

    def written(states):
        return np.where(one, np.array(["t", "u"])[states], np.array(["v", "w"])[states])

    first, second = np.where(one, x, y), np.where(one, y, x)
    frame = pd.DataFrame({"a": written(x), "b": written(first), "c": written(second), "d": written(y)})
    model = lw.BayesianNetwork(structure="hidden_tree", states=2, components=2, random_state=1).fit(frame)
    found = network_of(model)
    assert found.hidden.trees == len(model.tree_weights_) == 2
    assert sum(model.tree_weights_) == pytest.approx(1)
    assert found.hidden.share == model.tree_weights_[0] == pytest.approx(one.mean(), abs=0.05)
    section = graph_section(found, "model", 0)
    assert section.words.endswith(f"behind each, and its weight is {percent(found.hidden.share)}.")
    assert sum(state.share for state in found.hidden.told) == pytest.approx(1)
    assert lw.BayesianNetwork(structure=[]).fit(frame).tree_weights_ == []


# -------------------------------------------------------------------------------------------------------------- states


def drawn(values, **settings):
    """The drawn states of one column of a network, and its posterior states with their labels."""
    frame = pd.DataFrame({"x": values, "other": np.arange(len(values)) % 2 == 0})
    model = lw.BayesianNetwork(structure=[], random_state=0, **settings).fit(frame)
    assert isinstance(model, Generative)
    chances = model.posterior({}, "x")["x"][0]
    return drawn_states(model, 0, chances), dict(zip(map(str, model.states_of("x")), chances, strict=True))


def test_rare_categories_are_others():
    rng = np.random.default_rng(0)
    letters = rng.permutation(np.repeat(list("abcdefghij"), [10, 40, 80, 20, 70, 60, 50, 90, 30, 100]))
    told, every = drawn(letters)
    assert [label for label, _ in told] == ["b", "c", "e", "f", "g", "h", "j", "3 others"]
    assert dict(told)["3 others"] == pytest.approx(every["a"] + every["d"] + every["i"])
    assert sum(share for _, share in told) == pytest.approx(1)


def test_numbers_are_in_order_with_spikes_and_missing_apart():
    rng = np.random.default_rng(0)
    values = np.round(rng.gamma(2.0, 30.0, 2000), 2)
    values[:500], values[500:700] = 0.0, np.nan
    told, every = drawn(rng.permutation(values))
    assert len(told) == 8
    assert [label for label, _ in told[-2:]] == ["0", "missing"]
    assert told[-2][1] == pytest.approx(every["0.0"])
    assert told[-1][1] == pytest.approx(every["None"])
    intervals = told[:-2]
    assert re.fullmatch(r"(up to|under) [\d.]+", intervals[0][0])
    assert re.fullmatch(r"(from|over) [\d.]+", intervals[-1][0])
    ends = [[float(end) for end in re.findall(r"[\d.]+", label)] for label, _ in intervals]
    assert all(before[-1] <= after[0] for before, after in itertools.pairwise(ends))
    shares = [share for _, share in intervals]
    assert max(shares) < 1.2 * min(shares)
    assert sum(share for _, share in told) == pytest.approx(1)


def test_categories_of_numbers_are_merged_with_their_neighbours():
    told, _ = drawn(np.random.default_rng(0).permutation(np.repeat(np.arange(1, 17), 60)))
    assert [label for label, _ in told] == [f"{k} to {k + 1}" for k in range(1, 17, 2)]


def test_days_have_no_time():
    days = pd.Series(pd.date_range("2020-01-01", periods=365).repeat(3)).sample(frac=1, random_state=0)
    told, _ = drawn(days.to_numpy())
    assert re.fullmatch(r"up to 2020-0\d-\d\d", told[0][0])
    assert re.fullmatch(r"2020-0\d-\d\d to 2020-0\d-\d\d", told[1][0])


def test_groups_are_as_even_as_can_be():
    chances = np.random.default_rng(0).dirichlet(np.ones(9))
    found = evenly(chances, 4)
    assert [k for run in found for k in run] == list(range(9))
    best = min(
        sum(chances[low:high].sum() ** 2 for low, high in itertools.pairwise([0, *cuts, 9]))
        for cuts in itertools.combinations(range(1, 9), 3)
    )
    assert sum(chances[run].sum() ** 2 for run in found) == pytest.approx(best)
    assert evenly([0.5, 0.5], 8) == [range(1), range(1, 2)]
    assert evenly([], 8) == []


# ---------------------------------------------------------------------------------------------------------------- page


@pytest.fixture(scope="module")
def data(few_trees):
    """The report of a comparison of a network with records that came from elsewhere."""
    rng = np.random.default_rng(0)
    side = rng.normal(size=160)
    frame = pd.DataFrame(
        {"<i>side": side, "area": 2 * side + rng.normal(size=160), "kind": np.where(side > 0, "<b>", "small")}
    )
    model = lw.BayesianNetwork(structure=[("<i>side", "kind"), ("<i>side", "area")], max_bins=4)
    found = lw.compare(frame, families={"net": model}, samples={"same": frame.iloc[:50]}, random_state=0)
    return dossier(found)


def section_of(data):
    """The section on networks of the page; nothing else is drawn, so that it is quick."""
    bare = tuple(replace(one, columns=(), curve=None) for one in data.models)
    page = render(replace(data, models=bare, references=()))
    return "".join(re.findall(r'<section id="networks".*?</section>', page, re.DOTALL)), page


def test_the_report_draws_the_graph_of_each_network(data):
    drawings = {one.name: one.network and one.network.drawing for one in data.models}
    assert drawings["same"] is None
    assert drawings["net"].names == ("<i>side", "area", "kind")
    assert sorted(drawings["net"].edges) == [(0, 1), (0, 2)]
    section, page = section_of(data)
    assert page.count('<a href="#networks">Networks</a>') == 1
    assert section.count('class="node n') == 3
    assert section.count('<g class="edge') == 2
    assert "3 nodes and 2 edges." in section
    assert " depends most on " in section
    for raw in ("<i>side", "<b>:"):
        assert raw not in section
    assert "&lt;i&gt;side → kind" in section
    assert "bootstrap" not in section  # the graph was given


def test_a_graph_that_is_not_drawn_is_explained(data):
    models = tuple(replace(one, network=one.network and Network(reason="too large <i>")) for one in data.models)
    section, _ = section_of(replace(data, models=models))
    assert "too large &lt;i&gt;" in section
    assert "<svg" not in section


def test_without_networks_there_is_no_section(data):
    section, page = section_of(replace(data, models=tuple(replace(one, network=None) for one in data.models)))
    assert section == ""
    assert "#networks" not in page
