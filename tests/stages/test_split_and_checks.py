"""Rows that are left out, the column that splits the others, and what is checked: they fit together row for row."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from orchestrator.errors import DataError
from orchestrator.findings import TableFindings
from orchestrator.spec.field_types import CheckLevel, Seed
from orchestrator.spec.model import PreprocessSpec
from orchestrator.stages.checks import check
from orchestrator.stages.data import load, split

ROWS = 120
RNG = np.random.default_rng(3)


def known_rows(rows: int = ROWS) -> pd.DataFrame:
    """Return rows of which x says everything: the target, the group, the day and the part; every tenth has no target."""
    x = np.arange(rows)
    table = pd.DataFrame({"x": x, "group": x // 6, "day": x, "part": np.where(x % 4, "train", "test")})
    table["y"] = [None if place % 10 == 9 else "b" if place % 3 else "a" for place in x]
    again = table.iloc[[3, 40, 41, 119]]  # rows 9, 19, ... have no target, and 119 is one of them
    return pd.concat([table, again]).sample(frac=1, random_state=1)


RULES: list[dict[str, Any]] = [
    {"rule": "group", "by": "group"},
    {"rule": "time", "by": "day"},
    {"rule": "column", "by": "part"},
    {"rule": "column", "by": "part", "keep": True},
    {"rule": "random"},
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: "-".join(map(str, rule.values())))
def test_rows_left_out_do_not_shift_the_split(kit: Any, rule: dict[str, Any]) -> None:
    table, search = known_rows(), kit.search(split=rule)
    data = kit.data(table, split=rule, duplicates="drop")
    dataset = load(data, search)
    x = dataset.X["x"].to_numpy()
    assert sorted(x) == [place for place in range(ROWS) if place % 10 != 9]
    assert [dataset.classes[code] for code in dataset.y] == ["b" if place % 3 else "a" for place in x]  # type: ignore[index]
    made = {"group": x // 6, "day": x, "part": np.where(x % 4, "train", "test")}
    if dataset.split_by is not None:
        assert list(dataset.split_by) == list(made[rule["by"]])
    assert dataset.reading is not None
    assert dataset.reading.rows == len(x) == 108
    assert dataset.reading.notes[:2] == (
        "4 of 124 rows repeat another one and are left out (data.duplicates=drop)",
        "12 of 120 rows have no 'y' and are left out (data.missing_target=refuse stops there)",
    )
    parts = split(dataset, data, search, Seed(0))
    assert parts.summary is not None
    assert (parts.summary.training, parts.summary.held_out) == (len(parts.X_train), len(parts.X_test))
    assert sorted([*parts.X_train["x"], *parts.X_test["x"]]) == sorted(x)
    for X, y in ((parts.X_train, parts.y_train), (parts.X_test, parts.y_test)):
        assert [dataset.classes[code] for code in y] == ["b" if place % 3 else "a" for place in X["x"]]  # type: ignore[index]
    held, learned = parts.X_test["x"].to_numpy(), parts.X_train["x"].to_numpy()
    if rule["rule"] == "group":
        assert not set(held // 6) & set(learned // 6)
    elif rule["rule"] == "time":
        assert held.min() > learned.max()
    elif rule["rule"] == "column":
        assert not (held % 4).any()
        assert (learned % 4).all()


def two_files(kit: Any, folder: Path, first: pd.DataFrame, second: pd.DataFrame, **keys: Any) -> Any:
    second.to_csv(folder / "test.csv", index=False)
    return kit.data(first, split={"rule": "file", "file": folder / "test.csv"}, **keys)


def test_the_rows_of_a_file_stay_the_hold_out_part(kit: Any, tmp_path: Path) -> None:
    table = known_rows().drop(columns=["group", "day", "part"]).drop_duplicates()
    first, second = table[table["x"] % 4 > 0], table[table["x"] % 4 == 0]
    second = pd.concat([second, second.iloc[:2], first[first["y"].notna()].iloc[:3]])  # the last are in both files
    data, search = two_files(kit, tmp_path, first, second, duplicates="drop"), kit.search()
    parts = split(load(data, search), data, search, Seed(0))
    assert sorted(parts.X_test["x"]) == [place for place in range(0, ROWS, 4) if place % 10 != 9]
    assert set(parts.X_train["x"] % 4) == {1, 2, 3}
    assert parts.reading is not None
    assert parts.reading.notes[0].startswith("5 of 125 rows repeat another one")
    assert len(parts.X_train) + len(parts.X_test) == parts.reading.rows == 108


@pytest.mark.parametrize("at", ["split.file", "path"])
def test_a_file_of_which_no_row_is_left_is_refused(kit: Any, tmp_path: Path, at: str) -> None:
    table = known_rows().drop(columns=["group", "day", "part"])
    empty = table.iloc[:5].assign(y=None)
    first, second = (empty, table) if at == "path" else (table, empty)
    data, search = two_files(kit, tmp_path, first, second), kit.search()
    with pytest.raises(DataError, match=rf"data\.{at}: no row is left"):
        split(load(data, search), data, search, Seed(0))


def test_duplicates_are_left_out_beside_columns_of_lists(kit: Any) -> None:
    table = pd.DataFrame({"x": [1, 1, 2, 3] * 5, "parts": [[1], [1], [2], [3]] * 5, "y": ["a", "a", "b", "a"] * 5})
    with pytest.raises(DataError, match=r"column 'parts'"):
        kit.load(table, format="parquet", duplicates="drop")
    assert len(kit.load(table, format="parquet", duplicates="drop", drop=("parts",)).y) == 3


def checked(kit: Any, table: pd.DataFrame, **keys: Any) -> TableFindings:
    search, data = kit.search(split=keys.get("split")), kit.data(table, **keys)
    dataset = load(data, search)
    return check(dataset, split(dataset, data, search, Seed(0)), search, data, PreprocessSpec(), CheckLevel("warn"))


def visits(people: int = 20, each: int = 12) -> pd.DataFrame:
    """Return people over years, of whom each has one weight at birth, and is ill or well for life."""
    person = np.repeat(np.arange(people) + 500, each)
    ill = np.repeat(RNG.permutation(np.arange(people) % 2), each)
    return pd.DataFrame(
        {
            "person_id": person,
            "year": np.tile(np.arange(each) + 2000, people),
            "birth_weight": np.repeat(RNG.normal(3.3, 0.5, people).round(4), each),
            "steps": RNG.normal(6000, 900, people * each).round(3),
            "y": np.where(ill, "ill", "well"),
        }
    )


def test_what_determines_the_target_within_groups_only_is_no_leak_of_grouped_rows(kit: Any) -> None:
    table = visits()
    codes = [finding.code for finding in checked(kit, table).findings]
    assert codes == ["data-leak", "data-leak", "data-group", "data-time"][-len(codes) :]
    by_person = {"rule": "group", "by": "person_id"}
    assert checked(kit, table, split=by_person).findings == ()
    leak = table.assign(score=np.where(table["y"] == "ill", 1.0, 0.0) + RNG.normal(0, 0.01, len(table)))
    (finding,) = checked(kit, leak, split=by_person).findings
    assert (finding.code, finding.columns) == ("data-leak", ("score",))


def test_the_remedy_of_duplicates_is_one(kit: Any) -> None:
    table = visits().drop(columns=["person_id", "year", "birth_weight"])
    twice = pd.concat([table, table.assign(y=RNG.permutation(table["y"]))], ignore_index=True)
    (finding,) = checked(kit, twice).findings
    assert finding.changes == {"data.duplicates": "drop"}
    assert checked(kit, twice, duplicates="drop").findings == ()  # what is left has another target


def test_rows_that_differ_in_the_column_of_the_split_only_are_said(kit: Any) -> None:
    table = visits().drop(columns=["year", "birth_weight"])
    twice = pd.concat([table, table.assign(person_id=table["person_id"] + 100)], ignore_index=True)
    (finding,) = checked(kit, twice, split={"rule": "group", "by": "person_id"}, duplicates="drop").findings
    assert finding.code == "data-duplicates"
    assert finding.changes == {}
    assert "and differ in 'person_id' only" in finding.text
    assert """'data.accept=["data-duplicates"]'""" in finding.text
