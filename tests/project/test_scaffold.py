from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.errors import DataError
from orchestrator.project.scaffold import derive_name, is_name, reference_table, write_files


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("churn.csv", "churn"),
        ("Customer Churn_2024.csv.gz", "customer-churn-2024"),
        ("2024.csv", "model-2024"),
        ("null.csv", "model-null"),
        ("数据.csv", "model"),
        (".hidden.csv", "hidden"),
        ("a" * 60 + ".csv", "a" * 40),
    ],
)
def test_a_name_is_derived_from_any_file(file: str, name: str) -> None:
    assert derive_name(file) == name
    assert is_name(name)


def test_a_table_is_referenced_from_the_project(tmp_path: Path) -> None:
    project = tmp_path / "here" / "project"
    assert reference_table(project / "data" / "t.csv", project) == ("data/t.csv", True)
    assert reference_table(project.parent / "t.csv", project) == ("../t.csv", False)
    assert reference_table(tmp_path / "t.csv", project) == ((tmp_path / "t.csv").as_posix(), False)


def test_files_that_cannot_all_be_written_are_removed(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="File name too long; nothing was written"):
        write_files(tmp_path / "new", {"conf/a.yaml": "a", "b" * 300: "b"})
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_there_stays(tmp_path: Path) -> None:
    (tmp_path / "conf").mkdir()
    with pytest.raises(DataError, match="File name too long"):
        write_files(tmp_path, {"conf/a.yaml": "a", "b" * 300: "b"})
    assert [path.name for path in tmp_path.rglob("*")] == ["conf"]


def test_a_file_in_place_of_a_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "conf").write_text("")
    with pytest.raises(DataError, match=r"conf is a file, and conf/a\.yaml needs a folder there"):
        write_files(tmp_path, {"conf/a.yaml": "a"})
