"""What the docker target adds: the image and the container as asked for."""

from __future__ import annotations

import gc
import json
import platform
import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pandas as pd
import pytest

from orchestrator import progress
from orchestrator.artifacts import ModelVersion, Package
from orchestrator.deploy.docker import client as dockerd
from orchestrator.deploy.docker import container as containers
from orchestrator.deploy.docker import image
from orchestrator.deploy.docker.container import KEYS
from orchestrator.deploy.docker.labels import PREFIX, ContainerLabels
from orchestrator.deploy.docker.target import Docker
from orchestrator.deploy.probe import probe_endpoint
from orchestrator.deploy.service_dir import ServiceDirectory
from orchestrator.errors import DeployError
from orchestrator.events import Event, Progress, StepNote
from orchestrator.packaging import dockerfile
from orchestrator.progress import Heartbeat
from score.contract.schema import fingerprint_of
from tests.deploy.docker.engine_queries import only
from tests.stages.conftest import Kit

if TYPE_CHECKING:
    from docker import DockerClient

MakePackage = Callable[..., Package]
MakeDocker = Callable[..., Docker]
Version = Callable[..., ModelVersion]

SERVED = ContainerLabels(
    service="svc", owner="/state", image="svc:0123", base_image="python:3.11-slim", host="127.0.0.1", port=7000,
    auth=True, cpu_cores=1.5, memory_gb=0.5, path=Path("/packages/a"), fingerprint="0123", model_name="model",
    model_version="7", origin='{"version": "7"}',
)  # fmt: skip
slow = pytest.mark.slow


# --- what would be made, with no engine


def test_the_dockerfile_is_the_same_for_the_same_python_and_names_no_machine() -> None:
    text = dockerfile.render_dockerfile("3.11.7")
    assert text == dockerfile.render_dockerfile("3.11.2")
    assert "ARG BASE_IMAGE=python:3.11-slim\n" in text
    assert "://" not in text
    assert " ORT_DISABLE_TELEMETRY=1\n" in text
    assert "$${" not in text


def test_the_dockerfile_copies_stable_files_first_and_runs_as_an_unprivileged_user() -> None:
    lines = dockerfile.render_dockerfile("3.11.7").splitlines()
    order = [
        "COPY requirements.txt",
        "RUN python -m venv",
        "USER",
        "CMD",
        "COPY --from",
        "COPY score",
        "COPY about",
        "COPY *",
    ]
    found = [next(n for n, line in enumerate(lines) if line.startswith(start)) for start in order]
    assert found == sorted(found)
    assert "USER 10001" in lines
    assert 'CMD ["python", "-m", "score.server", "--host", "0.0.0.0", "--port", "6789"]' in lines


def test_a_container_is_created_as_asked() -> None:
    brought = {"ExposedPorts": {"6789/tcp": {}}, "Cmd": ["python", "-m", "score.server"]}
    made = containers.arguments(SERVED, brought)
    assert made["command"] == ["python", "-m", "score.server", "--keys", KEYS]
    assert made["ports"] == {"6789/tcp": ("127.0.0.1", 7000)}
    assert (made["nano_cpus"], made["mem_limit"]) == (1_500_000_000, 512 * 2**20)
    assert made["memswap_limit"] == made["mem_limit"]
    assert made["environment"] == {
        "OMP_NUM_THREADS": "2", "SCORE_ORIGIN": '{"version": "7"}', "ORT_DISABLE_TELEMETRY": "1",
    }  # fmt: skip
    assert made["labels"][f"{PREFIX}fingerprint"] == "0123"
    assert containers.arguments(SERVED.model_copy(update={"auth": False}), brought)["command"] == brought["Cmd"]


def test_labels_are_parsed_as_they_were_written() -> None:
    for served in (SERVED, SERVED.model_copy(update={"origin": "", "auth": False, "former": SERVED})):
        assert ContainerLabels.of(type("Any", (), {"labels": {**served.labels(), "foreign": "1"}})) == served
    assert ContainerLabels.of(type("Any", (), {"labels": {"foreign": "1"}})) is None


def test_labels_hold_the_rollback_target_only() -> None:
    accepted = SERVED.model_copy(update={"fingerprint": "a", "accepted": True})
    untested = SERVED.model_copy(update={"fingerprint": "b"}).replacing(accepted, alive=True)
    assert untested.former == accepted
    assert SERVED.replacing(untested, alive=True).former == accepted
    assert SERVED.replacing(untested.model_copy(update={"accepted": True}), alive=False).former == untested.model_copy(
        update={"accepted": True, "former": None}
    )


@pytest.mark.parametrize(
    "changed", ["image", "base_image", "host", "port", "auth", "cpu_cores", "memory_gb", "fingerprint"]
)
def test_another_setting_is_another_service(changed: str) -> None:
    value: object = {"auth": False, "port": 1, "cpu_cores": 1.0, "memory_gb": 1.0}.get(changed, "other")
    assert not SERVED.serves_like(SERVED.model_copy(update={changed: value}))
    assert SERVED.serves_like(SERVED.model_copy(update={"path": Path("/elsewhere")}))


@pytest.mark.parametrize(
    ("served", "wanted", "same"),
    [
        ({"version": "1", "run_id": "a"}, {"version": "1", "run_id": "a", "rebuild": "another"}, True),
        ({"version": "1", "run_id": "a"}, {"version": "2", "run_id": "a"}, False),  # deleted, and registered again
        ({"version": "1", "run_id": "a"}, {"version": "1", "run_id": "b"}, False),  # of another registry
        ({"version": "1", "run_id": "a"}, {}, True),  # without tracking no other is known
        ({}, {"version": "1", "run_id": "a"}, False),
    ],
)
def test_a_service_that_names_another_version_is_another_service(
    served: dict[str, str], wanted: dict[str, str], *, same: bool
) -> None:
    one, other = (SERVED.model_copy(update={"origin": json.dumps(each)}) for each in (served, wanted))
    assert one.serves_like(other) is same


def test_build_arguments_are_those_that_the_dockerfile_takes(
    make_package: MakePackage, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = make_package("a")
    own = f"python:{'.'.join(platform.python_version_tuple()[:2])}-slim"
    assert image.arguments(package, None, {}) == {"BASE_IMAGE": own}
    assert image.arguments(package, "mine:1", {"https_proxy": "p"}) == {"BASE_IMAGE": "mine:1", "https_proxy": "p"}
    monkeypatch.setenv("PIP_INDEX_URL", "from the machine")
    assert image.arguments(package, None, {"PIP_INDEX_URL": None})["PIP_INDEX_URL"] == "from the machine"
    monkeypatch.delenv("PIP_INDEX_URL")
    with pytest.raises(DeployError, match=r"^deploy.build_args: PIP_INDEX_URL is not set; export it"):
        image.arguments(package, None, {"PIP_INDEX_URL": None})
    with pytest.raises(DeployError, match=r"takes no PIP_INDEX; it takes BASE_IMAGE, PIP_INDEX_URL"):
        image.arguments(package, None, {"PIP_INDEX": "x"})
    (package.path / dockerfile.DOCKERFILE).unlink()
    with pytest.raises(DeployError, match="carries no Dockerfile; make the package again with stages=package"):
        image.arguments(package, None, {})


def test_build_arguments_are_not_shown() -> None:
    assert "secret" not in repr(Docker("svc", Path("s"), build_args={"PIP_INDEX_URL": "https://u:secret@host"}))


def test_without_the_sdk_it_says_what_to_install(
    make_package: MakePackage, version: Version, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "docker", None)
    package = make_package("a")
    with pytest.raises(DeployError, match=r"pip install -e '\.\[docker\]'"):
        Docker("svc", tmp_path).deploy(version(package))


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # the SDK leaves a socket to the collector that cannot connect
def test_without_an_engine_it_says_how_to_get_one(
    make_package: MakePackage, version: Version, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("docker")
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    package = make_package("a")
    for ask_it in (lambda: Docker("svc", tmp_path).deploy(version(package)), Docker("svc", tmp_path).status):
        with pytest.raises(DeployError, match=r"no Docker engine answers .*systemctl start docker") as raised:
            ask_it()
        assert "\n" not in str(raised.value)
        del raised
    gc.collect()


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_silent_engine_times_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("docker")
    monkeypatch.setattr(dockerd, "CONNECT_SECONDS", 0.5)
    monkeypatch.setattr(progress, "SILENCE_SECONDS", 0.2)
    heard: list[Event] = []
    target = Docker("svc", tmp_path)
    target.report_to(Progress(heard.append))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{silent.getsockname()[1]}")
        for ask_it in (target.status, target.remove):
            with pytest.raises(DeployError, match=r"timed out.*does not answer: restart the engine") as raised:
                ask_it()
            assert "\n" not in str(raised.value)
            del raised
    assert "0 s: waiting for the Docker engine" in [event.text for event in heard if isinstance(event, StepNote)]
    gc.collect()


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_missing_credentials_helper_is_reported_with_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, wrapped: bool
) -> None:
    docker = pytest.importorskip("docker")
    (tmp_path / "config.json").write_text('{"credsStore": "desktop"}')
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setattr(docker, "from_env", lambda **_: docker.DockerClient(version="1.41"))  # needs no engine

    def ask_it() -> None:
        with dockerd.connected() as client:
            if wrapped:
                client.images.pull("anything")
            client.api._set_auth_headers({})

    message = rf"desktop not installed .* `credsStore` .* in {tmp_path}/config.json$"
    with pytest.warns(UserWarning, match="docker-credential-desktop"), pytest.raises(DeployError, match=message):
        ask_it()


def test_a_failed_build_reports_its_cause_even_if_clearing_up_fails(
    make_package: MakePackage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    errors = pytest.importorskip("docker.errors")
    package = make_package("a")
    wanted = SERVED.model_copy(update={"path": package.path})

    class Engine:
        images = api = property(lambda self: self)

        def get(self, name: str) -> None:
            """It is there."""

        def build(self, **_: Any) -> list[dict[str, str]]:
            return [{"stream": "Step 1/1 : RUN false\n"}, {"error": "the build's own reason"}]

    def fail(*_: object) -> None:
        raise errors.ImageNotFound("removed by another command")

    monkeypatch.setattr(image, "clear", fail)
    with pytest.raises(DeployError, match="the build's own reason"):
        image.build(
            cast("DockerClient", Engine()),
            wanted,
            {"BASE_IMAGE": "b"},
            None,
            ServiceDirectory(tmp_path),
            Heartbeat(lambda _: None, ""),
        )


@pytest.mark.parametrize("lost", [1, image.ATTEMPTS - 1, image.ATTEMPTS])
def test_a_layer_that_another_command_removed_is_built_again(
    lost: int, make_package: MakePackage, tmp_path: Path
) -> None:
    pytest.importorskip("docker")
    package = make_package("a")
    wanted = SERVED.model_copy(update={"path": package.path})
    asked: list[str] = []

    class Engine:
        images = api = property(lambda self: self)

        def get(self, name: str) -> None:
            """It is there."""

        def __call__(self, **_: object) -> list[object]:
            return []

        def build(self, *, tag: str, **_: Any) -> list[dict[str, str]]:
            asked.append(tag)
            if len(asked) <= lost:
                return [{"error": f"failed to set parent sha256:{'7' * 64}: unknown parent image ID sha256:{'7' * 64}"}]
            return [{"stream": "Successfully built\n"}]

    def build() -> None:
        client = cast("DockerClient", Engine())
        image.build(
            client, wanted, {"BASE_IMAGE": "b"}, None, ServiceDirectory(tmp_path), Heartbeat(lambda _: None, "")
        )

    if lost < image.ATTEMPTS:
        build()
        assert asked == [image.libraries(wanted.image)] * (lost + 1) + [wanted.image]
    else:
        with pytest.raises(DeployError, match="unknown parent image ID"):
            build()
        assert len(asked) == image.ATTEMPTS


def test_clearing_up_removes_only_the_layers_of_the_failed_build(tmp_path: Path) -> None:
    pytest.importorskip("docker")
    made, next_one, other = "a" * 12, "b" * 12, "c" * 12
    (tmp_path / image.LOG).write_text(f"Step 1/2 : RUN x\n ---> {made}\n")
    removed: list[str] = []

    class Engine:
        images = api = property(lambda self: self)

        def __call__(self, **_: object) -> list[dict[str, str | None]]:
            return [
                {"Id": f"sha256:{made}0", "ParentId": ""},
                {"Id": f"sha256:{next_one}0", "ParentId": f"sha256:{made}0"},
                {"Id": f"sha256:{other}0", "ParentId": None},
                {"Id": f"sha256:{other}1"},  # some engines name no parent
            ]

        def remove(self, name: str) -> None:
            removed.append(name[7:19])

    image.clear(cast("DockerClient", Engine()), ServiceDirectory(tmp_path))
    assert removed == [made, next_one]
    assert not (tmp_path / image.LOG).exists()


# --- a real package on a real engine


@pytest.fixture(scope="module")
def served(engine: DockerClient, kit: Kit, real: Package) -> Iterator[Docker]:  # noqa: ARG001 -- skips without one
    """The real package with keys, for tests that only look."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    target = Docker(
        "looked-at", kit.folder, port, auth_enabled=True, cpu_cores=0.5, memory_gb=0.75, network_mode="host"
    )
    try:
        target.deploy(ModelVersion("toy_model", "3", "run", real))
        yield target
    finally:
        target.remove()


def test_the_package_carries_its_dockerfile_under_its_fingerprint(real: Package) -> None:
    assert (real.path / dockerfile.DOCKERFILE).read_text() == dockerfile.render_dockerfile(platform.python_version())
    assert real.fingerprint == fingerprint_of(real.path)


@slow
def test_golden_requests_are_answered_with_and_without_keys(
    served: Docker, real: Package, make_docker: MakeDocker, version: Version
) -> None:
    probe = probe_endpoint(served.endpoint())
    assert (probe.requests, probe.refused_without_key) == (5, True)
    probe = probe_endpoint(make_docker().deploy(version(real)).endpoint)
    assert (probe.requests, probe.refused_without_key) == (5, None)
    assert '"method":"POST","path":"/score"' in make_docker().logs()


@slow
def test_the_container_is_unprivileged_and_limited(engine: DockerClient, served: Docker) -> None:
    container = only(engine, served)
    assert container.exec_run("id -u").output == b"10001\n"
    assert container.exec_run("touch /package/x").exit_code != 0
    host = container.attrs["HostConfig"]
    assert (host["NanoCpus"], host["Memory"], host["MemorySwap"]) == (5 * 10**8, 768 * 2**20, 768 * 2**20)
    assert host["RestartPolicy"]["Name"] == "unless-stopped"
    assert host["CapDrop"] == ["ALL"]
    assert list(container.ports.values()) == [[{"HostIp": "127.0.0.1", "HostPort": str(served.port)}]]


@slow
def test_image_and_container_say_what_they_hold(engine: DockerClient, served: Docker, real: Package) -> None:
    container = only(engine, served)
    assert container.image.tags == [f"{served._name}:{real.short_id}"]
    for labels in (container.labels, container.image.labels):
        message = {name: labels[f"{PREFIX}{name}"] for name in ("fingerprint", "model_name")}
        assert list(message.values()) == [real.fingerprint, "toy_model"]
    assert str(served.state_dir) not in str(container.image.labels)


@slow
def test_no_build_tools_are_left(engine: DockerClient, served: Docker) -> None:
    container = only(engine, served)
    base = "$(readlink -f $(command -v python))"
    for python in ("python", base):
        assert b"No module named pip" in container.exec_run(["sh", "-c", f"{python} -m pip"]).output, python
    tools = [f"command -v {tool}" for tool in ("pip", "pip3", "gcc", "cc", "make")]
    for leftover in (*tools, "ls /root/.cache", "ls -d /tmp/*", "ls /requirements.txt"):
        assert container.exec_run(["sh", "-c", leftover], user="root").exit_code != 0, leftover
    for there in ("command -v sh", f"test -x {base}"):  # so that the looks above could have found something
        assert container.exec_run(["sh", "-c", there], user="root").exit_code == 0, there


@slow
def test_the_engine_finds_it_healthy(engine: DockerClient, served: Docker) -> None:
    container = only(engine, served)
    for _ in range(60):
        container.reload()
        if container.attrs["State"]["Health"]["Status"] != "starting":
            break
        time.sleep(0.5)
    assert container.attrs["State"]["Health"]["Status"] == "healthy"
    assert served.status().state == "healthy"


@slow
def test_keys_show_nowhere(engine: DockerClient, served: Docker) -> None:
    container, keys = only(engine, served), served.keys()
    shown = json.dumps([container.attrs, container.image.attrs, container.image.history()]) + served.logs()
    assert keys.primary not in shown
    assert keys.secondary not in shown
    assert container.exec_run(f"stat -c %a:%u {KEYS}").output == b"400:10001\n"
    kept = served.state_dir / "services" / "looked-at.docker" / "keys.json"
    assert kept.stat().st_mode & 0o777 == 0o600


@slow
def test_another_model_of_the_same_libraries_adds_only_itself(
    engine: DockerClient, served: Docker, kit: Kit, real: Package, make_docker: MakeDocker, version: Version
) -> None:
    numbers = pd.DataFrame({"a": range(40), "b": [2.5, 1.5] * 20, "y": [1, 0] * 20})
    other = kit.package(*kit.train(numbers, kit.search()))
    target = make_docker()
    target.deploy(version(other))
    layers = [only(engine, it).image.attrs["RootFS"]["Layers"] for it in (served, target)]
    assert layers[0][:-2] == layers[1][:-2]
    assert layers[0][-1] != layers[1][-1]
    assert other.fingerprint != real.fingerprint


@pytest.mark.nightly
@slow
def test_a_container_names_the_current_version_and_preflight_finds_a_taken_port(
    make_docker: MakeDocker, make_package: Callable[..., Package], version: Version, free_port: int
) -> None:
    a = make_package("a")
    with (
        socket.create_server(("127.0.0.1", free_port)),
        pytest.raises(DeployError, match=r"deploy\.port: .* is in use"),
    ):
        make_docker().preflight()
    make_docker().deploy(version(a, "1"))
    make_docker().preflight()  # its own port
    before = make_docker().status()
    make_docker().deploy(version(a, "1"))
    assert make_docker().status().details == before.details
    make_docker().deploy(version(a, "2"))
    after = make_docker().status()
    assert (after.version, after.fingerprint, after.details["model"]) == ("2", "a", "model 2")
