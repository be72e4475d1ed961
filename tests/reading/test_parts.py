"""A table in several files reads as one file with all of its rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from orchestrator.config.data_file_checks import checked_header
from orchestrator.reading.files import UnreadableTableError
from orchestrator.reading.frame import Table, read_table
from orchestrator.reading.parts import describe_files
from orchestrator.spec.data import DataSpec

ROWS = pd.DataFrame(
    {
        "n": [1, 2, 3, 4, 5, 6],
        "mixed": ["7", "8", "", "x", "9", "NA"],
        "day": ["a, b", 'say "c"', "two\nlines", "", "é", "f"],
        "y": [0, 1, 0, 1, 0, 1],
    }
)


def spec(path: Path | str, kind: str = "csv", **more: Any) -> DataSpec:
    return DataSpec(path=Path(path), format=kind, target="y", test_size=0.5, **more)  # type: ignore[arg-type]


def write(folder: Path, kind: str = "csv") -> Path:
    """Write the rows as one file beside a folder with three, of which one has a row, and one lies deeper."""
    for name, part in (("a", ROWS[:3]), ("b", ROWS[3:4]), ("deep/c", ROWS[4:])):
        file = folder / "parts" / f"{name}.{kind}"
        file.parent.mkdir(parents=True, exist_ok=True)
        part.to_csv(file, index=False) if kind == "csv" else part.to_parquet(file)
    return folder / "parts"


def same(one: Table, other: Table) -> None:
    pd.testing.assert_frame_equal(one.frame, other.frame)
    assert one.scans == other.scans


@pytest.mark.parametrize("ending", ["\n", ""])
def test_csv_files_read_as_one(tmp_path: Path, ending: str) -> None:
    folder = write(tmp_path)
    for file in folder.rglob("*.csv"):
        file.write_text(file.read_text().removesuffix("\n") + ending)
    (folder / "_SUCCESS").touch()
    ROWS.to_csv(tmp_path / "whole.csv", index=False)
    whole = read_table(spec(tmp_path / "whole.csv"))
    same(read_table(spec(folder)), whole)
    same(read_table(spec(folder / "**/*.csv")), whole)
    assert len(read_table(spec(folder / "*.csv")).frame) == 4


def test_row_numbers_of_each_file_are_an_index(tmp_path: Path) -> None:
    for name in "ab":
        pd.DataFrame({"x": np.arange(12.0), "y": 1}).to_csv(tmp_path / f"{name}.csv")
    assert list(read_table(spec(tmp_path)).frame.columns) == ["x", "y"]


def test_parquet_files_read_as_one(tmp_path: Path) -> None:
    folder = write(tmp_path, "parquet")
    ROWS.to_parquet(tmp_path / "whole.parquet")
    same(read_table(spec(folder, "parquet")), read_table(spec(tmp_path / "whole.parquet", "parquet")))


def test_types_widen_over_parquet_files(tmp_path: Path) -> None:
    one = pd.DataFrame(
        {"i": pd.array([1, 2], "int32"), "e": [None, None], "c": pd.Categorical(["a", "b"]), "y": [0, 1]}
    )
    two = pd.DataFrame({"y": [0, 1], "i": [1.5, np.nan], "e": ["t", None], "c": pd.Categorical(["c", "a"])})
    one.to_parquet(tmp_path / "1.parquet")
    two.to_parquet(tmp_path / "2.parquet")
    frame = read_table(spec(tmp_path, "parquet")).frame
    assert frame["i"].tolist()[:3] == [1, 2, 1.5]
    assert frame["c"].tolist() == ["a", "b", "c", "a"]
    assert frame["e"].tolist()[2] == "t"


def test_folders_in_hives_way_are_columns_of_parquet_files(tmp_path: Path) -> None:
    for year, land in ((2023, "de"), (2024, "__HIVE_DEFAULT_PARTITION__")):
        file = tmp_path / f"year={year}" / f"land={land}" / "0.parquet"
        file.parent.mkdir(parents=True)
        pd.DataFrame({"x": [1.0, 2.0], "y": [0, 1]}).to_parquet(file)
    data = spec(tmp_path, "parquet")
    assert checked_header(data).names == ("x", "y", "year", "land")
    frame = read_table(data).frame
    assert frame["year"].tolist() == [2023, 2023, 2024, 2024]
    assert frame["land"].isna().tolist() == [False, False, True, True]
    assert list(read_table(data, ["year"]).frame.columns) == ["year"]
    for file in tmp_path.rglob("*.parquet"):
        file.with_suffix(".csv").write_text("x,y\n1,0\n")
    with pytest.raises(
        UnreadableTableError, match=r"give a column 'year', which is read for Parquet .*/\*\*/\*.csv leav"
    ):
        checked_header(spec(tmp_path))
    assert len(read_table(spec(tmp_path / "**/*.csv")).frame) == 2


@pytest.mark.parametrize(
    ("second", "said"),
    [
        ("x,z,y\n1,1,1\n", "b.csv has a column 'z', which a.csv has not"),
        ("x\n1\n", "b.csv has no column 'y', which a.csv has"),
        ("y,x\n1,1\n", "b.csv has the columns of a.csv in another order, beginning with 'y'; write them alike"),
        ("x,y\n1,1\n1\n", "b.csv, line 3 .row 2. has 1 cell and the header 2"),
        ("", "b.csv.* the file is empty"),
    ],
)
def test_a_file_that_differs_is_named(tmp_path: Path, second: str, said: str) -> None:
    (tmp_path / "a.csv").write_text("x,y\n1,0\n")
    (tmp_path / "b.csv").write_text(second)
    with pytest.raises(UnreadableTableError, match=said):
        read_table(spec(tmp_path))


def test_types_that_do_not_go_together_are_named(tmp_path: Path) -> None:
    for name, cells in (("a", [1, 2]), ("b", ["x", "y"])):
        pd.DataFrame({"x": cells, "y": [0, 1]}).to_parquet(tmp_path / f"{name}.parquet")
    with pytest.raises(UnreadableTableError, match=r"column 'x' of b.parquet is .*string, and int64 in a.parquet"):
        read_table(spec(tmp_path, "parquet"))
    assert read_table(spec(tmp_path, "parquet", text_columns=("x",))).frame["x"].tolist() == ["1", "2", "x", "y"]


@pytest.mark.parametrize("first", [[2**53 + 1, 1], [0.5, 1.5]])
def test_whole_numbers_that_a_float_cannot_hold_are_named(tmp_path: Path, first: list[float]) -> None:
    second = [0.5] if isinstance(first[0], int) else [2**53 + 1]
    for name, numbers in (("a", first), ("b", second)):
        pd.DataFrame({"n": numbers, "y": 1}).to_parquet(tmp_path / f"{name}.parquet")
    with pytest.raises(UnreadableTableError, match=r"'n' of [ab]\.parquet is int64, and double .*text_columns=\[n\]"):
        read_table(spec(tmp_path, "parquet"))


def test_files_that_are_separated_by_tabs_by_their_names_are_not_split_at_commas(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("x,z\ty\n1\t2\n")
    with pytest.raises(UnreadableTableError, match=r"a\.tsv is separated by tabs .*write 'data\.separator=\\t'"):
        checked_header(spec(tmp_path))
    assert checked_header(spec(tmp_path, separator="\t")).names == ("x,z", "y")


def test_the_cache_key_covers_all_files(tmp_path: Path) -> None:
    folder = write(tmp_path)
    before = spec(folder).cache_parts()["data file"]
    assert spec(folder).cache_parts()["data file"] == before
    (folder / "README.md").write_text("no part of it")
    assert spec(folder).cache_parts()["data file"] == before
    assert describe_files(spec(folder)) == [
        f"the table is 3 files of {folder}, in the order of their names; left out: README.md, no csv by name"
    ]
    (folder / "deep/c.csv").write_text("n,mixed,day,y\n1,1,1,1\n")
    assert spec(folder).cache_parts()["data file"] != before


@pytest.mark.parametrize(
    ("path", "said"),
    [
        (".", r"has no file that ends in .*.parquet, .pq; there are a.csv"),
        ("*.xyz", "no file fits .*; look at the folder"),
    ],
)
def test_a_place_without_a_table_is_named(tmp_path: Path, path: str, said: str) -> None:
    (tmp_path / "a.csv").write_text("x,y\n1,0\n")
    with pytest.raises(UnreadableTableError, match=said):
        checked_header(spec(tmp_path / path, "parquet"))


def test_whole_numbers_are_written_alike_where_a_file_has_a_missing_one(tmp_path: Path) -> None:
    pd.DataFrame({"code": [7, 8], "y": [0, 1]}).to_parquet(tmp_path / "a.parquet")
    pd.DataFrame({"code": [7, None], "y": [0, 1]}).to_parquet(tmp_path / "b.parquet")
    data = DataSpec(path=tmp_path, format="parquet", target="y", test_size=0.2, text_columns=("code",))
    assert read_table(data).frame["code"].tolist()[:3] == ["7", "8", "7"]


def test_types_of_a_third_file_that_the_second_does_not_hold(tmp_path: Path) -> None:
    for name, cells in (("a", [None, None]), ("b", [1, 2]), ("c", ["x", "y"])):
        pd.DataFrame({"code": cells, "y": [0, 1]}).to_parquet(tmp_path / f"{name}.parquet")
    data = DataSpec(path=tmp_path, format="parquet", target="y", test_size=0.2)
    with pytest.raises(UnreadableTableError, match=r"column 'code' of c\.parquet is"):
        read_table(data)


def test_a_delta_tables_folder_is_not_read_as_parquet(tmp_path: Path) -> None:
    (tmp_path / "_delta_log").mkdir()
    pd.DataFrame({"x": [1], "y": [0]}).to_parquet(tmp_path / "old.parquet")
    data = DataSpec(path=tmp_path, format="parquet", target="y", test_size=0.2)
    with pytest.raises(UnreadableTableError, match=r"is a Delta table, .*; write data=delta"):
        read_table(data)


def test_the_folder_of_a_single_file_is_a_part_of_the_key(tmp_path: Path) -> None:
    keys = set()
    for year in ("2024", "2025"):
        (folder := tmp_path / year / f"year={year}").mkdir(parents=True)
        pd.DataFrame({"x": [1], "y": [0]}).to_parquet(folder / "a.parquet")
        data = DataSpec(path=tmp_path / year, format="parquet", target="y", test_size=0.2)
        keys.add(data.cache_parts()["data file"])
    assert len(keys) == 2


def test_ordered_categories_of_two_files_are_the_same(tmp_path: Path) -> None:
    for name, levels in (("a", ["low", "high"]), ("b", ["low", "mid", "high"])):
        size = pd.Categorical(["low", "high"], levels, ordered=True)
        pd.DataFrame({"size": size, "y": [0, 1]}).to_parquet(tmp_path / f"{name}.parquet")
    data = DataSpec(path=tmp_path, format="parquet", target="y", test_size=0.2)
    with pytest.raises(UnreadableTableError, match=r"column 'size' of b\.parquet has ordered categories"):
        read_table(data)
    assert read_table(data.model_copy(update={"text_columns": ("size",)})).frame["size"].tolist()[:2] == ["low", "high"]


def test_days_have_one_text_whatever_type_a_file_gives_them(tmp_path: Path) -> None:
    days = pd.to_datetime(["2024-01-01", "2024-01-02"])
    pd.DataFrame({"day": days.date, "y": 0}).to_parquet(tmp_path / "a.parquet")
    pd.DataFrame({"day": days + pd.to_timedelta([0, 90], unit="min"), "y": 1}).to_parquet(tmp_path / "b.parquet")
    found = read_table(spec(tmp_path, "parquet", text_columns=("day",))).frame["day"].tolist()
    assert found == ["2024-01-01", "2024-01-02", "2024-01-01", "2024-01-02 01:30:00"]
