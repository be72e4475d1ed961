"""Runs, metrics, artifacts, models and environments: the real SDK reads back what it wrote."""

from __future__ import annotations

from typing import Any

import pytest

Sdk = Any


def test_a_service_principal_opens_the_workspace(sdk: Sdk) -> None:
    assert sdk("workspace") == {"name": "emulator", "location": "westeurope", "group": "emulator"}


def test_a_wrong_password_is_refused_with_azures_code(sdk: Sdk) -> None:
    with pytest.raises(Exception, match="AADSTS7000215"):
        sdk("wrong_password")


def test_there_is_only_one_workspace(sdk: Sdk) -> None:
    with pytest.raises(Exception, match=r"Workspace.get|not found"):
        sdk("other_workspace")


def test_a_run_of_run_history(sdk: Sdk) -> None:
    done = sdk("native_run")
    assert done["status"] == "Completed"
    assert done["metrics"] == {"accuracy": 0.75, "loss": [2.0, 1.0]}
    assert done["tag"] == "parent"
    assert done["files"] == ["folder/note.txt"]
    assert done["same"]
    assert done["children"] == [True]
    assert done["listed"][0] is True
    assert done["not_listed"] == 0
    assert sdk("failed_run") == {"status": "Failed"}


def test_a_large_file_goes_up_in_blocks(sdk: Sdk) -> None:
    assert sdk("large_file", megabytes=80) == {"same": True}


def test_a_model_registered_from_a_run_knows_it(sdk: Sdk) -> None:
    done = sdk("run_model")
    assert (done["run"], done["experiment"], done["content"]) == (True, "native", "weights")


def test_models_have_versions_and_tags_and_can_be_deleted(sdk: Sdk) -> None:
    done = sdk("models")
    first = done["versions"][0]
    assert done["versions"] == [first, first + 1, first + 2]
    assert done["newest"] == first + 2
    assert done["tags"] == {"n": "2", "more": "yes"}
    assert "NotFound" in done["missing"] or "Webservice" in done["missing"]
    assert first + 1 in done["by_tag"]


def test_a_long_list_of_models_is_paged(sdk: Sdk) -> None:
    assert sdk("paged_models") % 25 == 0


def test_the_same_environment_twice_is_one_version(sdk: Sdk) -> None:
    done = sdk("environments")
    assert done == {"versions": ["1", "1", "2"], "packages": ["azureml-defaults", "numpy==1.0"], "listed": True}


def test_mlflow_reads_back_what_it_wrote(sdk: Sdk) -> None:
    done = sdk("tracking")
    assert done["status"] == "FINISHED"
    assert done["name"] == "parent"
    assert done["metric"] == {"auc": 0.75}
    assert done["history"] == [0.5, 0.75]
    assert done["params"] == {"depth": "7"}
    assert done["kind"] == "parent"
    assert done["children"] == [True]
    assert done["best"]
    assert done["artifacts"] == ["texts", "model"]
    assert done["text"] == "hello"
    assert done["version_run"]
    assert done["version"] in done["found"]


def test_run_history_and_the_registry_show_what_mlflow_wrote(sdk: Sdk) -> None:
    sdk("tracking")
    done = sdk("tracked_model_as_azure_sees_it")
    assert done["experiment"] == "tracked"
    assert done["content"] == "model"
    assert done["metrics"] == {"auc": [0.5, 0.75]}
    assert done["status"] == "Completed"
    assert done["children"] == 1


def test_there_are_no_logged_models(sdk: Sdk) -> None:
    sdk("tracking")
    assert "404" in sdk("logged_models")
