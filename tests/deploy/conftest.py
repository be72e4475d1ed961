"""Stub packages with the real server, and services that are gone when a test ends."""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import json
import os
import platform
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import psutil
import pytest

import azure_emulator
from orchestrator.artifacts import ModelVersion, Package
from orchestrator.azure.sdk import missing
from orchestrator.config.compose import compose
from orchestrator.config.validate import validate
from orchestrator.deploy.azure.aci import Aci
from orchestrator.deploy.azure.aks import Aks
from orchestrator.deploy.azure.managed import Managed
from orchestrator.deploy.docker import client as dockerd
from orchestrator.deploy.docker.target import Docker
from orchestrator.deploy.local.state import find_server_processes
from orchestrator.deploy.local.target import Local
from orchestrator.deploy.target import Target
from orchestrator.emulation import emulated_azure
from orchestrator.errors import DeployError
from orchestrator.packaging import dockerfile
from orchestrator.pipeline import bind
from orchestrator.spec.azure import AzureSpec
from tests.stages.conftest import Kit

if TYPE_CHECKING:
    from docker import DockerClient

SCORE = Path(__file__).parents[2] / "score"
STUB = """
import json, os, time
from score.contract.schema import Contract

def init():
    {init}
    print("the model of {name} is loaded", flush=True)

def run(data):
    {answer}
    return {{"answer": {name!r}, "pid": os.getpid()}}

def loaded():
    from types import SimpleNamespace
    from score.contract.schema import Contract
    from score.predict.response import HttpReply

    class Stub:
        contract = Contract("stub", "regression", ())
        probable = compiled = False
        explanation = SimpleNamespace(method="none")
        model = SimpleNamespace(batchable=False)

        def parse(self, body):
            return SimpleNamespace(columns={{"body": [body]}}, labels=True)

        def predict(self, columns, *, labels):
            return run(columns["body"][0])

        def respond_http(self, request, answer):
            return HttpReply(200, json.dumps(answer).encode(), {{"Content-Type": "application/json"}})

    return Stub()
"""
SERVER = (
    "anyio",
    "httptools",
    "msgspec",
    "orjson",
    "prometheus-client",
    "starlette",
    "uvicorn",
    "uvloop",
)
CONDA = {
    "name": "stub",
    "dependencies": [f"python={platform.python_version()}", "pip", {"pip": ["azureml-inference-server-http"]}],
}


def _elsewhere(*marks: pytest.MarkDecorator) -> list[Any]:
    # the SDKs' own libraries leave sockets open and warn of deprecations, which this project cannot fix
    noisy = pytest.mark.filterwarnings("ignore")
    azure = [pytest.param(name, marks=[pytest.mark.slow, noisy, *marks]) for name in ("aci", "managed", "aks")]
    return [pytest.param("docker", marks=[pytest.mark.slow, *marks]), *azure]


AT_NIGHT = _elsewhere(pytest.mark.nightly)
ELSEWHERE = [*_elsewhere()[:-1], AT_NIGHT[-1]]  # aks goes the way of managed
MakePackage = Callable[..., Package]
MakeLocal = Callable[..., Local]
MakeAci = Callable[..., Aci]
MakeDocker = Callable[..., Docker]
MakeManaged = Callable[..., Managed]
MakeAks = Callable[..., Aks]


def bound_target(*overrides: str) -> Any:
    """Return the target that a command with these overrides uses."""
    return bind(validate(compose("stages=status", *overrides))).given[Target]


@pytest.fixture
def make_package(tmp_path: Path) -> MakePackage:
    """A package that answers with its name; ``init`` and ``answer`` are lines of Python run there."""

    def make(name: str, init: str = "pass", answer: str = "pass") -> Package:
        path = tmp_path / "packages" / name
        shutil.copytree(SCORE, path / "score", ignore=shutil.ignore_patterns("__pycache__"))
        (path / "score" / "score.py").write_text(STUB.format(name=name, init=init, answer=answer))
        (path / "conda.yaml").write_text(json.dumps(CONDA))
        (path / "contract.json").write_text(json.dumps({"fingerprint": name}))
        (path / "golden.json").write_text("[]")
        (path / "profile.json").write_text("[]")
        (path / "about").mkdir()
        (path / "about" / "training.json").write_text("{}")
        (path / "model.pkl").touch()
        pins = [f"{library}=={importlib.metadata.version(library)}\n" for library in SERVER]
        (path / "requirements.txt").write_text("".join(pins))
        (path / dockerfile.DOCKERFILE).write_text(dockerfile.render_dockerfile(platform.python_version()))
        return Package(path, fingerprint=name, model_name="model")

    return make


def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def free_port() -> int:
    return unused_port()


@pytest.fixture
def other_port() -> int:
    return unused_port()


@pytest.fixture
def make_local(tmp_path: Path, free_port: int) -> Iterator[MakeLocal]:
    """A target on this test's own state folder and port; whatever it left running is ended."""
    state = tmp_path / "state with a long name, so that its sockets' absolute paths would be much too long" / ("x" * 40)

    def make(**options: object) -> Local:
        return Local(**{"service_name": "svc", "state_dir": state, "port": free_port, **options})  # type: ignore[arg-type]

    yield make
    left = find_server_processes((state / "services" / "svc").resolve())
    for process in left:
        process.kill()
    psutil.wait_procs(left, timeout=10)


@pytest.fixture(scope="session")
def azure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AzureSpec]:
    """An emulator of Azure for all tests; EMULATOR_IMAGES keeps what it built between test sessions."""
    if importlib.util.find_spec("cryptography") is None:
        pytest.skip("neither the azure nor the managed extra is installed")
    folder = tmp_path_factory.mktemp("emulator")
    images = os.environ.get("EMULATOR_IMAGES")
    yield AzureSpec(emulator=folder, config_path=folder / "config.json", images=Path(images) if images else None)
    azure_emulator.stop(folder)


@pytest.fixture
def make_aci(tmp_path: Path, azure: AzureSpec) -> Iterator[MakeAci]:
    """A target on the emulator; it finds the packages of ``make_package`` where a target looks for them."""
    if missing():
        pytest.skip("the azure extra is not installed")

    def make(**options: object) -> Aci:
        fields: dict[str, Any] = {"auth_enabled": False, **options}
        return Aci(service_name="svc", connection=azure, state_dir=tmp_path, **fields)

    with emulated_azure(azure, ends=False):
        yield make
        make().remove()


@pytest.fixture(scope="session")
def engine() -> Iterator[DockerClient]:
    """The engine that DOCKER_HOST names; no other, since tests make and remove containers and images there."""
    if "DOCKER_HOST" not in os.environ:
        pytest.skip("DOCKER_HOST names no Docker engine to test on")
    try:
        with dockerd.connected() as client:
            yield client
    except DeployError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def stub_libraries(engine: DockerClient) -> Iterator[list[str]]:
    """Holds the images of the stubs' libraries, which every test's own images share, until the last test is done."""
    from docker.errors import ImageNotFound

    kept: list[str] = []
    yield kept
    for tag in kept:
        with contextlib.suppress(ImageNotFound):
            engine.images.remove(tag)


@pytest.fixture
def make_docker(
    engine: DockerClient, stub_libraries: list[str], tmp_path: Path, free_port: int
) -> Iterator[MakeDocker]:
    """A target on this test's own state folder and port; nothing of it is left when the test ends."""
    state = tmp_path / "state"
    names = set()

    def make(**options: Any) -> Docker:
        plain = {"service_name": "svc", "state_dir": state, "port": free_port, "network_mode": "host"}
        target = Docker(**{**plain, **options})
        names.add(target.service_name)
        return target

    yield make
    for name in names:
        target = make(service_name=name)
        if not stub_libraries and engine.images.list(f"{target._name}:libraries"):
            engine.images.get(f"{target._name}:libraries").tag("stub", "libraries")
            stub_libraries.append("stub:libraries")
        target.remove()


@pytest.fixture
def make_managed(tmp_path: Path, azure: AzureSpec) -> Iterator[MakeManaged]:
    """The same of the second SDK."""
    if missing("azure", "azure.ai", "azure.ai.ml", "azure.identity"):
        pytest.skip("the managed extra is not installed")

    def make(**options: Any) -> Managed:
        return Managed(service_name="svc", connection=azure, state_dir=tmp_path, **options)

    with emulated_azure(azure, ends=False):
        yield make
        make().remove()


@pytest.fixture
def make_aks(tmp_path: Path, azure: AzureSpec) -> Iterator[MakeAks]:
    """The same on the Kubernetes cluster that is attached to the workspace from the start."""
    if missing("azure", "azure.ai", "azure.ai.ml", "azure.identity"):
        pytest.skip("the managed extra is not installed")

    def make(**options: Any) -> Aks:
        return Aks(**{"service_name": "svc", "connection": azure, "state_dir": tmp_path, "compute": "aks", **options})

    with emulated_azure(azure, ends=False):
        yield make
        make().remove()


def version_of(package: Package, version: str = "1") -> ModelVersion:
    return ModelVersion(package.model_name, version, "run", package)


@pytest.fixture
def version() -> Callable[..., ModelVersion]:
    return version_of


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Kit:
    return Kit(tmp_path_factory.mktemp("real"))


@pytest.fixture(scope="module")
def real(kit: Kit) -> Package:
    """A package made by the real stages."""
    numbers = pd.DataFrame({"a": range(40), "b": [1.5, 2.5] * 20, "y": [0, 1] * 20})
    return kit.package(*kit.train(numbers, kit.search()))
