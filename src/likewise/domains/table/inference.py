"""From a column of training records to its facts: kind, states, atoms, grid, bounds and map."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np

from likewise.domains.table.atoms import spikes
from likewise.domains.table.grids import Grid, coarse_grid, decimals_of, grid_of, off_the_usual
from likewise.domains.table.identifiers import Identifier, running, sounds_like_one, text_pattern
from likewise.domains.table.maps import normal_scores, standard_scores
from likewise.domains.table.schema import Facts, Kind, Thresholds
from likewise.domains.table.text_dates import from_text, text_format
from likewise.domains.table.vectors import Array, Scalar, Vector, counted, has_text, place
from likewise.domains.table.wishes import Wishes
from likewise.errors import DataError


def infer(name: str, vector: Vector, wishes: Wishes, thresholds: Thresholds, label: bool = False) -> Facts:
    """The facts of a column; a label column always has an entry of its own."""
    column = _Column(name, vector, wishes, thresholds, label)
    facts = column.facts()
    if wishes.map is not None and facts.map is None:
        raise DataError(f"maps: {place(name)} is {facts.kind}; only real and quantised columns and dates have a map.")
    return replace(facts, reserved=1.0 / (len(vector) + 1))


class _Column:
    """One column on the way to its facts."""

    def __init__(self, name: str, vector: Vector, wishes: Wishes, thresholds: Thresholds, label: bool) -> None:
        form = text_format(vector.levels) if wishes.kind in (None, "datetime") and has_text(vector) else ""
        vector = (from_text(vector, form) if form else None) or vector
        self.name, self.vector, self.wishes, self.thresholds, self.label = name, vector, wishes, thresholds, label
        self.values, self.counts = counted(vector)
        self.rows = int(self.counts.sum())
        # Few values off a grid that nearly all lie on would make it much finer: they are states of their own instead.
        self.odd: Array = np.zeros(len(self.values), dtype=bool)
        free = wishes.kind in (None, "quantised") and wishes.step is None and wishes.atoms is None
        if free and vector.family == "number" and not vector.integer:
            self.odd = off_the_usual(self.values, self.counts, vector.precision)
        self.base = Facts(
            name,
            "categorical",
            vector.family,
            whole=vector.integer or vector.family == "moment",
            unit=vector.unit,
            span=vector.span,
            missing=bool(vector.missing.any()),
            missing_share=float(vector.missing.mean()) if len(vector) else 0.0,
            distinct=len(self.values),
            text_format=form,
        )

    def facts(self) -> Facts:
        """The facts by the kind that was wished for, else by what the data look like."""
        kind = self.wishes.kind or self._kind()
        if kind == "ignore":
            return replace(self.base, kind="ignore", warnings=("left out of the model, blank in samples",))
        if kind == "constant":
            return self._constant()
        if kind == "identifier":
            return self._identifier(self._pattern() or self._any_pattern())
        if kind in ("real", "quantised", "datetime"):
            return self._valued(kind)
        if kind == "boolean":
            return self._boolean()
        return self._codes(kind)

    # --------------------------------------------------------------------------------------------------------- the kind

    def _kind(self) -> Kind:
        distinct, family = len(self.values), self.vector.family
        said = self.wishes.step is not None or self.wishes.atoms is not None or self.wishes.bounds is not None
        if not self.label and (distinct == 0 or (distinct == 1 and not self.base.missing)):
            return "constant"
        if family == "boolean":
            return "boolean"
        if family == "label" or distinct < 2:
            if not self.label and self._pattern() is not None:
                return "identifier"
            return "text" if distinct > self.thresholds.max_categories else "categorical"
        if said:
            return "datetime" if family == "moment" else "quantised" if self._gridded() else "real"
        if not self.label and family == "number" and self._pattern() is not None:
            return "identifier"
        if distinct <= self.thresholds.label_numbers and self.rows >= self.thresholds.label_rows * distinct:
            return "categorical"
        if family == "moment":
            return "datetime"
        return "quantised" if self._gridded() else "real"

    def _gridded(self) -> bool:
        """Whether numbers lie on a grid coarse enough to matter: whole numbers, or decimals with ties or few cells."""
        values = self.values[~self.odd]
        decimals = 0 if self.base.whole else decimals_of(values, self.vector.precision)
        if decimals is None:
            return False
        grid = grid_of(values, decimals)
        if grid is None:
            return False
        if decimals == 0 or self.wishes.step is not None:
            return True
        ties = 1.0 - len(self.values) / self.rows
        cells = (values[-1] - values[0]) * grid.scale / grid.step
        return ties >= self.thresholds.tie_share or cells <= 10.0 * self.rows

    def _pattern(self) -> Identifier | None:
        """The pattern of a column that names records, None where it does not."""
        if self.vector.family == "number":
            whole = self.base.whole and not self.base.missing
            return running(self.name, self.vector.data) if whole else None
        if not has_text(self.vector) or self.rows < 20:
            return None
        share = len(self.values) / self.rows
        if share >= self.thresholds.identifier_share or (share > 0.5 and sounds_like_one(self.name)):
            return self._any_pattern()
        return None

    def _any_pattern(self) -> Identifier:
        if self.vector.family == "label":
            return text_pattern(self.name, [self.vector.levels[i] for i in self.values])
        if self.vector.integer and len(self.values):
            return Identifier("running", next=int(self.values[-1]) + 1)
        raise DataError(f"kinds: {place(self.name)} is no identifier; expected text or integers.")

    # -------------------------------------------------------------------------------------------- kinds without a value

    def _constant(self) -> Facts:
        if len(self.values) > 1:
            raise DataError(f"kinds: {place(self.name)} is no constant; it has {len(self.values)} different values.")
        states = self._states(self.values)
        warning = "always missing" if not states else f"always {states[0]!r}"
        return replace(self.base, kind="constant", states=states, warnings=(f"{warning}, restored in samples",))

    def _identifier(self, pattern: Identifier) -> Facts:
        warning = f"names the records rather than describing them: left out of the model ({pattern.words()})"
        return replace(self.base, kind="identifier", identifier=pattern, warnings=(warning,))

    def _boolean(self) -> Facts:
        if self.vector.family != "boolean":
            if len(self.values) > 2 or not len(self.values):
                raise DataError(f"kinds: {place(self.name)} has {len(self.values)} values; a boolean has two.")
            return self._codes("boolean")
        return replace(self.base, kind="boolean", states=(False, True))

    def _states(self, values: Array) -> tuple[Scalar, ...]:
        if self.vector.family == "label":
            return tuple(self.vector.levels[i] for i in values)
        return tuple(values.tolist())

    def _codes(self, kind: Kind) -> Facts:
        """Every distinct value a code, the rare ones of too many texts in one pool."""
        most = self.thresholds.max_categories
        if len(self.values) <= most or self.vector.family != "label":
            if len(self.values) > 10 * most and self.vector.family != "label":
                raise DataError(f"kinds: {place(self.name)} has {len(self.values)} values, too many for codes.")
            return replace(self.base, kind=kind, states=self._states(self.values))
        order = np.argsort(-self.counts, kind="stable")
        kept, pooled = np.sort(order[: most - 1]), np.sort(order[most - 1 :])
        warning = (
            f"{len(self.values)} different texts: the {len(kept)} most frequent have a code each, the others "
            f"({self.counts[pooled].sum() / self.rows:.1%} of the rows) share one"
        )
        return replace(
            self.base,
            kind="text",
            states=self._states(self.values[kept]),
            pool=self._states(self.values[pooled]),
            pool_shares=self.counts[pooled] / self.counts[pooled].sum(),
            warnings=(warning,),
        )

    # ----------------------------------------------------------------------------------------------- kinds with a value

    def _valued(self, kind: Kind) -> Facts:
        family = self.vector.family
        if family not in ("number", "moment") or not len(self.values):
            what = "text" if family == "label" else "truth values" if family == "boolean" else "nothing"
            raise DataError(f"kinds: {place(self.name)} holds {what}; expected numbers for the kind {kind!r}.")
        kind = "datetime" if family == "moment" else "quantised" if kind == "datetime" else kind
        low, high = self._bounds()
        odd = self.odd if kind == "quantised" else np.zeros(len(self.values), dtype=bool)
        grid, decimals = self._grid(kind, self.values[~odd])
        atom = odd.copy()
        atom[~odd] = self._atoms(grid, self.values[~odd], self.counts[~odd])
        rest, counts = self.values[~atom], self.counts[~atom]
        if not len(rest) or (grid is None and self._scattered(rest, counts)):
            return self._codes("categorical")
        if atom.any() and self.wishes.step is None:
            grid, decimals = self._grid(kind, rest)
        warnings: tuple[str, ...] = ()
        if kind == "quantised" and grid is None:
            kind, warnings = "real", ("the grid is too fine for whole numbers: treated as real",)
        if self.wishes.bounds is None and family == "number" and rest[0] >= 0 and (grid is not None or rest[0] > 0):
            low = 0 if self.base.whole else 0.0
        if family == "moment" and self.wishes.bounds is None:
            low, high = _times(self.vector.unit, self.vector.span, int(self.values[0]), int(self.values[-1]))
        return replace(
            self.base,
            kind=kind,
            states=tuple(self.values[atom].tolist()),
            grid=grid,
            decimals=decimals if grid is None else None,
            low=low,
            high=high,
            limits=(rest[0].item(), rest[-1].item()),
            map=self._map(grid, rest, counts, low, high),
            warnings=warnings,
        )

    def _bounds(self) -> tuple[float | int | None, float | int | None]:
        low, high = self.wishes.bounds or (None, None)
        if (low is not None and self.values[0] < low) or (high is not None and self.values[-1] > high):
            data = self.vector.data
            outside = ~self.vector.missing & (
                (data < (-math.inf if low is None else low)) | (data > (math.inf if high is None else high))
            )
            row = int(np.flatnonzero(outside)[0])
            raise DataError(f"bounds: {place(self.name, row)} holds {data[row]}, outside the bounds {low} to {high}.")
        return low, high

    def _grid(self, kind: Kind, values: Array) -> tuple[Grid | None, int | None]:
        """The grid of the values, None where they are real, and the decimals they were rounded to."""
        if self.vector.family == "moment":
            return grid_of(values, 0, relative=True) or coarse_grid(values), 0
        decimals = 0 if self.base.whole else decimals_of(values, self.vector.precision)
        if self.wishes.step is not None:
            return self._wished_grid(values), None
        if kind == "real" or decimals is None:
            if kind == "quantised" and self.wishes.kind is not None:
                raise DataError(
                    f"kinds: {place(self.name)} lies on no decimal grid; give its step (steps=), or use 'real'."
                )
            return None, decimals
        return grid_of(values, decimals), decimals

    def _wished_grid(self, values: Array) -> Grid:
        step = Fraction(str(self.wishes.step))
        decimals = next((d for d in range(16) if (step * 10**d).denominator == 1), None)
        if step <= 0 or decimals is None:
            raise DataError(
                f"steps: {place(self.name)} has the step {self.wishes.step}; expected a positive decimal number."
            )
        units = int(step * 10**decimals)
        first = round(Fraction(values[0].item()) * 10**decimals)
        grid = Grid(first % units, units, decimals, abs(first) >= 2**53)
        restored = grid.values(grid.cells(values), self.base.whole)
        off = np.abs(restored - values) > 1e-6 * float(step)
        if off.any():
            row = int(np.flatnonzero(~self.vector.missing & (self.vector.data == values[off][0]))[0])
            raise DataError(
                f"steps: {place(self.name, row)} holds {values[off][0]}, no multiple of {step} like the others."
            )
        return grid

    def _atoms(self, grid: Grid | None, values: Array, counts: Array) -> Array:
        """Which values are atoms."""
        if self.wishes.atoms is not None:
            return np.isin(values, np.array(list(self.wishes.atoms), dtype=values.dtype))
        t = self.thresholds
        step = None if grid is None else grid.step / grid.scale
        atom = spikes(values, counts, step, t.atom_share, t.atom_ratio, t.atom_rows, t.max_atoms)
        # A few values, repeated and far from filling their grid, are states rather than places on it.
        rest, repeats = values[~atom].astype(np.float64), counts[~atom]
        if step is not None and len(rest) and len(values) <= t.max_categories:
            cells = (rest[-1] - rest[0]) / step
            if repeats.sum() >= t.label_rows * len(rest) and len(rest) < 0.1 * cells:
                atom |= counts > 1
        return atom

    def _scattered(self, rest: Array, counts: Array) -> bool:
        """Whether floats on no grid are mostly repetitions of a few: then each is a state."""
        few = len(self.values) <= self.thresholds.max_categories
        return self.wishes.kind is None and few and counts.sum() > 4 * len(rest)

    def _map(self, grid: Grid | None, rest: Array, counts: Array, low: Any, high: Any) -> Any:
        if grid is None:
            spread = float(rest[-1]) - float(rest[0]) or max(abs(float(rest[0])), 1.0)
            # A bound that a value touches is moved a little: the score stays finite, and decoding clips to the bound.
            below = -math.inf if low is None else float(low) - (1e-6 * spread if rest[0] <= low else 0.0)
            above = math.inf if high is None else float(high) + (1e-6 * spread if rest[-1] >= high else 0.0)
            if self.wishes.map == "affine":
                return standard_scores(rest, counts, below, above)
            return normal_scores(rest, counts, None, below, above)
        k = grid.cells(rest).astype(np.float64)
        coordinates = grid.coordinate_origin + grid.coordinate_step * k
        if self.wishes.map == "affine":
            return standard_scores(coordinates, counts)
        return normal_scores(coordinates, counts, grid.coordinate_step)


_PER_DAY = {"D": 1, "s": 86_400, "ms": 86_400 * 10**3, "us": 86_400 * 10**6, "ns": 86_400 * 10**9}


def _times(unit: str, span: str, first: int, last: int) -> tuple[int, int]:
    """The moments that dates, times of the day and lengths of time can be, in their unit."""
    most = 2**63 - 2
    if span == "clock":
        return 0, _PER_DAY[unit] - 1
    if span == "duration":
        return (0 if first >= 0 else -most), most
    low, high = -719_162 * _PER_DAY[unit], 2_932_897 * _PER_DAY[unit] - 1  # the years 1 to 9999
    return max(min(low, first), -most), min(max(high, last), most)
