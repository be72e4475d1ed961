"""Prepare a search to be fitted to a split, and time one of its fits for a plan."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from orchestrator.artifacts import Search, Split
from orchestrator.modeling.labels import MODEL, encode_search
from orchestrator.reporting.plan_notes import TimedFit
from orchestrator.spec.data import DataSpec
from orchestrator.spec.objects import code_of
from orchestrator.spec.run_spec import RunSpec

FIRST, LONGEST = 1000, 2.0  # rows that are fitted first, and seconds that one fit may take
MOST, LARGEST = 20_000, 500_000_000  # rows that are read for it, and bytes of a file that is read at all
KNOWN = {
    "sklearn",
    "lightgbm",
    "xgboost",
    "numpy",
    "scipy",
    "score",
}  # packages whose fits have no effect besides their result
HERE = {None, "loky", "threading", "multiprocessing", "sequential"}  # backends that fit on this machine


class Made(Protocol):
    """Artifacts by their type, each made when it is asked for."""

    def __getitem__(self, kind: Any, /) -> Any: ...


@contextmanager
def prepared(search: Search, split: Split) -> Iterator[Any]:
    """Yield a clone of a search whose fit gets the codes of labels, the folds, weights, groups and times of a split."""
    from sklearn.base import clone

    from orchestrator.modeling import calibration, early_stopping
    from orchestrator.search.weighting import row_params

    estimator: Any = clone(search.estimator)
    encode_search(estimator, split.classes)
    if split.folds is not None:
        estimator.cv = list(split.folds)
    last = estimator.estimator[-1]
    of_fits = early_stopping.fit_params(last, split.keys) | calibration.fit_params(last, split.keys)
    of_scores = {}
    if split.weights is not None:
        of_fits |= split.weights.fit_params()
        of_scores = split.weights.score_params(training=True)
    if not of_fits and not of_scores:
        yield estimator
        return
    with row_params(estimator, of_fits, of_scores):
        yield estimator


def time_fit(spec: RunSpec, make: Callable[[DataSpec], Made]) -> TimedFit | None:
    """Fit the middle candidate to a fold, or to a sample of its rows; None where that is not done, or fails.

    ``make`` gives the artifacts of the run, for a description of the table. Only code that is known to have no effects is
    run, on a file of this machine, as a plan changes nothing.
    """
    from orchestrator.reading.size import estimate_size, file_bytes

    data, model, search = spec.data, spec.model, spec.search
    named = code_of(model.estimator, model.params, model.param_grid, spec.preprocess.model_dump(mode="json"))
    foreign = {path.partition(".")[0] for path in (model.estimator, *named)} - KNOWN
    if foreign or search.scorers or search.scheduler or search.backend not in HERE:
        return None
    if data.format not in {"csv", "parquet"} or "://" in str(data.path):
        return None
    try:
        if file_bytes(data) > LARGEST:
            return None
        there = min(estimate_size(data).rows, data.rows or MOST**2)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the run says them
            made = make(data if there <= MOST else data.model_copy(update={"rows": MOST}))
            return _time(made[Search], made[Split], max(1.0, there / MOST))
    except Exception:  # noqa: BLE001 - the run reports it, at its place
        return None


def _time(search: Search, split: Split, times: float) -> TimedFit:
    """Fit more and more rows of the last fold, as long as that is quick; a fit of the search has ``times`` its rows."""
    import numpy as np
    from sklearn.base import is_classifier
    from sklearn.model_selection import GridSearchCV, check_cv

    whole: Any = search.estimator
    values = whole.param_grid if hasattr(whole, "param_grid") else whole.param_distributions
    grid = {name: [each[len(each) // 2]] for name, each in values.items()}
    middle: Any = GridSearchCV(
        whole.estimator, grid, scoring=whole.scoring, cv=whole.cv, refit=False, error_score="raise"
    )
    with prepared(Search(middle, 1, None), split) as one:
        cv = check_cv(one.cv, split.y_train, classifier=is_classifier(one.estimator))
        *_, (train, test) = cv.split(split.X_train, split.y_train)
        train = np.random.default_rng(0).permutation(train)
        rows, warm = min(FIRST, len(train)), False
        while True:
            one.cv = [(train[:rows], test)]
            one.fit(split.X_train, split.y_train)
            seconds = float(one.cv_results_["mean_fit_time"][0] + one.cv_results_["mean_score_time"][0])
            if (warm and rows == len(train)) or seconds * (4 if warm else 1) > LONGEST:
                params = {name.removeprefix(f"{MODEL}__"): value for name, (value,) in grid.items()}
                return TimedFit(seconds, params, rows, round(len(train) * times))
            rows, warm = min((4 if warm else 1) * rows, len(train)), True  # the first pays for imports and threads, too
