"""The split that init writes: by groups, else by time, where rows of every class are in every part."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from orchestrator.project.split import SplitChoice, choose_split
from orchestrator.project.survey import survey_table
from orchestrator.project.task import choose_task

ROWS = 120
PERSON = np.arange(ROWS) // 4 * 7 + 100
DAYS = pd.Series(pd.date_range("2024-01-13", periods=ROWS))


def choose(folder: Path, y: Any, **columns: Any) -> SplitChoice:
    table = pd.DataFrame({"size": np.random.default_rng(0).normal(size=ROWS).round(1), **columns, "y": y})
    table.to_csv(folder / "table.csv", index=False)
    survey = survey_table(folder / "table.csv", "y")
    return choose_split(survey, choose_task(survey.target, None))


@pytest.mark.parametrize(
    ("columns", "keys"),
    [
        ({}, {}),
        ({"person_id": PERSON, "year": np.arange(ROWS) // 15 + 2000}, {"rule": "group", "by": "person_id"}),
        ({"year": np.arange(ROWS) // 15 + 2000}, {"rule": "time", "by": "year"}),
        ({"day": DAYS.dt.strftime("%Y-%m-%d")}, {"rule": "time", "by": "day"}),
        ({"day": DAYS.dt.strftime("%d/%m/%Y")}, {"rule": "time", "by": "day", "date_format": "%d/%m/%Y"}),
        ({"day": DAYS.dt.strftime("%Y%m%d")}, {"rule": "time", "by": "day", "date_format": "%Y%m%d"}),
    ],
)
def test_groups_and_times_decide(tmp_path: Path, columns: dict[str, Any], keys: dict[str, Any]) -> None:
    for y in (["a", "b"] * 60, np.linspace(1.5, 9, ROWS)):
        assert choose(tmp_path, y, **columns).keys == keys


def test_rows_without_a_target_are_left_out_of_the_trial(tmp_path: Path) -> None:
    patient = [f"P{person:04d}" if place % 4 != 3 else "" for place, person in enumerate(PERSON)]
    y = [None if place % 4 == 3 else "ab"[place % 2] for place in range(ROWS)]
    assert choose(tmp_path, y, patient=patient).keys == {"rule": "group", "by": "patient"}


@pytest.mark.parametrize(
    ("column", "y", "note"),
    [
        ("patient", ["a", "b"] * 60, "'patient' is missing in 1 of 120 rows"),
        ("day", ["a"] * 110 + ["b"] * 10, "a class would be absent"),
    ],
)
def test_what_cannot_decide_is_said(tmp_path: Path, column: str, y: Any, note: str) -> None:
    values = {"patient": ["", *(f"P{person:04d}" for person in PERSON[1:])], "day": DAYS.dt.strftime("%Y-%m-%d")}
    choice = choose(tmp_path, y, **{column: values[column]})
    assert choice.keys == {}
    assert note in choice.notes[0]
