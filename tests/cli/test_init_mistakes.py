"""Mistakes in ``orchestrate init``: one line each, and nothing is written."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from orchestrator.cli import init
from tests.project.tables import write_table


@pytest.fixture(autouse=True)
def typed_as(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["orchestrate"])


def broken(folder: Path) -> dict[str, tuple[list[str], str]]:
    """Write bad tables; return the arguments and the error for each."""
    good = write_table(folder, "two-texts.csv")
    write_table(folder, "index.csv")
    files = {
        "empty.csv": b"",
        "blank.csv": b"\n\n",
        "data.csv": b"150,a\n1,x\n",
        "blanks.txt": b"a b  y\n1 2  3\n4 5  6\n",
        "header.csv": b"a,y\n",
        "only.csv": b"y\n0\n1\n",
        "one.csv": b"a,y\n" + b"1,no\n2,no\n" * 10,
        "holes.csv": b"a,y\n" + b"1,\n2,\n3,\n" * 10,
        "none.csv": b"a,y\n" + b"1,None\n3,yes\n" * 10,
        "names.csv": b"a,y\n" + b"".join(b"%d,name %d\n" % (n % 7, n) for n in range(30)),
        "units.csv": b"a,y\n" + b"".join(b"%d,$%d.5\n" % (n % 7, n + 1) for n in range(30)),
        "rare.csv": b"a,y\n" + b"1,no\n2,yes\n" * 10 + b"3,maybe\n",
        "short.csv": b"a,y\n1,0.5\n2,1.5\n",
        "ragged.csv": b"a,y\n1,2,3\n",
        "japanese.csv": "名,y\n東京\u3000,1\n".encode("cp932"),
        "bare.csv": "a,y\n1,2\n".encode("utf-16-le"),
        "sheet.csv": b"PK\x03\x04 no table",
        "rows.json": b'{"a": 1}',
        "torn.parquet": b"PAR1 and no more",
        "zstd.csv": b"\x28\xb5\x2f\xfd....",
        "twice.csv": b"a,a,y\n1,2,3\n4,5,6\n",
    }
    for name, content in files.items():
        (folder / name).write_bytes(content)
    (folder / "file").write_text("")
    y = ["--target", "y"]
    return {
        "no data": (
            [*y],
            "--data: name the table to learn from, such as orchestrate init --data bare.csv --target COLUMN",
        ),
        "no data for a folder": (
            ["shop"],
            "--data: name the table to learn from, such as orchestrate init shop --data bare.csv --target COLUMN",
        ),
        "no file": (
            ["--data", "two_texts.csv", *y],
            "--data: there is no file two_texts.csv; did you mean 'two-texts.csv'?",
        ),
        "no target": (
            ["--data", good.name],
            "--target: name the column to predict: age, income, y; such as: orchestrate init --data two-texts.csv --target y",
        ),
        "near": (
            ["--data", good.name, "--target", "Y "],
            "--target: two-texts.csv has no column 'Y '; did you mean 'y'?",
        ),
        "folder": (["--data", ".", *y], "--data: . is a folder; name a file in it"),
        "bare header": (
            ["--data", "data.csv"],
            "--target: name the column to predict: 150, a; the first row holds the number '150'",
        ),
        "blanks": (["--data", "blanks.txt"], "--target: name the column to predict: a, b, y; such as"),
        "empty": (["--data", "empty.csv", *y], "--data: empty.csv is empty"),
        "blank": (["--data", "blank.csv", *y], "--data: blank.csv is empty"),
        "header": (["--data", "header.csv", *y], "--data: header.csv has no rows besides its header"),
        "only": (["--data", "only.csv", *y], "--data: only.csv has no column to learn from besides the target 'y'"),
        "one": (["--data", "one.csv", *y], "--target: 'y' holds only 'no'"),
        "holes": (["--data", "holes.csv", *y], "--target: 'y' has no value in any of the 30 rows"),
        "none": (
            ["--data", "none.csv", *y],
            "--target: 'None' in 10 rows of 'y' reads as missing and may be a class; write it otherwise",
        ),
        "names": (["--data", "names.csv", *y], "--target: 'y' has 30 distinct texts, such as 'name 0', in 30 rows"),
        "units": (
            ["--data", "units.csv", *y],
            "--target: 'y' has 30 distinct texts, such as '$1.5', in 30 rows, which are no classes; write its numbers without",
        ),
        "rare": (["--data", "rare.csv", *y], "--target: class 'maybe' of 'y' has 1 rows and needs 5"),
        "short": (["--data", "short.csv", *y, "--task", "regression"], "--data: 2 rows are too few to learn 'y' from"),
        "text": (["--data", good.name, *y, "--task", "regression"], "--task: 'y' holds text such as 'no'"),
        "ragged": (["--data", "ragged.csv", *y], "--data: ragged.csv, line 2 (row 1) has 3 cells and the header 2"),
        "japanese": (
            ["--data", "japanese.csv", *y],
            "--encoding: japanese.csv is not written in utf-8 and not in cp1252",
        ),
        "wrong": (["--data", good.name, *y, "--encoding", "utf-9"], "--encoding: there is no encoding 'utf-9'"),
        "bare": (["--data", "bare.csv", *y], "--encoding: bare.csv holds zero bytes"),
        "sheet": (["--data", "sheet.csv", *y], "--data: sheet.csv is a zip archive"),
        "json": (["--data", "rows.json", *y], "--data: rows.json is neither a CSV nor a Parquet file"),
        "torn": (["--data", "torn.parquet", *y], f"--data: {folder}/torn.parquet cannot be read as parquet"),
        "zstd": (["--data", "zstd.csv", *y], "--data: zstd.csv is compressed with Zstandard"),
        "twice": (["--data", "twice.csv", *y], "--data: twice.csv has two columns 'a'; rename one"),
        "index": (["--data", "index.csv", "--target", "Unnamed: 0"], "--target: 'Unnamed: 0' is left out of the table"),
        "file": (["file", "--data", good.name, *y], "FOLDER: file is a file; name a folder"),
        "below": (["file/x", "--data", good.name, *y], f"FOLDER: {folder}/file is a file; name a folder"),
        "name": (["--data", good.name, *y, "--name", "Mine!"], "--name: should be lower case letters"),
        "option": (["--data", good.name, *y, "--tsk=x"], "unrecognized arguments: --tsk=x"),
    }


def test_bad_input_gets_one_line_and_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    cases = broken(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    wrong = {}
    for case, (arguments, expected) in cases.items():
        status = init.main(arguments)
        out, err = capsys.readouterr()
        if not (status == 1 and not out and err.startswith(expected) and err.count("\n") == 1):
            wrong[case] = (status, out, err, expected)
    assert not wrong
    assert sorted(tmp_path.rglob("*")) == before


def test_a_file_is_never_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_table(tmp_path, "two_ints.csv")
    (tmp_path / "README.md").write_text("mine")
    (tmp_path / ".gitignore").symlink_to("nowhere")
    assert init.main(["--data", "two_ints.csv", "--target", "y"]) == 1
    assert capsys.readouterr().err == (
        f"FOLDER: .gitignore, README.md exist in {tmp_path} and would be overwritten; nothing was written; name another folder\n"
    )
    assert (tmp_path / "README.md").read_text() == "mine"
    assert not (tmp_path / "conf").exists()
