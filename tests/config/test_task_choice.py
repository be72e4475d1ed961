"""The task of a configuration: seen in the table, implied by what is typed, remembered, and said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from orchestrator import compose
from orchestrator.config import task_choice
from orchestrator.config.validate import ValidConfig, validate
from orchestrator.errors import SpecError

ROWS = 60
TARGETS: dict[str, Any] = {
    "two": ["no", "yes", "no"] * 20,
    "kinds": ["a", "b", "c"] * 20,
    "grade": [1, 2, 3] * 20,
    "few": [*range(6)] * 10,
    "price": np.linspace(1.5, 99, ROWS).round(2),
}
PLAIN = ("data=csv", "data.path=table.csv", "preprocess=none", "stages=train", "tracking=none")


@pytest.fixture(autouse=True)
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    pd.DataFrame({"x": np.arange(ROWS) * 0.5, **TARGETS}).to_csv("table.csv", index=False)


def valid(target: str, *overrides: str) -> ValidConfig:
    drop = ",".join(name for name in TARGETS if name != target)
    return validate(compose(*PLAIN, f"data.target={target}", f"data.drop=[{drop}]", *overrides))


@pytest.mark.parametrize(
    ("target", "typed", "task", "estimator", "refit"),
    [
        ("two", "", "binary", "RandomForestClassifier", "roc_auc"),
        ("kinds", "model=hist_gradient_boosting", "multiclass", "HistGradientBoostingClassifier", "roc_auc_ovr"),
        ("price", "model=linear", "regression", "Ridge", "r2"),
        ("grade", "model=linear", "multiclass", "LogisticRegression", "roc_auc_ovr"),
        ("grade", "model=linear data.task=regression", "regression", "Ridge", "r2"),
        ("grade", "model.estimator=sklearn.ensemble.ExtraTreesRegressor", "regression", "ExtraTreesRegressor", "r2"),
        (
            "grade",
            "search.refit=neg_mean_absolute_error",
            "regression",
            "RandomForestRegressor",
            "neg_mean_absolute_error",
        ),
        ("grade", "search=grid_regression", "regression", "RandomForestRegressor", "r2"),
        ("price", "model=logistic_regression", "multiclass", "LogisticRegression", "roc_auc_ovr"),  # load refuses it
        ("two", "search.refit=f1", "binary", "RandomForestClassifier", "f1"),
        ("kinds", "search.scoring=[accuracy]", "multiclass", "RandomForestClassifier", "accuracy"),
    ],
)
def test_everything_follows_the_task(target: str, typed: str, task: str, estimator: str, refit: str) -> None:
    config = valid(target, *typed.split())
    spec = config.spec
    chosen = (spec.data.task, spec.model.estimator.rpartition(".")[2], spec.search.refit)
    assert chosen == (task, estimator, refit)
    assert config.task.startswith(task)


@pytest.mark.parametrize(
    ("target", "typed", "line"),
    [
        ("two", "", "binary: 'two' has 2 classes (no 40, yes 20)"),
        ("grade", "", "multiclass: 'grade' has 3 classes (1 20, 2 20, 3 20); data.task=regression if not"),
        ("grade", "data.task=regression", "regression (data.task)"),
        (
            "two",
            "model.estimator=sklearn.linear_model.Ridge model/param_grid=none",
            "regression: Ridge predicts numbers (model.estimator); 'two' has 2 classes (no 40, yes 20)",
        ),
    ],
)
def test_the_task_is_said_with_its_reason(target: str, typed: str, line: str) -> None:
    assert valid(target, *typed.split()).task == line


@pytest.mark.parametrize(
    ("target", "typed", "expected"),
    [
        (
            "two",
            "search.scoring=[r2]",
            "search.scoring: 'r2' scores numbers and RandomForestClassifier predicts classes",
        ),
        (
            "two",
            "model=logistic_regression data.task=regression",
            "model.estimator: LogisticRegression predicts classes and data",
        ),
        (
            "two",
            "model.estimator=sklearn.svm.SVR data.task=binary model/param_grid=none",
            "model.estimator: SVR predicts numbers",
        ),
        (
            "two",
            "data.task=clasification",
            "data.task: should be 'auto', 'binary', 'multiclass' or 'regression', got 'cl",
        ),
        (
            "price",
            "model.param_grid.max_depht=[3]",
            "model.param_grid.max_depht: RandomForestRegressor has no such parameter",
        ),
        ("price", "search.refit=r2x", "search.refit: scikit-learn has no scorer 'r2x'; did you mean 'r2'?"),
    ],
)
def test_what_contradicts_the_task_is_a_mistake(target: str, typed: str, expected: str) -> None:
    with pytest.raises(SpecError) as raised:
        valid(target, *typed.split())
    assert any(str(problem).startswith(expected) for problem in raised.value.problems), raised.value


def test_a_table_is_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    first = valid("kinds").task
    with monkeypatch.context() as patched:
        patched.setattr(task_choice, "read_table", lambda *_: pytest.fail("the table is read again"))
        assert valid("kinds", "data.test_size=0.3", "seed=4").task == first
    frame = pd.read_csv("table.csv")
    frame.assign(kinds=frame["price"]).to_csv("table.csv", index=False)
    assert valid("kinds").spec.data.task == "regression"


def test_a_dry_run_writes_nothing() -> None:
    assert valid("kinds", "dry_run=true").spec.data.task == "multiclass"
    assert not Path("state").exists()


def test_a_run_without_training_looks_at_no_table() -> None:
    config = validate(compose("data=csv", "data.path=gone.csv", "data.target=y", "stages=status", "deploy=local"))
    assert config.task == ""


def test_what_cannot_be_read_is_a_mistake_before_anything_runs() -> None:
    Path("table.csv").write_text("x,two\n1,a\n2\n")
    with pytest.raises(SpecError, match=r"data\.path: table\.csv, line 3 \(row 2\) has 1 cell and the header 2"):
        validate(compose(*PLAIN, "data.target=two"))
    Path("table.csv").write_text("x,two\n")
    with pytest.raises(SpecError, match=r"data\.path: table\.csv has no rows besides its header"):
        validate(compose(*PLAIN, "data.target=two"))


def test_a_class_of_the_hold_out_file_alone_counts() -> None:
    rows = pd.read_csv("table.csv")
    rows["two"] = ["no", "maybe"] * (ROWS // 2)
    rows.to_csv("test.csv", index=False)
    held_out = ("data.split=file", "data.split.file=test.csv")
    assert valid("two", *held_out).spec.data.task == "multiclass"
    assert valid("two").spec.data.task == "binary"
