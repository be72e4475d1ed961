"""Several workers on one port: they share requests and metrics, are replaced when they die, and stop on a signal."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.score.conftest import Serve, port_of
from tests.waiting import wait_for

WHO = """
import os
from types import SimpleNamespace

from score.contract.schema import Contract
from score.predict.response import HttpReply

def init():
    if os.path.exists("broken"):
        raise RuntimeError("broken")

def loaded():
    return Who()

class Who:
    contract = Contract("who", "regression", ())
    probable = compiled = False
    explanation = SimpleNamespace(method="none")
    model = SimpleNamespace(batchable=False)

    def parse(self, body):
        if body == b"die":
            os._exit(3)
        return SimpleNamespace(columns={}, labels=True)

    def predict(self, columns, *, labels):
        return None

    def respond_http(self, request, prediction):
        return HttpReply(200, b"%d" % os.getpid(), {"Content-Type": "application/json"})
"""


@pytest.fixture
def who(make_stub: Callable[[str], Path]) -> Path:
    return make_stub(WHO)


def asked(ask: Any) -> int:
    return int(ask("POST", "/score", b"")[2])


def reported(ask: Any, metric: str) -> set[float]:
    """Return what ten scrapes, from either worker, say; a worker counts a request after its response is sent."""
    texts = [ask("GET", "/metrics")[2].decode() for _ in range(10)]
    return {float(text.partition(f"\n{metric} ")[2].split(None, 1)[0]) for text in texts}


def both(ask: Any, but: int = 0) -> set[int]:
    """Return the process numbers of two workers that answer, other than ``but``."""
    found: set[int] = set()
    while len(found) < 2:
        found |= {asked(ask)} - {but}
    return found


def test_two_share_the_port_and_count_together(who: Path, serve: Serve) -> None:
    with serve(who, "--workers", "2") as (ask, process):
        assert both(ask) == {child.pid for child in psutil.Process(process.pid).children()}
        counter = 'score_requests_total{path="/score",status="200"}'
        wait_for(lambda: len(reported(ask, counter)) == 1)  # whichever worker is asked
        (before,) = reported(ask, counter)
        for _ in range(5):
            asked(ask)
        wait_for(lambda: reported(ask, counter) == {before + 5})


def test_one_that_dies_is_replaced_while_the_other_serves(who: Path, serve: Serve) -> None:
    with serve(who, "--workers", "2") as (ask, _):
        both(ask)
        dead = asked(ask)
        os.kill(dead, signal.SIGKILL)
        assert dead not in both(ask, but=dead)
        wait_for(lambda: reported(ask, "score_requests_in_flight") == {1})  # this request, none of the dead worker's


def test_a_stop_ends_all_and_leaves_nothing(
    who: Path, serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with serve(who, "--workers", "2") as (ask, process):
        workers = psutil.Process(process.pid).children()
        both(ask)
        assert list(tmp_path.glob("score-metrics-*"))
        process.terminate()
        assert process.wait(20) == -15
        assert not any(worker.is_running() for worker in workers)
        assert not list(tmp_path.glob("score-metrics-*"))


def test_workers_leave_with_a_supervisor_that_is_killed(
    who: Path, serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with serve(who, "--workers", "2") as (_, process):
        workers = psutil.Process(process.pid).children()
        process.kill()
        _, alive = psutil.wait_procs(workers, timeout=20)
        assert not alive
        assert not list(tmp_path.glob("score-metrics-*"))


def test_a_package_that_does_not_load_ends_the_start(who: Path, serve: Serve) -> None:
    (who / "broken").touch()
    with pytest.raises(pytest.fail.Exception, match="ended before it served"), serve(who, "--workers", "2"):
        pass


def test_a_successor_takes_over_without_refusing_a_request(who: Path, serve: Serve) -> None:
    with serve(who, "--workers", "2", "--control", "control.sock") as (ask, old):
        before, over = both(ask), threading.Event()
        statuses: set[int] = set()

        def client() -> None:
            while not over.is_set():
                statuses.add(ask("POST", "/score", b"")[0])

        clients = [threading.Thread(target=client) for _ in range(4)]
        for thread in clients:
            thread.start()
        with serve(who, "--workers", "2", "--control", "control.sock", "--port", str(port_of(old))) as (_, new):
            old.wait(20)
            after = both(ask)
            over.set()
            for thread in clients:
                thread.join()
            assert after == {child.pid for child in psutil.Process(new.pid).children()}
            assert not before & after
            assert statuses == {200}
