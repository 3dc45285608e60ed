"""When weighted draws under evidence are worth too few independent ones to be handed out."""

from __future__ import annotations

from torch import Tensor

from likewise.errors import DataError
from likewise.mathematics.resampling import LEAST_EFFECTIVE


def refuse_few(
    effective: Tensor,
    candidates: int,
    least: float = LEAST_EFFECTIVE,
    advice: str = "or ask a family that answers exactly, such as BayesianNetwork",
) -> None:
    """DataError, with the figures, where the smallest effective size (B,) of so many candidates is below `least`."""
    smallest = float(effective.min())
    if smallest < least:
        raise DataError(
            f"only {smallest:.1f} of {candidates} candidates carry weight under this evidence: widen its intervals, "
            f"give less of it, {advice}"
        )
