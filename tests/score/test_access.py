"""What surrounds every request: ids, one line in the log, keys, what a service says of itself."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .conftest import LOG, Serve


@pytest.fixture(scope="module")
def ask(pima: Path, serve: Serve) -> Iterator[Any]:
    with serve(pima) as (ask, _):
        yield ask


def lines(package: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (package / LOG).read_text().splitlines() if line.startswith("{")]


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
    assert lines(pima)[-1]["id"] == headers["x-request-id"]


def test_one_line_for_each_request_and_no_word_of_what_it_held(ask: Any, pima: Path) -> None:
    row = json.loads((pima / "contract.json").read_text())["columns"]
    body = json.dumps({"data": [{column["name"]: column["example"] for column in row}] * 3}).encode()
    status, _, reply = ask("POST", "/score?secret=1", body, Authorization="Bearer secret", **{"X-Request-ID": "mine"})
    assert status == 200
    line = lines(pima)[-1]
    assert line.keys() == {"time", "id", "method", "path", "status", "ms", "bytes", "rows"}
    assert (line["id"], line["method"], line["path"], line["status"]) == ("mine", "POST", "/score", 200)
    assert (line["rows"], line["bytes"]) == (3, len(reply))
    assert line["ms"] > 0
    assert "secret" not in (pima / LOG).read_text()


def test_what_is_refused_is_logged_too(ask: Any, pima: Path) -> None:
    for method, path, body, status in (("POST", "/score", b"{", 400), ("GET", "/else", b"", 404)):
        assert ask(method, path, body)[0] == status
        line = lines(pima)[-1]
        assert (line["path"], line["status"], "rows" in line) == (path, status, False)


def test_meta_tells_what_is_served(pima: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    origin = {"version": "7", "run_id": "run", "spec_hash": "abc", "rebuild": "python run.py", "data": "d.csv"}
    monkeypatch.setenv("SCORE_ORIGIN", json.dumps(origin | {"other": "untold"}))
    (pima / "keys.json").write_text('{"primary": "one", "secondary": "two"}')
    with serve(pima, "--keys", "keys.json") as (ask, _):
        for path in ("/meta", "/metrics"):
            assert ask("GET", path)[0] == 401
        told, page = (
            json.loads(ask("GET", path, Authorization="Bearer two")[2]) for path in ("/meta", "/page/model.json")
        )
    assert page.items() >= (origin | {"trained": None, "fingerprint": told["fingerprint"]}).items()
    contract = json.loads((pima / "contract.json").read_text())
    assert told == {
        "model": "m", **origin, "trained": None, "fingerprint": contract["fingerprint"],
        "answers": "model.pkl", "task": "classification", "classes": [0, 1], "versions": contract["versions"],
    }  # fmt: skip
