"""Atoms: values so frequent that they stand out of their neighbourhood and carry probability mass of their own."""

from __future__ import annotations

import numpy as np

from likewise.domains.table.vectors import Array


def spikes(
    values: Array, counts: Array, step: float | None, share: float, ratio: float, least: int, most: int
) -> Array:
    """Which distinct values are atoms, (n,) bool.

    A value is one when its share of the rows reaches `share`, it occurs `least` times, and it is `ratio` times as
    frequent as a cell of its neighbourhood. The neighbourhood are the values nearest to it that are no atoms and hold,
    together, about as many rows as it does (at least four cells each side): so a lonely value is compared with
    the emptiness around it, and the mode of a smooth histogram with its equals.

    Parameters
    ----------
    values, counts : distinct sorted values and how often each occurs
    step : the width of a cell of the grid; None for real values, where neighbours that occur once are the measure
    most : the greatest number of atoms
    """
    total = counts.sum()
    enough = (counts >= max(share * total, least)).nonzero()[0]
    atom = np.zeros(len(values), dtype=bool)
    floats = values.astype(np.float64)
    for i in enough[np.argsort(-counts[enough], kind="stable")]:
        if counts[i] >= ratio * _usual_count(i, floats, counts, atom, step) and atom.sum() < most:
            atom[i] = True
    return atom


def _usual_count(i: int, values: Array, counts: Array, atom: Array, step: float | None) -> float:
    """Rows per cell around value `i`, the denser of its two sides."""
    sides = []
    for direction in (-1, 1):
        rows, j, seen = 0, i + direction, 0
        last = values[i]
        while 0 <= j < len(values) and (seen < 4 or (rows < counts[i] and seen < 64)):
            if not atom[j]:
                rows, seen, last = rows + int(counts[j]), seen + 1, values[j]
            j += direction
        if not seen:
            continue
        if step is None:
            sides.append(rows / seen)
        else:
            skipped = atom[min(i, j - direction) : max(i, j - direction) + 1].sum()
            cells = max(abs(last - values[i]) / step - max(int(skipped), 0), seen)
            sides.append(rows / cells)
    return max(sides) if sides else 0.0
