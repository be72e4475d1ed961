"""The table's columns in words and counts."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

from orchestrator.report import columns
from orchestrator.report.columns import summarise_table
from tests.report.trainings import train


def test_each_kind_of_column_is_summarised_over_training_and_holdout_rows() -> None:
    rows = 40
    X = pd.DataFrame(
        {
            "n": [*range(rows - 1), np.nan],
            "city": ["Rome"] * 30 + ["Oslo"] * 9 + [None],
            "day": pd.date_range("2024-01-01", periods=rows),
            "flag": [True, False] * 20,
            "none": pd.Series([np.nan] * rows, dtype="float64"),
            "infinite": [np.inf] * rows,
        }
    )
    made = train(X[["n"]], pd.Series(["b", "a"] * 20, name="y")).split
    split = made.__class__(X[:30], X[30:], made.y_train, made.y_test, made.classes, "")
    found = summarise_table(split, 0)
    assert (found.rows, found.training, found.held_out, found.width, found.repeated) == (40, 30, 10, 6, 0)
    assert (found.target.levels, found.target.counts) == (("b", "a"), (20, 20))
    by_name = {column.name: column for column in found.columns}
    assert (by_name["n"].missing, by_name["n"].distinct) == (1, 39)
    assert by_name["n"].about == "0 to 38, median 19"
    assert sum(by_name["n"].counts) == 39
    assert by_name["city"].about == "Rome 77%, Oslo 23%"
    assert by_name["city"].missing == 1
    assert by_name["day"].about == "2024-01-01 to 2024-02-09, median 2024-01-20"
    assert by_name["flag"].levels == ("True", "False")
    assert (by_name["none"].about, by_name["infinite"].about) == ("no value", "no finite value")


@pytest.mark.filterwarnings("error")
def test_a_wide_table_that_was_made_column_by_column_is_summarised_without_a_warning() -> None:
    made = train(pd.DataFrame({"n": np.arange(40.0)}), pd.Series([0, 1] * 20, name="y")).split
    wide = pd.DataFrame(index=range(40))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pd.errors.PerformanceWarning)
        for place in range(120):
            wide[f"c{place}"] = 1.0
    split = made.__class__(wide[:30], wide[30:], made.y_train, made.y_test, made.classes, "")
    assert summarise_table(split, 0).repeated == 38  # of each class one row is the first


@pytest.mark.parametrize(
    ("values", "about"),
    [
        ([0.3, 0.3 + 5.6e-17], "about 0.3"),
        ([-1.7e308, 1.7e308], "-1.700e+308 to 1.700e+308, median -1.700e+308"),
        ([2**60, 2**60 + 256], "about 1.153e+18"),
        ([1000.1, 1000.2], "about 1,000"),
        ([7, 7], "always 7"),
        ([7, 7, np.inf], "always 7, 1 infinite"),
    ],
)
def test_numbers_that_numpy_makes_no_bins_of_have_a_histogram(values: list[float], about: str) -> None:
    found = columns._summarise(pd.Series(values, name="n"), np.arange(len(values)), {})
    assert found.about == about
    assert sum(found.counts) == 2


def test_repeated_rows_are_counted_and_lists_do_not_end_it() -> None:
    X = pd.DataFrame({"a": [1.0, 1.0, 2.0, 1.0] * 5, "b": ["x", "x", "x", "y"] * 5})
    split = train(X, pd.Series(["p", "p", "q", "q"] * 5)).split
    assert summarise_table(split, 0).repeated == 17
    listed = (
        split.X_train.assign(b=pd.Series([["x"]] * len(split.X_train), index=split.X_train.index)),
        split.X_test.assign(b=pd.Series([["x"]] * len(split.X_test), index=split.X_test.index)),
    )
    made = split.__class__(*listed, split.y_train, split.y_test, split.classes, "")
    assert summarise_table(made, 0).repeated == 17


def test_of_many_rows_and_columns_a_part_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns, "ROWS", 50)
    X = pd.DataFrame(np.random.default_rng(0).normal(size=(80, 70)), columns=[f"c{at}" for at in range(70)])
    X.iloc[::2, 0] = np.nan
    found = summarise_table(train(X, X["c1"].rename("y")).split, 0)
    assert (found.sampled, found.width, len(found.columns)) == (50, 70, 60)
    assert found.columns[0].missing == 40  # of all rows
    assert sum(found.columns[1].counts) == 50
