"""The life of a service in a container: builds, starts and commands that fail or are killed lose and leak nothing."""

from __future__ import annotations

import http.client
import itertools
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from orchestrator import progress
from orchestrator.artifacts import ModelVersion, Package
from orchestrator.deploy.docker import container as containers
from orchestrator.deploy.docker.labels import ContainerLabels
from orchestrator.deploy.docker.target import Docker
from orchestrator.deploy.target import RollbackResult
from orchestrator.errors import DeployError
from orchestrator.events import Event, Progress, StepNote
from orchestrator.packaging import dockerfile
from tests.deploy.docker.engine_queries import ask, containers_of, nameless, only
from tests.nightly import at_night

if TYPE_CHECKING:
    from docker import DockerClient

MakePackage = Callable[..., Package]
MakeDocker = Callable[..., Docker]
Version = Callable[..., ModelVersion]

slow = pytest.mark.slow


@pytest.mark.nightly
@slow
def test_build_arguments_reach_the_build_and_not_the_image(
    engine: DockerClient, make_docker: MakeDocker, make_package: MakePackage, version: Version
) -> None:
    a = make_package("a")
    target = make_docker(build_args={"PIP_TRUSTED_HOST": "secret.invalid"})
    target.deploy(version(a))
    made = only(engine, target).image
    assert "secret" not in json.dumps([made.attrs, made.history()])


@slow
def test_a_failed_build_reports_pips_reason_and_leaves_the_old(
    engine: DockerClient, make_docker: MakeDocker, make_package: MakePackage, version: Version, free_port: int
) -> None:
    a, b = make_package("a"), make_package("b")
    make_docker().deploy(version(a))
    (b.path / "requirements.txt").write_text("uvicorn==0.0.0.1\n")
    with pytest.raises(
        DeployError, match=r"^deploy: the image cannot be built: the package index has no uvicorn==0.0.0.1"
    ):
        make_docker().deploy(version(b))
    assert ask(free_port)["answer"] == "a"
    assert len(containers_of(engine, make_docker())) == 1


@slow
def test_unreadable_credentials_are_reported_in_one_line(
    make_docker: MakeDocker,
    make_package: MakePackage,
    version: Version,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    a = make_package("a")
    (tmp_path / "config.json").write_text('{"credsStore": "desktop"}')
    with monkeypatch.context() as patch:
        patch.setenv("DOCKER_CONFIG", str(tmp_path))
        with (
            pytest.raises(DeployError, match="correct or remove `credsStore`"),
            pytest.warns(UserWarning, match="docker-credential-desktop"),
        ):
            make_docker().deploy(version(a))


@slow
@pytest.mark.nightly
def test_a_build_that_fails_late_leaves_its_log_and_no_layers(
    engine: DockerClient, make_docker: MakeDocker, make_package: MakePackage, version: Version
) -> None:
    a = make_package("a")
    whole = (a.path / dockerfile.DOCKERFILE).read_text()
    (a.path / dockerfile.DOCKERFILE).write_text(f"{whole}RUN echo mark-of-this-test && false\n")
    before = nameless(engine)
    with pytest.raises(DeployError, match=r"the image cannot be built: .*read the build log") as raised:
        make_docker().deploy(version(a))
    message = Path(str(raised.value).splitlines()[-1].partition("raw texts: ")[2])
    assert "mark-of-this-test" in (message / "build.log").read_text()
    assert "mark-of-this-test" in make_docker().logs()
    assert nameless(engine) == before
    (a.path / dockerfile.DOCKERFILE).write_text(whole)
    make_docker().deploy(version(a))
    make_docker().remove()
    assert nameless(engine) == before


@slow
@pytest.mark.nightly
def test_a_build_has_a_heartbeat(
    make_docker: MakeDocker, make_package: MakePackage, version: Version, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "SILENCE_SECONDS", 0.3)
    heard: list[Event] = []
    a = make_package("a")
    with (a.path / dockerfile.DOCKERFILE).open("a") as text:
        text.write("RUN echo so far && sleep 2\n")
    target = make_docker()
    target.report_to(Progress(heard.append))
    target.deploy(version(a))
    notes = [event.text for event in heard if isinstance(event, StepNote)]
    assert f"building image {target._name}:a" in notes
    assert any(re.fullmatch(r"\d s: so far", note) for note in notes)
    assert "starting the container" in notes


@slow
def test_a_base_image_that_cannot_be_pulled_names_an_available_one(
    make_docker: MakeDocker, make_package: MakePackage, version: Version
) -> None:
    a = make_package("a")
    for name in ("no-such-python:1", "UPPER"):
        with pytest.raises(DeployError, match=rf"^deploy.base_image: .* no '{name}' and cannot pull it .* \(it has"):
            make_docker(base_image=name).deploy(version(a))


@slow
@pytest.mark.parametrize(
    ("init", "message"),
    [
        ("raise RuntimeError('built with scikit-learn 9.9')", "RuntimeError: built with scikit-learn 9.9"),
        at_night("import no_such_module", "No module named 'no_such_module'; add no_such_module"),
        at_night(
            "os._exit(3)", "died while starting: the container crashes while starting; it wrote nothing to its log"
        ),
        at_night("held = b'x' * 2**30", "OOMKilled, exit code 137); deploy.memory_gb=2"),
        at_night(
            "print('loading', flush=True); time.sleep(60)",
            "not ready in time (loading); raise deploy.timeout_seconds, such as deploy.timeout_seconds=60",
        ),
    ],
)
def test_a_failed_start_reports_the_cause_and_leaves_the_old(
    engine: DockerClient, make_docker: MakeDocker, make_package: MakePackage, version: Version, free_port: int,
    *, init: str, message: str,
) -> None:  # fmt: skip
    a, bad = make_package("a"), make_package("bad", init=init)
    make_docker().deploy(version(a))
    before = make_docker().status()
    with pytest.raises(DeployError) as raised:
        make_docker(timeout_seconds=4 if "sleep" in init else 60, memory_gb=0.25).deploy(version(bad))
    first = str(raised.value).splitlines()[0]
    assert message in first
    assert first.endswith("; the former service goes on serving")
    assert make_docker().status() == before
    assert ask(free_port)["answer"] == "a"
    assert len(containers_of(engine, make_docker())) == 1


@pytest.mark.nightly
@slow
def test_a_first_start_that_fails_leaves_its_log_alone(
    engine: DockerClient, make_docker: MakeDocker, make_package: MakePackage, version: Version
) -> None:
    bad = make_package("bad", init="raise ValueError('no')")
    target = make_docker()
    with pytest.raises(DeployError, match="ValueError: no") as raised:
        target.deploy(version(bad))
    assert "the former service" not in str(raised.value)
    assert target.status().state == "absent"
    assert "ValueError: no" in target.logs()
    assert containers_of(engine, target) == []


@slow
def test_more_processors_than_there_are_are_refused_before_anything_is_built(
    make_docker: MakeDocker, make_package: MakePackage, version: Version
) -> None:
    a = make_package("a")
    with pytest.raises(DeployError, match=r"^deploy.cpu_cores: the engine's machine has \d+ processors, and 5000"):
        make_docker(cpu_cores=5000).deploy(version(a))


@slow
@pytest.mark.nightly
def test_other_limits_and_another_port_make_another_container(
    engine: DockerClient, make_docker: MakeDocker, make_package: MakePackage, version: Version,
    free_port: int, other_port: int,
) -> None:  # fmt: skip
    a = make_package("a")
    make_docker().deploy(version(a))
    target = make_docker(port=other_port, memory_gb=0.5)
    deployment = target.deploy(version(a))
    assert ask(other_port)["answer"] == "a"
    with pytest.raises(OSError, match=r"refused|reset"):
        ask(free_port)
    assert only(engine, target).attrs["HostConfig"]["Memory"] == 2**29
    deployment.rollback()
    assert ask(free_port)["answer"] == "a"
    with pytest.raises(OSError, match=r"refused|reset"):
        ask(other_port)


@slow
@pytest.mark.nightly
def test_a_client_waits_a_moment_at_most(
    make_docker: MakeDocker, make_package: MakePackage, version: Version, free_port: int
) -> None:
    packages = [make_package(name) for name in "abc"]
    make_docker().deploy(version(packages[0]))
    answers, done = [(time.monotonic(), "a")], threading.Event()

    def keep_asking() -> None:
        while not done.is_set():
            try:
                answers.append((time.monotonic(), ask(free_port, timeout=2)["answer"]))
            except (OSError, ValueError, http.client.HTTPException):
                time.sleep(0.01)

    asking = threading.Thread(target=keep_asking)
    asking.start()
    for package in packages[1:]:
        make_docker().deploy(version(package))
    done.set()
    asking.join()
    gaps = [after - before for (before, _), (after, _) in itertools.pairwise(answers)]
    assert max(gaps) < 4, f"{max(gaps):.2f} s"
    assert {name for _, name in answers} >= {"a", "b"}


@slow
def test_requests_under_way_are_answered(
    make_docker: MakeDocker, make_package: MakePackage, version: Version, free_port: int
) -> None:
    a, b = make_package("a", answer="time.sleep(4)"), make_package("b")
    make_docker().deploy(version(a))
    answers: list[Any] = []
    asking = threading.Thread(target=lambda: answers.append(ask(free_port)["answer"]))
    asking.start()
    time.sleep(0.2)
    make_docker().deploy(version(b))
    asking.join()
    assert answers == ["a"]
    assert ask(free_port)["answer"] == "b"


@slow
def test_a_port_in_use_is_named_with_its_holder(
    make_docker: MakeDocker, make_package: MakePackage, version: Version, free_port: int
) -> None:
    a = make_package("a")
    with socket.create_server(("127.0.0.1", free_port)), pytest.raises(DeployError) as raised:
        make_docker().deploy(version(a))
    assert str(raised.value).startswith(f"deploy.port: {free_port} is in use by '")
    assert f"(pid {os.getpid()})" in str(raised.value)
    first = make_docker(service_name="first")
    first.deploy(version(a))
    with pytest.raises(
        DeployError, match=rf"deploy.port: {free_port} is in use by container 'first-\w+'; `docker stop"
    ):
        make_docker().deploy(version(a))


@slow
@pytest.mark.nightly
def test_a_port_lost_meanwhile_is_named_and_the_old_comes_back(
    engine: DockerClient, make_docker: MakeDocker, make_package: MakePackage, version: Version,
    free_port: int, other_port: int, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    a, b = make_package("a"), make_package("b")
    make_docker().deploy(version(a))
    start = containers.start
    held: list[socket.socket] = []

    def lose(*args: Any) -> Any:
        held.append(socket.create_server(("127.0.0.1", other_port)))
        return start(*args)

    monkeypatch.setattr(containers, "start", lose)
    with pytest.raises(
        DeployError,
        match=rf"^deploy.port: {other_port} is in use by .* \(pid {os.getpid()}\).* service goes on serving$",
    ):
        make_docker(port=other_port).deploy(version(b))
    held[0].close()
    assert ask(free_port)["answer"] == "a"
    assert only(engine, make_docker()).attrs["State"]["Running"]


@slow
@pytest.mark.nightly
def test_another_address_is_tried_before_the_former_service_is_stopped(
    engine: DockerClient, make_docker: MakeDocker, make_package: MakePackage, version: Version, free_port: int
) -> None:
    a = make_package("a")
    make_docker().deploy(version(a))
    before = only(engine, make_docker())
    with pytest.raises(
        DeployError,
        match=r"^deploy.host: '192.0.2.1' is no address of this machine; use 127.* service goes on serving$",
    ):
        make_docker(host="192.0.2.1").deploy(version(a))
    after = only(engine, make_docker())
    assert (after.id, after.attrs["State"]["StartedAt"]) == (before.id, before.attrs["State"]["StartedAt"])
    make_docker(host="127.0.0.2").deploy(version(a))
    assert make_docker().status().url == f"http://127.0.0.2:{free_port}/score"


@slow
@pytest.mark.nightly
def test_a_service_whose_keys_are_lost_is_replaced_and_has_new_ones(
    make_docker: MakeDocker, make_package: MakePackage, version: Version, free_port: int
) -> None:
    a, bad = make_package("a"), make_package("bad", init="raise ValueError('no')")
    target = make_docker(auth_enabled=True)
    target.deploy(version(a))
    kept = target.state_dir / "services" / "svc.docker" / "keys.json"
    kept.unlink()
    with pytest.raises(DeployError, match="deploy again to have new keys"):
        target.keys()
    with pytest.raises(DeployError, match="ValueError: no"):
        target.deploy(version(bad))
    assert not kept.exists()  # new ones would not open the former service
    endpoint = target.deploy(version(a)).endpoint
    assert ask(free_port, headers=endpoint.headers)["answer"] == "a"


@slow
def test_what_could_not_be_accepted_can_be_rolled_back(
    make_docker: MakeDocker, make_package: MakePackage, version: Version
) -> None:
    a = make_package("a")
    target = make_docker()
    deployment = target.deploy(version(a))
    noted = target.state_dir / "services" / "svc.docker" / "accepted"
    noted.mkdir()
    with pytest.raises(DeployError, match=rf"{noted} cannot be written \(Is a directory\)"):
        deployment.accept()
    noted.rmdir()
    assert deployment.rollback() is RollbackResult.REMOVED


@slow
def test_removing_says_what_it_does(make_docker: MakeDocker) -> None:
    heard: list[Event] = []
    target = make_docker()
    target.report_to(Progress(heard.append))
    target.remove()
    assert [event.text for event in heard if isinstance(event, StepNote)] == ["removing the container and its images"]


@pytest.mark.nightly
@slow
def test_a_foreign_container_of_that_name_is_left_alone(
    engine: DockerClient, make_docker: MakeDocker, make_package: MakePackage, version: Version
) -> None:
    a = make_package("a")
    target = make_docker()
    target.deploy(version(a))
    name = only(engine, target).name
    target.remove()
    stranger = engine.containers.create("python:3.11-slim", name=name)
    try:
        with pytest.raises(DeployError, match=rf"this project did not make container '{name}'"):
            target.deploy(version(a))
        target.remove()
        assert target.status().state == "absent"
        stranger.reload()
    finally:
        stranger.remove()


@slow
@pytest.mark.nightly
def test_a_server_that_dies_is_started_again_and_one_that_hangs_is_replaced(
    engine: DockerClient, make_docker: MakeDocker, make_package: MakePackage, version: Version, free_port: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    a = make_package("a")
    target = make_docker(auth_enabled=True)
    target.deploy(version(a))
    container = only(engine, target)
    psutil.Process(container.attrs["State"]["Pid"]).kill()
    served = ContainerLabels.of(container)
    assert served is not None
    assert served.answers_within(20)
    container.reload()
    assert container.attrs["RestartCount"] == 1
    monkeypatch.setattr("orchestrator.deploy.probe.HEALTH_SECONDS", 0.3)
    container.pause()
    assert target.status().state == "unhealthy"
    monkeypatch.setattr("orchestrator.deploy.docker.service.STOP_SECONDS", 1)
    monkeypatch.setattr("orchestrator.deploy.probe.HEALTH_SECONDS", 10)
    make_docker().deploy(version(a))
    assert ask(free_port)["answer"] == "a"
    assert only(engine, target).id != container.id


@pytest.mark.nightly
@slow
def test_an_engine_that_publishes_only_as_it_starts_a_container_serves_too(
    make_docker: MakeDocker, make_package: MakePackage, version: Version, free_port: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    a = make_package("a")
    monkeypatch.setattr(containers, "published", lambda _: False)
    make_docker().deploy(version(a))
    monkeypatch.undo()
    assert ask(free_port)["answer"] == "a"
    assert make_docker().status().state == "healthy"


@slow
@pytest.mark.nightly
def test_a_stopped_container_is_unhealthy_and_replaced(
    engine: DockerClient, make_docker: MakeDocker, make_package: MakePackage, version: Version, free_port: int
) -> None:
    a = make_package("a")
    make_docker().deploy(version(a))
    only(engine, make_docker()).stop()
    assert make_docker().status().state == "unhealthy"
    assert "(exited)" in make_docker().status().details["container"]
    assert "Serving package a" in make_docker().logs()
    with pytest.raises(DeployError, match="deploy it first"):
        make_docker().endpoint()
    make_docker().deploy(version(a))
    assert ask(free_port)["answer"] == "a"


@slow
@pytest.mark.nightly
def test_keys_last_over_deployments_and_rollback_to_nothing(
    make_docker: MakeDocker, make_package: MakePackage, version: Version
) -> None:
    a, b = make_package("a"), make_package("b")
    target = make_docker(auth_enabled=True)
    deployment = target.deploy(version(a))
    keys = target.keys()
    deployment.rollback()
    assert target.status().state == "absent"
    target.deploy(version(b))
    assert target.keys() == keys
    target.remove()
    target.deploy(version(b))
    assert target.keys() != keys


@pytest.mark.nightly
@slow
def test_rollback_leaves_a_later_deployment_alone(
    make_docker: MakeDocker, make_package: MakePackage, version: Version
) -> None:
    a, b = make_package("a"), make_package("b")
    mine = make_docker().deploy(version(a))
    make_docker().deploy(version(b))
    mine.rollback()
    assert make_docker().endpoint().package == b


@slow
@pytest.mark.nightly
def test_images_stay_as_long_as_a_rollback_may_need_them_and_remove_leaves_none(
    engine: DockerClient, make_docker: MakeDocker, make_package: MakePackage, version: Version
) -> None:
    a, b, c = (make_package(name) for name in "abc")

    def tags() -> set[str]:
        return {tag.partition(":")[2] for it in engine.images.list(make_docker()._name) for tag in it.tags}

    before = nameless(engine)
    make_docker().deploy(version(a))
    make_docker().deploy(version(b))
    deployment = make_docker().deploy(version(c))
    assert tags() == {"libraries", "a", "b", "c"}
    deployment.accept()
    assert tags() == {"libraries", "c"}
    make_docker().deploy(version(b))
    make_docker().remove()
    assert tags() == set()
    assert nameless(engine) == before
    assert "Serving package b" in make_docker().logs()
    make_docker().remove()


@slow
@pytest.mark.nightly
def test_a_rollback_builds_a_removed_image_again(
    engine: DockerClient, make_docker: MakeDocker, make_package: MakePackage, version: Version, free_port: int
) -> None:
    a, b = make_package("a"), make_package("b")
    make_docker().deploy(version(a))
    target = make_docker()
    deployment = target.deploy(version(b))
    engine.images.remove(f"{target._name}:a")
    assert deployment.rollback() is RollbackResult.FORMER
    assert ask(free_port)["answer"] == "a"


KILLED = """
import os, signal, sys
from orchestrator.deploy.docker import container as containers
from orchestrator.deploy.docker.service import DockerService
from orchestrator.deploy.docker.target import Docker
from orchestrator.progress import Heartbeat
from orchestrator.artifacts import ModelVersion, Package
from pathlib import Path

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

moment, state, port, path = sys.argv[1:]
if moment in {"building", "resting"}:
    update = Heartbeat.update
    Heartbeat.update = lambda self, line: die() if ": COPY score" in line or line.startswith("resting") else update(self, line)
elif moment == "created":
    containers._ready = die
elif moment == "started":
    containers.publish = die  # the former one is stopped by then
elif moment == "published":
    containers.discard = die
elif moment == "discarded":
    from docker.models.containers import Container
    Container.rename = die
package = Package(Path(path), Path(path).name, "model")
target = Docker("svc", Path(state), int(port), network_mode="host")
target.deploy(ModelVersion("model", "1", "run", package))
"""


@pytest.mark.nightly
@slow
@pytest.mark.parametrize(
    ("moment", "serves", "then"),
    [
        at_night("resting", "a", "remove"),
        at_night("building", "a", "remove"),
        ("created", "a", "deploy"),
        at_night("created", "a", "remove"),
        ("started", None, "deploy"),
        at_night("started", None, "remove"),
        at_night("published", "b", "deploy"),
        at_night("discarded", "b", "deploy"),
    ],
)
def test_a_killed_deployment_leaves_nothing_that_the_next_command_cannot_find(
    engine: DockerClient, make_docker: MakeDocker, make_package: MakePackage, version: Version, free_port: int,
    *, moment: str, serves: str | None, then: str,
) -> None:  # fmt: skip
    a, b, c = make_package("a"), make_package("b"), make_package("c")
    before = nameless(engine)
    make_docker().deploy(version(a))
    if moment == "resting":  # in the middle of a step
        text = (
            (b.path / dockerfile.DOCKERFILE)
            .read_text()
            .replace("COPY score", "RUN echo resting && sleep 3\nCOPY score")
        )
        (b.path / dockerfile.DOCKERFILE).write_text(text)
    arguments = [moment, str(make_docker().state_dir), str(free_port), str(b.path)]
    done = subprocess.run([sys.executable, "-c", KILLED, *arguments], check=False, cwd=Path(__file__).parents[3])
    assert done.returncode == -9
    assert len(containers_of(engine, make_docker())) == (1 if moment in {"building", "resting", "discarded"} else 2)
    assert make_docker().status().state == ("healthy" if serves else "unhealthy")
    if serves:
        assert ask(free_port)["answer"] == serves
        assert make_docker().endpoint().package.fingerprint == serves
    if then == "deploy":
        make_docker().deploy(version(c))
        assert ask(free_port)["answer"] == "c"
        assert len(containers_of(engine, make_docker())) == 1
    make_docker().remove()
    assert containers_of(engine, make_docker()) == []
    assert engine.images.list(make_docker()._name) == []
    assert nameless(engine) == before
