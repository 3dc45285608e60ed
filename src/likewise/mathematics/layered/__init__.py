"""Layered drawings of directed acyclic graphs."""

from likewise.mathematics.layered.drawing import Layered, layered
from likewise.mathematics.layered.places import Gaps

__all__ = ["Gaps", "Layered", "layered"]
