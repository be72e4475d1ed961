"""Places in a workspace: their forms, and what is said where none can be found."""

from __future__ import annotations

import pytest

from orchestrator.azure.data import WorkspaceData
from orchestrator.locations.connections import locate
from orchestrator.locations.copies import fetch
from orchestrator.locations.delta import fetch_delta
from orchestrator.locations.storage import find_files
from orchestrator.locations.urls import LocationError, Url
from orchestrator.locations.workspace_files import (
    DataAsset,
    DatastorePath,
    FoundFiles,
    found_by,
    is_in_workspace,
    parse_place,
)
from orchestrator.spec.azure import AzureSpec

LONG = "azureml://subscriptions/s/resourcegroups/g/workspaces/w/datastores/lake/paths/a/b.csv"


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("azureml://datastores/lake/paths/a/b.csv", DatastorePath("lake", "a/b.csv")),
        (LONG, DatastorePath("lake", "a/b.csv", ("s", "g", "w"))),
        (LONG.replace("workspaces/", "providers/x.y/workspaces/"), DatastorePath("lake", "a/b.csv", ("s", "g", "w"))),
        ("azureml:churn:3", DataAsset("churn", "3")),
        ("azureml:churn@latest", DataAsset("churn")),
    ],
)
def test_each_form_is_read(text: str, place: object) -> None:
    assert parse_place(text) == place
    assert is_in_workspace(Url(text))


@pytest.mark.parametrize("text", ["azureml:churn", "azureml://lake/a.csv", "azureml:churn@best", "azureml:a:b:c"])
def test_other_forms_are_refused_with_those_that_there_are(text: str) -> None:
    with pytest.raises(ValueError, match=r"write azureml://datastores/NAME/paths/FOLDER/FILE, azureml:NAME:VERSION or"):
        parse_place(text)


def test_a_place_in_a_variable_is_one_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TABLE", LONG)
    assert is_in_workspace(Url("env:TABLE"))
    assert not is_in_workspace(Url("env:NOT_SET"))
    monkeypatch.setenv("TABLE", "azureml://lake/a.csv")
    with (
        found_by(WorkspaceData(AzureSpec())),
        pytest.raises(LocationError, match=r"env:TABLE names no data of an Azure ML workspace; write azureml://"),
    ):
        find_files("env:TABLE")


def test_outside_of_a_run_nothing_is_found() -> None:
    with pytest.raises(LocationError, match=r"azureml:churn:3 is found by a run only"):
        find_files("azureml:churn:3")


def test_the_missing_library_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator.azure.data.missing", lambda *_: True)
    with (
        found_by(WorkspaceData(AzureSpec())),
        pytest.raises(
            LocationError, match=r"for azureml:// is not installed; pip install 'sklearn-orchestrator\[managed"
        ),
    ):
        find_files("azureml:churn:3")


def test_delta_tables_are_refused_with_what_to_name() -> None:
    with pytest.raises(LocationError, match=r"name the container behind its datastore: abfs://"):
        fetch_delta(Url("azureml:churn:3"), None, {}, None)


def test_a_new_version_of_an_asset_is_copied_again(tmp_path_factory: pytest.TempPathFactory) -> None:
    import fsspec

    folder, system = tmp_path_factory.mktemp("copies"), fsspec.filesystem("memory")
    system.pipe_file("/churn/rows.csv", b"x\n1\n")
    url, seen = Url("azureml:churn@latest"), set()
    for version in ("1", "2"):
        with found_by(lambda *_, version=version: FoundFiles(system, "/churn/rows.csv", f"churn {version}")):
            assert locate(url, {}) == (type(system), "/churn/rows.csv")
            seen |= {(file.path, file.version) for file in fetch(url, {}, "csv", folder).files for _ in "ab"}
    assert len(seen) == 2
