"""Copies of remote files: one of each version, private, whole, and no others."""

from __future__ import annotations

import atexit
import functools
import http.server
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from uuid import uuid4

import pytest
from filelock import FileLock

from orchestrator.locations import copies
from orchestrator.locations.copies import fetch
from orchestrator.locations.storage import open_write
from orchestrator.locations.urls import LocationError, Url

ROOT = Path(__file__).resolve().parents[2]


def write(location: str, text: str) -> None:
    with open_write(location) as file:
        file.write(text.encode())


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock" != path.name)


@pytest.fixture
def root() -> str:
    return f"memory://{uuid4().hex}"


def test_a_version_is_copied_once_and_a_new_one_again(
    root: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(f"{root}/rows.csv", "a\n1\n")
    first = fetch(Url(f"{root}/rows.csv"), {}, "csv", tmp_path)
    (path,) = first.paths
    assert (path.name, path.read_text(), files(tmp_path)) == ("rows.csv", "a\n1\n", [path])
    assert {stat.S_IMODE(each.stat().st_mode) & 0o077 for each in (path, path.parent, path.parent.parent)} == {0}
    with monkeypatch.context() as patched:
        patched.setattr(copies, "copy_file", None)
        assert fetch(Url(f"{root}/rows.csv"), {}, "csv", tmp_path) == first
    write(f"{root}/rows.csv", "a\n22\n")
    (new,) = fetch(Url(f"{root}/rows.csv"), {}, "csv", tmp_path).paths
    assert (new.read_text(), path.exists()) == ("a\n22\n", True)  # another process may be reading it
    os.utime(path.parent, (time.time() - 4000,) * 2)
    fetch(Url(f"{root}/rows.csv"), {}, "csv", tmp_path)
    assert files(tmp_path) == [new]


def test_copies_that_another_process_uses_stay(root: str, tmp_path: Path) -> None:
    write(f"{root}/rows.csv", "a\n1\n")
    (path,) = fetch(Url(f"{root}/rows.csv"), {}, "csv", tmp_path).paths
    write(f"{root}/rows.csv", "a\n22\n")
    os.utime(path.parent, (time.time() - 4000,) * 2)
    other = path.parents[1] / ".other.used.lock"
    with FileLock(other):
        fetch(Url(f"{root}/rows.csv"), {}, "csv", tmp_path)
        assert path.exists()
    fetch(Url(f"{root}/rows.csv"), {}, "csv", tmp_path)
    assert [each for each in (path, other) if each.exists()] == []
    assert len(list(path.parents[1].glob(".*.used.lock"))) == 1  # of this process


def test_a_folder_is_copied_without_what_is_no_table(root: str, tmp_path: Path) -> None:
    for name in ("b.parquet", "a.parquet", "x=1/c.parquet", "notes.md", "_SUCCESS"):
        write(f"{root}/t/{name}", name)
    found = fetch(Url(f"{root}/t/"), {}, "parquet", tmp_path)
    assert [each.name for each in found.files] == ["a.parquet", "b.parquet", "x=1/c.parquet"]
    assert [path.read_text() for path in found.paths] == ["a.parquet", "b.parquet", "x=1/c.parquet"]
    assert found.others == ("notes.md",)
    assert [each.name for each in fetch(Url(f"{root}/t/*.parquet"), {}, "parquet", tmp_path).files] == [
        "a.parquet",
        "b.parquet",
    ]


def test_nothing_is_left_of_a_copy_that_failed(root: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(f"{root}/rows.csv", "a\n1\n")
    monkeypatch.setattr(copies, "copy_file", fail_with_half)
    with pytest.raises(LocationError, match="no more"):
        fetch(Url(f"{root}/rows.csv"), {}, "csv", tmp_path)
    assert files(tmp_path) == []


def fail_with_half(_url: object, _options: object, _stored: object, path: Path) -> None:
    path.write_text("half")
    raise LocationError("no more")


def test_without_a_folder_copies_go_with_the_process(
    root: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    copies.scratch.cache_clear()
    write(f"{root}/rows.csv", "a\n1\n")
    removed: list[Path] = []
    monkeypatch.setattr(atexit, "register", lambda _call, folder, **_: removed.append(folder))
    (path,) = fetch(Url(f"{root}/rows.csv"), {}, "csv", None).paths
    assert [folder for folder in removed if path.is_relative_to(folder)] == removed
    copies.scratch.cache_clear()


@pytest.mark.nightly  # trains
def test_the_secrets_of_a_url_are_in_no_file_of_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "web").mkdir()
    shutil.copy(ROOT / "data" / "diabetes.csv", tmp_path / "web")
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path / "web"))
    overrides = ["data=csv", "data.target=Outcome", "stages=package", "state_dir=state"]
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"127.0.0.1:{server.server_port}/diabetes.csv?sig=c0ffee"
        monkeypatch.setenv("TABLE_URL", f"http://me:hunter2@{address}")
        said = [run(*overrides, "data.path=env:TABLE_URL"), run(*overrides, f"data.path=http://me:hunter2@{address}")]
        said += [run(*overrides, "data.path=env:TABLE_URL", "data.storage.secret=hunter2")]
        server.shutdown()
    assert [done.returncode for done in said] == [0, 1, 1], said
    assert "data.path: holds credentials" in said[1].stderr + said[1].stdout
    assert "data.storage: holds credentials" in said[2].stderr + said[2].stdout
    written = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and path.parent.name != "web"}
    assert len(written) > 10
    assert [str(path) for path, content in written.items() if b"hunter2" in content or b"c0ffee" in content] == []
    assert "c0ffee" not in "".join(done.stdout + done.stderr for done in said)


def run(*overrides: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "run.py"), *overrides]
    return subprocess.run(command, capture_output=True, text=True, check=False)
