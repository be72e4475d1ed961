"""Life cycle of a service, driven by the real SDK: build, score, keys, restart, update, delete."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import psutil
import pytest

import azure_emulator
from azure_emulator import Emulator
from azure_emulator.containers import process

Sdk = Any
pytestmark = [pytest.mark.slow, pytest.mark.nightly]  # tests/azure/test_flow.py deploys to the emulator, too


def _post(uri: str, key: str | None, body: bytes = b'{"data": [[0.0]]}') -> int:
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
    request = urllib.request.Request(uri, body, headers)
    try:
        with urllib.request.urlopen(request) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


@pytest.fixture(scope="module")
def service(session_sdk: Sdk, folder: Path) -> dict[str, Any]:
    deployed: dict[str, Any] = session_sdk("deploy", name="tiny", overwrite=False)
    assert deployed["error"] == "", deployed
    assert (folder / "services" / "tiny").exists()
    return deployed


def test_a_model_is_built_started_and_scored(sdk: Sdk, service: dict[str, Any], images: Path) -> None:
    assert service["state"] == "Healthy"
    assert service["tags"] == {"fingerprint": "1"}
    assert sdk("call", name="tiny", document={"data": [[0.0], [1.0]]}) == [0, 1]
    where = sdk("call", name="tiny", document={"where": True})
    assert where["model_dir"].startswith("azureml-models/tiny/")
    assert where["executable"].startswith(str(images))
    assert "azmlinfsrv" in sdk("logs", name="tiny")


def test_either_key_is_accepted_and_nothing_else(service: dict[str, Any]) -> None:
    primary, secondary = service["keys"]
    assert [_post(service["uri"], key) for key in (primary, secondary, "wrong", None)] == [200, 200, 401, 401]


def test_only_this_machine_reaches_an_instance(service: dict[str, Any], folder: Path) -> None:
    assert service
    instance = process.find(folder / "services" / "tiny")
    assert instance is not None
    processes = [instance, *instance.children(recursive=True)]
    listening = {
        one.laddr.ip for each in processes for one in each.net_connections() if one.status == psutil.CONN_LISTEN
    }
    assert listening == {"127.0.0.1"}


def test_a_name_in_use_is_refused_before_anything_is_built(sdk: Sdk, service: dict[str, Any]) -> None:
    assert service
    assert "same name already exists" in sdk("deploy", name="tiny", overwrite=False)["error"]


def test_services_keep_running_while_the_emulator_restarts(
    sdk: Sdk, service: dict[str, Any], emulator: Emulator, images: Path
) -> None:
    before = azure_emulator.environment(emulator.folder)
    azure_emulator.stop(emulator.folder)
    assert azure_emulator.running(emulator.folder) is None
    assert _post(service["uri"], service["keys"][0]) == 200
    azure_emulator.start(emulator.folder, images=images)
    assert azure_emulator.environment(emulator.folder) == before
    assert sdk("call", name="tiny", document={"data": [[1.0]]}) == [1]


def test_a_dead_instance_is_restarted(sdk: Sdk, service: dict[str, Any], emulator: Emulator, images: Path) -> None:
    process.stop(emulator.folder / "services" / "tiny")
    assert sdk("state", name="tiny") == "Unhealthy"
    azure_emulator.stop(emulator.folder)
    azure_emulator.start(emulator.folder, images=images)
    _wait_for_health(service)
    assert sdk("call", name="tiny", document={"data": [[1.0]]}) == [1]


def test_exceeding_the_memory_limit_restarts_the_container(sdk: Sdk, service: dict[str, Any]) -> None:
    assert _post(service["uri"], service["keys"][0], b'{"data": [[0.0]], "eat_gb": 2}') == 503
    _wait_for_health(service)
    assert "OOMKilled" in sdk("logs", name="tiny")


def test_a_key_is_regenerated(sdk: Sdk, service: dict[str, Any]) -> None:
    done = sdk("regenerate", name="tiny", value="my-own-key")
    assert done["after"] == ["my-own-key", done["before"][1]]
    assert _post(service["uri"], "my-own-key") == 200
    assert _post(service["uri"], done["before"][0]) == 401


def test_tags_change_in_place_and_a_new_script_keeps_the_address(sdk: Sdk, service: dict[str, Any]) -> None:
    assert service
    done = sdk("update", name="tiny")
    assert done == {"tags": {"fingerprint": "2"}, "same_uri": True, "answered": [1, "updated"]}


def test_a_second_deployment_replaces_a_running_one(sdk: Sdk, folder: Path) -> None:
    done = sdk("deploy_twice", name="twice")
    assert "Another request took its place" in done["first"]
    assert (done["second"], done["answered"]) == ("Healthy", [1])
    sdk("delete", name="twice")
    assert [path.name for path in (folder / "services").iterdir()] == ["tiny"]


def test_delete_leaves_nothing_and_is_idempotent(sdk: Sdk, service: dict[str, Any], folder: Path) -> None:
    home = folder / "services" / "tiny"
    instance = process.find(home)
    assert instance is not None
    processes = [instance, *instance.children(recursive=True)]
    assert "tiny" not in sdk("delete", name="tiny")
    assert not [one for one in processes if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]
    assert not home.exists()
    with pytest.raises(urllib.error.URLError):
        _post(service["uri"], None)


def _wait_for_health(service: dict[str, Any]) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            with urllib.request.urlopen(service["uri"].replace("/score", "/")) as response:
                assert response.status == 200
                return
        except urllib.error.URLError as error:
            if isinstance(error, urllib.error.HTTPError):
                error.close()
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
