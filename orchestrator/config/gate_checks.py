"""Check the limits of ``gate`` against the metrics that the search scores."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.errors import Problem
from orchestrator.spec.gate import GateSpec
from orchestrator.spec.messages import suggest_or_list
from orchestrator.spec.search import SearchSpec


def problems(gate: GateSpec, search: SearchSpec) -> Iterator[Problem]:
    """Yield each metric with a limit that is not scored, and each minimum above its maximum."""
    for side, limits in (("minimum", gate.minimum), ("maximum", gate.maximum)):
        for metric in limits:
            if metric not in search.scoring:
                yield Problem(
                    f"gate.{side}.{metric}", f"is not one of search.scoring{suggest_or_list(metric, search.scoring)}"
                )
    for metric in gate.minimum.keys() & gate.maximum.keys():
        if gate.minimum[metric] > gate.maximum[metric]:
            text = f"{gate.minimum[metric]:g} is above gate.maximum.{metric}, {gate.maximum[metric]:g}"
            yield Problem(f"gate.minimum.{metric}", text)
