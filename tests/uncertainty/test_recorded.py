from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import is_classifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import get_scorer

from orchestrator.uncertainty.recorded import OtherRowsError, RecordedEstimator

X = pd.DataFrame({"a": np.linspace(-1, 1, 30), "b": np.tile([0.5, -0.5, 0.1], 10)})
Y = pd.Series((X["a"] + X["b"] > 0).astype(int))
ROWS = np.array([3, 3, 9, 20, 25, 29])


class Counting(LogisticRegression):  # type: ignore[misc]
    calls = 0

    def predict_proba(self, rows: Any) -> Any:
        type(self).calls += 1
        return super().predict_proba(rows)


@pytest.mark.parametrize("plain", [True, False])
def test_scorers_get_the_predictions_of_the_selected_rows_from_one_prediction(*, plain: bool) -> None:
    model = Counting().fit(X, Y)
    recorded = RecordedEstimator(model, X)
    assert is_classifier(recorded)
    Counting.calls = 0
    for rows in (ROWS, ROWS[1:]):
        selected = recorded.take(rows, plain=plain)
        score = get_scorer("neg_log_loss")(recorded, selected, Y.to_numpy()[rows])
        assert Counting.calls == 1
        wanted = -np.log(LogisticRegression.predict_proba(model, X.iloc[rows])[np.arange(len(rows)), Y.iloc[rows]])
        assert score == pytest.approx(-wanted.mean())


def test_other_rows_than_those_selected_are_refused_and_missing_methods_are_missing() -> None:
    recorded = RecordedEstimator(LogisticRegression().fit(X, Y), X)
    selected = recorded.take(ROWS)
    with pytest.raises(OtherRowsError):
        recorded.predict(selected * 2)
    assert recorded.coef_.shape == (1, 2)
    assert recorded.answers("transform") is None
    assert not hasattr(recorded, "transform")
