"""XMLBIF 0.3: the XML form of the Interchange Format for Bayesian networks.

A file has a `VARIABLE` with its `OUTCOME`s, and a `DEFINITION` with its `FOR`, `GIVEN`s and `TABLE`, for each variable.
In a table the given variables count in their order and the variable itself varies fastest (unlike `table` in BIF). Text
is taken as it stands, blanks included; properties are skipped.

The declarations of elements that such files carry in front are allowed and not enforced. Declarations of entities are
refused before any is expanded, and nothing outside the file is ever read.

Source: F. G. Cozman (1998), The Interchange Format for Bayesian Networks, XMLBIF version 0.3.
"""

from __future__ import annotations

import math
import re
from xml.etree.ElementTree import Element, SubElement, TreeBuilder, indent, tostring
from xml.parsers import expat

import numpy as np

from likewise.errors import DataError
from likewise.exchange.description import NetworkDescription, shown
from likewise.exchange.draft import Draft, Fault, first_no_number

_FRONT = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE BIF [
  <!ELEMENT BIF ( NETWORK )*>
  <!ATTLIST BIF VERSION CDATA #REQUIRED>
  <!ELEMENT NETWORK ( NAME, ( PROPERTY | VARIABLE | DEFINITION )* )>
  <!ELEMENT NAME (#PCDATA)>
  <!ELEMENT VARIABLE ( NAME, ( OUTCOME | PROPERTY )* )>
  <!ATTLIST VARIABLE TYPE (nature|decision|utility) "nature">
  <!ELEMENT OUTCOME (#PCDATA)>
  <!ELEMENT DEFINITION ( FOR | GIVEN | TABLE | PROPERTY )*>
  <!ELEMENT FOR (#PCDATA)>
  <!ELEMENT GIVEN (#PCDATA)>
  <!ELEMENT TABLE (#PCDATA)>
  <!ELEMENT PROPERTY (#PCDATA)>
]>
"""
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


# ------------------------------------------------------------------------------------------------------------ reading


def loads(text: str | bytes) -> NetworkDescription:
    """The network that a text in XMLBIF describes; bytes are decoded as the text itself declares.

    Raises
    ------
    DataError
        Where the text is malformed, declares entities or contradicts itself: one sentence with the line and what was
        expected.

    Examples
    --------
    >>> loads('''<BIF VERSION="0.3"><NETWORK><NAME>n</NAME>
    ... <VARIABLE TYPE="nature"><NAME>a</NAME><OUTCOME>yes</OUTCOME><OUTCOME>no</OUTCOME></VARIABLE>
    ... <DEFINITION><FOR>a</FOR><TABLE>0.2 0.8</TABLE></DEFINITION>
    ... </NETWORK></BIF>''').tables
    (array([0.2, 0.8]),)
    """
    try:
        return _network(_Document(text))
    except Fault as fault:
        raise DataError(f"line {fault.place}: {fault}.") from None


class _Document:
    """The elements of a file, each with its line."""

    def __init__(self, text: str | bytes) -> None:
        self._lines: dict[Element, int] = {}
        self._parser = expat.ParserCreate()
        self._builder = TreeBuilder()
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._builder.end
        self._parser.CharacterDataHandler = self._builder.data
        self._parser.EntityDeclHandler = self._refuse_entity
        self._parser.SkippedEntityHandler = self._refuse_entity
        try:
            self._parser.Parse(text, True)
        except expat.ExpatError as error:
            raise Fault(error.lineno, f"expected well-formed XML, found: {expat.ErrorString(error.code)}") from None
        except (LookupError, ValueError) as error:
            raise Fault(1, f"expected text in an encoding that can be read, found: {error}") from None
        self.root = self._builder.close()

    def line(self, element: Element) -> int:
        return self._lines[element]

    def children(self, element: Element, *tags: str) -> dict[str, list[Element]]:
        """The children by tag, in order; no other tags are allowed but PROPERTY."""
        found: dict[str, list[Element]] = {tag: [] for tag in tags}
        for child in element:
            if child.tag in found:
                found[child.tag].append(child)
            elif child.tag != "PROPERTY":
                raise Fault(self.line(child), f"expected {' or '.join(tags)}, found {shown(child.tag)}")
        return found

    def only(self, element: Element, found: list[Element], tag: str) -> Element:
        if len(found) != 1:
            raise Fault(self.line(element), f"expected one {tag} in {element.tag}, found {len(found)}")
        return found[0]

    def text(self, element: Element) -> str:
        if len(element):
            raise Fault(self.line(element[0]), f"expected only text in {element.tag}, found {shown(element[0].tag)}")
        return element.text or ""

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        self._lines[self._builder.start(tag, attributes)] = self._parser.CurrentLineNumber

    def _refuse_entity(self, name: str, *_: object) -> None:
        raise Fault(self._parser.CurrentLineNumber, f"expected no entities, found {shown(name)}")


def _network(document: _Document) -> NetworkDescription:
    root = document.root
    if root.tag != "BIF":
        raise Fault(document.line(root), f"expected BIF, found {shown(root.tag)}")
    network = document.only(root, document.children(root, "NETWORK")["NETWORK"], "NETWORK")
    parts = document.children(network, "NAME", "VARIABLE", "DEFINITION")
    draft = Draft(document.text(document.only(network, parts["NAME"], "NAME")))
    for variable in parts["VARIABLE"]:
        if (kind := variable.get("TYPE", "nature")) != "nature":
            raise Fault(document.line(variable), f"expected a variable of TYPE 'nature', found {shown(kind)}")
        facts = document.children(variable, "NAME", "OUTCOME")
        name = document.text(document.only(variable, facts["NAME"], "NAME"))
        draft.declare(document.line(variable), name, [document.text(outcome) for outcome in facts["OUTCOME"]])
    for definition in parts["DEFINITION"]:
        _define(document, draft, definition)
    return draft.description(document.line(network))


def _define(document: _Document, draft: Draft, definition: Element) -> None:
    facts = document.children(definition, "FOR", "GIVEN", "TABLE")
    child = document.text(document.only(definition, facts["FOR"], "FOR"))
    parents = [document.text(given) for given in facts["GIVEN"]]
    family = draft.family(document.line(definition), child, parents)
    table = document.only(definition, facts["TABLE"], "TABLE")
    words = document.text(table).split()
    wrong = first_no_number(words)
    if wrong is not None:
        raise Fault(document.line(table), f"expected a probability of {shown(child)}, found {shown(words[wrong])}")
    if len(words) != math.prod(family.shape):
        expected = f"{math.prod(family.shape)} probabilities of {shown(child)} in the table"
        raise Fault(document.line(table), f"expected {expected}, found {len(words)}")
    draft.define(family, np.array(list(map(float, words))).reshape(family.shape))


# ------------------------------------------------------------------------------------------------------------ writing


def dumps(description: NetworkDescription) -> str:
    """The network in XMLBIF; `loads` gives back every bit of it.

    The declarations in front are what validating readers (Weka's) ask for. Readers that know only a part of XML
    (pyAgrum's) stumble over them: remove `<!DOCTYPE BIF [ ... ]>` for those, or give them BIF.

    Raises
    ------
    DataError
        When a name has a character that XML cannot hold, such as most control characters.

    Examples
    --------
    >>> text = dumps(NetworkDescription("n", ("a",), (("<5", "5+"),), ((),), (np.array([0.25, 0.75]),)))
    >>> print(text[text.index("<VARIABLE "):text.index("</NETWORK>")])
    <VARIABLE TYPE="nature">
          <NAME>a</NAME>
          <OUTCOME>&lt;5</OUTCOME>
          <OUTCOME>5+</OUTCOME>
        </VARIABLE>
        <DEFINITION>
          <FOR>a</FOR>
          <TABLE>0.25 0.75</TABLE>
        </DEFINITION>
    """
    root = Element("BIF", VERSION="0.3")
    network = SubElement(root, "NETWORK")
    _add(network, "NAME", description.name)
    for name, labels in zip(description.variables, description.states, strict=True):
        variable = SubElement(network, "VARIABLE", TYPE="nature")
        _add(variable, "NAME", name)
        for label in labels:
            _add(variable, "OUTCOME", label)
    for name, parents, table in zip(description.variables, description.parents, description.tables, strict=True):
        definition = SubElement(network, "DEFINITION")
        _add(definition, "FOR", name)
        for parent in parents:
            _add(definition, "GIVEN", description.variables[parent])
        rows = table.reshape(-1, table.shape[-1]).tolist()
        _add(definition, "TABLE", "\n".join(" ".join(map(repr, row)) for row in rows))
    indent(root)
    # A bare carriage return would be read as a line feed.
    return f"{_FRONT}{tostring(root, encoding='unicode')}\n".replace("\r", "&#13;")


def _add(parent: Element, tag: str, text: str) -> None:
    if wrong := _NOT_XML.search(text):
        code = f"U+{ord(wrong[0]):04X}"
        raise DataError(f"XMLBIF cannot hold the character {code} of {shown(text)}: rename it, or write a .bif file.")
    SubElement(parent, tag).text = text
