"""Interval: the bounds of a score, their level and the method that gave them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

LEVEL = 0.95
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
        return max(0, math.ceil(-math.log10((self.high - self.low) * ROUNDING)))

    def text(self, decimals: int | None = None) -> str:
        """Return the bounds for a reader."""
        digits = self.decimals if decimals is None else decimals
        return f"{self.low:.{digits}f} to {self.high:.{digits}f}"

    def as_json(self) -> dict[str, Any]:
        """Return the bounds, the level and the method."""
        return asdict(self)


def method_line(intervals: Mapping[str, Interval]) -> str:
    """Return the levels and methods of the metrics' intervals in one line."""
    by_method: dict[str, list[str]] = {}
    for metric, interval in intervals.items():
        by_method.setdefault(f"{interval.method} {interval.level:.0%}", []).append(metric)
    return "; ".join(f"{method}: {', '.join(metrics)}" for method, metrics in by_method.items())
