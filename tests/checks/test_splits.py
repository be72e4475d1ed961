"""Rows on both sides of the split, and dates and groups with a random split."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from orchestrator.checks import splits

RNG = np.random.default_rng(0)


def table(rows: int = 200) -> pd.DataFrame:
    return pd.DataFrame({"a": RNG.normal(size=rows), "b": RNG.choice(["p", "q"], rows), "y": RNG.integers(0, 2, rows)})


def test_rows_on_both_sides_are_found(checker: Any) -> None:
    twice = pd.concat([table(200)] * 2, ignore_index=True)
    (finding,) = checker.find(twice)
    assert (finding.code, finding.remedy) == ("data-duplicates", "data.duplicates=drop")
    assert " of 100 hold-out rows have the features of a training row, " in finding.text
    other_target = twice.assign(y=RNG.integers(0, 2, len(twice)))
    (finding,) = checker.find(other_target)
    counts = [int(word) for word in finding.text.replace(",", "").split() if word.isdigit()]
    assert counts[0] > counts[2] > 0


@pytest.mark.parametrize("cells", [[np.nan, 0.0, -0.0, 1.5], [None, "x", "y", "z"], [True, False, True, True]])
def test_missing_values_and_zeros_are_equal_to_themselves(checker: Any, cells: list[Any]) -> None:
    kinds = pd.DataFrame({"a": RNG.normal(size=60), "b": (cells * 15)[:60], "y": RNG.normal(size=60)})
    twice = pd.concat([kinds, kinds.assign(b=[-cell if cell == 0 else cell for cell in kinds["b"]])], ignore_index=True)
    assert checker.codes(twice) == [("data-duplicates",)]


def test_what_chance_explains_is_no_finding(checker: Any) -> None:
    few = pd.DataFrame({"a": RNG.integers(0, 5, 300), "b": RNG.choice(["p", "q"], 300), "y": [0, 1] * 150})
    assert checker.find(few) == []
    one = table(200)
    one.iloc[150] = one.iloc[0]
    assert checker.find(one) == []


@pytest.mark.parametrize(
    ("name", "column", "code", "by"),
    [
        ("customer_id", np.arange(240) // 4 * 7, "data-group", "group"),
        ("nr", np.arange(240) // 8 + 100, "data-group", "group"),
        ("patient", [f"P{place // 6:04d}" for place in range(240)], "data-group", "group"),
        ("date", pd.date_range("2024-01-01", periods=240).strftime("%Y-%m-%d"), "data-time", "time"),
        ("day", pd.date_range("2024-01-01", periods=240).strftime("%Y%m%d").astype(int), "data-time", "time"),
        ("year", 1980 + np.arange(240) % 8, "data-time", "time"),
        ("at", pd.date_range("2024-01-01", periods=240, tz="UTC"), "data-time", "time"),
    ],
)
def test_dates_and_groups_need_another_split(checker: Any, name: str, column: Any, code: str, by: str) -> None:
    (finding,) = checker.find(table(240).assign(**{name: column}))
    assert (finding.code, finding.columns) == (code, (name,))
    assert finding.remedy == f"data.split={by} data.split.by={name}"
    assert "the split is random" in finding.text


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("year", [2007, 2008, 2009] * 80),
        ("number", RNG.integers(2, 11, 240)),
        ("YearBuilt", RNG.integers(1900, 2010, 240)),
        ("age", RNG.integers(18, 90, 240)),
        ("rooms", RNG.integers(1, 9, 240)),
    ],
)
def test_ordinary_numbers_are_neither(checker: Any, name: str, column: Any) -> None:
    assert checker.find(table(240).assign(**{name: column})) == []


@pytest.mark.parametrize(
    ("split", "random"),
    [({}, True), ({"rule": "group", "by": "a"}, False), ({"rule": "time", "by": "a"}, False)],
)
def test_only_a_random_split_is_reported(checker: Any, split: dict[str, Any], random: bool) -> None:
    assert splits.is_random(checker.data(split=split)) is random
