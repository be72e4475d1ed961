"""Files in memory, on the disk and behind a real web server, through one set of functions."""

from __future__ import annotations

import functools
import http.server
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from orchestrator.locations import failures, storage
from orchestrator.locations.storage import exists, find_files, open_read, open_write, remove_file, stat_file
from orchestrator.locations.urls import LocationError, Url


def write(location: str, text: str) -> None:
    with open_write(location) as file:
        file.write(text.encode())


@pytest.fixture(params=["memory", "path", "file"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    folder = tmp_path / "a folder"
    return {"memory": f"memory://{uuid4().hex}", "path": str(folder), "file": f"file://{folder}"}[request.param]


def test_what_is_written_is_listed_and_read(root: str) -> None:
    for name in ("b.csv", "a.csv", "deep/c.csv", "_SUCCESS", ".b.crc", "_temporary/d.csv"):
        write(f"{root}/{name}", name)
    assert [each.name for each in find_files(root)] == ["a.csv", "b.csv", "deep/c.csv"]
    assert [each.name for each in find_files(f"{root}/*.csv")] == ["a.csv", "b.csv"]
    assert [each.name for each in find_files(f"{root}/b.csv")] == ["b.csv"]
    with open_read(f"{root}/b.csv") as file:
        assert file.read() == b"b.csv"
    assert stat_file(f"{root}/a.csv").size == 5
    remove_file(f"{root}/a.csv")
    remove_file(f"{root}/a.csv")
    assert not exists(f"{root}/a.csv")
    assert exists(f"{root}/b.csv")


def test_the_key_changes_with_the_file(root: str) -> None:
    write(f"{root}/a.csv", "1")
    before = stat_file(f"{root}/a.csv").key
    assert before
    assert stat_file(f"{root}/a.csv").key == before
    write(f"{root}/a.csv", "22")
    assert stat_file(f"{root}/a.csv").key != before


def test_nothing_is_left_of_a_file_that_was_not_finished(root: str) -> None:
    write(f"{root}/a.csv", "1")
    rows: dict[str, bytes] = {}
    with pytest.raises(KeyError), open_write(f"{root}/b.csv") as file:
        file.write(rows["none"] if file.write(b"half") else b"")
    assert [each.name for each in find_files(root)] == ["a.csv"]


def test_where_unfinished_files_show_a_whole_one_is_moved_into_place(monkeypatch: pytest.MonkeyPatch) -> None:
    import fsspec

    monkeypatch.setattr(storage, "_WHOLE", {"s3"})
    root, system = f"memory://{uuid4().hex}", fsspec.filesystem("memory")
    write(f"{root}/a.csv", "1")
    for fails in (True, False):
        with suppress(KeyboardInterrupt), open_write(f"{root}/a.csv") as file:
            file.write(b"22")
            file.flush()
            assert system.cat(f"{root}/a.csv") == b"1"
            if fails:
                raise KeyboardInterrupt
        assert [name.rpartition("/")[2] for name in system.find(root)] == ["a.csv"]
        assert system.cat(f"{root}/a.csv") == (b"1" if fails else b"22")
    storage.check_writable(Url(f"{root}/b.csv"))
    assert [name.rpartition("/")[2] for name in system.find(root)] == ["a.csv"]


def test_errors_are_one_line_with_the_remedy(root: str) -> None:
    write(f"{root}/deep/a.csv", "1")
    for call, said in (
        (lambda: find_files(f"{root}/none.csv"), "there is no file .*none.csv; look at the bucket and the path"),
        (lambda: find_files(f"{root}/*.parquet"), "names no file; look at the folder and the pattern"),
        (lambda: stat_file(f"{root}/deep"), "is a folder; name a file in it"),
        (lambda: find_files("s3a2://b/k"), "there is no file system 's3a2://'; there are s3, abfs"),
    ):
        with pytest.raises(LocationError, match=said) as caught:
            call()
        assert "\n" not in str(caught.value)


def test_a_missing_library_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    with pytest.raises(LocationError, match=r"the library for gs:// is not installed; pip install .*\[gcs\]"):
        find_files("gs://bucket/rows.csv")


class Web(http.server.SimpleHTTPRequestHandler):
    """A web server without ranges that fails where its test says so."""

    answers: list[int] = []  # noqa: RUF012 - of the next requests, shared with the test

    def send_head(self) -> Any:
        if self.answers:
            self.send_error(self.answers.pop(0))
            return None
        return super().send_head()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def web(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(failures, "_WAITS", (0.0, 0.0))
    Web.answers.clear()
    (tmp_path / "rows.csv").write_text("a,b\n1,2\n")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Web, directory=str(tmp_path))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_web_server_is_read_and_tried_again(web: str) -> None:
    Web.answers[:] = [503, 503]  # HEAD, then GET
    found = stat_file(f"{web}/rows.csv?year=2024")
    assert (found.size, bool(found.modified)) == (8, True)
    Web.answers[:] = [503, 503]
    with open_read(f"{web}/rows.csv") as file:
        assert file.read() == b"a,b\n1,2\n"
    assert not exists(f"{web}/none.csv")


def test_what_a_web_server_refuses_is_said_without_the_signature(web: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TABLE_URL", f"{web.replace('://', '://me:hunter2@')}/rows.csv?sig=c0ffee")
    for status, said in (
        (403, "may not be read .the server answers 403.; credentials come from"),
        (404, "answers 404"),
    ):
        Web.answers[:] = [status] * 9
        with pytest.raises(LocationError, match=said) as caught, open_read(Url("env:TABLE_URL")) as file:
            file.read()
        assert "hunter2" not in str(caught.value)
        assert "c0ffee" not in str(caught.value)
        assert caught.value.__cause__ is None
    with pytest.raises(LocationError, match="cannot be written: web servers are only read"), open_write(f"{web}/a.csv"):
        pass
    with pytest.raises(LocationError, match="web servers list no folders"):
        find_files(f"{web}/*.csv")


def test_a_secret_is_masked_before_a_long_text_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    secret = "abcdef0123456789" * 4
    monkeypatch.setenv("TABLE_URL", f"https://host/x.csv?token={secret}")
    with (
        pytest.raises(LocationError) as raised,
        failures.explained(Url("env:TABLE_URL"), "read"),
    ):
        raise OSError(f"{'e' * 265} https://host/x.csv?token={secret}")
    assert secret[:4] not in str(raised.value)


def test_who_may_not_look_above_a_folder_reads_its_files(monkeypatch: pytest.MonkeyPatch) -> None:
    with open_write("memory://closed/lake/rows.parquet") as file:
        file.write(b"1")

    def refuse(*_: object, **__: object) -> bool:
        raise PermissionError

    monkeypatch.setattr("fsspec.implementations.memory.MemoryFileSystem.exists", refuse)
    assert [each.name for each in find_files("memory://closed/lake")] == ["rows.parquet"]
