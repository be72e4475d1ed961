"""Commands against an emulated Azure, and what its workspace holds, read by another process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import azure_emulator
from orchestrator.azure.sdk import missing
from tests.command import Desk, Done, desk

READ_BACK = Path(__file__).with_name("read_back.py")
SDK_V2 = ("azure", "azure.ai", "azure.ai.ml", "azure.identity")


@dataclass(frozen=True)
class EmulatedDesk:
    """A desk whose commands deploy to an emulated Azure."""

    desk: Desk
    overrides: tuple[str, ...]

    @property
    def folder(self) -> Path:
        return self.desk.state / "emulator"

    @property
    def common(self) -> tuple[str, ...]:
        images = os.environ.get("EMULATOR_IMAGES") or self.folder / "images"
        return *self.overrides, "azure=emulator", f"azure.images={images}"

    def run(self, *overrides: str) -> Done:
        return self.desk.run(*self.common, *overrides)

    def start(self, *overrides: str) -> subprocess.Popen[str]:
        return self.desk.start(*self.common, *overrides, f"hydra.run.dir={self.desk.home}/started")

    def read(self) -> Any:
        """Return what is tracked and registered, as the SDK reads it."""
        environ = {**self.desk.env, **azure_emulator.environment(self.folder)}
        command = [sys.executable, "-W", "ignore", str(READ_BACK), str(self.folder / "config.json")]
        done = subprocess.run(command, env=environ, cwd=self.desk.cwd, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    def champion(self) -> str:
        return str(self.desk.mlflow().get_model_version_by_alias("diabetes_model", "champion").version)


@contextmanager
def emulated_desk(home: Path, *overrides: str) -> Iterator[EmulatedDesk]:
    """Make an emulated desk; stop its services and its emulator at the end."""
    with desk(home) as plain:
        emulated = EmulatedDesk(plain, overrides)
        yield emulated
        if emulated.folder.exists():
            for kind in ("services", "endpoints"):
                for running in list((emulated.folder / kind).rglob("process.json")):
                    azure_emulator.containers.process.stop(running.parent)
            azure_emulator.stop(emulated.folder)


@pytest.fixture(scope="module")
def emulated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatedDesk]:
    if missing():
        pytest.skip("the azure extra is not installed")
    with emulated_desk(tmp_path_factory.mktemp("azure"), "deploy=aci") as made:
        yield made


@pytest.fixture(scope="module")
def registered(emulated: EmulatedDesk) -> EmulatedDesk:
    """Register a package; each test deploys it."""
    emulated.run("stages=package").well()
    return emulated
