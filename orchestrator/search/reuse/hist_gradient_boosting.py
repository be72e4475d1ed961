"""Histogram gradient boosting: as in gradient boosting, the first k iterations are the model of k.

Bins are made before the first iteration, each iteration fits the residuals of those before it, and ``max_features``
draws from one stream, iteration by iteration. Predictions add the iterations in order. (OpenMP adds the gradients in
one part per thread: as everywhere in scikit-learn, results are equal for an equal number of threads.)

Excluded: early stopping (which ``"auto"`` means above 10,000 rows), ``warm_start`` and seeds that are no integers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from orchestrator.search.reuse.base import EnsembleRule, attach_prediction, is_seeded

STOPS_EARLY_ABOVE = 10_000  # rows, for early_stopping="auto"


class HistGradientBoostingRule(EnsembleRule):
    """HistGradientBoosting classifiers and regressors."""

    size_parameter = "max_iter"

    def applies(self, estimator: Any, rows: int) -> bool:
        """Require an integer seed and no early stopping."""
        return (
            type(estimator) in (HistGradientBoostingClassifier, HistGradientBoostingRegressor)
            and is_seeded(estimator)
            and (
                estimator.early_stopping is False or (estimator.early_stopping == "auto" and rows <= STOPS_EARLY_ABOVE)
            )
            and not (estimator.warm_start or estimator.verbose)
        )

    def truncated_attributes(self, largest: Any, size: int) -> Mapping[str, Any]:
        """Return the first iterations; training may have ended earlier, when there was nothing left to split."""
        return {
            "_predictors": largest._predictors[:size],  # noqa: SLF001
            "train_score_": largest.train_score_[: size + 1],
            "validation_score_": largest.validation_score_[: size + 1],
        }

    def memoize_prediction(self, largest: Any, members: Sequence[Any], X: Any) -> None:
        """Go through the iterations once and store the answer at each member's size."""
        by_size: dict[int, list[Any]] = {}
        for member in members:
            by_size.setdefault(len(member._predictors), []).append(member)  # noqa: SLF001
        for size, answer in enumerate(largest._staged_raw_predict(X), 1):  # noqa: SLF001
            for member in by_size.get(size, ()):
                attach_prediction(member, "_raw_predict", X, answer)
