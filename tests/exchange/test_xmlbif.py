"""XMLBIF: the same networks as XML, and nothing of XML that could harm."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from likewise.errors import DataError
from likewise.exchange import NetworkDescription, read_network, write_network, xmlbif

FRONT = """<?xml version="1.0" encoding="US-ASCII"?>
<!-- DTD for the XMLBIF 0.3 format -->
<!DOCTYPE BIF [
  <!ELEMENT BIF ( NETWORK )*>
  <!ATTLIST BIF VERSION CDATA #REQUIRED>
  <!ELEMENT NETWORK ( NAME, ( PROPERTY | VARIABLE | DEFINITION )* )>
  <!ELEMENT VARIABLE ( NAME, ( OUTCOME | PROPERTY )* ) >
  <!ATTLIST VARIABLE TYPE (nature|decision|utility) "nature">
]>
"""
BODY = """<BIF VERSION="0.3"><NETWORK><NAME>Dog &amp; Problem</NAME><PROPERTY>author nobody</PROPERTY>
<DEFINITION><FOR>out</FOR><GIVEN>ill</GIVEN><GIVEN>family</GIVEN>
<TABLE> <!-- ill, family --> 0.99 0.01
0.97 0.03 9e-1 .1 <!-- neither --> 0.3 0.7
0.2 0.8 1 0</TABLE></DEFINITION>
<VARIABLE TYPE="nature"><NAME>ill</NAME><OUTCOME>yes</OUTCOME><OUTCOME>no</OUTCOME><PROPERTY>x</PROPERTY></VARIABLE>
<VARIABLE><NAME>out</NAME><OUTCOME>&lt;5</OUTCOME><OUTCOME><![CDATA[>=5]]></OUTCOME></VARIABLE>
<VARIABLE><NAME>family</NAME><OUTCOME>1</OUTCOME><OUTCOME>2</OUTCOME><OUTCOME>3</OUTCOME></VARIABLE>
<DEFINITION><FOR>ill</FOR><TABLE>0.01 0.99</TABLE><PROPERTY>y</PROPERTY></DEFINITION>
<DEFINITION><TABLE>0.5 0.25 0.25</TABLE><FOR>family</FOR></DEFINITION>
</NETWORK></BIF>
"""


def refused(text: str | bytes) -> str:
    """The sentence with which a text is refused."""
    with pytest.raises(DataError) as caught:
        xmlbif.loads(text)
    return str(caught.value)


def assert_same(one: NetworkDescription, other: NetworkDescription) -> None:
    """Every name, every order and every bit."""
    for fact in ("name", "variables", "states", "parents"):
        assert getattr(one, fact) == getattr(other, fact)
    for first, second in zip(one.tables, other.tables, strict=True):
        assert first.shape == second.shape
        assert first.tobytes() == second.tobytes()


# XML has no control characters but three, and two others that are none.
XML = st.characters(exclude_categories=["Cs", "Cc"], include_characters="\t\n\r\x85", exclude_characters="￾￿")
NASTY = st.one_of(
    st.text(XML, max_size=6),
    st.text(alphabet="ab \"'\\,;|(){}[]/*é漢\n\r\t<>&%+-.", max_size=6),
    st.sampled_from(["]]>", "<!-- -->", "&amp;", "&#13;", "<![CDATA[", " padded ", "", "\r\n", "<5"]),
)


@st.composite
def descriptions(draw: st.DrawFn) -> NetworkDescription:
    """Chains whose names are as bad as XML allows, and whose probabilities have all their digits."""
    count = draw(st.integers(1, 4))
    states = tuple(tuple(draw(st.lists(NASTY, min_size=1, max_size=3, unique=True))) for _ in range(count))
    backwards = draw(st.booleans())
    parents = tuple(tuple(range(place))[:: -1 if backwards else 1] for place in range(count))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    tables = []
    for place in range(count):
        table = random.exponential(size=[len(states[each]) for each in (*parents[place], place)]) ** 9 + 1e-300
        tables.append(table / table.sum(axis=-1, keepdims=True))
    variables = tuple(draw(st.lists(NASTY, min_size=count, max_size=count, unique=True)))
    return NetworkDescription(draw(NASTY), variables, states, parents, tuple(tables))


# ------------------------------------------------------------------------------------------------------------ reading


@pytest.mark.parametrize("front", [FRONT, "", '<!DOCTYPE BIF SYSTEM "absent.dtd">'])
def test_the_given_variables_count_in_their_order_and_the_variable_itself_fastest(front):
    network = xmlbif.loads(front + BODY)
    assert network.name == "Dog & Problem"
    assert network.variables == ("ill", "out", "family")
    assert network.states == (("yes", "no"), ("<5", ">=5"), ("1", "2", "3"))
    assert network.parents == ((), (0, 2), ())
    assert network.tables[0].tolist() == [0.01, 0.99]
    assert network.tables[1].shape == (2, 3, 2)
    assert network.tables[1][..., 0].tolist() == [[0.99, 0.97, 0.9], [0.3, 0.2, 1]]
    assert network.tables[2].tolist() == [0.5, 0.25, 0.25]


def test_a_file_is_decoded_as_it_declares(tmp_path):
    path = tmp_path / "network.xml"
    text = BODY.replace("Dog", "Hündchen")
    for encoding in ("ISO-8859-1", "UTF-8", "UTF-16", "windows-1252"):
        path.write_bytes(f'<?xml version="1.0" encoding="{encoding}"?>{text}'.encode(encoding))
        assert read_network(path).name == "Hündchen & Problem"
    path.write_bytes(f'<?xml version="1.0" encoding="klingon"?>{text}'.encode())
    with pytest.raises(DataError, match=r"network\.xml' cannot be read, line 1: expected .* encoding"):
        read_network(path)
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(DataError, match="line 1: expected well-formed XML"):
        read_network(path)


# ------------------------------------------------------------------------------------------------------------ refusal


FAULTS = {
    "no elements at all": ("", "", "line 1: expected well-formed XML, found: no element found."),
    "an open element": ("</NETWORK>", "", "line 11: expected well-formed XML, found: mismatched tag."),
    "another root": ("BIF", "XBN", "line 1: expected BIF, found 'XBN'."),
    "an undeclared entity": ("Dog", "&dog;", "line 1: expected well-formed XML, found: undefined entity."),
    "two names": ("<PROPERTY>author nobody</PROPERTY>", "<NAME/>", "line 1: expected one NAME in NETWORK, found 2."),
    "a name with a part": ("<NAME>ill", "<NAME><B/>ill", "line 6: expected only text in NAME, found 'B'."),
    "an unknown element": ("<PROPERTY>x</PROPERTY>", "<X/>", "line 6: expected NAME or OUTCOME, found 'X'."),
    "a decision": (
        'TYPE="nature"',
        'TYPE="decision"',
        "line 6: expected a variable of TYPE 'nature', found 'decision'.",
    ),
    "a repeated name": ("<NAME>out", "<NAME>ill", "line 7: the variable 'ill' is declared twice."),
    "a repeated state": ("<OUTCOME>2", "<OUTCOME>1", "line 8: the variable 'family' has two states '1'."),
    "a variable without states": (
        "<OUTCOME>yes</OUTCOME><OUTCOME>no</OUTCOME>",
        "",
        "line 6: expected at least one state of 'ill'.",
    ),
    "an unknown variable": ("<FOR>ill", "<FOR>Ill", "line 9: expected a declared variable, found 'Ill'."),
    "an unknown parent": ("<GIVEN>ill", "<GIVEN>Ill", "line 2: expected a declared variable, found 'Ill'."),
    "a repeated parent": ("<GIVEN>ill", "<GIVEN>family", "line 2: the variable 'out' has the parent 'family' twice."),
    "two definitions": ("<FOR>family", "<FOR>ill", "line 10: the probabilities of 'ill' are given twice."),
    "two children": ("<FOR>ill", "<FOR>out</FOR><FOR>ill", "line 9: expected one FOR in DEFINITION, found 2."),
    "no table": ("<TABLE>0.01 0.99</TABLE>", "", "line 9: expected one TABLE in DEFINITION, found 0."),
    "no number": ("0.01 0.99</", "0.01 0,99</", "line 9: expected a probability of 'ill', found '0,99'."),
    "no finite number": ("0.01 0.99</", "0.01 NaN</", "line 9: expected a probability of 'ill', found 'NaN'."),
    "too few numbers": ("9e-1 .1", "9e-1", "line 3: expected 12 probabilities of 'out' in the table, found 11."),
    "no distribution": (
        "0.97 0.03",
        "0.97 0.3",
        "line 2: the probabilities of 'out' given 'ill' = 'yes', 'family' = '2' sum to 1.27, not to 1 within 0.01.",
    ),
    "a cycle": ("<GIVEN>ill", "<GIVEN>out", "line 2: the parents form a cycle, 'out' -> 'out', and may not."),
    "a variable without probabilities": (
        "<DEFINITION><TABLE>0.5 0.25 0.25</TABLE><FOR>family</FOR></DEFINITION>",
        "",
        "line 8: expected the probabilities of 'family' somewhere in the file.",
    ),
}


@pytest.mark.parametrize(("old", "new", "sentence"), FAULTS.values(), ids=FAULTS)
def test_what_is_wrong_is_said_with_its_line(old, new, sentence):
    text = BODY.replace(old, new) if old else ""
    assert refused(text) == sentence


def test_a_network_needs_a_variable_and_a_file_a_network():
    assert refused("<BIF><NETWORK><NAME>n</NAME></NETWORK></BIF>") == "line 1: expected at least one variable."
    assert refused("<BIF></BIF>") == "line 1: expected one NETWORK in BIF, found 0."


BOMB = "".join(f'<!ENTITY e{level} "{f"&e{level - 1};" * 10}">' for level in range(1, 12))


@pytest.mark.parametrize(
    ("declarations", "name"),
    [
        (f'<!ENTITY e0 "ha">{BOMB}', "e0"),
        ('<!ENTITY secret SYSTEM "file:///etc/hostname">', "secret"),
        ('<!ENTITY % more SYSTEM "more.dtd"> %more;', "more"),
        ('<!ENTITY unused "">', "unused"),
    ],
)
def test_entities_are_refused_before_they_are_expanded(declarations, name):
    text = f"<!DOCTYPE BIF [ <!ELEMENT BIF ( NETWORK )*>\n{declarations} ]>{BODY.replace('Dog', '&e11;')}"
    assert refused(text) == f"line 2: expected no entities, found '{name}'."


def test_an_entity_of_a_declaration_elsewhere_is_not_dropped_in_silence():
    text = f'<!DOCTYPE BIF SYSTEM "absent.dtd">\n{BODY.replace("Dog", "&dog;")}'
    assert refused(text) == "line 2: expected no entities, found 'dog'."


def test_a_table_beyond_all_memory_is_refused_before_it_exists():
    outcomes = "".join(f"<OUTCOME>{state}</OUTCOME>" for state in range(1024))
    names = ("a", "b", "c")
    text = "".join(f"<VARIABLE><NAME>{name}</NAME>{outcomes}</VARIABLE>" for name in names)
    text += "\n<DEFINITION><FOR>a</FOR><GIVEN>b</GIVEN><GIVEN>c</GIVEN><TABLE>1</TABLE></DEFINITION>"
    expected = "line 2: the table of 'a' brings the network beyond 134217728 probabilities."
    assert refused(f"<BIF><NETWORK><NAME>n</NAME>{text}</NETWORK></BIF>") == expected


def test_deep_nesting_is_a_data_error():
    depth = 200_000
    assert refused(f"<BIF>{'<a>' * depth}{'</a>' * depth}</BIF>") == "line 1: expected NETWORK, found 'a'."


# ------------------------------------------------------------------------------------------------------------ writing


@settings(max_examples=200, deadline=None)
@given(descriptions())
def test_what_is_written_comes_back_to_the_bit(network):
    text = xmlbif.dumps(network)
    assert_same(network, xmlbif.loads(text))
    assert_same(network, xmlbif.loads(text.encode()))


@pytest.mark.parametrize("suffix", ["xml", "xmlbif", "bifxml", "XML"])
def test_files_carry_their_declarations(tmp_path, suffix):
    network = xmlbif.loads(BODY)
    path = tmp_path / f"network.{suffix}"
    write_network(network, path)
    assert_same(network, read_network(path))
    text = path.read_text(encoding="utf-8")
    assert text.startswith('<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE BIF [')
    assert '<!ATTLIST VARIABLE TYPE (nature|decision|utility) "nature">' in text


@pytest.mark.parametrize(("character", "code"), [("\0", "U+0000"), ("\x1b", "U+001B"), ("\uffff", "U+FFFF")])
def test_a_character_that_xml_has_not_is_refused(character, code):
    network = NetworkDescription("n", ("a",), ((f"x{character}",),), ((),), (np.ones(1),))
    with pytest.raises(DataError, match=rf"XMLBIF cannot hold the character U\+{code[2:]} of .* write a \.bif file\.$"):
        xmlbif.dumps(network)


def test_pyagrum_reads_the_same(tmp_path):
    pyagrum = pytest.importorskip("pyagrum")
    network = xmlbif.loads(BODY)
    path = tmp_path / "network.bifxml"
    # pyAgrum's reader knows no declarations.
    path.write_text(re.sub(r"<!DOCTYPE.*?\]>", "", xmlbif.dumps(network), flags=re.DOTALL))
    other = pyagrum.loadBN(str(path))
    for ill, yes in enumerate(("yes", "no")):
        for family, label in enumerate(("1", "2", "3")):
            row = other.cpt("out")[{"ill": yes, "family": label}]
            np.testing.assert_allclose(network.tables[1][ill, family], row, rtol=0, atol=1e-7)


def test_pgmpy_reads_the_same(tmp_path):
    readwrite = pytest.importorskip("pgmpy.readwrite")
    network = xmlbif.loads(BODY.replace("&lt;5", "under_5").replace("<![CDATA[>=5]]>", "over_5"))
    path = tmp_path / "network.xml"
    write_network(network, path)
    cpd = readwrite.XMLBIFReader(str(path)).get_model().get_cpds("out")
    assert cpd.variables == ["out", "ill", "family"]
    np.testing.assert_array_equal(np.moveaxis(np.asarray(cpd.values), 0, -1), network.tables[1])
