"""The shipped transformers: what they do, what they refuse, and scikit-learn's rules for estimators."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.utils._param_validation import InvalidParameterError

from score.transforms import DateParts, ToFloat, ZerosToMissing

MAKERS: list[Callable[[], Any]] = [ToFloat, lambda: ToFloat(["a"]), lambda: ZerosToMissing(["a"])]


@pytest.fixture
def frame() -> pd.DataFrame:
    return pd.DataFrame({"a": [0, 1, 2], "b": [0.0, 0.5, 1.0], "c": [True, False, True]})


def test_to_float_casts(frame: pd.DataFrame) -> None:
    assert set(map(str, ToFloat().fit_transform(frame).dtypes)) == {"float64"}
    assert list(map(str, ToFloat(["a"]).fit_transform(frame).dtypes)) == ["float64", "float64", "bool"]


def test_zeros_become_missing_in_the_named_columns_only(frame: pd.DataFrame) -> None:
    result = ZerosToMissing(["a"]).fit_transform(frame)
    pd.testing.assert_frame_equal(result, frame.assign(a=[np.nan, 1.0, 2.0]))


def test_the_dtype_does_not_depend_on_the_rows(frame: pd.DataFrame) -> None:
    assert ZerosToMissing(["a"]).fit(frame).transform(frame.tail(1))["a"].dtype == "float64"
    pd.testing.assert_frame_equal(ZerosToMissing([]).fit_transform(frame), frame)


@pytest.mark.parametrize("make", MAKERS)
def test_it_is_an_estimator(make: Callable[[], Any], frame: pd.DataFrame) -> None:
    before = frame.copy()
    fitted = make().fit(frame)
    result = fitted.transform(frame)
    pd.testing.assert_frame_equal(frame, before)
    pd.testing.assert_frame_equal(make().transform(frame), result)  # stateless
    assert fitted.n_features_in_ == 3
    assert list(fitted.feature_names_in_) == list(fitted.get_feature_names_out()) == ["a", "b", "c"]
    assert clone(fitted).get_params() == fitted.get_params()
    assert b"score.transforms" in pickle.dumps(fitted)
    pd.testing.assert_frame_equal(pickle.loads(pickle.dumps(fitted)).transform(frame), result)
    pd.testing.assert_frame_equal(make_pipeline(make()).set_output(transform="pandas").fit_transform(frame), result)


@pytest.mark.parametrize("make", MAKERS)
def test_only_a_frame_with_the_fitted_columns_is_taken(make: Callable[[], Any], frame: pd.DataFrame) -> None:
    with pytest.raises(TypeError, match="takes a pandas DataFrame, got ndarray"):
        make().fit(frame.to_numpy())
    with pytest.raises(ValueError, match="no column 'a'; there are 'b', 'c'"):
        make().fit(frame).transform(frame[["b", "c"]])
    with pytest.raises(ValueError, match="in this order"):
        make().fit(frame).transform(frame[["b", "a", "c"]])


def test_a_column_that_is_not_there_is_named(frame: pd.DataFrame) -> None:
    with pytest.raises(ValueError, match="ZerosToMissing: no column 'x', 'y'; there are 'a', 'b', 'c'"):
        ZerosToMissing(["x", "a", "y"]).fit(frame)


@pytest.mark.parametrize("make", MAKERS)
def test_a_column_of_no_numbers_is_named(make: Callable[[], Any], frame: pd.DataFrame) -> None:
    with pytest.raises(ValueError, match="column 'a' holds no numbers"):
        make().fit_transform(frame.assign(a=["x", "y", "z"]))


@pytest.mark.parametrize(
    ("kind", "columns"), [(ToFloat, "a"), (ToFloat, 3), (ZerosToMissing, "a"), (ZerosToMissing, None)]
)
def test_wrong_parameters_are_refused(kind: Callable[[Any], Any], columns: Any, frame: pd.DataFrame) -> None:
    with pytest.raises(InvalidParameterError, match="'columns' parameter"):
        kind(columns).fit(frame)


def test_dates_become_parts_in_their_place() -> None:
    at = pd.Series(np.array(["2024-02-29T13:45", "NaT", "1999-12-31"], "datetime64[us]"))
    frame = pd.DataFrame({"at": at, "n": [1, 2, 3], "day": at.dt.normalize().dt.tz_localize("UTC")})
    fitted = DateParts().fit(frame)
    result = fitted.transform(frame)
    names = ["at_year", "at_month", "at_weekday", "at_hour", "at_days", "n"]
    assert [*result.columns] == [*fitted.get_feature_names_out()] == [
        *names, "day_year", "day_month", "day_weekday", "day_days",
    ]  # fmt: skip
    expected = [[2024, 2, 3, 13, 8825 + 13.75 / 24, 1], [np.nan] * 5 + [2], [1999, 12, 4, 0, -1, 3]]
    np.testing.assert_array_equal(result[names].to_numpy(), expected)
    np.testing.assert_array_equal(result["day_days"], [8825, np.nan, -1])
    pd.testing.assert_frame_equal(DateParts(["at", "day"]).fit_transform(frame), result)
    assert set(make_pipeline(DateParts()).set_output(transform="pandas").fit_transform(frame)) == {*result.columns}


def test_parts_are_those_of_pandas_in_every_century() -> None:
    days = pd.Series(np.arange(-719162, 2932896, 997).astype("datetime64[D]").astype("datetime64[us]"))
    result = DateParts().fit_transform(days.to_frame("d"))
    for part, expected in (("year", days.dt.year), ("month", days.dt.month), ("weekday", days.dt.day_of_week)):
        np.testing.assert_array_equal(result[f"d_{part}"], expected)


def test_what_holds_no_dates_is_refused(frame: pd.DataFrame) -> None:
    with pytest.raises(ValueError, match="DateParts: column 'a' holds no dates, but int64"):
        DateParts(["a"]).fit(frame)
    dates = frame.assign(d=pd.Timestamp("2024-01-01"), d_year=1)
    with pytest.raises(ValueError, match="two columns 'd_year'; rename"):
        DateParts().fit(dates)
    with pytest.raises(NotFittedError):
        DateParts().transform(dates)
