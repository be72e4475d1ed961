"""Shared preprocessing against scikit-learn, bit for bit, and where it must not be shared."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.cluster import KMeans
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.datasets import make_classification
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer
from sklearn.feature_selection import SelectKBest
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.metrics import make_scorer, zero_one_loss
from sklearn.naive_bayes import MultinomialNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, QuantileTransformer, StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from orchestrator.search import fit_counts
from tests.nightly import at_night

Same = Callable[..., Any]

X, y = make_classification(90, 6, random_state=0)
FRAME = pd.DataFrame(X, columns=[*"abcdef"]).assign(kind=np.where(X[:, 0] > 0, "one", "two"))
SEVERAL = {"scoring": ["roc_auc", "precision", "recall", "f1", "accuracy"], "refit": "roc_auc"}


class Counting(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Passes everything on and counts its fits."""

    fits: list[int] = []  # noqa: RUF012 - of the class, for a clone has none of its own

    def __init__(self, power: int = 1) -> None:
        self.power = power

    def fit(self, X: Any, y: Any = None) -> Counting:  # noqa: ARG002
        self.fits.append(self.power)
        self.n_features_in_ = X.shape[1]
        return self

    def transform(self, X: Any) -> Any:
        return X**self.power


def pipeline(last: Any, *before: Any) -> Pipeline:
    steps = before or (StandardScaler(), SelectKBest(k=4))
    return Pipeline([*((f"step{at}", step) for at, step in enumerate(steps)), ("model", last)])


@pytest.mark.parametrize("n_jobs", [1, at_night(2)])
def test_each_combination_is_fitted_once_a_fold(compare: Same, n_jobs: int) -> None:
    steps = pipeline(LogisticRegression(), StandardScaler(), Counting())
    grid = {"step0__with_mean": [True, False], "step1__power": [1, 2, 3], "model__C": [0.1, 1, 10]}
    compare(steps, grid, X, y, n_jobs=n_jobs, **SEVERAL)
    Counting.fits.clear()
    compare(steps, grid, X, y, **SEVERAL)
    sklearn_fits, shared_fits = 18 * 3 + 1, 6 * 3 + 1
    assert len(Counting.fits) == sklearn_fits + shared_fits


@pytest.mark.parametrize(
    "last",
    [
        LogisticRegression(),
        SVC(),
        DecisionTreeClassifier(),
        DecisionTreeClassifier(random_state=0),
        DecisionTreeClassifier(random_state=np.random.RandomState(0)),
        LogisticRegression(solver="saga", max_iter=5),
        RandomForestClassifier(3),
    ],
    ids=lambda last: str(last).partition(" at ")[0],
)
@pytest.mark.parametrize("train", [True, False])
def test_with_seed_and_without(compare: Same, last: Any, train: bool) -> None:
    found = compare(
        pipeline(last), {"step1__k": [2, 5], "step0__with_std": [True, False]}, X, y, return_train_score=train
    )
    random = getattr(last, "random_state", 0) is None and not isinstance(last, SVC)
    assert (fit_counts(found) == (12, 12)) or not random


def test_steps_replaced_by_the_grid(compare: Same) -> None:
    grid = [
        {"step0": ["passthrough", StandardScaler(), None, QuantileTransformer(n_quantiles=5)], "model__C": [1, 10]},
        {"step1": [PCA(2, random_state=0), PCA(2), FeatureUnion([("a", SelectKBest(k=1)), ("b", SelectKBest(k=2))])]},
        {"model": [KNeighborsClassifier(), RandomForestClassifier(random_state=0)]},
        {"model": [RandomForestClassifier(random_state=0)], "model__n_estimators": [2, 9, 4], "step1__k": [3, 4]},
    ]
    compare(pipeline(LogisticRegression()), grid, X, y, return_train_score=True, **SEVERAL)


@pytest.mark.parametrize("last", [RandomForestClassifier(random_state=0), GradientBoostingClassifier(random_state=0)])
def test_a_nested_model_after_shared_steps(compare: Same, last: Any) -> None:
    grid = {"step1__k": [2, 3], "model__n_estimators": [2, 12, 7], "model__max_depth": [1, 3]}
    found = compare(pipeline(last), grid, X, y, return_train_score=True, **SEVERAL)
    assert fit_counts(found) == (36, 12)


def test_random_steps_are_not_shared(compare: Same) -> None:
    for state in (None, np.random.RandomState(0)):
        steps = pipeline(
            LogisticRegression(), FunctionTransformer(), PCA(2, svd_solver="randomized", random_state=state)
        )
        assert fit_counts(compare(steps, {"model__C": [1, 10]}, X, y)) == (6, 6)
    noise = FunctionTransformer(lambda X: X + np.random.normal(size=X.shape))  # noqa: NPY002
    assert fit_counts(compare(pipeline(LogisticRegression(), noise), {"model__C": [1, 10]}, X, y)) == (6, 6)


def _double(X: Any) -> Any:
    X *= 2
    return X


def _rename(X: Any) -> Any:
    X["a"] = X["a"] * 3
    return X


def test_steps_that_modify_their_input(compare: Same) -> None:
    options = {"return_train_score": True, **SEVERAL}
    grid = {"model__C": [0.1, 1, 10]}
    compare(pipeline(LogisticRegression(), FunctionTransformer(_double), StandardScaler()), grid, X, y, **options)
    compare(pipeline(LogisticRegression(), StandardScaler(copy=False)), grid, X, y, **options)
    rows = FRAME.drop(columns="kind")
    compare(pipeline(LogisticRegression(), FunctionTransformer(_rename)), grid, rows, y, **options)


def test_models_that_modify_their_input(compare: Same) -> None:
    for last in (LinearRegression(copy_X=False), Ridge(copy_X=False)):
        compare(pipeline(last), {"step1__k": [3, 4], "model__fit_intercept": [True, False]}, X, y, scoring="r2")
    compare(pipeline(KMeans(2, random_state=0, copy_x=False)), {"model__n_clusters": [2, 3]}, X, y)


def test_no_target(compare: Same) -> None:
    steps = pipeline(KMeans(2, random_state=0), StandardScaler())
    compare(steps, {"model__n_clusters": [2, 3]}, X, None, return_train_score=True)


def test_a_frame_of_pandas(compare: Same) -> None:
    columns = make_column_transformer(
        (
            Pipeline([("fill", SimpleImputer()), ("scale", StandardScaler())]),
            make_column_selector(dtype_include="number"),
        ),
        (OneHotEncoder(handle_unknown="ignore"), ["kind"]),
    )
    grid = {
        "step0__pipeline__fill__strategy": ["mean", "median"],
        "model__n_estimators": [3, 6],
        "model__max_depth": [2, 4],
    }
    last = RandomForestClassifier(random_state=0)
    found = compare(pipeline(last, columns), grid, FRAME, pd.Series(y), return_train_score=True, **SEVERAL)
    assert fit_counts(found) == (24, 12)
    steps = pipeline(LogisticRegression()).set_output(transform="pandas")
    compare(steps, {"model__C": [1, 2], "step1__k": [2, 3]}, FRAME.drop(columns="kind"), pd.Series(y), **SEVERAL)


@pytest.mark.nightly
def test_a_frame_of_polars(compare: Same) -> None:
    pl = pytest.importorskip("polars")
    rows = pl.DataFrame(X, schema=[*"abcdef"])
    grid = {"model__n_estimators": [3, 6], "step1__k": [2, 3]}
    for output in ("default", "polars", "pandas"):
        steps = pipeline(RandomForestClassifier(random_state=0)).set_output(transform=output)
        assert fit_counts(compare(steps, grid, rows, pl.Series(y), return_train_score=True, **SEVERAL)) == (12, 6)


def test_sparse_rows_and_text(compare: Same) -> None:
    rows = sparse.csr_matrix(np.where(np.abs(X) > 1, X, 0))
    grid = {"step0__n_components": [2, 3], "model__C": [1, 10]}
    compare(pipeline(LogisticRegression(), TruncatedSVD(random_state=0)), grid, rows, y, **SEVERAL)
    texts = [f"{'good' if good else 'bad'} word{at % 7} word{at % 5}" for at, good in enumerate(y)]
    steps = pipeline(MultinomialNB(), CountVectorizer(), TfidfTransformer())
    for some in (texts, np.array(texts, dtype=object), pd.Series(texts)):
        compare(steps, {"step0__min_df": [1, 4], "model__alpha": [0.1, 1]}, some, y, **SEVERAL)


def test_pipelines_that_cache_or_print_are_not_shared(compare: Same, tmp_path: Any, capsys: Any) -> None:
    grid = {"model__C": [1, 10]}
    assert fit_counts(compare(pipeline(LogisticRegression()).set_params(memory=str(tmp_path)), grid, X, y)) == (6, 6)
    compare(pipeline(LogisticRegression()).set_params(verbose=True), grid, X, y)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 * 7 * 3
    compare(pipeline(LogisticRegression()), {"verbose": [False], "memory": [None], **grid}, X, y)


def test_parameters_of_fit(compare: Same) -> None:
    weights = np.random.default_rng(0).uniform(size=90)
    grid = {"model__max_depth": [1, 3], "model__n_estimators": [2, 4]}
    last = RandomForestClassifier(random_state=0)
    found = compare(pipeline(last), grid, X, y, fit={"model__sample_weight": weights}, **SEVERAL)
    assert fit_counts(found) == (12, 6)
    steps = pipeline(last, StandardScaler())
    found = compare(steps, grid, X, y, fit={"step0__sample_weight": weights, "model__sample_weight": weights})
    assert fit_counts(found) == (12, 12)


def test_scorers_made_by_the_user(compare: Same) -> None:
    grid = {"step1__k": [2, 3], "model__C": [1, 10]}
    loss = make_scorer(zero_one_loss, greater_is_better=False)
    compare(pipeline(LogisticRegression()), grid, X, y, scoring={"loss": loss, "auc": "roc_auc"}, refit="loss")

    def looks_at_everything(estimator: Any, X: Any, y: Any) -> float:
        return float(estimator.score(X, y) + estimator.named_steps["step1"].scores_.sum() + X[0, 0])

    compare(pipeline(LogisticRegression()), grid, X, y, scoring=looks_at_everything)


def test_a_failed_candidate_is_reported_by_scikit_learn(compare: Same) -> None:
    grid = {"step1__k": [2, 3], "model__C": [1, -1, 10]}
    found = compare(pipeline(LogisticRegression()), grid, X, y, error_score=-1.0, **SEVERAL)
    assert (found.cv_results_["mean_test_f1"] == -1).sum() == 2
    compare(pipeline(LogisticRegression()), {"step1__k": [2, "no"], "model__C": [1, 2]}, X, y)
    with pytest.raises(ValueError, match="'C' parameter"):
        compare(pipeline(LogisticRegression()), grid, X, y, error_score="raise")
