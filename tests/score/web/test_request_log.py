"""What surrounds every request: ids, one line in the log, keys, what a service says of itself."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from select import PIPE_BUF
from typing import Any

import pytest

from score.contract import training_info
from score.web.request_log import AccessLogMiddleware, write_lines
from tests.score.conftest import LOG, Serve


@pytest.fixture(scope="module")
def ask(pima: Path, serve: Serve) -> Iterator[Any]:
    with serve(pima) as (ask, _):
        yield ask


def lines(package: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (package / LOG).read_text().splitlines() if line.startswith("{")]


def line_of(package: Path, request_id: str) -> dict[str, Any]:
    """Return a request's log line, which is flushed within one event-loop iteration of its response."""
    for _ in range(200):
        if found := [line for line in lines(package) if line["id"] == request_id]:
            return found[-1]
        time.sleep(0.01)
    pytest.fail(f"no log line of {request_id}")


@pytest.mark.parametrize("path", ["/", "/else"])
def test_an_id_is_made_or_taken_and_azures_beside_it(ask: Any, path: str) -> None:
    headers = ask("GET", path)[1]
    assert re.fullmatch("[0-9a-f]{32}", headers["x-request-id"])
    assert headers["x-ms-request-id"] == headers["x-request-id"]
    assert "x-ms-client-request-id" not in headers
    headers = ask("GET", path, **{"X-Request-ID": "a-1", "x-ms-client-request-id": "b-2"})[1]
    assert headers["x-request-id"] == "a-1"
    assert headers["x-ms-request-id"] == headers["x-ms-client-request-id"] == "b-2"


@pytest.mark.parametrize("odd", ["", "a b", "a" * 101, 'a"', "\xe9"])
def test_an_odd_id_is_neither_given_back_nor_logged(ask: Any, pima: Path, odd: str) -> None:
    headers = ask("GET", "/", **{"X-Request-ID": odd, "x-ms-client-request-id": odd})[1]
    assert re.fullmatch("[0-9a-f]{32}", headers["x-request-id"])
    assert "x-ms-client-request-id" not in headers
    assert "client_id" not in line_of(pima, headers["x-request-id"])


def test_one_line_for_each_request_and_nothing_of_its_content(ask: Any, pima: Path) -> None:
    row = json.loads((pima / "contract.json").read_text())["columns"]
    body = json.dumps({"data": [{column["name"]: column["example"] for column in row}] * 3}).encode()
    status, _, reply = ask("POST", "/score?secret=1", body, Authorization="Bearer secret", **{"X-Request-ID": "mine"})
    assert status == 200
    line = line_of(pima, "mine")
    assert line.keys() == {"time", "id", "method", "path", "status", "ms", "bytes", "rows"}
    assert (line["id"], line["method"], line["path"], line["status"]) == ("mine", "POST", "/score", 200)
    assert (line["rows"], line["bytes"]) == (3, len(reply))
    assert line["ms"] > 0
    assert "secret" not in (pima / LOG).read_text()


def test_what_is_refused_is_logged_too(ask: Any, pima: Path) -> None:
    for method, path, body, status in (("POST", "/score", b"{", 400), ("GET", "/else", b"", 404)):
        found, headers, _ = ask(method, path, body)
        assert found == status
        line = line_of(pima, headers["x-request-id"])
        assert (line["path"], line["status"], "rows" in line) == (path, status, False)


def test_meta_describes_what_is_served(
    pima: Path, tmp_path: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "package"
    shutil.copytree(pima, package, ignore=shutil.ignore_patterns("__pycache__"))
    origin = {"version": "7", "run_id": "run", "spec_hash": "abc", "rebuild": "python run.py", "data": "d.csv"}
    monkeypatch.setenv("SCORE_ORIGIN", json.dumps(origin | {"other": "untold"}))
    split = {"strategy": "time", "by": "date", "held_out_rows": 154, "line": "the newest by 'date'"}
    bounds = {"r2": {"low": 0.7, "high": 0.87, "level": 0.95, "method": "bootstrap-t"}}
    about = training_info.About("Ridge", {}, {"r2": 0.8}, 614, 154, "abc", "Outcome", split, "all", bounds)
    training_info.write(package, about, {})
    (package / "keys.json").write_text('{"primary": "one", "secondary": "two"}')
    with serve(package, "--keys", "keys.json") as (ask, _):
        for path in ("/meta", "/metrics"):
            assert ask("GET", path)[0] == 401
        reported, page = (
            json.loads(ask("GET", path, Authorization="Bearer two")[2]) for path in ("/meta", "/page/model.json")
        )
    assert page.items() >= (origin | {"trained": None, "gate": None, "fingerprint": reported["fingerprint"]}).items()
    contract = json.loads((package / "contract.json").read_text())
    assert reported == {
        "model": "m", **origin, "trained": None, "gate": None, "fingerprint": contract["fingerprint"],
        "answers": "model.pkl", "task": "classification", "classes": [0, 1], "threshold": None, "versions": contract["versions"],
        "training": vars(about), "explanations": page["explanations"],
    }  # fmt: skip
    assert (page["explanations"]["method"], page["explanations"]["reason"]) == ("none", "the package was made without")


def test_a_log_that_cannot_be_written_stops_no_response_and_keeps_no_line(caplog: pytest.LogCaptureFixture) -> None:
    heard: list[bytes] = []
    full = True

    def write(lines: Sequence[bytes]) -> None:
        if full:
            raise OSError(28, "No space left on device")
        heard.extend(lines)

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"a"})

    async def asked(count: int) -> int:
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message["type"])

        async def receive() -> Any:
            return {"type": "http.request"}

        for _ in range(count):
            await access({"method": "GET", "path": "/", "headers": []}, receive, send)
        return len(sent)

    access = AccessLogMiddleware(app, write=write)
    assert asyncio.run(asked(3)) == 6
    full = False
    assert asyncio.run(asked(2)) == 4
    assert len(heard) == 2
    assert [record.message for record in caplog.records] == [
        "The access log cannot be written: [Errno 28] No space left on device"
    ]


def test_lines_reach_a_pipe_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    pieces: list[bytes] = []
    monkeypatch.setattr("os.write", lambda _file, piece: pieces.append(piece))
    lines = [b"x" * length + b"\n" for length in (100, PIPE_BUF - 1, 2000, 2000, 95, 1, PIPE_BUF * 2)]
    write_lines(lines)
    assert b"".join(pieces) == b"".join(lines)
    assert all(piece.endswith(b"\n") for piece in pieces)
    assert [len(piece) for piece in pieces] == [101, PIPE_BUF, 4002, 98, PIPE_BUF * 2 + 1]
