"""BIF: what is read stands in the file, what is written comes back to the bit, what is wrong is told with its line."""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from likewise.errors import DataError
from likewise.exchange import NetworkDescription, bif, read_network, write_network
from likewise.exchange.description import TOLERANCE

VARIABLES = """\
variable rain { type discrete [ 2 ] { yes, no }; }
variable season { type discrete [ 3 ] { dry, mild, wet }; }
variable grass { type discrete [ 2 ] { "very wet", dry }; }
probability ( rain ) { table 0.25, 0.75; }
probability ( season ) { table 0.2, 0.3, 0.5; }
"""
NETWORKS = (
    *("alarm", "andes", "asia", "barley", "cancer", "child", "earthquake", "hailfinder"),
    *("insurance", "link", "munin1", "pathfinder", "pigs", "sachs", "survey", "water"),
)
SMALL = ("asia", "cancer", "child", "insurance", "sachs", "survey")


def weather(grass: str) -> str:
    return f"network weather {{ }}\n{VARIABLES}{grass}"


def refused(text: str) -> str:
    """The sentence with which a text is refused."""
    with pytest.raises(DataError) as caught:
        bif.loads(text)
    return str(caught.value)


def assert_same(one: NetworkDescription, other: NetworkDescription) -> None:
    """Every name, every order and every bit."""
    assert (one.name, one.variables, one.states, one.parents) == (
        other.name,
        other.variables,
        other.states,
        other.parents,
    )
    for first, second in zip(one.tables, other.tables, strict=True):
        assert first.shape == second.shape
        assert first.tobytes() == second.tobytes()


NASTY = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=6),
    st.text(alphabet="ab \"'\\,;|(){}[]/*é漢\n\r\t<>&%+-.", max_size=6),
    st.sampled_from(["table", "default", "//", "/* */", "<5", "5-12", "12+", "a//b", "\\", '\\"', "", " ", "property"]),
)


@st.composite
def descriptions(draw: st.DrawFn, names: st.SearchStrategy[str] = NASTY) -> NetworkDescription:
    """Small networks whose names are as bad as names can be, and whose probabilities have all their digits."""
    count = draw(st.integers(1, 5))
    order = draw(st.permutations(range(count)))
    labels = st.lists(names, min_size=1, max_size=3, unique=True)
    states = tuple(tuple(draw(labels)) for _ in range(count))
    parents: list[tuple[int, ...]] = [()] * count
    for place, variable in enumerate(order):
        earlier = draw(st.lists(st.sampled_from(order[:place]), unique=True, max_size=3)) if place else []
        parents[variable] = tuple(earlier)
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    tables = []
    for variable in range(count):
        table = random.exponential(size=[len(states[place]) for place in (*parents[variable], variable)]) ** 9 + 1e-300
        tables.append(table / table.sum(axis=-1, keepdims=True))
    variables = tuple(draw(st.lists(names, min_size=count, max_size=count, unique=True)))
    return NetworkDescription(draw(names), variables, states, tuple(parents), tuple(tables))


# ------------------------------------------------------------------------------------------------------------ reading


def test_entries_find_their_place_by_label_and_the_order_of_parents_is_kept():
    network = bif.loads(
        weather("""
        probability ( grass | season, rain ) {
          (wet, yes) 1.0, 0.0; (dry, yes) 0.9, 0.1; (mild, yes) 0.8, 0.2;
          (mild, no) 0.3, 0.7; (dry, no) 0.1, 0.9; (wet, no) 6e-1, .4;
        }""")
    )
    assert network.name == "weather"
    assert network.variables == ("rain", "season", "grass")
    assert network.states == (("yes", "no"), ("dry", "mild", "wet"), ("very wet", "dry"))
    assert network.parents == ((), (), (1, 0))
    assert network.tables[1].tolist() == [0.2, 0.3, 0.5]
    assert network.tables[2].tolist() == [[[0.9, 0.1], [0.1, 0.9]], [[0.8, 0.2], [0.3, 0.7]], [[1.0, 0.0], [0.6, 0.4]]]


TABLE = """probability ( grass | rain, season ) {
  table 0.1, 0.2, 0.3, 0.4, 0.5, 0.6,
        0.9, 0.8, 0.7, 0.6, 0.5, 0.4;
}"""


def test_in_a_table_the_child_varies_slowest_and_the_last_parent_fastest():
    table = bif.loads(weather(TABLE)).tables[2]
    assert table[..., 0].tolist() == [[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]]
    assert table[..., 1].tolist() == [[0.9, 0.8, 0.7], [0.6, 0.5, 0.4]]
    assert table.flags.c_contiguous


def test_a_default_holds_where_no_entry_does():
    text = "probability ( grass | rain, season ) { (no, mild) 0.4, 0.6; default 0.1, 0.9; }"
    table = bif.loads(weather(text)).tables[2][..., 0]
    assert table.tolist() == [[0.1, 0.1, 0.1], [0.1, 0.4, 0.1]]


def test_comments_properties_and_the_order_of_blocks_change_nothing():
    plain = bif.loads(weather("probability ( grass | rain ) { (yes) 0.9, 0.1; (no) 0.2, 0.8; }"))
    other = bif.loads("""
        // variable rain { }
        network "weather" { property "version } ; 1"; property author = nobody; } /* probability ( rain )
        { */
        probability ( grass rain ) { // no bar, no commas: the format counts both as blanks
          property "noisy";
          ("yes") 0.9 /* of 1 */ 0.1; property a b; (no) 0.2, 0.8; }
        variable rain { property "position = (1, 2)"; type discrete[2]{yes no}; property x; }
        probability ( "rain" ) { table 0.25 0.75; property z; }
        variable season { type discrete [ 3 ] { dry, mild, wet }; }
        variable grass { type discrete [ 2 ] { "very wet", dry }; }
        probability ( season ) { default 0.2, 0.3, 0.5; }""")
    assert_same(plain, other)


def test_labels_of_published_networks_are_bare_words():
    labels = ("<5", "5-12", "12+", "Asy/Patch", ">=7.5", "0-3_days", "Transp.", "1_1", "a/*b*/c")
    text = f'network n {{}} variable a {{ type discrete [ 9 ] {{ {", ".join(labels[:8])}, "a/*b*/c" }}; }}'
    network = bif.loads(f"{text} probability ( a ) {{ table .2 .1 .1 .1 .1 .1 .1 .1 .1; }}")
    assert network.states == (labels,)
    written = bif.dumps(network)
    assert "{ <5, 5-12, 12+, Asy/Patch, >=7.5, 0-3_days, Transp., 1_1," in written
    assert_same(network, bif.loads(written))


def test_a_backslash_protects_quotes_and_itself_only():
    text = (
        r'network n {} variable a { type discrete [3] { "a\"b", "c\\d", "e\f" }; } probability (a) { table .5 .3 .2; }'
    )
    assert bif.loads(text).states == (('a"b', "c\\d", "e\\f"),)


def test_thirds_in_two_digits_are_read_as_they_stand():
    text = "network n {} variable a { type discrete [3] { x, y, z }; } probability ( a ) { table 0.33 0.33 0.33; }"
    assert bif.loads(text).tables[0].tolist() == [0.33, 0.33, 0.33]


# ------------------------------------------------------------------------------------------------------------ refusal


GRASS = "probability ( grass | rain ) {"
NUMBERED = {
    "": "line 1: expected 'network', found the end of the file.",
    "variable a { }": "line 1: expected 'network', found 'variable'.",
    "network {": "line 1: expected the name of the network, found '{'.",
    "network n { }": "line 1: expected at least one variable.",
    "network n { property x": "line 1: expected ';' before the end of the file.",
    'network "n { }\n': "line 1: the quotation '\"n { }\\n' is not closed.",
    "network n { }\n\nvariabel a { }": "line 3: expected 'variable' or 'probability', found 'variabel'.",
    "network n { }\n/* not closed": "line 2: the comment '/* not closed' is not closed.",
    "network n { }\nvariable a { type real; }": "line 2: expected 'discrete', found 'real'.",
    "network n { }\nvariable a { type discrete [ 3 ] { x, y }; }": "line 2: expected 3 states of 'a', found 2.",
    "network n { }\nvariable a { type discrete [ two ] { x, y }; }": (
        "line 2: expected the number of states of 'a', found 'two'."
    ),
    "network n { }\nvariable a { type discrete [ 0 ] { }; }": "line 2: expected at least one state of 'a'.",
    "network n { }\nvariable a { type discrete [ 2 ] { x, x }; }": "line 2: the variable 'a' has two states 'x'.",
    "network n { }\nvariable a { type discrete [ 1 ] { x ; }": ("line 2: expected a state of 'a' or '}', found ';'."),
    "network n { }\nvariable a { type discrete [ 1 ] { x }; }": (
        "line 2: expected the probabilities of 'a' somewhere in the file."
    ),
    weather("variable rain { type discrete [ 1 ] { x }; }"): "line 7: the variable 'rain' is declared twice.",
    weather("probability ( rain ) { table 0.5, 0.5; }"): "line 7: the probabilities of 'rain' are given twice.",
    weather("probability ( snow ) { table 0.5, 0.5; }"): "line 7: expected a declared variable, found 'snow'.",
    weather("probability ( grass | hail ) { table 0.5, 0.5; }"): "line 7: expected a declared variable, found 'hail'.",
    weather("probability ( grass, season | rain ) { table 1; }"): (
        "line 7: expected the name of a parent or ')', found '|'."
    ),
    weather(
        "probability ( grass | rain, rain ) { table 1; }"
    ): "line 7: the variable 'grass' has the parent 'rain' twice.",
    weather("probability ( grass ) { table 0.5, 0.5;"): "line 7: expected '}' before the end of the file.",
    weather(f"{GRASS}\ntable 0.1, 0.2, 0.9; }}"): "line 8: expected 4 probabilities of 'grass' in the table, found 3.",
    weather(f"{GRASS}\ntable 0.1, 0.2, x, 0.9; }}"): "line 8: expected a probability or ';', found 'x'.",
    weather(f"{GRASS}\ntable 0.1 1_0 nan inf; }}"): "line 8: expected a probability or ';', found '1_0'.",
    weather(f"{GRASS}\ntable 0.1 0.2 0.9 0.8; (yes) 1, 0; }}"): "line 8: expected '}', found '('.",
    weather(f"{GRASS}\n(yes) 0.1, 0.2, 0.7; }}"): "line 8: expected 2 probabilities of 'grass' in an entry, found 3.",
    weather(f"{GRASS}\n(yes) 0.1, 0.9\n}}"): "line 8: expected ';' before the end of the file.",
    weather(f"{GRASS}\n(yes) 0.1, 0.9\n(no) 0.1, 0.9; }}"): "line 9: expected a probability or ';', found '('.",
    weather(f"{GRASS}\n(maybe) 0.1, 0.9; }}"): "line 8: expected a state of 'rain', found 'maybe'.",
    weather(f"{GRASS}\n(yes, dry) 0.1, 0.9; }}"): "line 8: expected as many states as parents, 1, found 2.",
    weather(f"{GRASS}\n(yes) 0.1, 0.9;\n(yes) 0.1, 0.9; }}"): (
        "line 9: the probabilities of 'grass' given 'rain' = 'yes' are given twice."
    ),
    weather(f"{GRASS}\n(yes) 0.1, 0.9; }}"): (
        "line 8: expected the probabilities of 'grass' given 'rain' = 'no', or a default."
    ),
    weather(f"{GRASS} }}"): "line 7: expected the probabilities of 'grass' given 'rain' = 'yes', or a default.",
    weather("probability ( grass ) { }"): "line 7: expected the probabilities of 'grass', or a default.",
    weather(f"{GRASS}\ndefault 0.1; }}"): "line 8: expected 2 probabilities of 'grass' in the default, found 1.",
    weather(f"{GRASS}\ndefault 0.1 0.9; default 0.1 0.9; }}"): (
        "line 8: expected an entry, one 'default', one 'table' without either, or '}', found 'default'."
    ),
    weather(f"{GRASS} (yes) 0.1, 0.9; (no) 0.1, 0.8; }}"): (
        "line 7: the probabilities of 'grass' given 'rain' = 'no' sum to 0.9, not to 1 within 0.01."
    ),
    weather("probability ( grass ) { table -0.5, 1.5; }"): (
        "line 7: the probabilities of 'grass' include -0.5, which is negative."
    ),
    weather("probability ( grass ) { table 1e999, 0; }"): "line 7: the probabilities of 'grass' are not all finite.",
    weather("probability ( grass | grass ) { default 0.5, 0.5; }"): (
        "line 7: the parents form a cycle, 'grass' -> 'grass', and may not."
    ),
}


@pytest.mark.parametrize(("text", "sentence"), NUMBERED.items(), ids=[*NUMBERED.values()])
def test_what_is_wrong_is_said_with_its_line(text, sentence):
    assert refused(text) == sentence


def test_a_cycle_is_named():
    text = "network n {}" + "".join(f"variable {name} {{ type discrete [1] {{ x }}; }}" for name in "abcd")
    edges = {"a": "c", "b": "a", "c": "b", "d": "a"}
    text += "".join(f"\nprobability ( {child} | {parent} ) {{ default 1; }}" for child, parent in edges.items())
    sentence = refused(text)
    assert sentence.endswith(", and may not.")
    path = [name.strip("'") for name in sentence.split("cycle, ")[1].removesuffix(", and may not.").split(" -> ")]
    assert path[0] == path[-1]
    assert sorted(path[1:]) == ["a", "b", "c"]
    assert all(edges[child] == parent for parent, child in pairwise(path))


def test_a_table_beyond_all_memory_is_refused_before_it_exists():
    names = [f"v{place}" for place in range(40)]
    text = "network n {}" + "".join(f"variable {name} {{ type discrete [2] {{ x, y }}; }}" for name in names)
    text += f"\nprobability ( v0 | {', '.join(names[1:])} ) {{ default 0.5, 0.5; }}"
    assert refused(text) == "line 2: the table of 'v0' brings the network beyond 134217728 probabilities."


def test_more_parents_than_an_array_has_dimensions():
    names = [f"v{place}" for place in range(65)]
    text = "network n {}" + "".join(f"variable {name} {{ type discrete [1] {{ x }}; }}" for name in names)
    most = "\n".join(f"probability ( {name} ) {{ default 1; }}" for name in names[1:])
    assert "has 64 parents, more than 63" in refused(
        f"{text} {most} probability (v0 | {' '.join(names[1:])}) {{ table 1; }}"
    )
    network = bif.loads(f"{text} {most} probability (v0 | {' '.join(names[2:])}) {{ table 1; }}")
    assert network.tables[0].shape == (1,) * 64
    assert_same(network, bif.loads(bif.dumps(network)))


@pytest.mark.parametrize("piece", ["/*", '"', '"\\', "\\", "(", "// \n", "/ ", "a", "1"])
def test_hostile_repetition_costs_no_more_than_its_length(piece):
    assert refused(f"network n {{ }} {piece * 300_000}").startswith("line ")


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_any_damage_is_a_data_error_or_another_network(data):
    text = weather(TABLE)
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 40)))
    inserted = data.draw(st.text(alphabet='{}()[];|,"/*\\ ax01.-e\n', max_size=4))
    try:
        network = bif.loads(text[:start] + inserted + text[end:])
    except DataError as error:
        assert str(error).startswith("line ")  # noqa: PT017
    else:
        assert_same(network, bif.loads(bif.dumps(network)))


# -------------------------------------------------------------------------------------------------------- description


def described(**changes: object) -> NetworkDescription:
    facts: dict[str, object] = {
        "name": "n",
        "variables": ("a", "b"),
        "states": (("x", "y"), ("u", "v")),
        "parents": ((), (0,)),
        "tables": (np.array([0.5, 0.5]), np.full((2, 2), 0.5)),
    }
    return NetworkDescription(**{**facts, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"variables": ()}, "A network needs at least one variable."),
        ({"states": (("x", "y"),)}, "A network of 2 variables needs as many entries of states, not 1."),
        ({"parents": ()}, "A network of 2 variables needs as many entries of parents, not 0."),
        ({"tables": ()}, "A network of 2 variables needs as many entries of tables, not 0."),
        ({"variables": ("a", "a")}, "There are two variables called 'a'."),
        ({"states": ((), ("u", "v"))}, "The variable 'a' needs at least one state."),
        ({"states": (("x", "x"), ("u", "v"))}, "The variable 'a' has two states 'x'."),
        ({"parents": ((), (2,))}, "A parent of 'b' is at 2, where no variable is."),
        ({"parents": ((), (-1,))}, "A parent of 'b' is at -1, where no variable is."),
        ({"parents": ((), (0, 0))}, "The variable 'b' has the parent 'a' twice."),
        ({"parents": ((1,), (0,))}, "The parents form a cycle, 'a' -> 'b' -> 'a', and may not."),
        (
            {"tables": (np.array([0.5, 0.5]), np.full((2, 3), 0.5))},
            "The table of 'b' must be float64 of shape (2, 2), not float64 of shape (2, 3).",
        ),
        (
            {"tables": (np.array([0.5, 0.5], dtype=np.float32), np.full((2, 2), 0.5))},
            "The table of 'a' must be float64 of shape (2,), not float32 of shape (2,).",
        ),
        ({"tables": ([0.5, 0.5], np.full((2, 2), 0.5))}, "The table of 'a' must be float64 of shape (2,), not list."),
        (
            {"tables": (np.array([0.5, 0.5]), np.array([[0.5, 0.5], [0.5, np.nan]]))},
            "The probabilities of 'b' given 'a' = 'y' are not all finite.",
        ),
        (
            {"tables": (np.array([np.inf, -np.inf]), np.full((2, 2), 0.5))},
            "The probabilities of 'a' are not all finite.",
        ),
        (
            {"tables": (np.array([1.1, -0.1]), np.full((2, 2), 0.5))},
            "The probabilities of 'a' include -0.1, which is negative.",
        ),
        (
            {"tables": (np.array([0.5, 0.5 + 1.1 * TOLERANCE]), np.full((2, 2), 0.5))},
            "The probabilities of 'a' sum to 1.011, not to 1 within 0.01.",
        ),
    ],
)
def test_a_description_that_contradicts_itself_is_refused(changes, sentence):
    with pytest.raises(DataError) as caught:
        described(**changes)
    assert str(caught.value) == sentence


# -------------------------------------------------------------------------------------------------------------- files


@settings(max_examples=200, deadline=None)
@given(descriptions())
def test_what_is_written_comes_back_to_the_bit(network):
    assert_same(network, bif.loads(bif.dumps(network)))


@settings(max_examples=25, deadline=None)
@given(network=descriptions())
def test_a_file_keeps_every_character(tmp_path_factory, network):
    path = tmp_path_factory.getbasetemp() / "network.BIF"
    write_network(network, path)
    assert_same(network, read_network(path))


def test_zeros_and_the_smallest_numbers_come_back_to_the_bit():
    table = np.array([1 - 1e-16, 5e-324, -0.0, 0.0, 1e-5])
    network = NetworkDescription("n", ("a",), (tuple("vwxyz"),), ((),), (table,))
    assert_same(network, bif.loads(bif.dumps(network)))


def test_files_are_refused_by_name(tmp_path):
    network = described()
    for name in ("network.net", "network", ".bif"):
        for attempt in (lambda path: read_network(path), lambda path: write_network(network, path)):
            with pytest.raises(DataError, match=r"must end in \.bif, \.xml, \.xmlbif, \.bifxml\.$"):
                attempt(tmp_path / name)
    with pytest.raises(DataError, match=r"There is no network file at '.*absent\.bif'\."):
        read_network(tmp_path / "absent.bif")
    path = tmp_path / "wrong.bif"
    path.write_text("network n { }\nvariable")
    with pytest.raises(DataError, match=r"wrong\.bif' cannot be read, line 2: expected the name of a variable, found"):
        read_network(path)
    path.write_bytes(b"network n { }\nvariable gr\xfcn")
    with pytest.raises(DataError, match=r"cannot be read, line 2: expected text in UTF-8, found the byte 0xFC\."):
        read_network(path)


def test_a_byte_order_mark_and_lines_of_windows_are_read(tmp_path):
    path = tmp_path / "network.bif"
    path.write_bytes(b"\xef\xbb\xbf" + weather(TABLE).replace("\n", "\r\n").encode())
    assert_same(read_network(path), bif.loads(weather(TABLE)))


def test_what_cannot_be_written_leaves_the_file_that_was_there(tmp_path):
    path = tmp_path / "network.bif"
    path.write_text("as it was")
    with pytest.raises(DataError, match=r"U\+D800, which is no character of a text file"):
        write_network(described(name="\ud800"), path)
    assert path.read_text() == "as it was"
    assert list(tmp_path.iterdir()) == [path]


# ------------------------------------------------------------------------------------------------- published networks


def shared(name: str) -> Path:
    roots = [os.environ.get("LIKEWISE_DATA"), Path(__file__).parents[3] / "shared" / "data"]
    for root in roots:
        if root is not None and (Path(root) / name).exists():
            return Path(root) / name
    pytest.skip(f"{name} is not here; set LIKEWISE_DATA to the folder that holds it")


def published(name: str) -> Path:
    return shared(f"bayesian_networks/{name}.bif")


SIZES = {"alarm": (37, 46, 509), "asia": (8, 8, 18), "barley": (48, 84, 114005), "child": (20, 25, 230)}
"""Nodes, arcs and free parameters, as the bnlearn repository states them."""


@pytest.mark.parametrize("name", SIZES)
def test_a_published_network_has_the_size_that_its_publisher_states(name):
    network = read_network(published(name))
    free = sum(table.size - table[..., 0].size for table in network.tables)
    assert (len(network.variables), sum(map(len, network.parents)), free) == SIZES[name]


@pytest.mark.parametrize("name", NETWORKS)
def test_a_published_network_comes_back_to_the_bit(name):
    network = read_network(published(name))
    assert_same(network, bif.loads(bif.dumps(network)))


@pytest.mark.parametrize("name", SMALL)
def test_published_networks_read_as_pgmpy_reads_them(name):
    readwrite = pytest.importorskip("pgmpy.readwrite")
    network = read_network(published(name))
    other = readwrite.BIFReader(str(published(name))).get_model()
    for position, variable in enumerate(network.variables):
        cpd = other.get_cpds(variable)
        parents = [network.variables[parent] for parent in network.parents[position]]
        names = [*parents, variable]
        # Its axes and its states come in an order of its own.
        table = np.transpose(np.asarray(cpd.values), [cpd.variables.index(each) for each in names])
        for axis, each in enumerate(names):
            labels = network.states[network.variables.index(each)]
            table = np.take(table, [cpd.state_names[each].index(label) for label in labels], axis=axis)
        np.testing.assert_array_equal(network.tables[position], table)


def assert_as_pyagrum(network: NetworkDescription, other: object) -> None:
    assert set(other.names()) == set(network.variables)
    for position, variable in enumerate(network.variables):
        names = [*(network.variables[parent] for parent in network.parents[position]), variable]
        cpt = other.cpt(variable)
        assert tuple(other.variable(variable).labels()) == network.states[position]
        table = np.transpose(cpt.toarray(), [list(reversed(cpt.names)).index(each) for each in names])
        np.testing.assert_allclose(network.tables[position], table, rtol=0, atol=1e-7)


# pyAgrum takes no bare `Asy/Patch`, a label of `child`.
@pytest.mark.parametrize("name", [name for name in NETWORKS if name != "child"])
def test_published_networks_read_as_pyagrum_reads_them(name):
    pyagrum = pytest.importorskip("pyagrum")
    assert_as_pyagrum(read_network(published(name)), pyagrum.loadBN(str(published(name))))


def test_tables_are_ordered_as_others_order_them(tmp_path):
    pyagrum = pytest.importorskip("pyagrum")
    path = tmp_path / "network.bif"
    path.write_text(weather(TABLE).replace('"very wet"', "wet"))
    assert_as_pyagrum(read_network(path), pyagrum.loadBN(str(path)))


def test_what_is_written_is_read_by_others(tmp_path):
    pyagrum = pytest.importorskip("pyagrum")
    network = bif.loads(weather(TABLE).replace('"very wet"', "wet"))
    path = tmp_path / "network.bif"
    write_network(network, path)
    assert_as_pyagrum(network, pyagrum.loadBN(str(path)))
