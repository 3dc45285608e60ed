"""The Interchange Format for Bayesian networks 0.15 (BIF), as the networks of the bnlearn repository are published.

A file is a `network` block and then, in any order, a `variable` and a `probability` block for each variable:

    network weather { }
    variable rain { type discrete [ 2 ] { yes, no }; }
    variable wet { type discrete [ 2 ] { yes, no }; }
    probability ( rain ) { table 0.2, 0.8; }
    probability ( wet | rain ) { (yes) 0.9, 0.1; default 0.3, 0.7; }

Commas count as blanks, and comments are those of C++. The first variable of a `probability` block is the child. Its
probabilities are entries, one for each configuration of the parents, with a `default` for those not named; or one
`table`, in which the last parent varies fastest and the child slowest, so that `table` of `( wet | rain )` above is
0.9, 0.3, 0.1, 0.7. Properties are skipped.

A name is a bare word, of anything but blanks, quotes and ``{}()[];|,``, or stands between double quotes. The format
says nothing of quotes within a name: here a backslash stands before a quote or a backslash that is meant, and any other
backslash is itself.

Source: F. G. Cozman (1996), The Interchange Format for Bayesian Networks, version 0.15. Arbitrary text between blocks,
which it allows, is refused here unless it is a comment: it could hide a misspelt block.
"""

from __future__ import annotations

import math
import re
from itertools import islice
from typing import NoReturn

import numpy as np

from likewise.errors import DataError
from likewise.exchange.description import NetworkDescription, shown
from likewise.exchange.draft import Draft, Family, Fault, first_no_number

_QUOTED = r'"[^"\\]*+(?:\\.[^"\\]*+)*+'
# An unclosed comment or quotation is a token up to the end: looking for its end again and again would cost a square.
_TOKEN = re.compile(
    rf"""
      (?:[^\s{{}}()\[\];|,"/]|/(?![/*]))++      # a bare word or a number
    | [{{}}()\[\];|]
    | {_QUOTED}(?:"|\\?\Z)
    | //[^\r\n]*+
    | /\*(?:.*?\*/|.*+)
    """,
    re.VERBOSE | re.DOTALL,
)
_CLOSED = re.compile(_QUOTED + '"', re.DOTALL)
_BARE = re.compile(r"[\w.+<>=-]+(?:/[\w.+<>=-]+)*", re.ASCII)
_SYMBOLS = frozenset("{}()[];|")
_KEYWORDS = frozenset({"network", "variable", "probability", "property", "type", "discrete", "table", "default"})


# ------------------------------------------------------------------------------------------------------------ reading


def loads(text: str) -> NetworkDescription:
    """The network that a text in BIF describes.

    Raises
    ------
    DataError
        Where the text is malformed or contradicts itself: one sentence with the line and what was expected.

    Examples
    --------
    >>> loads("network n {} variable a { type discrete [2] {yes, no}; } probability (a) { table .2, .8; }").tables
    (array([0.2, 0.8]),)
    """
    tokens = _Tokens(text)
    try:
        return _network(tokens)
    except Fault as fault:
        raise DataError(f"line {_line(text, fault.place)}: {fault}.") from None


class _Tokens:
    """The tokens of a text, and how far they have been read. After the last comes an empty one, which none is."""

    def __init__(self, text: str) -> None:
        self.all: list[str] = [token for token in _TOKEN.findall(text) if not _is_comment(token)]
        self.all.append("")
        self.at = 0

    @property
    def next(self) -> str:
        return self.all[self.at]

    def expect(self, *wanted: str) -> None:
        for token in wanted:
            if self.next != token:
                self.refuse(f"'{token}'")
            self.at += 1

    def word(self, what: str) -> str:
        """A name or a label, without its quotes."""
        token = self.next
        if not token or token in _SYMBOLS:
            self.refuse(what)
        self._check_closed(token)
        if token[0] == '"':
            token = re.sub(r'\\(["\\])', r"\1", token[1:-1])
        self.at += 1
        return token

    def words(self, what: str, end: str) -> list[str]:
        """All words up to a symbol, which is passed."""
        found = []
        while self.next != end:
            found.append(self.word(f"{what} or '{end}'"))
        self.at += 1
        return found

    def find(self, symbol: str) -> int:
        """The place of the next such symbol."""
        try:
            return self.all.index(symbol, self.at)
        except ValueError:
            raise Fault(self.at, f"expected '{symbol}' before the end of the file") from None

    def skip_properties(self) -> None:
        while self.next == "property":
            self.at = self.find(";") + 1

    def refuse(self, expected: str) -> NoReturn:
        self._check_closed(self.next)
        found = shown(self.next) if self.next else "the end of the file"
        raise Fault(self.at, f"expected {expected}, found {found}")

    def _check_closed(self, token: str) -> None:
        if token.startswith("/*") or (token.startswith('"') and not _CLOSED.fullmatch(token)):
            what = "comment" if token.startswith("/*") else "quotation"
            raise Fault(self.at, f"the {what} {shown(token)} is not closed")


def _is_comment(token: str) -> bool:
    """Whether a token may be passed over: a comment that is not closed may not."""
    return token.startswith("//") or (token.startswith("/*") and token.endswith("*/") and len(token) > 3)


def _line(text: str, place: int) -> int:
    """The line of a token; the last one for what stands after all tokens."""
    tokens = (match for match in _TOKEN.finditer(text) if not _is_comment(match[0]))
    match = next(islice(tokens, place, None), None)
    return text.count("\n", 0, match.start() if match else len(text.rstrip())) + 1


def _network(tokens: _Tokens) -> NetworkDescription:
    tokens.expect("network")
    draft = Draft(tokens.word("the name of the network"))
    tokens.expect("{")
    tokens.skip_properties()
    tokens.expect("}")
    # Probabilities are read when all variables are known, in whatever order the blocks come.
    later = []
    while tokens.next:
        if tokens.next == "variable":
            _variable(tokens, draft)
        elif tokens.next == "probability":
            later.append(tokens.at)
            tokens.at = tokens.find("}") + 1
        else:
            tokens.refuse("'variable' or 'probability'")
    end = tokens.at
    for place in later:
        tokens.at = place
        _probability(tokens, draft)
    return draft.description(end)


def _variable(tokens: _Tokens, draft: Draft) -> None:
    place = tokens.at
    tokens.expect("variable")
    name = tokens.word("the name of a variable")
    tokens.expect("{")
    tokens.skip_properties()
    tokens.expect("type", "discrete", "[")
    size = tokens.next
    if not (size.isascii() and size.isdigit()):
        tokens.refuse(f"the number of states of {shown(name)}")
    tokens.at += 1
    tokens.expect("]", "{")
    labels = tokens.words(f"a state of {shown(name)}", "}")
    # Compared as text: a number of a million digits would take long to convert.
    if (size.lstrip("0") or "0") != str(len(labels)):
        raise Fault(place, f"expected {size[:20]} states of {shown(name)}, found {len(labels)}")
    tokens.expect(";")
    tokens.skip_properties()
    tokens.expect("}")
    draft.declare(place, name, labels)


def _probability(tokens: _Tokens, draft: Draft) -> None:
    place = tokens.at
    tokens.expect("probability", "(")
    child = tokens.word("the name of a variable")
    if tokens.next == "|":
        tokens.at += 1
    parents = tokens.words("the name of a parent", ")")
    tokens.expect("{")
    family = draft.family(place, child, parents)
    tokens.skip_properties()
    if tokens.next == "table":
        tokens.at += 1
        values = _numbers(tokens, math.prod(family.shape), f"{shown(child)} in the table")
        own = family.shape[-1]
        # The child varies slowest in the file and fastest in a description.
        table = np.ascontiguousarray(np.array(values).reshape(own, -1).T)
        tokens.skip_properties()
        tokens.expect("}")
    else:
        table = _entries(tokens, draft, family)
    draft.define(family, table.reshape(family.shape))


def _entries(tokens: _Tokens, draft: Draft, family: Family) -> np.ndarray:
    """Entries and a default, up to the end of the block: a table of (configurations of the parents, own states)."""
    count, own = math.prod(family.shape[:-1]), family.shape[-1]
    child = shown(draft.variables[family.child])
    rows: dict[int, list[float]] = {}
    default: list[float] | None = None
    place = tokens.at
    while tokens.next != "}":
        if tokens.next == "default" and default is None:
            tokens.at += 1
            default = _numbers(tokens, own, f"{child} in the default")
        elif tokens.next == "(":
            row = _row(tokens, draft, family)
            if row in rows:
                raise Fault(tokens.at, f"the probabilities of {draft.words(family, row)} are given twice")
            rows[row] = _numbers(tokens, own, f"{child} in an entry")
        else:
            tokens.refuse("an entry, one 'default', one 'table' without either, or '}'")
        tokens.skip_properties()
    tokens.at += 1
    if default is None and len(rows) < count:
        absent = next(row for row in range(count) if row not in rows)
        raise Fault(place, f"expected the probabilities of {draft.words(family, absent)}, or a default")
    table = np.empty((count, own))
    if default is not None:
        table[:] = default
    if rows:
        table[list(rows)] = list(rows.values())
    return table


def _row(tokens: _Tokens, draft: Draft, family: Family) -> int:
    """The states of the parents in brackets, as the row of the table that they name."""
    tokens.expect("(")
    place = tokens.at
    labels = tokens.words("a state of a parent", ")")
    if len(labels) != len(family.parents):
        raise Fault(place, f"expected as many states as parents, {len(family.parents)}, found {len(labels)}")
    row = 0
    for parent, label in zip(family.parents, labels, strict=True):
        codes = draft.codes[parent]
        if label not in codes:
            raise Fault(place, f"expected a state of {shown(draft.variables[parent])}, found {shown(label)}")
        row = row * len(codes) + codes[label]
    return row


def _numbers(tokens: _Tokens, count: int, what: str) -> list[float]:
    """So many numbers up to a semicolon."""
    start, end = tokens.at, tokens.find(";")
    words = tokens.all[start:end]
    wrong = first_no_number(words)
    if wrong is not None:
        tokens.at = start + wrong
        tokens.refuse("a probability or ';'")
    if len(words) != count:
        raise Fault(start, f"expected {count} probabilities of {what}, found {len(words)}")
    tokens.at = end + 1
    return list(map(float, words))


# ------------------------------------------------------------------------------------------------------------ writing


def dumps(description: NetworkDescription) -> str:
    """The network in BIF; `loads` gives back every bit of it.

    Raises
    ------
    DataError
        Never for what a description may hold.

    Examples
    --------
    >>> print(dumps(NetworkDescription("n", ("a b",), (("yes", "no"),), ((),), (np.array([0.25, 0.75]),))))
    network n {
    }
    variable "a b" {
      type discrete [ 2 ] { yes, no };
    }
    probability ( "a b" ) {
      table 0.25, 0.75;
    }
    """
    names = [_written(name) for name in description.variables]
    labels = [[_written(label) for label in states] for states in description.states]
    lines = [f"network {_written(description.name)} {{", "}"]
    for name, states in zip(names, labels, strict=True):
        lines += [f"variable {name} {{", f"  type discrete [ {len(states)} ] {{ {', '.join(states)} }};", "}"]
    for name, parents, table in zip(names, description.parents, description.tables, strict=True):
        given = f" | {', '.join(names[parent] for parent in parents)}" if parents else ""
        lines.append(f"probability ( {name}{given} ) {{")
        for codes in np.ndindex(table.shape[:-1]):
            states = [labels[parent][code] for parent, code in zip(parents, codes, strict=True)]
            head = f"({', '.join(states)})" if parents else "table"
            lines.append(f"  {head} {', '.join(map(repr, table[codes].tolist()))};")
        lines.append("}")
    return "\n".join([*lines, ""])


def _written(name: str) -> str:
    """A name as it stands in a file: bare where every reader takes it, else quoted."""
    if _BARE.fullmatch(name) and name not in _KEYWORDS:
        return name
    escaped = re.sub(r'(["\\])', r"\\\1", name)
    return f'"{escaped}"'
