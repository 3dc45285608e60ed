"""The drawing of a network: every node and edge once, widths by strength, and nothing that a name could break."""

import itertools
import random
import re
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from likewise.board.report.data import HiddenState, HiddenStates, Network, NetworkDrawing
from likewise.board.report.graph import DETAILED, graph, graph_section
from likewise.board.report.page import templates

SPRINKLER = NetworkDrawing(
    names=("cloudy", "sprinkler", "rain", "wet grass"),
    edges=((0, 1), (0, 2), (1, 3), (2, 3)),
    strengths=(0.125, 0.28, 0.42, 0.0),
    states=(("no", "yes"),) * 4,
    marginals=((0.5, 0.5), (0.7, 0.3), (0.5, 0.5), (0.353, 0.647)),
)


def large(size=100, edges=150):
    rng, pairs = random.Random(0), set()
    while len(pairs) < edges:
        child = rng.randrange(1, size)
        pairs.add((rng.randrange(max(0, child - 12), child), child))
    return NetworkDrawing(
        names=tuple(f"a column with the number {node}" for node in range(size)),
        edges=tuple(sorted(pairs)),
        strengths=tuple(rng.random() for _ in pairs),
        states=(tuple(f"state {state}" for state in range(8)),) * size,
        marginals=((0.3, 0.2, 0.2, 0.1, 0.1, 0.05, 0.03, 0.02),) * size,
    )


def tree_of(network):
    return ElementTree.fromstring(graph(network, "net", "model", 2))


def groups(tree, kind):
    return [group for group in tree.iter("g") if group.get("class").split()[0] == kind]


def boxes(tree):
    """Left, top, right and lower side of each card."""
    found = []
    for group in groups(tree, "node"):
        left, top = map(float, re.findall(r"[-\d.]+", group.get("transform")))
        card = group.find("rect")
        found.append((left, top, left + float(card.get("width")), top + float(card.get("height"))))
    return found


@pytest.mark.parametrize("network", [SPRINKLER, large(DETAILED, 40), large()])
def test_every_node_and_every_edge_is_drawn_once(network):
    tree = tree_of(network)
    assert sorted(group.get("class") for group in groups(tree, "node")) == sorted(
        f"node n{node}" for node in range(len(network.names))
    )
    assert sorted(group.get("class") for group in groups(tree, "edge")) == sorted(
        f"edge a{parent} a{child}" for parent, child in network.edges
    )
    names = [element.get("id") for element in tree.iter() if element.get("id")]
    assert len(names) == len(set(names))


def test_widths_and_opacities_grow_with_strength():
    network = large()
    strengths = dict(zip(network.edges, network.strengths, strict=True))
    looks = []
    for group in groups(tree_of(network), "edge"):
        parent, child = (int(one[1:]) for one in group.get("class").split()[1:])
        looks.append((strengths[parent, child], float(group.get("stroke-width")), float(group.get("opacity"))))
    looks.sort()
    for weaker, stronger in itertools.pairwise(looks):
        assert weaker[1] <= stronger[1]
        assert weaker[2] <= stronger[2]
    assert looks[0][1] < looks[-1][1] / 3
    assert looks[0][1] >= 1


def test_edges_end_at_the_cards_that_they_join():
    network = large()
    tree = tree_of(network)
    places = {
        int(group.get("class").split()[1][1:]): box
        for group, box in zip(groups(tree, "node"), boxes(tree), strict=True)
    }
    for group in groups(tree, "edge"):
        parent, child = (places[int(one[1:])] for one in group.get("class").split()[1:])
        line, head = (path.get("d") for path in group.findall("path"))
        x, y = map(float, re.match(r"M([-\d.]+) ([-\d.]+)", line).groups())
        assert parent[0] < x < parent[2]
        assert y == pytest.approx(parent[3], abs=0.11)
        x, y = map(float, re.search(r"L([-\d.]+) ([-\d.]+)z", head).groups())
        assert child[0] < x < child[2]
        assert y == pytest.approx(child[1], abs=0.11)


@pytest.mark.parametrize("network", [large(DETAILED, 45), large()])
def test_cards_lie_apart_within_the_drawing(network):
    tree = tree_of(network)
    found = boxes(tree)
    left, top, width, height = map(float, tree.get("viewBox").split())
    assert width < 1130
    for a, b, c, d in found:
        assert left <= a < c <= left + width
        assert top <= b < d <= top + height
    for one, other in itertools.combinations(found, 2):
        assert one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]


@pytest.mark.parametrize("network", [SPRINKLER, large()])
def test_no_letters_are_too_small_where_a_drawing_is_fitted_into_a_narrow_page(network):
    tree = tree_of(network)
    width = float(tree.get("viewBox").split()[2])
    shrunk = float(re.search(r"min-width: (\d+)px", tree.get("style"))[1]) / width
    assert min(float(text.get("font-size")) for text in tree.iter("text")) * shrunk >= 9


def test_titles_have_the_whole_name_all_states_and_bits():
    tree = tree_of(SPRINKLER)
    titles = {group.get("class"): group.find("title").text for kind in ("node", "edge") for group in groups(tree, kind)}
    assert titles["node n3"] == "wet grass\nno: 35%\nyes: 65%"
    assert titles["edge a1 a3"] == "sprinkler → wet grass: 0.42 bits"
    assert titles["edge a2 a3"] == "rain → wet grass: 0 bits"
    tree = tree_of(large())
    assert groups(tree, "node")[99].find("title").text.startswith("a column with the number 99\nstate 0: 30%\n")
    assert "…" in groups(tree, "node")[99].find("text").text


def test_bars_are_as_long_as_states_are_probable():
    group = groups(tree_of(SPRINKLER), "node")[3]
    full, no, _, yes = (float(bar.get("width")) for bar in group.findall("rect")[1:])
    assert no / full == pytest.approx(0.353, abs=0.002)
    assert yes / full == pytest.approx(0.647, abs=0.002)
    parts = groups(tree_of(large()), "node")[0].findall("rect")[1:]
    lengths = [float(part.get("width")) for part in parts]
    assert [length / sum(lengths) for length in lengths] == pytest.approx(large().marginals[0], abs=0.002)


def test_many_states_are_summed_up():
    shares = (0.02, 0.3, 0.2, 0.15, 0.1, 0.1, 0.05, 0.05, 0.02, 0.01)
    states = tuple(f"state {state}" for state in range(10))
    network = replace(SPRINKLER, states=(states, *SPRINKLER.states[1:]), marginals=(shares, *SPRINKLER.marginals[1:]))
    texts = [text.text for text in groups(tree_of(network), "node")[0].findall("text")]
    assert texts[1::2] == [*states[1:8], "3 more"]
    assert texts[2::2] == ["30%", "20%", "15%", "10%", "10%", "5%", "5%", "5%"]


def test_names_cannot_break_the_page():
    hostile = '<script>alert("&")</script>'
    network = replace(SPRINKLER, names=(hostile, "b", "c", "d"), states=((hostile, "x"), *SPRINKLER.states[1:]))
    hidden = HiddenStates(hostile, 2, 1, 1.0, (HiddenState(0.5, ((hostile, hostile, hostile),)),))
    section = graph_section(Network(network, hidden=hidden), hostile, 0)
    page = templates().get_template("networks.html").render(networks=[section])
    assert "<script" not in page
    assert 'alert("' not in page
    assert page.count("&lt;script&gt;") >= 5
    tree = ElementTree.fromstring(section.drawing)
    assert groups(tree, "node")[0].find("title").text.startswith(hostile)
    assert hostile in tree.get("aria-label")


def test_the_section_lists_edges_from_the_strongest():
    section = graph_section(Network(SPRINKLER), "BayesianNetwork", 1)
    assert section.words == "4 nodes and 4 edges."
    assert [bits for _, _, bits, _ in section.edges] == ["0.42", "0.28", "0.125", "0"]
    assert [stroke.label for stroke in section.legend] == ["0.01 bits", "0.05 bits", "0.2 bits"]
    page = templates().get_template("networks.html").render(networks=[section])
    assert page.count("<tr>") == 5
    assert page.count('role="img"') == 1
    assert "<td>sprinkler</td><td>wet grass</td>" in page


def test_a_network_without_edges_has_cards_alone():
    section = graph_section(Network(replace(SPRINKLER, edges=(), strengths=())), "model", 0)
    assert section.words == "4 nodes and no edges."
    page = templates().get_template("networks.html").render(networks=[section])
    assert page.count('class="node') == 4
    assert "<details>" not in page
    assert 'class="legend"' not in page


def test_a_network_that_does_not_answer_has_names_and_edges_alone():
    section = graph_section(
        Network(replace(SPRINKLER, strengths=None, states=((),) * 4, marginals=((),) * 4)), "model", 0
    )
    assert section.words == "4 nodes and 4 edges."
    tree = ElementTree.fromstring(section.drawing)
    assert len(groups(tree, "node")) == len(groups(tree, "edge")) == 4
    assert groups(tree, "edge")[0].find("title").text == "cloudy → sprinkler"
    assert "bits" not in section.drawing


def test_the_strongest_dependencies_are_told_in_words():
    network = replace(SPRINKLER, strengths=(0.125, 0.28, 0.42, 0.3))
    assert graph_section(Network(network), "model", 0).dependencies == [
        "wet grass depends most on sprinkler: 0.42 bits.",
        "rain depends most on cloudy: 0.28 bits.",
        "sprinkler depends most on cloudy: 0.125 bits.",
    ]
    sure = replace(network, found=((0.9, 0.5), (1.0, 1.0), (0.0, 0.0), (0.3, 0.2)), resamples=20)
    section = graph_section(Network(sure), "model", 0)
    assert section.dependencies == [
        "wet grass depends most on sprinkler: 0.42 bits, in 0 of 20 bootstrap samples.",
        "rain depends most on cloudy: 0.28 bits, in 20 of 20 bootstrap samples.",
        "sprinkler depends most on cloudy: 0.125 bits, in 18 of 20 bootstrap samples (50% of them this way round).",
    ]
    assert [share for *_, share in section.edges] == ["0%", "30%", "100%", "90%"]
    page = templates().get_template("networks.html").render(networks=[section])
    assert "Bootstrap samples</th>" in page
    assert "in 20 of 20 bootstrap samples." in page
    assert "the graph was searched for again" in page
    # Where another search was done again than found the graph, it is named.
    section = graph_section(Network(replace(sure, greedy="ges")), "model", 0)
    assert (
        section.dependencies[0]
        == "wet grass depends most on sprinkler: 0.42 bits, in 0 of 20 graphs of a greedy search."
    )
    page = templates().get_template("networks.html").render(networks=[section])
    assert "Greedy search</th>" in page
    assert 'structure="ges"' in page
    assert "ootstrap" not in page
    weak = replace(SPRINKLER, strengths=(0.001,) * 4)
    words = graph_section(Network(weak), "model", 0).words
    assert words == "4 nodes and 4 edges. The strongest is rain → wet grass: 0.001 bits."
    many = graph_section(Network(large()), "model", 0).dependencies
    assert len({words.split(" depends")[0] for words in many}) == len(many) == 5


def test_links_between_hidden_states_have_no_direction():
    network = replace(SPRINKLER, edges=((0, 1), (0, 2), (1, 3)), strengths=(0.1, 0.2, 0.3), directed=False)
    tree = tree_of(network)
    assert not [path for path in tree.iter("path") if path.get("class") == "head"]
    for group in groups(tree, "edge"):
        end = float(re.search(r"([-\d.]+)$", group.find("path").get("d"))[1])
        child = int(group.get("class").split()[2][1:])
        assert end == pytest.approx(boxes(tree)[child][1], abs=0.11)
    assert groups(tree, "edge")[-1].find("title").text == "sprinkler — wet grass: 0.3 bits"


def test_hidden_states_are_told_in_a_table():
    network = replace(SPRINKLER, edges=((0, 1), (0, 2), (1, 3)), strengths=(0.1, 0.2, 0.3), directed=False)
    state = HiddenState(0.25, (("rain", "yes", "90%"), ("amount", "12", "10 to 14")))
    hidden = HiddenStates("cloudy", 16, 3, 0.45, (state, replace(state, share=0.125)))
    section = graph_section(Network(network, hidden=hidden), "model", 0)
    assert section.words == (
        "4 columns, in a mixture of 3 trees. The first is drawn, with 16 hidden states behind each, and its weight is "
        "45%."
    )
    page = templates().get_template("networks.html").render(networks=[section])
    assert "has no direction" in page
    assert "An arrow" not in page
    assert "behind cloudy stand for" in page
    assert page.count('class="fact"') == 4
    assert "in the first of 3 trees, whose weight is 45%" in page
    alone = graph_section(Network(network, hidden=replace(hidden, trees=1, share=1.0)), "model", 0)
    assert alone.words == "4 columns with 16 hidden states behind each, in one tree."
    assert "whose weight" not in templates().get_template("networks.html").render(networks=[alone])
    assert "amount <b>12</b>" in page
    # Where the tree is too large to be drawn, its states are told all the same.
    undrawn = graph_section(Network(reason="too many", hidden=hidden), "model", 0)
    assert "behind cloudy" in templates().get_template("networks.html").render(networks=[undrawn])


def test_colours_are_those_of_the_style_sheet():
    assert not re.search(r"#[0-9a-f]{3,6}\b(?=[;\"])|rgb\(", graph(SPRINKLER, "net", "model", 2))
    assert tree_of(SPRINKLER).get("class") == "m2"
