"""Bagging: the first k estimators are the bag of k, since each is made from its own seed and the seeds are a sequence.

Predictions are not shared: the base estimators may be of any kind.

Excluded: ``oob_score``, ``warm_start``, base estimators that are not scikit-learn's (they may be random without a seed
parameter), and seeds that are no integers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from joblib import effective_n_jobs
from sklearn.ensemble import BaggingClassifier, BaggingRegressor

from orchestrator.search.reuse.base import EnsembleRule, is_seeded


class BaggingRule(EnsembleRule):
    """Bagging classifiers and regressors."""

    def applies(self, estimator: Any, rows: int) -> bool:  # noqa: ARG002
        """Require an integer seed, one thread, and nothing that is computed from the whole bag."""
        inside = type(estimator.estimator) if type(estimator) in (BaggingClassifier, BaggingRegressor) else int
        return (
            (inside is type(None) or inside.__module__.startswith("sklearn."))
            and is_seeded(estimator)
            and not (estimator.oob_score or estimator.warm_start or estimator.verbose)
            and bool(effective_n_jobs(estimator.n_jobs) == 1)
        )

    def truncated_attributes(self, largest: Any, size: int) -> Mapping[str, Any]:
        """Return the first estimators, their columns and their seeds."""
        return {name: getattr(largest, name)[:size] for name in ("estimators_", "estimators_features_", "_seeds")}
