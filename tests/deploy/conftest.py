"""Stub packages with the real server, and services that are gone when a test ends."""

from __future__ import annotations

import json
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from orchestrator.deploy.local import Local
from orchestrator.deploy.record import strays
from orchestrator.products import ModelVersion, Package

SCORE = Path(__file__).parents[2] / "score"
STUB = """
import json, os, time

def init():
    {init}

def answer(body):
    {answer}
    return 200, json.dumps({{"answer": {name!r}, "pid": os.getpid()}}).encode()
"""

MakePackage = Callable[..., Package]
MakeLocal = Callable[..., Local]


@pytest.fixture
def make_package(tmp_path: Path) -> MakePackage:
    """A package that answers with its name; ``init`` and ``answer`` are lines of Python run there."""

    def make(name: str, init: str = "pass", answer: str = "pass") -> Package:
        path = tmp_path / "packages" / name
        shutil.copytree(SCORE, path / "score", ignore=shutil.ignore_patterns("__pycache__"))
        (path / "score" / "score.py").write_text(STUB.format(name=name, init=init, answer=answer))
        (path / "contract.json").write_text(json.dumps({"fingerprint": name}))
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
    left = strays((state / "services" / "svc").resolve())
    for process in left:
        process.kill()
    psutil.wait_procs(left, timeout=10)


def version_of(package: Package, version: str = "1") -> ModelVersion:
    return ModelVersion(package.model_name, version, "run", package)


@pytest.fixture
def version() -> Callable[..., ModelVersion]:
    return version_of
