"""The searches as drop-ins for scikit-learn's: its own checks, splits, routing, weights, errors, copies."""

from __future__ import annotations

import contextlib
import pickle
import warnings
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest
from joblib import parallel_config
from scipy import stats
from sklearn import config_context
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import FitFailedWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, get_scorer, get_scorer_names, make_scorer
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold, PredefinedSplit, ShuffleSplit, cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.utils import estimator_checks

from orchestrator.search import REUSE_RULES, SharedGridSearchCV, SharedRandomizedSearchCV, fit_counts, sklearn_private
from orchestrator.search.reuse.base import EnsembleRule
from tests.nightly import at_night

Same = Callable[..., Any]

X, y = make_classification(90, 6, random_state=0)
STEPS = Pipeline([("scale", StandardScaler()), ("model", RandomForestClassifier(random_state=0))])
GRID = {"scale__with_mean": [True, False], "model__n_estimators": [2, 5], "model__max_depth": [1, 3]}


def _fails(search: Any, check: Any) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            check(clone(search))
    except Exception:  # noqa: BLE001
        return True
    return False


def _failures(search: Any) -> list[str]:
    """Return the names of the checks that fail."""
    checks = estimator_checks.estimator_checks_generator(search)
    return [getattr(check, "func", check).__name__ for _, check in checks if _fails(search, check)]


@pytest.mark.parametrize(
    ("estimator", "grid"),
    [
        pytest.param(
            RandomForestClassifier(random_state=0), {"n_estimators": [2, 4]}, id="nested", marks=pytest.mark.nightly
        ),
        pytest.param(
            make_pipeline(StandardScaler(), LogisticRegression()), {"logisticregression__C": [0.1, 1]}, id="pipeline"
        ),
    ],
)
def test_scikit_learns_own_checks(estimator: Any, grid: Any) -> None:
    expected, shared = (_failures(kind(estimator, grid, cv=2)) for kind in (GridSearchCV, SharedGridSearchCV))
    assert shared == expected


def test_parameters_clones_and_pickles() -> None:
    search = SharedGridSearchCV(STEPS, GRID, cv=3)
    assert search.get_params().keys() == GridSearchCV(STEPS, GRID).get_params().keys()
    search.fit(X, y)
    again = pickle.loads(pickle.dumps(search))
    assert np.array_equal(again.predict_proba(X), search.predict_proba(X))
    assert np.array_equal(clone(search).fit(X, y).predict_proba(X), search.predict_proba(X))
    assert fit_counts(again) == (24, 12)


def test_nested_in_other_estimators(compare: Same) -> None:
    inner = [kind(STEPS, GRID, cv=2) for kind in (SharedGridSearchCV, GridSearchCV)]
    shared, expected = (cross_val_score(each, X, y, cv=2) for each in inner)
    assert shared.tobytes() == expected.tobytes()
    whole = make_pipeline(StandardScaler(), SharedGridSearchCV(KNeighborsClassifier(), {"n_neighbors": [1, 3]}, cv=2))
    compare(whole, {"sharedgridsearchcv__cv": [2, 3]}, X, y)


@pytest.mark.parametrize(
    "cv",
    [
        KFold(3, shuffle=True, random_state=0),
        ShuffleSplit(4, random_state=np.random.RandomState(0)),
        PredefinedSplit(np.arange(90) % 3),
        [(np.arange(90) % 3 != fold, np.arange(90) % 3 == fold) for fold in range(3)],
        [(list(range(60)), list(range(60, 90)))],
    ],
    ids=["folds", "shuffled", "predefined", "masks", "lists"],
)
def test_any_split(compare: Same, cv: Any) -> None:
    compare(STEPS, GRID, X, y, cv=cv)
    compare(KNeighborsClassifier(), {"n_neighbors": [1, 4, 29, 31]}, X, y, cv=cv)


def test_groups_are_passed_to_the_splitter(compare: Same) -> None:
    compare(STEPS, GRID, X, y, cv=GroupKFold(3), fit={"groups": np.arange(90) % 9})


def test_a_generator_of_splits_is_consumed_once() -> None:
    found, expected = (
        kind(STEPS, GRID, cv=KFold(3).split(X)).fit(X, y).cv_results_["mean_test_score"]
        for kind in (SharedGridSearchCV, GridSearchCV)
    )
    assert np.array_equal(found, expected)


@pytest.mark.parametrize("n_jobs", [1, at_night(2)])
def test_a_random_search(compare: Same, n_jobs: int) -> None:
    space = {"model__n_estimators": stats.randint(1, 20), "model__max_depth": [2, 3], "scale__with_std": [True, False]}
    found = compare(STEPS, space, X, y, n_iter=12, random_state=0, n_jobs=n_jobs)
    assert fit_counts(found).performed <= 12
    assert SharedRandomizedSearchCV(STEPS, space).get_params()["n_iter"] == 10


@pytest.mark.parametrize(
    "options",
    [
        {"n_jobs": 2},
        {"min_resources": "smallest", "factor": 3},
        {"min_resources": 60, "aggressive_elimination": True, "return_train_score": False},
        {"resource": "model__min_samples_leaf", "max_resources": 8, "scoring": "roc_auc"},
    ],
    ids=str,
)
def test_a_halving_search(compare: Same, options: dict[str, Any]) -> None:
    found = compare(STEPS, GRID, X, y, **{"factor": 2, "random_state": 0, **options})
    assert found.n_iterations_ > 1
    assert fit_counts(found).requested == found.n_splits_ * sum(found.n_candidates_)
    assert fit_counts(found).performed < fit_counts(found).requested


@pytest.mark.parametrize("backend", ["loky", "threading", at_night("multiprocessing")])
def test_any_backend(compare: Same, backend: str) -> None:
    with parallel_config(backend=backend):
        found = compare(STEPS, GRID, pd.DataFrame(X), pd.Series(y), n_jobs=2, return_train_score=True)
    assert fit_counts(found) == (24, 12)


def _most_shallow(results: Any) -> int:
    return int(np.argmin([params["model__max_depth"] for params in results["params"]]))


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"scoring": ["roc_auc", "f1"], "refit": _most_shallow}, id="refit by a callable"),
        {"scoring": ["roc_auc", "f1"], "refit": False},
        {"scoring": {"auc": "roc_auc", "accuracy": make_scorer(accuracy_score)}, "refit": "auc"},
        {"scoring": ["precision", "recall_macro", "f1", "recall", "average_precision", "r2"], "refit": "r2"},
        {"scoring": "f1"},
        {"verbose": 1},
        {"verbose": 3},
        pytest.param(
            {"scoring": lambda estimator, X, y: {"a": estimator.score(X, y), "b": 1}, "refit": "a"}, id="callable"
        ),
        {"return_train_score": True, "pre_dispatch": 1},
    ],
    ids=str,
)
def test_scoring_and_verbosity_options(compare: Same, options: dict[str, Any], capsys: Any) -> None:
    compare(STEPS, GRID, X, y, **options)
    messages = [line.partition("total time")[0].rstrip(" .") for line in capsys.readouterr().out.splitlines()]
    assert messages[: len(messages) // 2] == messages[len(messages) // 2 :]


@pytest.mark.nightly
def test_labels_of_other_types(compare: Same) -> None:
    scoring = {"scoring": ["accuracy", "f1_macro", "roc_auc"], "refit": "roc_auc"}
    labels = (
        pd.Series(y, dtype="Int64"),
        pd.Series(y == 1),
        pd.Series(np.where(y, "yes", "no")),
        y.astype(float),
        y.tolist(),
    )
    for each in (*labels, pd.Series(np.where(y, "yes", "no"), dtype="category")):
        compare(STEPS, GRID, X, each, **scoring)


@pytest.mark.nightly
@pytest.mark.filterwarnings("ignore")
def test_every_metric_of_scikit_learn(compare: Same) -> None:
    fitted, names = clone(STEPS).fit(X, y), []
    for name in get_scorer_names():
        with contextlib.suppress(ValueError, AttributeError):
            get_scorer(name)(fitted, X, y)
            names.append(name)
    assert len(names) > 30
    for labels in (y, pd.Series(y), pd.Series(y, dtype="float32"), pd.Series(y == 1)):
        compare(STEPS, {"model__n_estimators": [1, 4]}, X, labels, scoring=names, refit="f1", error_score=-1.0)
        for name in ("roc_auc", "precision", "accuracy"):
            compare(STEPS, {"model__n_estimators": [1, 4]}, X, labels, scoring=name)


def test_an_undefined_metric_warns() -> None:
    scoring = ["precision", "recall", "f1"]
    few = np.zeros(90, dtype=int)
    few[:4] = 1
    messages = []
    for kind in (SharedGridSearchCV, GridSearchCV):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            kind(STEPS, {"model__max_depth": [1]}, cv=2, scoring=scoring, refit="f1").fit(X, few)
        messages.append([str(one.message) for one in caught])
    assert messages[0] == messages[1] != []


@pytest.mark.parametrize("n_jobs", [1, at_night(2)])
def test_fits_that_fail(n_jobs: int) -> None:
    grid = {"model__n_estimators": [3, 5], "model__max_depth": [2, -7]}
    for kind in (SharedGridSearchCV, GridSearchCV):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            found = kind(STEPS, grid, cv=3, n_jobs=n_jobs).fit(X, y)
        assert np.isnan(found.cv_results_["mean_test_score"]).tolist() == [False, False, True, True]
        failed = [str(one.message) for one in caught if issubclass(one.category, FitFailedWarning)]
        assert "6 fits failed out of a total of 12" in failed[0]
        with pytest.raises(ValueError, match="max_depth"):
            kind(STEPS, grid, cv=3, n_jobs=n_jobs, error_score="raise").fit(X, y)


def test_metadata_routing_uses_scikit_learns_own_search(compare: Same) -> None:
    weights = np.random.default_rng(0).uniform(size=90)
    with config_context(enable_metadata_routing=True):
        model = LogisticRegression().set_fit_request(sample_weight=True)
        score = make_scorer(accuracy_score).set_score_request(sample_weight=True)
        steps = make_pipeline(StandardScaler().set_fit_request(sample_weight=False), model)
        found = compare(steps, {"logisticregression__C": [0.1, 1]}, X, y, scoring=score, fit={"sample_weight": weights})
    assert not hasattr(found, "work_")


def test_weights_for_several_metrics(compare: Same) -> None:
    weights = np.random.default_rng(0).uniform(size=90)
    scoring = {"scoring": ["precision", "recall", "f1", "roc_auc"], "refit": "f1"}
    model = RandomForestClassifier(random_state=0)
    found = compare(model, {"n_estimators": [3, 6]}, X, pd.Series(y), fit={"sample_weight": weights}, **scoring)
    assert fit_counts(found) == (6, 3)


def test_a_matrix_of_distances(compare: Same) -> None:
    kernel = X @ X.T
    compare(SVC(kernel="precomputed"), {"C": [1, 2]}, kernel, y)
    compare(KNeighborsClassifier(metric="precomputed"), {"n_neighbors": [1, 2]}, np.abs(kernel), y)
    compare(KNeighborsClassifier(), {"metric": ["precomputed", "euclidean"], "n_neighbors": [1, 2]}, np.abs(kernel), y)


def test_an_unknown_scikit_learn_runs_its_own_search(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sklearn_private, "_fit_and_score", None)
    found = SharedGridSearchCV(STEPS, GRID, cv=2).fit(X, y)
    assert not hasattr(found, "work_")
    assert found.best_params_ == GridSearchCV(STEPS, GRID, cv=2).fit(X, y).best_params_


class CustomEstimator(LogisticRegression):  # type: ignore[misc]
    """A user-defined estimator, whose ``extra`` has no effect."""

    def __init__(self, extra: int = 0) -> None:
        super().__init__()
        self.extra = extra


class CustomRule(EnsembleRule):
    """A user-defined reuse rule."""

    size_parameter = "extra"

    def applies(self, estimator: Any, rows: int) -> bool:  # noqa: ARG002
        return type(estimator) is CustomEstimator

    def truncated_attributes(self, largest: Any, size: int) -> dict[str, Any]:  # noqa: ARG002
        return {}


class SearchWithRule(SharedGridSearchCV):
    rules: ClassVar[Any] = (*REUSE_RULES, CustomRule())


def test_a_custom_rule(compare: Same) -> None:
    assert fit_counts(compare(CustomEstimator(), {"extra": [1, 2, 3]}, X, y, search_class=SearchWithRule)) == (9, 3)
    assert fit_counts(compare(CustomEstimator(), {"extra": [1, 2, 3]}, X, y)) == (9, 9)
