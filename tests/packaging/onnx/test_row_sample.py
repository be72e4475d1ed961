"""Of a large table a sample is compared, and still both sides of every threshold."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestClassifier

from orchestrator.packaging.onnx import row_sample
from orchestrator.packaging.onnx.comparison_rows import accepted_rows
from orchestrator.packaging.onnx.row_sample import RowSample

from .conftest import Fit, split_rows, tabular


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_sample, "CELLS", 100)
    monkeypatch.setattr(row_sample, "MIN_ROWS", 10)


def test_a_table_below_the_limit_is_taken_as_a_whole(X: pd.DataFrame) -> None:
    sample = RowSample.draw([X[:600], X[600:]])
    assert [id(table) for table in sample.rows] == [id(table) for table in sample.tables]
    assert list(sample.others(10)) == []


@pytest.mark.usefixtures("small")
def test_a_sample_has_as_many_rows_as_the_cells_allow_and_is_the_same_each_time(X: pd.DataFrame) -> None:
    for table, rows in ((X, 100 // X.shape[1]), (X[["Age", "BMI"]], 50)):
        sample = RowSample.draw([table[:600], table[600:]])
        assert sum(map(len, sample.rows)) == max(10, rows)
        others = list(sample.others(100))
        assert max(map(len, others)) == 100
        pd.testing.assert_frame_equal(pd.concat([*sample.rows, *others]).sort_index(), table)
        assert all(map(pd.DataFrame.equals, sample.rows, RowSample.draw([table[:600], table[600:]]).rows))


@pytest.mark.usefixtures("small")
def test_thresholds_that_no_sampled_row_reaches_are_tried_on_other_rows(
    fit: Fit, mixed: pd.DataFrame, targets: dict[str, Any]
) -> None:
    fitted = fit(tabular(), RandomForestClassifier(3, max_depth=6, random_state=0), mixed, targets["two"])
    rows = accepted_rows(RowSample.draw(fitted.tables).rows, fitted.contract)
    _, of_sample = split_rows(fitted, rows)
    _, of_all = split_rows(fitted, accepted_rows(fitted.tables, fitted.contract))
    compilation = fitted.compile().compilation
    assert (compilation.reason, compilation.rows) == ("", 10)
    assert of_sample < of_all == compilation.splits
    assert of_all > 50


def test_no_other_row_is_looked_at_where_all_thresholds_are_reached(
    fit: Fit, X: pd.DataFrame, targets: dict[str, Any]
) -> None:
    fitted = fit([], RandomForestClassifier(2, max_depth=2, random_state=0), X, targets["two"])
    rows = accepted_rows(fitted.tables, fitted.contract)

    class Unread(RowSample):
        def others(self, count: int) -> Any:
            yield pytest.fail(f"{count} rows are read")

    assert split_rows(fitted, rows, Unread([X], [np.zeros(len(X), dtype=bool)]))[1] > 3
