"""Random forests and extra trees: the first k trees of a large forest are the forest of k.

``fit`` draws one seed for each tree, one after the other, from the forest's own seed; no tree depends on another
(bootstrap, ``max_samples`` and both kinds of balanced weights depend on its seed alone). ``predict_proba`` adds the
trees in order and divides by their number, so the running sum holds the answer of every smaller forest.

Excluded: several threads (they add in the order in which they finish), ``oob_score`` (computed from all trees),
``warm_start`` and seeds that are no integers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from joblib import effective_n_jobs
from sklearn.base import is_classifier
from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor, RandomForestClassifier, RandomForestRegressor

from orchestrator.search.reuse.base import EnsembleRule, attach_prediction, is_seeded

KINDS = (RandomForestClassifier, RandomForestRegressor, ExtraTreesClassifier, ExtraTreesRegressor)


class ForestRule(EnsembleRule):
    """RandomForest and ExtraTrees classifiers and regressors."""

    def applies(self, estimator: Any, rows: int) -> bool:  # noqa: ARG002
        """Require an integer seed, one thread, and nothing that is computed from the whole forest."""
        return (
            type(estimator) in KINDS
            and is_seeded(estimator)
            and not (estimator.oob_score or estimator.warm_start or estimator.verbose)
            and bool(effective_n_jobs(estimator.n_jobs) == 1)
        )

    def memoize_prediction(self, largest: Any, members: Sequence[Any], X: Any) -> None:
        """Add the trees once, as ``predict`` and ``predict_proba`` do, and store the answer at each member's size."""
        if largest.n_outputs_ != 1:
            return
        method = "predict_proba" if is_classifier(largest) else "predict"
        rows = largest._validate_X_predict(X)  # noqa: SLF001 - as float32, once for all trees
        total = np.zeros((rows.shape[0], largest.n_classes_) if is_classifier(largest) else rows.shape[0])
        remaining = sorted(members, key=lambda member: int(member.n_estimators), reverse=True)
        for size, tree in enumerate(largest.estimators_, 1):
            total += getattr(tree, method)(rows, check_input=False)
            while remaining and remaining[-1].n_estimators == size:
                answer = total.copy()
                answer /= size
                attach_prediction(remaining.pop(), method, X, answer)
