"""The routes as a server answers them: statuses, keys, limits, without an orchestrator."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from score.problems import PROBLEM

from .conftest import Serve

Headers = dict[str, str]
Ask = Callable[..., tuple[int, Headers, bytes]]


@pytest.fixture(scope="module")
def ask(stub: Path, serve: Serve) -> Iterator[Ask]:
    with serve(stub, "--max-bytes", "1000") as (ask, _):
        yield ask


@pytest.fixture(scope="module")
def ask_with_keys(stub: Path, serve: Serve) -> Iterator[Ask]:
    with serve(stub, "--keys", "keys.json") as (ask, _):
        yield ask


def problem(expected: int, status: int, headers: Headers, body: bytes) -> tuple[str, str]:
    """Title and detail of a reply that must be a problem document of this status."""
    told = json.loads(body)
    assert (status, headers["content-type"], told.keys()) == (
        expected, "application/problem+json", {"type", "title", "status", "detail"},
    )  # fmt: skip
    assert (told["type"], told["status"]) == ("about:blank", expected)
    return told["title"], told["detail"]


def test_health_answers_like_azure(ask: Ask) -> None:
    status, headers, body = ask("GET", "/")
    assert (status, body) == (200, b"Healthy")
    assert headers["x-package-fingerprint"] == "abc"
    assert "server" not in headers


def test_score_passes_status_and_json_through(ask: Ask) -> None:
    status, headers, body = ask("POST", "/score", b"12345")
    assert (status, headers["content-type"], json.loads(body)) == (200, "application/json", {"bytes": 5})
    assert headers["x-package-fingerprint"] == "abc"
    status, headers, body = ask("POST", "/score", b"bad")
    assert (status, headers["content-type"], json.loads(body)) == (400, PROBLEM, {"error": "bad"})


def test_a_bug_in_scoring_is_a_500_and_the_server_lives_on(ask: Ask) -> None:
    told = problem(500, *ask("POST", "/score", b"bug"))
    assert told == ("Internal Server Error", "scoring failed: see the service's log")
    assert ask("POST", "/score", b"")[0] == 200


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/score", 405),
        ("PUT", "/score", 405),
        ("POST", "/", 405),
        ("GET", "/else", 404),
        ("POST", "/score/", 404),
    ],
)
def test_other_methods_and_paths(ask: Ask, method: str, path: str, expected: int) -> None:
    title = "Not Found" if expected == 404 else "Method Not Allowed"
    assert problem(expected, *ask(method, path)) == (title, "there are POST /score and GET /")


def test_a_long_request_is_refused_and_the_connection_survives(ask: Ask) -> None:
    assert ask("POST", "/score", b"x" * 1000)[0] == 200
    for body in (b"x" * 1001, iter([b"x" * 600] * 2)):
        extra = {} if isinstance(body, bytes) else {"Transfer-Encoding": "chunked"}
        assert "1000 bytes" in problem(413, *ask("POST", "/score", body, **extra))[1]


@pytest.mark.parametrize("header", ["Bearer one", "bearer two", "Bearer  one "])
def test_either_key_opens(ask_with_keys: Ask, header: str) -> None:
    assert ask_with_keys("POST", "/score", b"", Authorization=header)[0] == 200


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ", "Bearer on", "Bearer onee", "Basic one", "one", "Bearer \xe9"]
)
def test_without_a_key_401(ask_with_keys: Ask, header: str) -> None:
    for headers in ({"Authorization": header}, {}):
        status, got, body = ask_with_keys("POST", "/score", b"", **headers)
        title, detail = problem(401, status, got, body)
        assert (title, got["www-authenticate"]) == ("Unauthorized", "Bearer")
        assert "Authorization: Bearer" in detail


def test_health_needs_no_key(ask_with_keys: Ask) -> None:
    assert ask_with_keys("GET", "/")[0] == 200
