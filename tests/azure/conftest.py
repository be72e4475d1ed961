"""Commands against an emulated Azure, and what its workspace holds, read by another process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import azure_emulator
from orchestrator.azure.sdk import missing
from tests.command import ROOT, Desk, Done, desk

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


def score(url: str, document: Any, key: str) -> tuple[int, str, Any]:
    """POST to a service; return the status, the media type and the document of its answer."""
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    request = urllib.request.Request(url, json.dumps(document).encode(), headers)
    try:
        with urllib.request.urlopen(request) as reply:
            return reply.status, reply.headers.get_content_type(), json.loads(reply.read())
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, refused.headers.get_content_type(), json.loads(refused.read())


def check_explained(url: str, key: str, table: Path = ROOT / "data" / "diabetes.csv") -> None:
    """Check that a service answers a query for explanations, and refuses what it cannot explain."""
    row = json.loads(pd.read_csv(table, nrows=1).drop(columns="Outcome").to_json(orient="records"))[0]
    plain = score(url, {"data": [row]}, key)[2]
    status, _, explained = score(f"{url}?explain=true", {"data": [row]}, key)
    assert status == 200
    (one,) = explained.pop("explanations")
    assert explained == plain
    assert one["base"] + sum(one["values"][0].values()) == pytest.approx(plain["probabilities"][0][1], abs=1e-9)
    for query, body in (("explain=yes", {"data": [row]}), ("explain=true", {"input": [row]})):
        status, kind, problem = score(f"{url}?{query}", body, key)
        assert (status, kind) == (400, "application/problem+json")
        assert "'explain'" in problem["detail"]


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
