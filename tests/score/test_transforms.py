"""The shipped transformers: what they do, what they refuse, and scikit-learn's rules for estimators."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.utils._param_validation import InvalidParameterError

from score.transforms import ToFloat, ZerosToMissing

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
