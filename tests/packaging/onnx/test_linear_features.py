"""Which features depend on one column, found by looking at few rows, whatever the number of columns."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from orchestrator.packaging.onnx.comparison_rows import Rows, accepted_rows
from orchestrator.packaging.onnx.linear_features import LinearFeatures
from score.contract.schema import Contract


class Counted:
    """Each column times -2 plus its place, then the sum of two columns and a constant; counts the rows."""

    def __init__(self) -> None:
        self.rows = 0

    def __call__(self, rows: Rows) -> Any:
        self.rows += len(rows)
        table = np.column_stack([np.asarray(values, dtype=float) for values in rows.columns().values()])
        single = np.arange(table.shape[1]) - 2 * table
        return np.column_stack([single, table[:, 0] + table[:, 1], np.full(len(rows), 7.0)])


def found(width: int) -> tuple[LinearFeatures, Counted]:
    rng = np.random.default_rng(0)
    X = pd.DataFrame({f"c{place}": rng.normal(size=5) for place in range(width)}).assign(c1=range(5))
    contract, counted = Contract.describe(X, model_name="m", task="regression"), Counted()
    return LinearFeatures.find(contract, accepted_rows([X], contract), counted), counted


@pytest.mark.parametrize(("width", "rows"), [(2, 5), (20, 11), (300, 19)])
def test_a_source_is_found_in_as_many_rows_as_the_number_of_columns_has_bits(width: int, rows: int) -> None:
    linear, counted = found(width)
    assert counted.rows == rows
    assert [linear.sources[feature][0] for feature in sorted(linear.sources)] == [*range(width)]
    np.testing.assert_allclose([each[1:] for each in linear.sources.values()], [(-2, place) for place in range(width)])


def test_thresholds_of_all_columns_are_searched_in_the_same_rows() -> None:
    few, many = found(20), found(300)
    for linear, counted in (few, many):
        features = np.delete(np.arange(len(linear.sources)), 1)
        thresholds = features - 2 * 0.3  # which flip at 0.3
        for narrow in (False, True):
            low, high, flips = linear.flips(features, thresholds, np.full(len(features), narrow))
            assert flips.all()
            np.testing.assert_allclose(low, 0.3, rtol=1e-4)
            assert (np.nextafter(low, np.inf) == high).all()
        assert counted.rows < 1000
    assert abs(few[1].rows - many[1].rows) < 300
