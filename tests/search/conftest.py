"""Compares a shared search with scikit-learn's own, to the last bit."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.experimental import enable_halving_search_cv  # noqa: F401  # enables the import of HalvingGridSearchCV
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV, RandomizedSearchCV
from threadpoolctl import threadpool_limits

from orchestrator.search import SharedGridSearchCV, SharedHalvingGridSearchCV, SharedRandomizedSearchCV

Same = Callable[..., Any]
# by an option that only this kind of search has
KINDS = {
    "n_iter": (RandomizedSearchCV, SharedRandomizedSearchCV),
    "factor": (HalvingGridSearchCV, SharedHalvingGridSearchCV),
}


def compare(
    estimator: Any,
    grid: Any,
    X: Any,
    y: Any,
    *,
    fit: dict[str, Any] | None = None,
    search_class: Any = None,
    **options: Any,
) -> Any:
    """Fit both searches, compare every number, and return the shared one."""
    sklearn_class, shared_class = next(
        (KINDS[name] for name in KINDS if name in options), (GridSearchCV, SharedGridSearchCV)
    )
    search_class, options = search_class or shared_class, {"cv": 3, **options}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = _fit(sklearn_class(clone(estimator), grid, **copy.deepcopy(options)), X, y, fit)
        found = _fit(search_class(clone(estimator), grid, **options), X, y, fit)
        assert_same_results(found, expected)
        if expected.refit:
            for method in ("predict", "predict_proba", "decision_function"):
                if hasattr(expected, method):
                    answers = [_call_seeded(getattr(search, method), X) for search in (found, expected)]
                    assert np.array_equal(*answers)
    return found


def _fit(search: Any, X: Any, y: Any, fit: Any) -> Any:
    return _call_seeded(lambda X: search.fit(X, y, **(fit or {})), X)


def _call_seeded(call: Any, X: Any) -> Any:
    """Call on a copy of the rows, with the global random state that scikit-learn draws from without a seed."""
    np.random.seed(0)  # noqa: NPY002
    return call(copy.deepcopy(X))


def same_scores(search: Any, expected: Any) -> bool:
    """Return whether all scores and ranks are equal."""
    scores, expected_scores = (
        {name: values for name, values in one.cv_results_.items() if "score" in name and "time" not in name}
        for one in (search, expected)
    )
    return scores.keys() == expected_scores.keys() and all(
        np.array_equal(scores[name], expected_scores[name]) for name in scores
    )


def assert_same_results(found: Any, expected: Any) -> None:
    """Assert that every score, rank and choice is equal, bit for bit."""
    assert list(found.cv_results_) == list(expected.cv_results_)
    for name, values in expected.cv_results_.items():
        if name == "params":
            assert list(map(str, found.cv_results_["params"])) == list(map(str, values))
        elif name.startswith("param_"):
            assert str(found.cv_results_[name]) == str(values)
            assert found.cv_results_[name].dtype == values.dtype
        elif not name.endswith("_time"):
            assert found.cv_results_[name].dtype == values.dtype
            assert found.cv_results_[name].tobytes() == values.tobytes(), name
    for name in ("best_index_", "best_score_", "n_splits_", "multimetric_"):
        assert getattr(found, name, None) == getattr(expected, name, None)
    assert str(getattr(found, "best_params_", None)) == str(getattr(expected, "best_params_", None))
    fitted = {name for name in vars(expected) if name.endswith("_")}
    assert {name for name in vars(found) if name.endswith("_")} == fitted


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> Iterator[None]:
    """Use one thread: on tables of a few rows those of BLAS and OpenMP mostly wait for each other."""
    with threadpool_limits(1):
        yield


@pytest.fixture(name="compare")
def _compare() -> Same:
    return compare
