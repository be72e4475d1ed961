"""Derived service names are made valid, and only runs on Azure need a workspace."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.config.compose import compose
from orchestrator.deploy.target import _is_valid, valid_service_name
from tests.found import found
from tests.nightly import at_night

NAMES = ("AZURE_SUBSCRIPTION_ID", "AZURE_RESOURCE_GROUP", "AZUREML_WORKSPACE_NAME")


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder without a config.json, and an environment that names no workspace."""
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "cwd"


@pytest.mark.parametrize(
    ("derived", "valid"),
    [
        ("diabetes-prediction-service", "diabetes-prediction-service"),
        ("my_app-prediction-service", "my-app-prediction-service"),
        ("customer_churn-prediction-service", "customer-churn-prediction-3f2b03"),
        ("fraud-detection-prediction-service", "fraud-detection-7f6789"),
        ("Käufer 2024", "k-ufer-2024"),
        ("2024", "s-2024"),
        ("a", "a-ca978112"[:8]),
        ("---", "s-cb3f91"),
        ("x" * 40, f"{'x' * 25}-bd913f"),
    ],
)
def test_a_derived_name_is_made_valid(derived: str, valid: str) -> None:
    assert valid_service_name(derived) == valid
    assert _is_valid(valid)
    assert valid_service_name(valid) == valid


def test_names_that_are_cut_alike_stay_apart() -> None:
    one, other = (valid_service_name(f"customer-churn-of-the-year-{year}-service") for year in (2026, 2027))
    assert one != other


@pytest.mark.parametrize(
    "stages", ["full", *map(at_night, ("train", "package", "deploy", "status", "remove", "logs", "probe"))]
)
@pytest.mark.parametrize("name", ["customer_churn", "fraud-detection", "a" * 60, "x_"])
def test_any_name_works_for_any_stages(name: str, stages: str, tmp_path: Path) -> None:
    assert found(f"state_dir={tmp_path}", f"name={name}", f"stages={stages}") == []


@pytest.mark.parametrize("target", ["local", "docker", "aci", "managed"])
def test_every_target_gets_the_valid_name_and_a_note_says_so(target: str) -> None:
    config = compose("name=customer_churn", f"deploy={target}")
    assert config.values["deploy"]["service_name"] == "customer-churn-prediction-3f2b03"
    assert config.notes == [
        (
            "deploy.service_name: 'customer_churn-prediction-service' is no valid name of a service; it is called "
            "customer-churn-prediction-3f2b03"
        )
    ]
    assert compose(f"deploy={target}").notes == ()


@pytest.mark.parametrize(
    ("stages", "refused"), [("full", True), ("status", True), ("train", False), ("package", False)]
)
def test_a_name_that_was_typed_is_refused_only_where_something_is_served(
    stages: str, tmp_path: Path, *, refused: bool
) -> None:
    problems = found(f"state_dir={tmp_path}", "deploy.service_name=My_Service", f"stages={stages}")
    assert [problem.at for problem in problems] == (["deploy.service_name"] if refused else [])


# Azure


@pytest.mark.parametrize("given", [at_night(NAMES[:1]), at_night(NAMES[1:2]), NAMES[:2]])
@pytest.mark.parametrize("line", ["", "stages=remove", "dry_run=true", "stages=train deploy=aci", "deploy=docker"])
def test_a_part_of_a_workspace_in_the_environment_is_no_mistake_of_a_run_without_azure(
    given: tuple[str, ...], line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in given:
        monkeypatch.setenv(name, "x")
    assert found(f"state_dir={tmp_path}", *line.split()) == []


@pytest.mark.parametrize("line", ["deploy=aci", "deploy=managed stages=remove", "tracking=azureml stages=train"])
def test_a_run_on_azure_reports_what_is_missing(
    line: str, tmp_path: Path, nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AZURE_SUBSCRIPTION_ID", "x")
    (problem,) = found(f"state_dir={tmp_path}", *line.split())
    assert problem.at == "azure.resource_group"
    assert problem.message.endswith("or none for a config.json (given: $AZURE_SUBSCRIPTION_ID)")
    (nowhere.parent / ".azureml").mkdir()
    (nowhere.parent / ".azureml" / "config.json").touch()  # above, as the SDK looks for it
    assert found(f"state_dir={tmp_path}", *line.split()) == []


def test_a_part_that_was_typed_is_a_mistake_beside_a_file_too(tmp_path: Path, nowhere: Path) -> None:
    (nowhere / "config.json").touch()
    (problem,) = found(f"state_dir={tmp_path}", "deploy=aci", "azure.workspace_name=mine")
    assert str(problem).startswith("azure.subscription_id: is missing; name all of subscription_id, resource_group")
    assert found(f"state_dir={tmp_path}", "azure.workspace_name=mine") == []


def test_a_whole_workspace_in_the_environment_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.setenv(name, "x")
    assert found(f"state_dir={tmp_path}", "deploy=aci") == []
