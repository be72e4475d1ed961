"""Descriptions of tables: how columns were read, and notes on likely mistakes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from orchestrator.findings import KINDS
from orchestrator.reading.description import TableReading, describe_table
from orchestrator.reading.frame import read_table
from orchestrator.spec.data import DataSpec
from score.contract.schema import Contract


def read(folder: Path, *columns: list[str], **keys: Any) -> TableReading:
    """Read a table of columns x, x1, ... and y, separated by semicolons."""
    names = ["x", *(f"x{place}" for place in range(1, len(columns)))]
    rows = [";".join([*names, "y"]), *(";".join([*cells, "1"]) for cells in zip(*columns, strict=True))]
    (folder / "t.csv").write_text("\n".join(rows))
    own: dict[str, Any] = {"path": folder / "t.csv", "format": "csv", "target": "y", "test_size": 0.5, "separator": ";"}
    data = DataSpec(**(own | keys))
    table = read_table(data)
    X = table.frame.drop(columns="y")
    columns_of = Contract.describe(X, model_name="", task="regression").columns
    return describe_table(table, columns_of, X, table.frame["y"])


def test_the_other_decimal_sign_is_no_remedy_where_a_column_has_this_one(tmp_path: Path) -> None:
    (finding,) = read(tmp_path, ["0,98", "1,25", "3"], ["1.5", "2", "3"]).findings
    assert (finding.columns, finding.changes) == (("x",), {})
    assert "'0,98', and 'x1' has decimals of the other sign; write both alike" in finding.text


def test_keys_of_csv_files_are_no_remedy_for_parquet(tmp_path: Path) -> None:
    pd.DataFrame({"x": ["0,98", "1,25", "3"], "y": [1, 2, 3]}).to_parquet(tmp_path / "t.parquet")
    (finding,) = read(tmp_path, format="parquet", path=tmp_path / "t.parquet", separator=None).findings
    assert (finding.changes, finding.text.partition("numbers: ")[2]) == ({}, "'0,98'; write numbers into the table")


def test_one_line_describes_how_columns_were_read(tmp_path: Path) -> None:
    columns = [["1", "", "NA"], ["1.5", "2", "3"], ["p", "q", "p"], ["True", "False", "True"], ["u", "", "v"]]
    reading = read(tmp_path, *(cells * 2 for cells in columns))
    assert reading.line == (
        "6 rows; 2 numbers, 1 boolean, 2 categories (2 levels); missing: 6 cells in 2 columns (empty 4, 'NA' 2)"
    )
    assert reading.table.splitlines()[0] == "x   numbers (float64), 4 missing (empty 2, 'NA' 2)"
    assert [column["missing"] for column in reading.as_json()["columns"]] == [4, 0, 0, 0, 2]
    assert read(tmp_path, ["a"] * 3).line == "3 rows; 1 category (1 level); nothing missing"


@pytest.mark.parametrize(
    ("cells", "note"),
    [
        (["0,980", "1,25", "3"], "looks like numbers: '0,980'; write 'data.decimal=\",\"'"),
        (["1,234", "12,500", "7"], "write 'data.decimal=\",\"', or 'data.thousands=\",\"' if it groups thousands"),
        (["1.234,5", "12,5", "7"], "write 'data.thousands=\".\"' 'data.decimal=\",\"'"),
        (["1,234.5", "1,000,000", "7"], "write 'data.thousands=\",\"'"),
        (["1.234.567", "12.000", "7"], "write 'data.thousands=\".\"' 'data.decimal=\",\"'"),
        (["1 234", "900"], "write 'data.thousands=\" \"'"),
        (["1_234", "900"], "write 'data.thousands=\"_\"'"),
        (["1.234", "12.000", "7"], "with a decimal point and each has three digits behind it: if the points group"),
        (["007", "12", "3"], "is read as numbers and holds '007': .* write 'data.text_columns=\\[x\\]'"),
        (["00.5", "12.5"], "holds '00.5'"),
        ([*map(str, range(40)), "?"], "numbers: all but '\\?'; if that means missing, write 'data.missing_values"),
        (
            [*map(str, range(12)), *["n/a?"] * 9],
            "12 of 21 cells, and the others are 'n/a\\?'; if that means missing, write",
        ),
        ([*map(str, range(12)), *"abcdefg"], "12 of 19 cells, and the others are 'a', 'b', 'c' ...; write numbers, or"),
        (["No ", "No", "yes"], "'No ' and 'No' differ in blanks or case only"),
        (["Oslo", "oslo", "OSLO"], "differ in blanks or case only"),
        (
            ["NA", "DE", "FR"],
            "'NA' in 1 cells was taken for missing; if it is a value, write data.keep_default_na=false",
        ),
        (["None", "a", "null"], "'None', 'null' in 2 cells was taken for missing"),
        (["12%", "3.5%", "7%"], "looks like numbers: '12%'; write plain numbers into the file"),
        (["$1.50", "$-2", "$1,000.25"], "looks like numbers: '\\$1.50'; write plain"),
        (["12 kmpl", "8.5 kmpl"], "looks like numbers: '12 kmpl'; write plain"),
        (["(1.5)", "2.25", "(3)"], "looks like numbers: '\\(1.5\\)'; write plain"),
        (["\u22121.5", "2", "3.5"], "looks like numbers: '\u22121.5'; write plain"),
        (["1\u00a0234", "12\u00a0345", "7"], "looks like numbers: .*; write plain"),
    ],
)
def test_a_likely_mistake_is_noted_with_its_key(tmp_path: Path, cells: list[str], note: str) -> None:
    import re

    reading = read(tmp_path, cells)
    (text,) = reading.notes
    assert re.search(note, text), text
    assert text.startswith("column 'x'")
    (finding,) = reading.findings
    assert (finding.text, finding.columns) == (text, ("x",))
    assert finding.remedy in text
    assert finding.code in KINDS
    assert "findings" not in reading.as_json()


@pytest.mark.parametrize(
    "cells",
    [
        ["0.627", "2.288", "1.500"],
        ["1.234", "0.5", "2"],
        ["1234", "2.345"],
        ["0", "10"],
        ["1.0", "2.0"],
        ["a", "b"],
        ["A1", "A2"],
        ["2024-01-05", "2024-02-05"],
        ["12:30", "13:45"],
        ["1st", "2nd", "3rd"],
        ["1.2.3", "1.10.0"],
        ["10-20", "20-30"],
        ["1/2", "3/4"],
        ["-0.5", "0"],
        [*map(str, range(5, 17)), "V5", "E11", "V61", "E9"],  # codes of diseases
        [f"0{code}" for code in range(110, 122)] + ["LON", "PAR"],
        [*map(str, range(10115, 10127)), "10115-12", "SW1A 1AA", "1012 AB"],  # postal codes
        ["1", "2", "3", "3+", "K", "PK"],
    ],
)
def test_plain_columns_have_no_note(tmp_path: Path, cells: list[str]) -> None:
    assert read(tmp_path, cells).notes == ()


def test_configured_columns_have_no_note(tmp_path: Path) -> None:
    reading = read(tmp_path, ["1.234,5", "7"] * 2, ["007", "3"] * 2, ["NA", "NA", "NA", ""], thousands=".", decimal=",",
                 text_columns=("x1",), keep_default_na=False)  # fmt: skip
    assert reading.notes == ()
    assert [(column.kind, column.missing) for column in reading.columns] == [
        ("numbers", 0),
        ("categories", 0),
        ("categories", 1),
    ]


def test_the_target_may_have_notes_too(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("x,y\n1,No\n2,No \n3,yes\n")
    data = DataSpec(path=tmp_path / "t.csv", format="csv", target="y", test_size=0.5)
    table = read_table(data)
    (note,) = describe_table(table, (), table.frame[["x"]], table.frame["y"]).notes
    assert note == "column 'y': 'No' and 'No ' differ in blanks or case only; write them alike"
