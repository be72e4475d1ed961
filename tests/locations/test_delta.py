"""Versions of a real Delta table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from orchestrator.locations import delta
from orchestrator.locations.copies import find_local
from orchestrator.locations.urls import LocationError
from orchestrator.reading.files import UnreadableTableError
from orchestrator.reading.frame import read_table
from orchestrator.spec.data import DataSpec


def spec(path: Path, **more: Any) -> DataSpec:
    data = DataSpec.model_validate({"path": path, "format": "delta", "target": "y", "test_size": 0.5, **more})
    data.keep_copies(path.parent / "copies")
    return data


def test_a_version_is_read_and_copied_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deltalake = pytest.importorskip("deltalake")
    lake = tmp_path / "lake"
    deltalake.write_deltalake(lake, pd.DataFrame({"x": [1.5, 2.5], "y": [0, 1], "t": ["a", None]}))
    first = spec(lake)
    assert read_table(first).frame["x"].tolist() == [1.5, 2.5]
    deltalake.write_deltalake(lake, pd.DataFrame({"x": [3.5], "y": [1], "t": ["b"]}), mode="append")
    assert sorted(read_table(spec(lake)).frame["x"]) == [1.5, 2.5, 3.5]
    monkeypatch.setattr(delta, "_write", None)
    pinned = spec(lake, version=0)
    assert read_table(pinned).frame["x"].tolist() == [1.5, 2.5]
    assert pinned.cache_parts() == first.cache_parts()  # the place of the rows is no part of it
    assert spec(lake).cache_parts() != first.cache_parts()
    with pytest.raises(
        UnreadableTableError, match=r"cannot be read as a Delta table in version 9: .*; look at the version$"
    ):
        read_table(spec(lake, version=9))


def test_what_is_no_delta_table_is_named(tmp_path: Path) -> None:
    pytest.importorskip("deltalake")
    with pytest.raises(UnreadableTableError, match="is no Delta table: it has no folder _delta_log"):
        read_table(spec(tmp_path))


def test_without_the_library_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "deltalake", None)
    with pytest.raises(UnreadableTableError, match=r"not installed; pip install 'sklearn-orchestrator\[delta\]'"):
        read_table(spec(tmp_path))
    with pytest.raises(ValueError, match="version: data=parquet has no such key; it is for data=delta"):
        spec(tmp_path, format="parquet", version=1)


def test_files_of_a_table_are_not_read_by_a_pattern_or_from_above(tmp_path: Path) -> None:
    (tmp_path / "lake/_delta_log").mkdir(parents=True)
    (tmp_path / "lake/year=2024").mkdir()
    pd.DataFrame({"x": [1.5]}).to_parquet(tmp_path / "lake/year=2024/removed.parquet")
    for place in ("lake/year=2024/*.parquet", "lake/**/*.parquet", "lake/year=2024", ""):
        with pytest.raises(LocationError, match=r"lake is a Delta table, .* former versions, too; name that folder"):
            find_local(tmp_path / place, None)
    assert find_local(tmp_path / "lake/year=2024/removed.parquet", None).files  # one that is typed is meant
