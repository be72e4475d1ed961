"""ISO 8601 to seconds and back, one rule for time zones, and pandas' dates of every resolution."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from score.contract import dates


@given(st.datetimes(dt.datetime(1700, 1, 1), dt.datetime(2240, 1, 1)))  # noqa: DTZ001 -- the clock alone
def test_a_time_is_written_and_read_back_to_the_microsecond(time: dt.datetime) -> None:
    seconds = dates.seconds_of(time, aware=False)
    assert dates.parse(dates.write(seconds, aware=False), aware=False) == seconds
    assert dates.parse(time.isoformat(" "), aware=False) == seconds
    (back,) = pd.Series(dates.to_pandas([seconds], dates.NAIVE)).tolist()
    assert back.to_pydatetime() == time


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1970-01-02", 86400.0),
        ("1970-01-01T00:00", 0.0),
        ("1970-01-01 00:00:01,5", 1.5),
        ("1969-12-31T23:59:59.9999999", -1e-6),  # digits beyond microseconds are cut off
        ("0001-01-01", dates.FIRST),
        ("9999-12-31t23:59:59", dates.LAST),
    ],
)
def test_times_without_a_zone(text: str, seconds: float) -> None:
    assert dates.parse(text, aware=False) == seconds
    with pytest.raises(ValueError, match="has no time zone"):
        dates.parse(text, aware=True)


@pytest.mark.parametrize("zone", ["T10:00:00Z", " 12:00+02:00", "T12:00:00.0+0200", "T04:30:00-05:30", "T10:00:00+00"])
def test_times_with_a_zone_become_utc(zone: str) -> None:
    assert dates.write(dates.parse(f"2024-02-29{zone}", aware=True), aware=True) == "2024-02-29T10:00:00Z"
    with pytest.raises(ValueError, match="has a time zone"):
        dates.parse(f"2024-02-29{zone}", aware=False)


@pytest.mark.parametrize(
    "text", ["2023-02-29", "2024-13-01", "2024-1-5", "20240105", "now", "", "2024-01-01T24:00", "2024-01", "٢٠٢٤-01-01"]
)
def test_other_texts_are_no_dates(text: str) -> None:
    with pytest.raises(ValueError, match="is no date"):
        dates.parse(text, aware=False)


@pytest.mark.parametrize(
    "dtype", ["datetime64[s]", "datetime64[ns]", "datetime64[us, UTC]", "datetime64[ns, Asia/Tokyo]"]
)
def test_pandas_dates_of_every_resolution(dtype: str) -> None:
    naive: Any = pd.Series(np.array(["2024-01-01T12:30", "NaT", "1969-07-20"], "datetime64[us]"))
    values = naive.dt.tz_localize("UTC").astype(dtype) if "," in dtype else naive.astype(dtype)
    seconds = dates.column_seconds(values)
    np.testing.assert_array_equal(seconds, [1704112200.0, np.nan, -14256000.0])
    pd.testing.assert_series_equal(pd.Series(dates.to_pandas(seconds.tolist(), dtype)), values)


@pytest.mark.parametrize(
    ("form", "known"), [("%d/%m/%Y", True), ("%Y%m%d %H:%M%z", True), ("%d/%m", False), ("%Q", False)]
)
def test_formats(form: str, known: bool) -> None:
    assert dates.is_format(form) is known
