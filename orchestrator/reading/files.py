"""Table files: detect their kind by the first bytes, and open their text decompressed and decoded."""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import lzma
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from encodings.aliases import aliases
from pathlib import Path
from typing import IO, Any, Literal, TextIO, TypeAlias

from orchestrator.locations.copies import TableFile
from orchestrator.locations.urls import LocationError
from orchestrator.spec.data import DataSpec
from orchestrator.spec.messages import suggest

Kind: TypeAlias = Literal["text", "parquet", "gzip", "bzip2", "xz", "zip", "excel", "zstd"]

_MAGIC: tuple[tuple[bytes, Kind], ...] = (
    (b"PAR1", "parquet"),
    (b"\x1f\x8b", "gzip"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "excel"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
)
_OPENERS: dict[Kind, Callable[[IO[bytes]], Any]] = {"gzip": gzip.open, "bzip2": bz2.open, "xz": lzma.open}
_REFUSED: dict[Kind, str] = {
    "excel": "is an Excel workbook; save its sheet as a CSV file, or as Parquet",
    "zip": "is a zip archive; unpack it and name the file in it",
    "zstd": "is compressed with Zstandard; unpack it, or compress it with gzip, bzip2 or xz",
    "parquet": "is a Parquet file",
}
_MARKS = (  # longest first: UTF-32's mark begins with UTF-16's
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_PROBED = 4096  # bytes at the start in which text has no zero byte


class UnreadableTableError(ValueError):
    """A file is not the table that the configuration describes; ``key`` is the key to change: path, encoding, ..."""

    def __init__(self, key: str, message: str) -> None:
        self.key = key
        super().__init__(message)


def table_files(data: DataSpec) -> Sequence[TableFile]:
    """Return the files of a table on this machine.

    Raises:
        UnreadableTableError: there is none, or they cannot be copied from where they lie.
    """
    try:
        return data.files().files
    except LocationError as error:
        key = next((key for key in ("query", "table") if getattr(data, key) is not None), "path")
        raise UnreadableTableError(key, error.of("data.storage")) from None


def detect_kind(path: Path) -> Kind:
    """Return the kind of a file, judged by its contents and not by its name.

    Raises:
        OSError: there is no such file, or it cannot be opened.
    """
    with path.open("rb") as file:
        start = file.read(8)
    kind: Kind = next((kind for magic, kind in _MAGIC if start.startswith(magic)), "text")
    if kind == "zip":
        with suppress(zipfile.BadZipFile), zipfile.ZipFile(path) as archive:
            if any(name.startswith("xl/") for name in archive.namelist()):
                return "excel"
    return kind


def is_parquet(path: Path) -> bool:
    """Return whether a file is a Parquet file by its contents or, in case it is damaged, by its name."""
    return detect_kind(path) == "parquet" or path.suffix.lower() == ".parquet"


@contextmanager
def open_text(path: Path, encoding: str) -> Iterator[tuple[TextIO, Callable[[], int]]]:
    """Open a text file; the second value returns how many bytes of the file have been read.

    Raises:
        UnreadableTableError: it is no text, or has another encoding.
        OSError: it cannot be opened.
    """
    kind = detect_kind(path)
    if kind in _REFUSED:
        raise UnreadableTableError("format" if kind == "parquet" else "path", f"{path.name} {_REFUSED[kind]}")
    with path.open("rb") as raw:
        stream = _OPENERS[kind](raw) if kind in _OPENERS else raw
        start = stream.read(_PROBED)
        stream.seek(0)
        yield io.TextIOWrapper(stream, encoding=_encoding(path, start, encoding), newline=""), raw.tell


def _encoding(path: Path, start: bytes, encoding: str) -> str:
    """Return the encoding to read the text with, one that skips a byte order mark where there is one."""
    try:
        codec = codecs.lookup(encoding).name
    except LookupError:
        raise UnreadableTableError(
            "encoding", f"there is no encoding '{encoding}'{suggest(encoding, aliases)}"
        ) from None
    marked = next((name for mark, name in _MARKS if start.startswith(mark)), None)
    if marked is not None:
        if not codec.startswith(marked):
            text = f"{path.name} begins with the byte order mark of {marked.upper()}; write {marked}, not {encoding}"
            raise UnreadableTableError("encoding", text)
        return "utf-8-sig" if marked == "utf-8" else marked
    if b"\0" in start and not codec.startswith(("utf-16", "utf-32")):
        text = (
            f"{path.name} holds zero bytes and is no text in {encoding}; if it is UTF-16, write utf-16-le or utf-16-be"
        )
        raise UnreadableTableError("encoding", text)
    return encoding
