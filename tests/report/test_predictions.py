"""A replay answers as its pipeline does, from one prediction."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from sklearn.metrics import get_scorer
from sklearn.svm import LinearSVC

from orchestrator.report.predictions import Replay, replay_holdout
from tests.report.trainings import table, train, two_classes


@pytest.mark.parametrize("estimator", [None, LinearSVC()])
@pytest.mark.parametrize("metric", ["roc_auc", "accuracy", "f1", "average_precision"])
def test_scores_of_parts_are_the_pipelines_to_the_last_bit(metric: str, estimator: Any) -> None:
    X = table()
    made = train(X, (X["a"] + X["b"] > 0).map({True: "yes", False: "no"}), estimator=estimator)
    model, X, y = replay_holdout(made.trained, made.split)
    score = get_scorer(metric)
    for part in (slice(None), slice(5, 40), [3, 1, 17, 2]):
        assert score(model, X.iloc[part], y.iloc[part]) == score(made.trained.pipeline, X.iloc[part], y.iloc[part])


def test_it_predicts_once_and_asks_the_pipeline_for_other_rows() -> None:
    made = two_classes()
    calls: list[int] = []

    class Counting:
        def predict(self, X: pd.DataFrame) -> Any:
            calls.append(len(X))
            return made.trained.pipeline.predict(X)

    model = Replay(Counting(), made.split.X_test.reset_index(drop=True))
    for _ in range(3):
        model.predict(model.X.iloc[:7])
    model.predict(made.split.X_train.set_axis(range(900, 900 + len(made.split.X_train))))
    assert calls == [50, 150]
    assert not hasattr(model, "predict_proba")
