"""The state of a managed endpoint, without calling Azure."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from orchestrator.artifacts import ModelVersion, Package
from orchestrator.deploy.azure import online_state, registered_package
from orchestrator.deploy.azure.managed import Managed
from orchestrator.deploy.azure.online_state import NUMBER, TESTED, EndpointState, OnlineDeployment
from orchestrator.deploy.target import SupportsKeyRotation
from orchestrator.events import ReportsProgress
from tests.deploy.conftest import bound_target
from tests.found import found

CONDA = {"name": "m", "channels": ["conda-forge"], "dependencies": ["python=3.11.7", "pip", {"pip": ["numpy==1"]}]}


@pytest.fixture
def package(tmp_path: Path) -> Package:
    (tmp_path / "conda.yaml").write_text(yaml.safe_dump(CONDA))
    return Package(tmp_path, "f" * 64, "model")


def managed(*overrides: str) -> Managed:
    made: Managed = bound_target("deploy=managed", *overrides)
    return made


def colour(name: str, state: str = "Succeeded") -> OnlineDeployment:
    return OnlineDeployment(name, state, {NUMBER: f"number of {name}"})


def seen(*colours: OnlineDeployment, live: str = "", tested: str = "") -> EndpointState:
    tags = {TESTED: f"number of {tested}"} if tested else {}
    return EndpointState(
        "https://x/score", "Key", tags, {live: 100} if live else {}, {one.name: one for one in colours}
    )


def test_it_reports_progress_and_rotates_keys() -> None:
    assert isinstance(managed(), ReportsProgress)
    assert isinstance(managed(), SupportsKeyRotation)


def test_what_gets_requests_is_live_and_the_other_colour_is_next() -> None:
    blue, green = colour("blue"), colour("green")
    assert seen().live is None
    assert seen(blue).live is None
    assert seen(blue).others == (blue,)
    assert online_state.next_colour(seen(blue)) == "blue"
    both = seen(blue, green, live="blue")
    assert (both.live, both.former) == (blue, green)
    assert online_state.next_colour(both) == "green"
    assert online_state.next_colour(seen(blue, green, live="green")) == "blue"


def test_a_failed_or_foreign_deployment_is_no_rollback_target() -> None:
    assert seen(colour("blue"), colour("green", "Failed"), live="blue").former is None
    assert seen(colour("blue"), OnlineDeployment("green", "Succeeded", {}), live="blue").former is None
    assert not seen(OnlineDeployment("blue", "Succeeded", {}), live="blue").tested(
        OnlineDeployment("blue", "Succeeded", {})
    )


def test_an_untested_one_beside_a_tested_one_was_abandoned() -> None:
    both = (colour("blue"), colour("green"))
    assert seen(*both, live="green", tested="blue").abandoned
    assert not seen(*both, live="green", tested="green").abandoned
    assert not seen(*both, live="green").abandoned
    assert not seen(colour("green"), live="green", tested="blue").abandoned


def test_the_environment_is_the_packages_and_azures_server_without_the_retired_sdk(package: Package) -> None:
    wanted = ["python=3.11.7", "pip", {"pip": ["numpy==1", registered_package.SERVER]}]
    made = registered_package.conda(package)
    assert made["dependencies"] == wanted
    (package.path / "conda.yaml").write_text(yaml.safe_dump(made))
    assert registered_package.conda(package) == made  # one that names the server keeps its own
    own = {**CONDA, "dependencies": [*CONDA["dependencies"][:2], {"pip": ["numpy==1", "azureml_defaults~=1.62"]}]}
    (package.path / "conda.yaml").write_text(yaml.safe_dump(own))
    assert registered_package.conda(package) == own  # which brings the server along


def test_cors_adds_the_library_that_azures_server_needs(package: Package) -> None:
    target = managed("deploy.allow_origins=['*']")
    assert target._settings()["environment_variables"] == {"ORT_DISABLE_TELEMETRY": "1", "AML_CORS_ORIGINS": "*"}
    assert target.libraries(package).lines == ["numpy==1", registered_package.SERVER, "flask-cors"]
    assert "allow_origins" not in managed()._settings()  # deployments that are older than the key keep their shape


def test_an_environment_is_registered_once(package: Package) -> None:
    definition = registered_package.conda(package)
    assert online_state.environment_version(definition, "a") == online_state.environment_version(dict(definition), "a")
    assert online_state.environment_version(definition, "a") != online_state.environment_version(definition, "b")


def test_each_deployment_has_a_number_and_the_same_package_the_same_name(package: Package) -> None:
    version = ModelVersion("model", "1", None, package)
    one, two = (online_state.tags(version, managed()._settings()) for _ in range(2))
    assert one[NUMBER] != two[NUMBER]
    assert registered_package.serves_like(one, two)
    more = online_state.tags(version, managed("deploy.instance_count=2")._settings())
    assert not registered_package.serves_like(one, more)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("deploy.instance_typ=x", "deploy.instance_typ: Managed has no such option; did you mean 'instance_type'?"),
        ("deploy.instance_count=0", "deploy.instance_count: should be"),
        ("deploy.auth_mode=none", "deploy.auth_mode: "),
        ("deploy.auth_enabled=false", "deploy.auth_enabled: a managed endpoint always asks for a key or a token"),
        ("deploy.request_timeout_ms=200000", "deploy.request_timeout_ms: should be"),
        ("deploy.service_name=UPPER", "deploy.service_name: should be 3 to 32"),
    ],
)
def test_a_mistake_is_reported_once(override: str, message: str, tmp_path: Path) -> None:
    problems = [str(one) for one in found(f"state_dir={tmp_path}", "deploy=managed", override)]
    assert len(problems) == 1, problems
    assert problems[0].startswith(message)
