"""How large a tree may be, and how long it may be learned: rows, parameters and seconds set bounds."""

from __future__ import annotations

import math
import time
from threading import Lock

import torch
from torch import Tensor

from likewise.families.bayesian_network.hidden_tree.passes import Shape, Tables
from likewise.families.bayesian_network.hidden_tree.tree import expected

FEWEST_STATES = 8
MOST_STATES = 512

MAX_TREE_NUMBERS = 1 << 22
"""Parameters of a tree at most: 16 MB of a file."""

FEWEST_PASSES = 5
"""Passes through the rows that the seconds must suffice for: no more states than that."""


class Pace:
    """How many hidden states suffice.

    Parameters
    ----------
    rows : int64 (rows, columns)
        A minibatch: the places of its states among those of all columns.
    shown : int
        States of all columns.
    """

    def __init__(self, rows: Tensor, shown: int) -> None:
        self._rows, self._shown = rows, shown
        self._taken: dict[int, float] = {}

    def states(self, rows: int, steps: int, seconds: float = math.inf) -> int:
        """Hidden states of a column of a tree: as many as so many rows, and seconds, suffice for.

        The tree is to have so many probabilities of steps between hidden states for every row.
        """
        columns, shown = self._rows.shape[1], self._shown
        most = min(max(math.isqrt(steps * rows // columns), FEWEST_STATES), MOST_STATES)
        # The positive root of columns k^2 + shown k = MAX_TREE_NUMBERS.
        largest = (math.sqrt(shown**2 + 4 * columns * MAX_TREE_NUMBERS) - shown) / (2 * columns)
        most = max(min(most, int(largest)), 1)
        states = min(FEWEST_STATES, most)
        while states < most:
            more = min(2 * states, most)
            if seconds < math.inf and FEWEST_PASSES * rows * self.seconds_a_row(more) > seconds:
                break
            states = more
        return states

    def seconds_a_row(self, states: int) -> float:
        """What a row takes about, where it is learned from once: the faster of two times that the minibatch took."""
        if states in self._taken:
            return self._taken[states]
        columns = self._rows.shape[1]
        shape = Shape((-1, *[0] * (columns - 1)))
        sizes = ((states,), (columns, states, states), (self._shown, states))
        tables = Tables(*(torch.full(size, 1 / states) for size in sizes))
        taken = []
        for _ in range(2):
            start = time.monotonic()
            expected(shape, tables, self._rows)
            taken.append(time.monotonic() - start)
        self._taken[states] = min(taken) / len(self._rows)
        return self._taken[states]


class Shares:
    """The seconds until a deadline, shared among parts by their rows; `workers` of them are learned side by side."""

    def __init__(self, deadline: float, rows: int, workers: int) -> None:
        self.deadline, self.workers = deadline, workers
        self._rows, self._lock = rows, Lock()

    def until(self, rows: int) -> float:
        """When a part that begins now, and has so many rows, is to be done."""
        with self._lock:
            now = time.monotonic()
            left = self.deadline - now
            seconds = min(self.workers * left * rows / self._rows, left)
            self._rows -= rows
        return now + seconds
