"""Rows without a target: left out and counted, refused, or perhaps of a class that is called NA."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from orchestrator.errors import DataError
from orchestrator.reading.frame import read_table
from orchestrator.reading.missing_target import rows_with_target
from orchestrator.spec.data import DataSpec


def rows(folder: Path, text: str, **keys: Any) -> Any:
    (folder / "table.csv").write_text(text)
    data = DataSpec(**{"path": folder / "table.csv", "format": "csv", "target": "y", "test_size": 0.2, **keys})
    return rows_with_target(read_table(data), data)


def test_rows_without_a_target_are_left_out_and_counted(tmp_path: Path) -> None:
    frame, note = rows(tmp_path, "a,y\n1,x\n2,\n3,z\n")
    assert frame.to_dict("list") == {"a": [1, 3], "y": ["x", "z"]}
    assert list(frame.index) == [0, 2], "their places in the table"
    assert note == "1 of 3 rows have no 'y' and are left out (data.missing_target=refuse stops there)"
    assert rows(tmp_path, "a,y\n1,x\n")[1] == ""


@pytest.mark.parametrize(
    ("cells", "labels", "dtype"),
    [
        (["0", "", "1"], [0, 1], "int64"),
        (["0.5", "", "1"], [0.5, 1.0], "float64"),
        (["True", "", "False"], [True, False], "bool"),
    ],
)
def test_missing_values_do_not_change_the_labels(tmp_path: Path, cells: list[str], labels: Any, dtype: str) -> None:
    frame, _ = rows(tmp_path, "a,y\n" + "".join(f"{at},{cell}\n" for at, cell in enumerate(cells)))
    assert (list(frame["y"]), str(frame["y"].dtype)) == (labels, dtype)


def test_refuse_names_the_rows_and_what_reads_as_missing(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"data\.target: 'y' is missing in 1 of 2 rows; .*=drop; 'NA' stands for missing"
    ):
        rows(tmp_path, "a,y\n1,x\n2,NA\n", missing_target="refuse")
    with pytest.raises(DataError, match=r"data\.target: 'y' has no value in any of the 2 rows"):
        rows(tmp_path, "a,y\n1,\n2,\n")


def test_a_text_that_may_be_a_class_is_not_left_out_unasked(tmp_path: Path) -> None:
    table = "a,y\n1,None\n2,mild\n3,None\n"
    with pytest.raises(
        DataError, match=r"'None' in 2 rows of 'y' reads as missing and may be a class: write data\.keep_d"
    ):
        rows(tmp_path, table)
    assert len(rows(tmp_path, table, missing_values=["None"])[0]) == 1
    assert len(rows(tmp_path, table, keep_default_na=False)[0]) == 3
    assert len(rows(tmp_path, "a,y\nNone,None\n2,mild\n")[0]) == 1  # a column of numbers shows what it means
    assert len(rows(tmp_path, "a,y\n1,NA\n2,5\n3,6\n")[0]) == 2
