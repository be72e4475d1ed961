"""Models, environments and code as the second SDK sees them, and the datastores it uploads to.

Models and environments are the same as the first SDK's: what either registers, both find.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from azure_emulator.common import addresses
from azure_emulator.common.responses import EmulatorState, answer, service_error, store, world
from azure_emulator.common.store import Document, Store
from azure_emulator.management import resource_manager
from azure_emulator.registry.models import number_taken, register, take_number
from azure_emulator.storage.blob_containers import ARTIFACTS, contents

_STORES = (
    f"azureml://subscriptions/{addresses.SUBSCRIPTION}/resourcegroups/{addresses.RESOURCE_GROUP}"
    f"/workspaces/{addresses.WORKSPACE}/datastores"
)
_DATASTORES = {"workspaceblobstore": "azureml-blobstore", "workspaceartifactstore": ARTIFACTS}


def model_files(here: EmulatorState, model: Document) -> dict[str, Path]:
    """Path below the model's folder -> file: a registered folder keeps its own name, as in Azure."""
    container, prefix = _place(here.store, model)
    parent = prefix.rpartition("/")[0]
    return {path.removeprefix(f"{parent}/"): file for path, file in contents(here.folder, container, prefix).items()}


def code_files(here: EmulatorState, code: Document) -> dict[str, Path]:
    """Path below the code's folder -> file."""
    container, _, prefix = code["codeUri"].removeprefix(f"https://{addresses.BLOB_HOST}/").partition("/")
    found = contents(here.folder, container, prefix)
    return {path.removeprefix(prefix).lstrip("/"): file for path, file in found.items()}


def _place(store: Store, model: Document) -> tuple[str, str]:
    """Container and path of a model's files, whichever SDK registered it."""
    if uri := model.get("modelUri"):
        datastore, _, path = uri.partition("/datastores/")[2].partition("/paths/")
        return _DATASTORES[datastore], path.rstrip("/")
    asset = store.get("asset", model["url"].removeprefix("aml://asset/")) or {"artifacts": [{"prefix": ""}]}
    return ARTIFACTS, asset["artifacts"][0]["prefix"].strip("/")


def _model(store: Store, model: Document) -> Document:
    container, path = _place(store, model)
    datastore = next(name for name, held in _DATASTORES.items() if held == container)
    properties = {
        "modelUri": f"{_STORES}/{datastore}/paths/{path}",
        "modelType": model.get("modelType") or "custom_model",
        "tags": model["kvTags"],
        "properties": model["properties"],
        "description": model.get("description"),
        "flavors": {},
        "isAnonymous": False,
        "isArchived": False,
        "provisioningState": "Succeeded",
    }
    return resource_manager.resource(
        f"models/{model['name']}/versions/{model['version']}", "models/versions", properties
    )


async def _put_model(request: Request) -> Response:
    here, (name, version) = world(request), _named(request)
    given = (await request.json())["properties"]
    tags = {"kvTags": given.get("tags") or {}, "properties": given.get("properties") or {}}
    if known := here.store.get("model", f"{name}:{version}"):
        if known.get("modelUri") != given["modelUri"]:
            return service_error(409, "UserError", "A model with this name and version already exists")
        return answer(_model(here.store, here.store.put("model", f"{name}:{version}", known | tags)))
    more: Document = {key: given.get(key) for key in ("modelUri", "modelType", "description")}
    model = register(here.store, {"name": name, "url": "", **tags}, version)
    return answer(_model(here.store, here.store.put("model", f"{name}:{version}", model | more)), 201)


def _environment(environment: Document) -> Document:
    conda = (environment.get("python") or {}).get("condaDependencies") or {}
    properties: Document = {
        "image": (environment.get("docker") or {}).get("baseImage"),
        "condaFile": yaml.safe_dump(conda),
        "osType": "Linux",
        "environmentType": "UserCreated",
        "tags": {},
        "properties": {},
        "isAnonymous": False,
        "isArchived": False,
        "provisioningState": "Succeeded",
    }
    path = f"environments/{environment['name']}/versions/{environment['version']}"
    return resource_manager.resource(path, "environments/versions", properties)


async def _put_environment(request: Request) -> Response:
    name, version = _named(request)
    given = (await request.json())["properties"]
    environment = {
        "name": name,
        "version": version,
        "python": {"condaDependencies": yaml.safe_load(given.get("condaFile") or "{}")},
        "docker": {"baseImage": given.get("image")},
    }
    take_number(store(request), f"environment {name}", version)
    return answer(_environment(store(request).put("environment", f"{name}\n{version}", environment)), 201)


def _code(code: Document) -> Document:
    return resource_manager.resource(f"codes/{code['name']}/versions/{code['version']}", "codes/versions", code)


async def _put_code(request: Request) -> Response:
    name, version = _named(request)
    code = {**(await request.json())["properties"], "name": name, "version": version, "provisioningState": "Succeeded"}
    return answer(_code(store(request).put("code", f"{name}\n{version}", code)), 201)


async def _list_codes(request: Request) -> Response:
    found = store(request).all("code", f"{request.path_params['name']}\n")
    wanted = request.query_params.get("hash")
    return answer({"value": [_code(one) for one in found if _hash(one) == wanted]})


def _hash(code: Document) -> Any:
    return (code.get("properties") or {}).get("hash_sha256")


async def _upload(request: Request) -> Response:
    """A container of its own for one version of code, and the signature that opens it."""
    name, version = _named(request)
    container = f"code-{name}-{version}".lower()[:63]
    reference = {
        "blobUri": f"https://{addresses.BLOB_HOST}/{container}",
        "storageAccountArmId": "emulator",
        "credential": {"credentialType": "SAS", "sasUri": world(request).tokens.container_address(container)},
    }
    return answer({"blobReferenceForConsumption": reference, "pendingUploadType": "TemporaryBlobReference"})


async def _datastore(request: Request) -> Response:
    name = request.path_params["name"]
    return answer(_shown(name)) if name in _DATASTORES else resource_manager.missing(request)


async def _datastores(request: Request) -> Response:
    names = list(_DATASTORES)[: 1 if request.query_params.get("isDefault", "").lower() == "true" else None]
    return answer({"value": [_shown(name) for name in names]})


def _shown(name: str) -> Document:
    properties = {
        "datastoreType": "AzureBlob",
        "accountName": addresses.BLOB_HOST.partition(".")[0],
        "containerName": _DATASTORES[name],
        "endpoint": "core.windows.net",
        "protocol": "https",
        "credentials": {"credentialsType": "Sas"},
        "isDefault": name == next(iter(_DATASTORES)),
        "tags": {},
        "properties": {},
    }
    return resource_manager.resource(f"datastores/{name}", "datastores", properties)


async def _secrets(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in _DATASTORES:
        return resource_manager.missing(request)
    return answer({"secretsType": "Sas", "sasToken": world(request).tokens.container_query(_DATASTORES[name])})


def _named(request: Request) -> tuple[str, str]:
    return request.path_params["name"], request.path_params["version"]


def _routes(plural: str, kind: str, separator: str, show: Callable[[Store, Document], Document]) -> list[Route]:
    """What models, environments and code have in common: the versions, the container that counts them."""

    async def get(request: Request) -> Response:
        found = store(request).get(kind, separator.join(_named(request)))
        return answer(show(store(request), found)) if found else resource_manager.missing(request)

    async def listed(request: Request) -> Response:
        found = store(request).all(kind, f"{request.path_params['name']}{separator}")[::-1]
        return answer({"value": [show(store(request), one) for one in found]})

    async def container(request: Request) -> Response:
        name = request.path_params["name"]
        found = store(request).all(kind, f"{name}{separator}")
        if not found:
            return resource_manager.missing(request)
        latest, following = str(found[-1]["version"]), str(number_taken(store(request), f"{kind} {name}") + 1)
        properties = {"latestVersion": latest, "nextVersion": following, "isArchived": False, "tags": {}}
        return answer(resource_manager.resource(f"{plural}/{name}", plural, properties))

    base = f"{resource_manager.WORKSPACE}/{plural}/{{name}}"
    versions = [Route(f"{base}/versions/{{version}}", get), Route(base, container)]
    return [*versions, *([] if kind == "code" else [Route(f"{base}/versions", listed)])]


_CODES = f"{resource_manager.WORKSPACE}/codes/{{name}}/versions"
_STORE = f"{resource_manager.WORKSPACE}/datastores"
routes = [
    Route(f"{resource_manager.WORKSPACE}/models/{{name}}/versions/{{version}}", _put_model, methods=["PUT"]),
    Route(
        f"{resource_manager.WORKSPACE}/environments/{{name}}/versions/{{version}}", _put_environment, methods=["PUT"]
    ),
    Route(f"{_CODES}/{{version}}", _put_code, methods=["PUT"]),
    Route(f"{_CODES}/{{version}}/startPendingUpload", _upload, methods=["POST"]),
    Route(_CODES, _list_codes),
    *_routes("models", "model", ":", _model),
    *_routes("environments", "environment", "\n", lambda _, one: _environment(one)),
    *_routes("codes", "code", "\n", lambda _, one: _code(one)),
    Route(_STORE, _datastores),
    Route(f"{_STORE}/{{name}}", _datastore),
    Route(f"{_STORE}/{{name}}/listSecrets", _secrets, methods=["POST"]),
]
