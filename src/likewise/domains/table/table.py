"""The domain of tables: a learned schema between records of any kind and batches of events."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from likewise.domains.domain import Blanks, Domain
from likewise.domains.table import columns
from likewise.domains.table.description import describe
from likewise.domains.table.encoding import encoded
from likewise.domains.table.evidence import label_of, understand
from likewise.domains.table.inference import infer
from likewise.domains.table.labels import read_labels
from likewise.domains.table.maps import Map
from likewise.domains.table.overlay import constant, lay_over, single_values
from likewise.domains.table.schema import Facts, Kind, Thresholds
from likewise.domains.table.sources import Source, check_memory, read, write
from likewise.domains.table.stored import facts_state, restore_facts
from likewise.domains.table.vectors import Vector, is_blank, place
from likewise.domains.table.wishes import Wishes, listed, wishes_of
from likewise.errors import DataError
from likewise.events import Batch, Categorical, Columns, Entry, Event, Restriction, State, Status

CONSTANTS = "(constants)"
"""The entry that all constant columns share: code 0 where they are as in training, the unseen code where one is not."""


class Table(Domain):
    """Tables: pandas, polars, arrow, arrays, lists of dicts, CSV and Parquet files, scikit-learn's bundled sets.

    What is not given here is inferred from the training records.

    Parameters
    ----------
    kinds : column -> "real", "quantised", "categorical", "boolean", "datetime", "text", "identifier", "constant" or
        "ignore" (left out of the model, blank in samples)
    steps : column -> the step of its grid
    atoms : column -> the values that carry probability mass of their own
    bounds : column -> (low, high), the closed support; None for an open end
    maps : column -> "normal" (normal scores, which close the gaps between groups of values) or "affine" (standardised)
    names : names of the columns of a file without a header
    missing_markers : the cells of a text file that are blanks
    max_categories, label_numbers, label_rows, atom_share, atom_ratio, atom_rows, max_atoms, identifier_share, tie_share
        Where inference draws its lines, see `Thresholds`.

    Attributes
    ----------
    event : Event
        One entry a modelled column, one more for all constant columns together, then the labels.
    facts, labels : tuple of Facts
        What was learned of each column, and of the labels.
    notes : list of str
        What was found out in reading the training records, in plain sentences.
    markers : dict
        Column -> how its text file wrote a blank.

    Notes
    -----
    A value off the grid of its column counts as the cell it falls in. A value outside the bounds, a state that was not
    in training, and a blank in a column that had none are the unseen state of their column (in a boolean column: a
    DataError). All constant columns share one entry, whose unseen state is any other value. Identifiers are not looked
    at when records are encoded. Columns of text files are as pandas would read them, but that whole numbers with blanks
    are "Int64" and truth values with blanks "boolean".

    Examples
    --------
    >>> import torch
    >>> table = Table().fit({"size": [1.5, 2.25, 4.125] * 20, "kind": ["a", "b", "b"] * 20})
    >>> batch = table.encode({"size": [2.25], "kind": ["a"]})
    >>> table.decode(batch, torch.Generator())
    {'size': [2.25], 'kind': ['a']}
    """

    name: ClassVar[str] = "table"

    def __init__(
        self,
        *,
        kinds: Mapping[str, Kind] | None = None,
        steps: Mapping[str, float] | None = None,
        atoms: Mapping[str, Sequence[Any]] | None = None,
        bounds: Mapping[str, tuple[float | None, float | None]] | None = None,
        maps: Mapping[str, Map] | None = None,
        names: Sequence[str] | None = None,
        missing_markers: Collection[str] | None = None,
        max_categories: int = 200,
        label_numbers: int = 20,
        label_rows: float = 5.0,
        atom_share: float = 0.001,
        atom_ratio: float = 3.0,
        atom_rows: int = 8,
        max_atoms: int = 100,
        identifier_share: float = 0.9,
        tie_share: float = 0.05,
    ) -> None:
        self.kinds, self.steps, self.atoms, self.bounds, self.maps = kinds, steps, atoms, bounds, maps
        self.names, self.missing_markers = names, missing_markers
        self.max_categories, self.label_numbers, self.label_rows = max_categories, label_numbers, label_rows
        self.atom_share, self.atom_ratio, self.atom_rows, self.max_atoms = atom_share, atom_ratio, atom_rows, max_atoms
        self.identifier_share, self.tie_share = identifier_share, tie_share

    # --------------------------------------------------------------------------------------------------------- reading

    def read(self, records: Any) -> Source:
        """Records, read once: what `fit`, `encode` and `evidence` accept wherever they accept records."""
        texts = [facts.name for facts in getattr(self, "facts", ()) if facts.family == "label"]
        return read(records, names=self.names, missing_markers=self.missing_markers, text_columns=texts)

    # -------------------------------------------------------------------------------------------------------- learning

    def fit(self, records: Any, labels: Any = None) -> Self:
        """Learns the schema from at least 2 training records; DataError where they cannot be used."""
        source = self.read(records)
        if len(source) < 2:
            raise DataError(
                f"A schema is learned from at least 2 records; got {len(source)} (n_samples={len(source)})."
            )
        named = read_labels(labels, len(source)) if labels is not None else None
        every = [*source.names, *(named.names if named else ())]
        wishes = wishes_of(
            every, kinds=self.kinds, steps=self.steps, atoms=self.atoms, bounds=self.bounds, maps=self.maps
        )
        thresholds = Thresholds(**{field.name: getattr(self, field.name) for field in fields(Thresholds)})
        found = tuple(
            infer(name, vector, wishes.get(name, Wishes()), thresholds)
            for name, vector in zip(source.names, source.vectors, strict=True)
        )
        of_labels = tuple(
            infer(name, vector, wishes.get(name, Wishes()), thresholds, label=True)
            for name, vector in zip(named.names if named else (), named.vectors if named else (), strict=True)
        )
        if not any(facts.modelled or facts.kind == "constant" for facts in (*found, *of_labels)):
            raise DataError("No column is left to learn from: all are identifiers or ignored; use kinds= to keep one.")
        self._set(found, of_labels, source.memory, list(source.notes), dict(source.markers))
        self._label_memory = named.memory if named else None
        return self

    @classmethod
    def closed(cls, states: Mapping[str, Sequence[str]]) -> Self:
        """A fitted domain of categories of which all are known: column -> its states, in order.

        Records come out as pandas frames of categories.

        Examples
        --------
        >>> Table.closed({"rain": ["no", "yes"]}).event.code_sizes
        (2,)
        """
        import pandas as pd

        table = cls(kinds=dict.fromkeys(states, "categorical"))
        frame = pd.DataFrame({name: pd.Categorical(own[:1], categories=list(own)) for name, own in states.items()})
        source = table.read(frame)
        facts = (
            Facts(name, "categorical", "label", states=tuple(own), distinct=len(own), closed=True)
            for name, own in states.items()
        )
        table._set(tuple(facts), (), source.memory, [], {})
        table._label_memory = None
        return table

    def _set(
        self,
        facts: tuple[Facts, ...],
        labels: tuple[Facts, ...],
        memory: Any,
        notes: list[str],
        markers: dict[str, str],
    ) -> None:
        self.facts, self.labels, self.memory, self.notes, self.markers = facts, labels, memory, notes, markers
        entries = [column.entry for column in facts if column.modelled]
        constants = [column for column in facts if column.kind == "constant"]
        if constants:
            entries.append(Entry(CONSTANTS, Categorical(2), unseen=1, reserved=constants[0].reserved))
        self.event = Event(Columns(), tuple(entries), tuple(label.entry for label in labels))
        self._by_name = {column.name: column for column in reversed((*facts, *labels))}

    # -------------------------------------------------------------------------------------------------------- encoding

    def encode(self, records: Any, labels: Any = None, *, blanks: Blanks = "missing") -> Batch:
        """Records of the learned schema as a float64 batch.

        Columns go by name; those of an array without names by position. Columns that training did not have are ignored.
        With `blanks="missing"` a blank cell is observed to be missing (the unseen state where training had no blank in
        that column), with "unknown" a value nobody knows. Without `labels`, label entries are unknown.
        """
        vectors, size = self._read(records, partial=False)
        if labels is not None:
            named = read_labels(labels, size)
            if len(named.vectors) != len(self.labels):
                raise DataError(f"There are {len(named.vectors)} labels; expected {len(self.labels)} as in training.")
            for facts, vector in zip(self.labels, named.vectors, strict=True):
                vectors[facts.name] = columns.conform(facts, vector)
        return self._batch(vectors, size, blanks)

    def vectors(self, records: Any) -> dict[str, Vector]:
        """The columns of records that were modelled or constant in training, in the families of training."""
        return self._read(records, partial=False)[0]

    def _read(self, records: Any, partial: bool) -> tuple[dict[str, Vector], int]:
        """Vectors by column, in the families of training."""
        source = self.read(records)
        at = dict(zip(self._names(source), source.vectors, strict=True))
        needed = [facts for facts in self.facts if facts.modelled or facts.kind == "constant"]
        absent = [facts.name for facts in needed if facts.name not in at]
        if absent and (not partial or len(absent) == len(needed)):
            raise DataError(
                f"The records have no {place(absent[0])}; expected the columns of training: {listed(absent)}."
            )
        wanted = (*needed, *self.labels) if partial else needed
        return {f.name: columns.conform(f, at[f.name]) for f in wanted if f.name in at}, len(source)

    def _names(self, source: Source) -> tuple[str, ...]:
        """The columns of training that those of the records are: by name, of arrays without names by position."""
        if source.memory["container"] != "array" or (self.names is not None and source.names == tuple(self.names)):
            return source.names
        if len(source.names) != len(self.facts):
            raise DataError(
                f"X has {len(source.names)} features, but Table is expecting {len(self.facts)} features as input."
            )
        return tuple(facts.name for facts in self.facts)

    def _batch(self, vectors: Mapping[str, Vector], size: int, blanks: Blanks) -> Batch:
        constants = [facts for facts in self.facts if facts.kind == "constant"]
        return encoded(self.event, self._entry_facts(), constants, vectors, size, blanks)

    def _entry_facts(self) -> list[Facts | None]:
        """The facts of each entry of the event; None for the constants."""
        found: list[Facts | None] = [facts for facts in self.facts if facts.modelled]
        if any(facts.kind == "constant" for facts in self.facts):
            found.append(None)
        return [*found, *self.labels]

    # -------------------------------------------------------------------------------------------------------- decoding

    def decode(self, batch: Batch, generator: torch.Generator, *, given: Any = None) -> Any:
        """Records of the kind that `fit` saw.

        Identifiers are made anew, constants restored, texts of the pool drawn from it by `generator`. With `given`,
        what it says of single values stands in the records exactly as given, also in columns that are not modelled; the
        batch must then hold equally many records for each record of `given`, those of one in a row.
        """
        vectors = self._decoded(self.facts, batch, generator)
        if given is not None:
            vectors = self._overlaid(vectors, given)
        return write(self.memory, vectors)

    def decode_labels(self, batch: Batch, generator: torch.Generator) -> Any:
        """The labels of a batch, in the kind that `fit` saw."""
        if self._label_memory is None:
            raise DataError("The model was fitted without labels.")
        return write(self._label_memory, self._decoded(self.labels, batch, generator))

    def _decoded(self, wanted: Sequence[Facts], batch: Batch, generator: torch.Generator) -> list[Vector]:
        size, made = len(batch), []
        for facts in wanted:
            if facts.modelled:
                i = self.event.index(facts.name)
                made.append(columns.decode(facts, batch.codes[:, i], batch.values[:, i], generator))
            elif facts.identifier is not None:
                made.append(facts.identifier.make(size, generator))
            else:
                made.append(constant(facts, size))
        return made

    # -------------------------------------------------------------------------------------------------------- evidence

    def evidence(self, given: Mapping[str, Any] | Any) -> Batch:
        """Evidence from the user's words.

        A mapping gives one row: column -> a value, a list or set of values (in which None stands for *missing*), or an
        interval (low, high) with None for an open end, both ends included and atoms within it too; a list may hold
        intervals as well. None alone says nothing. Records give a row each, a blank meaning unknown. Columns not named
        are unknown.
        """
        if not isinstance(given, Mapping):
            vectors, size = self._read(given, partial=True)
            return self._batch(vectors, size, "unknown")
        batch = Batch.unknown(self.event, 1)
        parts = _arrays(batch)
        for column, said in given.items():
            facts = self._facts_of(str(column))
            if is_blank(said):
                continue
            if not facts.modelled:
                self._check_given(facts, said)
                continue
            i = self.event.index(facts.name)
            found = understand(facts, said)
            if isinstance(found, Restriction):
                batch = batch.restrict(i, found)
                parts = _arrays(batch)
                continue
            parts[0][0, i], parts[1][0, i] = found.codes.item(), int(Status.OBSERVED)
            if facts.valued or facts.pool:
                for part, value in zip(parts[2:], (found.values, found.lower, found.width), strict=True):
                    part[0, i] = value[0]
        return batch

    def _facts_of(self, name: str) -> Facts:
        if name in self._by_name:
            return self._by_name[name]
        names = [facts.name for facts in (*self.facts, *self.labels)]
        raise DataError(f"There is no {place(name)}; the columns are {listed(names)}.")

    def _check_given(self, facts: Facts, said: Any) -> None:
        """Constants may be given as what they are; identifiers and ignored columns not at all."""
        if facts.kind != "constant":
            what = "names the records" if facts.kind == "identifier" else "is ignored"
            raise DataError(f"{place(facts.name)} {what} and is not modelled, so nothing can be given about it.")
        if not facts.states:
            raise DataError(f"{place(facts.name)} was always missing, so no value can be given.")
        understand(facts, said)

    def _overlaid(self, vectors: list[Vector], given: Any) -> list[Vector]:
        """Decoded columns with what is given in single values put back."""
        if isinstance(given, Mapping):
            said = single_values(given)
        else:
            source = self.read(given)
            said = dict(zip(self._names(source), source.vectors, strict=True))
        return [
            lay_over(facts, made, said[facts.name]) if facts.name in said and facts.kind != "ignore" else made
            for facts, made in zip(self.facts, vectors, strict=True)
        ]

    def labels_of(self, entry: int, states: Sequence[State]) -> list[Any]:
        """What the user calls states of an entry: a value, an interval (low, high), or None for *missing*.

        All constant columns together are as in training, or not: True or False.
        """
        facts = self._entry_facts()[entry]
        if facts is None:
            return [state.code == 0 for state in states]
        return [label_of(facts, state) for state in states]

    def describe(self) -> list[dict[str, Any]]:
        """A row of plain data for each column and label, as `likewise inspect` prints them (see `description`)."""
        columns_ = [describe(facts) for facts in self.facts]
        return columns_ + [describe(facts, "label") for facts in self.labels]

    # ----------------------------------------------------------------------------------------------------------- state

    def state(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """The fitted schema as JSON data and named tensors."""
        described: dict[str, Any] = {
            "settings": self._settings(),
            "memory": self.memory,
            "label_memory": self._label_memory,
        }
        described |= {"notes": list(self.notes), "markers": dict(self.markers)}
        tensors: dict[str, Tensor] = {}
        for group, members in (("columns", self.facts), ("labels", self.labels)):
            states = [facts_state(facts, f"{group}.{i}") for i, facts in enumerate(members)]
            described[group] = [state for state, _ in states]
            for _, parts in states:
                tensors |= parts
        return described, tensors

    def _settings(self) -> dict[str, Any]:
        plain = {field.name: getattr(self, field.name) for field in fields(Thresholds)}
        names = None if self.names is None else [str(name) for name in self.names]
        markers = None if self.missing_markers is None else sorted(self.missing_markers)
        return {**plain, "names": names, "missing_markers": markers}

    @classmethod
    def restore(cls, description: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Self:
        """The inverse of `state`; ValueError, KeyError or TypeError on anything it did not write."""
        settings = description["settings"]
        known = {*asdict(Thresholds()), "names", "missing_markers"}
        if not isinstance(settings, Mapping) or set(settings) != known:
            raise ValueError("the settings of a table are not as written")
        table = cls(**settings)
        groups = []
        for group in ("columns", "labels"):
            members = description[group]
            if not isinstance(members, list):
                raise TypeError(f"{group} are no list")
            groups.append(tuple(restore_facts(state, tensors, f"{group}.{i}") for i, state in enumerate(members)))
        notes, markers = [str(note) for note in description["notes"]], dict(description["markers"])
        table._set(groups[0], groups[1], description["memory"], notes, markers)
        table._label_memory = description["label_memory"]
        empty, none = Batch.unknown(table.event, 0), torch.Generator()
        check_memory(table.memory, table._decoded(table.facts, empty, none))
        if table._label_memory is not None:
            check_memory(table._label_memory, table._decoded(table.labels, empty, none))
        names = [facts.name for facts in (*table.facts, *table.labels)]
        if len(set(names)) < len(names) or not len(table.event):
            raise ValueError("a table has a column twice, or none")
        return table


def _arrays(batch: Batch) -> tuple[Any, ...]:
    """The tensors of a batch as arrays, in which single cells are written faster."""
    tensors = (batch.codes, batch.status, batch.values, batch.lower, batch.width)
    return tuple(tensor.numpy() for tensor in tensors)
