"""Compiled models of every shipped model and preprocessing, and reasons for pipelines that cannot be compiled."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import ColumnTransformer
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import (
    AdaBoostClassifier,
    AdaBoostRegressor,
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from orchestrator.packaging.onnx.compile import compile_pipeline
from score.contract.golden import Golden
from score.models.base import PickledModel
from score.models.onnx import Compilation
from score.payload.reader import Reader
from tests.nightly import at_night

from .conftest import Fit, pima, tabular

FOREST: dict[str, Any] = {"n_estimators": 10, "max_depth": 6, "random_state": 0}
BOOSTING: dict[str, Any] = {"max_iter": 12, "random_state": 0}
CLASSIFIERS = {
    "random_forest": RandomForestClassifier(**FOREST),
    "logistic_regression": LogisticRegression(max_iter=200),
    "hist_gradient_boosting": HistGradientBoostingClassifier(**BOOSTING),
}
REGRESSORS = {
    "random_forest": RandomForestRegressor(**FOREST),
    "ridge": Ridge(),
    "linear": LinearRegression(),
    "hist_gradient_boosting": HistGradientBoostingRegressor(**BOOSTING),
    "poisson": HistGradientBoostingRegressor(loss="poisson", **BOOSTING),
}
MODELS = [(name, model, target) for name, model in CLASSIFIERS.items() for target in ("two", "three")]
MODELS += [(name, model, "numbers") for name, model in REGRESSORS.items()]
PREPROCESS: dict[str, Any] = {"pima": pima, "tabular": tabular, "none": list}


@pytest.mark.parametrize(
    ("model", "target", "preprocess"),
    [
        pytest.param(
            *(model, target, steps),
            id=f"{name}-{target}-{steps}",
            # steps and models are compiled each by itself: one model meets all steps, and one kind of steps all models
            marks=() if steps == "tabular" or name == "random_forest" else pytest.mark.nightly,
        )
        for name, model, target in MODELS
        for steps in PREPROCESS
    ],
)
def test_every_shipped_model_has_a_compiled_model(
    preprocess: str, model: Any, target: str, fit: Fit, X: pd.DataFrame, mixed: pd.DataFrame, targets: dict[str, Any]
) -> None:
    table = mixed if preprocess == "tabular" else X
    fitted = fit(PREPROCESS[preprocess](), model, table, targets[target])
    compilation = fitted.compile().compilation
    assert (compilation.reason, compilation.tolerance) == ("", 1e-12)
    assert compilation.rows == len(table)
    trees = "Forest" in type(model).__name__ or "Boosting" in type(model).__name__
    assert (compilation.splits > 0) == trees
    only_adds = "RandomForest" in type(model).__name__ or "BoostingRegressor" in type(model).__name__
    assert compilation.batchable == (only_adds and getattr(model, "loss", "") != "poisson")
    assert compilation.edges > 4 * compilation.splits


@pytest.mark.parametrize(
    ("steps", "model"),
    [
        ([], DecisionTreeClassifier(max_depth=4)),
        ([], DecisionTreeRegressor(max_depth=1)),
        ([], RandomForestClassifier(3, min_samples_split=10_000, random_state=0)),  # leaves and nothing else
        ([], HistGradientBoostingClassifier(max_iter=2, min_samples_leaf=10_000)),
        ([StandardScaler(with_mean=False)], ExtraTreesClassifier(5, random_state=0)),
        ([SimpleImputer(strategy="constant", fill_value=-1), StandardScaler(with_std=False)], LogisticRegression()),
        ([SimpleImputer(missing_values=0)], RandomForestClassifier(5, random_state=0)),
        ([OneHotEncoder(drop="first", handle_unknown="ignore")], LogisticRegression()),
        ([StandardScaler()], SVC()),
    ],
    ids=str,
)
def test_other_steps_compile(steps: list[Any], model: Any, fit: Fit, X: pd.DataFrame, targets: dict[str, Any]) -> None:
    assert fit(steps, model, X[["Age", "Glucose"]], targets["two"]).compile().compilation.reason == ""


GRADIENT: dict[str, Any] = {"n_estimators": 12, "random_state": 0}


@pytest.mark.parametrize(
    ("model", "target"),
    [
        at_night(AdaBoostClassifier(**GRADIENT), "two"),
        (AdaBoostClassifier(DecisionTreeClassifier(max_depth=3), **GRADIENT), "three"),
        (AdaBoostClassifier(DecisionTreeClassifier(), **GRADIENT), "two"),  # stops at once
        (AdaBoostRegressor(**GRADIENT), "numbers"),
        at_night(GradientBoostingClassifier(**GRADIENT), "two"),
        (GradientBoostingClassifier(**GRADIENT), "three"),
        (GradientBoostingClassifier(loss="exponential", subsample=0.5, **GRADIENT), "two"),
        at_night(GradientBoostingClassifier(init="zero", n_iter_no_change=3, **GRADIENT), "two"),
        at_night(GradientBoostingClassifier(init="zero", learning_rate=1.0, **GRADIENT), "three"),
        (GradientBoostingClassifier(init=DummyClassifier(strategy="uniform"), **GRADIENT), "three"),
        (GradientBoostingRegressor(init="zero", **GRADIENT), "numbers"),
        at_night(GradientBoostingRegressor(loss="huber", **GRADIENT), "numbers"),
        (GradientBoostingRegressor(loss="quantile", alpha=0.8, **GRADIENT), "numbers"),
        at_night(GradientBoostingRegressor(loss="absolute_error", **GRADIENT), "numbers"),
        at_night(GradientBoostingRegressor(init=DummyRegressor(strategy="median"), **GRADIENT), "numbers"),
    ],
    ids=str,
)
def test_boosting_has_a_compiled_model(
    model: Any, target: str, fit: Fit, X: pd.DataFrame, targets: dict[str, Any]
) -> None:
    compilation = fit(pima(), model, X, targets[target]).compile().compilation
    assert (compilation.reason, compilation.tolerance) == ("", 1e-12)
    assert compilation.splits > 0


def test_gradient_boosting_at_even_odds_predicts_the_second_class(fit: Fit) -> None:
    X = pd.DataFrame({"a": [0.0, 0.0, 1.0, 1.0] * 4})
    fitted = fit([], GradientBoostingClassifier(init="zero", **GRADIENT), X, np.array([0, 1] * 8))
    labels, probabilities = fitted.compiled_model().predict({"a": [0.0, 1.0]})
    assert (list(labels), probabilities.tolist()) == ([1, 1], [[0.5, 0.5], [0.5, 0.5]])
    assert list(_pickled(fitted, {"a": [0.0, 1.0]})[0]) == [1, 1]


def test_a_missing_value_can_be_a_category(fit: Fit, mixed: pd.DataFrame, targets: dict[str, Any]) -> None:
    encoder = OneHotEncoder(sparse_output=False)
    fitted = fit([encoder], HistGradientBoostingClassifier(**BOOSTING), mixed[["city", "member"]], targets["two"])
    assert fitted.compile().compilation.reason == ""


def test_rows_of_any_count_are_answered(fit: Fit, X: pd.DataFrame, targets: dict[str, Any]) -> None:
    for model, target in ((RandomForestClassifier(**FOREST), "three"), (RandomForestRegressor(**FOREST), "numbers")):
        fitted = fit([], model, X, targets[target])
        compiled_model = fitted.compiled_model()
        for count in (1, 2, 999, 1000, 1001, 2500):
            asked = {str(name): np.resize(X[name], count).tolist() for name in X}
            (labels, shares), (wanted, right) = compiled_model.predict(asked), _pickled(fitted, asked)
            assert len(labels) == count
            np.testing.assert_allclose(labels, wanted, rtol=1e-14)
            assert (shares is None) if right is None else np.array_equal(shares, right)
            if right is not None:
                assert np.array_equal(compiled_model.predict(asked, labels=False)[1], right)


def test_columns_of_float32_are_rounded_as_training_saw_them(
    fit: Fit, X: pd.DataFrame, targets: dict[str, Any]
) -> None:
    fitted = fit([], RandomForestClassifier(**FOREST), X[["BMI"]].astype("float32"), targets["two"])
    compiled_model = fitted.compiled_model()
    pickle = PickledModel(fitted.pipeline, Reader(fitted.contract))
    columns = {"BMI": np.linspace(20, 40, 5000).tolist()}
    np.testing.assert_array_equal(compiled_model.predict(columns)[1], pickle.predict(columns)[1])


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.integers(0, 2**32 - 1), scale=st.integers(-12, 12), offset=st.floats(-1e6, 1e6), classes=st.integers(2, 5)
)
@pytest.mark.nightly
def test_random_forests_and_boosting_are_equal_to_the_bit_on_other_rows(
    fit: Fit, seed: int, scale: int, offset: float, classes: int
) -> None:
    rng = np.random.default_rng(seed)
    X = pd.DataFrame(
        rng.normal(size=(80, 3)).round(int(rng.integers(1, 8))) * 10.0**scale + offset, columns=list("abc")
    )
    y = rng.integers(0, classes, len(X))
    y[:classes] = range(classes)
    forest = fit([], RandomForestClassifier(int(rng.integers(1, 8)), random_state=0), X, y)
    asked = {str(name): rng.choice(X[name], 300).tolist() for name in X}
    labels, probabilities = forest.compiled_model().predict(asked)
    np.testing.assert_array_equal(labels, _pickled(forest, asked)[0])
    np.testing.assert_array_equal(probabilities, _pickled(forest, asked)[1])
    for model in (
        HistGradientBoostingClassifier(max_iter=5, min_samples_leaf=5),
        GradientBoostingClassifier(n_estimators=5),
    ):
        boosting = fit([], model, X, y)
        labels, probabilities = boosting.compiled_model().predict(asked)
        np.testing.assert_array_equal(labels, _pickled(boosting, asked)[0])
        np.testing.assert_allclose(probabilities, _pickled(boosting, asked)[1], rtol=0, atol=1e-15)


def _pickled(fitted: Any, columns: dict[str, list[Any]]) -> tuple[Any, Any]:
    return PickledModel(fitted.pipeline, Reader(fitted.contract)).predict(columns)


class Foreign(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # untyped bases
    """A transformer without a converter."""

    def fit(self, _X: Any, _y: Any = None) -> Foreign:
        return self

    def transform(self, X: Any) -> Any:
        return X

    def __sklearn_is_fitted__(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("steps", "model", "reason"),
    [
        ([Foreign()], LogisticRegression(), r"no converter for .*test_compile\.Foreign"),
        (
            [Foreign(), ColumnTransformer([("numbers", StandardScaler(), ["Age"])])],
            LogisticRegression(),
            r"no converter for .*test_compile\.Foreign$",
        ),
        ([], AdaBoostClassifier(LogisticRegression()), "no converter for AdaBoost of LogisticRegression"),
        (
            [],
            GradientBoostingClassifier(n_estimators=2, init=LogisticRegression()),
            "no converter for gradient boosting that starts from LogisticRegression",
        ),
        (
            [],
            GradientBoostingClassifier(n_estimators=2, init=DummyClassifier(strategy="stratified")),
            "no converter for gradient boosting that starts from DummyClassifier",
        ),
    ],
    ids=["foreign", "before branches", "of another", "from another", "at random"],
)
def test_no_converter_is_a_reason(
    steps: list[Any], model: Any, reason: str, fit: Fit, X: pd.DataFrame, targets: dict[str, Any]
) -> None:
    compiled_model = fit(steps, model, X[["Age", "Glucose"]], targets["two"]).compile()
    assert not compiled_model.compilation.used
    assert (compiled_model.graph, compiled_model.parts) == (b"", None)
    assert re.match(reason, compiled_model.compilation.reason)


def test_golden_requests_are_compared_too(fit: Fit, X: pd.DataFrame, targets: dict[str, Any]) -> None:
    fitted = fit([], LogisticRegression(max_iter=200), X, targets["two"])
    body = json.dumps({"data": json.loads(X.head(1).to_json(orient="records"))})
    asked = Golden("records", body, 200, {"predictions": [1], "probabilities": [[0.5, 0.5]], "classes": [0, 1]})
    reason = compile_pipeline(fitted.pipeline, fitted.contract, fitted.tables, [asked]).compilation.reason
    assert reason.startswith("golden request 'records': reply.")


def test_a_class_that_training_rows_lacked_keeps_its_place(fit: Fit, X: pd.DataFrame) -> None:
    y = np.where(np.arange(len(X)) % 2, 2, 0)
    fitted = fit([], RandomForestClassifier(**FOREST), X, y)
    compiled_model = fitted.compiled_model()
    assert compiled_model.classes == [0, 2]
    codes, _ = compiled_model.predict({str(name): X[name].tolist() for name in X})
    assert set(codes) == {0, 2}


SERVED = """
import sys
from pathlib import Path
from score.predict.predictor import Predictor
scorer = Predictor.load(Path(sys.argv[1]))
print(scorer.score(sys.argv[2]).payload)
print(*sorted({"sklearn", "scipy", "pandas", "joblib", "onnx", "skl2onnx"} & set(sys.modules)))
"""


def test_a_compiled_model_is_served_without_scikit_learn_and_pandas(
    fit: Fit, mixed: pd.DataFrame, targets: dict[str, Any], tmp_path: Any
) -> None:
    fitted = fit(tabular(), RandomForestClassifier(**FOREST), mixed, targets["two"])
    fitted.compile().write(tmp_path)
    fitted.contract.write(tmp_path)
    row = mixed.dropna().head(1)
    body = json.dumps({"input": json.loads(row.to_json(orient="records", double_precision=15))})
    done = subprocess.run([sys.executable, "-c", SERVED, tmp_path, body], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    reply, *loaded = done.stdout.splitlines()
    assert json.loads(reply) == {"proba": fitted.pipeline.predict_proba(row)[:, 1].tolist()}
    assert loaded == [""]


def test_the_record_of_the_compilation_is_written_with_the_package(tmp_path: Any) -> None:
    kept = Compilation(tolerance=1e-9, rows=3, classes=[0, 1], codes={"Oslo": 0})
    kept.write(tmp_path)
    assert Compilation.read(tmp_path) == kept
    assert not Compilation.read(tmp_path / "elsewhere").used


def test_an_unseen_text_is_not_a_missing_value(fit: Fit, mixed: pd.DataFrame, targets: dict[str, Any]) -> None:
    fitted = fit([OneHotEncoder(handle_unknown="ignore")], LogisticRegression(), mixed[["free"]], targets["two"])
    asked = {"free": ["note 3", "never seen", ""]}
    np.testing.assert_allclose(
        fitted.compiled_model().predict(asked)[1], _pickled(fitted, asked)[1], rtol=0, atol=1e-15
    )
