"""The kind of a file is detected by its contents, and not by its name."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.reading.files import UnreadableTableError, open_text

TEXT = "a,b\n1,ü\n"


def zipped(name: str) -> bytes:
    archive_bytes = io.BytesIO()
    with zipfile.ZipFile(archive_bytes, "w") as archive:
        archive.writestr(name, TEXT)
    return archive_bytes.getvalue()


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "T.CSV", "t.bz2", "t"])
@pytest.mark.parametrize("packed", [bytes, gzip.compress, bz2.compress, lzma.compress])
def test_compression_is_detected_by_content(tmp_path: Path, name: str, packed: Callable[[bytes], bytes]) -> None:
    (tmp_path / name).write_bytes(packed(TEXT.encode()))
    with open_text(tmp_path / name, "utf-8") as (text, position):
        assert text.read() == TEXT
        assert position() == (tmp_path / name).stat().st_size


@pytest.mark.parametrize(
    ("content", "encoding", "key", "message"),
    [
        (zipped("t.csv"), "utf-8", "path", "t.csv is a zip archive; unpack it"),
        (zipped("xl/workbook.xml"), "utf-8", "path", "t.csv is an Excel workbook; save its sheet as a CSV file"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "latin-1", "path", "t.csv is an Excel workbook"),
        (b"\x28\xb5\x2f\xfd....", "latin-1", "path", "t.csv is compressed with Zstandard"),
        (b"PAR1....", "utf-8", "format", "t.csv is a Parquet file"),
        (
            TEXT.encode("utf-16"),
            "utf-8",
            "encoding",
            "begins with the byte order mark of UTF-16; write utf-16, not utf-8",
        ),
        (TEXT.encode("utf-16"), "latin-1", "encoding", "write utf-16, not latin-1"),
        (TEXT.encode("utf-8-sig"), "cp1252", "encoding", "write utf-8, not cp1252"),
        (TEXT.encode("utf-16-le"), "utf-8", "encoding", "holds zero bytes .* utf-16-le"),
        (TEXT.encode(), "utf-9", "encoding", "there is no encoding 'utf-9'; did you mean"),
    ],
)
def test_a_file_of_another_kind_or_encoding_is_refused(
    tmp_path: Path, content: bytes, encoding: str, key: str, message: str
) -> None:
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(UnreadableTableError, match=message) as caught, open_text(tmp_path / "t.csv", encoding):
        pass
    assert caught.value.key == key


@pytest.mark.parametrize("encoding", ["utf-8", "UTF8", "utf-8-sig", "utf-16", "utf-32", "latin-1"])
def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "t.csv").write_bytes(TEXT.encode("utf-8-sig" if encoding == "utf-8" else encoding))
    with open_text(tmp_path / "t.csv", encoding) as (text, _):
        assert text.read() == TEXT
