"""One emulator and one process with the real SDK for all tests of this folder."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import azure_emulator
from azure_emulator import Emulator


class SdkError(Exception):
    """The text of an exception that the SDK raised."""


class Sdk:
    """A process in which the SDK talks to the emulator; calls the functions of ``sdk_side``."""

    def __init__(self, folder: Path, environment: dict[str, str], log: Path) -> None:
        folder.mkdir(exist_ok=True)
        (folder / "config.json").write_text(json.dumps(azure_emulator.workspace_config()))
        self.log = log
        self._output = log.open("ab")
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", str(Path(__file__).with_name("sdk_side.py"))],
            cwd=folder,
            env={**os.environ, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._output,
            text=True,
        )

    def __call__(self, function: str, **arguments: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([function, arguments]) + "\n")
        self._process.stdin.flush()
        reply = json.loads(self._process.stdout.readline())
        if "error" in reply:
            raise SdkError(reply["error"])
        return reply["value"]

    def close(self) -> None:
        self._process.communicate(timeout=30)
        self._output.close()


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("emulator")


@pytest.fixture(scope="session")
def images(folder: Path) -> Path:
    """Return the folder of built images, which EMULATOR_IMAGES keeps between test sessions."""
    return Path(os.environ.get("EMULATOR_IMAGES") or folder / "images")


@pytest.fixture(scope="session")
def session_emulator(folder: Path, images: Path) -> Iterator[Emulator]:
    running = azure_emulator.start(folder, images=images)
    yield running
    for service in (folder / "services").glob("*"):
        azure_emulator.containers.process.stop(service)
    azure_emulator.stop(folder)


@pytest.fixture(scope="session")
def session_sdk(session_emulator: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sdk]:
    if importlib.util.find_spec("azureml") is None:
        pytest.skip("the azure extra is not installed")
    work = tmp_path_factory.mktemp("sdk")
    started = Sdk(work, azure_emulator.environment(session_emulator.folder), work / "output.log")
    yield started
    started.close()


@pytest.fixture
def emulator(session_emulator: Emulator) -> Iterator[Emulator]:
    yield session_emulator
    session_emulator.faults(())  # clear the faults of the test


@pytest.fixture
def sdk(session_sdk: Sdk, emulator: Emulator) -> Sdk:
    assert emulator
    return session_sdk
