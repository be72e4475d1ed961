"""The decision threshold in the stages: chosen on the folds of the search, and on every path to a label of a package."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import precision_score, recall_score
from sklearn.model_selection import cross_val_predict

from orchestrator.artifacts import Evaluation, Split, Trained
from orchestrator.errors import DataError
from orchestrator.events import Progress
from orchestrator.modeling.threshold import decided, make_decision, out_of_fold
from orchestrator.spec.evaluate import EvaluateSpec
from orchestrator.spec.field_types import FitOn, Seed, StateDir
from orchestrator.spec.package import PackageSpec
from orchestrator.stages.package import package, verify
from orchestrator.stages.train import evaluate
from score import pyfunc
from score.contract import golden
from score.contract.deployment_info import described
from score.predict.decision import decide
from score.predict.predictor import Predictor

from .conftest import Kit

LOGISTIC = "sklearn.linear_model.LogisticRegression"


def test_predictions_are_out_of_fold_by_the_searchs_folds(kit: Kit, numbers: pd.DataFrame) -> None:
    parts, trained = kit.train(numbers, kit.search(LOGISTIC, grid={"C": [0.1, 1.0]}))
    rows, scores = out_of_fold(trained, parts, 2)
    expected = cross_val_predict(trained.pipeline, parts.X_train, parts.y_train, cv=2, method="predict_proba")[:, 1]
    assert scores.tolist() == expected[rows].tolist()
    rule = EvaluateSpec(threshold="max_f1")
    blind = replace(
        parts, X_test=parts.X_test.iloc[:0], y_test=parts.y_test.iloc[:0]
    )  # the hold-out rows are not looked at
    assert make_decision(rule, trained, blind, 2) == make_decision(rule, trained, parts, 2)
    by_time = replace(parts, folds=[(np.arange(30), np.arange(30, 45)), (np.arange(45), np.arange(45, 60))])
    assert out_of_fold(trained, by_time, 2)[0].tolist() == [*range(30, 60)]


def test_it_refuses_what_it_cannot_decide(kit: Kit, numbers: pd.DataFrame) -> None:
    parts, trained = kit.train(numbers, kit.search("sklearn.svm.SVC"))
    for changed, text in (
        ({}, "SVC gives no probabilities"),
        ({"classes": (0, 1, 2)}, "this is 3 classes"),
        ({"classes": None}, "this is a regression"),
    ):
        with pytest.raises(DataError, match=rf"evaluate\.threshold: .*{text}"):
            make_decision(EvaluateSpec(threshold=0.3), trained, replace(parts, **changed), 2)
    assert make_decision(EvaluateSpec(threshold=0.5), trained, parts, 2) is None
    assert decided(trained.pipeline, None) is trained.pipeline


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory, numbers: pd.DataFrame) -> tuple[Split, Trained, Evaluation]:
    """A forest of ten trees, many of whose probabilities equal the threshold, and its evaluation."""
    kit = Kit(tmp_path_factory.mktemp("fitted"))
    noisy = numbers.assign(a=numbers["a"] + np.random.default_rng(5).normal(0, 0.8, len(numbers)))
    parts, trained = kit.train(noisy, kit.search(params={"n_estimators": 10, "random_state": 0}))
    search = kit.search_spec(scoring=["recall", "precision", "roc_auc"], refit="roc_auc")
    return parts, trained, evaluate(parts, trained, search, EvaluateSpec(threshold=0.3), Seed(0))


def test_metrics_of_labels_use_it_and_those_of_probabilities_do_not(
    fitted: tuple[Split, Trained, Evaluation], kit: Kit
) -> None:
    parts, trained, evaluation = fitted
    labels = decide(trained.pipeline.predict_proba(parts.X_test), 0.3)
    assert labels.tolist() != trained.pipeline.predict(parts.X_test).tolist()
    assert evaluation.metrics["recall"] == recall_score(parts.y_test, labels)
    assert evaluation.metrics["precision"] == precision_score(parts.y_test, labels)
    search = kit.search_spec(scoring=["recall", "precision", "roc_auc"], refit="roc_auc")
    plain = evaluate(parts, trained, search, EvaluateSpec(), Seed(0))
    assert plain.decision is None
    assert plain.metrics["roc_auc"] == evaluation.metrics["roc_auc"]
    assert plain.metrics["recall"] == recall_score(parts.y_test, trained.pipeline.predict(parts.X_test))
    assert plain.figures["confusion_matrix.png"] != evaluation.figures["confusion_matrix.png"]
    assert plain.figures["roc_curve.png"] == evaluation.figures["roc_curve.png"]


@pytest.mark.parametrize("mode", ["required", "never"])
def test_every_server_of_the_package_decides_by_it(
    mode: Literal["required", "never"], fitted: tuple[Split, Trained, Evaluation], kit: Kit
) -> None:
    parts, trained, evaluation = fitted
    made = package(
        trained,
        parts,
        evaluation,
        PackageSpec(model_name="toy", compile=mode, golden_rows=20),
        FitOn("training"),
        StateDir(kit.folder / "state"),
        Progress(),
    )
    predictor = Predictor.load(made.path)
    assert predictor.compiled == (mode == "required")
    assert predictor.contract.threshold == 0.3
    probabilities = trained.pipeline.predict_proba(parts.X_train)
    expected = decide(probabilities, 0.3).tolist()
    assert (np.abs(probabilities[:, 1] - 0.3) < 1e-12).any()
    assert {0, 1} == set(expected)
    payload = predictor.score({"data": parts.X_train.to_dict("records")}).payload
    assert payload["predictions"] == expected
    assert pyfunc._load_pyfunc(str(made.path)).predict(parts.X_train).tolist() == expected
    (records,) = (each for each in golden.read(made.path) if each.name == golden.RECORDS)
    assert records.reply["predictions"] == decide(trained.pipeline.predict_proba(parts.X_test), 0.3).tolist()
    about = described(json.loads((made.path / "contract.json").read_text()), None, compiled=True)
    assert about["threshold"] == 0.3
    if mode == "required":
        assert verify(made).requests == 5


def test_without_one_the_contract_says_nothing_of_it(toy_package: Any) -> None:
    assert "threshold" not in json.loads((toy_package.path / "contract.json").read_text())
    assert Predictor.load(toy_package.path).contract.threshold is None
