"""SplitSummary: how the rows were split, in words and as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class SplitSummary:
    """How rows were held out, and folds were made.

    ``groups`` are the numbers of groups (training, held out), ``border`` is the first time that is held out, and
    ``gap_rows`` rows before it are in neither part. ``folds`` is None where scikit-learn makes them of the number in
    ``search.cv``. ``weight`` is the column of the rows' weights. ``notes`` are what may mislead.
    """

    rule: str
    training: int
    held_out: int
    by: str | None = None
    groups: tuple[int, int] | None = None
    border: str | None = None
    gap_rows: int = 0
    folds: str | None = None
    weight: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def line(self) -> str:
        """The whole in one line."""
        share = f"{self.training} training rows, {self.held_out} held out"
        weight = self.weight and f"weighted by '{self.weight}'"
        return "; ".join(filter(None, (share, self._rule(), self.folds and f"folds: {self.folds}", weight)))

    def _rule(self) -> str:
        if self.rule == "group" and self.groups:
            return f"whole groups of '{self.by}', {self.groups[0]:,} training and {self.groups[1]:,} held out"
        if self.rule == "time":
            gap = f", {self.gap_rows:,} rows in the gap before it left out" if self.gap_rows else ""
            return f"the newest by '{self.by}', from {self.border}{gap}"
        return {"column": f"as '{self.by}' says", "file": f"the rows of {self.by}"}.get(self.rule, "")

    def about(self) -> dict[str, Any]:
        """Return what a service says of it, at ``/meta`` and on its page, as JSON."""
        rule = {"strategy": self.rule, "by": self.by, "held_out_rows": self.held_out}
        return {**rule, "weight": self.weight, "line": self.line}

    def as_json(self) -> Mapping[str, Any]:
        """Return everything for result.json."""
        return {"line": self.line, **asdict(self)}
