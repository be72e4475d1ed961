"""The routes as a server answers them: statuses, keys, limits, without an orchestrator."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from score.payload.errors import PROBLEM
from score.predict.predictor import Predictor
from score.web.admission import Admission, Limits
from score.web.app import application
from tests.score.conftest import ROOT, Serve

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
    reported = json.loads(body)
    assert (status, headers["content-type"], reported.keys()) == (
        expected, "application/problem+json", {"type", "title", "status", "detail"},
    )  # fmt: skip
    assert (reported["type"], reported["status"]) == ("about:blank", expected)
    return reported["title"], reported["detail"]


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
    reported = problem(500, *ask("POST", "/score", b"bug"))
    assert reported == ("Internal Server Error", "scoring failed: see the service's log")
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
    reported, detail = problem(expected, *ask(method, path))
    assert reported == title
    assert detail.startswith("there are POST /score, ")
    assert "GET /openapi.json" in detail


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


@pytest.mark.parametrize(
    ("path", "reported"), [("/v2/else", "there are POST"), ("/v2/models/other", 'no model "other" here, only "stub"')]
)
def test_errors_of_v2_have_its_form(ask: Ask, path: str, reported: str) -> None:
    status, headers, body = ask("GET", path)
    assert (status, headers["content-type"]) == (404, "application/json")
    assert json.loads(body).keys() == {"error"}
    assert reported in json.loads(body)["error"]


@pytest.mark.parametrize("path", ["/openapi.json", "/swagger.json", "/v2", "/v2/models/stub"])
def test_documents_about_the_model_need_the_key(ask_with_keys: Ask, path: str) -> None:
    assert ask_with_keys("GET", path)[0] == 401
    assert ask_with_keys("GET", path, Authorization="Bearer one")[0] == 200


@pytest.mark.parametrize("path", ["/v2/health/live", "/v2/health/ready", "/docs"])
def test_health_and_documentation_need_no_key(ask_with_keys: Ask, path: str) -> None:
    assert ask_with_keys("GET", path)[0] == 200


def test_swagger_json_comes_in_azure_mls_versions(ask: Ask) -> None:
    def version(query: str) -> str:
        held = json.loads(ask("GET", f"/swagger.json{query}")[2])
        return str(held.get("swagger") or held["openapi"])

    assert [version(query) for query in ("", "?version=2", "?version=3", "?version=3.1")] == [
        "2.0",
        "2.0",
        "3.1.0",
        "3.1.0",
    ]
    assert "versions are 2, 2.0, 3, 3.1" in problem(404, *ask("GET", "/swagger.json?version=4"))[1]


def test_the_documentation_loads_nothing_from_elsewhere(ask: Ask) -> None:
    status, headers, body = ask("GET", "/docs")
    assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert b"//" not in body
    assert "http" not in headers["content-security-policy"]
    for name in re.findall(rb'(?:src|href)="([^"]*)"', body):
        status, _, asset = ask("GET", f"/{name.decode()}")
        assert (status, len(asset) > 500) == (200, True)
    assert ask("GET", "/docs/else.js")[0] == 404


@pytest.mark.parametrize(("body", "status"), [(b"{}", 400), (b"x" * 2000, 413)])
def test_another_middleware_may_wrap_receive(pima_scorer: Predictor, body: bytes, status: int) -> None:
    messages: list[Any] = []
    parts = [
        {"type": "http.request", "body": body[:10], "more_body": True},
        {"type": "http.request", "body": body[10:]},
    ]

    async def receive() -> Any:
        return parts.pop(0)

    async def send(message: Any) -> None:
        messages.append(message)

    async def run() -> None:
        app = application(pima_scorer, Admission(Limits(max_bytes=1000), pima_scorer))

        async def middleware(scope: Any, receive: Any, send: Any) -> None:
            async def wrapped() -> Any:
                return await receive()

            await app(scope, wrapped, send)

        scope = {"type": "http", "method": "POST", "path": "/score", "headers": [], "query_string": b""}
        await middleware(scope, receive, send)

    asyncio.run(run())
    assert messages[0]["status"] == status
    assert not parts  # the rest of a refused body is read


def test_nothing_heavy_is_imported_to_serve() -> None:
    code = "import sys, score.server; print([m for m in ('numpy', 'pandas', 'sklearn', 'flask') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
