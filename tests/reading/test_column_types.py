"""Parquet's types become the contract's, those of nullable and Arrow-backed frames included, and lost digits are reported."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

from orchestrator.reading.frame import Table, read_table
from orchestrator.spec.data import DataSpec
from score.contract.schema import Column

DAY, NOON = dt.date(2024, 1, 31), dt.datetime(2024, 1, 31, 12)  # noqa: DTZ001 -- a column without a zone


def read(folder: Path, columns: dict[str, Any], **keys: Any) -> Table:
    parquet.write_table(pa.table(columns), folder / "t.parquet")
    path = folder / "t.parquet"
    return read_table(DataSpec(**{"path": path, "format": "parquet", "target": "y", "test_size": 0.2, **keys}))


@pytest.mark.parametrize(
    ("column", "dtype", "first"),
    [
        (pa.array([DAY, None]), "datetime64[us]", "2024-01-31"),
        (pa.array([NOON, None], pa.timestamp("ns")), "datetime64[us]", "2024-01-31T12:00:00"),
        (pa.array([NOON, None], pa.timestamp("s", "Asia/Tokyo")), "datetime64[us, UTC]", "2024-01-31T12:00:00Z"),
        (pa.array([DAY, None], pa.date64()), "datetime64[us]", "2024-01-31"),
    ],
    ids=str,
)
def test_dates_and_times(tmp_path: Path, column: Any, dtype: str, first: str) -> None:
    table = read(tmp_path, {"x": column, "y": [0, 1]})
    described = Column.describe(table.frame["x"])
    assert (described.kind, described.dtype, described.missing, described.example) == ("datetime", dtype, True, first)
    assert not table.findings
    assert read(tmp_path, {"x": column, "y": [0, 1]}, dates="off").frame["x"].iloc[0].startswith("2024-01-31")


def test_nullable_and_arrow_backed_frames(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "whole": pd.array([1, None, 3], "Int64"),
            "flag": pd.array([True, None, False], "boolean"),
            "text": pd.array(["a", "a", None], "string[pyarrow]"),
            "price": pd.Series([Decimal("1.10"), None, Decimal("2.25")], dtype=pd.ArrowDtype(pa.decimal128(18, 2))),
            "seen": pd.Series([DAY, None, DAY], dtype=pd.ArrowDtype(pa.date32())),
            "level": pd.Categorical(["low", "high", "low"], ["low", "high"], ordered=True),
            "y": [0, 1, 0],
        }
    )
    table = read(tmp_path, {str(name): pa.array(values) for name, values in frame.items()})
    kinds = {str(name): Column.describe(values).kind for name, values in table.frame.items()}
    assert kinds == {
        "whole": "number", "flag": "boolean", "text": "category", "price": "number", "seen": "datetime",
        "level": "category", "y": "integer",
    }  # fmt: skip
    assert (table.frame["price"].tolist()[0], table.findings) == (1.1, [])
    assert Column.describe(table.frame["level"]).ordered


@pytest.mark.parametrize(
    ("column", "why"),
    [
        (pa.array([Decimal("12345678901234567.89")]), "decimals of up to 19 digits, of which a number keeps 15"),
        (pa.array([2**53 + 1, None]), "missing values among integers beyond 2**53"),
        (pa.array([1, None], pa.timestamp("ns")), "times with nanoseconds, which are cut off at microseconds"),
    ],
    ids=["decimal", "integer", "time"],
)
def test_lost_digits_are_reported(tmp_path: Path, column: Any, why: str) -> None:
    (finding,) = read(tmp_path, {"x": column, "y": [0] * len(column)}).findings
    assert (finding.code, finding.remedy) == ("data-precision", "'data.text_columns=[x]'")
    assert why in finding.text
    assert not read(tmp_path, {"x": column, "y": [0] * len(column)}, text_columns=("x",)).findings


def test_whole_numbers_are_dates_where_a_format_says_so(tmp_path: Path) -> None:
    pd.DataFrame({"day": [20240415, 20240416], "y": [0, 1]}).to_parquet(path := tmp_path / "t.parquet")
    data = DataSpec(path=path, format="parquet", target="y", test_size=0.2, dates={"day": "%Y%m%d"})
    table = read_table(data)
    assert table.frame["day"].tolist() == [pd.Timestamp("2024-04-15"), pd.Timestamp("2024-04-16")]
    assert table.form.dates == {"day": "%Y%m%d"}
