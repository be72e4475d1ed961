"""Admission control: a real server under overload, and what runs on the event loop."""

from __future__ import annotations

import asyncio
import gc
import http.client
import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
from starlette.exceptions import HTTPException

from score.payload.errors import BadRequest, Problem
from score.predict.predictor import Prediction
from score.predict.response import HttpReply
from score.web.admission import LOOP_BYTES, LOOP_SECONDS, LOOP_SHARE, Admission, BoundedExecutor, Limits, RequestCodec
from score.web.request_body import RequestBody
from tests.score.conftest import Serve, port_of

SLOW = """
import os, time
from pathlib import Path
from types import SimpleNamespace

from score.contract.schema import Contract
from score.predict.predictor import Prediction
from score.predict.response import HttpReply

def init():
    pass

def loaded():
    return Slow()

class Slow:
    contract = Contract("slow", "regression", ())
    probable = compiled = False
    explanation = SimpleNamespace(method="none")
    model = SimpleNamespace(batchable=True)

    def parse(self, body):
        return SimpleNamespace(columns={"word": [body[:100].strip(b" ").decode()]}, labels=True)

    def predict(self, columns, *, labels):
        for word in columns["word"]:
            if word.startswith("gate"):
                Path(word + ".begun").touch()
                while not Path(word).exists():
                    time.sleep(0.005)
            elif word == "slow":
                time.sleep(0.01)
        return Prediction(columns["word"], None)

    def respond_http(self, request, prediction):
        (word,) = prediction.labels
        return HttpReply(200, word.encode(), {"Content-Type": "application/json"})
"""


@pytest.fixture
def slow(make_stub: Callable[[str], Path]) -> Path:
    return make_stub(SLOW)


class Asking(threading.Thread):
    """A request that is under way while the test goes on."""

    def __init__(self, ask: Any, body: bytes) -> None:
        super().__init__()
        self.ask, self.body = ask, body
        self.reply: Any = None
        self.start()

    def run(self) -> None:
        self.reply = self.ask("POST", "/score", self.body)

    def status(self) -> int:
        self.join()
        return int(self.reply[0])


def begun(package: Path, *names: str) -> None:
    while not all((package / f"{name}.begun").exists() for name in names):
        threading.Event().wait(0.01)


def test_overload_is_refused_and_memory_stays_bounded(slow: Path, serve: Serve) -> None:
    with serve(slow, "--max-queued-requests", "8") as (ask, process):
        answers: Counter[tuple[int, bytes]] = Counter()
        over = threading.Event()

        def client() -> None:
            while not over.is_set():
                status, headers, body = ask("POST", "/score", b"slow")
                if status == 503:
                    assert headers["retry-after"] == "1"
                    assert json.loads(body)["status"] == 503
                    body = b""
                answers[status, body] += 1

        clients = [threading.Thread(target=client) for _ in range(24)]
        server = psutil.Process(process.pid)
        for thread in clients:
            thread.start()
        while answers[200, b"slow"] < 50:
            assert ask("GET", "/")[0] == 200
        before = server.memory_info().rss
        while answers[200, b"slow"] < 400:
            assert ask("GET", "/")[0] == 200
        grown = server.memory_info().rss - before
        over.set()
        for thread in clients:
            thread.join()
        assert set(answers) == {(200, b"slow"), (503, b"")}
        assert grown < 5e6
        assert [ask("POST", "/score", b"slow")[0] for _ in range(20)] == [200] * 20


def test_large_requests_do_not_stop_small_ones_nor_each_other_in_memory(slow: Path, serve: Serve) -> None:
    large = b"gate-a".ljust(900_000)
    with serve(slow, "--max-bytes", "1000000") as (ask, _):
        held = [Asking(ask, large), Asking(ask, b"gate-b".ljust(900_000))]
        while not any((slow / f"gate-{name}.begun").exists() for name in "ab"):
            held[0].join(0.01)
        assert ask("POST", "/score", b"quick")[2] == b"quick"
        assert ask("POST", "/score", b"more".ljust(900_000))[0] == 503  # than twice what one may have
        for name in "ab":
            (slow / f"gate-{name}").touch()
        assert [one.status() for one in held] == [200, 200]
        assert ask("POST", "/score", b"more".ljust(900_000))[2] == b"more"


def test_the_metrics_count_waiting_requests(slow: Path, serve: Serve) -> None:
    with serve(slow) as (ask, _):
        held = [Asking(ask, f"gate-{n}".encode()) for n in range(12)]  # no server has so many threads
        reported = 0.0
        while reported < 8:
            page = ask("GET", "/metrics")[2].decode()
            reported = float(page.partition("\nscore_requests_waiting ")[2].split(None, 1)[0])
        for n in range(12):
            (slow / f"gate-{n}").touch()
        assert {one.status() for one in held} == {200}
        assert "\nscore_requests_waiting 0.0\n" in ask("GET", "/metrics")[2].decode()


def test_a_scoring_timeout_is_reported_and_its_thread_is_freed(slow: Path, serve: Serve) -> None:
    with serve(slow, "--scoring-timeout-seconds", "0.5") as (ask, _):
        threads = [Asking(ask, f"gate-{n}".encode()) for n in range(4)]  # no server has more of them
        assert {one.status() for one in threads} <= {503, 504}
        assert 504 in {one.status() for one in threads}
        [reported, *_] = [json.loads(one.reply[2])["detail"] for one in threads if one.status() == 504]
        assert reported == "scoring took longer than 0.5 s; send fewer rows at a time"
        assert ask("GET", "/")[0] == 200
        for n in range(4):
            (slow / f"gate-{n}").touch()
        while (status := ask("POST", "/score", b"quick")[0]) != 200:
            assert status == 503


class FakePredictor:
    """Its prediction is the request's body, and takes long for one of them."""

    model = SimpleNamespace(batchable=True)

    def predict(self, columns: Any, *, labels: bool = True) -> Prediction:  # noqa: ARG002
        if columns["word"] == [b"slow model"]:
            time.sleep(3 * LOOP_SECONDS)
        return Prediction(columns["word"], None)


def where(*bodies: bytes) -> list[str]:
    """Return whether each request is scored on the event loop or in a thread."""
    found: list[str] = []

    def parse(body: bytes) -> Any:
        found.append("loop" if threading.current_thread() is threading.main_thread() else "thread")
        if b"refused" in body:
            if b"slow" in body:
                time.sleep(3 * LOOP_SECONDS)
            raise BadRequest([Problem(None, None, "refused", "another")])
        return SimpleNamespace(columns={"word": [body]}, labels=True)

    def respond(_request: Any, prediction: Prediction) -> HttpReply:
        if prediction.labels[0].startswith(b"slow answer"):
            time.sleep(3 * LOOP_SECONDS)
        return HttpReply(200, prediction.labels[0], {})

    async def run() -> None:
        predictor: Any = FakePredictor()
        admission = Admission(Limits(), predictor)
        for body in bodies:
            if body == b"later":
                await asyncio.sleep(3 * LOOP_SECONDS * LOOP_SHARE * 2)
                continue

            async def receive(body: bytes = body) -> dict[str, Any]:
                return {"type": "http.request", "body": body}

            incoming = RequestBody({"type": "http", "headers": []}, receive)
            with suppress(BadRequest):
                await admission.answer(incoming, RequestCodec(parse, respond))

    asyncio.run(run())
    return found


def test_small_requests_are_scored_on_the_loop_once_one_was_quick() -> None:
    assert where(b"a", b"b", b"c" * LOOP_BYTES, b"d" * LOOP_BYTES + b"d", b"e") == [
        "thread",
        *["loop"] * 2,
        "thread",
        "loop",
    ]


def test_a_quick_refusal_is_no_sign_of_a_quick_model() -> None:
    assert where(b"refused", b"refused", b"a", b"b") == ["thread", "thread", "thread", "loop"]
    assert where(b"a", b"refused", b"b") == ["thread", "loop", "loop"]


@pytest.mark.parametrize("slow", [b"slow model", b"slow answer", b"slow refused"])
def test_a_slow_request_on_the_loop_sends_all_to_the_threads_for_a_while(slow: bytes) -> None:
    assert where(b"a", slow, b"b", b"c", b"later", b"d", b"e") == ["thread", "loop", *["thread"] * 3, "loop"]
    assert where(b"a", b"b", slow, slow, b"c")[2:] == ["loop", "thread", "thread"]


def test_a_slow_request_in_a_thread_delays_no_other() -> None:
    assert where(b"a", b"slow answer".ljust(LOOP_BYTES + 1), b"b") == ["thread", "thread", "loop"]
    assert where(b"slow answer", b"a", b"b") == ["thread", "thread", "loop"]


def test_a_failure_behind_a_timeout_shows_no_values_of_the_request(caplog: pytest.LogCaptureFixture) -> None:
    problems: list[dict[str, Any]] = []
    timed_out = threading.Event()

    def fail() -> None:
        timed_out.wait(20)
        raise ValueError("a value of the request")

    async def run() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: problems.append(context))
        executor = BoundedExecutor("test", 1, 1, 0.01)
        with pytest.raises(HTTPException, match="504"):
            await executor.run(fail)
        timed_out.set()
        await executor._free.acquire()  # its thread is freed when it has failed
        gc.collect()

    asyncio.run(run())
    assert problems == []
    assert "a value of the request" not in caplog.text


def test_the_time_a_request_waits_for_its_batch_does_not_count() -> None:
    async def waits(columns: Any, *, labels: bool = True) -> Any:  # noqa: ARG001
        await asyncio.sleep(3 * LOOP_SECONDS)
        return Prediction(columns["word"], None)

    async def run() -> bool:
        predictor: Any = FakePredictor()
        admission: Any = Admission(Limits(), predictor)
        admission._loop_allowed, admission._batcher.predict = True, waits
        steps = RequestCodec(
            lambda body: SimpleNamespace(columns={"word": [body]}, labels=True), lambda *_: HttpReply(200, b"", {})
        )
        await admission._score_small(b"a", steps, None)
        return bool(admission._loop_allowed)

    assert asyncio.run(run())


@pytest.mark.parametrize("head", ["Content-Length: 10", "Transfer-Encoding: chunked"])
def test_a_body_that_is_too_slow_is_a_408(stub: Path, serve: Serve, head: str) -> None:
    with serve(stub, "--body-timeout-seconds", "0.3") as (ask, process):
        with socket.create_connection(("127.0.0.1", port_of(process)), 20) as client:
            client.sendall(f"POST /score HTTP/1.1\r\nHost: x\r\n{head}\r\n\r\n1".encode())
            response = http.client.HTTPResponse(client)
            response.begin()
            assert (response.status, json.loads(response.read())["title"]) == (408, "Request Timeout")
            assert client.recv(1) == b""  # and the connection with it
        assert ask("POST", "/score", b"12")[0] == 200


@pytest.mark.parametrize("path", ["/score", "/nowhere"])
def test_a_client_that_sends_too_much_gets_the_response_and_no_reset(stub: Path, serve: Serve, path: str) -> None:
    with (
        serve(stub, "--max-bytes", "1000") as (_, process),
        socket.create_connection(("127.0.0.1", port_of(process)), 20) as client,
    ):
        head = f"POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 30000000\r\n\r\n"
        client.sendall(head.encode() + b"1" * 30_000_000)
        response = http.client.HTTPResponse(client)
        response.begin()
        assert response.status == (413 if path == "/score" else 404)
        assert json.loads(response.read())["status"] == response.status


def test_a_head_that_begins_behind_a_long_body_is_not_taken_for_a_long_one(stub: Path, serve: Serve) -> None:
    head, body = b"POST /score HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", b"1" * 100_000
    with (
        serve(stub) as (_, process),
        socket.create_connection(("127.0.0.1", port_of(process)), 20) as client,
        client.makefile("rb") as answers,
    ):
        for sent in (head % len(body) + body + head[:30], (head % 1)[30:] + b"1"):
            client.sendall(sent)
            assert answers.readline() == b"HTTP/1.1 200 OK\r\n"
            length = 0
            while (line := answers.readline()) != b"\r\n":
                name, _, value = line.partition(b":")
                length = int(value) if name.lower() == b"content-length" else length
            answers.read(length)
