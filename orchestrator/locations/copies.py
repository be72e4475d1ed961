"""The files of a table on this machine: those of a folder or a pattern, or copies of what lies behind a URL."""

from __future__ import annotations

import atexit
import functools
import glob
import hashlib
import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from orchestrator.files import ABANDONED_SECONDS, TEMPORARY
from orchestrator.locations.storage import DELTA_LOG, HIDDEN, Options, StoredFile, copy_file, find_files
from orchestrator.locations.urls import LocationError, Url

_ENDINGS = {  # of files in a folder that are taken for a part of the table
    "csv": {".csv", ".tsv", ".tab", ".txt", ".dat"},
    "parquet": {".parquet", ".pq", ".parq"},
}


@dataclass(frozen=True)
class TableFile:
    """A file of a table: its ``path`` on this machine, and its ``name`` below the folder."""

    path: Path
    name: str


@dataclass(frozen=True)
class TableFiles:
    """The files of a table in the order in which they are read; ``others`` in its folder are no part of it."""

    files: Sequence[TableFile]
    others: Sequence[str] = ()

    @property
    def paths(self) -> list[Path]:
        """The paths on this machine."""
        return [each.path for each in self.files]


def find_local(path: Path, kind: str) -> TableFiles:
    """Return the file, or the files of a kind below a folder, or those of a pattern, by name.

    A path at which nothing lies is returned as it is: opening it is the error.

    Raises:
        LocationError: the folder has no file of the kind, or the pattern fits none.
    """
    if path.is_dir():
        if kind == "parquet" and (path / DELTA_LOG).is_dir():
            raise LocationError(
                f"{path} is a Delta table, and its folder has files of former versions, too; write data=delta"
            )
        found = {each.relative_to(path).as_posix(): each for each in path.rglob("*") if each.is_file()}
        names = sorted(name for name in found if not any(part.startswith(HIDDEN) for part in name.split("/")))
        wanted, others = _of_kind(names, kind, path)
        return TableFiles(tuple(TableFile(found[name], name) for name in wanted), others)
    if path.exists() or not glob.has_magic(str(path)):
        return TableFiles((TableFile(path, path.name),))
    base = Path(*path.parts[: next(place for place, part in enumerate(path.parts) if glob.has_magic(part))])
    found_paths = map(Path, glob.glob(str(path), recursive=True))  # noqa: PTH207 - an absolute pattern
    paths = sorted(each for each in found_paths if each.is_file() and not each.name.startswith(HIDDEN))
    if not paths:
        raise LocationError(f"no file fits {path}; look at the folder {base} and the pattern")
    return TableFiles(tuple(TableFile(each, each.relative_to(base).as_posix()) for each in paths))


def fetch(url: Url, options: Options, kind: str, folder: Path | None) -> TableFiles:
    """Copy the files at a URL into ``folder`` where they are not there yet in this version, and return the copies.

    Without a folder they are copied into one that is removed when the process ends. One version of each URL is kept; the
    former one is removed an hour after its last use.

    Raises:
        LocationError: they cannot be listed or copied, or changed meanwhile.
    """
    found = {each.name: each for each in find_files(url, options)}
    names, others = (list(found), ()) if len(found) == 1 or _is_pattern(url) else _of_kind(list(found), kind, url)
    with kept_copies(url.hide(url.address), options, folder) as home:
        copies = [TableFile(_copy(url, options, found[name], home), name) for name in names]
    return TableFiles(tuple(copies), others)


@contextmanager
def kept_copies(identity: str, options: Options, folder: Path | None) -> Iterator[Path]:
    """Lock and return the folder for the copies of one source; what was not used for an hour is removed from it."""
    from filelock import FileLock

    folder = _scratch() if folder is None else folder
    key = hashlib.sha256(json.dumps([identity, dict(options)], sort_keys=True, default=str).encode()).hexdigest()[:16]
    home = folder / key
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    with FileLock(str(home / ".lock")):
        begun = time.time()
        yield home
        for each in home.iterdir():
            with suppress(OSError):
                if each.is_dir() and begun - each.stat().st_mtime > ABANDONED_SECONDS:
                    shutil.rmtree(each)


def place_copy(home: Path, version: str, name: str, write: Callable[[Path], None]) -> Path:
    """Return the copy of a version, which ``write`` writes if it is not there; it is private, and there as a whole."""
    folder = home / hashlib.sha256(version.encode()).hexdigest()[:16]
    target = folder / (re.sub(r"[/\\\0]", "_", name) or "table")
    if not target.exists():
        folder.mkdir(exist_ok=True, mode=0o700)
        partial = folder / f".{uuid4().hex}{TEMPORARY}"
        try:
            partial.touch(mode=0o600)
            write(partial)
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)
    os.utime(folder)
    return target


def _copy(url: Url, options: Options, stored: StoredFile, home: Path) -> Path:
    version = stored.key or uuid4().hex  # a server that says nothing of versions is asked each time
    name = stored.name.rpartition("/")[2]
    return place_copy(home, f"{stored.name} {version}", name, lambda path: copy_file(url, options, stored, path))


def _of_kind(names: Sequence[str], kind: str, place: Path | Url) -> tuple[list[str], Sequence[str]]:
    """Return the names with an ending of a kind, and the others."""
    wanted = [name for name in names if not _ENDINGS[kind].isdisjoint(map(str.lower, Path(name).suffixes))]
    if not wanted:
        there = f"; there are {', '.join(names[:4])}{', ...' if len(names) > 4 else ''}" if names else ""
        raise LocationError(f"{place} has no file that ends in {', '.join(sorted(_ENDINGS[kind]))}{there}")
    return wanted, tuple(name for name in names if name not in {*wanted})


def _is_pattern(url: Url) -> bool:
    return glob.has_magic(url.address.partition("?")[0]) or "?" in url.address


@functools.cache
def _scratch() -> Path:
    """Return a folder that is removed when the process ends."""
    folder = Path(tempfile.mkdtemp(prefix="orchestrate-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
