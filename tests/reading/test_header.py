"""The configuration check, training and batch scoring call a file's columns by the same names."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from orchestrator.batch.files import find_input, open_source
from orchestrator.config import batch_checks
from orchestrator.config import data_file_checks as check
from orchestrator.reading.frame import read_table
from orchestrator.reading.header import Header, parse_header
from orchestrator.spec.batch import BatchSpec
from orchestrator.spec.data import DataSpec
from orchestrator.spec.model import PreprocessSpec
from score.contract.cells import TableFormat

TABLE = pd.DataFrame({"a": [3, 5, 9], "y": ["n", "p", "n"]}, index=[7, 2, 4])


@pytest.mark.parametrize(
    ("row", "header"),
    [
        (["a", "b"], Header(("a", "b"))),
        (["", "b"], Header(("Unnamed: 0", "b"), ("Unnamed: 0",), unnamed=("Unnamed: 0",))),
        (
            ["", "Unnamed: 0", "b"],
            Header(
                ("Unnamed: 0.1", "Unnamed: 0", "b"),
                ("Unnamed: 0.1", "Unnamed: 0"),
                unnamed=("Unnamed: 0.1", "Unnamed: 0"),
            ),
        ),
        (["a", " ", "c", ""], Header(("a", "Unnamed: 1", "c", "Unnamed: 3"), unnamed=("Unnamed: 1", "Unnamed: 3"))),
    ],
)
def test_columns_without_a_name_are_called_as_pandas_calls_them(row: list[str], header: Header) -> None:
    assert parse_header(row) == header


def write(path: Path, how: str) -> Path:
    text = TABLE.to_csv()
    path = path / f"t.{'parquet' if how.startswith('parquet') else 'csv'}"
    if how == "parquet":
        TABLE.to_parquet(path)
    elif how == "parquet, a named index":
        TABLE.rename_axis("id").to_parquet(path)
    elif how == "parquet, integer names":
        TABLE.set_axis([0, 1], axis=1).to_parquet(path)
    elif how == "gzip":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_bytes(text.encode("utf-8-sig" if how == "a mark" else "utf-8"))
    return path


@pytest.mark.parametrize(
    ("how", "target", "names"),
    [
        ("csv", "y", ("Unnamed: 0", "a", "y")),
        ("a mark", "y", ("Unnamed: 0", "a", "y")),
        ("gzip", "y", ("Unnamed: 0", "a", "y")),
        ("parquet", "y", ("a", "y", "__index_level_0__")),
        ("parquet, a named index", "y", ("a", "y", "id")),
        ("parquet, integer names", "1", ("0", "1", "__index_level_0__")),
    ],
)
def test_check_load_and_batch_agree(tmp_path: Path, how: str, target: str, names: tuple[str, ...]) -> None:
    path = write(tmp_path, how)
    keys: dict[str, Any] = {"path": path, "format": path.suffix[1:], "target": target, "test_size": 0.5}
    index, feature = next(name for name in names if name not in "aya01"), next(name for name in names if name in "a0")
    assert list(check.problems(DataSpec(**keys), PreprocessSpec())) == []
    assert list(check.problems(DataSpec(**keys, drop=(index,)), PreprocessSpec())) == []
    batch = BatchSpec(input=path, output=tmp_path / "o.csv", keep=(index,))
    assert open_source(batch, find_input(batch).files, TableFormat()).header.names == names
    assert list(batch_checks.problems(batch)) == []
    for choice, left in (("auto", False), ("drop", False), ("keep", True)):
        table = read_table(DataSpec(**{**keys, "index": choice}))
        assert set(table.frame.columns) == {feature, target, *([index] if left else [])}
        assert (index in table.left_out) is not left
    dropped = read_table(DataSpec(**keys, index="keep", drop=(index,)))
    assert set(dropped.frame.columns) == {feature, target}


def test_the_first_unnamed_column_may_be_dropped_by_an_empty_name(tmp_path: Path) -> None:
    data = DataSpec(path=write(tmp_path, "csv"), format="csv", target="y", test_size=0.5, drop=("",), index="keep")
    assert list(check.problems(data, PreprocessSpec())) == []
    assert list(read_table(data).frame.columns) == ["a", "y"]


def test_a_target_in_the_index_is_refused(tmp_path: Path) -> None:
    data = DataSpec(
        path=write(tmp_path, "parquet, a named index"), format="parquet", target="id", test_size=0.5, index="drop"
    )
    (problem,) = check.problems(data, PreprocessSpec())
    assert str(problem) == "data.index: the target 'id' is the index of t.parquet; write data.index=keep"


@pytest.mark.parametrize(
    ("values", "kept"), [([0, 1, 2], False), ([7, 3, 5], False), ([0.5, 1, 2], True), ([1, 1, 1], True)]
)
def test_an_unnamed_column_of_a_parquet_file_is_judged_as_that_of_a_csv_file(
    tmp_path: Path, values: list[float], kept: bool
) -> None:
    table = pd.DataFrame({"Unnamed: 0": values, "a": [3, 5, 9], "y": [0, 1, 0]})
    table.to_parquet(tmp_path / "t.parquet")
    table.to_csv(tmp_path / "t.csv", index=False)
    for name in ("parquet", "csv"):
        data = DataSpec(path=tmp_path / f"t.{name}", format=name, target="y", test_size=0.5)
        assert ("Unnamed: 0" in read_table(data).frame) is kept
