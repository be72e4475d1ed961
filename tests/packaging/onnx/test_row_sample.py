"""Of a large table a sample is compared, and still both sides of every threshold."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestClassifier

from orchestrator.packaging.onnx import row_sample
from orchestrator.packaging.onnx.comparison_rows import accepted_rows
from orchestrator.packaging.onnx.row_sample import sample_rows
from orchestrator.packaging.onnx.threshold_rows import split_rows

from .conftest import Fit, tabular


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_sample, "CELLS", 100)
    monkeypatch.setattr(row_sample, "MIN_ROWS", 10)


def test_a_table_below_the_limit_is_taken_as_a_whole(X: pd.DataFrame) -> None:
    tables = [X[:600], X[600:]]
    assert sample_rows(tables) == (tables, [])


@pytest.mark.usefixtures("small")
def test_a_sample_has_as_many_rows_as_the_cells_allow_and_is_the_same_each_time(X: pd.DataFrame) -> None:
    for table, rows in ((X, 100 // X.shape[1]), (X[["Age", "BMI"]], 50)):
        chosen, others = sample_rows([table[:600], table[600:]])
        assert sum(map(len, chosen)) == max(10, rows)
        joined = pd.concat([*chosen, *others]).sort_index()
        pd.testing.assert_frame_equal(joined, table)
        assert all(map(pd.DataFrame.equals, chosen, sample_rows([table[:600], table[600:]])[0]))


@pytest.mark.usefixtures("small")
def test_thresholds_that_no_sampled_row_reaches_are_tried_on_other_rows(
    fit: Fit, mixed: pd.DataFrame, targets: dict[str, Any]
) -> None:
    fitted = fit(tabular(), RandomForestClassifier(3, max_depth=6, random_state=0), mixed, targets["two"])
    chosen, others = sample_rows(fitted.tables)
    _, of_sample = split_rows(fitted.pipeline, fitted.contract, accepted_rows(chosen, fitted.contract))
    _, of_all = split_rows(fitted.pipeline, fitted.contract, accepted_rows(fitted.tables, fitted.contract))
    compilation = fitted.compile().compilation
    assert (compilation.reason, compilation.rows) == ("", sum(map(len, chosen)))
    assert of_sample < of_all == compilation.splits
    assert of_all > 50
    assert sum(map(len, others)) == len(mixed) - 10


def test_no_other_row_is_looked_at_where_all_thresholds_are_reached(
    fit: Fit, X: pd.DataFrame, targets: dict[str, Any]
) -> None:
    fitted = fit([], RandomForestClassifier(2, max_depth=2, random_state=0), X, targets["two"])
    rows = accepted_rows(fitted.tables, fitted.contract)

    class Unread(pd.DataFrame):
        @property
        def iloc(self) -> Any:
            raise AssertionError

    assert split_rows(fitted.pipeline, fitted.contract, rows, [Unread(X)])[1] > 3
    assert np.unique(rows.at).size == len(rows)
