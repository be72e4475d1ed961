"""Data assets and datastores of an emulated workspace: the real SDK puts tables there, and runs read and write them."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import azure_emulator
from orchestrator.azure.data import WorkspaceData
from orchestrator.azure.sdk import missing
from orchestrator.locations.urls import LocationError, Url
from orchestrator.spec.azure import AzureSpec
from tests.azure.conftest import SDK_V2, EmulatedDesk, emulated_desk
from tests.command import Done

STORE = "azureml://datastores/workspaceblobstore/paths"
WRONG = {
    "azureml:chrun:1": "the workspace has no data asset 'chrun'; did you mean 'churn'?",
    "azureml:none@latest": "the workspace has no data asset 'none'; there are: churn, parts, steps",
    "azureml:churn:7": "there is no version 7 of the data asset churn; there are: 1, 2",
    "azureml:steps:1": "is an mltable, whose steps are not taken; register its files as a uri_folder",
    "azureml://datastores/workspacefilestore/paths/a.csv": "is of the kind AzureFile, and only AzureBlob and Azure",
    "azureml://datastores/workspaceblobstor/paths/a.csv": "no datastore 'workspaceblobstor'; did you mean 'workspacebl",
    f"{STORE}/none.csv": f"there is no file {STORE}/none.csv; look at",
}


def needs_sdk() -> None:
    if missing(*SDK_V2) or find_spec("adlfs") is None:
        pytest.skip("the managed extra is not installed")


@pytest.fixture(scope="module")
def emulated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatedDesk]:
    needs_sdk()
    with emulated_desk(tmp_path_factory.mktemp("data"), "deploy=none", "preprocess=tabular") as made:
        azure_emulator.start(made.folder)
        (made.folder / "config.json").write_text(json.dumps(azure_emulator.workspace_config()))
        yield made


@pytest.fixture(scope="module")
def seeded(emulated: EmulatedDesk) -> Any:
    """Put tables into the workspace; return what is found of them."""
    files = emulated.desk.home / "files"
    files.mkdir()
    script = Path(__file__).with_name("workspace_data_side.py")
    command = [sys.executable, "-W", "ignore", str(script), str(emulated.folder / "config.json"), str(files), *WRONG]
    environ = {**emulated.desk.env, **azure_emulator.environment(emulated.folder)}
    done = subprocess.run(command, env=environ, cwd=emulated.desk.cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def run(emulated: EmulatedDesk, *overrides: str) -> Done:
    """Run a command in an interpreter that has not imported aiohttp, which keeps the authorities known at that moment."""
    return emulated.desk.run(*emulated.common, *overrides, warm=False)


@pytest.mark.slow
def test_places_of_each_form_are_found_with_their_versions(seeded: Any) -> None:
    first, newest, folder, long, short = seeded["found"][:5]
    assert [name for name, *_ in first + newest] == ["rows2.csv", "rows3.csv"]
    assert first[0][2].partition(" ")[0].endswith("/data/churn/versions/1")
    assert newest[0][2].partition(" ")[0].endswith("/data/churn/versions/2")
    assert [each[:2] for each in folder] == [each[:2] for each in long] == [["a.csv", 21], ["b.csv", 21]]
    assert long == short
    assert all(one[2].startswith('"') for one in short), "the etag alone: a path in a datastore has no version"
    assert seeded["long"].startswith("azureml://subscriptions/")
    assert seeded["note"] == "written"


@pytest.mark.slow
def test_what_is_not_there_is_said_in_one_line_with_a_near_name(seeded: Any) -> None:
    for (place, wanted), said in zip(WRONG.items(), seeded["found"][5:], strict=True):
        assert place in said
        assert wanted in said
        assert "\n" not in said


@pytest.mark.slow
def test_a_run_reads_an_asset_and_keeps_no_credential(seeded: Any, emulated: EmulatedDesk) -> None:
    assert seeded
    table = ["data=csv", "data.path=azureml:churn@latest", "data.target=y", "tracking=none"]
    done = run(emulated, "stages=train", *table, "model=logistic_regression").well()
    assert "120 rows" in done.out
    kept = [path for folder in ("state", "runs", "cwd") for path in (emulated.desk.home / folder).rglob("*")]
    secrets = [b"sig=", json.loads((emulated.folder / "secrets.json").read_text())["password"].encode()]
    texts = [path for path in kept if path.is_file() and emulated.folder not in path.parents]
    assert any(path.name == "rows3.csv" for path in texts)
    assert not [path for path in texts if any(secret in path.read_bytes() for secret in secrets)]


@pytest.mark.nightly
def test_batch_reads_an_asset_and_writes_into_a_datastore(seeded: Any, emulated: EmulatedDesk) -> None:
    assert seeded
    table = ["data=csv", "data.path=azureml:churn:1", "data.target=y"]
    run(emulated, "stages=package", *table, "model=logistic_regression", "name=of_a_workspace").well()
    places = ["batch.input=azureml:parts:1", f"batch.output={STORE}/out/scored.csv"]
    batch = ["stages=batch", "package.version=last", "name=of_a_workspace", *places]
    run(emulated, *batch).well()
    scored = emulated.folder / "containers/azureml-blobstore/out/scored.csv"
    assert scored.read_text().count("\n") == 5
    assert "is there already; remove it, or name another" in run(emulated, *batch).err


def client_of(credentials: str, **values: str) -> Any:
    """Return a client of SDK v2 with one datastore, as the SDK would return it."""
    from azure.ai.ml import entities

    known = getattr(entities, f"{credentials}Configuration")(**values)
    kind = entities.AzureDataLakeGen2Datastore
    store = kind(name="lake", account_name="acc", filesystem="raw", endpoint="core.windows.net", credentials=known)
    return SimpleNamespace(datastores=SimpleNamespace(get=lambda *_, **__: store))


@pytest.mark.parametrize(
    ("credentials", "values", "kind"),
    [
        ("AccountKey", {"account_key": "a2V5"}, "AzureNamedKeyCredential"),
        ("SasToken", {"sas_token": "?sig=x"}, "AzureSasCredential"),
        ("ServicePrincipal", {"tenant_id": "t", "client_id": "c", "client_secret": "s"}, "_AsyncCredential"),
        ("NoneCredential", {}, "_AsyncCredential"),
    ],
)
def test_the_credential_of_a_datastore_wins_over_those_in_variables(
    credentials: str, values: dict[str, str], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs_sdk()
    known = SimpleNamespace(get_token=lambda *scopes: f"token for {scopes[0]}", close=lambda: None)
    monkeypatch.setattr("orchestrator.azure.data.client", lambda _: client_of(credentials, **values))
    monkeypatch.setattr("orchestrator.azure.data.credential", lambda _: known)
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", "DefaultEndpointsProtocol=https;AccountName=other")
    found = WorkspaceData(AzureSpec())(Url("azureml://datastores/lake/paths/a/"), {})
    assert found.path == "raw/a"
    assert found.system.account_url == "https://acc.blob.core.windows.net"
    assert type(found.system.credential).__name__ == kind
    assert "AZURE_STORAGE_CONNECTION_STRING" in os.environ
    if credentials == "NoneCredential":
        assert asyncio.run(found.system.credential.get_token("storage")) == "token for storage"


def test_a_certificate_is_refused_with_what_to_name_instead(monkeypatch: pytest.MonkeyPatch) -> None:
    needs_sdk()
    monkeypatch.setattr("orchestrator.azure.data.client", lambda _: client_of("Certificate"))
    with pytest.raises(LocationError, match=r"credential of the kind certificate, .*; name the container: abfs://"):
        WorkspaceData(AzureSpec())(Url("azureml://datastores/lake/paths/a"), {})
