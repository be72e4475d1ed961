"""``data.weight`` through the stages: scores are those of scikit-learn's metadata routing, and the weights follow the rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn import config_context
from sklearn.base import clone
from sklearn.dummy import DummyClassifier
from sklearn.experimental import enable_halving_search_cv  # noqa: F401  # enables the import of HalvingGridSearchCV
from sklearn.metrics import get_scorer
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV

from orchestrator.caching.cache import CheckpointDir
from orchestrator.cli.descriptions import describe
from orchestrator.errors import DataError
from orchestrator.events import Progress
from orchestrator.findings import TableFindings
from orchestrator.modeling.weights import RowWeights
from orchestrator.reporting.provenance import RunProvenance
from orchestrator.reporting.scores import score_table
from orchestrator.search import fit_counts
from orchestrator.search.weighting import row_params
from orchestrator.spec.field_types import FitOn, Seed
from orchestrator.spec.model import ModelSpec, PreprocessSpec
from orchestrator.stages import train as stages
from tests.nightly import at_night

RNG = np.random.default_rng(0)
ROWS = 120
Y = RNG.integers(0, 2, ROWS)
TABLE = pd.DataFrame(
    {
        "a": Y + RNG.normal(0, 0.7, ROWS),
        "b": RNG.normal(0, 1, ROWS),
        "person": RNG.integers(0, 30, ROWS),
        "day": pd.date_range("2024-01-01", periods=ROWS).astype(str),
        "y": np.where(Y, "ill", "well"),
    }
).assign(w=lambda table: np.round(np.exp(table["b"] / 2), 3))  # so that a row shows which weight it must have
PLAIN = TABLE[["a", "b", "w", "y"]]
SCALED = {"steps": {"scale": {"_target_": "sklearn.preprocessing.StandardScaler"}}}
SCORING = ["roc_auc", "precision", "recall", "f1", "accuracy"]
GRID = {"max_depth": [1, 2], "n_estimators": [2, 4]}
HALVING = {"_target_": "orchestrator.search.SharedHalvingGridSearchCV", "random_state": 0, "factor": 2}
RIDGE, KNN = "sklearn.linear_model.Ridge", "sklearn.neighbors.KNeighborsClassifier"
NUMBERS = {"scoring": ["r2", "neg_mean_absolute_error"], "refit": "r2"}
CLASSES = {"scoring": SCORING, "refit": "roc_auc"}


def routed(search: Any, parts: Any, kind: Any) -> Any:
    """Fit scikit-learn's own search with metadata routing: the model and all scorers request the weights."""
    with config_context(enable_metadata_routing=True):
        pipeline = clone(search.estimator)
        pipeline.named_steps["scale"].set_fit_request(sample_weight=False)
        pipeline.named_steps["model"].set_fit_request(sample_weight=True)
        own = search.scoring
        scoring = (
            get_scorer(own).set_score_request(sample_weight=True)
            if isinstance(own, str)
            else {name: get_scorer(name).set_score_request(sample_weight=True) for name in own}
        )
        options = {**search.get_params(deep=False), "estimator": pipeline, "scoring": scoring, "n_jobs": None}
        options |= {"cv": list(parts.folds)} if parts.folds else {}
        return kind(**options).fit(parts.X_train, parts.y_train, sample_weight=parts.weights.train.to_numpy())


@pytest.mark.parametrize(
    ("estimator", "grid", "keys", "split", "kind"),
    [
        ("sklearn.ensemble.RandomForestClassifier", GRID, CLASSES, {}, GridSearchCV),
        ("sklearn.linear_model.LogisticRegression", {"C": [0.1, 1]}, CLASSES, {"rule": "group", "by": "person"}, GridSearchCV),
        (RIDGE, {"alpha": [0.1, 10]}, NUMBERS, {}, GridSearchCV),
        ("sklearn.ensemble.RandomForestClassifier", GRID, HALVING, {}, HalvingGridSearchCV),
        (RIDGE, {"alpha": [1, 10]}, {**NUMBERS, "_target_": "sklearn.model_selection.GridSearchCV"}, {}, GridSearchCV),
        at_night("sklearn.ensemble.RandomForestClassifier", GRID, {**CLASSES, "n_jobs": 2}, {}, GridSearchCV),
        at_night(RIDGE, {"alpha": [1, 10]}, {**NUMBERS, "n_jobs": 2, "_target_": "sklearn.model_selection.GridSearchCV"}, {}, GridSearchCV),
        at_night("sklearn.ensemble.HistGradientBoostingClassifier", {"max_iter": [3, 6]}, CLASSES, {}, GridSearchCV),
        at_night("sklearn.ensemble.GradientBoostingRegressor", {"n_estimators": [2, 5]}, NUMBERS, {}, GridSearchCV),
    ],
)  # fmt: skip
def test_results_are_exactly_those_of_metadata_routing(
    kit: Any, estimator: str, grid: dict[str, Any], keys: dict[str, Any], split: dict[str, Any], kind: Any
) -> None:
    numeric = keys.get("refit") == "r2"
    params = {} if "Ridge" in estimator else {"random_state": 0}
    search = kit.search(estimator, grid=grid, params=params, preprocess=SCALED, split=split, cv=3, **keys)
    frame = PLAIN.assign(y=PLAIN["a"] * 2 + PLAIN["b"]) if numeric else PLAIN
    frame = frame.assign(person=TABLE["person"]) if split else frame
    parts = kit.split(frame, search, split=split, weight="w")
    spec = kit.search_spec(cv=3, **keys)
    made = stages.train(parts, search, spec, Progress(), CheckpointDir())
    wanted = routed(search.estimator, parts, kind)
    assert made.best_index == wanted.best_index_ or kind is HalvingGridSearchCV
    for metric in ["score"] if kind is HalvingGridSearchCV else keys["scoring"]:
        means = wanted.cv_results_[f"mean_test_{metric}"]
        if kind is HalvingGridSearchCV:
            assert made.best.mean["accuracy"] == wanted.best_score_
        else:
            assert [one.mean[metric] for one in made.candidates] == means.tolist()
            assert [one.std[metric] for one in made.candidates] == wanted.cv_results_[f"std_test_{metric}"].tolist()
    np.testing.assert_array_equal(made.pipeline.predict(parts.X_test), wanted.predict(parts.X_test))
    equal = kit.split(frame.drop(columns="w"), search, split=split)  # the weights matter
    assert stages.train(equal, search, spec, Progress(), CheckpointDir()).best.mean != made.best.mean


def test_candidates_share_work_with_weights(kit: Any) -> None:
    search = kit.search(grid=GRID, preprocess=SCALED, cv=3, **CLASSES)
    parts = kit.split(PLAIN, search, weight="w")
    estimator = clone(search.estimator)
    with row_params(estimator, parts.weights.fit_params(), parts.weights.score_params(training=True)):
        estimator.fit(parts.X_train, parts.y_train)
    assert fit_counts(estimator) == (12, 6)
    assert "_get_routed_params_for_fit" not in vars(estimator)


@pytest.mark.parametrize(
    ("split", "keys"),
    [
        ({}, {}),
        ({"rule": "group", "by": "person"}, {"duplicates": "drop"}),
        ({"rule": "time", "by": "day", "gap": "3d"}, {"missing_target": "drop"}),
        ({}, {"format": "parquet", "drop": ("w",)}),
    ],
    ids=["random", "group and duplicates", "time and no target", "parquet"],
)
def test_the_weights_follow_their_rows_and_are_no_feature(
    kit: Any, split: dict[str, Any], keys: dict[str, Any]
) -> None:
    frame = TABLE[["a", "b", "w", *filter(None, [split.get("by")]), "y"]]
    frame = pd.concat([frame[:40], frame[:40], frame[40:]], ignore_index=True)
    frame.loc[frame.index[5:60:11], "y"] = None
    parts = kit.split(frame, kit.search(split=split), split=split, weight="w", **keys)
    assert [*parts.X_train.columns] == [*parts.X_test.columns] == ["a", "b"]
    for X, weights in ((parts.X_train, parts.weights.train), (parts.X_test, parts.weights.test)):
        assert weights.to_numpy() == pytest.approx(np.exp(X["b"] / 2).to_numpy(), abs=1e-3)
        assert weights.index.equals(X.index)
    assert parts.reading.left_out["w"] == "the rows are weighted by it"
    assert parts.summary.line.endswith("; weighted by 'w'")
    assert parts.summary.about()["weight"] == parts.summary.as_json()["weight"] == "w"


def test_the_rows_of_another_file_have_weights(kit: Any, tmp_path: Path) -> None:
    PLAIN[90:].to_csv(tmp_path / "test.csv", index=False)
    split = {"rule": "file", "file": tmp_path / "test.csv"}
    parts = kit.split(PLAIN[:90], kit.search(split=split), split=split, weight="w")
    assert parts.weights.test.tolist() == PLAIN["w"][90:].tolist()
    wrong = PLAIN[90:].copy()
    wrong.loc[94, "w"] = -1
    wrong.to_csv(tmp_path / "test.csv", index=False)
    with pytest.raises(
        DataError, match=r"'w' is negative, such as -1, in 1 of 120 rows, first in row 5 of test\.csv; a"
    ):
        kit.split(PLAIN[:90], kit.search(split=split), split=split, weight="w")


@pytest.mark.parametrize(
    ("cells", "keys", "text"),
    [
        ({3: ""}, {}, r"'w' is missing in 1 of 120 rows, first in row 4 of table\.csv; fill them"),
        ({3: "many", 7: "few"}, {}, r"'w' holds what is no number, such as .*many.*, in 2 of 120 rows, first in row 4 of"),
        ({}, {"text_columns": ("w",)}, r"'w' holds what is no number, such as .*, in 120 of 120 rows, .*data\.text_columns"),
        ({3: "inf"}, {}, r"'w' is infinite in 1 of 120 rows, first in row 4 of"),
        ({0: "-0.5", 1: "-1"}, {}, r"'w' is negative, such as -0\.5, in 2 of 120 rows, first in row 1 of table\.csv; a wei"),
        (dict.fromkeys(range(ROWS), "0"), {}, r"'w' is 0 in all 120 rows; leave data\.weight out"),
        (dict.fromkeys(range(ROWS), "True"), {}, r"'w' holds what is no number, such as .*True.*, in 120 of 120 rows"),
    ],
    ids=["missing", "text", "read as text", "infinite", "negative", "zero", "boolean"],
)  # fmt: skip
def test_what_is_no_weight_is_refused(kit: Any, cells: dict[int, str], keys: dict[str, Any], text: str) -> None:
    column = [cells.get(row, str(value)) for row, value in enumerate(PLAIN["w"])]
    with pytest.raises(DataError, match=rf"data\.weight: {text}"):
        kit.load(PLAIN.assign(w=column), weight="w", **keys)


def test_there_must_be_weight_on_all_sides(kit: Any) -> None:
    split = {"rule": "time", "by": "day"}
    frame = TABLE[["a", "b", "day", "w", "y"]]
    for zero, said in (
        (slice(80, None), r"30 hold-out rows; choose another split"),
        (slice(60, 90), r"30 rows that fold 2 of 2 is scored on"),
    ):
        wrong = frame.assign(w=np.where(np.isin(np.arange(ROWS), np.arange(ROWS)[zero]), 0, frame["w"]))
        with pytest.raises(DataError, match=rf"data\.weight: 'w' is 0 in all {said}"):
            kit.split(wrong, kit.search(split=split), split=split, weight="w")
    with pytest.raises(DataError, match=r"data\.weight: there is no column to learn from besides 'w' and the target"):
        kit.load(PLAIN[["w", "y"]], weight="w")


@pytest.mark.parametrize("split", [{}, {"rule": "group", "by": "person"}], ids=["random", "group"])
def test_a_class_without_weight_is_named_before_training(kit: Any, split: dict[str, Any]) -> None:
    frame = TABLE[["a", "b", "w", *filter(None, [split.get("by")]), "y"]]
    search = kit.search(split=split, scoring=["roc_auc"], refit="roc_auc")
    wrong = frame.assign(w=frame["w"].where(frame["y"] == "well", 0))
    with pytest.raises(
        DataError, match=r"fold 1 of 2 learns from no row of class 'ill' whose weight \('w'\) is above 0"
    ):
        kit.split(wrong, search, split=split, weight="w")
    held_out = kit.split(frame, search, split=split, weight="w").weights.test.index
    wrong = frame.assign(w=frame["w"].where((frame["y"] == "well") | ~frame.index.isin(held_out), 0))
    with pytest.raises(DataError, match=r"data\.test_size: none of the \d+ hold-out rows is of class 'ill'"):
        kit.split(wrong, search, split=split, weight="w")
    some = frame.assign(w=frame["w"].where(frame.index % 5 > 0, 0))
    assert kit.split(some, search, split=split, weight="w").weights.obstacle == ""


def described(**estimators: str) -> dict[str, Any]:
    """Return estimators by name as the configuration writes them."""
    return {"estimators": {name: {"_target_": path} for name, path in estimators.items()}}


@pytest.mark.parametrize(
    ("estimator", "params", "obstacle"),
    [
        (KNN, {}, "KNeighborsClassifier takes no weights"),
        (
            "sklearn.ensemble.VotingClassifier",
            described(knn=KNN, bayes="sklearn.naive_bayes.GaussianNB"),
            "VotingClassifier takes no weights, since KNeighborsClassifier in it takes none",
        ),
        (
            "sklearn.ensemble.StackingClassifier",
            {
                **described(bayes="sklearn.naive_bayes.GaussianNB", linear="sklearn.linear_model.LogisticRegression"),
                "final_estimator": {"_target_": "sklearn.linear_model.LogisticRegression"},
                "cv": 2,
            },
            "",
        ),
        (
            "sklearn.compose.TransformedTargetRegressor",
            {"regressor": {"_target_": RIDGE}},
            "",
        ),
    ],
    ids=["no", "not all nested", "stack", "transformed target"],
)
def test_an_estimator_without_weights_is_named_and_scored_by_them(
    kit: Any, estimator: str, params: dict[str, Any], obstacle: str
) -> None:
    numeric = "Regressor" in estimator
    keys = {"scoring": ["r2"], "refit": "r2"} if numeric else {}
    search = kit.search(estimator, params=params, **keys)
    frame = PLAIN.assign(y=PLAIN["a"] ** 2) if numeric else PLAIN
    parts = kit.split(frame, search, weight="w")
    assert parts.weights.obstacle == obstacle
    note = f"data.weight: {obstacle}: each row counts alike in its fits, and by 'w' in the scores"
    assert parts.summary.notes == ((note,) if obstacle else ())
    made = stages.train(parts, search, kit.search_spec(**keys), Progress(), CheckpointDir())
    plain = clone(made.pipeline)
    weights = {} if obstacle else {"model__sample_weight": parts.weights.train}
    wanted = plain.fit(parts.X_train, parts.y_train, **weights)
    np.testing.assert_array_equal(made.pipeline.predict(parts.X_test), wanted.predict(parts.X_test))
    equal = stages.train(
        kit.split(frame.drop(columns="w"), search), search, kit.search_spec(**keys), Progress(), CheckpointDir()
    )
    assert equal.best.mean != made.best.mean


@pytest.mark.filterwarnings("ignore:Precision is ill-defined")  # of the dummy
def test_hold_out_scores_and_the_dummys_count_by_weight_and_say_so(kit: Any, tmp_path: Path) -> None:
    search, spec = kit.search(**CLASSES), kit.search_spec(**CLASSES)
    data = kit.data(PLAIN, weight="w")
    parts = kit.split(PLAIN, search, weight="w")
    made = stages.train(parts, search, spec, Progress(), CheckpointDir())
    evaluation = stages.evaluate(parts, made, spec, Seed(0))
    dummy = DummyClassifier().fit(parts.X_train, parts.y_train, sample_weight=parts.weights.train)
    for pipeline, scores in ((made.pipeline, evaluation.metrics), (dummy, evaluation.dummy)):
        for name in SCORING:
            score = get_scorer(name)
            assert scores[name] == score(pipeline, parts.X_test, parts.y_test, sample_weight=parts.weights.test), name
    heavy = parts.weights.train.groupby(parts.y_train).sum().idxmax()
    assert (evaluation.notes.weight, evaluation.notes.dummy) == ("w", f"always {parts.classes[heavy]}")
    assert describe(evaluation).endswith("(weighted by 'w')")
    assert "; weighted by &#x27;w&#x27;" in evaluation._repr_html_()
    pipeline, found = (PreprocessSpec(), ModelSpec(estimator=KNN)), TableFindings((), {}, ROWS, 0)
    seeds = Seed(0), FitOn("training")
    report = stages.report(data, *pipeline, spec, *seeds, parts, found, made, evaluation, RunProvenance(tmp_path, ""))
    assert report.params["data.weight"] == "w"
    assert report.tags["data_split"] == "90 training rows, 30 held out; weighted by 'w'"
    assert "hold-out (30 rows, weighted by 'w')" in score_table(report)[0]
    unweighted = kit.split(PLAIN.drop(columns="w"), search)
    figures = stages.evaluate(unweighted, made, spec, Seed(0)).figures
    assert {name for name in figures if figures[name] != evaluation.figures[name]} == {
        *("confusion_matrix.png", "roc_curve.png", "precision_recall_curve.png")
    }


def test_the_key_is_of_the_columns_name_and_its_values(kit: Any) -> None:
    plain = kit.data(PLAIN)
    assert "data.weight" not in plain.ordered()  # other tables keep their digest
    weighted = kit.data(PLAIN, weight="w")
    assert {**weighted.cache_parts()}.items() - {**plain.cache_parts()}.items() == {("data.weight", '"w"')}
    digests = [kit.load(PLAIN.assign(v=1.5), weight=name).digest for name in (None, "w", "v")]
    digests.append(kit.load(PLAIN.assign(w=1), weight="w").digest)
    assert len({*digests}) == 4


def test_a_fit_on_all_rows_gets_all_weights() -> None:
    weights = RowWeights("w", pd.Series([1.0, 2.0]), pd.Series([3.0]))
    assert weights.fit_params(all_rows=True)["model__sample_weight"].tolist() == [1, 2, 3]
    assert RowWeights("w", weights.train, weights.test, "KNN takes no weights").fit_params(all_rows=True) == {}
