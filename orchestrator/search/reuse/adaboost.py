"""AdaBoost: each round is weighted by what the rounds before it got wrong, so the first k rounds are the model of k.

The last round's weights are not updated, but nothing is fitted with them. Predictions are not shared: scikit-learn
divides by the sum of all weights, which NumPy adds up pairwise and the staged methods one by one; these may differ in the
last bit.

Left out: estimators inside other than scikit-learn's trees, and seeds that are no integers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sklearn.ensemble import AdaBoostClassifier, AdaBoostRegressor
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from orchestrator.search.reuse.base import Ensemble, is_seeded

INSIDE = (type(None), DecisionTreeClassifier, DecisionTreeRegressor)


class AdaBoosts(Ensemble):
    """AdaBoost, for classes and for numbers."""

    def applies(self, estimator: Any, rows: int) -> bool:  # noqa: ARG002
        """A seed, over trees."""
        return (
            type(estimator) in (AdaBoostClassifier, AdaBoostRegressor)
            and is_seeded(estimator)
            and type(estimator.estimator) in INSIDE
        )

    def parts(self, largest: Any, size: int) -> Mapping[str, Any]:
        """The rounds and their weights; boosting may have ended before."""
        return {
            name: getattr(largest, name)[:size] for name in ("estimators_", "estimator_weights_", "estimator_errors_")
        }
