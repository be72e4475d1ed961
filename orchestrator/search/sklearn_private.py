"""Everything that depends on scikit-learn's private API; if it is not as expected, scikit-learn's own search runs.

The searches of scikit-learn pass the evaluation of candidates, fit by fit, to a callable named ``parallel``: a list
of calls in, a list of results out. This package replaces that callable and leaves all else (splits, routing, results,
ranks, warnings, the refit) to scikit-learn's code.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import CellType, FunctionType
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.utils import get_tags

try:
    from sklearn.metrics._scorer import _MultimetricScorer, _PassthroughScorer, _Scorer
    from sklearn.model_selection._validation import _fit_and_score
    from sklearn.utils.metaestimators import _safe_split
    from sklearn.utils.validation import _check_method_params
except ImportError:  # an unknown version
    _fit_and_score = None

Call = tuple[Any, tuple[Any, ...], dict[str, Any]]  # as joblib's ``delayed`` makes them


def replace_parallel(evaluate: Any, run: Callable[[Iterable[Call]], Sequence[Any]]) -> Any:
    """Return ``evaluate_candidates`` with ``run`` as its ``parallel``; None if it is not the known function."""
    code = getattr(evaluate, "__code__", None)
    if _fit_and_score is None or code is None or "parallel" not in code.co_freevars:
        return None
    cells = tuple(
        CellType(run) if name == "parallel" else cell
        for name, cell in zip(code.co_freevars, evaluate.__closure__, strict=True)
    )
    replaced = FunctionType(code, evaluate.__globals__, evaluate.__name__, evaluate.__defaults__, cells)
    replaced.__kwdefaults__ = evaluate.__kwdefaults__
    return replaced


@dataclass(frozen=True)
class SearchJob:
    """What all fits of a search have in common; it is sent with every unit of work."""

    estimator: Any
    X: Any
    y: Any
    candidates: int
    options: Mapping[str, Any]  # of ``_fit_and_score``: scorer, fit_params, error_score ...

    def fit_and_score(self, candidate: int, parameters: Any, fold: Fold) -> dict[str, Any]:
        """Fit and score one candidate by scikit-learn; an error carries its parameters as ``candidate``."""
        try:
            result: dict[str, Any] = _fit_and_score(
                clone(self.estimator),
                self.X,
                self.y,
                train=fold.train,
                test=fold.test,
                parameters=parameters,
                split_progress=fold.progress,
                candidate_progress=(candidate, self.candidates),
                **self.options,
            )
        except Exception as error:
            if not isinstance(self.options["error_score"], str):
                return self._make_failed_result(fold)
            with suppress(Exception):  # not every exception takes attributes
                error.candidate = dict(parameters)  # type: ignore[attr-defined]  # survives pickling
            raise
        return result

    def _make_failed_result(self, fold: Fold) -> dict[str, Any]:
        """Build the result of a fit whose scorers were to share a prediction that the estimator does not offer.

        There scikit-learn raises whatever ``error_score`` is; for every other failure it builds this result itself.
        """
        score = self.options["error_score"]
        scores = score if is_single(self.options["scorer"]) else dict.fromkeys(self.options["scorer"]._scorers, score)  # noqa: SLF001
        result = {"fit_error": traceback.format_exc(), "test_scores": scores, "fit_time": 0.0, "score_time": 0.0}
        result |= {"n_test_samples": len(fold.test)}
        return {**result, "train_scores": scores} if self.options["return_train_score"] else result

    def split_data(self, fold: Fold) -> tuple[Any, Any, Any, Any]:
        """Return X and y for fitting and X and y for scoring, split as scikit-learn splits them."""
        train, test = np.asarray(fold.train), np.asarray(fold.test)
        parts = _safe_split(self.estimator, self.X, self.y, train)
        return (*parts, *_safe_split(self.estimator, self.X, self.y, test, train))

    def params_for(self, kind: str, rows: Any) -> dict[str, Any]:
        """Return ``fit_params`` or ``score_params`` for some of the rows."""
        params: dict[str, Any] = _check_method_params(self.X, params=self.options[kind] or {}, indices=rows)
        return params


@dataclass(frozen=True)
class Fold:
    """One split, with its number and the number of splits."""

    train: Any
    test: Any
    progress: tuple[int, int]


@dataclass(frozen=True)
class SearchTasks:
    """A search's fits: every candidate in every fold."""

    job: SearchJob
    candidates: Sequence[Mapping[str, Any]]
    folds: Sequence[Fold]

    @property
    def sharable(self) -> bool:
        """Whether any work may be shared at all."""
        options = self.job.options
        return (
            options["verbose"] <= 1  # else each fit prints a line
            and not options.get("return_parameters")
            and not options.get("return_estimator")
            and named_scorers(options["scorer"]) is not None
            and not is_pairwise(self.job.estimator)
        )


_CALL_OPTIONS = {"train", "test", "parameters", "split_progress", "candidate_progress"}  # differ by call
_SHARED_OPTIONS = {"scorer", "fit_params", "score_params", "return_train_score", "error_score", "verbose"}  # by all


def parse_calls(calls: Iterable[Call]) -> SearchTasks | list[Call]:
    """Return the fits behind the calls; the calls themselves if they are not the known ones."""
    parsed, first = [], None
    for call in calls:  # a generator: each call holds a clone of the estimator, of which one is enough
        first = first or call
        parsed.append((call[0], (None, *call[1][1:]), call[2]))
    if first is None:
        return []
    function, args, options = first
    expected = options.keys() >= _CALL_OPTIONS | _SHARED_OPTIONS
    if getattr(function, "function", None) is _fit_and_score and len(args) == 3 and expected:
        count = options["split_progress"][1]
        folds = [Fold(each["train"], each["test"], (at, count)) for at, (_, _, each) in enumerate(parsed[:count])]
        candidates = [each["parameters"] for _, _, each in parsed[:: len(folds)]]
        excluded = _CALL_OPTIONS | {"caller", "callback_ctx"}
        common = {name: value for name, value in options.items() if name not in excluded}
        if len(parsed) == len(candidates) * len(folds) and all(
            each["train"] is folds[at % len(folds)].train and each["parameters"] is candidates[at // len(folds)]
            for at, (_, _, each) in enumerate(parsed)
        ):
            return SearchTasks(SearchJob(*args, len(candidates), common), candidates, folds)
    return [(function, (clone(args[0]), *rest[1:]), each) for function, rest, each in parsed]


def named_scorers(scorer: Any) -> Mapping[str, Any] | None:
    """Return scorers by name, if they depend only on the estimator's predictions; else None.

    A callable of (estimator, X, y) may depend on anything, so it receives exactly what scikit-learn passes.
    """
    several = scorer._scorers if type(scorer) is _MultimetricScorer else {"score": scorer}  # noqa: SLF001
    known = all(type(one) in (_Scorer, _PassthroughScorer) for one in several.values())
    return several if known else None


def scorer_metric(scorer: Any) -> tuple[Any, Mapping[str, Any]]:
    """Return the metric that a scorer calls, if any, and its options."""
    return getattr(scorer, "_score_func", None), getattr(scorer, "_kwargs", {})


def scorer_response(scorer: Any) -> Any:
    """Return which of the estimator's methods a scorer calls."""
    return getattr(scorer, "_response_method", None)


def combine_scorers(scorers: Mapping[str, Any]) -> Any:
    """Combine scorers into one for which the estimator predicts once."""
    return _MultimetricScorer(scorers=dict(scorers), raise_exc=True)


def is_single(scorer: Any) -> bool:
    """Return whether a scorer gives one number rather than a mapping."""
    return type(scorer) is not _MultimetricScorer


def has_callbacks(estimator: Any) -> bool:
    """Return whether callbacks for single fits are set (scikit-learn 1.9), on the estimator or any nested one."""
    inside = estimator.get_params(deep=True).values() if hasattr(estimator, "get_params") else ()
    return any(bool(getattr(each, "_skl_callbacks", None)) for each in (estimator, *inside))


def is_pairwise(estimator: Any) -> bool:
    """Return whether X is a matrix of distances, which is split along both axes."""
    return bool(get_tags(estimator).input_tags.pairwise)
