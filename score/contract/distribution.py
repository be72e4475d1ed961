"""How training's values are spread, kept as profile.json: what the drift of a service's requests is measured against.

Numbers fall into tenths of training's rows, everything else into its categories. Free text has no profile, and neither
has a column of more categories than ``MAX_BINS``.
"""

from __future__ import annotations

import json
import math
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from score.contract.columns import Values

if TYPE_CHECKING:
    import pandas as pd

    from score.contract.schema import Contract

FILE = "profile.json"
PARTS = 10
MAX_BINS = 100  # of categories: each is a line of the metrics
MAX_COLUMNS = 200  # the first so many: each costs every request a little, and the metrics a dozen lines
FLOOR = 1e-4  # the least share that the index takes, as an empty bin would make it infinite


@dataclass(frozen=True)
class Profile:
    """One column's bins and the share of training's rows in each.

    ``edges`` of a number are ascending, the last one just above the maximum; bin 0 holds what is missing, bin 1 what is
    below training's range, the last what is above. ``values`` of a category follow bin 0, and then a bin for all others.
    """

    column: str
    shares: Sequence[float]
    edges: Sequence[float] | None = None
    values: Sequence[Any] = ()

    @classmethod
    def describe(cls, column: pd.Series, kind: str, categories: Sequence[Any] | None) -> Profile | None:
        """The profile of training values (n_rows,); None where there is nothing to compare with."""
        seen = column.dropna()
        name = str(column.name)
        if kind in ("integer", "number"):
            seen = seen[seen.between(-math.inf, math.inf, inclusive="neither")].astype(float)
            if not len(seen):
                return None
            cuts = seen.quantile([part / PARTS for part in range(PARTS)], interpolation="lower")
            edges = [*sorted(set(cuts.tolist())), math.nextafter(float(seen.max()), math.inf)]
            empty = cls(name, [0.0] * (len(edges) + 2), edges=edges)
        elif kind in ("category", "boolean") and len(categories or ()) <= MAX_BINS:
            values = list(categories or ()) if kind == "category" else [False, True]
            empty = cls(name, [0.0] * (1 + len(values) + (kind == "category")), values=values)
        else:
            return None
        counts = empty.counted([*seen.tolist(), *[None] * int(column.isna().sum())])
        total = sum(counts) or 1
        return cls(name, [count / total for count in counts], empty.edges, empty.values)

    @property
    def bins(self) -> list[str]:
        """What each bin is called, no two alike: values as JSON writes them, so that the text "missing" has quotes."""
        if self.edges is None:
            known = (json.dumps(value, ensure_ascii=False) for value in self.values)
            return ["missing", *known, "unseen"][: len(self.shares)]  # a boolean is never unseen
        inner = [f"{low!r} to {high!r}" for low, high in zip(self.edges, self.edges[1:], strict=False)]
        return ["missing", "below", *inner, "above"]

    @cached_property
    def place(self) -> Callable[[Any], int]:
        """Finds the bin that a value falls into."""
        if self.edges is None:
            places = {None: 0} | {value: place for place, value in enumerate(self.values, 1)}
            unseen = len(places)
            return lambda value: places.get(value, unseen)
        edges = list(self.edges)
        return lambda value: 0 if value is None else 1 + bisect_right(edges, value)

    def counted(self, values: Values) -> list[int]:
        """How many of these values fall into each bin; an array holds no missing one."""
        if not isinstance(values, list):
            import numpy as np

            places = 1 + np.searchsorted(np.asarray(self.edges), values, side="right")
            found: list[int] = np.bincount(places, minlength=len(self.shares)).tolist()
            return found
        counts = [0] * len(self.shares)
        for place in map(self.place, values):
            counts[place] += 1
        return counts

    def outside(self, counts: Sequence[float]) -> float:
        """The share of values beyond training's range."""
        return (counts[1] + counts[-1]) / (sum(counts) or 1) if self.edges is not None else 0.0

    def psi(self, counts: Sequence[float]) -> float:
        """The population stability index of these counts: 0 for training's spread, above 0.2 for another one."""
        wanted, got = self._folded(self.shares), self._folded(counts)
        total = sum(got)
        pairs = [(max(a, FLOOR), max(b / total, FLOOR)) for a, b in zip(wanted, got, strict=True)]
        return sum((b - a) * math.log(b / a) for a, b in pairs)

    def _folded(self, counts: Sequence[float]) -> list[float]:
        """Without the bins that training left empty by their meaning: what is beyond its range is in the outermost."""
        if self.edges is None:
            return list(counts)
        missing, below, first, *rest, above = counts
        return [missing, below + first, *rest[:-1], rest[-1] + above] if rest else [missing, below + first + above]


def write(folder: Path, X: pd.DataFrame, contract: Contract) -> None:
    """Keep the profiles of training's columns with a package."""
    described = (Profile.describe(X[c.name], c.kind, c.categories) for c in contract.columns[:MAX_COLUMNS])
    text = json.dumps([asdict(profile) for profile in described if profile is not None], indent=1)
    (folder / FILE).write_text(text + "\n", encoding="utf-8")


def read(folder: Path) -> Mapping[str, Profile]:
    """The profiles of a package by column; none where it has none."""
    try:
        held = json.loads((folder / FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return {item["column"]: Profile(**item) for item in held}
