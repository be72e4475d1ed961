"""Interval: the bounds of a score, their level and the method that gave them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

LEVEL = 0.95
MOST_DECIMALS = 4
DIGITS = (2, 4)  # decimals of a score without an interval, at least and at most
ROUNDING = 0.01  # of the half-width: the most that printing may move a bound


@dataclass(frozen=True)
class Interval:
    """A confidence interval from ``low`` to ``high``; ``level`` is the share of samples whose interval has the true value."""

    low: float
    high: float
    method: str
    level: float = LEVEL

    @property
    def decimals(self) -> int:
        """The decimals that are worth printing: rounding moves a bound by at most a hundredth of the half-width."""
        width = self.high - self.low
        return max(0, math.ceil(-math.log10(width * ROUNDING))) if width > 0 else MOST_DECIMALS

    def text(self, decimals: int | None = None) -> str:
        """Return the bounds for a reader."""
        digits = self.decimals if decimals is None else decimals
        return f"{self.low:.{digits}f} to {self.high:.{digits}f}"

    def as_json(self) -> dict[str, Any]:
        """Return the bounds, the level and the method."""
        return asdict(self)


def decimals_for(value: float, rows: int, interval: Interval | None = None) -> int:
    """Return the number of significant decimals of a score: what its interval supports.

    Without one, the last decimal is about what a single row changes.
    """
    if interval is not None:
        return interval.decimals
    digits = min(max(len(str(rows)), DIGITS[0]), DIGITS[1]) if rows else 3
    size = math.floor(math.log10(abs(value))) if value and math.isfinite(value) else 0
    return max(0, digits - size) if size > 0 or size < -digits else digits


def method_line(intervals: Mapping[str, Interval]) -> str:
    """Return the levels and methods of the metrics' intervals in one line."""
    by_method: dict[str, list[str]] = {}
    for metric, interval in intervals.items():
        by_method.setdefault(f"{interval.method} {interval.level:.0%}", []).append(metric)
    return "; ".join(f"{method}: {', '.join(metrics)}" for method, metrics in by_method.items())
