"""The server as a package ships it: routes, keys, limits, its command line, without an orchestrator."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from score import server

STUB = """
import json, os
from pathlib import Path

def init():
    assert Path(os.environ["AZUREML_MODEL_DIR"], "contract.json").exists()

def answer(body):
    if body == b"bad":
        return 400, b'{"error": "bad"}'
    if body == b"bug":
        raise RuntimeError("a bug")
    if body == b"wait":
        Path("begun").touch()
        os.open("gate", os.O_RDONLY)
    return 200, json.dumps({"bytes": len(body)}).encode()
"""
Headers = dict[str, str]
Ask = Callable[..., tuple[int, Headers, bytes]]


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("package")
    shutil.copytree(Path(server.__file__).parent, path / "score", ignore=shutil.ignore_patterns("__pycache__"))
    (path / "score" / "score.py").write_text(STUB)
    (path / "contract.json").write_text('{"fingerprint": "abc"}')
    (path / "keys.json").write_text('{"primary": "one", "secondary": "two"}')
    return path


def serve(package: Path, *options: str) -> Iterator[tuple[Ask, subprocess.Popen[str]]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-B", "-m", "score.server", "--port", str(port), *options]

    def ask(method: str, path: str, body: bytes | Iterator[bytes] = b"", **headers: str) -> tuple[int, Headers, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        try:
            connection.request(method, path, body, headers, encode_chunked=not isinstance(body, bytes))
            response = connection.getresponse()
            return response.status, {k.lower(): v for k, v in response.getheaders()}, response.read()
        finally:
            connection.close()

    with subprocess.Popen(command, cwd=package, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                if "Serving package abc" in line:
                    break
            else:
                pytest.fail("the server ended before it served")
            yield ask, process
        finally:
            process.terminate()


@pytest.fixture(scope="module")
def ask(package: Path) -> Iterator[Ask]:
    for ask, _ in serve(package, "--max-bytes", "1000"):
        yield ask


@pytest.fixture(scope="module")
def ask_with_keys(package: Path) -> Iterator[Ask]:
    for ask, _ in serve(package, "--keys", "keys.json"):
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
    assert (status, headers["content-type"], json.loads(body)) == (400, server.PROBLEM, {"error": "bad"})


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


def test_empty_keys_are_refused(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text('{"primary": "one", "secondary": ""}')
    with pytest.raises(ValueError, match="empty key"):
        server.read_keys(tmp_path / "keys")


@pytest.fixture
def own(package: Path) -> Iterator[tuple[Ask, subprocess.Popen[str]]]:
    yield from serve(package)


def test_a_stop_finishes_what_is_under_way_and_logs_each_request(
    package: Path, own: tuple[Ask, subprocess.Popen[str]]
) -> None:
    ask, process = own
    os.mkfifo(package / "gate")
    answers: list[int] = []
    asking = threading.Thread(target=lambda: answers.append(ask("POST", "/score", b"wait")[0]))
    asking.start()
    while not (package / "begun").exists():
        asking.join(0.01)
    assert ask("GET", "/")[0] == 200  # while scoring is busy
    process.terminate()
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.5)
    os.close(os.open(package / "gate", os.O_WRONLY))
    asking.join()
    assert answers == [200]
    assert process.wait(10) == -15
    assert process.stdout is not None
    assert '"POST /score HTTP/1.1" 200' in process.stdout.read()


def test_help_needs_no_model() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "score.server", "--help"], check=True, capture_output=True, text=True,
        cwd=Path(server.__file__).parents[1],
    )  # fmt: skip
    assert "--keys" in done.stdout


def test_importing_takes_nothing_of_ours() -> None:
    text = Path(server.__file__).read_text()
    assert "import orchestrator" not in text
    assert "from orchestrator" not in text
