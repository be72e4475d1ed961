"""Search estimators: drop-ins for scikit-learn's that tell how far they are."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from joblib import effective_n_jobs
from sklearn import model_selection
from sklearn.model_selection import ParameterGrid, check_cv

UPDATES = 50  # at most: scikit-learn formats all results anew after each part of the grid


class GridSearchCV(model_selection.GridSearchCV):  # type: ignore[misc]
    """scikit-learn's GridSearchCV, with the same results.

    Before ``fit``, ``on_progress`` may be set to a callable of (fits done, fits in all, a few words). It is no
    parameter: a clone does not carry it, and results do not depend on it.
    """

    on_progress: Callable[[int, int, str], None] | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Without ``on_progress``: scikit-learn sends the whole search to its processes, and those tell nobody."""
        return {name: value for name, value in super().__getstate__().items() if name != "on_progress"}

    def _run_search(self, evaluate_candidates: Callable[[list[Mapping[str, Any]]], dict[str, Any]]) -> None:
        """Evaluate the grid in parts, each large enough to keep every process busy."""
        grid = list(ParameterGrid(self.param_grid))
        size = max(effective_n_jobs(self.n_jobs), math.ceil(len(grid) / UPDATES))
        self._tell(0, len(grid), "")
        for start in range(0, len(grid), size):
            results = evaluate_candidates(grid[start : start + size])
            self._tell(min(start + size, len(grid)), len(grid), self._best_so_far(results))

    def _tell(self, done: int, candidates: int, note: str) -> None:
        if self.on_progress is not None:
            folds = self._folds()
            self.on_progress(done * folds, candidates * folds, note)

    def _folds(self) -> int:
        """How many fits a candidate is; 1 where the splitter cannot tell without the data.

        scikit-learn sets ``n_splits_`` before the search only in its newer versions.
        """
        try:
            return int(getattr(self, "n_splits_", None) or check_cv(self.cv).get_n_splits())
        except (TypeError, ValueError):
            return 1

    def _best_so_far(self, results: Mapping[str, Any]) -> str:
        metric = self.refit if isinstance(self.refit, str) else "score"
        scores = results.get(f"mean_test_{metric}")
        return "" if scores is None else f"best {metric} {scores.max():.4f}"
