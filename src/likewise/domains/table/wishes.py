"""What the user says of columns instead of leaving it to the data, checked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from likewise.domains.table.maps import MAPS, Map
from likewise.domains.table.schema import KINDS, Kind
from likewise.domains.table.vectors import place
from likewise.errors import DataError


@dataclass(frozen=True)
class Wishes:
    """What the user said about a column; None leaves it to the data."""

    kind: Kind | None = None
    step: float | None = None
    atoms: Sequence[Any] | None = None
    bounds: tuple[float | None, float | None] | None = None
    map: Map | None = None


def wishes_of(names: Sequence[str], **options: Mapping[str, Any] | None) -> dict[str, Wishes]:
    """Column -> wishes, from the options kinds, steps, atoms, bounds and maps.

    Raises
    ------
    DataError
        Naming the option and the column, where there is no such column or the wish has the wrong form.
    """
    said: dict[str, dict[str, Any]] = {}
    attributes = {"kinds": "kind", "steps": "step", "atoms": "atoms", "bounds": "bounds", "maps": "map"}
    for option, given in options.items():
        if given is not None and not isinstance(given, Mapping):
            raise DataError(f"{option} is a {type(given).__name__}; expected a dict of column names.")
        for column, wish in (given or {}).items():
            name = str(column)
            if name not in names:
                raise DataError(f"{option}: there is no {place(name)}; the columns are {listed(names)}.")
            said.setdefault(name, {})[attributes[option]] = _checked(option, name, wish)
    return {name: Wishes(**wish) for name, wish in said.items()}


def listed(names: Iterable[str]) -> str:
    """Names in a sentence, the first dozen of many."""
    shown = list(names)
    more = f" and {len(shown) - 12} more" if len(shown) > 12 else ""
    return ", ".join(repr(name) for name in shown[:12]) + more


def _checked(option: str, name: str, wish: Any) -> Any:
    """A wish of the right form."""
    where = f"{option}: {place(name)}"
    if option == "kinds" and wish not in KINDS:
        raise DataError(f"{where} is to be {wish!r}; expected one of {', '.join(KINDS)}.")
    if option == "maps" and wish not in MAPS:
        raise DataError(f"{where} is to have the map {wish!r}; expected one of {', '.join(MAPS)}.")
    if option == "steps" and not (_is_number(wish) and 0 < wish < 1e300):
        raise DataError(f"{where} has the step {wish!r}; expected a positive number.")
    if option == "atoms" and (
        isinstance(wish, str) or not isinstance(wish, Iterable) or not all(_is_number(atom) for atom in wish)
    ):
        raise DataError(f"{where} has {wish!r}; expected a list of numbers.")
    if option == "bounds":
        pair = tuple(wish) if isinstance(wish, list | tuple) else ()
        if len(pair) != 2 or not all(end is None or _is_number(end) for end in pair):
            raise DataError(f"{where} has {wish!r}; expected a pair (low, high) of numbers or None.")
        if None not in pair and not pair[0] < pair[1]:
            raise DataError(f"{where} has {wish!r}; expected low < high.")
        return pair
    return wish


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value == value and abs(value) <= 1e300
