"""The table of the hold-out rows: its columns and types must be those of the table that is learned from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from orchestrator.reading.files import UnreadableTableError
from orchestrator.reading.frame import Table, read_table
from orchestrator.reading.second_table import append_held_out
from orchestrator.spec.data import DataSpec
from orchestrator.spec.split import SplitSpec

FIRST = pd.DataFrame({"n": [1, 2], "t": ["a", "b"], "e": [None, None], "y": [0, 1]})


def joined(folder: Path, second: pd.DataFrame, first: pd.DataFrame = FIRST, kind: str = "csv", **more: Any) -> Table:
    for name, frame in (("train", first), ("test", second)):
        path = folder / f"{name}.{kind}"
        frame.to_csv(path, index=more.get("index") == "auto") if kind == "csv" else frame.to_parquet(path)
    keys: dict[str, Any] = {"path": folder / f"train.{kind}", "format": kind, "target": "y", "test_size": 0.5, **more}
    data = DataSpec(**keys, split=SplitSpec(rule="file", file=folder / f"test.{kind}"))
    table, rows = append_held_out(read_table(data), data)
    assert rows == len(second)
    return table


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_its_rows_come_last_whatever_the_order_of_its_columns(tmp_path: Path, kind: str) -> None:
    frame = joined(tmp_path, FIRST[["y", "e", "t", "n"]].assign(n=[3.5, np.nan]), kind=kind).frame
    assert list(frame.columns) == [*"ntey"]
    assert frame["n"].tolist()[:3] == [1, 2, 3.5]
    assert frame.index.tolist() == [0, 1, 2, 3]
    assert frame["e"].isna().all()


def test_missing_cells_of_both_are_counted(tmp_path: Path) -> None:
    table = joined(tmp_path, FIRST.assign(t=["NA", "NA"]), FIRST.assign(t=["NA", "b"]))
    assert table.missing("t") == {"NA": 3}
    assert table.frame["t"].tolist()[1] == "b"
    assert table.frame["t"].isna().tolist() == [True, False, True, True]


def test_categories_of_both_are_one_type(tmp_path: Path) -> None:
    first = FIRST.assign(t=pd.Categorical(["a", "b"], categories=["b", "a"]))
    second = FIRST.assign(t=pd.Categorical(["c", "a"], categories=["a", "c"]))
    dtype: Any = joined(tmp_path, second, first, kind="parquet").frame["t"].dtype
    assert (str(dtype), list(dtype.categories), dtype.ordered) == ("category", ["b", "a", "c"], False)


def test_ordered_categories_of_both_are_the_same(tmp_path: Path) -> None:
    first = FIRST.assign(t=pd.Categorical(["a", "b"], categories=["b", "a"], ordered=True))
    assert joined(tmp_path, first, first, kind="parquet").frame["t"].dtype.ordered  # type: ignore[union-attr]
    second = FIRST.assign(t=pd.Categorical(["a", "b"], categories=["b", "c", "a"], ordered=True))
    with pytest.raises(UnreadableTableError, match=r"column 't' of test\.parquet has ordered categories"):
        joined(tmp_path, second, first, kind="parquet")


def test_row_numbers_are_left_out_of_both(tmp_path: Path) -> None:
    table = joined(tmp_path, FIRST.set_axis([7, 3]), index="auto")
    assert list(table.frame.columns) == [*"ntey"]


@pytest.mark.parametrize(
    ("second", "message"),
    [
        (FIRST.drop(columns="y"), "test.csv has no column 'y'; there are: e, n, t"),
        (FIRST.rename(columns={"n": "nn"}), "test.csv has no column 'n', which train.csv has; did you mean 'nn'?"),
        (FIRST.assign(more=1), "test.csv has a column 'more', which train.csv has not"),
        (FIRST.assign(n=["x", "y"]), "column 'n' of test.csv holds text such as 'x', not numbers"),
        (FIRST.assign(t=[1, 2]), "column 't' of test.csv holds numbers such as"),
        (FIRST.assign(n=[True, False]), "column 'n' of test.csv holds booleans such as"),
        (FIRST.head(0), "test.csv has no rows besides its header"),
    ],
)
def test_another_table_is_refused(tmp_path: Path, second: pd.DataFrame, message: str) -> None:
    with pytest.raises(UnreadableTableError) as caught:
        joined(tmp_path, second)
    assert message in str(caught.value)
    assert caught.value.key == "split.file"


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    FIRST.to_csv(tmp_path / "train.csv", index=False)
    (tmp_path / "test.csv").write_text("n,t,e,y\n1,2\n")
    split = SplitSpec(rule="file", file=tmp_path / "test.csv")
    data = DataSpec(path=tmp_path / "train.csv", format="csv", target="y", test_size=0.5, split=split)
    with pytest.raises(UnreadableTableError, match=r"test\.csv, line 2 \(row 1\) has 2 cells and the header 4"):
        append_held_out(read_table(data), data)
