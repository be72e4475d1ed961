"""What the local target adds: nothing is refused while it replaces, and nothing stays broken when it is killed."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from orchestrator.artifacts import Endpoint, ModelVersion, Package
from orchestrator.deploy.local.state import ServiceState, find_server_processes, wait_until_exited
from orchestrator.deploy.local.target import Local
from orchestrator.deploy.service_dir import KEPT_LOGS, ServiceDirectory
from orchestrator.deploy.target import RollbackResult
from orchestrator.errors import DeployError
from orchestrator.processes import is_running
from score.predict.response import FLAGS
from score.web import log_rotation
from tests.nightly import at_night

MakePackage = Callable[..., Package]
MakeLocal = Callable[..., Local]
Version = Callable[..., ModelVersion]


def ask(port: int, headers: dict[str, str] | None = None) -> tuple[int, dict[str, Any]]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("POST", "/score", b"{}", {"Connection": "close", **(headers or {})})
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def pid_of(target: Local) -> int:
    return int(target.status().details["pid"])


class Clients:
    """Threads that ask without a pause and without a retry; half of them keep their connection."""

    def __init__(self, port: int, threads: int = 8) -> None:
        self.port, self.done = port, threading.Event()
        self.failures: list[str] = []
        self.answers: list[str] = []
        self.threads = [threading.Thread(target=self.run, args=(n % 2 == 0,)) for n in range(threads)]

    def run(self, keep_alive: bool) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        while not self.done.is_set():
            try:
                connection.request("POST", "/score", b"{}")
                response = connection.getresponse()
                self.answers.append(json.loads(response.read())["answer"])
                if response.status != 200:
                    self.failures.append(f"{keep_alive=}: {response.status}")
            except (OSError, http.client.HTTPException, ValueError) as error:
                self.failures.append(f"{keep_alive=}: {error!r}")
                connection.close()
            if not keep_alive:
                connection.close()  # http.client opens a new one for the next request, as after Connection: close
        connection.close()

    @contextlib.contextmanager
    def asking(self) -> Iterator[Clients]:
        for thread in self.threads:
            thread.start()
        try:
            yield self
        finally:
            self.done.set()
            for thread in self.threads:
                thread.join()


def test_redeploying_refuses_no_request(
    make_local: MakeLocal, make_package: MakePackage, version: Version, free_port: int
) -> None:
    packages = [make_package(name, answer="time.sleep(0.01)") for name in "abcd"]
    make_local().deploy(version(packages[0]))
    with Clients(free_port).asking() as clients:
        for package in packages[1:]:
            make_local().deploy(version(package))
            assert ask(free_port)[1]["answer"] == package.fingerprint
    assert clients.failures == []
    assert len(clients.answers) > 100
    assert set(clients.answers) == set("abcd")


def test_workers_are_replaced_without_refusing_a_request_and_all_of_them_end(
    make_local: MakeLocal, make_package: MakePackage, version: Version, free_port: int
) -> None:
    packages = [make_package(name, answer="time.sleep(0.01)") for name in "abc"]
    make_local(workers=2).deploy(version(packages[0]))
    with Clients(free_port).asking() as clients:
        make_local(workers=2).deploy(version(packages[1]))
        workers = psutil.Process(pid_of(make_local())).children()
        make_local().deploy(version(packages[2]))  # and one process takes over from two
    assert clients.failures == []
    assert set(clients.answers) == set("abc")
    assert len(workers) == 2
    assert not any(is_running(worker) for worker in workers)


def test_another_limit_is_another_service(make_local: MakeLocal, make_package: MakePackage, version: Version) -> None:
    a = make_package("a")
    make_local().deploy(version(a))
    before = pid_of(make_local())
    make_local(max_queued_requests=128, scoring_timeout_seconds=60.0).deploy(version(a))
    assert pid_of(make_local()) == before
    make_local(max_bytes=1, scoring_timeout_seconds=1.5).deploy(version(a))
    assert pid_of(make_local()) != before
    assert ask(make_local().port)[0] == 413


def test_cors_allows_the_configured_origins(make_local: MakeLocal, make_package: MakePackage, version: Version) -> None:
    a, target = make_package("a"), make_local(allow_origins=("https://one.example", "http://two:81"))
    assert target.limits == "--allow-origins https://one.example,http://two:81"
    target.deploy(version(a))
    for origin, allowed in (("http://two:81", "http://two:81"), ("http://two", None)):
        connection = http.client.HTTPConnection("127.0.0.1", target.port, timeout=20)
        connection.request("GET", "/", headers={"Origin": origin})
        response = connection.getresponse()
        assert response.getheader("access-control-allow-origin") == allowed
        readable = (response.getheader("access-control-expose-headers") or "").split(", ")
        assert allowed is None or {name.lower() for name in FLAGS} <= set(readable)
        connection.close()


def test_a_request_under_way_is_answered_by_the_old(
    make_local: MakeLocal, make_package: MakePackage, version: Version, free_port: int, tmp_path: Path
) -> None:
    begun, free = tmp_path / "begun", tmp_path / "free"
    wait = f"open({str(begun)!r}, 'w').close()\n    while not os.path.exists({str(free)!r}): time.sleep(0.01)"
    a, b = make_package("a", answer=wait), make_package("b")
    make_local().deploy(version(a))
    answers: list[Any] = []
    asking = threading.Thread(target=lambda: answers.append(ask(free_port)))
    asking.start()
    while not begun.exists():
        asking.join(0.01)
    deploying = threading.Thread(target=lambda: make_local().deploy(version(b)))
    deploying.start()
    while ask_health(free_port) != "b":
        deploying.join(0.01)
    assert deploying.is_alive()
    free.touch()
    asking.join()
    deploying.join()
    assert answers[0][1]["answer"] == "a"
    assert ask(free_port)[1]["answer"] == "b"


def ask_health(port: int) -> str | None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("GET", "/", headers={"Connection": "close"})
        response = connection.getresponse()
        assert response.read() == b"Healthy"  # also while scoring is busy
        return response.getheader("x-package-fingerprint")
    finally:
        connection.close()


def test_the_uri_of_the_article(make_local: MakeLocal, make_package: MakePackage, version: Version) -> None:
    a = make_package("a")
    endpoint = make_local().deploy(version(a)).endpoint
    assert endpoint == Endpoint(f"http://localhost:{make_local().port}/score", "local", False, a)


def test_another_port_moves_the_service(
    make_local: MakeLocal, make_package: MakePackage, version: Version, free_port: int, other_port: int
) -> None:
    a = make_package("a")
    make_local().deploy(version(a))
    deployment = make_local(port=other_port).deploy(version(a))
    assert ask(other_port)[0] == 200
    with pytest.raises(ConnectionRefusedError):
        ask(free_port)
    deployment.rollback()
    assert ask(free_port)[0] == 200
    with pytest.raises(ConnectionRefusedError):
        ask(other_port)


def test_either_key_opens_and_both_last(
    make_local: MakeLocal, make_package: MakePackage, version: Version, free_port: int
) -> None:
    a, b = make_package("a"), make_package("b")
    target = make_local(auth_enabled=True)
    target.deploy(version(a))
    keys = target.keys()
    target.deploy(version(b))
    make_local().deploy(version(b))
    assert ask(free_port)[0] == 200
    target.deploy(version(b))
    assert target.keys() == keys
    for key in (keys.primary, keys.secondary):
        assert ask(free_port, {"Authorization": f"Bearer {key}"})[0] == 200
    for wrong in (f"Bearer {keys.primary}x", f"Basic {keys.primary}", "Bearer", "Bearer ä", keys.primary):
        status, body = ask(free_port, {"Authorization": wrong})
        assert (status, body["title"]) == (401, "Unauthorized")
    folder = target.state_dir / "services" / "svc"
    assert (folder / "keys.json").stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700
    assert keys.primary not in target.logs()


def test_damaged_keys_are_reported(make_local: MakeLocal, make_package: MakePackage, version: Version) -> None:
    a = make_package("a")
    target = make_local(auth_enabled=True)
    folder = target.state_dir / "services" / "svc"
    folder.mkdir(parents=True)
    (folder / "keys.json").write_text('{"primary": ')
    with pytest.raises(DeployError, match="delete it"):
        target.deploy(version(a))


def test_a_port_in_use_is_named_with_its_holder_and_a_free_one(
    make_local: MakeLocal, make_package: MakePackage, version: Version, free_port: int
) -> None:
    a = make_package("a")
    with socket.create_server(("127.0.0.1", free_port)), pytest.raises(DeployError) as raised:
        make_local().deploy(version(a))
    message = str(raised.value)
    program, argument = psutil.Process().cmdline()[:2]  # another one in a worker of pytest-xdist
    named = rf"'{re.escape(f'{Path(program).name} {argument}')} .*' \(pid {os.getpid()}\);"
    assert re.match(rf"deploy\.port: {free_port} is in use by {named}", message)
    assert "use deploy.port=" in message
    assert make_local().status().state == "absent"


def test_a_port_lost_while_the_model_loads_is_named(
    make_local: MakeLocal, make_package: MakePackage, version: Version, monkeypatch: pytest.MonkeyPatch, free_port: int
) -> None:
    a = make_package("a")
    real = subprocess.Popen
    held: list[socket.socket] = []

    def popen(*args: Any, **options: Any) -> Any:
        held.append(socket.create_server(("127.0.0.1", free_port)))
        return real(*args, **options)

    monkeypatch.setattr(subprocess, "Popen", popen)
    with pytest.raises(DeployError, match=rf"^deploy.port: {free_port} is in use by .* \(pid {os.getpid()}\)"):
        make_local().deploy(version(a))
    held[0].close()


@pytest.mark.parametrize(
    ("init", "expected", "code"),
    [
        (
            "raise RuntimeError('built with scikit-learn 9.9')",
            "died while starting: RuntimeError: built with scikit-le",
            "deploy-crash-loop",
        ),
        (
            "import no_such_module",
            "died while starting: ModuleNotFoundError: No module named 'no_such_module'",
            "deploy-missing-package",
        ),
        at_night("os._exit(3)", "died while starting: it wrote nothing to its log", "deploy-crash-loop"),
        at_night(
            "os.kill(os.getpid(), 9)",
            "died while starting: killed by SIGKILL, out of memory?",
            "deploy-out-of-memory",
        ),
        (
            "print('loading', flush=True); time.sleep(60)",
            "not ready in time (loading); raise deploy.timeout_seconds",
            "deploy-timeout-unhealthy",
        ),
    ],
)
def test_a_failed_start_reports_the_cause_and_leaves_the_old(
    make_local: MakeLocal,
    make_package: MakePackage,
    version: Version,
    free_port: int,
    *,
    init: str,
    expected: str,
    code: str,
) -> None:
    a, bad = make_package("a"), make_package("bad", init=init)
    make_local().deploy(version(a))
    before = make_local().status()
    with pytest.raises(DeployError) as raised:
        make_local(timeout_seconds=3).deploy(version(bad))
    assert expected in str(raised.value).splitlines()[0]
    assert raised.value.code == code
    assert make_local().status() == before
    assert ask(free_port)[1]["answer"] == "a"
    assert len(find_server_processes(make_local().state_dir / "services" / "svc")) == 1


def test_a_first_start_that_fails_leaves_nothing(
    make_local: MakeLocal, make_package: MakePackage, version: Version
) -> None:
    bad = make_package("bad", init="raise ValueError('no')")
    target = make_local()
    with pytest.raises(DeployError, match="ValueError: no"):
        target.deploy(version(bad))
    assert target.status().state == "absent"
    assert "ValueError: no" in target.logs()


@pytest.mark.parametrize("damage", [at_night(""), "{", at_night('{"pid": 1}'), None])
def test_a_damaged_record_is_repaired_without_refusing_a_request(
    make_local: MakeLocal, make_package: MakePackage, version: Version, free_port: int, damage: str | None
) -> None:
    a, b = make_package("a"), make_package("b")
    make_local().deploy(version(a))
    old = psutil.Process(pid_of(make_local()))
    file = make_local().state_dir / "services" / "svc" / "record.json"
    file.unlink() if damage is None else file.write_text(damage)
    with Clients(free_port, threads=2).asking() as clients:
        make_local().deploy(version(b))
    assert clients.failures == []
    assert not is_running(old)
    assert ask(free_port)[1]["answer"] == "b"


def test_a_server_that_was_killed_is_replaced(
    make_local: MakeLocal, make_package: MakePackage, version: Version, free_port: int
) -> None:
    a = make_package("a")
    make_local().deploy(version(a))
    server = psutil.Process(pid_of(make_local()))
    server.kill()
    assert wait_until_exited(server, 10)
    assert make_local().status().state == "unhealthy"
    with pytest.raises(DeployError, match="deploy it first"):
        make_local().endpoint()
    make_local().deploy(version(a))  # over a stale socket and a record of the dead
    assert ask(free_port)[0] == 200


def test_a_server_that_hangs_is_replaced(
    make_local: MakeLocal, make_package: MakePackage, version: Version, free_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrator.deploy.probe.HEALTH_SECONDS", 0.2)
    monkeypatch.setattr("orchestrator.deploy.local.state.STOP_SECONDS", 0.2)
    a = make_package("a")
    make_local().deploy(version(a))
    server = psutil.Process(pid_of(make_local()))
    server.suspend()
    assert make_local().status().state == "unhealthy"
    make_local().deploy(version(a))
    assert not is_running(server)
    assert ask(free_port)[0] == 200


def test_a_recycled_process_number_is_never_killed(
    make_local: MakeLocal, make_package: MakePackage, version: Version
) -> None:
    a = make_package("a")
    make_local().deploy(version(a))
    file = make_local().state_dir / "services" / "svc" / "record.json"
    held = json.loads(file.read_text())
    server = psutil.Process(held["pid"])
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as stranger:
        file.write_text(json.dumps({**held, "pid": stranger.pid, "created": held["created"] - 1000}))
        make_local().remove()  # finds the real one all the same
        assert stranger.poll() is None
        stranger.communicate(b"\n")
    assert not is_running(server)


@pytest.mark.parametrize("gone", ["control.sock", "svc", at_night("services"), at_night("state")])
def test_a_service_whose_folder_is_lost_is_found_and_replaced(
    make_local: MakeLocal, make_package: MakePackage, version: Version, free_port: int, gone: str
) -> None:
    a, b = make_package("a"), make_package("b")
    make_local().deploy(version(a))
    lost = psutil.Process(pid_of(make_local()))
    lose(make_local(), gone)
    if gone != "control.sock":
        status = make_local().status()
        assert (status.state, status.details["pid"].split()[0]) == ("unhealthy", str(lost.pid))
        assert "its record is lost" in status.details["pid"]
    make_local().deploy(version(b))
    assert not is_running(lost)
    assert ask(free_port)[1]["answer"] == "b"
    assert make_local().status().state == "healthy"


def test_a_service_whose_folder_is_lost_is_removed(
    make_local: MakeLocal, make_package: MakePackage, version: Version
) -> None:
    a = make_package("a")
    make_local().deploy(version(a))
    lost = psutil.Process(pid_of(make_local()))
    lose(make_local(), "state")
    make_local().remove()
    assert not is_running(lost)
    assert make_local().status().state == "absent"


def test_another_service_is_not_taken_for_a_lost_one(
    make_local: MakeLocal, make_package: MakePackage, version: Version, free_port: int
) -> None:
    a = make_package("a")
    make_local().deploy(version(a))
    other = make_local(service_name="svc-2")
    assert other.status().state == "absent"
    other.remove()
    with pytest.raises(DeployError, match=rf"is in use by 'python.* service=.*' \(pid {pid_of(make_local())}\)"):
        other.deploy(version(a))
    assert ask(free_port)[0] == 200


def lose(target: Local, what: str) -> None:
    """Delete a part of what the service has on disk, under the living service."""
    folder = target.state_dir / "services" / "svc"
    if what == "control.sock":
        (folder / what).unlink()
    else:
        shutil.rmtree({"svc": folder, "services": folder.parent, "state": target.state_dir}[what])


@pytest.mark.nightly
def test_the_tested_service_comes_back_after_an_untested_one_that_died(
    make_local: MakeLocal, make_package: MakePackage, version: Version, free_port: int
) -> None:
    a, bad = make_package("a"), make_package("bad", answer="os._exit(1)")
    first = make_local().deploy(version(a))
    first.accept()
    make_local().deploy(version(bad))
    server = psutil.Process(pid_of(make_local()))
    server.kill()
    assert wait_until_exited(server, 10)
    deployment = make_local().deploy(version(bad))
    assert deployment.rollback() is RollbackResult.FORMER
    assert ask(free_port)[1]["answer"] == "a"


@pytest.mark.nightly
def test_what_failed_goes_where_the_dead_former_service_cannot_start(
    make_local: MakeLocal, make_package: MakePackage, version: Version
) -> None:
    a, bad = make_package("a"), make_package("bad")
    make_local().deploy(version(a)).accept()
    server = psutil.Process(pid_of(make_local()))
    server.kill()
    assert wait_until_exited(server, 10)
    shutil.rmtree(a.path)
    assert make_local().deploy(version(bad)).rollback() is RollbackResult.REMOVED
    assert make_local().status().state == "absent"


@pytest.mark.nightly
def test_an_acceptance_is_not_given_to_a_later_deployment(
    make_local: MakeLocal, make_package: MakePackage, version: Version
) -> None:
    a, b = make_package("a"), make_package("b")
    mine = make_local().deploy(version(a))
    later = make_local().deploy(version(b))
    mine.accept()
    assert later.rollback() is RollbackResult.FORMER
    assert make_local().endpoint().package == a


KILLED = """
import os, signal, sys
from pathlib import Path
from orchestrator.deploy.local import process, state, target
from orchestrator.artifacts import ModelVersion, Package

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

moment, state_dir, port, path = sys.argv[1:]
if moment == "started":
    process.Server.expect = die
elif moment == "ready":
    state.ServiceState.write = die
elif moment == "recorded":
    process.Server.commit = die
elif moment == "committed":
    expect = process.Server.expect
    process.Server.expect = lambda server, message: expect(server, message) if message == "ready" else die()
elif moment == "serving":
    target.stop = die
package = Package(Path(path), Path(path).name, "model")
target.Local("svc", state_dir, int(port)).deploy(ModelVersion("model", "1", "run", package))
"""


@pytest.mark.parametrize("before", [at_night("nothing"), "a service"])
@pytest.mark.parametrize(
    ("moment", "serves"),
    [("started", "a"), at_night("ready", "a"), ("recorded", "a"), ("committed", "b"), at_night("serving", "b")],
)
def test_a_killed_deployment_leaves_one_service_and_the_next_command_works(
    make_local: MakeLocal,
    make_package: MakePackage,
    version: Version,
    free_port: int,
    *,
    before: str,
    moment: str,
    serves: str,
) -> None:
    a, b, c = make_package("a"), make_package("b"), make_package("c")
    if before == "a service":
        make_local().deploy(version(a))
    arguments = [moment, str(make_local().state_dir), str(free_port), str(b.path)]
    done = subprocess.run([sys.executable, "-c", KILLED, *arguments], check=False, cwd=Path(__file__).parents[3])
    if (before, moment) == ("nothing", "serving"):
        assert done.returncode == 0  # there was nothing to stop, so it was not killed
    else:
        assert done.returncode == -9
    folder = make_local().state_dir / "services" / "svc"
    expected = 1 if before == "a service" or serves == "b" else 0
    deadline = threading.Event()
    for _ in range(200):  # the server that was not committed exits by itself, the one that was replaced too
        if len(find_server_processes(folder)) == expected and (not expected or ask(free_port)[1]["answer"] == serves):
            break
        deadline.wait(0.05)
    assert len(find_server_processes(folder)) == expected
    make_local().deploy(version(c))
    assert ask(free_port)[1]["answer"] == "c"
    assert len(find_server_processes(folder)) == 1
    make_local().remove()
    assert find_server_processes(folder) == []


def test_remove_keeps_only_logs(make_local: MakeLocal, make_package: MakePackage, version: Version) -> None:
    a = make_package("a")
    make_local(auth_enabled=True).deploy(version(a))
    make_local().remove()
    left = {path.name for path in (make_local().state_dir / "services" / "svc").iterdir()}
    assert left <= {"logs", "lock"}
    assert "Serving package a" in make_local().logs()


def test_a_full_log_is_rotated_and_still_read(
    make_local: MakeLocal, make_package: MakePackage, version: Version, free_port: int
) -> None:
    a, target = make_package("a"), make_local()
    target.deploy(version(a))
    log = Path(target.status().details["log"])
    os.truncate(log, log_rotation.MAX_BYTES)
    asked = 0
    while not log.exists() or log.stat().st_size >= log_rotation.MAX_BYTES:
        asked += ask(free_port)[0] == 200
    target.remove()  # it has written all its lines once it has gone
    former, current = log_rotation.former(log, 1).read_text(), log.read_text()
    assert "Serving package a" in former
    assert (former + current).count('"/score"') == asked
    assert target.logs().count('"/score"') > current.count('"/score"')


def test_logs_of_old_servers_go_whole(tmp_path: Path) -> None:
    folder = ServiceDirectory(tmp_path)
    for _ in range(KEPT_LOGS + 2):
        log_rotation.former(folder.new_log(), 1).touch()
    kept = folder.logs()
    assert len(kept) == KEPT_LOGS + 1
    assert {*kept, *(log_rotation.former(log, 1) for log in kept)} == set((tmp_path / "logs").iterdir())


def test_rollback_leaves_a_later_deployment_alone(
    make_local: MakeLocal, make_package: MakePackage, version: Version
) -> None:
    a, b = make_package("a"), make_package("b")
    mine = make_local().deploy(version(a))
    make_local().deploy(version(b))
    mine.rollback()
    assert make_local().endpoint().package == b


def test_rollback_to_nothing_keeps_the_keys_that_clients_hold(
    make_local: MakeLocal, make_package: MakePackage, version: Version
) -> None:
    a, b = make_package("a"), make_package("b")
    target = make_local(auth_enabled=True)
    deployment = target.deploy(version(a))
    keys = target.keys()
    server = psutil.Process(pid_of(target))
    server.kill()
    assert wait_until_exited(server, 10)
    deployment = target.deploy(version(b))
    deployment.rollback()
    assert target.status().state == "absent"
    deployment = target.deploy(version(a))
    assert target.keys() == keys


def test_parallel_deployments_take_turns(
    make_local: MakeLocal, make_package: MakePackage, version: Version, free_port: int
) -> None:
    packages = [make_package(name) for name in "abc"]
    threads = [threading.Thread(target=lambda p=p: make_local().deploy(version(p))) for p in packages]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ask(free_port)[1]["answer"] == make_local().endpoint().package.fingerprint
    assert len(find_server_processes(make_local().state_dir / "services" / "svc")) == 1


def test_an_interrupted_start_leaves_nothing(
    make_local: MakeLocal, make_package: MakePackage, version: Version, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    a = make_package("a")
    monkeypatch.setattr(ServiceState, "write", interrupt)
    with pytest.raises(KeyboardInterrupt):
        make_local().deploy(version(a))
    assert make_local().status().state == "absent"
    for server in find_server_processes(make_local().state_dir / "services" / "svc"):
        assert wait_until_exited(server, 10)


def test_the_package_is_not_changed_by_serving(
    make_local: MakeLocal, make_package: MakePackage, version: Version, free_port: int
) -> None:
    a = make_package("a")
    before = {path: path.stat().st_mtime_ns for path in a.path.rglob("*")}
    make_local().deploy(version(a))
    ask(free_port)
    assert {path: path.stat().st_mtime_ns for path in a.path.rglob("*")} == before


# What is found out before a training


def test_preflight_finds_a_foreign_port_and_accepts_the_services_own(
    make_local: MakeLocal, make_package: MakePackage, version: Version, other_port: int
) -> None:
    a = make_package("a")
    make_local().preflight()  # free
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        with pytest.raises(DeployError, match=rf"deploy\.port: {taken} is in use by .*; stop it or use deploy\.port="):
            make_local(port=taken).preflight()
        make_local().deploy(version(a))
        make_local().preflight()  # handed over
        make_local(port=other_port).preflight()
        with pytest.raises(DeployError, match="is in use by"):
            make_local(port=taken).preflight()  # the service would move there
    with pytest.raises(DeployError, match="is in use by"):
        make_local(service_name="svc-2").preflight()
    (make_local().state_dir / "services" / "svc" / "record.json").unlink()
    make_local().preflight()  # its record is lost, and it is still our own


@pytest.mark.parametrize("gone", ["2", at_night("1")])
def test_a_service_names_the_current_version(
    make_local: MakeLocal, make_package: MakePackage, version: Version, free_port: int, gone: str
) -> None:
    a = make_package("a", answer="time.sleep(0.01)")
    make_local().deploy(version(a, gone))
    before = pid_of(make_local())
    make_local().deploy(version(a, gone))
    assert pid_of(make_local()) == before
    with Clients(free_port, threads=2).asking() as clients:
        make_local().deploy(version(a, "3"))
    assert clients.failures == []
    status = make_local().status()
    assert (status.version, status.details["model"]) == ("3", "model 3")
    held = json.loads((make_local().state_dir / "services" / "svc" / "record.json").read_text())
    assert json.loads(held["origin"])["version"] == "3"
    after = pid_of(make_local())
    make_local().deploy(version(a, ""))  # without tracking no other version is known
    assert (pid_of(make_local()), make_local().status().version) == (after, "3")
