"""The libraries of each target's image, resolved without building or calling Azure."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any

import pytest
import yaml

from orchestrator.deploy.azure import registered_package
from orchestrator.deploy.image_builder import ImageBuilder, from_conda
from orchestrator.deploy.target import BuildsImage
from orchestrator.errors import DeployError
from orchestrator.events import Progress, StepNote
from tests.deploy.conftest import bound_target
from tests.nightly import at_night

MakePackage = Any
CLOUD = ("aci", "managed")


def target(kind: str, state_dir: Path, *overrides: str) -> ImageBuilder:
    made: ImageBuilder = bound_target(f"deploy={kind}", f"state_dir={state_dir}", *overrides)
    return made


@pytest.mark.parametrize(("kind", "builds"), [("aci", 1), ("managed", 1), ("docker", 1), ("local", 0), ("none", 0)])
def test_which_targets_build_an_image(kind: str, builds: int, tmp_path: Path) -> None:
    assert isinstance(target(kind, tmp_path), BuildsImage) == bool(builds)


@pytest.mark.parametrize("kind", CLOUD)
def test_a_cloud_installs_the_packages_conda_file_and_its_server(
    kind: str, make_package: MakePackage, tmp_path: Path
) -> None:
    package = make_package("a")
    (package.path / "conda.yaml").write_text(
        yaml.safe_dump({"dependencies": ["python=3.11.7", "pip", {"pip": ["numpy==2.4.6", "joblib==1.6.0"]}]})
    )
    wanted = target(kind, tmp_path).libraries(package)
    assert (wanted.lines, wanted.python, wanted.machine) == (
        ["numpy==2.4.6", "joblib==1.6.0", registered_package.SERVER],
        "3.11.7",
        "x86_64",
    )


@pytest.mark.parametrize(
    ("written", "python"), [("python=3.11.7", "3.11.7"), ("python == 3.12", "3.12"), ("python=3.10", "3.10")]
)
def test_the_python_is_the_conda_files(written: str, python: str) -> None:
    assert from_conda({"dependencies": ["pip", written, {"pip": ["a==1"]}]}).python == python


@pytest.mark.parametrize(
    ("base_image", "python"),
    [
        (None, platform.python_version()),
        ("registry.example/mirror/python:3.12.4-slim", "3.12.4"),
        ("python:3.10-bookworm", "3.10"),
        ("my-own-image:7", platform.python_version()),
    ],
)
def test_docker_installs_the_packages_pins_for_the_base_images_python(
    base_image: str | None, python: str, make_package: MakePackage, tmp_path: Path
) -> None:
    package = make_package("a")
    (package.path / "requirements.txt").write_text("numpy==2.4.6\n")
    overrides = [f"deploy.base_image={base_image}"] if base_image else []
    here = f"{platform.python_version_tuple()[0]}.{platform.python_version_tuple()[1]}"
    if base_image == f"python:{here}-bookworm":
        python = platform.python_version()
    index = "'deploy.build_args={PIP_INDEX_URL: https://index.example/simple, HTTPS_PROXY: http://proxy.example}'"
    wanted = target("docker", tmp_path, *overrides, index.strip("'")).libraries(package)
    assert (wanted.lines, wanted.python) == (["numpy==2.4.6"], python)
    assert wanted.settings == {"PIP_INDEX_URL": "https://index.example/simple", "HTTPS_PROXY": "http://proxy.example"}


@pytest.mark.parametrize(
    ("kind", "pins", "message"),
    [
        at_night("aci", ["pydantic==1.10.2"], f"pydantic==1.10.2 and {registered_package.SERVER} exclude each other"),
        at_night("managed", ["werkzeug==2.0.3"], f"werkzeug==2.0.3 and {registered_package.SERVER} exclude each other"),
        ("docker", ["numpy==2.4.6", "scipy==1.10.0"], "numpy==2.4.6 and scipy==1.10.0 exclude each other"),
    ],
)
def test_a_conflict_is_found_without_azure_or_an_engine(
    kind: str, pins: list[str], message: str, make_package: MakePackage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    package, asked = make_package("a"), target(kind, tmp_path)
    conda = {"dependencies": [f"python={platform.python_version()}", "pip", {"pip": pins}]}
    (package.path / "conda.yaml").write_text(yaml.safe_dump(conda))
    (package.path / "requirements.txt").write_text("\n".join(pins))
    with pytest.raises(DeployError) as raised:
        asked.check_image(package)
    assert f"{message}; `pip install " in str(raised.value)


def test_an_unresolved_image_is_a_note(
    make_package: MakePackage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_OFFLINE", "1")
    notes: list[str] = []
    asked = target("docker", tmp_path)
    asked.report_to(Progress(lambda event: notes.append(event.text) if isinstance(event, StepNote) else None))
    asked.check_image(make_package("a"))
    assert len(notes) == 1
    assert notes[0].startswith("warning: the image's libraries were not checked: ")
