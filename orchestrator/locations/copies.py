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
from typing import TYPE_CHECKING
from uuid import uuid4

from orchestrator.files import ABANDONED_SECONDS, TEMPORARY
from orchestrator.locations import delta_log
from orchestrator.locations.connections import Options
from orchestrator.locations.storage import HIDDEN, StoredFile, copy_file, find_files, is_delta
from orchestrator.locations.urls import LocationError, Url, without_signature

if TYPE_CHECKING:
    from filelock import FileLock

_ENDINGS = {  # of files in a folder that are taken for a part of the table
    "csv": {".csv", ".tsv", ".tab", ".txt", ".dat"},
    "parquet": {".parquet", ".pq", ".parq"},
}


_USED = ".used.lock"  # how the locks of processes that use copies end
_used: dict[Path, FileLock] = {}  # of this process, by the folder of the copies


@dataclass(frozen=True)
class TableFile:
    """A file of a table: its ``path`` on this machine, and its ``name`` below the folder.

    ``version`` differs between copies of different contents; "" is for a file that lies on this machine.
    """

    path: Path
    name: str
    version: str = ""


@dataclass(frozen=True)
class TableFiles:
    """The files of a table in the order in which they are read; ``others`` in its folder are no part of it."""

    files: Sequence[TableFile]
    others: Sequence[str] = ()

    @property
    def paths(self) -> list[Path]:
        """The paths on this machine."""
        return [each.path for each in self.files]


def find_local(path: Path, kind: str | None) -> TableFiles:
    """Return the file, or the files of a kind below a folder, or those of a pattern, by name.

    Without a kind it is the one of all files in the folder.

    A path at which nothing lies is returned as it is: opening it is the error.

    Raises:
        LocationError: the folder has no file of the kind, or the pattern fits none.
    """
    if path.is_dir():
        if kind in {"parquet", None} and is_delta(path):
            raise LocationError(
                f"{path} is a Delta table, and its folder has files of former versions, too; write data=delta"
            )
        found = {each.relative_to(path).as_posix(): each for each in path.rglob("*") if each.is_file()}
        names = sorted(name for name in found if not any(part.startswith(HIDDEN) for part in name.split("/")))
        wanted, others = _of_kind(names, kind, path)
        delta_log.refuse_files([found[name] for name in wanted], is_delta)
        return TableFiles(tuple(TableFile(found[name], name) for name in wanted), others)
    if path.exists() or not glob.has_magic(str(path)):
        return TableFiles((TableFile(path, path.name),))
    base = Path(*path.parts[: next(place for place, part in enumerate(path.parts) if glob.has_magic(part))])
    found_paths = map(Path, glob.glob(str(path), recursive=True))  # noqa: PTH207 - an absolute pattern
    paths = sorted(each for each in found_paths if each.is_file() and not each.name.startswith(HIDDEN))
    delta_log.refuse_files(paths, is_delta)
    if not paths:
        raise LocationError(f"no file fits {path}; look at the folder {base} and the pattern")
    return TableFiles(tuple(TableFile(each, each.relative_to(base).as_posix()) for each in paths))


def fetch(url: Url, options: Options, kind: str | None, folder: Path | None) -> TableFiles:
    """Copy the files at a URL into ``folder`` where they are not there yet in this version, and return the copies.

    Without a kind it is the one of all files. Without a folder they are copied into one that is removed when the process
    ends. One version of each URL is kept; the former one is removed an hour after its last use.

    Raises:
        LocationError: they cannot be listed or copied, or changed meanwhile.
    """
    found = {each.name: each for each in find_files(url, options)}
    names, others = (list(found), ()) if len(found) == 1 or _is_pattern(url) else _of_kind(list(found), kind, url)
    with kept_copies(without_signature(url.address), options, folder) as home:
        copies = [_copy(url, options, found[name], home) for name in names]
    return TableFiles(tuple(copies), others)


@contextmanager
def kept_copies(identity: str, options: Options, folder: Path | None) -> Iterator[Path]:
    """Lock and return the folder for the copies of one source, which this process then uses until it ends.

    What was not used for an hour is removed from it, unless another process is using copies of the source.
    """
    from filelock import FileLock

    folder = scratch() if folder is None else folder
    key = hashlib.sha256(json.dumps([identity, dict(options)], sort_keys=True, default=str).encode()).hexdigest()[:16]
    home = folder / key
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    with FileLock(str(home / ".lock")):
        _use(home)
        begun = time.time()
        yield home
        for each in [] if _is_used_elsewhere(home) else list(home.iterdir()):
            with suppress(OSError):
                if each.is_dir() and begun - each.stat().st_mtime > ABANDONED_SECONDS:
                    shutil.rmtree(each)


def _use(home: Path) -> None:
    """Show that this process uses copies in a folder, by a lock that the system releases however it ends."""
    from filelock import FileLock

    if home not in _used or not Path(_used[home].lock_file).exists():
        _used[home] = FileLock(str(home / f".{uuid4().hex}{_USED}"))
        _used[home].acquire()
        atexit.register(_leave, home)


def _leave(home: Path) -> None:
    if lock := _used.pop(home, None):
        Path(lock.lock_file).unlink(missing_ok=True)


def _is_used_elsewhere(home: Path) -> bool:
    """Return whether another process uses copies in a folder; what an ended one left is removed."""
    from filelock import FileLock, Timeout

    for path in home.glob(f".*{_USED}"):
        if path == Path(_used[home].lock_file):
            continue
        try:
            with FileLock(str(path), timeout=0):
                path.unlink(missing_ok=True)
        except Timeout:
            return True
    return False


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


def _copy(url: Url, options: Options, stored: StoredFile, home: Path) -> TableFile:
    version = stored.key or uuid4().hex  # a server that says nothing of versions is asked each time
    name = stored.name.rpartition("/")[2]
    copy = place_copy(home, f"{stored.name} {version}", name, lambda path: copy_file(url, options, stored, path))
    return TableFile(copy, stored.name, version)


def _of_kind(names: Sequence[str], kind: str | None, place: Path | Url) -> tuple[list[str], Sequence[str]]:
    """Return the names with an ending of a kind, and the others."""
    by_kind = {
        each: [name for name in names if not endings.isdisjoint(map(str.lower, Path(name).suffixes))]
        for each, endings in _ENDINGS.items()
        if kind in {each, None}
    }
    if all(by_kind.values()) and kind is None:
        examples = " and ".join(found[0] for found in by_kind.values())
        raise LocationError(f"{place} has files of two kinds, {examples}; name those of one by a pattern such as *.csv")
    wanted = [name for found in by_kind.values() for name in found]
    if not wanted:
        there = f"; there are {', '.join(names[:4])}{', ...' if len(names) > 4 else ''}" if names else ""
        endings = ", ".join(sorted(ending for each in by_kind for ending in _ENDINGS[each]))
        raise LocationError(f"{place} has no file that ends in {endings}{there}")
    return wanted, tuple(name for name in names if name not in {*wanted})


def _is_pattern(url: Url) -> bool:
    return glob.has_magic(url.address.partition("?")[0]) or "?" in url.address


@functools.cache
def scratch() -> Path:
    """Return a folder that is removed when the process ends."""
    folder = Path(tempfile.mkdtemp(prefix="orchestrate-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
