"""The dummy that every model is compared with: it ignores the columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from orchestrator.artifacts import Split


def fit_dummy(split: Split) -> Any:
    """Return a fitted estimator that knows only the class frequencies, or the mean, of the training rows, by their weights."""
    from sklearn.dummy import DummyClassifier, DummyRegressor

    dummy = DummyRegressor() if split.classes is None else DummyClassifier(strategy="prior")
    weighted = {} if split.weights is None else split.weights.score_params(training=True)
    return dummy.fit(split.X_train, split.y_train, **weighted)
