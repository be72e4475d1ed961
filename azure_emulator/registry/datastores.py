"""The workspace's datastores: two containers of its storage account, and a file share that is known by name only."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from azure_emulator.common import addresses
from azure_emulator.common.responses import get_emulator, json_response
from azure_emulator.common.store import Document
from azure_emulator.management import resource_manager
from azure_emulator.storage.blob_containers import ARTIFACTS

DATASTORES = (
    f"azureml://subscriptions/{addresses.SUBSCRIPTION}/resourcegroups/{addresses.RESOURCE_GROUP}"
    f"/workspaces/{addresses.WORKSPACE}/datastores"
)
CONTAINERS = {"workspaceblobstore": "azureml-blobstore", "workspaceartifactstore": ARTIFACTS}  # the default one first
_SHARES = {"workspacefilestore": "azureml-filestore"}


async def _get(request: Request) -> Response:
    name = request.path_params["name"]
    return json_response(_render(name)) if name in {*CONTAINERS, *_SHARES} else resource_manager.not_found(request)


async def _list(request: Request) -> Response:
    names = [*CONTAINERS, *_SHARES]
    wanted = names[: 1 if request.query_params.get("isDefault", "").lower() == "true" else None]
    return json_response({"value": [_render(name) for name in wanted]})


def _render(name: str) -> Document:
    of_kind: Document = (
        {"datastoreType": "AzureBlob", "containerName": CONTAINERS[name]}
        if name in CONTAINERS
        else {"datastoreType": "AzureFile", "fileShareName": _SHARES[name]}
    )
    properties = {
        **of_kind,
        "accountName": addresses.BLOB_HOST.partition(".")[0],
        "endpoint": "core.windows.net",
        "protocol": "https",
        "credentials": {"credentialsType": "Sas"},
        "isDefault": name == next(iter(CONTAINERS)),
        "tags": {},
        "properties": {},
    }
    return resource_manager.resource(f"datastores/{name}", "datastores", properties)


async def _secrets(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in {*CONTAINERS, *_SHARES}:
        return resource_manager.not_found(request)
    signature = get_emulator(request).tokens.container_query({**CONTAINERS, **_SHARES}[name])
    return json_response({"secretsType": "Sas", "sasToken": signature})


_STORE = f"{resource_manager.WORKSPACE}/datastores"
routes = [
    Route(_STORE, _list),
    Route(f"{_STORE}/{{name}}", _get),
    Route(f"{_STORE}/{{name}}/listSecrets", _secrets, methods=["POST"]),
]
