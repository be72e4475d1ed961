"""The column that decides the split: groups, times in several notations, names of parts."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pytest

from orchestrator.errors import DataError
from orchestrator.modeling.splitting import keys
from orchestrator.spec.split import SplitSpec, duration_seconds


def by_time(**more: Any) -> SplitSpec:
    return SplitSpec(rule="time", by="at", **more)


def test_groups_are_numbered_in_sorted_order() -> None:
    assert keys.group_codes(pd.Series(["b", "a", "b", "c"]), "who").tolist() == [1, 0, 1, 2]
    assert keys.group_codes(pd.Series([7, "a", 7, 3], dtype=object), "who").tolist() == [1, 2, 1, 0]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (["a", None, "b", None], "'who' is missing in 2 of 4 rows; fill or remove them"),
        (["a", "a"], "'who' has one group only, 'a'; two are the least"),
    ],
)
def test_groups_that_decide_nothing_are_refused(values: list[Any], message: str) -> None:
    with pytest.raises(DataError) as caught:
        keys.group_codes(pd.Series(values), "who")
    assert str(caught.value) == f"data.split.by: {message}"


@pytest.mark.parametrize(
    ("values", "form"),
    [
        (["2024-03-01", "2024-01-31", "2024-02-01T12:30:00"], None),
        (["2024-03-01T00:00:00+02:00", "2024-01-31", "2024-02-01T00:00:00Z"], None),
        (["01/03/2024", "31/01/2024", "01/02/2024"], "%d/%m/%Y"),
        ([20240301, 20240131, 20240201], "%Y%m%d"),
        ([date(2024, 3, 1), date(2024, 1, 31), date(2024, 2, 1)], None),
        (pd.to_datetime(["2024-03-01", "2024-01-31", "2024-02-01"]), None),
        (pd.to_datetime(["2024-03-01", "2024-01-31", "2024-02-01"]).tz_localize("Asia/Tokyo"), None),
        ([2024, 2021, 2022], None),
        ([3.5, 1.0, 2.25], None),
    ],
    ids=str,
)
def test_times_are_read_in_their_order(values: Any, form: str | None) -> None:
    times = keys.time_values(pd.Series(values), by_time(date_format=form))
    assert np.argsort(times).tolist() == [1, 2, 0]
    assert times.dtype.kind in "Mif"


@pytest.mark.parametrize(
    ("values", "more", "message"),
    [
        (
            ["2024-01-31", "31.1.2024", "1.2.2024"],
            {},
            "data.split.by: 'at' holds '31.1.2024' (and 1 more), which is neither",
        ),
        (["soon", "late"], {}, 'data.split.date_format="%d/%m/%Y"\''),
        (
            ["31.1.2024"] * 2,
            {"date_format": "%Y"},
            "data.split.date_format: 'at' holds '31.1.2024' (and 1 more), which",
        ),
        (["2024-01-31", None], {}, "data.split.by: 'at' is missing in 1 of 2 rows"),
        (["2024-01-31"] * 3, {}, "data.split.by: 'at' holds one time only, 2024-01-31; two are the least"),
        (
            ["2024-01-31", "2024-02-01"],
            {"gap": 7},
            "data.split.gap: 'at' holds dates; write the gap with its unit, such as 7d",
        ),
        (
            [20240131, 20240201],
            {"gap": "7d"},
            "'at' holds numbers such as 20240131; write the gap as a number in their unit",
        ),
    ],
)
def test_times_that_cannot_be_ordered_are_refused(values: list[Any], more: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError) as caught:
        keys.time_values(pd.Series(values), by_time(**more))
    assert message in str(caught.value)


def test_a_gap_is_a_duration_or_a_number() -> None:
    dates = keys.time_values(pd.Series(["2024-01-31", "2024-02-01"]), by_time())
    assert keys.gap_of(dates, by_time(gap="36h")) == np.timedelta64(36, "h")
    assert keys.gap_of(dates, by_time()) == np.timedelta64(0, "h")
    assert keys.gap_of(np.array([2020, 2021]), by_time(gap=1)) == 1
    assert [duration_seconds(text) for text in ("2w", "1.5 d", "30min", "1s")] == [1_209_600, 129_600, 1800, 1]


def test_common_names_of_parts_need_no_explanation() -> None:
    parts = keys.parts_of(pd.Series(["Train", " test", "valid", "train"]), SplitSpec(rule="column", by="part"))
    assert parts.tolist() == [keys.TRAINING, keys.HELD_OUT, keys.VALIDATION, keys.TRAINING]


@pytest.mark.parametrize("written", [1, "1", 1.0])
def test_named_parts_are_found_as_labels_are(written: Any) -> None:
    split = SplitSpec(rule="column", by="part", test=written, validation=(2,))
    parts = keys.parts_of(pd.Series([0, 1, 2, 7]), split)
    assert parts.tolist() == [keys.TRAINING, keys.HELD_OUT, keys.VALIDATION, keys.TRAINING]


@pytest.mark.parametrize(
    ("values", "more", "message"),
    [
        ([0, 1], {}, "data.split.test: 'part' holds 0, 1; write which of them are held out, such as data.split.test=0"),
        (["train", "tset"], {}, "data.split.test: 'part' holds 'train', 'tset'; write which"),
        (["train", "fit"], {}, "data.split.test: no row is held out: 'part' holds 'train', 'fit'"),
        (["test", "test"], {}, "data.split.by: no row is left for training: 'part' holds 'test'"),
        (["a", "b"], {"test": "c"}, "data.split.test: 'c' is no value of 'part'; there are: a, b"),
        (["train", "test"], {"validation": "val"}, "data.split.validation: 'val' is no value of 'part'"),
        (["train", None, "test"], {}, "data.split.by: 'part' is missing in 1 of 3 rows"),
    ],
)
def test_parts_that_say_nothing_are_refused(values: list[Any], more: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError) as caught:
        keys.parts_of(pd.Series(values), SplitSpec(rule="column", by="part", **more))
    assert message in str(caught.value)
