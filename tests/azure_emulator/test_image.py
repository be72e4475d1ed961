"""The image has exactly the requirements of the conda file: what pip cannot install fails the build."""

from __future__ import annotations

import asyncio
import importlib.metadata
import os
import subprocess
from pathlib import Path

import pytest

from azure_emulator.containers.image import ImageError, Recipe, build, read_recipe
from orchestrator.diagnostics import Evidence, diagnose
from tests.package_index import Index

pytestmark = pytest.mark.slow


def recipe(*pip: str, conda: tuple[str, ...] = ("pip",)) -> Recipe:
    return read_recipe({"python": {"condaDependencies": {"dependencies": [*conda, {"pip": list(pip)}]}}})


def failed(recipe: Recipe, images: Path) -> str:
    """Return the log of a build that fails."""
    log: list[str] = []
    with pytest.raises(ImageError):
        asyncio.run(build(recipe, images, log.append))
    return "\n".join(log)


def diagnosed(log: str) -> str:
    diagnosis = diagnose(Evidence("aci", "Failed", '{"code": "EnvironmentBuildFailed"}', log))
    assert diagnosis.kind == "image_build"
    return f"{diagnosis.cause}; {diagnosis.remedy}"


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Index:
    """Add a package index to pip's, with names that PyPI does not have."""
    index = Index(tmp_path / "index")
    configured = os.environ.get("PIP_EXTRA_INDEX_URL", "")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", f"{configured} {index.url}".strip())
    return index


@pytest.mark.nightly
def test_azureml_defaults_beside_current_pins_fails_as_in_azure(tmp_path: Path) -> None:
    pins = [f"{name}=={importlib.metadata.version(name)}" for name in ("numpy", "joblib")]
    log = failed(recipe(*pins, "azureml-defaults"), tmp_path)
    assert "Collecting azureml-defaults" in log  # not replaced by the server alone
    message = diagnosed(log)
    assert "azureml-dataset-runtime" in message  # which pins an old numpy
    assert "name azureml-inference-server-http in conda.yaml in place of azureml-defaults" in message


@pytest.mark.nightly
def test_requirements_that_exclude_each_other_fail_and_both_are_named(index: Index, tmp_path: Path) -> None:
    index.wheel("emulator-test-base", "2.0")
    index.wheel("emulator-test-model", "1.0", "emulator-test-base<2")
    message = diagnosed(failed(recipe("emulator-test-base==2.0", "emulator-test-model==1.0"), tmp_path / "images"))
    assert "emulator-test-model 1.0 depends on emulator-test-base<2" in message
    assert "The user requested emulator-test-base==2.0" in message


@pytest.mark.nightly
def test_pip_has_the_version_of_the_conda_file(index: Index, tmp_path: Path) -> None:
    index.wheel("emulator-test-base", "2.0")
    folder = asyncio.run(build(recipe("emulator-test-base", conda=("pip=24.0",)), tmp_path / "images", lambda _: None))
    done = subprocess.run([folder / "bin" / "python", "-m", "pip", "list"], capture_output=True, text=True, check=True)
    installed = dict(line.split() for line in done.stdout.splitlines()[2:])
    assert installed["pip"] == "24.0"
    assert installed["emulator-test-base"] == "2.0"
