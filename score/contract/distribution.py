"""Distribution of the training values, stored as profile.json: the reference for the drift of requests.

Numbers and dates are binned by the deciles of the training rows, everything else by category. Free text and columns of more than
``MAX_BINS`` categories have no profile.
"""

from __future__ import annotations

import json
import math
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from score.contract import dates
from score.contract.columns import Values

if TYPE_CHECKING:
    import pandas as pd

    from score.contract.schema import Contract

FILE = "profile.json"
PARTS = 10
MAX_BINS = 100  # of categories: each is a line of the metrics
MAX_COLUMNS = 200  # the first ones: each costs every request a little, and a dozen lines of the metrics
CHANGED = 0.2  # an index above it means another distribution
FLOOR = 1e-4  # the lowest share in the index, as an empty bin would make it infinite


@dataclass(frozen=True)
class Profile:
    """One column's bins and the share of training rows in each; bin 0 holds missing values.

    Attributes:
        edges: Of numbers or, as ISO 8601, of dates; ascending, the last one just above the maximum. Bin 1 is below
            training's range, the last one above it.
        values: Of categories, a bin each; after them comes a bin for all others.
    """

    column: str
    shares: Sequence[float]
    edges: Sequence[Any] | None = None
    values: Sequence[Any] = ()

    @classmethod
    def describe(cls, column: pd.Series, kind: str, categories: Sequence[Any] | None) -> Profile | None:
        """Compute the profile of training values (n_rows,); None where there is nothing to compare with."""
        name = str(column.name)
        if kind in ("integer", "number", "datetime"):
            seen = _finite(column, kind)
            if not len(seen):
                return None
            import numpy as np

            ordered = np.sort(seen.to_numpy())  # once: the edges are found in it, and the values between them
            parts = np.arange(PARTS) / PARTS * 100 / 100  # rounded as by Series.quantile
            cuts = ordered[np.floor((len(ordered) - 1) * parts).astype(int)]
            last = float(ordered[-1])
            edges: list[Any] = [*sorted(set(cuts.tolist())), math.nextafter(last, math.inf)]
            if kind == "datetime":  # of which a microsecond is the least step
                edges[-1] = max(edges[-1], last + 1e-6)
                edges = [dates.write(edge, aware=dates.is_aware(str(column.dtype))) for edge in edges]
            empty = cls(name, [0.0] * (len(edges) + 2), edges=edges)
        elif kind in ("category", "boolean") and len(categories or ()) <= MAX_BINS:
            values = list(categories or ()) if kind == "category" else [False, True]
            empty = cls(name, [0.0] * (1 + len(values) + (kind == "category")), values=values)
        else:
            return None
        if empty.edges is None:
            counts = empty.count(column, kind)
        else:
            below = np.searchsorted(ordered, np.asarray(empty._numbers)).tolist()
            missing = int(column.isna().sum())
            counts = [missing, *(high - low for low, high in pairwise([0, *below, len(ordered)]))]
        total = sum(counts) or 1
        return cls(name, [count / total for count in counts], empty.edges, empty.values)

    @property
    def bins(self) -> list[str]:
        """The bins' unique names; values are written as JSON, so that the text "missing" has quotes."""
        if self.edges is None:
            known = (json.dumps(value, ensure_ascii=False) for value in self.values)
            return ["missing", *known, "unseen"][: len(self.shares)]  # a boolean is never unseen
        texts = [edge if isinstance(edge, str) else repr(edge) for edge in self.edges]
        inner = [f"{low} to {high}" for low, high in pairwise(texts)]
        return ["missing", "below", *inner, "above"]

    @cached_property
    def place(self) -> Callable[[Any], int]:
        """A function that returns a value's bin."""
        if self.edges is None:
            places = {None: 0} | {value: place for place, value in enumerate(self.values, 1)}
            unseen = len(places)
            return lambda value: places.get(value, unseen)
        edges = self._numbers
        return lambda value: 0 if value is None else 1 + bisect_right(edges, value)

    @cached_property
    def _numbers(self) -> list[float]:
        """The edges as numbers: seconds of dates."""
        texts = (edge for edge in self.edges or () if isinstance(edge, str))
        return [dates.parse(edge, aware=edge.endswith("Z")) for edge in texts] or list(self.edges or ())

    def counted(self, values: Values) -> list[int]:
        """Count the values in each bin; an array holds no missing value."""
        if not isinstance(values, list):
            import numpy as np

            places = 1 + np.searchsorted(np.asarray(self._numbers), values, side="right")
            found: list[int] = np.bincount(places, minlength=len(self.shares)).tolist()
            return found
        counts = [0] * len(self.shares)
        for place in map(self.place, values):
            counts[place] += 1
        return counts

    def count(self, column: pd.Series, kind: str) -> list[int]:
        """Count the values of a table's column (n_rows,) of this kind in each bin; infinite ones are in none."""
        if self.edges is None:
            counts = [0] * len(self.shares)
            for value, count in column.dropna().value_counts().items():
                counts[self.place(value)] += int(count)
        else:
            counts = self.counted(_finite(column, kind).to_numpy())
        counts[0] += int(column.isna().sum())
        return counts

    def outside(self, counts: Sequence[float]) -> float:
        """Return the share of values outside of training's range."""
        return (counts[1] + counts[-1]) / (sum(counts) or 1) if self.edges is not None else 0.0

    def psi(self, counts: Sequence[float]) -> float:
        """Return the population stability index of these counts: 0 for training's distribution, above :data:`CHANGED` for another one."""
        expected, actual = self._folded(self.shares), self._folded(counts)
        total = sum(actual)
        pairs = [(max(a, FLOOR), max(b / total, FLOOR)) for a, b in zip(expected, actual, strict=True)]
        return sum((b - a) * math.log(b / a) for a, b in pairs)

    def _folded(self, counts: Sequence[float]) -> list[float]:
        """Merge the bins outside of training's range, which are empty by definition there, into the outermost ones."""
        if self.edges is None:
            return list(counts)
        missing, below, first, *rest, above = counts
        return [missing, below + first, *rest[:-1], rest[-1] + above] if rest else [missing, below + first + above]


def _finite(column: pd.Series, kind: str) -> pd.Series:
    """Return the finite numbers of a column, seconds of dates."""
    seen = column.dropna()
    if kind == "datetime":
        seen = dates.seconds_series(seen)
    return seen[seen.between(-math.inf, math.inf, inclusive="neither")].astype(float)


def write(folder: Path, X: pd.DataFrame, contract: Contract) -> None:
    """Write the profiles of the training columns into a package."""
    described = (Profile.describe(X[c.name], c.kind, c.categories) for c in contract.columns[:MAX_COLUMNS])
    text = json.dumps([asdict(profile) for profile in described if profile is not None], indent=1)
    (folder / FILE).write_text(text + "\n", encoding="utf-8")


def read(folder: Path) -> Mapping[str, Profile]:
    """Read a package's profiles by column; none where it has none."""
    try:
        profiles = json.loads((folder / FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return {item["column"]: Profile(**item) for item in profiles}
