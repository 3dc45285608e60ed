"""The names that people read on a board; code, files and JSON go by the names of the rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from likewise.estimators.taxonomy import ESTIMATORS


def title(name: str, family: str) -> str:
    """A model that is called like its family is shown as its estimator is called.

    Examples
    --------
    >>> title("vae", "vae"), title("small", "vae"), title("real", "reference")
    ('VAE', 'small', 'real')
    """
    return ESTIMATORS[family][1] if name == family and family in ESTIMATORS else name


def row_title(row: Mapping[str, Any]) -> str:
    """The title of a row of the board."""
    return title(str(row["model"]), str(row["family"]))
