"""All that is known of scikit-learn's private side; where it is not as expected, its own search runs untouched.

The searches of scikit-learn hand the evaluation of candidates, fit by fit, to a callable named ``parallel``: a list
of calls in, a list of results out. We put our own in its place and leave all else (splits, routing, results, ranks,
warnings, the refit) to scikit-learn's code.
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


def with_parallel(evaluate: Any, run: Callable[[Iterable[Call]], Sequence[Any]]) -> Any:
    """``evaluate_candidates`` with ``run`` for its ``parallel``; None if it is not the function we know."""
    code = getattr(evaluate, "__code__", None)
    if _fit_and_score is None or code is None or "parallel" not in code.co_freevars:
        return None
    cells = tuple(
        CellType(run) if name == "parallel" else cell
        for name, cell in zip(code.co_freevars, evaluate.__closure__, strict=True)
    )
    ours = FunctionType(code, evaluate.__globals__, evaluate.__name__, evaluate.__defaults__, cells)
    ours.__kwdefaults__ = evaluate.__kwdefaults__
    return ours


@dataclass(frozen=True)
class Job:
    """What all fits of a search have in common: it goes along with every unit of work."""

    estimator: Any
    X: Any
    y: Any
    candidates: int
    options: Mapping[str, Any]  # of ``_fit_and_score``: scorer, fit_params, error_score ...

    def plain(self, candidate: int, parameters: Any, fold: Fold) -> dict[str, Any]:
        """One fit and its scores, by scikit-learn; what it raises says in ``candidate`` which parameters it had."""
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
                return self._failed(fold)
            with suppress(Exception):  # not every exception takes attributes
                error.candidate = dict(parameters)  # type: ignore[attr-defined]  # goes along between processes
            raise
        return result

    def _failed(self, fold: Fold) -> dict[str, Any]:
        """The result where several scorers were to share a prediction that the estimator does not offer.

        There scikit-learn raises whatever ``error_score`` is; everywhere else it makes this of what is raised.
        """
        score = self.options["error_score"]
        scores = score if is_single(self.options["scorer"]) else dict.fromkeys(self.options["scorer"]._scorers, score)  # noqa: SLF001
        result = {"fit_error": traceback.format_exc(), "test_scores": scores, "fit_time": 0.0, "score_time": 0.0}
        result |= {"n_test_samples": len(fold.test)}
        return {**result, "train_scores": scores} if self.options["return_train_score"] else result

    def parts(self, fold: Fold) -> tuple[Any, Any, Any, Any]:
        """X and y for fitting, X and y for scoring, cut as scikit-learn cuts them."""
        train, test = np.asarray(fold.train), np.asarray(fold.test)
        parts = _safe_split(self.estimator, self.X, self.y, train)
        return (*parts, *_safe_split(self.estimator, self.X, self.y, test, train))

    def params_for(self, kind: str, rows: Any) -> dict[str, Any]:
        """``fit_params`` or ``score_params`` for some of the rows."""
        params: dict[str, Any] = _check_method_params(self.X, params=self.options[kind] or {}, indices=rows)
        return params


@dataclass(frozen=True)
class Fold:
    """One split, and which of how many it is."""

    train: Any
    test: Any
    progress: tuple[int, int]


@dataclass(frozen=True)
class Tasks:
    """A search's fits: every candidate in every fold."""

    job: Job
    candidates: Sequence[Mapping[str, Any]]
    folds: Sequence[Fold]

    @property
    def sharable(self) -> bool:
        """Whether anything may be shared at all."""
        options = self.job.options
        return (
            options["verbose"] <= 1  # else each fit prints a line
            and not options.get("return_parameters")
            and not options.get("return_estimator")
            and scorers_of(options["scorer"]) is not None
            and not is_pairwise(self.job.estimator)
        )


_OWN = {"train", "test", "parameters", "split_progress", "candidate_progress"}  # of each call
_COMMON = {"scorer", "fit_params", "score_params", "return_train_score", "error_score", "verbose"}  # to all of them


def read(calls: Iterable[Call]) -> Tasks | list[Call]:
    """The fits behind the calls; the calls themselves if they are not those that we know."""
    known, first = [], None
    for call in calls:  # made as we go, each with a clone of the estimator that we need but once
        first = first or call
        known.append((call[0], (None, *call[1][1:]), call[2]))
    if first is None:
        return []
    function, args, options = first
    if getattr(function, "function", None) is _fit_and_score and len(args) == 3 and options.keys() >= _OWN | _COMMON:
        count = options["split_progress"][1]
        folds = [Fold(each["train"], each["test"], (at, count)) for at, (_, _, each) in enumerate(known[:count])]
        candidates = [each["parameters"] for _, _, each in known[:: len(folds)]]
        common = {name: value for name, value in options.items() if name not in _OWN | {"caller", "callback_ctx"}}
        if len(known) == len(candidates) * len(folds) and all(
            each["train"] is folds[at % len(folds)].train and each["parameters"] is candidates[at // len(folds)]
            for at, (_, _, each) in enumerate(known)
        ):
            return Tasks(Job(*args, len(candidates), common), candidates, folds)
    return [(function, (clone(args[0]), *rest[1:]), each) for function, rest, each in known]


def scorers_of(scorer: Any) -> Mapping[str, Any] | None:
    """Scorers by name, if they look at nothing but what the estimator answers; else None.

    A callable of (estimator, X, y) may look at anything: it is given what scikit-learn gives it.
    """
    several = scorer._scorers if type(scorer) is _MultimetricScorer else {"score": scorer}  # noqa: SLF001
    known = all(type(one) in (_Scorer, _PassthroughScorer) for one in several.values())
    return several if known else None


def metric_of(scorer: Any) -> tuple[Any, Mapping[str, Any]]:
    """The metric that a scorer calls, if any, and the options it calls it with."""
    return getattr(scorer, "_score_func", None), getattr(scorer, "_kwargs", {})


def response_of(scorer: Any) -> Any:
    """Which of the estimator's answers it asks for."""
    return getattr(scorer, "_response_method", None)


def together(scorers: Mapping[str, Any]) -> Any:
    """One scorer for all, for which the estimator predicts once."""
    return _MultimetricScorer(scorers=dict(scorers), raise_exc=True)


def is_single(scorer: Any) -> bool:
    """Whether a scorer gives one number, and not a mapping."""
    return type(scorer) is not _MultimetricScorer


def has_callbacks(estimator: Any) -> bool:
    """Whether somebody listens to single fits (scikit-learn 1.9), of the estimator or of any inside it."""
    inside = estimator.get_params(deep=True).values() if hasattr(estimator, "get_params") else ()
    return any(bool(getattr(each, "_skl_callbacks", None)) for each in (estimator, *inside))


def is_pairwise(estimator: Any) -> bool:
    """Whether X is a matrix of distances, to be cut along both axes."""
    return bool(get_tags(estimator).input_tags.pairwise)
