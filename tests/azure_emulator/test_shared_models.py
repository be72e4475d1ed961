"""A model that either SDK registered is served by a service of the other one, from the same files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from azure_emulator.common.faults import Faults
from azure_emulator.common.responses import EmulatorState
from azure_emulator.common.store import Document, Store
from azure_emulator.common.tokens import Tokens
from azure_emulator.registry.assets_v2 import model_files
from azure_emulator.registry.models import create_asset, register
from azure_emulator.serving.aci_deployment import write_instance

V2 = (
    "azureml://subscriptions/s/resourcegroups/r/workspaces/w/datastores/workspaceblobstore/paths/LocalUpload/v2/package"
)
FILES = {"package/model.pkl": "a model", "package/score/score.py": "a script"}


@pytest.fixture
def emulator(tmp_path: Path) -> Iterator[EmulatorState]:
    """An emulator's state with a package that was uploaded by each SDK, and other blobs beside it."""
    store = Store(tmp_path / "store.db")
    for home in ("blobs/LocalUpload/v1", "containers/azureml-blobstore/LocalUpload/v2"):
        for path, text in {**FILES, "package2/other.pkl": "another model"}.items():
            file = tmp_path / home / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
    yield EmulatorState(tmp_path, tmp_path / "images", store, Faults(store), Tokens(tmp_path))
    store.close()


def registered(store: Store, sdk: str) -> Document:
    asset = create_asset(store, {"artifacts": [{"prefix": "LocalUpload/v1/package"}]})
    model = register(store, {"name": "m", "url": f"aml://asset/{asset['id']}" if sdk == "v1" else ""})
    return store.put("model", model["id"], model | ({"modelUri": V2} if sdk == "v2" else {}))


@pytest.mark.parametrize("sdk", ["v1", "v2"])
def test_a_service_of_sdk_v1_serves_a_model_of_either(sdk: str, emulator: EmulatorState) -> None:
    model = registered(emulator.store, sdk)
    assert {path: file.read_text() for path, file in model_files(emulator, model).items()} == FILES
    (emulator.folder / "blobs" / "driver.py").write_text("")
    driver = {"id": "driver.py", "url": "aml://artifact/driver.py"}
    request: Document = {"driverProgram": "driver.py", "assets": [driver], "modelIds": [model["id"]]}
    service: Document = {
        "environmentImageRequest": request,
        "containerResourceRequirements": {"memoryInGB": 1},
        "authEnabled": False,
        "port": 1,
        "keys": {},
    }
    write_instance(emulator, service, emulator.folder / "services" / "svc", Path("image"))
    home = emulator.folder / "services" / "svc" / "app" / "azureml-models" / "m" / "1"
    assert {path.relative_to(home).as_posix() for path in home.rglob("*") if path.is_file()} == {*FILES}
