"""Nearest neighbours in a KD-tree: one query for the most neighbours also answers for fewer, unless distances are tied.

The k nearest are the first k of more if no two of the distances up to the next one are equal: then the answer and its
order are unique. The tree's bounds are rounded, so distances that differ by less than rounding count as equal. Rows
with a tie are queried again with their own k, since the order of two equals depends on k. ``weights`` only matter after the
neighbours are found.

Excluded: brute force (neighbours are chosen by distances from a matrix product, which are then recomputed exactly: a
tie among the former does not show in the latter), ball trees, and several threads.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
from joblib import effective_n_jobs
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

from orchestrator.search.reuse.base import positive_int

METRICS = ("minkowski", "euclidean", "manhattan", "l1", "l2", "cityblock", "chebyshev")
ROUNDING = 1 + 1e-9
MOST_TIED = 1 / 4  # of the rows: beyond it, querying again costs about what was saved


class KDTreeRule:
    """KNeighbors classifiers and regressors."""

    parameter_names = frozenset({"n_neighbors", "weights"})

    def applies(self, estimator: Any, rows: int) -> bool:
        """Require a tree for every k of the search, under a metric whose bounds are exact."""
        return (
            type(estimator) in (KNeighborsClassifier, KNeighborsRegressor)
            and estimator.algorithm in ("auto", "kd_tree")
            and isinstance(estimator.metric, str)
            and estimator.metric in METRICS
            and estimator.metric_params is None
            and estimator.p in (1, 2)
            and self.size(estimator) in range(1, rows // 2)  # from there on, "auto" means brute force
            and bool(effective_n_jobs(estimator.n_jobs) == 1)
        )

    def size(self, estimator: Any) -> int | None:
        """Return the number of neighbours."""
        return positive_int(estimator.n_neighbors)

    def truncate_to(self, largest: Any, member: Any) -> Any:
        """Return the same tree, to be queried for fewer neighbours."""
        fitted = copy.copy(largest)
        fitted.n_neighbors, fitted.weights = member.n_neighbors, member.weights
        return fitted

    def memoize_prediction(self, largest: Any, members: Sequence[Any], X: Any) -> None:
        """Query once for all members, and again for the rows with ties."""
        most = max(member.n_neighbors for member in members)
        if largest._fit_method != "kd_tree" or len({member.n_neighbors for member in members}) < 2:  # noqa: SLF001
            return
        distances, indices = largest.kneighbors(X, n_neighbors=most)
        tied = distances[:, 1:] <= distances[:, :-1] * ROUNDING
        for member in members:
            size = member.n_neighbors
            repeat = tied[:, :size].any(axis=1) if size < most else np.zeros(len(tied), dtype=bool)
            if repeat.mean() > MOST_TIED:
                continue
            answer = distances[:, :size].copy(), indices[:, :size].copy()
            if repeat.any():
                rows = np.flatnonzero(repeat)
                own = largest.kneighbors(X.iloc[rows] if hasattr(X, "iloc") else X[rows], n_neighbors=size)
                for whole, part in zip(answer, own, strict=True):
                    whole[rows] = part
            member.kneighbors = MemoizedNeighbors(member.kneighbors, X, answer)


class MemoizedNeighbors:
    """``kneighbors`` with a stored answer for one object; for any other it queries the tree."""

    __name__ = "kneighbors"

    def __init__(self, method: Any, X: Any, answer: tuple[Any, Any]) -> None:
        self._method, self._X, self._answer = method, X, answer

    def __call__(self, X: Any = None, n_neighbors: Any = None, return_distance: bool = True) -> Any:
        """Return the stored answer, or query the tree."""
        if X is not self._X or n_neighbors is not None:
            return self._method(X, n_neighbors, return_distance)
        distances, indices = (part.copy() for part in self._answer)
        return (distances, indices) if return_distance else indices
