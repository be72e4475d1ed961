"""Explanations of packages: exact where that can be shown, alike from the pickle and the compiled model, else with a reason."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.feature_selection import SelectKBest
from sklearn.linear_model import LogisticRegression, PoissonRegressor, Ridge
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import KBinsDiscretizer, SplineTransformer, StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeRegressor

from orchestrator.packaging import explanation, holdout_check
from orchestrator.packaging.explanation import write_explanation
from orchestrator.packaging.onnx.compile import CompiledPipeline, convert_pipeline
from orchestrator.packaging.refit import Shipped
from score.explain.explainer import Explainer, Explanation, ExplanationRecord
from score.explain.trees import TreeExplainer
from score.models.base import PickledModel
from score.models.onnx import Compilation, CompiledModel
from score.payload.reader import Reader
from tests.nightly import at_night

from .onnx.conftest import Fit, Fitted, fit, mixed, pima, preset, tabular, targets

__all__ = ["fit", "mixed", "targets"]  # fixtures
FOREST: dict[str, Any] = {"n_estimators": 5, "max_depth": 5, "random_state": 0}
STAGES: dict[str, Any] = {"n_estimators": 6, "random_state": 0}
BOOSTING: dict[str, Any] = {"max_iter": 4, "max_leaf_nodes": 8, "random_state": 0}


class Explained(NamedTuple):
    record: ExplanationRecord
    explanation: Explanation
    frame: pd.DataFrame
    explainer: Explainer


def explained(fitted: Fitted, folder: Path, *, compiled: bool) -> Explained:
    """Make the explanations of a package, and explain three rows that were held out."""
    folder.mkdir()
    reader = Reader(fitted.contract)
    pickled = PickledModel(fitted.pipeline, reader)
    compilation = Compilation("not wanted")
    if compiled:
        graph, codes = convert_pipeline(fitted.pipeline, len(fitted.contract.columns))  # equality is tested elsewhere
        compilation = Compilation(classes=pickled.classes, codes=codes)
        CompiledPipeline(compilation, graph).write(folder)
    record = write_explanation(folder, Shipped(fitted.pipeline, *fitted.tables), fitted.contract, compilation)
    assert ExplanationRecord.read(folder) == record
    model = CompiledModel.load(folder, fitted.contract, compilation) if compiled else pickled
    explainer = Explainer.load(folder, model, fitted.contract, reader)
    held_out, columns = fitted.tables[1], fitted.contract.columns
    records = holdout_check.as_records(held_out.iloc[holdout_check.first_accepted(held_out, columns, 3)], columns)
    rows = reader.read(json.dumps({"data": records})).columns
    return Explained(record, explainer.explain(rows), pickled.frame(rows), explainer)


def log_odds(pipeline: Any, frame: pd.DataFrame) -> Any:
    shares = pipeline.predict_proba(frame)
    return np.log(shares[:, 1:] / shares[:, :1])


def second(pipeline: Any, frame: pd.DataFrame) -> Any:
    return pipeline.predict_proba(frame)[:, 1:]


def scores(pipeline: Any, frame: pd.DataFrame) -> Any:
    return pipeline.decision_function(frame)


def shares(pipeline: Any, frame: pd.DataFrame) -> Any:
    return pipeline.predict_proba(frame)


def number(pipeline: Any, frame: pd.DataFrame) -> Any:
    return pipeline.predict(frame)[:, None]


def log_number(pipeline: Any, frame: pd.DataFrame) -> Any:
    return np.log(pipeline.predict(frame))[:, None]


EXACT = [
    (pima, RandomForestClassifier(**FOREST), "two", "probability", second),
    (tabular, RandomForestClassifier(**FOREST), "three", "probability", shares),
    at_night(tabular, RandomForestRegressor(**FOREST), "numbers", "prediction", number),
    at_night(tabular, ExtraTreesClassifier(**FOREST), "two", "probability", second),
    at_night(list, DecisionTreeRegressor(max_depth=4), "numbers", "prediction", number),
    at_night(list, RandomForestClassifier(3, min_samples_split=10_000), "two", "probability", second),
    (tabular, GradientBoostingClassifier(loss="exponential", **STAGES), "two", "log-odds", log_odds),
    at_night(tabular, GradientBoostingClassifier(**STAGES), "three", "softmax score", scores),
    at_night(tabular, GradientBoostingRegressor(**STAGES), "numbers", "prediction", number),
    (
        lambda: preset("native"),
        HistGradientBoostingClassifier(categorical_features="from_dtype", **BOOSTING),
        "three",
        "softmax score",
        scores,
    ),
    at_night(
        tabular,
        HistGradientBoostingRegressor(loss="poisson", **BOOSTING),
        "numbers",
        "log of the prediction",
        log_number,
    ),
    (tabular, LogisticRegression(max_iter=200), "two", "log-odds", log_odds),
    at_night(tabular, LogisticRegression(max_iter=200), "three", "softmax score", scores),
    at_night(tabular, Ridge(), "numbers", "prediction", number),
    at_night(tabular, PoissonRegressor(), "numbers", "log of the prediction", log_number),
]


@pytest.mark.parametrize(("steps", "model", "target", "space", "output"), EXACT)
def test_trees_and_linear_models_are_explained_exactly(
    steps: Callable[[], list[Any]],
    model: Any,
    target: str,
    space: str,
    output: Callable[[Any, pd.DataFrame], Any],
    fit: Fit,
    mixed: pd.DataFrame,
    X: pd.DataFrame,
    targets: dict[str, Any],
    tmp_path: Path,
) -> None:
    fitted = fit(steps(), model, X if steps in (pima, list) else mixed, targets[target])
    pickled, compiled = (explained(fitted, tmp_path / str(place), compiled=bool(place)) for place in (0, 1))
    for record, (base, values, errors), frame, _ in (pickled, compiled):
        assert (record.reason, record.space, errors) == ("", space, None)
        assert record.base == base.tolist()
        assert "16 rows add up" in record.checked
        assert values.shape == (3, len(record.outputs or [0]), len(fitted.contract.columns))
        expected = output(fitted.pipeline, frame)
        np.testing.assert_allclose(base + values.sum(axis=2), expected, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(compiled.explanation.values, pickled.explanation.values, rtol=0, atol=1e-9)


@pytest.mark.parametrize("library", ["lightgbm", at_night("xgboost"), "catboost"])
def test_boosting_libraries_are_explained_exactly(
    library: str, fit: Fit, mixed: pd.DataFrame, targets: dict[str, Any], tmp_path: Path
) -> None:
    module = pytest.importorskip(library)
    if library == "lightgbm":
        fitted = fit(preset("native"), module.LGBMClassifier(n_estimators=5, verbose=-1), mixed, targets["two"])
    elif library == "xgboost":
        model = module.XGBClassifier(n_estimators=5, max_depth=3, enable_categorical=True)
        fitted = fit(preset("native"), model, mixed, targets["two"])
    else:
        from score.native_catboost import CatBoostClassifier

        model = CatBoostClassifier(8, max_ctr_complexity=1, thread_count=1, verbose=False, allow_writing_files=False)
        fitted = fit(preset("native"), model, mixed, targets["two"])
    record, (base, values, _), frame, _ = explained(fitted, tmp_path / "package", compiled=True)
    assert (record.method, record.reason, record.space) == ("trees", "", "log-odds")
    tolerance = 1e-5 if library == "xgboost" else 1e-9  # XGBoost adds in float32
    np.testing.assert_allclose(base + values.sum(axis=2), log_odds(fitted.pipeline, frame), rtol=0, atol=tolerance)


class Ratio(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]  # untyped bases
    """Says that its outputs are of one column each, and lies about the first."""

    def fit(self, X: pd.DataFrame, y: Any = None) -> Ratio:  # noqa: ARG002
        self.n_features_in_ = X.shape[1]
        return self

    def transform(self, X: pd.DataFrame) -> Any:
        table = X.to_numpy(dtype=float)
        table[:, 0] += table[:, 1]
        return table


@pytest.mark.parametrize(
    ("steps", "model", "reason"),
    [
        ([PCA(3)], RandomForestClassifier(**FOREST), "PCA may make a feature from several columns"),
        ([Ratio()], RandomForestClassifier(**FOREST), "the steps make feature 0 from several columns"),
        ([], KNeighborsClassifier(), "KNeighborsClassifier is neither a sum of trees nor linear"),
        ([], SVC(), "SVC is neither a sum of trees nor linear"),
    ],
    ids=["pca", "ratio", "neighbours", "no probabilities"],
)
def test_what_is_not_exact_has_a_reason_and_an_error(
    steps: Sequence[Any], model: Any, reason: str, fit: Fit, X: pd.DataFrame, targets: dict[str, Any], tmp_path: Path
) -> None:
    fitted = fit([*steps], model, X, targets["two"])
    record, (base, values, errors), frame, _ = explained(fitted, tmp_path / "package", compiled=False)
    assert (record.method, record.reason, record.outputs) == ("permutation", reason, [1])
    expected = second(fitted.pipeline, frame) if hasattr(model, "predict_proba") else number(fitted.pipeline, frame)
    np.testing.assert_allclose(base + values.sum(axis=2), expected, atol=1e-12)
    assert errors.max() > 0


class Single(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]  # untyped bases
    """Makes float32 of what it gets, as skrub does."""

    def fit(self, X: pd.DataFrame, y: Any = None) -> Single:  # noqa: ARG002
        self.n_features_in_ = X.shape[1]
        return self

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        return X.astype("float32")


@pytest.mark.parametrize(
    ("step", "tolerance"),
    [(Single(), 1e-4), (SplineTransformer(3), 1e-9), (KBinsDiscretizer(3, encode="onehot"), 1e-9)],
    ids=["float32", "splines", "bins"],
)
def test_steps_that_make_several_features_of_a_column_are_folded_back(
    step: Any, tolerance: float, fit: Fit, X: pd.DataFrame, targets: dict[str, Any], tmp_path: Path
) -> None:
    fitted = fit([step, StandardScaler(with_mean=False)], LogisticRegression(), X, targets["two"])
    record, (base, values, _), frame, _ = explained(fitted, tmp_path / "package", compiled=False)
    assert (record.method, record.reason) == ("linear", "")
    np.testing.assert_allclose(base + values.sum(axis=2), log_odds(fitted.pipeline, frame), rtol=0, atol=tolerance)


def test_columns_of_text_are_explained_by_the_pickle(
    fit: Fit, X: pd.DataFrame, targets: dict[str, Any], tmp_path: Path
) -> None:
    words = np.random.default_rng(0).choice(["good", "bad", "late", "paid", "never"], (len(X), 4))
    table = X[["Glucose", "Age"]].assign(note=[" ".join(row) + f" {place}" for place, row in enumerate(words)])
    fitted = fit(preset("tabular"), LogisticRegression(), table, targets["two"])
    record, (base, values, _), frame, _ = explained(fitted, tmp_path / "package", compiled=False)
    assert (record.method, record.reason) == ("linear", "")
    np.testing.assert_allclose(base + values.sum(axis=2), log_odds(fitted.pipeline, frame), atol=1e-9)
    assert np.abs(values[:, 0, 2]).max() > 0


def test_what_comes_out_of_one_column_belongs_to_it(
    fit: Fit, X: pd.DataFrame, targets: dict[str, Any], tmp_path: Path
) -> None:
    branches = [("one", PCA(1), ["Glucose"]), ("best", make_pipeline(SelectKBest(k=2)), ["Age", "BMI", "Insulin"])]
    steps = [ColumnTransformer(branches, remainder="passthrough")]
    fitted = fit(steps, RandomForestClassifier(**FOREST), X, targets["two"])
    record, (_, values, _), _, _ = explained(fitted, tmp_path / "package", compiled=False)
    assert (record.method, record.reason) == ("trees", "")
    lost = ["Age", "BMI", "Insulin"][
        int(np.flatnonzero(~fitted.pipeline[0].named_transformers_["best"][0].get_support())[0])
    ]
    assert [name for name, used in zip(X.columns, values.any(axis=(0, 1)), strict=True) if not used] == [lost]


def test_values_that_are_not_those_of_all_coalitions_are_not_shipped(
    fit: Fit, X: pd.DataFrame, targets: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = TreeExplainer.explain
    monkeypatch.setattr(TreeExplainer, "explain", lambda *given: honest(*given)[..., ::-1])
    fitted = fit([], RandomForestClassifier(**FOREST), X, targets["two"])
    record = explained(fitted, tmp_path / "package", compiled=False).record
    assert (record.method, record.reason) == ("permutation", "the values differ from those by all coalitions")


def test_too_many_nodes_are_not_shipped(
    fit: Fit, X: pd.DataFrame, targets: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrator.packaging.explanation_model.MAX_NUMBERS", 60)
    fitted = fit([], RandomForestClassifier(**FOREST), X, targets["two"])
    record = explained(fitted, tmp_path / "package", compiled=False).record
    assert record.method == "permutation"
    assert record.reason.endswith("nodes, more than 10")


def test_means_of_many_rows_are_taken_in_parts(
    fit: Fit, X: pd.DataFrame, targets: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    fitted = fit([], Ridge(), X, targets["numbers"])
    monkeypatch.setattr(explanation, "MEAN_CELLS", 100 * X.shape[1])
    np.testing.assert_allclose(explanation._means(fitted.pipeline, X, X.shape[1]), X.to_numpy().mean(axis=0))


def test_a_pipeline_that_fails_on_mixed_rows_is_not_explained(
    fit: Fit, X: pd.DataFrame, targets: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise ValueError("such a row\ncannot be")

    fitted = fit([], KNeighborsClassifier(), X, targets["two"])
    monkeypatch.setattr(PickledModel, "predict", refuse)
    record = write_explanation(
        tmp_path, Shipped(fitted.pipeline, *fitted.tables), fitted.contract, Compilation("not wanted")
    )
    assert record.method == "none"
    assert "such a row" in record.reason
    assert not (tmp_path / "explanation.npz").exists()
