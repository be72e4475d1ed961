"""Nearest neighbours in a KD-tree: one query for the most neighbours answers for fewer, where nothing is tied.

The k nearest are the first k of more if no two of the distances up to the next one are equal: then there is one right
answer and one order. As the tree's bounds are rounded, distances that differ by less than rounding count as equal. Rows
with a tie are asked again with their own k, since which of two equals comes first depends on k. ``weights`` only matter
in what is made of the neighbours.

Left out: brute force (neighbours are chosen by distances from a matrix product, which are then made exact: a tie among
the former cannot be seen in the latter), ball trees, and several threads.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
from joblib import effective_n_jobs
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

from orchestrator.search.reuse.base import positive

METRICS = ("minkowski", "euclidean", "manhattan", "l1", "l2", "cityblock", "chebyshev")
ROUNDING = 1 + 1e-9
OFTEN = 1 / 4  # of the rows tied: asking again costs about what was saved


class KDTrees:
    """KNeighbors, for classes and for numbers."""

    names = frozenset({"n_neighbors", "weights"})

    def applies(self, estimator: Any, rows: int) -> bool:
        """A tree for every k that is searched, under a metric whose bounds are exact."""
        return (
            type(estimator) in (KNeighborsClassifier, KNeighborsRegressor)
            and estimator.algorithm in ("auto", "kd_tree")
            and isinstance(estimator.metric, str)
            and estimator.metric in METRICS
            and estimator.metric_params is None
            and estimator.p in (1, 2)
            and self.size(estimator) in range(1, rows // 2)  # from there on "auto" means brute force
            and bool(effective_n_jobs(estimator.n_jobs) == 1)
        )

    def size(self, estimator: Any) -> int | None:
        """How many neighbours."""
        return positive(estimator.n_neighbors)

    def cut(self, largest: Any, member: Any) -> Any:
        """The same tree, asked for fewer."""
        fitted = copy.copy(largest)
        fitted.n_neighbors, fitted.weights = member.n_neighbors, member.weights
        return fitted

    def memoize_prediction(self, largest: Any, members: Sequence[Any], X: Any) -> None:
        """One query for all, and one more for the rows where that does not settle it."""
        most = max(member.n_neighbors for member in members)
        if largest._fit_method != "kd_tree" or len({member.n_neighbors for member in members}) < 2:  # noqa: SLF001
            return
        distances, found = largest.kneighbors(X, n_neighbors=most)
        tied = distances[:, 1:] <= distances[:, :-1] * ROUNDING
        for member in members:
            size = member.n_neighbors
            again = tied[:, :size].any(axis=1) if size < most else np.zeros(len(tied), dtype=bool)
            if again.mean() > OFTEN:
                continue
            answer = distances[:, :size].copy(), found[:, :size].copy()
            if again.any():
                rows = np.flatnonzero(again)
                own = largest.kneighbors(X.iloc[rows] if hasattr(X, "iloc") else X[rows], n_neighbors=size)
                for whole, part in zip(answer, own, strict=True):
                    whole[rows] = part
            member.kneighbors = Neighbours(member.kneighbors, X, answer)


class Neighbours:
    """``kneighbors`` with its answer for one object; for any other it asks the tree."""

    __name__ = "kneighbors"

    def __init__(self, method: Any, X: Any, answer: tuple[Any, Any]) -> None:
        self._method, self._X, self._answer = method, X, answer

    def __call__(self, X: Any = None, n_neighbors: Any = None, return_distance: bool = True) -> Any:
        """As the estimator's own."""
        if X is not self._X or n_neighbors is not None:
            return self._method(X, n_neighbors, return_distance)
        distances, found = (part.copy() for part in self._answer)
        return (distances, found) if return_distance else found
