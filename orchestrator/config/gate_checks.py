"""Check the limits of ``gate`` against the metrics that the search scores."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.errors import Problem
from orchestrator.spec.gate import GateSpec
from orchestrator.spec.messages import suggest_or_list
from orchestrator.spec.search import SearchSpec

# of scikit-learn's metrics, in all of which more is better: losses are negated, and most of the others are at most 1
LOSS = "neg_"
PRINTED = {  # by a run of two classes beside the metrics that are scored
    "brier_score": "is not scored by the search; add neg_brier_score to search.scoring, and type "
    "gate.minimum.neg_brier_score={0} for a score of at most that",
    "expected_calibration_error": "cannot be limited, as it has no interval; limit neg_brier_score or neg_log_loss",
}
UNLIMITED = {"mutual_info_score", "positive_likelihood_ratio"}
SHARES = ("accuracy", "average_", "balanced_", "f1", "jaccard", "precision", "recall", "roc_auc", "top_k_")  # 0 to 1


def problems(gate: GateSpec, search: SearchSpec) -> Iterator[Problem]:
    """Yield each metric with a limit that is not scored, each limit that decides nothing or that no score reaches."""
    for side, limits in (("minimum", gate.minimum), ("maximum", gate.maximum)):
        for metric, limit in limits.items():
            at = f"gate.{side}.{metric}"
            if metric not in search.scoring:
                printed = PRINTED.get(metric, "").format(f"{-limit:g}")
                yield Problem(at, printed or f"is not one of search.scoring{suggest_or_list(metric, search.scoring)}")
            elif metric not in search.scorers and (text := _misread(side, metric, limit)):
                yield Problem(at, text)
    for metric in gate.minimum.keys() & gate.maximum.keys():
        if gate.minimum[metric] > gate.maximum[metric]:
            text = f"{gate.minimum[metric]:g} is above gate.maximum.{metric}, {gate.maximum[metric]:g}"
            yield Problem(f"gate.minimum.{metric}", text)
    metric = search.refit
    if gate.margin >= 1 and metric.startswith(SHARES) and metric not in search.scorers:
        yield Problem("gate.margin", f"{gate.margin:g} is in units of {metric}, which is between 0 and 1, as in 0.02")


def _misread(side: str, metric: str, limit: float) -> str:
    """Say what is wrong with a limit that no score keeps, or every score; "" if it may decide."""
    best = 0 if metric.startswith(LOSS) else 1
    if metric in UNLIMITED or limit < best or (side == "minimum" and limit == best):
        return ""
    remedy = f"; a loss of at most {limit:g} is gate.minimum.{metric}={-limit:g}" if best == 0 < limit else ""
    decides = "no model reaches it" if side == "minimum" else "every model keeps it"
    return f"{limit:g} decides nothing: {decides}, as {metric} is at most {best}{remedy}"
