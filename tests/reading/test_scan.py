"""One pass over a CSV file: pyarrow reads what csv reads, and csv names the rows that pyarrow refuses."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from orchestrator.reading import scan as scanning
from orchestrator.reading.files import UnreadableTableError
from orchestrator.reading.header import read_csv_header
from orchestrator.reading.scan import scan_csv
from score.contract.cells import TableFormat

TABLE = "a,b\n1.5,x\n,NA\n007,y\n"


@pytest.mark.parametrize(
    ("content", "separator", "encoding"),
    [
        (TABLE.encode(), ",", "utf-8"),
        (TABLE.encode("utf-8-sig"), ",", "utf-8"),
        (TABLE.encode("utf-16"), ",", "utf-16"),
        (TABLE.replace("x", "ü").encode("latin-1"), ",", "latin-1"),
        (TABLE.replace("\n", "\r\n").encode(), ",", "utf-8"),
        (TABLE.replace("\n", "\r").encode(), ",", "utf-8"),
        (TABLE.replace("\n", "\n\n").encode(), ",", "utf-8"),
        (b"\n\n" + TABLE.encode(), ",", "utf-8"),
        (TABLE.replace(",", "\t").encode(), "\t", "utf-8"),
        (TABLE.replace(",", "\x1f").encode(), "\x1f", "utf-8"),
        (gzip.compress(TABLE.encode(), mtime=0), ",", "utf-8"),
        (b'"a\nb",c\n"x\ny, ""z""",1\n1"2,""\n', ",", "utf-8"),
        (b"a,b\n" + b"x" * 200_000 + b",1\n" * 3, ",", "utf-8"),
    ],
)
def test_pyarrow_and_csv_read_the_same_cells(tmp_path: Path, content: bytes, separator: str, encoding: str) -> None:
    (tmp_path / "t.csv").write_bytes(content)
    header, form = (
        read_csv_header(tmp_path / "t.csv", separator, encoding),
        TableFormat(separator=separator, encoding=encoding),
    )
    quick, plain = (
        [[cells.to_pylist() for cells in chunk] for chunk in chunks(tmp_path / "t.csv", header, form)]
        for chunks in (scanning._read_with_pyarrow, scanning._read_with_csv)
    )
    assert quick == plain
    assert len(quick[0][0]) in {1, 2, 3}


@pytest.mark.parametrize(
    ("text", "separator"), [("a,b\n1,2\n3\n", ","), ("a¦b\n1¦2\n3\n", "¦"), ("a b\n1   2\n3\n", r"\s+")]
)
def test_a_ragged_row_is_named_whatever_the_separator(tmp_path: Path, text: str, separator: str) -> None:
    (tmp_path / "t.csv").write_text(text)
    header = read_csv_header(tmp_path / "t.csv", separator, "utf-8")
    with pytest.raises(UnreadableTableError, match=r"line 3 \(row 2\) has 1 cell and the header 2"):
        scan_csv([tmp_path / "t.csv"], header, TableFormat(separator=separator), header.names)


def test_a_row_longer_than_a_block_is_read_by_csv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scanning, "_BLOCK", 64)
    (tmp_path / "t.csv").write_text(f"a,b\n1,{'x' * 500}\n007,NA\n")
    header = read_csv_header(tmp_path / "t.csv", ",", "utf-8")
    rows, scans = scan_csv([tmp_path / "t.csv"], header, TableFormat(), header.names)
    assert (rows, scans["a"].leading_zero, scans["b"].missing) == (2, "007", {"NA": 1})
