"""Gradient boosting: a stage is fitted on what the stages before it left, so the first k stages are the model of k.

All random numbers (``subsample``, ``max_features``) come from one stream that is drawn from stage by stage. Predictions add
up the stages in order, in one loop or stage by stage: the same additions.

Left out: early stopping (``n_iter_no_change`` splits the data and may stop), ``warm_start``, an ``init`` estimator of the
user's own (it may be random) and seeds that are no integers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sklearn.base import is_classifier
from sklearn.ensemble import GradientBoostingClassifier, GradientBoostingRegressor

from orchestrator.search.reuse.base import Ensemble, is_seeded, memoize_prediction


class GradientBoostings(Ensemble):
    """GradientBoosting, for classes and for numbers."""

    def applies(self, estimator: Any, rows: int) -> bool:  # noqa: ARG002
        """A seed, and no early end."""
        return (
            type(estimator) in (GradientBoostingClassifier, GradientBoostingRegressor)
            and is_seeded(estimator)
            and estimator.n_iter_no_change is None
            and not (estimator.warm_start or estimator.verbose)
            and (estimator.init is None or estimator.init == "zero")
        )

    def parts(self, largest: Any, size: int) -> Mapping[str, Any]:
        """The stages, and what was noted at each."""
        notes = ("estimators_", "train_score_", "oob_improvement_", "oob_scores_")
        found = {name: getattr(largest, name)[:size] for name in notes if hasattr(largest, name)}
        last = {"oob_score_": found["oob_scores_"][-1]} if "oob_scores_" in found else {}
        return {**found, **last, "n_estimators_": size}

    def memoize_prediction(self, largest: Any, members: Sequence[Any], X: Any) -> None:
        """Go through the stages once and stop by at each member's size."""
        method = "decision_function" if is_classifier(largest) else "predict"
        by_size: dict[int, list[Any]] = {}
        for member in members:
            by_size.setdefault(int(member.n_estimators), []).append(member)
        for size, answer in enumerate(getattr(largest, f"staged_{method}")(X), 1):
            for member in by_size.get(size, ()):
                raveled = answer.ravel() if answer.ndim == 2 and answer.shape[1] == 1 else answer
                memoize_prediction(member, method, X, raveled)
