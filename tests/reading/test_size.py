"""The size of a table before it is read, against the table."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from orchestrator.reading.frame import read_table
from orchestrator.reading.size import estimate_size
from orchestrator.spec.data import DataSpec

N = 60_000  # a CSV of more text than is looked at


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    columns: dict[str, object] = {f"x{i}": rng.normal(size=N) for i in range(3)}
    city = rng.choice(["Oslo", "Rome", "Ulm"], N)
    return pd.DataFrame({**columns, "n": rng.integers(0, 9, N), "city": city, "y": rng.integers(0, 2, N)})


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.parquet"])
def test_rows_columns_and_bytes_are_near_those_of_the_table(tmp_path: Path, table: pd.DataFrame, name: str) -> None:
    path = tmp_path / name
    if name == "t.parquet":
        table.to_parquet(path)
    else:
        text = table.to_csv(index=False).encode()
        path.write_bytes(gzip.compress(text, 1) if name.endswith("gz") else text)
    data = DataSpec(path=path, format="parquet" if name == "t.parquet" else "csv", target="y", test_size=0.2)
    size = estimate_size(data)
    assert (size.numbers, list(size.levels), size.columns) == (4, [3], 5)
    assert size.rows == pytest.approx(N, rel=0 if name == "t.parquet" else 0.3)
    frame = read_table(data).frame
    assert size.row_bytes * N == pytest.approx(frame.memory_usage(deep=True, index=False).sum(), rel=0.3)


def test_a_small_table_is_seen_whole(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text('a;b;when;y\n1,5;"x\ny";2024-01-01;1\n\nNA;;2024-01-02;0\n')
    size = estimate_size(DataSpec(path=path, format="csv", target="y", test_size=0.2, separator=";", decimal=","))
    assert (size.rows, size.numbers, list(size.levels)) == (2, 1, [2, 2])
