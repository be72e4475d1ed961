"""The search estimators: drop-in replacements of scikit-learn's that do shared work once and report progress."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from sklearn import get_config, model_selection
from sklearn.experimental import enable_halving_search_cv  # noqa: F401  # enables the import of HalvingGridSearchCV

from orchestrator.search import sklearn_private
from orchestrator.search.progress import UPDATES, SearchProgress
from orchestrator.search.reuse import REUSE_RULES, ReuseRule
from orchestrator.search.runner import FitCounts, run_search

__all__ = ["UPDATES", "SharedGridSearchCV", "SharedHalvingGridSearchCV", "SharedRandomizedSearchCV"]
OF_THIS_PROCESS = {"on_progress", "checkpoint_folder", "before_refit"}


class _SharedWork:
    """Mixin, first among the bases: makes a search of scikit-learn share work between candidates.

    Three attributes may be set before ``fit``. They are no parameters: a clone does not carry them, and results do
    not depend on them. ``on_progress`` is called with (fits done, fits in all, a short note). ``checkpoint_folder``
    receives every fit's result as it finishes: the same search on the same data resumes from there. ``before_refit``
    is called when only the refit is left.

    After ``fit``, :func:`fit_counts` returns how many fits were requested and how many were performed, and
    :func:`fit_errors` why candidates failed. Fitted attributes are scikit-learn's only.
    """

    rules: ClassVar[Sequence[ReuseRule]] = REUSE_RULES
    on_progress: Callable[[int, int, str], None] | None = None
    checkpoint_folder: Path | None = None
    before_refit: Callable[[], Any] | None = None
    _counts: FitCounts
    _errors: list[str]

    def __getstate__(self) -> dict[str, Any]:
        """Return the state without what belongs to this process."""
        state: Any = super().__getstate__()
        return {name: value for name, value in state.items() if name not in OF_THIS_PROCESS}

    def _run_search(self, evaluate_candidates: Any, callback_ctx: Any = None) -> None:
        """Run scikit-learn's search with this package's evaluation, or with scikit-learn's where that is needed."""
        config = get_config()
        unsupported = (
            config["enable_metadata_routing"] or config.get("array_api_dispatch") or sklearn_private.has_callbacks(self)
        )
        progress = SearchProgress(self.on_progress, self.refit if isinstance(self.refit, str) else None)  # type: ignore[attr-defined]
        shared = (
            None
            if unsupported
            else sklearn_private.replace_parallel(evaluate_candidates, partial(self._evaluate, progress))
        )
        context = {} if callback_ctx is None else {"callback_ctx": callback_ctx}
        self._counts, self._errors = FitCounts(0, 0), []
        super()._run_search(evaluate_candidates if shared is None else _without_context(shared), **context)  # type: ignore[misc]
        if self.before_refit is not None:
            self.before_refit()

    def _evaluate(self, progress: SearchProgress, calls: Iterable[sklearn_private.Call]) -> list[Any]:
        """Evaluate all candidates; called once, or once for each round of a halving search."""
        n_jobs, pre_dispatch = self.n_jobs, self.pre_dispatch  # type: ignore[attr-defined]
        outcome = run_search(calls, self.rules, n_jobs, pre_dispatch, progress, self.checkpoint_folder)
        self._counts = FitCounts(*map(sum, zip(self._counts, outcome.counts, strict=True)))
        self._errors += outcome.errors
        return outcome.results


def fit_counts(search: Any) -> FitCounts:
    """Return how many fits a fitted search requested, and how many it performed."""
    counts: FitCounts = search._counts  # noqa: SLF001 - of this module's own searches
    return counts


def fit_errors(search: Any) -> Sequence[str]:
    """Return for each candidate of ``cv_results_`` the traceback of its first fit that failed; "" if none did.

    The result is empty for a search that is not this module's.
    """
    errors: Sequence[str] = getattr(search, "_errors", ())
    return errors


def _without_context(evaluate: Any) -> Any:
    """Drop the callback context: it is prepared for callbacks only, and there are none here."""

    def evaluate_without_context(*args: Any, callback_ctx: Any = None, **options: Any) -> Any:  # noqa: ARG001
        return evaluate(*args, **options)

    return evaluate_without_context


class SharedGridSearchCV(_SharedWork, model_selection.GridSearchCV):  # type: ignore[misc]
    """scikit-learn's GridSearchCV, with the same results to the last bit, from less work."""


class SharedRandomizedSearchCV(_SharedWork, model_selection.RandomizedSearchCV):  # type: ignore[misc]
    """scikit-learn's RandomizedSearchCV, with the same results to the last bit, from less work."""


class SharedHalvingGridSearchCV(_SharedWork, model_selection.HalvingGridSearchCV):  # type: ignore[misc]
    """scikit-learn's HalvingGridSearchCV, with the same results to the last bit, from less work in each round."""
