"""Estimators inside of estimators: searched as scikit-learn searches them, packaged, and answered as they predict."""

from __future__ import annotations

import json
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.metrics import fbeta_score
from sklearn.model_selection import GridSearchCV

from orchestrator.artifacts import Package, Search, Split, Trained
from orchestrator.caching.cache import CheckpointDir
from orchestrator.errors import SpecError
from orchestrator.events import Progress
from orchestrator.modeling.labels import encode_search
from orchestrator.spec.field_types import Seed
from orchestrator.stages.train import evaluate, train
from score.models.onnx import Compilation
from score.predict.predictor import Predictor

from .conftest import TABULAR, Kit

FOREST: dict[str, Any] = {
    "_target_": "sklearn.ensemble.RandomForestClassifier",
    "n_estimators": 3,
    "max_depth": 3,
    "random_state": 0,
}
LINEAR: dict[str, Any] = {"_target_": "sklearn.linear_model.LogisticRegression"}
NUMBERS: dict[str, Any] = {**FOREST, "_target_": "sklearn.ensemble.RandomForestRegressor"}
RIDGE: dict[str, Any] = {"_target_": "sklearn.linear_model.Ridge"}
SCALE: dict[str, Any] = {"_target_": "sklearn.preprocessing.StandardScaler"}
SCALED: dict[str, Any] = {"_target_": "sklearn.pipeline.Pipeline", "steps": [["scale", SCALE], ["linear", LINEAR]]}
TUNED = "sklearn.model_selection.TunedThresholdClassifierCV"
CALIBRATED = "sklearn.calibration.CalibratedClassifierCV"
STACKING, VOTING = "sklearn.ensemble.StackingClassifier", "sklearn.ensemble.VotingClassifier"
DROP_CITY: dict[str, Any] = {
    "_target_": "sklearn.compose.ColumnTransformer",
    "transformers": [["a", "passthrough", ["a", "b"]]],
}
F2: dict[str, Any] = {"_target_": "sklearn.metrics.make_scorer", "score_func": "sklearn.metrics.fbeta_score", "beta": 2}


def table(kind: str, rows: int = 90) -> pd.DataFrame:
    """Two overlapping labels, three of them, or a positive number."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, rows)
    X = pd.DataFrame({"a": y + rng.normal(0, 0.6, rows), "b": rng.normal(0, 1, rows), "city": ["Oslo", "Rome"] * 45})
    words = np.where(y == 1, "yes", "no")
    return X.assign(y={"two": words, "three": np.where(X.b > 0.6, "maybe", words), "number": np.exp(X.a) + 1}[kind])


CASES: dict[str, tuple[str, dict[str, Any], dict[str, Any], str]] = {
    "tuned": (
        TUNED,
        {"estimator": LINEAR, "scoring": F2, "thresholds": 10, "cv": 2, "random_state": 0},
        {"estimator__C": [0.1, 1]},
        "two",
    ),
    "fixed": (
        "sklearn.model_selection.FixedThresholdClassifier",
        {"estimator": FOREST, "threshold": 0.3, "pos_label": "yes"},
        {"threshold": [0.2, 0.4], "estimator__max_depth": [1, 2]},
        "two",
    ),
    "calibrated": (CALIBRATED, {"estimator": FOREST, "cv": 2}, {"estimator__n_estimators": [1, 3]}, "three"),
    "isotonic": (
        CALIBRATED,
        {"estimator": SCALED, "cv": 2, "method": "isotonic"},
        {"estimator__linear__C": [0.1, 1]},
        "two",
    ),
    "stacking": (
        STACKING,
        {"estimators": {"forest": FOREST, "linear": LINEAR}, "final_estimator": LINEAR, "cv": 2},
        {"forest__max_depth": [1, 2], "final_estimator__C": [0.1, 1]},
        "two",
    ),
    "stacking_three": (
        STACKING,
        {"estimators": [["forest", FOREST], ["linear", LINEAR]], "passthrough": True, "cv": 2},
        {},
        "three",
    ),
    "soft": (
        VOTING,
        {"estimators": {"forest": FOREST, "linear": LINEAR}, "voting": "soft", "weights": [2, 1]},
        {"forest": [FOREST, "drop"], "linear__C": [0.1, 1]},
        "two",
    ),
    "hard": (VOTING, {"estimators": {"a": FOREST, "b": LINEAR, "c": {**FOREST, "random_state": 1}}}, {}, "three"),
    "voting_numbers": ("sklearn.ensemble.VotingRegressor", {"estimators": {"a": NUMBERS, "b": RIDGE}}, {}, "number"),
    "stacking_numbers": (
        "sklearn.ensemble.StackingRegressor",
        {"estimators": {"a": NUMBERS, "b": RIDGE}, "final_estimator": RIDGE, "cv": 2},
        {"a__max_depth": [1, 2]},
        "number",
    ),
    "target": (
        "sklearn.compose.TransformedTargetRegressor",
        {"regressor": NUMBERS, "func": "numpy.log1p", "inverse_func": "numpy.expm1"},
        {"regressor": [NUMBERS, RIDGE]},
        "number",
    ),
    "pipeline": (
        "sklearn.pipeline.Pipeline",
        {"steps": {"scale": SCALE, "forest": FOREST}},
        {"forest__n_estimators": [2, 3], "scale": ["passthrough", SCALE]},
        "two",
    ),
}


def searched(kit: Kit, name: str) -> tuple[Search, Split, dict[str, Any]]:
    estimator, params, grid, kind = CASES[name]
    scoring = ["r2"] if kind == "number" else ["accuracy"]
    keys: dict[str, Any] = {"scoring": scoring, "refit": scoring[0]}
    search = kit.search(estimator, grid, TABULAR, params, **keys)
    return search, kit.split(table(kind), search), keys


def trained(kit: Kit, name: str) -> tuple[Split, Trained]:
    search, parts, keys = searched(kit, name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return parts, train(parts, search, kit.search_spec(**keys), Progress(), CheckpointDir())


def answers(package: Package, rows: pd.DataFrame) -> tuple[Any, Any]:
    """Return what the service answers: labels or numbers, and probabilities."""
    records = rows.astype(object).where(rows.notna(), None).to_dict("records")
    reply = Predictor.load(package.path).answer(json.dumps({"data": records}).encode())
    assert reply.status == 200, reply.body
    body = json.loads(reply.body)
    return body["predictions"], body.get("probabilities")


@pytest.mark.parametrize("name", CASES)
def test_it_is_searched_as_by_scikit_learn_and_served_as_it_predicts(kit: Kit, name: str) -> None:
    search, parts, _ = searched(kit, name)
    parts, best = trained(kit, name)
    plain = clone(search.estimator)
    encode_search(plain, parts.classes)
    alone = GridSearchCV(plain.estimator, plain.param_grid, scoring=plain.scoring, refit=plain.refit, cv=plain.cv)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        alone.fit(parts.X_train, parts.y_train)
    metric = plain.refit
    assert [each.mean[metric] for each in best.candidates] == alone.cv_results_[f"mean_test_{metric}"].tolist()
    expected = best.pipeline.predict(parts.X_test)
    np.testing.assert_array_equal(expected, alone.predict(parts.X_test))

    package = kit.package(parts, best)
    labels, probabilities = answers(package, parts.X_test)
    if parts.classes is None:
        np.testing.assert_allclose(labels, expected, rtol=1e-9)
    else:
        assert labels == [parts.classes[code] for code in expected]
    if hasattr(best.pipeline, "predict_proba"):
        np.testing.assert_allclose(probabilities, best.pipeline.predict_proba(parts.X_test), atol=1e-9)
    else:
        assert probabilities is None
    json.dumps([each.params for each in best.candidates])  # what trackers record is plain
    assert Compilation.read(package.path).reason == ""


@pytest.mark.parametrize(
    ("params", "reason"),
    [
        (
            {"regressor": RIDGE, "transformer": {"_target_": "sklearn.preprocessing.PowerTransformer"}},
            "no converter for a target that PowerTransformer transforms back",
        ),
        (
            {
                "regressor": {"_target_": "sklearn.linear_model.TheilSenRegressor", "random_state": 0},
                "func": "numpy.log",
                "inverse_func": "numpy.cosh",
            },
            "no converter for a target that cosh transforms back",
        ),
    ],
)
def test_the_pickle_serves_what_has_no_compiled_model_and_says_why(
    kit: Kit, params: dict[str, Any], reason: str
) -> None:
    keys: dict[str, Any] = {"scoring": ["r2"], "refit": "r2"}
    params |= {"check_inverse": False}
    search = kit.search("sklearn.compose.TransformedTargetRegressor", {}, TABULAR, params, **keys)
    parts = kit.split(table("number"), search)
    best = train(parts, search, kit.search_spec(**keys), Progress(), CheckpointDir())
    package = kit.package(parts, best)
    assert Compilation.read(package.path).reason == reason
    np.testing.assert_allclose(answers(package, parts.X_test)[0], best.pipeline.predict(parts.X_test), rtol=1e-12)


@pytest.mark.parametrize(
    ("estimator", "params", "grid"),
    [
        (CALIBRATED, {"estimator": {**LINEAR, "class_weight": {"yes": 9, "no": 1}}, "cv": 2}, {}),
        (CALIBRATED, {"estimator": LINEAR, "cv": 2}, {"estimator__class_weight": [{"yes": 9, "no": 1}]}),
        (CALIBRATED, {"cv": 2}, {"estimator": [{**LINEAR, "class_weight": {"yes": 9}}]}),
        (VOTING, {"estimators": {"a": {**LINEAR, "class_weight": {"yes": 9}}}, "voting": "soft"}, {}),
    ],
)
def test_weights_inside_are_in_the_users_labels(
    kit: Kit, estimator: str, params: dict[str, Any], grid: dict[str, Any]
) -> None:
    rows = table("two")
    search = kit.search(estimator, grid, {"steps": {"drop": DROP_CITY}}, params)
    parts = kit.split(rows, search, positive="no")  # so that the codes are in another order than the labels
    best = train(parts, search, kit.search_spec(), Progress(), CheckpointDir())
    labels = ("yes", "no")
    assert parts.classes == labels
    plain = clone(search.estimator).estimator
    if grid:
        (name, (value,)), *_ = search.estimator.param_grid.items()
        plain.set_params(**{name: value})
    if estimator == VOTING:  # which encodes labels itself, so scikit-learn alone refuses these
        plain.steps[-1] = ("model", plain[-1].estimators[0][1])
    words = parts.y_train.map(dict(enumerate(labels)))
    expected = plain.fit(parts.X_train, words).predict(parts.X_test)
    assert [labels[code] for code in best.pipeline.predict(parts.X_test)] == expected.tolist()
    if grid:
        assert "yes" in json.dumps(best.best.params)
        assert "9" in json.dumps(best.best.params)


@pytest.mark.parametrize(
    ("estimator", "params", "grid", "problem"),
    [
        (
            CALIBRATED,
            {"estimator": {**LINEAR, "class_weight": {"yess": 9}}},
            {},
            "model.params.estimator.class_weight: 'yess' is no label of the target; did you mean 'yes'?",
        ),
        (
            VOTING,
            {"estimators": {"a": FOREST, "b": {**LINEAR, "class_weight": {"never": 9}}}},
            {},
            "model.params.estimators.b.class_weight: 'never' is no label of the target; there are: no, yes",
        ),
        (
            CALIBRATED,
            {},
            {"estimator": [LINEAR, {**LINEAR, "class_weight": {"yess": 9}}]},
            "model.param_grid.estimator[1].class_weight: 'yess' is no label of the target; did you mean 'yes'?",
        ),
        (
            "sklearn.multiclass.OneVsOneClassifier",
            {"estimator": {**LINEAR, "class_weight": {"yes": 9}}},
            {},
            "model.params.estimator.class_weight: OneVsOneClassifier fits on labels of its own",
        ),
    ],
)
def test_wrong_labels_inside_are_named_where_they_stand(
    kit: Kit, estimator: str, params: dict[str, Any], grid: dict[str, Any], problem: str
) -> None:
    with pytest.raises(SpecError) as error:
        kit.load(table("two"), kit.search(estimator, grid, TABULAR, params))
    assert problem in str(error.value)


def test_a_scorer_by_make_scorer_chooses_and_is_measured(kit: Kit) -> None:
    keys: dict[str, Any] = {"scorers": {"f2": F2}, "scoring": ["f2", "accuracy"], "refit": "f2"}
    search = kit.search(
        FOREST["_target_"], {"max_depth": [1, 3]}, TABULAR, {"random_state": 0, "n_estimators": 3}, **keys
    )
    parts = kit.split(table("two"), search)
    best = train(parts, search, kit.search_spec(**keys), Progress(), CheckpointDir())
    found = evaluate(parts, best, kit.search_spec(**keys), Seed(0))
    predicted = best.pipeline.predict(parts.X_test)
    assert found.metrics["f2"] == fbeta_score(parts.y_test, predicted, beta=2)
    assert set(best.best.mean) == {"f2", "accuracy"}


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_nested_estimator_without_a_seed_is_drawn_in_scikit_learns_order(kit: Kit, jobs: int) -> None:
    """Only one process has an order: with more, the scores are those of other random numbers."""
    forest = {name: value for name, value in FOREST.items() if name != "random_state"}
    grid = {"estimator__max_depth": [1, 2]}
    search = kit.search(CALIBRATED, grid, TABULAR, {"estimator": forest, "cv": 2}, n_jobs=jobs)
    parts = kit.split(table("two"), search)
    plain = clone(search.estimator)
    encode_search(plain, parts.classes)
    alone = GridSearchCV(plain.estimator, plain.param_grid, scoring="accuracy", cv=plain.cv)
    np.random.seed(0)  # noqa: NPY002 - the state that scikit-learn draws from
    best = train(parts, search, kit.search_spec(n_jobs=jobs), Progress(), CheckpointDir())
    if jobs == 1:
        np.random.seed(0)  # noqa: NPY002
        alone.fit(parts.X_train, parts.y_train)
        assert [each.mean["accuracy"] for each in best.candidates] == alone.cv_results_["mean_test_score"].tolist()


def test_code_of_the_project_inside_ships(kit: Kit, project: Any) -> None:
    project.write({"nested_code.py": "def shifted(X):\n    return X + 1\n"})
    shift = {"_target_": "sklearn.preprocessing.FunctionTransformer", "func": "nested_code.shifted"}
    steps = {"steps": {"shift": shift, "linear": LINEAR}}
    search = kit.search("sklearn.pipeline.Pipeline", {}, TABULAR, steps)
    parts = kit.split(table("two"), search)
    package = kit.package(parts, train(parts, search, kit.search_spec(), Progress(), CheckpointDir()))
    assert (package.path / "nested_code.py").is_file()
    assert "FunctionTransformer" in Compilation.read(package.path).reason


@pytest.mark.nightly
def test_resamplers_act_in_fit_alone(kit: Kit) -> None:
    few = table("two").sort_values("y").iloc[:65]  # 20 rows of one class
    smote = {"_target_": "imblearn.over_sampling.SMOTE", "random_state": 0, "k_neighbors": 2}
    params = {"steps": {"smote": smote, "forest": FOREST}}
    grid = {"smote__sampling_strategy": [1.0, {"yes": 40}], "forest__max_depth": [2]}
    search = kit.search("imblearn.pipeline.Pipeline", grid, TABULAR, params)
    parts = kit.split(few, search)
    best = train(parts, search, kit.search_spec(), Progress(), CheckpointDir())
    package = kit.package(parts, best)
    labels, probabilities = answers(package, parts.X_test)
    assert parts.classes is not None
    assert labels == [parts.classes[code] for code in best.pipeline.predict(parts.X_test)]
    np.testing.assert_allclose(probabilities, best.pipeline.predict_proba(parts.X_test), atol=1e-12)
    assert Compilation.read(package.path).reason == ""
    assert "imbalanced-learn==" in (package.path / "requirements.txt").read_text()
    assert "yes" in json.dumps([each.params for each in best.candidates])
