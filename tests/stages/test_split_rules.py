"""Every rule of ``data.split`` through the stages: what is held out, what is learned from, and scikit-learn's own scores."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.experimental import enable_halving_search_cv  # noqa: F401  # enables the import of HalvingGridSearchCV
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    HalvingGridSearchCV,
    PredefinedSplit,
    RepeatedStratifiedKFold,
    StratifiedGroupKFold,
    TimeSeriesSplit,
)

from orchestrator.artifacts import Split, Trained
from orchestrator.caching.cache import CheckpointDir
from orchestrator.errors import DataError
from orchestrator.events import Progress
from orchestrator.findings import TableFindings
from orchestrator.reporting.provenance import RunProvenance
from orchestrator.search import fit_counts
from orchestrator.spec.evaluate import EvaluateSpec
from orchestrator.spec.field_types import FitOn, Seed
from orchestrator.spec.model import ModelSpec, PreprocessSpec
from orchestrator.stages import train as stages
from score.contract.schema import FILE, Contract

RNG = np.random.default_rng(0)
ROWS = 160
Y = RNG.integers(0, 2, ROWS)
VISITS = pd.DataFrame(
    {
        "a": Y + RNG.normal(0, 0.6, ROWS),
        "b": RNG.normal(0, 1, ROWS),
        "patient": RNG.integers(0, 40, ROWS),
        "day": pd.Series(pd.date_range("2024-01-01", periods=ROWS))
        .sample(frac=1, random_state=0)
        .astype(str)
        .to_numpy(),
        "part": RNG.permutation(["train"] * 90 + ["valid"] * 30 + ["test"] * 40),
        "y": np.where(Y, "ill", "well"),
    }
)
GRID = {"max_depth": [1, 2], "n_estimators": [2, 4]}
SCALED = {"steps": {"scale": {"_target_": "sklearn.preprocessing.StandardScaler"}}}
PARTS = {"rule": "column", "by": "part"}
GROUPS = {"rule": "group", "by": "patient"}
DAYS = {"rule": "time", "by": "day", "gap": "3d"}
FOREST = "sklearn.ensemble.RandomForestRegressor"


def table(*columns: str) -> pd.DataFrame:
    """Return the visits with the features and some of the columns that may decide the split."""
    return VISITS[["a", "b", *columns, "y"]]


def trained(kit: Any, frame: pd.DataFrame, search: Any, split: dict[str, Any]) -> tuple[Split, Trained]:
    found: tuple[Split, Trained] = kit.train(frame, search, split=split)
    return found


@pytest.mark.parametrize(
    ("split", "cv", "plain", "keys"),
    [
        (GROUPS, 3, StratifiedGroupKFold(3), "patient"),
        (DAYS, 3, TimeSeriesSplit(3, gap=3), None),
        (PARTS, 3, "predefined", "part"),
        (GROUPS, {"_target_": "sklearn.model_selection.GroupKFold", "n_splits": 4}, GroupKFold(4), "patient"),
        (
            {},
            {"_target_": "sklearn.model_selection.RepeatedStratifiedKFold", "n_splits": 2, "n_repeats": 2},
            RepeatedStratifiedKFold(n_splits=2, n_repeats=2, random_state=0),
            None,
        ),
    ],
    ids=["group", "time", "column", "splitter with groups", "repeated"],
)
def test_results_are_exactly_those_of_scikit_learns_search(
    kit: Any, split: dict[str, Any], cv: Any, plain: Any, keys: str | None
) -> None:
    n_jobs = 2 if cv == 3 and split == GROUPS else 1  # the runner's own tests compare processes
    options = {"scoring": ["roc_auc", "f1"], "refit": "roc_auc", "n_jobs": n_jobs}
    search = kit.search(grid=GRID, preprocess=SCALED, split=split, cv=cv, **options)
    parts, made = trained(kit, table(*filter(None, [split.get("by")])), search, split)
    groups = VISITS[keys].loc[parts.X_train.index] if keys else None
    if plain == "predefined":
        plain = PredefinedSplit(np.where(groups == "valid", 0, -1))
    elif keys is None and split:
        assert VISITS["day"].loc[parts.X_train.index].is_monotonic_increasing
    parameters = {**search.estimator.get_params(deep=False), "cv": plain}
    wanted = GridSearchCV(**{**parameters, "estimator": clone(search.estimator.estimator)})
    wanted.fit(parts.X_train, parts.y_train, groups=groups if keys == "patient" else None)
    assert wanted.n_splits_ == len(parts.folds or ())
    assert made.best_index == wanted.best_index_
    for index, candidate in enumerate(made.candidates):
        for metric in ("roc_auc", "f1"):
            assert candidate.mean[metric] == wanted.cv_results_[f"mean_test_{metric}"][index]
            assert candidate.std[metric] == wanted.cv_results_[f"std_test_{metric}"][index]
    answers = [each.predict_proba(parts.X_test) for each in (made.pipeline, wanted)]
    np.testing.assert_array_equal(*answers)


def test_a_halving_search_keeps_to_the_folds(kit: Any) -> None:
    halving = {"_target_": "orchestrator.search.SharedHalvingGridSearchCV", "random_state": 0, "factor": 2}
    search = kit.search(grid=GRID, preprocess=SCALED, split=GROUPS, cv=3, **halving)
    parts, made = trained(kit, table("patient"), search, GROUPS)
    parameters = {**search.estimator.get_params(deep=False), "cv": StratifiedGroupKFold(3)}
    wanted = HalvingGridSearchCV(**{**parameters, "estimator": clone(search.estimator.estimator)})
    wanted.fit(parts.X_train, parts.y_train, groups=VISITS["patient"].loc[parts.X_train.index])
    assert {str(one.params["max_depth"]) for one in made.candidates} == {"1", "2"}
    assert made.best.mean["accuracy"] == wanted.best_score_
    assert {f"model__{name}": value for name, value in made.best.params.items()} == wanted.best_params_


def test_candidates_share_work_within_the_folds_of_groups(kit: Any) -> None:
    search = kit.search(grid=GRID, preprocess=SCALED, split=GROUPS, cv=3)
    parts = kit.split(table("patient"), search, split=GROUPS)
    estimator = clone(search.estimator).set_params(cv=list(parts.folds))
    estimator.fit(parts.X_train, parts.y_train)
    assert fit_counts(estimator) == (12, 6)  # the forest of two trees is the beginning of that of four


@pytest.mark.parametrize("split", [GROUPS, DAYS, PARTS])
def test_the_column_leaves_the_features_unless_it_is_kept(kit: Any, split: dict[str, Any]) -> None:
    frame = table(split["by"])
    dropped = kit.split(frame, kit.search(split=split), split=split)
    assert list(dropped.X_train.columns) == list(dropped.X_test.columns) == ["a", "b"]
    assert dropped.reading.left_out[split["by"]] == "the rows are split by it; data.split.keep=true makes it a feature"
    kept = kit.split(frame, kit.search(split=split), split={**split, "keep": True})
    assert list(kept.X_train.columns) == ["a", "b", split["by"]]
    assert kept.X_train.index.tolist() == dropped.X_train.index.tolist()
    also = kit.split(frame, kit.search(split=split), split={**split, "keep": True}, drop=(split["by"],))
    assert list(also.X_train.columns) == ["a", "b"]


def test_a_parquet_file_splits_as_a_csv_file(kit: Any) -> None:
    frame = table("day").assign(day=pd.to_datetime(VISITS["day"]))
    for split in (DAYS, {**DAYS, "gap": None}):
        parts = [
            kit.split(each, kit.search(split=split), split=split, format=form)
            for each, form in ((table("day"), "csv"), (frame, "parquet"))
        ]
        assert parts[0].X_test.index.tolist() == parts[1].X_test.index.tolist()
        assert list(parts[1].X_train.columns) == ["a", "b"]


@pytest.mark.parametrize("split", [GROUPS, {"rule": "time", "by": "day"}])
def test_a_regression_is_split_by_the_same_rules(kit: Any, split: dict[str, Any]) -> None:
    search = kit.search(FOREST, params={"n_estimators": 2}, scoring=["r2"], refit="r2", cv=3, split=split)
    parts, made = trained(kit, table(split["by"]).assign(y=VISITS["a"] + 1.5), search, split)
    assert len(parts.folds or ()) == 3
    assert len(made.candidates) == 1


def test_the_rows_of_another_file_are_held_out(kit: Any, tmp_path: Path) -> None:
    table()[120:].sample(frac=1, random_state=0)[["y", "b", "a"]].to_csv(tmp_path / "test.csv", index=False)
    split = {"rule": "file", "file": tmp_path / "test.csv"}
    parts = kit.split(table()[:120], kit.search(split=split), split=split)
    assert parts.X_train["a"].tolist() == pytest.approx(VISITS["a"].tolist()[:120])
    assert sorted(parts.X_test["a"]) == pytest.approx(sorted(VISITS["a"].tolist()[120:]))
    assert parts.classes == ("ill", "well")
    assert parts.summary.line == "120 training rows, 40 held out; the rows of test.csv"
    data = [kit.data(table()[:120], split=split).cache_parts()]
    table()[130:].to_csv(tmp_path / "test.csv", index=False)
    data += [kit.data(table()[:120], split=split).cache_parts()]
    assert {name for name in data[0] if data[0][name] != data[1][name]} == {"test file"}
    assert "data.split.file" not in data[0]


def test_what_only_the_whole_table_shows_is_one_line(kit: Any) -> None:
    ordered = table("patient", "day", "part").sort_values("y")
    ordered["day"] = sorted(ordered["day"])
    ordered["part"] = np.where(ordered["y"] == "ill", "train", "test")
    ordered["patient"] = [*range(80), *range(80)]
    cases: list[tuple[dict[str, Any], int, str]] = [
        (PARTS, 2, r"data\.split\.rule: with column none of the \d+ training rows is of class 'well'"),
        (
            DAYS,
            2,
            r"search\.cv: fold 1 of 2 learns from no row of class 'well', and fitting needs one; use fewer folds",
        ),
        ({"rule": "group", "by": "y2"}, 2, r"data\.split\.by: table\.csv has no column 'y2'"),
        ({**GROUPS, "by": "day"}, 200, r"search\.cv: 120 training groups are fewer than 200 folds"),
    ]
    for split, cv, message in cases:
        with pytest.raises(DataError, match=message):
            kit.split(ordered, kit.search(split=split, cv=cv), split=split)


def test_neither_package_nor_requests_have_the_column(kit: Any) -> None:
    parts, made = trained(kit, table("patient"), kit.search(split=GROUPS), GROUPS)
    package = kit.package(parts, made, compile="never")
    contract = Contract.from_json((package.path / FILE).read_bytes())
    assert [column.name for column in contract.columns] == ["a", "b"]
    assert "patient" not in (package.path / "golden.json").read_text()


def test_what_is_recorded_says_how_the_rows_were_split(kit: Any, tmp_path: Path) -> None:
    cv = {"_target_": "sklearn.model_selection.KFold", "n_splits": 2}
    search, data = kit.search(split=GROUPS, cv=cv), kit.data(table("patient"), split=GROUPS)
    parts, made = trained(kit, table("patient"), search, GROUPS)
    spec = kit.search_spec(cv=cv)
    evaluation = stages.evaluate(parts, made, spec, EvaluateSpec(), Seed(0))
    pipeline = PreprocessSpec(), ModelSpec(estimator=FOREST)
    origin = RunProvenance(tmp_path, "")
    report = stages.report(
        data,
        *pipeline,
        spec,
        Seed(0),
        FitOn("training"),
        parts,
        TableFindings((), {}, ROWS, 0),
        made,
        evaluation,
        origin,
    )
    sizes = f"{len(parts.y_train)} training rows, {len(parts.y_test)} held out"
    line = f"{sizes}; whole groups of 'patient', 28 training and 10 held out; folds: 2 of KFold"
    assert report.tags["data_split"] == line
    assert {one.method for one in report.intervals.values()} <= {"cluster-jackknife", "cluster-bootstrap-t"}
    assert report.notes.caution.startswith(
        "The intervals are of 10 groups of 'patient', not of single rows; these are few"
    )
    assert report.split is not None
    assert (report.split["rule"], report.split["by"], report.split["groups"]) == ("group", "patient", (28, 10))
    assert report.split["notes"] == (
        "search.cv: in 2 of 2 folds groups of 'patient' are on both sides: these scores may be too good",
    )
    assert report.params["data.split.by"] == "patient"
    assert report.params["search.cv._target_"] == "sklearn.model_selection.KFold"


def test_a_killed_search_resumes_within_the_same_folds(kit: Any, tmp_path: Path) -> None:
    search = kit.search(grid=GRID, split=GROUPS, cv=3)
    parts = kit.split(table("patient"), search, split=GROUPS)
    again = kit.split(table("patient"), search, split=GROUPS)
    seen: list[int] = []
    for each in (parts, again):
        steps: list[Any] = []
        stages.train(each, search, kit.search_spec(cv=3), Progress(steps.append), CheckpointDir(tmp_path / "fits"))
        seen.append(len(list((tmp_path / "fits").glob("*.fits"))))
    assert seen == [1, 1]  # the second run finds every fit, and writes none
