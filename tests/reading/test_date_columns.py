"""How text writes dates: recognised where one format only fits, reported where several do, never guessed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from orchestrator.reading.date_columns import recognise
from orchestrator.reading.files import UnreadableTableError
from orchestrator.reading.frame import Table, read_table
from orchestrator.reading.second_table import append_held_out
from orchestrator.spec.data import DataSpec

CLEAR = ["13.02.2024", "01.02.2024", "28.02.2024"]


def table_of(folder: Path, columns: dict[str, Any], **keys: Any) -> Table:
    frame = pd.DataFrame(columns)
    (folder / "t.csv").write_text(frame.to_csv(index=False))
    frame.to_parquet(folder / "t.parquet")
    form = keys.pop("format", "csv")
    return read_table(spec(folder / f"t.{form}", format=form, **keys))


def spec(path: Path, **keys: Any) -> DataSpec:
    return DataSpec(**{"path": path, "format": "csv", "target": "y", "test_size": 0.2, **keys})


@pytest.mark.parametrize(
    ("texts", "form", "aware"),
    [
        (["2024-01-31", "2024-02-01 10:00", "2024-02-01T10:00:00.5"], "ISO8601", False),
        (["2024-01-31T10:00:00Z", "2024-01-31T10:00:00+02:00"], "ISO8601", True),
        (["2024/01/31", "2024/2/1"], "%Y/%m/%d", False),
        (CLEAR, "%d.%m.%Y", False),
        (["02/13/2024 08:05", "02/01/2024 20:00"], "%m/%d/%Y %H:%M", False),
        (["02/13/2024 08:05:00 AM", "02/01/2024 12:00:01 PM"], "%m/%d/%Y %I:%M:%S %p", False),
        (["31-Jan-2024", "01-FEB-2024"], "%d-%b-%Y", False),
        (["May 3, 2024", "May 4, 2024"], "", False),  # a short and a long name of the month
        (["Jan 3, 2024", "May 4, 2024"], "%b %d, %Y", False),
    ],
)
def test_one_format_is_recognised(texts: list[str], form: str, aware: bool) -> None:
    reading = recognise(texts)
    if form:
        assert (reading.form, reading.aware) == (form, aware)
    else:
        assert len(reading.forms) == 2


@pytest.mark.parametrize(
    ("texts", "forms", "odd"),
    [
        (["01/02/2024", "03/04/2024"], ["%d/%m/%Y", "%m/%d/%Y"], ""),
        ([*CLEAR * 9, "0000-00-00"], [], "0000-00-00"),
        (["2024-01-31", "2024-02-31", "2024-03-31"], [], "2024-02-31"),
        (["2024-01-31", "2024-01-31T00:00:00Z"], [], "2024-01-31T00:00:00Z"),
        (["2009-10", "2010-11"], [], ""),  # a season, and no month
        (["1.2.3", "10.0.0.1", "555-12-3456", "a 2024-01-01"], [], ""),
        (["31.12.24", "01.01.25"], ["%d.%m.%y"], ""),  # of which century
        (["1/2/24"], ["%d/%m/%y", "%m/%d/%y"], ""),
        ([], [], ""),
    ],
)
def test_others_stay_text(texts: list[str], forms: list[str], odd: str) -> None:
    reading = recognise(texts)
    assert (reading.form, list(reading.forms), reading.odd) == ("", forms, odd)


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_a_table_s_columns_become_dates(tmp_path: Path, form: str) -> None:
    columns: dict[str, Any] = {
        "iso": ["2024-01-31", None, "9999-12-31"],
        "day": CLEAR,
        "y": ["2024-01-01"] * 3,
        "code": CLEAR,
    }
    table = table_of(tmp_path, columns, format=form, text_columns=("code",))
    assert table.form.dates == {"iso": "ISO8601", "day": "%d.%m.%Y"}
    assert [values.dtype.kind for _, values in table.frame.items()] == ["M", "M", "O", "O"]
    assert table.frame["iso"].tolist() == [pd.Timestamp("2024-01-31"), pd.NaT, pd.Timestamp("9999-12-31").as_unit("us")]
    assert table.frame["day"].dt.month.tolist() == [2, 2, 2]
    assert table.frame["day"].dt.day.tolist() == [13, 1, 28]
    off = table_of(tmp_path, columns, format=form, dates="off")
    assert ([values.dtype.kind for _, values in off.frame.items()], off.form.dates) == (["O"] * 4, {})


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        (["31.12.24", "01.01.25"], """the years of its dates have two digits; write 'data.dates={day: "%d.%m.%y"}'"""),
        (["2024-12-31", "31.12.2024"], "all but cells like '31.12.2024'; write them all in one way"),
        (["2024-12-31", "0000-00-00"], "if that means missing, write 'data.missing_values=["),
    ],
)
def test_what_is_read_as_text_has_its_remedy(tmp_path: Path, cells: list[str], said: str) -> None:
    (finding,) = table_of(tmp_path, {"day": cells, "y": [0, 1]}).findings
    assert said in finding.text


def test_what_may_be_two_days_is_reported_with_both_overrides(tmp_path: Path) -> None:
    columns: dict[str, Any] = {"sign up": ["01/02/2024", "03/04/2024"], "y": [0, 1]}
    table = table_of(tmp_path, columns)
    (finding,) = table.findings
    assert (finding.code, finding.columns, table.frame["sign up"].dtype.kind) == ("data-date-order", ("sign up",), "O")
    assert r"""'data.dates={sign\ up: "%d/%m/%Y"}' or 'data.dates={sign\ up: "%m/%d/%Y"}'""" in finding.text
    named = table_of(tmp_path, columns, dates={"sign up": "%d/%m/%Y"})
    assert (named.frame["sign up"].dt.day.tolist(), named.findings) == ([1, 3], [])
    with pytest.raises(UnreadableTableError, match=r"'sign up' holds '01/02/2024', which is not written as %d-%m-%Y"):
        table_of(tmp_path, columns, dates={"sign up": "%d-%m-%Y"})


def test_whole_numbers_are_dates_if_they_are_named(tmp_path: Path) -> None:
    columns: dict[str, Any] = {"day": [20240131, 20240201], "y": [0, 1]}
    assert table_of(tmp_path, columns).frame["day"].dtype.kind == "i"
    named = table_of(tmp_path, columns, dates={"day": "%Y%m%d"})
    assert named.frame["day"].tolist() == [pd.Timestamp("2024-01-31"), pd.Timestamp("2024-02-01")]


def test_the_file_of_the_hold_out_rows_is_read_as_the_other_one(tmp_path: Path) -> None:
    table = table_of(tmp_path, {"day": CLEAR, "y": [0, 1, 0]})
    (tmp_path / "test.csv").write_text("day,y\n01.03.2024,1\n")
    data = spec(tmp_path / "t.csv", split={"rule": "file", "file": tmp_path / "test.csv"})
    joined, held_out = append_held_out(table, data)
    assert (joined.frame["day"].iloc[-1], held_out) == (pd.Timestamp("2024-03-01"), 1)


@pytest.mark.parametrize("value", ["always", {"a": "%d.%m"}, {"a": 3}])
def test_other_values_of_the_key_are_refused(tmp_path: Path, value: Any) -> None:
    with pytest.raises(ValueError, match=r"should be (auto, off, or formats|ISO8601 or a format)"):
        spec(tmp_path / "t.csv", dates=value)
    assert spec(tmp_path / "t.csv", dates=False).dates == "off"
