"""Gradient boosting: a stage is fitted on the residuals of those before it, so the first k stages are the model of k.

All random numbers (``subsample``, ``max_features``) come from one stream that is drawn from stage by stage. Predictions
add the stages in order, in one loop or stage by stage: the same additions.

Excluded: early stopping (``n_iter_no_change`` splits the data and may stop), ``warm_start``, an ``init`` estimator
(it may be random) and seeds that are no integers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sklearn.base import is_classifier
from sklearn.ensemble import GradientBoostingClassifier, GradientBoostingRegressor

from orchestrator.search.reuse.base import EnsembleRule, attach_prediction, is_seeded


class GradientBoostingRule(EnsembleRule):
    """GradientBoosting classifiers and regressors."""

    def applies(self, estimator: Any, rows: int) -> bool:  # noqa: ARG002
        """Require an integer seed and no early stopping."""
        return (
            type(estimator) in (GradientBoostingClassifier, GradientBoostingRegressor)
            and is_seeded(estimator)
            and estimator.n_iter_no_change is None
            and not (estimator.warm_start or estimator.verbose)
            and (estimator.init is None or estimator.init == "zero")
        )

    def truncated_attributes(self, largest: Any, size: int) -> Mapping[str, Any]:
        """Return the first stages and what was recorded at each."""
        recorded = ("estimators_", "train_score_", "oob_improvement_", "oob_scores_")
        attributes = {name: getattr(largest, name)[:size] for name in recorded if hasattr(largest, name)}
        last = {"oob_score_": attributes["oob_scores_"][-1]} if "oob_scores_" in attributes else {}
        return {**attributes, **last, "n_estimators_": size}

    def memoize_prediction(self, largest: Any, members: Sequence[Any], X: Any) -> None:
        """Go through the stages once and store the answer at each member's size."""
        method = "decision_function" if is_classifier(largest) else "predict"
        by_size: dict[int, list[Any]] = {}
        for member in members:
            by_size.setdefault(int(member.n_estimators), []).append(member)
        for size, answer in enumerate(getattr(largest, f"staged_{method}")(X), 1):
            for member in by_size.get(size, ()):
                raveled = answer.ravel() if answer.ndim == 2 and answer.shape[1] == 1 else answer
                attach_prediction(member, method, X, raveled)
