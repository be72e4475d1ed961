"""Objects in parameters: what is named, what is made, and that nothing of another kind is ever called."""

from __future__ import annotations

from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

from orchestrator.errors import SpecError
from orchestrator.modeling.objects import as_text, make, make_estimator, make_grid
from orchestrator.spec.model import ModelSpec, PreprocessSpec
from orchestrator.spec.objects import code_of, named_code, orders

TREE: dict[str, Any] = {"_target_": "sklearn.tree.DecisionTreeClassifier", "max_depth": 2}
LINEAR: dict[str, Any] = {"_target_": "sklearn.linear_model.LogisticRegression"}


@pytest.mark.parametrize(
    "estimators", [[["tree", TREE], ["linear", LINEAR]], {"tree": TREE, "linear": LINEAR}], ids=["list", "mapping"]
)
def test_pairs_are_lists_or_mappings(estimators: Any) -> None:
    made = make({"_target_": "sklearn.ensemble.VotingClassifier", "estimators": estimators}, "model")
    assert isinstance(made, VotingClassifier)
    assert [(name, type(each)) for name, each in made.estimators] == [
        ("tree", DecisionTreeClassifier),
        ("linear", LogisticRegression),
    ]
    assert made.get_params()["tree__max_depth"] == 2


def test_column_transformers_splitters_selectors_and_functions_are_made() -> None:
    scale = {"_target_": "sklearn.preprocessing.FunctionTransformer", "func": "numpy.log1p"}
    selector = {"_target_": "sklearn.compose.make_column_selector", "dtype_include": "number"}
    columns = {"_target_": "sklearn.compose.ColumnTransformer", "transformers": {"log": [scale, selector]}}
    made = make({"_target_": "sklearn.pipeline.Pipeline", "steps": [["columns", columns], ["model", TREE]]}, "model")
    ((name, log, chosen),) = made.steps[0][1].transformers
    assert (name, log.func, chosen.dtype_include) == ("log", np.log1p, "number")
    folds = {"_target_": "sklearn.model_selection.StratifiedKFold", "n_splits": 3}
    assert make({"_target_": "sklearn.calibration.CalibratedClassifierCV", "cv": folds}, "model").cv.n_splits == 3


def test_text_stays_text_where_no_function_is_taken() -> None:
    made = make({"_target_": "sklearn.preprocessing.FunctionTransformer", "kw_args": {"a": "numpy.log1p"}}, "x")
    assert made.kw_args == {"a": "numpy.log1p"}


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("sklearn.calibration.CalibratedClassifierCV", "estimator"),
        ("sklearn.calibration.CalibratedClassifierCV", "cv"),
        ("sklearn.ensemble.VotingClassifier", "estimators"),
    ],
)
@pytest.mark.parametrize("grid", [False, True])
def test_nothing_of_another_kind_is_called(path: str, place: str, grid: bool, tmp_path: Path) -> None:
    hostile: Any = {"_target_": "subprocess.Popen", "args": ["touch", str(tmp_path / "called")]}
    hostile = {"a": hostile} if place == "estimators" else hostile
    unfitted = make_estimator("sklearn.calibration.CalibratedClassifierCV", {}, {})
    text = r"_target_: should name a class of an estimator, .*, got 'subprocess\.Popen'"
    with pytest.raises(SpecError, match=text):
        make_grid(unfitted, {place: [hostile]}, "x") if grid else make_estimator(path, {place: hostile}, {})
    assert not list(tmp_path.iterdir())


def test_a_grid_reaches_in_and_chooses_among_objects() -> None:
    made = make_estimator("sklearn.compose.TransformedTargetRegressor", {"regressor": TREE}, {})
    grid = make_grid(
        made, {"regressor__max_depth": (1, None), "regressor": (TREE, LINEAR), "func": ("numpy.sqrt",)}, ""
    )
    assert grid["regressor__max_depth"] == [1, None]
    assert [type(each) for each in grid["regressor"]] == [DecisionTreeClassifier, LogisticRegression]
    assert grid["func"] == [np.sqrt]


def test_code_is_named_wherever_it_stands_and_a_file_is_no_code(monkeypatch: Any, tmp_path: Path) -> None:
    (tmp_path / "nested_code.py").write_text("")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    params = {"a": [["x", {"_target_": "nested_code.Own", "func": "nested_code.helper"}]], "b": "no_such.csv", "c": "x"}
    assert code_of(params) == ("nested_code.Own", "nested_code.helper")
    assert [at for at, _ in named_code(params, "model.params")] == [
        "model.params.a[0][1]._target_",
        "model.params.a[0][1].func",
    ]
    model = ModelSpec(estimator="sklearn.ensemble.VotingClassifier", params=params)
    first = model.cache_parts()
    assert "code nested_code" in first
    step = {"x": {"_target_": "sklearn.feature_selection.SelectFromModel", "estimator": params["a"][0][1]}}
    assert "code nested_code" in PreprocessSpec.model_validate({"steps": step}).cache_parts()


def test_the_order_of_estimators_is_a_part_of_what_is_made() -> None:
    one, other = ({"estimators": dict(pairs)} for pairs in ([("a", TREE), ("b", LINEAR)], [("b", LINEAR), ("a", TREE)]))
    path = "sklearn.ensemble.StackingClassifier"
    first, second = (ModelSpec(estimator=path, params=params).ordered() for params in (one, other))
    assert {name for name in first if first[name] != second[name]} == {"model.params.estimators order"}
    assert orders("model.params", {"class_weight": {0: 1, 1: 2}}) == {}


def test_what_is_reported_is_plain() -> None:
    assert as_text(DecisionTreeClassifier(max_depth=2)) == "DecisionTreeClassifier(max_depth=2)"
    assert as_text([1, None, {"a": fmean}]) == [1, None, {"a": "statistics.fmean"}]
