"""The searches: drop-ins for scikit-learn's that do shared work once and tell how far they are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from sklearn import get_config, model_selection
from sklearn.experimental import enable_halving_search_cv  # noqa: F401  # scikit-learn's way in

from orchestrator.search import sklearn_private
from orchestrator.search.progress import UPDATES, SearchProgress
from orchestrator.search.reuse import RULES, ReuseRule
from orchestrator.search.runner import Work, run

__all__ = ["UPDATES", "SharedGridSearchCV", "SharedHalvingGridSearchCV", "SharedRandomizedSearchCV"]
OF_THIS_PROCESS = {"on_progress", "unfinished", "before_refit"}


class _Shared:
    """What makes a search of scikit-learn share work; before it among the bases.

    Before ``fit``, ``on_progress`` may be set to a callable of (fits done, fits in all, a few words). It is no
    parameter: a clone does not carry it, and results do not depend on it. Neither is ``unfinished``, a folder that
    gets every fit's result as it finishes: the same search on the same data goes on from there, nor ``before_refit``,
    which is called when only the refit is left. After ``fit``, :func:`work_of` gives how many fits were asked for and
    how many it took, and :func:`errors_of` why candidates failed. Neither is a fitted attribute of the search: those are
    scikit-learn's own.
    """

    rules: ClassVar[Sequence[ReuseRule]] = RULES
    on_progress: Callable[[int, int, str], None] | None = None
    unfinished: Path | None = None
    before_refit: Callable[[], Any] | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Without what belongs to this process."""
        state: Any = super().__getstate__()
        return {name: value for name, value in state.items() if name not in OF_THIS_PROCESS}

    def _run_search(self, evaluate_candidates: Any, callback_ctx: Any = None) -> None:
        """As scikit-learn's, with the evaluation put in our hands where nothing speaks against it."""
        config = get_config()
        special = (
            config["enable_metadata_routing"] or config.get("array_api_dispatch") or sklearn_private.has_callbacks(self)
        )
        progress = SearchProgress(self.on_progress, self.refit if isinstance(self.refit, str) else None)  # type: ignore[attr-defined]
        ours = (
            None if special else sklearn_private.with_parallel(evaluate_candidates, partial(self._evaluate, progress))
        )
        context = {} if callback_ctx is None else {"callback_ctx": callback_ctx}
        self._work, self._errors = Work(0, 0), []
        super()._run_search(evaluate_candidates if ours is None else _without_context(ours), **context)  # type: ignore[misc]
        if self.before_refit is not None:
            self.before_refit()

    def _evaluate(self, progress: SearchProgress, calls: Iterable[sklearn_private.Call]) -> list[Any]:
        """Called once, or once for each round of a search that goes by rounds."""
        n_jobs, pre_dispatch = self.n_jobs, self.pre_dispatch  # type: ignore[attr-defined]
        found = run(calls, self.rules, n_jobs, pre_dispatch, progress, self.unfinished)
        self._work = Work(self._work.asked + found.work.asked, self._work.done + found.work.done)
        self._errors += found.errors
        return found.results

    _work: Work
    _errors: list[str]


def work_of(search: Any) -> Work:
    """Return how many fits a fitted search was asked for, and how many it took."""
    found: Work = search._work  # noqa: SLF001 - of this module's own searches
    return found


def errors_of(search: Any) -> Sequence[str]:
    """Return for each candidate of ``cv_results_`` the traceback of its first fit that failed; "" if none did.

    Of a search that is not this module's, nothing is known.
    """
    found: Sequence[str] = getattr(search, "_errors", ())
    return found


def _without_context(evaluate: Any) -> Any:
    """Nobody listens to single fits, so nobody is prepared for it."""

    def quietly(*args: Any, callback_ctx: Any = None, **options: Any) -> Any:  # noqa: ARG001
        return evaluate(*args, **options)

    return quietly


class SharedGridSearchCV(_Shared, model_selection.GridSearchCV):  # type: ignore[misc]
    """scikit-learn's GridSearchCV, with the same results to the last bit, from less work."""


class SharedRandomizedSearchCV(_Shared, model_selection.RandomizedSearchCV):  # type: ignore[misc]
    """scikit-learn's RandomizedSearchCV, with the same results to the last bit, from less work."""


class SharedHalvingGridSearchCV(_Shared, model_selection.HalvingGridSearchCV):  # type: ignore[misc]
    """scikit-learn's HalvingGridSearchCV, with the same results to the last bit, from less work in each round."""
