"""The columns of explanations: of which class their numbers are, and their errors."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from orchestrator.batch.explaining import explanation_columns, explanation_values
from score.explain.explainer import Explanation, ExplanationRecord

COLUMNS = [SimpleNamespace(name="a"), SimpleNamespace(name="b")]


def explaining(method: Any, outputs: list[int] | None, classes: tuple[str, ...] | None) -> Any:
    """A predictor that explains three rows: the number of the output, then those of row and column."""
    count = len(outputs or [0])
    values = np.array(
        [[[100 * out + 10 * row + column for column in (1, 2)] for out in range(count)] for row in range(3)]
    )
    explanation = Explanation(np.arange(count) + 0.5, values, values / 1000 if method == "permutation" else None)
    record = ExplanationRecord(method, "", "probability", outputs)
    contract = SimpleNamespace(columns=COLUMNS, classes=classes)
    return SimpleNamespace(explanation=record, contract=contract, explain=lambda _: explanation)


@pytest.mark.parametrize(
    ("outputs", "classes", "predicted", "base", "a"),
    [
        ([0, 1, 2], ("x", "y", "z"), ["z", "x", "y"], [2.5, 0.5, 1.5], [201, 11, 121]),
        ([0, 2], ("x", "y", "z"), ["z", "x", "x"], [1.5, 0.5, 0.5], [101, 11, 21]),  # no training row is of y
        ([1], ("no", "yes"), ["no", "yes", "no"], [0.5] * 3, [1, 11, 21]),
        (None, None, [7.0, 8.0, 9.0], [0.5] * 3, [1, 11, 21]),
    ],
)
def test_of_several_classes_the_predicted_one_is_explained(
    outputs: Any, classes: Any, predicted: list[Any], base: list[float], a: list[float]
) -> None:
    predictor = explaining("trees", outputs, classes)
    found = explanation_values(predictor, {}, predicted)
    assert found == [base, a, [each + 1 for each in a]]
    assert explanation_columns(predictor) == ["explain_base", "explain_a", "explain_b"]


def test_estimates_have_columns_of_errors() -> None:
    predictor = explaining("permutation", [1], ("no", "yes"))
    assert explanation_columns(predictor)[3:] == ["explain_a_error", "explain_b_error"]
    assert explanation_values(predictor, {}, ["no"] * 3)[3:] == [[0.001, 0.011, 0.021], [0.002, 0.012, 0.022]]
