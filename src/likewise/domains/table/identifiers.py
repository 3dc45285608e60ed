"""Identifiers: columns that name records rather than describe them, their pattern, and new ones of the same pattern."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

import numpy as np
import torch

from likewise.domains.table.vectors import Array, Scalar, Vector, labels

Pattern = Literal["running", "digits", "numbered text", "uuid", "template", "placeholder"]

_NAME = re.compile(
    r"(^|[^a-z])(id|ids|uuid|guid|index|idx|key|row|rownum|serial|identifier|recordid|no|nr)($|[^a-z])"
    r"|^unnamed: \d+$|[a-z]I[Dd]$"
)
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_NUMBERED = re.compile(r"(.*?)(\d{1,15})(\D*)", re.DOTALL)


@dataclass(frozen=True)
class Identifier:
    """How the identifiers of a column are made.

    Attributes
    ----------
    pattern : "running" (whole numbers `next`, `next + step`, ...), "digits" (random whole numbers in [low, high]),
        "numbered text" (a running number between `before` and `after`, padded to `width`), "uuid",
        "template" (text like `examples`, its letters and digits drawn anew), "placeholder" (`before` and a number)
    """

    pattern: Pattern
    next: int = 0
    step: int = 1
    high: int = 0
    before: str = ""
    after: str = ""
    width: int = 0
    templates: tuple[str, ...] = ()

    def words(self) -> str:
        """The pattern in words."""
        return {
            "running": f"running numbers, continued from {self.next}",
            "digits": f"whole numbers up to {self.high}, drawn at random",
            "numbered text": f"numbered text, continued from {self.before}{self.next:0{self.width}d}{self.after}",
            "uuid": "UUIDs, drawn at random",
            "template": "codes, drawn at random in the same patterns",
            "placeholder": f"free text, replaced by {self.before!r} and a number",
        }[self.pattern]

    def make(self, size: int, generator: torch.Generator) -> Vector:
        """New identifiers."""
        blank = np.zeros(size, dtype=bool)
        numbers = self.next + self.step * np.arange(size, dtype=np.int64)
        if self.pattern == "running":
            return Vector("number", numbers, blank)
        if self.pattern == "digits":
            drawn = torch.randint(self.next, self.high + 1, (size,), generator=generator)
            return Vector("number", drawn.numpy(), blank)
        if self.pattern == "uuid":
            words = torch.randint(0, 2**32, (size, 4), generator=generator).numpy().astype(">u4")
            return labels([str(UUID(bytes=row.tobytes(), version=4)) for row in words])
        if self.pattern == "template":
            return labels(self._drawn(size, generator))
        return labels([f"{self.before}{number:0{self.width}d}{self.after}" for number in numbers.tolist()])

    def _drawn(self, size: int, generator: torch.Generator) -> list[str]:
        which = torch.randint(0, len(self.templates), (size,), generator=generator).tolist()
        longest = max(len(template) for template in self.templates)
        dice = torch.randint(0, 2**31, (size, max(longest, 1)), generator=generator).tolist()
        return ["".join(map(_character, self.templates[i], row)) for i, row in zip(which, dice, strict=True)]

    def state(self) -> dict[str, Any]:
        """The pattern as JSON data."""
        return {**self.__dict__, "templates": list(self.templates)}

    @classmethod
    def restore(cls, state: Mapping[str, Any]) -> Identifier:
        """The inverse of `state`."""
        known = {k: state[k] for k in ("pattern", "next", "step", "high", "before", "after", "width")}
        templates = tuple(str(template) for template in state["templates"])
        whole = all(isinstance(known[k], int) for k in ("next", "step", "high", "width"))
        if not whole or known["pattern"] not in Pattern.__args__ or (known["pattern"] == "template" and not templates):  # type: ignore[attr-defined]
            raise ValueError("not the pattern of an identifier")
        if not 0 <= known["width"] <= 32 or abs(known["next"]) > 2**62 or abs(known["step"]) > 2**31:
            raise ValueError("the pattern of an identifier is out of range")
        return cls(**known, templates=templates)


def _character(model: str, dice: int) -> str:
    """A character of the same class."""
    if model.isdigit():
        return str(dice % 10)
    if "a" <= model <= "z":
        return chr(97 + dice % 26)
    return chr(65 + dice % 26) if "A" <= model <= "Z" else model


def sounds_like_one(name: str) -> bool:
    """Whether a column is called as identifiers are: "id", "customer_id", "CustomerID", "Unnamed: 0"."""
    return _NAME.search(name) is not None or _NAME.search(name.lower()) is not None


def running(name: str, data: Array, least: int = 50) -> Identifier | None:
    """The pattern of distinct whole numbers that fill their range densely, in any order (some may have been held out).

    Of few numbers, and of numbers spread thinly, only where the name of the column says that it names records.
    """
    if len(data) < 3:
        return None
    named = sounds_like_one(name)
    ordered = np.unique(data)
    if len(ordered) < len(data) or not (named or len(data) >= least):
        return None
    first, last = int(ordered[0]), int(ordered[-1])
    step = int(np.gcd.reduce(np.diff(ordered.astype(object))))
    if (last - first) // step < 2.5 * len(data):
        falling = bool((np.diff(data) < 0).all())
        return Identifier("running", next=first - step if falling else last + step, step=-step if falling else step)
    if named:
        return Identifier("digits", next=first, high=last)
    return None


def text_pattern(name: str, texts: Sequence[Scalar]) -> Identifier:
    """The pattern of texts that are nearly all different."""
    strings = [str(text) for text in texts]
    if all(_UUID.fullmatch(text) for text in strings):
        return Identifier("uuid")
    matches = [_NUMBERED.fullmatch(text) for text in strings]
    if all(matches):
        parts = [match.groups() for match in matches if match]
        if len({(before, after) for before, _, after in parts}) == 1:
            numbers = [int(number) for _, number, _ in parts]
            widths = {len(number) for _, number, _ in parts}
            if max(numbers) - min(numbers) + 1 <= 10 * len(numbers):
                width = min(widths) if len(widths) == 1 or any(n.startswith("0") for _, n, _ in parts) else 0
                return Identifier("numbered text", max(numbers) + 1, before=parts[0][0], after=parts[0][2], width=width)
    shapes = Counter(
        "".join("9" if c.isdigit() else "A" if c.isupper() else "a" if c.islower() else c for c in text)
        for text in strings
    )
    if not any(" " in text for text in strings) and len(shapes) <= 0.2 * len(strings) + 1:
        kept = [shape for shape, _ in shapes.most_common(100)]
        return Identifier("template", templates=tuple(kept))
    return Identifier("placeholder", next=1, before=f"{name} ")
