"""A desk with an emulator of Azure below its state, and what is in that Azure, read by another process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import azure_emulator
from orchestrator.azure.sdk import missing
from tests.command import Desk, Done, desk

READ = Path(__file__).with_name("read_back.py")


@dataclass(frozen=True)
class EmulatedDesk:
    """A desk whose commands meet the stand-in."""

    desk: Desk

    @property
    def folder(self) -> Path:
        return self.desk.state / "emulator"

    @property
    def common(self) -> tuple[str, ...]:
        images = os.environ.get("EMULATOR_IMAGES") or self.folder / "images"
        return "deploy=aci", "azure=emulator", f"azure.images={images}"

    def run(self, *overrides: str) -> Done:
        return self.desk.run(*self.common, *overrides)

    def start(self, *overrides: str) -> subprocess.Popen[str]:
        return self.desk.start(*self.common, *overrides, f"hydra.run.dir={self.desk.home}/started")

    def read(self) -> Any:
        """What is tracked and registered, as the SDK tells it."""
        environ = {**self.desk.env, **azure_emulator.environment(self.folder)}
        command = [sys.executable, "-W", "ignore", str(READ), str(self.folder / "config.json")]
        done = subprocess.run(command, env=environ, cwd=self.desk.cwd, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def emulated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatedDesk]:
    if missing():
        pytest.skip("the azure extra is not installed")
    with desk(tmp_path_factory.mktemp("azure")) as made:
        found = EmulatedDesk(made)
        yield found
        if found.folder.exists():
            for service in (found.folder / "services").glob("*"):
                azure_emulator.containers.process.stop(service)
            azure_emulator.stop(found.folder)


@pytest.fixture(scope="module")
def registered(emulated: EmulatedDesk) -> EmulatedDesk:
    """A package is registered; each test deploys it."""
    emulated.run("stages=package").well()
    return emulated
