"""Scores of an estimator by class, whichever method it has."""

from __future__ import annotations

from typing import Any

import numpy as np


def class_scores(model: Any, X: Any, classes: int) -> Any:
    """Return scores (n_rows, n_classes), greater for the likelier class; None if the model has none for each."""
    if hasattr(model, "predict_proba"):
        scores = np.asarray(model.predict_proba(X))
    elif hasattr(model, "decision_function"):
        scores = np.asarray(model.decision_function(X))
        scores = np.column_stack([-scores, scores]) if scores.ndim == 1 else scores
    else:
        return None
    return scores if scores.shape[1] == classes else None
