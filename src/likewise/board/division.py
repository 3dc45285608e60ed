"""What every contestant is given and what is kept from it: training records, held-out ones, how metrics see both."""

from __future__ import annotations

import copy
import hashlib
import json
import numbers
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from likewise.board.seeds import seed_for
from likewise.domains.table import Table
from likewise.domains.table.sources import Source
from likewise.errors import DataError
from likewise.metrics.features import Features

FEWEST = 8
"""The fewest held-out records with which anything can be said: half of them play the part of fresh records."""


@dataclass(frozen=True, eq=False)
class Division:
    """Records, divided once for all contestants.

    Attributes
    ----------
    name : str
        Of the data, as a person knows them.
    unfitted : Table
        The domain as the user gave it; contestants learn their own schema from what they train on.
    domain : Table
        Learned from the training records, for the metrics alone.
    training, held_out : Source
    split : str
        How the held-out records were chosen, a sentence.
    """

    name: str
    unfitted: Table
    domain: Table
    training: Source
    held_out: Source
    split: str
    seed: int

    @cached_property
    def features(self) -> Features:
        """How metrics see these records."""
        return Features(self.domain, self.training)

    @cached_property
    def halves(self) -> tuple[Source, Source]:
        """The held-out records in two halves: fresh real records, and those that they are judged against."""
        order = np.random.default_rng(seed_for(self.seed, "halves")).permutation(len(self.held_out))
        middle = len(order) // 2
        return self.held_out.rows(np.sort(order[:middle])), self.held_out.rows(np.sort(order[middle:]))

    @cached_property
    def digest(self) -> str:
        """A hash of all records on either side."""
        digest = hashlib.sha256()
        for source in (self.training, self.held_out):
            digest.update(json.dumps([len(source), source.names], default=str).encode())
            for vector in source.vectors:
                digest.update(repr((vector.family, vector.levels, vector.unit, vector.span)).encode())
                digest.update(np.ascontiguousarray(vector.data).tobytes())
                digest.update(np.ascontiguousarray(vector.missing).tobytes())
        return digest.hexdigest()


def divide(records: Any, holdout: Any, seed: int, domain: Table | None = None) -> Division:
    """Divides records at random, or takes the held-out ones as they are given.

    Parameters
    ----------
    records : anything that a `Table` reads
    holdout : a number in (0, 1), the share that is held out; or records
    seed : int
    domain : Table, not fitted

    Examples
    --------
    >>> division = divide({"size": list(range(100)), "kind": ["a", "b"] * 50}, 0.2, seed=0)
    >>> len(division.training), len(division.held_out)
    (80, 20)
    """
    unfitted = Table() if domain is None else domain
    fitted = copy.deepcopy(unfitted)
    source = fitted.read(records)
    if isinstance(holdout, numbers.Real) and not isinstance(holdout, bool):
        share = float(holdout)
        if not 0 < share < 1:
            raise DataError(f"holdout must be a share between 0 and 1, or records; got {holdout!r}.")
        size = max(FEWEST, round(share * len(source)))
        if len(source) < 3 * FEWEST or size > len(source) - FEWEST:
            raise DataError(
                f"There are {len(source)} records: too few to hold out {share:.0%} and to learn from the rest; a "
                f"comparison needs at least {3 * FEWEST}, and at least {FEWEST} on either side."
            )
        order = np.random.default_rng(seed_for(seed, "split")).permutation(len(source))
        training, held_out = source.rows(np.sort(order[size:])), source.rows(np.sort(order[:size]))
        fitted.fit(training)
        told = f"{size:,} of {len(source):,} records, chosen at random (seed {seed}), were held out."
    else:
        training = source
        fitted.fit(training)
        held_out = fitted.read(holdout)
        if len(held_out) < FEWEST:
            raise DataError(f"There are {len(held_out)} held-out records; a comparison needs at least {FEWEST}.")
        named = f"{name_of(holdout)}: " if isinstance(holdout, str | os.PathLike) else ""
        told = f"Held-out records were given: {named}{len(held_out):,}."
    fitted.encode(held_out)  # records that do not fit the schema are refused now, not after hours
    return Division(name_of(records), unfitted, fitted, training, held_out, told, seed)


def name_of(records: Any) -> str:
    """What a person calls these records.

    Examples
    --------
    >>> name_of("data/penguins.csv"), name_of("wine"), name_of({"size": [1]})
    ('penguins.csv', 'wine', 'records')
    """
    return Path(records).name if isinstance(records, str | os.PathLike) else "records"
