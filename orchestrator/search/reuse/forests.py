"""Random forests and extra trees: the first k trees of a large forest are the forest of k.

``fit`` draws one seed for each tree, one after the other, from the forest's own seed; a tree sees nothing of the others
(bootstrap, ``max_samples`` and both kinds of balanced weights are made from its seed alone). ``predict_proba`` adds up the
trees in order and divides by how many there are, so the running sum holds the answer of every smaller forest.

Left out: several threads (they add up in whatever order they finish), ``oob_score`` (computed from all trees),
``warm_start`` and seeds that are no integers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from joblib import effective_n_jobs
from sklearn.base import is_classifier
from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor, RandomForestClassifier, RandomForestRegressor

from orchestrator.search.reuse.base import Ensemble, is_seeded, memoize_prediction

KINDS = (RandomForestClassifier, RandomForestRegressor, ExtraTreesClassifier, ExtraTreesRegressor)


class Forests(Ensemble):
    """RandomForest and ExtraTrees, for classes and for numbers."""

    def applies(self, estimator: Any, rows: int) -> bool:  # noqa: ARG002
        """A seed, one thread, and nothing that looks at the whole forest."""
        return (
            type(estimator) in KINDS
            and is_seeded(estimator)
            and not (estimator.oob_score or estimator.warm_start or estimator.verbose)
            and bool(effective_n_jobs(estimator.n_jobs) == 1)
        )

    def memoize_prediction(self, largest: Any, members: Sequence[Any], X: Any) -> None:
        """Add up the trees once, as ``predict`` and ``predict_proba`` do, and stop by at each member's size."""
        if largest.n_outputs_ != 1:
            return
        method = "predict_proba" if is_classifier(largest) else "predict"
        rows = largest._validate_X_predict(X)  # noqa: SLF001 - as float32, once for all trees
        total = np.zeros((rows.shape[0], largest.n_classes_) if is_classifier(largest) else rows.shape[0])
        waiting = sorted(members, key=lambda member: int(member.n_estimators), reverse=True)
        for grown, tree in enumerate(largest.estimators_, 1):
            total += getattr(tree, method)(rows, check_input=False)
            while waiting and waiting[-1].n_estimators == grown:
                answer = total.copy()
                answer /= grown
                memoize_prediction(waiting.pop(), method, X, answer)
