"""Features that are linear in one column of the table, and the values of that column where a comparison of them flips.

A feature depends on one column, so that all columns of a row can be tried at once: the cells to transform grow with the
number of columns, and not with its square.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from orchestrator.packaging.onnx.comparison_rows import MAX_CELLS, MAX_ROWS, Rows
from score.contract import dates
from score.contract.columns import rule_for
from score.contract.dates import is_aware
from score.contract.schema import Column, Contract

POINTS = 15  # that are tried at once: a transformation of a wide table takes as long for some rows as for one
Transform = Callable[[Rows], Any]  # rows to their features (n_rows, n_features)


@dataclass(frozen=True)
class LinearFeatures:
    """Features with a source: by feature the position of the column, the slope and the intercept.

    Attributes:
        columns: The columns of numbers and dates, by position.
        extents: How large the values are that the lines go through, by position.
        width: The larger one of the numbers of columns and features.
    """

    columns: Mapping[int, Column]
    sources: Mapping[int, tuple[int, float, float]]
    extents: Mapping[int, float]
    width: int
    _rows: Rows
    _transform: Transform

    @classmethod
    def find(cls, contract: Contract, rows: Rows, transform: Transform) -> LinearFeatures:
        """Find the features that depend on one column of numbers or dates only, as a line through two values of it.

        By group testing: each column has a number, and for each bit of it there are two rows, one where the columns with
        the bit have another value and one where those without it have. A feature of one column changes in one of the two,
        and which ones spells the column's number.
        """
        columns = {
            place: column
            for place, column in enumerate(contract.columns)
            if column.kind in ("number", "integer", "datetime") and column.maximum is not None
        }
        points = [_two_points(column) for column in columns.values()]
        numbers = np.arange(1, len(columns) + 1)
        bits = range(len(columns).bit_length())
        moved = np.array([numbers < 0, *((numbers >> bit & 1) == side for bit in bits for side in (1, 0))])
        values = {
            place: [low if is_moved else high for is_moved in moved[:, at].tolist()]
            for at, (place, (high, low)) in enumerate(zip(columns, points, strict=True))
        }
        features = transform(rows.with_columns(values, len(moved)))
        width = max(len(contract.columns), features.shape[1])
        extents = {place: abs(float(high)) for place, (high, _) in zip(columns, points, strict=True)}
        if not columns:
            return cls(columns, {}, extents, width, rows, transform)
        with np.errstate(invalid="ignore"):
            changes = features[0] - features[1:]
        changed = np.isfinite(changes) & (changes != 0)
        with_bit, without = changed[::2], changed[1::2]
        found = (2 ** np.arange(len(bits))[:, None] * with_bit).sum(axis=0)
        sources, places = {}, list(columns)
        for feature in np.flatnonzero((with_bit ^ without).all(axis=0)).tolist():
            at = int(found[feature]) - 1
            if not 0 <= at < len(places):
                continue
            high, low = map(float, points[at])
            slope = float(changes[np.flatnonzero(changed[:, feature])[0], feature]) / (high - low)
            sources[feature] = (places[at], slope, float(features[0, feature]) - slope * high)
        return cls(columns, sources, extents, width, rows, transform)

    @cached_property
    def _rules(self) -> Mapping[int, Any]:
        return {place: rule_for(column) for place, column in self.columns.items()}

    def places(self, features: Any) -> Any:
        """Return the positions of the features' columns (n,)."""
        return np.array([self.sources[feature][0] for feature in features.tolist()], dtype=np.int64)

    def flips(self, features: Any, thresholds: Any, narrow: Any) -> tuple[Any, Any, Any]:
        """Return two neighbouring values of each feature's column (n,), and whether ``feature <= threshold`` flips between.

        The feature is compared in float64, or where ``narrow`` (n,) as float32.
        """
        places = self.places(features)
        slope, intercept = np.array([self.sources[feature][1:] for feature in features.tolist()]).T
        scale = np.maximum(np.abs((thresholds - intercept) / slope), np.abs(intercept / slope))
        scale = np.maximum(scale, [self.extents[place] for place in places.tolist()])
        guess = (np.where(narrow, _turning_point(thresholds), thresholds) - intercept) / slope
        low, high, found = np.empty(len(places)), np.empty(len(places)), np.zeros(len(places), dtype=bool)
        for part in (2.0**-49, 2.0**-22):  # the line is exact but for rounding; where it is not, further away
            left = np.flatnonzero(~found)
            if len(left):
                chosen = features[left], thresholds[left], slope[left] > 0, narrow[left]
                low[left], high[left], found[left] = self._between(*chosen, guess[left], scale[left] * part)
        return low, high, found

    def _between(
        self, features: Any, thresholds: Any, rising: Any, narrow: Any, guess: Any, reach: Any
    ) -> tuple[Any, Any, Any]:
        """Return as ``flips``, searched within ``reach`` of a guess (n,) in steps that divide it by ``POINTS`` + 1."""
        places = self.places(features)
        reach = np.maximum(
            reach, np.where(self._are(places, "datetime"), 2.0, 0.0)
        )  # their parts change with the second
        low, high, whole = guess - reach, guess + reach, self._are(places, "integer")
        low[whole], high[whole] = np.floor(guess[whole]), np.floor(guess[whole]) + 1
        count = POINTS + 2  # with both ends
        places, slots = np.tile(places, count), _numbered(places) * count + np.arange(count)[:, None]
        flips = None
        while True:
            points = low + (high - low) * (np.arange(count) / (count - 1))[:, None]
            points[-1] = high  # without rounding
            compared = self._at(places, slots.ravel(), np.tile(features, count), self.sent(places, points.ravel()))
            compared = compared.reshape(points.shape)
            below = (np.where(narrow, compared.astype(np.float32), compared) <= thresholds) == rising
            flips = below[0] & ~below[-1] if flips is None else flips
            inner = ~whole & (low < points) & (points < high)
            if not (inner & flips).any():
                return low, high, flips
            low = np.where(inner & below, points, low).max(axis=0)
            high = np.where(inner & ~below, points, high).min(axis=0)

    def _at(self, places: Any, slots: Any, features: Any, values: list[Any]) -> Any:
        """Return features (n,) of rows that have the values (n,) at these places, each in the row of its slot."""
        compared, order = np.empty(len(places)), np.argsort(slots, kind="stable")
        size = max(1, min(MAX_ROWS, MAX_CELLS // max(1, self.width)))
        starts = np.searchsorted(slots[order], np.arange(0, int(slots.max()) + 1 + size, size))
        for start, (first, stop) in enumerate(pairwise(starts)):  # of a few columns there may be many slots
            chosen, columns = order[first:stop], dict[int, dict[int, Any]]()
            at = slots[chosen] - start * size
            for place, slot, number in zip(places[chosen].tolist(), at.tolist(), chosen.tolist(), strict=True):
                columns.setdefault(place, {})[slot] = values[number]
            count = int(at.max()) + 1
            filled = {
                place: [known.get(slot, next(iter(known.values()))) for slot in range(count)]
                for place, known in columns.items()
            }
            compared[chosen] = self._transform(self._rows.with_columns(filled, count))[at, features[chosen]]
        return compared

    def is_valid(self, place: int, value: Any) -> bool:
        """Return whether a request may hold this value."""
        if self.columns[place].kind == "datetime":
            return bool(dates.FIRST <= value <= dates.LAST)
        return bool(self._rules[place].all_valid([value]))

    def neighbours(self, places: Any, values: Any) -> Iterator[Any]:
        """Yield the values (n,) one ulp to either side, of float64 and of float32; NaN for whole numbers, which need none."""
        narrow, whole = values.astype(np.float32), self._are(places, "integer")
        steps = [np.nextafter(values, -np.inf), np.nextafter(values, np.inf)]
        steps += [np.nextafter(narrow, np.float32(side)).astype(np.float64) for side in (-np.inf, np.inf)]
        for step in steps:
            yield np.where(whole, np.nan, step)

    def sent(self, places: Any, values: Any) -> list[Any]:
        """Return numbers (n,) as a request may hold them: whole, or for a date in microseconds."""
        kinds = (self.columns[place].kind for place in places.tolist())
        return [_as_sent(kind, value) for kind, value in zip(kinds, values.tolist(), strict=True)]

    def _are(self, places: Any, kind: str) -> Any:
        return np.array([self.columns[place].kind == kind for place in places.tolist()], dtype=bool)


def _turning_point(thresholds: Any) -> Any:
    """Return the float64 up to which numbers are at most the threshold (n,) once they are rounded to float32."""
    narrow = thresholds.astype(np.float32)
    below = np.where(narrow > thresholds, np.nextafter(narrow, np.float32(-np.inf)), narrow).astype(np.float32)
    above = np.nextafter(below, np.float32(np.inf))
    return below.astype(np.float64) + (above.astype(np.float64) - below.astype(np.float64)) / 2


def _numbered(places: Any) -> Any:
    """Return for each of some places (n,) how many equal ones stand before it."""
    order = np.argsort(places, kind="stable")
    _, starts, counts = np.unique(places[order], return_index=True, return_counts=True)
    numbers = np.empty(len(places), dtype=np.int64)
    numbers[order] = np.arange(len(places)) - np.repeat(starts, counts)
    return numbers


def _as_sent(kind: str, value: float) -> Any:
    if kind == "datetime":
        return round(value * 1e6) / 1e6
    return int(value) if kind == "integer" else value


def _two_points(column: Column) -> tuple[Any, Any]:
    """Return two values of a column, between which the slope of a feature is measured."""
    if column.kind == "datetime":
        return _two_dates(column)
    high, low = float(column.maximum or 0), float(column.minimum or 0)
    first, second = (high, high - (high - low) / 4) if high > low else (high, high + 1)
    if column.kind == "integer":
        return int(first), int(min(np.floor(second), first - 1))
    return first, second


def _two_dates(column: Column) -> tuple[Any, Any]:
    """Return the seconds of two times in one month, on the same day of the week: only what counts days differs."""
    rule, aware = rule_for(column), is_aware(column.dtype)
    first = dates.write(rule.coerce(column.maximum), aware=aware)[:8] + "01T12:00:00" + "Z" * aware
    later, earlier = (rule.coerce(first) + days * 86400.0 for days in (21, 0))
    return later, earlier
