"""Assembling, searching, evaluating, reporting."""

from __future__ import annotations

import math
import subprocess
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.metrics import get_scorer
from sklearn.model_selection import GridSearchCV

from orchestrator.artifacts import Search
from orchestrator.caching.cache import CheckpointDir
from orchestrator.errors import TrackingError, TrainError
from orchestrator.events import Event, Progress, StepProgress
from orchestrator.findings import TableFinding, TableFindings
from orchestrator.reporting.provenance import RunProvenance
from orchestrator.spec.field_types import ROOT, FitOn, Seed
from orchestrator.spec.model import ModelSpec, PreprocessSpec
from orchestrator.stages.train import each_warning_once, evaluate, report, train

from .conftest import TABULAR, Kit

GRID = {"max_depth": [1, 2], "n_estimators": [2, 3]}
SCORING = ["roc_auc", "accuracy", "f1"]


def test_the_pipeline_is_what_the_spec_says(kit: Kit) -> None:
    steps = {
        "cast": {"_target_": "score.transforms.ToFloat", "columns": ["a"]},
        "impute": {"_target_": "sklearn.impute.SimpleImputer", "strategy": "mean"},
    }
    search = kit.search(grid=GRID, preprocess={"steps": steps}, cv=3, n_jobs=2)
    assert list(search.estimator.estimator.named_steps) == ["cast", "impute", "model"]
    assert search.estimator.estimator.named_steps["cast"].columns == ["a"]
    assert search.estimator.param_grid == {"model__max_depth": [1, 2], "model__n_estimators": [2, 3]}
    assert (search.candidates, search.fits) == (4, 12)
    assert (search.estimator.n_jobs, search.estimator.error_score) == (2, "raise")


def test_no_grid_is_one_candidate(kit: Kit, numbers: pd.DataFrame) -> None:
    search = kit.search()
    assert (search.candidates, search.fits) == (1, 2)
    _, trained = kit.train(numbers, search)
    assert trained.best.params == {}
    assert len(trained.candidates) == 1


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_results_are_exactly_those_of_scikit_learns_search(kit: Kit, numbers: pd.DataFrame, n_jobs: int) -> None:
    search = kit.search(grid=GRID, scoring=SCORING, refit="roc_auc", cv=3, n_jobs=n_jobs)
    parts, trained = kit.train(numbers, search)
    parameters = search.estimator.get_params(deep=False)
    plain = GridSearchCV(**{**parameters, "estimator": clone(search.estimator.estimator)})
    plain.fit(parts.X_train, parts.y_train)
    assert trained.best_index == plain.best_index_
    for index, candidate in enumerate(trained.candidates):
        assert {f"model__{name}": value for name, value in candidate.params.items()} == plain.cv_results_["params"][
            index
        ]
        assert candidate.rank == plain.cv_results_["rank_test_roc_auc"][index]
        for metric in SCORING:
            assert candidate.mean[metric] == plain.cv_results_[f"mean_test_{metric}"][index]
            assert candidate.std[metric] == plain.cv_results_[f"std_test_{metric}"][index]
    actual, expected = trained.pipeline.predict_proba(parts.X_test), plain.predict_proba(parts.X_test)
    np.testing.assert_array_equal(actual, expected)


def test_a_random_search_draws_some_of_the_grid(kit: Kit, numbers: pd.DataFrame) -> None:
    drawn: dict[str, Any] = {"_target_": "orchestrator.search.SharedRandomizedSearchCV", "random_state": 0}
    search = kit.search(grid=GRID, n_iter=3, **drawn)
    assert (search.candidates, search.fits) == (3, 6)
    _, trained = kit.train(numbers, search)
    assert len(trained.candidates) == 3
    assert kit.search(grid=GRID, n_iter=100, **drawn).candidates == 4


@pytest.mark.parametrize(
    ("grid", "options"),
    [(GRID, {}), ({"max_depth": [1, 2, 3]}, {"resource": "n_estimators", "max_resources": 9})],
    ids=["rows", "trees"],
)
def test_a_halving_search_reports_each_candidates_last_round(
    kit: Kit, numbers: pd.DataFrame, grid: dict[str, Any], options: dict[str, Any]
) -> None:
    target = "orchestrator.search.SharedHalvingGridSearchCV"
    halving: dict[str, Any] = {"_target_": target, "random_state": 0, "factor": 2}
    search = kit.search(grid=grid, scoring=SCORING, refit="accuracy", **halving, **options)
    assert (search.candidates, search.fits) == (math.prod(map(len, grid.values())), None)
    _, trained = kit.train(numbers, search)
    assert len(trained.candidates) == search.candidates
    resources = [one.resources for one in trained.candidates if one.resources is not None]
    assert len(resources) == search.candidates
    assert len(set(resources)) > 1
    assert trained.best.rank == 1
    assert trained.best.resources == max(resources)
    assert all(set(one.mean) == {"accuracy"} for one in trained.candidates)
    further = {one.rank for one in trained.candidates if one.resources == max(resources)}
    assert max(further) < min({one.rank for one in trained.candidates} - further)


class RefusesToScore(GridSearchCV):  # type: ignore[misc]
    """Its scores of some candidates are no numbers."""

    def _format_results(self, *args: Any, **options: Any) -> Any:
        results = super()._format_results(*args, **options)
        results["mean_test_accuracy"][[0, 2]] = np.nan
        results["rank_test_accuracy"][:] = [3, 1, 3, 2]
        return results


def test_a_score_that_is_no_number_has_the_last_rank(kit: Kit, numbers: pd.DataFrame) -> None:
    plain = kit.search(grid=GRID).estimator
    search = RefusesToScore(plain.estimator, plain.param_grid, scoring=["accuracy"], refit="accuracy", cv=2)
    _, trained = kit.train(numbers, Search(search, 4, 8))
    assert [one.rank for one in trained.candidates] == [3, 1, 3, 2]


def test_the_search_is_not_fitted_itself(kit: Kit, numbers: pd.DataFrame) -> None:
    search = kit.search()
    kit.train(numbers, search)
    assert not hasattr(search.estimator, "best_estimator_")


def test_progress_starts_at_nothing_and_reaches_all_fits(kit: Kit, numbers: pd.DataFrame) -> None:
    events: list[Event] = []
    search = kit.search(grid=GRID)
    train(kit.split(numbers, search), search, kit.search_spec(), Progress(events.append), CheckpointDir())
    steps = [event for event in events if isinstance(event, StepProgress)]
    assert [(event.done, event.total) for event in steps] == [(done, 8) for done in range(9)]
    assert steps[-1].note.startswith("best accuracy 0.")


class Moody:
    """Raises the configured error in fit."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def __call__(self, *_: Any) -> None:
        raise self.error


def test_a_failed_fit_is_reported_in_one_line_with_its_remedy(kit: Kit, mixed: pd.DataFrame) -> None:
    search = kit.search("sklearn.linear_model.LogisticRegression")
    with pytest.raises(TrainError) as caught:
        kit.train(mixed[["a", "b", "y"]], search)
    assert str(caught.value) == (
        "model: fitting failed with ValueError: Input X contains NaN; preprocess=tabular fills missing values"
    )
    with pytest.raises(TrainError, match=r"could not convert string to float: 'Oslo'; preprocess=tabular encodes"):
        kit.train(mixed[["city", "y"]].dropna(), search)


SOLVERS = {"solver": ["lbfgs", "liblinear", "newton-cg"], "dual": [True, False]}  # only liblinear knows dual
LOGISTIC = "sklearn.linear_model.LogisticRegression"


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_candidates_that_fail_are_left_out_and_named(kit: Kit, numbers: pd.DataFrame, n_jobs: int) -> None:
    search = kit.search(LOGISTIC, SOLVERS, scoring=SCORING, refit="roc_auc", on_error="skip", n_jobs=n_jobs)
    parts = kit.split(numbers, search)
    spec = kit.search_spec(on_error="skip", scoring=SCORING, refit="roc_auc")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        trained = train(parts, search, spec, Progress(), CheckpointDir())
    assert not [each for each in caught if "fits failed" in str(each.message) or "non-finite" in str(each.message)]
    failed = [one for one in trained.candidates if one.error]
    assert [one.params for one in failed] == [{"dual": True, "solver": name} for name in ("lbfgs", "newton-cg")]
    assert failed[0].error == "ValueError: Solver lbfgs supports only dual=False, got dual=True"
    assert {one.rank for one in failed} == {5}
    assert trained.best.rank == 1
    alone = kit.search(LOGISTIC, {"solver": SOLVERS["solver"], "dual": [False]}, scoring=SCORING, refit="roc_auc")
    _, expected = kit.train(numbers, alone)
    there = {one.params["solver"]: one.mean for one in trained.candidates if not one.params["dual"]}
    assert there == {one.params["solver"]: one.mean for one in expected.candidates}  # to the last bit


def test_a_halving_search_leaves_candidates_out_too(kit: Kit, numbers: pd.DataFrame) -> None:
    target = "orchestrator.search.SharedHalvingGridSearchCV"
    halving: dict[str, Any] = {"_target_": target, "random_state": 0, "factor": 2, "on_error": "skip"}
    search = kit.search(LOGISTIC, SOLVERS, **halving)
    trained = train(kit.split(numbers, search), search, kit.search_spec(**halving), Progress(), CheckpointDir())
    failed = [one for one in trained.candidates if one.error]
    assert {(one.params["solver"], one.params["dual"]) for one in failed} == {("lbfgs", True), ("newton-cg", True)}
    assert min(one.rank for one in failed) > max(one.rank for one in trained.candidates if not one.error)


@pytest.mark.parametrize(
    ("others", "error"),
    [
        ([], "neg_log_loss could not be computed"),
        (["accuracy"], "AttributeError: Pipeline has none of the following attributes: predict_proba."),
    ],
)
def test_a_score_that_cannot_be_computed_leaves_a_candidate_out(
    kit: Kit, numbers: pd.DataFrame, others: list[str], error: str
) -> None:
    keys: dict[str, Any] = {"scoring": ["neg_log_loss", *others], "refit": "neg_log_loss", "on_error": "skip"}
    search = kit.search("sklearn.linear_model.SGDClassifier", {"loss": ["hinge", "log_loss"]}, **keys)
    trained = train(kit.split(numbers, search), search, kit.search_spec(**keys), Progress(), CheckpointDir())
    assert [one.error for one in trained.candidates] == [error, ""]
    assert trained.best.params == {"loss": "log_loss"}


def test_the_candidate_that_ends_a_search_is_named(kit: Kit, numbers: pd.DataFrame) -> None:
    for n_jobs in (1, 2):
        with pytest.raises(TrainError) as caught:
            kit.train(numbers, kit.search(LOGISTIC, SOLVERS, n_jobs=n_jobs))
        assert str(caught.value) == (
            "model: fitting failed with ValueError: Solver lbfgs supports only dual=False, got dual=True; the candidate "
            "was dual=True, solver=lbfgs (search.on_error=skip leaves out candidates that fail)"
        )


def test_a_search_in_which_every_candidate_fails_says_why(kit: Kit, numbers: pd.DataFrame) -> None:
    search = kit.search(LOGISTIC, {"solver": ["lbfgs", "newton-cg"], "dual": [True]}, on_error="skip")
    with pytest.raises(TrainError, match=r"failed for every candidate, first with ValueError: Solver lbfgs supports"):
        train(kit.split(numbers, search), search, kit.search_spec(on_error="skip"), Progress(), CheckpointDir())


def test_an_observers_error_is_not_the_estimators(kit: Kit, numbers: pd.DataFrame) -> None:
    with pytest.raises(TrackingError, match="the store is full"):
        train(
            kit.split(numbers),
            kit.search(),
            kit.search_spec(),
            Progress(Moody(TrackingError("the store is full"))),
            CheckpointDir(),
        )


def test_every_kind_of_column_goes_through_the_tabular_preprocessing(kit: Kit, mixed: pd.DataFrame) -> None:
    parts, trained = kit.train(mixed, kit.search(preprocess=TABULAR, scoring=SCORING, refit="roc_auc"))
    assert trained.best.mean["roc_auc"] > 0.6
    assert len(trained.pipeline.predict(parts.X_test)) == 20


@pytest.mark.parametrize(
    ("estimator", "params"),
    [
        ("xgboost.XGBClassifier", {"n_estimators": 3}),
        ("lightgbm.LGBMClassifier", {"n_estimators": 3, "verbose": -1}),
        ("sklearn.ensemble.HistGradientBoostingClassifier", {"max_iter": 3}),
        ("sklearn.svm.SVC", {}),  # no probabilities
    ],
)
def test_any_compatible_estimator_is_searched(
    kit: Kit, numbers: pd.DataFrame, estimator: str, params: dict[str, Any]
) -> None:
    pytest.importorskip(estimator.partition(".")[0])
    name = "C" if estimator.endswith("SVC") else "max_depth"
    search = kit.search(estimator, {name: [1, 2]}, params=params, scoring=SCORING, refit="roc_auc")
    parts, trained = kit.train(pd.concat([numbers] * 3), search)  # boosting wants twenty rows in a leaf
    assert trained.best.mean["roc_auc"] > 0.8
    evaluation = evaluate(parts, trained, kit.search_spec(scoring=SCORING, refit="roc_auc"), Seed(0))
    assert set(evaluation.figures) == {
        *("search_heatmap.png", "confusion_matrix.png", "roc_curve.png", "precision_recall_curve.png"),
    }


def regression(kit: Kit) -> tuple[pd.DataFrame, Search]:
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"a": rng.normal(size=60), "b": rng.normal(size=60)})
    search = kit.search("sklearn.linear_model.Ridge", {"alpha": [0.1, 1.0]}, scoring=["r2"], refit="r2")
    return table.assign(y=3 * table["a"] + 1), search


def test_a_regression_is_searched_and_drawn(kit: Kit) -> None:
    parts, trained = kit.train(*regression(kit))
    evaluation = evaluate(parts, trained, kit.search_spec(scoring=["r2"], refit="r2"), Seed(0))
    assert evaluation.metrics["r2"] > 0.9
    assert set(evaluation.figures) == {"search_heatmap.png", "predicted_vs_actual.png"}


def test_evaluation_scores_the_hold_out_rows(kit: Kit, numbers: pd.DataFrame) -> None:
    parts, trained = kit.train(numbers, kit.search(scoring=SCORING, refit="roc_auc"))
    evaluation = evaluate(parts, trained, kit.search_spec(scoring=SCORING, refit="roc_auc"), Seed(0))
    assert evaluation.metrics == {
        name: get_scorer(name)(trained.pipeline, parts.X_test, parts.y_test) for name in SCORING
    }
    assert all(evaluation.intervals[name].low <= value for name, value in evaluation.metrics.items())
    assert evaluation.intervals["accuracy"].method == "wilson"


def _commit() -> str:
    """Return the commit of the checkout that the tests run in; empty in a copy without git."""
    done = subprocess.run(["git", "-C", str(ROOT), "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


def test_the_report_is_plain_and_complete(kit: Kit, numbers: pd.DataFrame) -> None:
    search = kit.search(grid=GRID, scoring=SCORING, refit="roc_auc")
    parts, trained = kit.train(numbers, search)
    spec = kit.search_spec(scoring=SCORING, refit="roc_auc")
    evaluation = evaluate(parts, trained, spec, Seed(0))
    model = ModelSpec(estimator="sklearn.dummy.DummyClassifier", params={"strategy": "prior"})
    where = RunProvenance(ROOT, "name: toy\n")
    found = TableFindings(
        (TableFinding("data-identifier", "", ("id",)), TableFinding("data-duplicates", "")), {}, 80, 80
    )
    keys = kit.data(numbers), PreprocessSpec(), model, spec, Seed(5), FitOn("training")
    result = report(*keys, parts, found, trained, evaluation, where)
    assert result.params["seed"] == "5"
    assert result.params["model.params.strategy"] == "prior"
    assert result.params["search.refit"] == "roc_auc"
    assert result.tags["data_fingerprint"] == parts.digest
    assert result.tags.get("mlflow.source.git.commit", "") == _commit()
    assert result.tags["data_findings"] == "data-identifier (id); data-duplicates"
    assert result.findings == found.findings
    assert result.best_params == dict(trained.best.params)
    assert {"mean_test_roc_auc", "std_test_f1", "holdout_accuracy", "dummy_accuracy"} <= set(result.metrics)
    assert (result.tags["positive_label"], result.notes.positive_metrics) == ("1", ("f1",))
    assert result.metrics["mean_test_f1"] == trained.best.mean["f1"]
    assert result.intervals == evaluation.intervals
    assert "wilson 95%: accuracy, f1" in result.tags["holdout_intervals"]
    assert result.config == "name: toy\n"
    assert len(result.candidates) == 4
    assert "model_fit" not in result.tags
    again = report(*keys[:-1], FitOn("all"), parts, found, trained, evaluation, where)
    assert again.tags["model_fit"] == "again on all 80 rows; metrics are of the fit on 60 training rows"
    assert again.metrics == result.metrics


def test_each_distinct_warning_is_issued_once() -> None:
    with warnings.catch_warnings(record=True) as issued:
        warnings.simplefilter("always")
        with each_warning_once():
            for text in ("one", "two", "one", "one"):
                warnings.warn(text, stacklevel=1)
    assert [str(each.message) for each in issued] == ["one", "two"]
