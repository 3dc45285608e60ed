"""What is wrong with generated records, named: where they lie, how their columns depend on each other, their shares."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from likewise.board.ranking import ASTRAY, LEFT_OUT, Standing, left_out_of
from likewise.board.results import Result
from likewise.metrics.features import OTHER
from likewise.metrics.support import ABSENT

if TYPE_CHECKING:
    from likewise.metrics.marginals import Region
    from likewise.metrics.pairs import PairErrors
    from likewise.metrics.panel import Panel

MANY = 0.2
"""A share of strays from which on they are no outliers but the shape of the sample."""

OUTLYING = 2.0
"""The mean excess of strays from which on they are called outliers."""

LOST = 0.5
"""The part of the real dependence between columns whose loss is named."""

ALL = 0.8
"""The part of it without which columns are called independent."""

INVENTED = 0.5
"""Dependence that real records do not have, as a part of theirs, that is named."""

DEPENDENT = 0.02
"""The mean normalised mutual information below which columns hardly depend on each other, and nothing can be lost."""

SLIGHT, STRONG = 0.03, 0.10
"""Differences of shares below and above which they are called slight and strong."""

SURE = 3.0
"""Standard errors that a difference must exceed to be named."""

NOTED = 0.015
"""The smallest difference of shares that is named."""


def places(result: Result, standing: Standing) -> list[str]:
    """Records where real ones never are, and real ones without a counterpart."""
    assert result.support is not None
    assert result.panel is not None
    support, told, missed = result.support, [], spikes(result.panel)
    if standing.astray > ASTRAY[0]:
        share = support.strays.value
        far = share < MANY and support.excess.value > OUTLYING * share
        where = "are outliers, far from all real ones" if far else "lie where no real ones do"
        told.append(f"about {_percent(share)} of its records {where}")
    if missed:
        told.append(f"has no spike at {_listed([_region(column, one) for column, one in missed.items()])}")
    # What lies in a spike is spread around it, rather than left out.
    other = replace(support, omissions=tuple(one for one in support.omissions if one.column not in missed))
    left_out = left_out_of(other)
    if left_out > LEFT_OUT[0]:
        first = other.omissions[0] if other.omissions else None
        place = "" if first is None else f" ({first.column} {first.what})"
        told.append(f"leaves out a part of the data: {_percent(left_out)} of real records{place}")
    return told


def spikes(panel: Panel) -> dict[str, Region]:
    """Column -> a value that many real records share and hardly any generated one has, where there is such a value."""
    if panel.details.marginals is None:
        return {}
    found: dict[str, Region] = {}
    for column, regions in panel.details.marginals.detail.items():
        missed = [one for one in regions if one.spike and one.generated < ABSENT * one.real]
        if missed:
            found[column] = max(missed, key=lambda one: one.real)
    return dict(sorted(found.items(), key=lambda item: -item[1].real))


def dependence(panel: Panel) -> list[str]:
    """Dependence between columns that was lost or invented."""
    found = panel.details.pairs
    if found is None or not found.pairs:
        return []
    lost, invented, real = _balance(found)
    told = []
    if lost > LOST * real and real > DEPENDENT * len(found.pairs):
        how = "are independent of each other" if lost > ALL * real else "depend too little on each other"
        told.append(f"its columns {how}")
    if invented > INVENTED * max(real, DEPENDENT * len(found.pairs)) and invented > 0.05 * len(found.pairs):
        worst = max(found.pairs, key=lambda pair: pair.generated - pair.real)
        told.append(f"ties columns together that are not, {worst.first} and {worst.second} above all")
    return told


def _balance(found: PairErrors) -> tuple[float, float, float]:
    """Mutual information lost, invented and real, summed over the pairs."""
    lost = sum(max(0.0, pair.real - pair.generated) for pair in found.pairs)
    invented = sum(max(0.0, pair.generated - pair.real) for pair in found.pairs)
    return lost, invented, sum(pair.real for pair in found.pairs)


def margins(panel: Panel, real: Result | None) -> list[str]:
    """The states and ranges whose shares are wrong, the worst two columns."""
    found = panel.details.marginals
    if found is None:
        return []
    usual = 0.0
    if real is not None and real.panel is not None and real.panel.details.marginals is not None:
        usual = max(real.panel.details.marginals.columns.values(), default=0.0)
    told: list[str] = []
    named = spikes(panel)
    for column, error in sorted(found.columns.items(), key=lambda item: -item[1]):
        if error <= max(usual, NOTED) or len(told) == 2:
            break
        size = panel.details.rows.get("compared", 1)
        regions = [one for one in found.detail.get(column, ()) if one is not named.get(column) and _certain(one, size)]
        if regions:
            told.append(_misrepresented(column, regions[0]))
    return told


def _certain(region: Region, size: int) -> bool:
    """Whether a difference of shares is worth naming, and no chance of so few records."""
    p, difference = (region.real + region.generated) / 2, abs(region.generated - region.real)
    return difference > max(NOTED, SURE * math.sqrt(2 * p * (1 - p) / size))


def _misrepresented(column: str, region: Region) -> str:
    if region.kind in ("below", "above"):
        return f"{_percent(region.generated)} of its {column} lie where no real ones do, {region.kind} all of them"
    difference = region.generated - region.real
    how = "slightly " if abs(difference) < SLIGHT else "strongly " if abs(difference) > STRONG else ""
    verb = "under-represents" if difference < 0 else "over-represents"
    return f"{how}{verb} {_region(column, region)}"


def _region(column: str, region: Region) -> str:
    if region.kind == "missing":
        return f"missing {column}"
    if region.level == OTHER:
        return f"rare {column}"
    if region.kind == "level":
        return f"{column} {region.level}"
    if region.from_quantile >= 0.7:
        return f"large {column}"
    if region.to_quantile <= 0.3:
        return f"small {column}"
    if region.high <= math.nextafter(region.low, math.inf):  # one value
        return f"{column} {region.low:.6g}"
    return f"{column} from {region.low:.6g} to {region.high:.6g}"


def _listed(names: list[str]) -> str:
    """At most three names in words."""
    shown = names[:3] if len(names) < 4 else [*names[:2], f"{len(names) - 2} more"]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


def _percent(share: float) -> str:
    return f"{share:.1%}" if share < 0.02 else f"{share:.0%}"
