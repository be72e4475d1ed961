"""Mistakes in objects inside of parameters: all at once, each at its place, and nothing of another kind is called."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from orchestrator.config.estimator_checks import problems
from orchestrator.spec.model import ModelSpec, PreprocessSpec
from orchestrator.spec.search import SearchSpec

SEARCH: dict[str, Any] = {
    "_target_": "orchestrator.search.SharedGridSearchCV",
    "cv": 2,
    "scoring": ["accuracy"],
    "refit": "accuracy",
}
TREE: dict[str, Any] = {"_target_": "sklearn.tree.DecisionTreeClassifier"}
LINEAR: dict[str, Any] = {"_target_": "sklearn.linear_model.LogisticRegression"}
SVC: dict[str, Any] = {"_target_": "sklearn.svm.SVC"}
METRIC = "sklearn.metrics.fbeta_score"
MAKE: dict[str, Any] = {"_target_": "sklearn.metrics.make_scorer", "score_func": METRIC}
BAGGING, STACKING = "sklearn.ensemble.BaggingClassifier", "sklearn.ensemble.StackingClassifier"
TUNED, REST = "sklearn.model_selection.TunedThresholdClassifierCV", "sklearn.multiclass.OneVsRestClassifier"


def mistakes(
    estimator: str,
    params: dict[str, Any] | None = None,
    grid: dict[str, Any] | None = None,
    preprocess: dict[str, Any] | None = None,
    **search: Any,
) -> list[str]:
    model = ModelSpec(estimator=estimator, params=params or {}, param_grid=grid or {})
    found = problems(model, PreprocessSpec(steps=preprocess or {}), SearchSpec(**{**SEARCH, **search}))
    return [str(problem) for problem in found]


@pytest.mark.parametrize(
    ("estimator", "params", "grid", "expected"),
    [
        (
            STACKING,
            {"estimators": [["a", {**SVC, "C": -1}], ["b", {**SVC, "kernel": "rbff"}], ["c", {**TREE, "max_dept": 3}]]},
            {},
            [
                "model.params.estimators[0][1].C: should be a float in the range (0.0, inf], got -1",
                (
                    "model.params.estimators[1][1].kernel: should be 'linear', 'poly', 'precomputed', 'rbf', 'sigmoid' or the "
                    "dotted path of a function, got 'rbff'; did you mean 'rbf'?"
                ),
                (
                    "model.params.estimators[2][1].max_dept: DecisionTreeClassifier has no such parameter; did you mean "
                    "'max_depth'?"
                ),
            ],
        ),
        (
            STACKING,
            {"estimators": {"a": {"_target_": "sklearn.tree.DecisionTreeClasifier"}, "b": {"_target_": "tree"}}},
            {},
            [
                (
                    "model.params.estimators.a._target_: sklearn.tree has no 'DecisionTreeClasifier'; did you mean "
                    "'DecisionTreeClassifier'?"
                ),
                "model.params.estimators.b._target_: should be a dotted path such as 'package.module.Name', got 'tree'",
            ],
        ),
        (
            BAGGING,
            {"estimator": TREE},
            {"estimator__max_dept": [1], "estimator__max_depth": [1, 0], "n_estimator": [3]},
            [
                (
                    "model.param_grid.estimator__max_dept: DecisionTreeClassifier has no such parameter; did you mean "
                    "'estimator__max_depth'?"
                ),
                "model.param_grid.estimator__max_depth: should be an int in the range [1, inf) or null, got 0",
                "model.param_grid.n_estimator: BaggingClassifier has no such parameter; did you mean 'n_estimators'?",
            ],
        ),
        (
            TUNED,
            {"estimator": TREE},
            {"max_depth": [1]},
            [
                (
                    "model.param_grid.max_depth: TunedThresholdClassifierCV has no such parameter; did you mean "
                    "'estimator__max_depth'?"
                )
            ],
        ),
        (
            STACKING,
            {"estimators": {"a": TREE, "b": LINEAR}},
            {"final_estimator__C": [1]},
            [
                (
                    "model.param_grid.final_estimator__C: model.params.final_estimator is null; describe the object by "
                    "_target_ to search its parameters"
                )
            ],
        ),
        (
            REST,
            {},
            {"estimator": [SVC, LINEAR, {**TREE, "criterion": "ginni"}]},
            [
                (
                    "model.param_grid.estimator[2].criterion: should be 'entropy', 'gini' or 'log_loss', got 'ginni'; did you "
                    "mean 'gini'?"
                )
            ],
        ),
        (
            REST,
            {},
            {"estimator": [SVC, LINEAR], "estimator__gamma": [1]},
            ["model.param_grid.estimator__gamma: LogisticRegression has no such parameter"],
        ),
        (
            "sklearn.calibration.CalibratedClassifierCV",
            {
                "estimator": {"_target_": "sklearn.impute.SimpleImputer"},
                "cv": {"_target_": "sklearn.model_selection.StratifiedKFold", "n_split": 3},
            },
            {},
            [
                (
                    "model.params.estimator: should be an object with fit and predict_proba (described by _target_), an "
                    "object with fit and decision_function (described by _target_) or null, got 'sklearn.impute.SimpleImputer'"
                ),
                "model.params.cv.n_split: StratifiedKFold has no such parameter; did you mean 'n_splits'?",
            ],
        ),
        (
            "sklearn.compose.TransformedTargetRegressor",
            {"func": "numpy.log1q", "inverse_func": "subprocess.Popen"},
            {},
            [
                "model.params.func: numpy has no 'log1q'; did you mean 'log1p'?",
                "model.params.inverse_func: should name a function, got 'subprocess.Popen'",
                "search.scoring: 'accuracy' scores classes and TransformedTargetRegressor predicts numbers",
            ],
        ),
        (
            TUNED,
            {"estimator": {**TREE, "_partial_": True}, "scoring": {**MAKE, "beta": 2, "bete": 2, "pos_label": "yes"}},
            {},
            [
                (
                    "model.params.estimator._partial_: is a key of Hydra's instantiate, which is not used here; name a class "
                    "with options"
                ),
                (
                    "model.params.scoring.pos_label: a scorer gets codes in place of the target's labels; data.positive names "
                    "the positive one"
                ),
                "model.params.scoring.bete: neither make_scorer nor fbeta_score has such a parameter; did you mean 'beta'?",
            ],
        ),
        (
            "sklearn.ensemble.VotingClassifier",
            {"estimators": {"a": TREE, "b": {**LINEAR, "solver": "lbfgs", "l1_ratio": 2}}},
            {},
            ["model.params.estimators.b.l1_ratio: should be a float in the range [0.0, 1.0]"],
        ),
    ],
)
def test_every_mistake_is_reported_at_its_place(
    estimator: str, params: dict[str, Any], grid: dict[str, Any], expected: list[str]
) -> None:
    found = mistakes(estimator, params, grid)
    assert [text.startswith(start) for text, start in zip(found, expected, strict=True)] == [True] * len(found), found


@pytest.mark.parametrize("place", ["params", "grid", "required", "deep", "list", "preprocess", "scorer", "function"])
def test_nothing_of_another_kind_is_called(place: str, tmp_path: Path) -> None:
    hostile = {"_target_": "subprocess.Popen", "args": ["touch", str(tmp_path / "called")]}
    found = {
        "params": lambda: mistakes(BAGGING, {"estimator": hostile}),
        "grid": lambda: mistakes(BAGGING, {}, {"estimator": [hostile], "estimator__max_depth": [1]}),
        "required": lambda: mistakes(REST, {}, {"estimator": [hostile]}),
        "deep": lambda: mistakes(BAGGING, {"estimator": {**TREE, "max_depth": {"a": [hostile]}}}),
        "list": lambda: mistakes(STACKING, {"estimators": [["a", hostile]]}),
        "preprocess": lambda: mistakes(
            TREE["_target_"],
            preprocess={"x": {"_target_": "sklearn.feature_selection.SelectFromModel", "estimator": hostile}},
        ),
        "scorer": lambda: mistakes(TREE["_target_"], scorers={"f2": hostile}, scoring=["f2"], refit="f2"),
        "function": lambda: mistakes(
            TREE["_target_"], scorers={"f2": {**MAKE, "score_func": hostile}}, scoring=["f2"], refit="f2"
        ),
    }[place]()
    assert len(found) == 1
    assert "got 'subprocess.Popen'" in found[0]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("search", "expected"),
    [
        ({"scorers": {"f2": {**MAKE, "beta": 2}}, "scoring": ["f2", "accuracy"], "refit": "f2"}, ""),
        (
            {"scorers": {"f2": {**MAKE, "beta": 2}}, "scoring": ["f3"], "refit": "f3"},
            "search.refit: scikit-learn has no scorer 'f3'",
        ),
        (
            {"scorers": {"f1": {**MAKE, "beta": 2}}},
            "search.scorers.f1: scikit-learn has a scorer 'f1'; choose another name",
        ),
        ({"scorers": {"f2": TREE}}, "search.scorers.f2._target_: should be sklearn.metrics.make_scorer, got"),
        (
            {"scorers": {"f2": {**MAKE, "score_func": "sklearn.metrics.fbeta_scor"}}},
            "search.scorers.f2.score_func: sklearn.metrics has no 'fbeta_scor'; did you mean 'fbeta_score'?",
        ),
        ({"scorers": {"f2": MAKE}}, "search.scorers.f2.beta: is missing; fbeta_score needs this parameter"),
        (
            {"scorers": {"f2": {**MAKE, "beta": -2}}},
            "search.scorers.f2.beta: should be a float in the range [0.0, inf]",
        ),
    ],
)
def test_scorers_are_calls_of_make_scorer(search: dict[str, Any], expected: str) -> None:
    found = mistakes(TREE["_target_"], **search)
    assert [text.startswith(expected) for text in found] == ([True] if expected else []), found


def test_what_is_right_raises_no_alarm() -> None:
    stack = {"estimators": {"a": TREE, "b": SVC}, "final_estimator": LINEAR, "cv": 3}
    assert mistakes(STACKING, stack, {"a__max_depth": [1, None], "final_estimator__C": [0.1], "b": ["drop", SVC]}) == []
    xgboost = {"_target_": "xgboost.XGBClassifier", "any_name_it_may_know": 1}
    assert mistakes("sklearn.calibration.CalibratedClassifierCV", {"estimator": xgboost}, {"estimator__any": [1]}) == []
    steps = [["scale", {"_target_": "sklearn.preprocessing.StandardScaler"}], ["tree", TREE]]
    assert mistakes("sklearn.pipeline.Pipeline", {"steps": steps}, {"tree__ccp_alpha": [0.0, 0.1]}) == []
    assert mistakes(TREE["_target_"], {}, {"class_weight": [{"yes": 2}, None]}) == []


def test_a_resampler_is_no_transformer() -> None:
    (found,) = mistakes(TREE["_target_"], preprocess={"x": {"_target_": f"{__name__}.Resampler"}})
    assert "a resampler is a step of imblearn.pipeline.Pipeline, in model.estimator" in found


class Resampler:
    def fit_resample(self, X: Any, y: Any) -> Any:
        return X, y
