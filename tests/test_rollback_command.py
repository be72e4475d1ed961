"""``stages=rollback`` as it is typed, on every target that is not tested in the normal run: back, forth, and after a deletion.

``registry/test_versions.py`` and ``test_journey.py`` do it on this machine.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

import azure_emulator
from orchestrator.azure.sdk import missing
from tests.azure.conftest import SDK_V2, emulated_desk
from tests.command import Desk, Done, desk

pytestmark = [pytest.mark.slow, pytest.mark.nightly]

NAME = "name=quick"
MODEL = "quick_model"
FAST = (NAME, "model=logistic_regression", "model/param_grid=none", "search.cv=2", "package.compile=never", "gate=none")
DELETE = """
import os, sys
from azureml.core import Workspace
from azureml.core.authentication import ServicePrincipalAuthentication

config, model, number = sys.argv[1:]
secrets = (os.environ[f"AZUREML_SERVICE_PRINCIPAL_{name}"] for name in ("TENANT_ID", "ID", "PASSWORD"))
uri = Workspace.from_config(config, auth=ServicePrincipalAuthentication(*secrets)).get_mlflow_tracking_uri()
from mlflow import MlflowClient

MlflowClient(uri, uri).delete_model_version(model, number)
"""


@contextmanager
def prepared(target: str, home: Path) -> Iterator[tuple[Desk, Callable[..., Done], Path | None]]:
    """Yield a desk, what runs a command against the target there, and the emulator's folder if that holds the versions."""
    if target == "docker":
        if "DOCKER_HOST" not in os.environ:
            pytest.skip("DOCKER_HOST names no Docker engine to test on")
        with desk(home) as plain:
            common = ("deploy=docker", "deploy.network_mode=host", f"deploy.port={plain.port}")
            try:
                yield plain, partial(plain.run, *common), None
            finally:
                plain.run(*common, NAME, "stages=remove")
        return
    if missing(*(() if target == "aci" else SDK_V2)):
        pytest.skip("the extra is not installed")
    compute = ("deploy.compute=aks",) if target == "aks" else ()
    tracked = ("tracking=azureml",) if target != "aks" and not missing() else ()
    with emulated_desk(home, f"deploy={target}", *compute, *tracked) as emulated:
        yield emulated.desk, emulated.run, emulated.folder if tracked else None


def forget(here: Desk) -> None:
    """Leave on this machine what another one has, too."""
    for folder in ("packages", "registered"):
        shutil.rmtree(here.state / folder, ignore_errors=True)  # a rollback registers nothing


def delete(here: Desk, number: str, emulator: Path | None) -> None:
    """Delete a version as another program does: in the workspace that is emulated there, else in the local store."""
    if emulator is None:
        here.mlflow().delete_model_version(MODEL, number)
        return
    environ = {**here.env, **azure_emulator.environment(emulator)}
    command = [sys.executable, "-W", "ignore", "-c", DELETE, str(emulator / "config.json"), MODEL, number]
    done = subprocess.run(command, env=environ, cwd=here.cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("target", ["docker", "aci", "managed", "aks"])
def test_a_rollback_goes_back_and_forth_and_survives_a_deletion(target: str, tmp_path: Path) -> None:
    with prepared(target, tmp_path) as (here, run, emulator):

        def released() -> tuple[str, str]:
            """Return the champion, and the version that the service serves."""
            versions = run(NAME, "stages=versions").well().result["versions"]
            champions = [one["version"] for one in versions if "champion" in one["aliases"]]
            live = [one["version"] for one in versions if one["live"] == "quick-prediction-service"]
            return ",".join(champions), ",".join(live)

        def rolled_back(number: str, why: str) -> None:
            forget(here)
            back: Done = run(NAME, "stages=rollback").well()
            assert f"{MODEL} version {number}: {why}" in back.out
            assert back.result["package"]["fingerprint"] == fingerprints[number]
            assert back.result["probe"]["requests"] >= 3
            assert released() == (number, number)

        fingerprints = {
            number: run(*FAST, f"model.params.C={value}").well().result["package"]["fingerprint"]
            for number, value in (("1", 1), ("2", 0.001))
        }
        assert len({*fingerprints.values()}) == 2
        assert released() == ("2", "2")
        rolled_back("1", "the champion before version 2")
        rolled_back("2", "the champion before version 1")
        delete(here, "2", emulator)
        rolled_back("1", "the last champion; the present one was deleted, or lost its alias")
        refused: Done = run(NAME, "stages=rollback")
        assert "version 2, the champion before version 1, is no longer in the registry" in refused.err
        assert released() == ("1", "1")
