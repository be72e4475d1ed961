"""The bound on a served package's log: full files are put aside, old ones go, and no line is lost in between."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from score.web import log_rotation
from tests.score.conftest import LOG, Serve

from .test_workers import WHO


def ids(log: Path) -> list[str]:
    lines = log.read_text().replace("\0", "").splitlines()
    return [json.loads(line)["id"] for line in lines if line.startswith("{")]


def filled(log: Path, ask: Any) -> None:
    """Make the log full, without as many requests as that takes, and wait until it is put aside."""
    os.truncate(log, log_rotation.MAX_BYTES)
    before = log.stat().st_ino
    while not log.exists() or log.stat().st_ino == before:
        ask("GET", "/")
        time.sleep(0.01)


@pytest.mark.parametrize("workers", [1, 2])
def test_all_workers_go_on_in_a_new_file_and_no_line_is_lost(
    workers: int, make_stub: Callable[[str], Path], serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = make_stub(WHO)
    log, answered = package / LOG, dict[str, bytes]()
    monkeypatch.setenv(log_rotation.VARIABLE, str(log))

    def ask(*_: str) -> None:
        name = f"request-{len(answered)}"
        answered[name] = asked("POST", "/score", b"", **{"X-Request-ID": name})[2]

    with serve(package, "--workers", str(workers)) as (asked, _):
        filled(log, ask)
        while len({answered[name] for name in ids(log)}) < workers:
            ask()
    former = log_rotation.former(log, 1)
    assert "Serving package" in former.read_text()
    assert sorted(ids(former) + ids(log)) == sorted(answered)


def test_the_oldest_goes_when_there_are_too_many(
    stub: Path, serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "service.log"
    log.touch()
    monkeypatch.setenv(log_rotation.VARIABLE, str(log))
    with serve(stub) as (ask, _):
        while not log.stat().st_size:  # a file that is not the one it writes to is what it is to write to
            ask("GET", "/")
            time.sleep(0.01)
        for number in range(log_rotation.FORMER + 1):
            log.write_text(f"full for time {number}\n")
            filled(log, ask)
    kept = [log_rotation.former(log, number) for number in range(log_rotation.FORMER + 1)]
    assert set(kept) == set(tmp_path.iterdir())
    assert [first_line(path) for path in kept[1:]] == [f"full for time {number}\n" for number in (3, 2, 1)]


def first_line(path: Path) -> str:
    with path.open() as file:
        return file.readline()


def test_standard_output_stays_where_no_file_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(log_rotation.VARIABLE, raising=False)
    before = threading.enumerate()
    log_rotation.keep_bounded(owner=True)
    assert threading.enumerate() == before
