"""Scores on the hold-out rows against limits: minima, maxima, and what a dummy reaches."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Literal

from orchestrator.gate.verdict import LimitCheck
from orchestrator.spec.gate import GateSpec

Bound = Callable[[str, Literal["low", "high"]], float]  # of a metric: the worst value that is in line with the rows
BeatsDummy = Callable[[str], tuple[float, bool]]  # of a metric: the bound of the difference, and whether it is above 0


def check_limits(gate: GateSpec, metrics: Mapping[str, float], bound: Bound | None) -> Iterator[LimitCheck]:
    """Yield the check of each minimum and maximum; ``metrics`` are those of a Report.

    ``bound`` gives what is compared with the limits where that is not the score itself. What is not a number fails.
    """
    for kind, limits in (("minimum", gate.minimum), ("maximum", gate.maximum)):
        for metric, limit in limits.items():
            if bound is None:
                value = metrics.get(f"holdout_{metric}", math.nan)
            else:
                value = bound(metric, "low" if kind == "minimum" else "high")
            passed = value >= limit if kind == "minimum" else value <= limit
            yield LimitCheck(metric, "minimum" if kind == "minimum" else "maximum", value, limit, passed, gate.by)


def check_dummy(metric: str, metrics: Mapping[str, float], beats: BeatsDummy | None) -> Iterator[LimitCheck]:
    """Yield the check against the dummy's score; nothing where a dummy has none.

    By the bound, both are compared on the same rows.
    """
    value, limit = (metrics.get(f"{kind}_{metric}", math.nan) for kind in ("holdout", "dummy"))
    if math.isnan(limit):
        return
    if beats is None:
        yield LimitCheck(metric, "dummy", value, limit, value > limit)
        return
    lower, passed = beats(metric)
    yield LimitCheck(metric, "dummy", limit + lower, limit, passed, "bound")
