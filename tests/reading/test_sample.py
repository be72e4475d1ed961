"""A sample of the rows, drawn before the table is read."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from orchestrator.errors import DataError
from orchestrator.reading.frame import read_table
from orchestrator.reading.sample import draw_sample
from orchestrator.spec.data import DataSpec

N = 3000
TABLE = pd.DataFrame(
    {
        "key": np.arange(N),
        "note": [['5" pipe', "two\nlines", "ü,b", ""][i // 400 % 4] for i in range(N)],
        "y": ["rare" if i % 100 == 0 else "no" if i % 3 else "yes" for i in range(N)],
    }
)
WRITTEN: dict[str, Callable[[Path], object]] = {
    "t.csv": lambda path: path.write_bytes(TABLE.to_csv(index=False).encode("latin-1")),
    "t.csv.gz": lambda path: path.write_bytes(gzip.compress(TABLE.to_csv(index=False).encode("latin-1"))),
    "t.parquet": lambda path: TABLE.to_parquet(path, row_group_size=700),
}


def described(path: Path, **keys: Any) -> DataSpec:
    form = {"format": "parquet"} if path.suffix == ".parquet" else {"format": "csv", "encoding": "latin-1"}
    return DataSpec(**{"path": path, "target": "y", "test_size": 0.2, **form, **keys})


def drawn(data: DataSpec, *, classified: bool = True) -> tuple[pd.DataFrame, str]:
    with draw_sample(data, classified=classified) as (sample, said):
        return read_table(sample).frame, said


@pytest.mark.parametrize("name", WRITTEN)
def test_the_sample_has_rows_of_the_table_in_its_order(tmp_path: Path, name: str) -> None:
    WRITTEN[name](tmp_path / name)
    frame, said = drawn(described(tmp_path / name, rows=300))
    assert list(frame["key"]) == sorted(frame["key"])
    whole = read_table(described(tmp_path / name)).frame
    pd.testing.assert_frame_equal(frame, whole[whole["key"].isin(frame["key"])].reset_index(drop=True))
    assert frame["y"].value_counts().to_dict() == {"no": 198, "yes": 99, "rare": 3}
    assert said == "300 of 3,000 rows are used, drawn with seed 0, with the classes' shares of 'y' (data.rows=300)"


def test_the_seed_decides(tmp_path: Path) -> None:
    WRITTEN["t.csv"](tmp_path / "t.csv")
    data = described(tmp_path / "t.csv", rows=100, stratify=False)
    one, other = drawn(data)[0], drawn(data.model_copy(update={"rows_seed": 1}))[0]
    assert list(one["key"]) == list(drawn(data, classified=False)[0]["key"]) != list(other["key"])
    assert len(one) == len(other) == 100


def test_a_table_that_is_not_larger_is_used_itself(tmp_path: Path) -> None:
    WRITTEN["t.csv"](tmp_path / "t.csv")
    for data in (described(tmp_path / "t.csv", rows=N), described(tmp_path / "t.csv")):
        with draw_sample(data, classified=True) as (same, said):
            assert (same, said) == (data, "")


def test_a_class_without_a_row_is_an_error(tmp_path: Path) -> None:
    WRITTEN["t.csv"](tmp_path / "t.csv")
    text = (
        r"^data\.rows: none of 40 rows would be of class 'rare', which 30 of 3,000 rows have; write data\.rows=100, or"
    )
    with pytest.raises(DataError, match=text):
        drawn(described(tmp_path / "t.csv", rows=40))
    assert drawn(described(tmp_path / "t.csv", rows=100))[0]["y"].value_counts()["rare"] == 1


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_rows_of_several_files_are_those_of_the_table(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "parts"
    for place, part in enumerate((TABLE[:700], TABLE[700:701], TABLE[701:])):
        to = folder / f"part={place}" if kind == "parquet" else folder
        to.mkdir(parents=True, exist_ok=True)
        if kind == "parquet":
            part.to_parquet(to / "rows.parquet")
        else:
            (to / f"{place}.csv").write_bytes(part.to_csv(index=False).encode("latin-1"))
    form: dict[str, Any] = {"format": "parquet"} if kind == "parquet" else {"format": "csv", "encoding": "latin-1"}
    data = DataSpec(path=folder, target="y", test_size=0.2, rows=300, **form)
    frame, _ = drawn(data)
    whole = read_table(data.model_copy(update={"rows": None})).frame
    assert len(frame) == 300
    pd.testing.assert_frame_equal(frame, whole[whole["key"].isin(frame["key"])].reset_index(drop=True))


def test_a_column_that_numbers_the_rows_of_each_file_is_left_out_of_a_sample(tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv"):
        pd.DataFrame({"x": range(300), "y": ["no", "yes"] * 150}).to_csv(tmp_path / name)
    data = DataSpec(path=tmp_path, format="csv", target="y", test_size=0.2)
    sampled = data.model_copy(update={"rows": 200})
    assert list(read_table(data).frame.columns) == list(drawn(sampled)[0].columns) == ["x", "y"]
