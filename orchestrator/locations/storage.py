"""List, look at, read and write files at any location: a path, or a URL that fsspec knows (s3, abfs, gs, https ...).

Every function takes a path, a :class:`~orchestrator.locations.urls.Url` or its text, and fsspec's options of the file
system. Every error is a :class:`~orchestrator.locations.urls.LocationError`: one line without credentials.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any
from uuid import uuid4

from orchestrator.files import TEMPORARY
from orchestrator.locations import delta_log
from orchestrator.locations.connections import Location, Options, as_url, asset_of, connect
from orchestrator.locations.failures import explained, retried
from orchestrator.locations.urls import LocationError, Url
from orchestrator.locations.workspace_files import PROTOCOL

_NO_OPTIONS: Options = {}
_VERSIONS = ("generation", "ETag", "etag", "md5Hash", "Content-MD5", "Digest")
_TIMES = ("LastModified", "last_modified", "Last-Modified", "updated", "mtime", "modified")
_BLOCK = 2**22  # bytes
_WHOLE = {
    "file",
    "local",
    "memory",
    "s3",
    "s3a",
    "gs",
    "gcs",
    "abfs",
    "abfss",
    "az",
    PROTOCOL,
}  # show a file once it is closed
HIDDEN = (".", "_")  # how files begin that engines write beside a table: _SUCCESS, .part-0.crc


@dataclass(frozen=True)
class StoredFile:
    """One file: its ``address`` for fsspec, its ``name`` below what was listed, and what differs between its versions.

    ``size`` in bytes is None where a server does not say it; ``version`` is the etag, else a checksum, else "";
    ``modified`` is the time as the file system writes it, else ""; ``asset`` is the data asset and its version.
    """

    address: str
    name: str
    size: int | None
    version: str
    modified: str
    asset: str = ""

    @property
    def key(self) -> str:
        """What changes when the file does; "" if the file system says nothing that would."""
        known = self.version or self.modified
        return f"{self.asset} {self.version} {self.size} {self.modified}".strip() if known else ""


def find_files(location: Location, options: Options = _NO_OPTIONS) -> list[StoredFile]:
    """Return the file at a location, or all files below a folder or of a pattern (``*``, ``?``, ``**``), by name.

    Names are relative to the folder, or to what stands before the pattern. Files in a folder whose names, or the names
    of whose folders, begin with ``.`` or ``_`` are left out.

    Raises:
        LocationError: there is none, or it cannot be listed.
    """
    url = as_url(location)
    with explained(url, "listed"):
        found, asset = retried(url, lambda: _find(url, options)), asset_of(url, options)
        return [replace(each, asset=asset) for each in found] if asset else found


def stat_file(location: Location, options: Options = _NO_OPTIONS) -> StoredFile:
    """Return size, version and time of one file.

    Raises:
        LocationError: there is none, it is a folder, or it cannot be looked at.
    """
    url = as_url(location)
    with explained(url, "looked at"):
        found = retried(url, lambda: _find(url, options, only_one=True))
        return found[0]


def exists(location: Location, options: Options = _NO_OPTIONS) -> bool:
    """Return whether there is a file or a folder.

    Raises:
        LocationError: that cannot be found out.
    """
    url = as_url(location)
    with explained(url, "looked at"):
        system, path = connect(url, options)
        try:
            retried(url, lambda: system.info(path))
        except FileNotFoundError as error:
            if getattr(error.__cause__, "status", 404) != 404:  # fsspec says so of every answer of a web server
                raise
            return False
        return True


@contextmanager
def open_read(location: Location, options: Options = _NO_OPTIONS) -> Iterator[IO[bytes]]:
    """Open a file for reading its bytes in order, some megabytes at a time; not every file system can seek.

    Raises:
        LocationError: it cannot be opened or read.
    """
    url = as_url(location)
    with explained(url, "read"):
        system, path = connect(url, options)
        opened = retried(url, lambda: _open(url, system, path))
    with explained(url, "read", opened=True), opened as file:
        yield file


def copy_file(url: Url, options: Options, stored: StoredFile, target: Path) -> None:
    """Copy a file that was found at a URL to a path on this machine, some megabytes at a time.

    Raises:
        LocationError: it cannot be read, or changed since it was found.
    """
    with explained(url, "copied"):
        system, _ = connect(url, options)

        def copy() -> None:
            with _open(url, system, stored.address) as source, target.open("wb") as file:
                shutil.copyfileobj(source, file, _BLOCK)
            if stored.size not in {None, target.stat().st_size}:
                raise ConnectionError(f"{stored.name} ended after {target.stat().st_size} of {stored.size} bytes")

        retried(url, copy)
        system.invalidate_cache()
        now = _stored(stored.address, stored.name, system.info(stored.address))
        if (now.version, now.size) != (stored.version, stored.size):  # times of lists and of files differ in form
            raise LocationError(f"{stored.name} of {url} changed while it was copied; run again")


@contextmanager
def open_write(location: Location, options: Options = _NO_OPTIONS) -> Iterator[IO[bytes]]:
    """Open a file for writing; it is there, whole, once the block ends, and after an error it is not.

    Missing folders are made. A file that was there is replaced; with an error it stays where the file system can do so.
    Where a store shows files that are being written, it is written beside, and moved.

    Raises:
        LocationError: it cannot be written, as nothing can on a web server.
    """
    url = as_url(location)
    with explained(url, "written"):
        if url.protocol in {"http", "https"}:
            raise LocationError(f"{url} cannot be written: web servers are only read; name a bucket or a file")
        system, path = connect(url, options)
        with suppress(NotImplementedError, PermissionError):  # a bucket needs no folders, and may not be made
            if system.protocol in {"file", "memory"} or "file" in system.protocol:
                system.makedirs(system._parent(path), exist_ok=True)  # noqa: SLF001 - fsspec's only name for it
        before = system.exists(path)
        place = path if url.protocol in _WHOLE else _beside(path)
        file = system.open(place, "wb", autocommit=False)
    with explained(url, "written", opened=True):
        try:
            yield file
            file.close()
            with suppress(AttributeError):  # most file systems commit when they close
                file.commit()
            if place != path:
                if before:  # not every file system moves a file over another
                    system.rm_file(path)
                system.mv(place, path)
        except BaseException:
            _discard(system, place, file, before=before and place == path)
            raise


def check_writable(url: Url, options: Options = _NO_OPTIONS) -> None:
    """Write an empty file beside what is to be written, and remove it, where that is allowed.

    Raises:
        LocationError: nothing can be written there.
    """
    beside = Url(_beside(url.text.rstrip("/")))
    with explained(url, "written"), open_write(beside, options):
        pass
    with suppress(LocationError):  # who may only write leaves a hidden, empty file
        remove_file(beside, options)


def is_delta(location: Location, options: Options = _NO_OPTIONS) -> bool:
    """Return whether there is a Delta table.

    Raises:
        LocationError: that cannot be found out.
    """
    if isinstance(location, Path):
        return (location / delta_log.FOLDER).is_dir()
    url = as_url(location)
    with explained(url, "looked at"):
        if url.protocol in {"http", "https"}:
            return False
        system, path = connect(url, options)
        return bool(system.exists(f"{path.rstrip('/')}/{delta_log.FOLDER}"))


def remove_file(location: Location, options: Options = _NO_OPTIONS) -> None:
    """Remove a file, if it is there.

    Raises:
        LocationError: it cannot be removed.
    """
    url = as_url(location)
    with explained(url, "removed"):
        system, path = connect(url, options)
        with suppress(FileNotFoundError):
            system.rm_file(path)


def _beside(path: str) -> str:
    """Return a name beside a path, which lists leave out."""
    folder, slash, name = path.rpartition("/")
    return f"{folder}{slash}.{name}.{uuid4().hex}{TEMPORARY}"


def _open(url: Url, system: Any, path: str) -> Any:
    """Open a file; one of a web server is a stream, since not every server gives parts."""
    return system.open(path, "rb", **({"block_size": 0} if url.protocol in {"http", "https"} else {}))


def _find(url: Url, options: Options, *, only_one: bool = False) -> list[StoredFile]:
    system, path = connect(url, options)
    if url.protocol in {"http", "https"}:  # has no folders; and ? and [ are letters of a query
        if "*" in path.partition("?")[0] or path.endswith("/"):
            raise LocationError(f"{url} is no file: web servers list no folders; name one file")
        return [_stored(path, url.name, system.info(path))]
    if not only_one and any(sign in path for sign in "*?["):
        base = path[: min(path.find(sign) for sign in "*?[" if sign in path)].rpartition("/")[0]
        found = {name: info for name, info in system.glob(path, detail=True).items() if info["type"] == "file"}
    else:
        info = system.info(path)
        if info["type"] == "file":
            return [_stored(path, path.rpartition("/")[2], info)]
        if only_one:
            raise LocationError(f"{url} is a folder; name a file in it")
        base = path.rstrip("/")
        found = system.find(path, detail=True)
    stored = [_stored(name, name.removeprefix(base).lstrip("/"), info) for name, info in sorted(found.items())]
    delta_log.refuse_stored(url, system, stored)
    visible = [each for each in stored if not any(part.startswith(HIDDEN) for part in each.name.split("/"))]
    if not visible:
        raise LocationError(f"{url} names no file; look at the folder and the pattern")
    return visible


def _stored(path: str, name: str, info: Mapping[str, Any]) -> StoredFile:
    checksum = (info.get("content_settings") or {}).get("content_md5")
    version = next((str(info[each]) for each in _VERSIONS if info.get(each)), str(checksum or ""))
    modified = next((str(info[each]) for each in _TIMES if info.get(each)), str(info.get("created") or ""))
    return StoredFile(path, name, info.get("size"), version, modified)


def _discard(system: Any, path: str, file: Any, *, before: bool) -> None:
    """Drop what was written of a file, so that no part of it is taken for the whole."""
    with suppress(Exception):
        file.discard()
    with suppress(Exception):
        file.closed = True  # else it would be committed when Python drops it
    with suppress(Exception):
        if not before:
            system.rm_file(path)
