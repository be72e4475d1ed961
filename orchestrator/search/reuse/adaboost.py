"""AdaBoost: each round is weighted by the errors of those before it, so the first k rounds are the model of k rounds.

The last round's weights are not updated, but nothing is fitted with them. Predictions are not shared: scikit-learn
divides by the sum of all weights, which NumPy adds pairwise and the staged methods one by one; the last bit may differ.

Excluded: base estimators other than scikit-learn's trees, and seeds that are no integers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sklearn.ensemble import AdaBoostClassifier, AdaBoostRegressor
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from orchestrator.search.reuse.base import EnsembleRule, is_seeded

INSIDE = (type(None), DecisionTreeClassifier, DecisionTreeRegressor)


class AdaBoostRule(EnsembleRule):
    """AdaBoost classifiers and regressors."""

    def applies(self, estimator: Any, rows: int) -> bool:  # noqa: ARG002
        """Require an integer seed and trees as base estimators."""
        return (
            type(estimator) in (AdaBoostClassifier, AdaBoostRegressor)
            and is_seeded(estimator)
            and type(estimator.estimator) in INSIDE
        )

    def truncated_attributes(self, largest: Any, size: int) -> Mapping[str, Any]:
        """Return the first rounds and their weights; boosting may have ended earlier."""
        return {
            name: getattr(largest, name)[:size] for name in ("estimators_", "estimator_weights_", "estimator_errors_")
        }
