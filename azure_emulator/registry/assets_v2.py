"""The API of SDK v2 for models, environments, code and data assets.

Models and environments are shared with SDK v1: both find what either registers.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from azure_emulator.common import addresses
from azure_emulator.common.responses import EmulatorState, get_emulator, get_store, json_response, service_error
from azure_emulator.common.store import Document, Store
from azure_emulator.management import resource_manager
from azure_emulator.registry.datastores import CONTAINERS, DATASTORES
from azure_emulator.registry.models import last_version, register, reserve_version
from azure_emulator.storage.blob_containers import ARTIFACTS, contents


def model_files(emulator: EmulatorState, model: Document) -> dict[str, Path]:
    """Return path -> file of a model that either SDK registered; a file or folder keeps its own name, as in Azure."""
    container, prefix = _location(emulator.store, model)
    parent = prefix.rpartition("/")[0]
    return {
        path.removeprefix(f"{parent}/"): file
        for path, file in contents(emulator.folder, container, prefix).items()
        if path == prefix or path.startswith(f"{prefix}/")  # and not a folder whose name begins alike
    }


def code_files(emulator: EmulatorState, code: Document) -> dict[str, Path]:
    """Return path -> file of a version of code."""
    container, _, prefix = code["codeUri"].removeprefix(f"https://{addresses.BLOB_HOST}/").partition("/")
    blobs = contents(emulator.folder, container, prefix)
    return {path.removeprefix(prefix).lstrip("/"): file for path, file in blobs.items()}


def _location(store: Store, model: Document) -> tuple[str, str]:
    """Return the container and the path of a model's files, from either SDK."""
    if uri := model.get("modelUri"):
        datastore, _, path = uri.partition("/datastores/")[2].partition("/paths/")
        return CONTAINERS[datastore], path.rstrip("/")
    asset = store.get("asset", model["url"].removeprefix("aml://asset/")) or {"artifacts": [{"prefix": ""}]}
    return ARTIFACTS, asset["artifacts"][0]["prefix"].strip("/")


def _model(store: Store, model: Document) -> Document:
    container, path = _location(store, model)
    datastore = next(name for name, name_of_container in CONTAINERS.items() if name_of_container == container)
    properties = {
        "modelUri": f"{DATASTORES}/{datastore}/paths/{path}",
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
    emulator, (name, version) = get_emulator(request), _name_and_version(request)
    requested = (await request.json())["properties"]
    tags = {"kvTags": requested.get("tags") or {}, "properties": requested.get("properties") or {}}
    if known := emulator.store.get("model", f"{name}:{version}"):
        if known.get("modelUri") != requested["modelUri"]:
            return service_error(409, "UserError", "A model with this name and version already exists")
        return json_response(_model(emulator.store, emulator.store.put("model", f"{name}:{version}", known | tags)))
    more: Document = {key: requested.get(key) for key in ("modelUri", "modelType", "description")}
    model = register(emulator.store, {"name": name, "url": "", **tags}, version)
    return json_response(_model(emulator.store, emulator.store.put("model", f"{name}:{version}", model | more)), 201)


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
    name, version = _name_and_version(request)
    requested = (await request.json())["properties"]
    environment = {
        "name": name,
        "version": version,
        "python": {"condaDependencies": yaml.safe_load(requested.get("condaFile") or "{}")},
        "docker": {"baseImage": requested.get("image")},
    }
    reserve_version(get_store(request), f"environment {name}", version)
    return json_response(_environment(get_store(request).put("environment", f"{name}\n{version}", environment)), 201)


def _data(data: Document) -> Document:
    return resource_manager.resource(f"data/{data['name']}/versions/{data['version']}", "data/versions", data)


async def _put_data(request: Request) -> Response:
    """Create a version of a data asset; what it points to cannot change, nor be no place in a storage."""
    (name, version), store = _name_and_version(request), get_store(request)
    requested = (await request.json())["properties"]
    uri = str(requested.get("dataUri")).replace("azureml://datastores/", f"{DATASTORES}/", 1)  # as Azure keeps it
    requested |= {"dataUri": uri}
    if not re.match(r"[a-z]+://", uri):
        return service_error(400, "UserError", f"Invalid dataUri: {uri}")
    known = store.get("data", f"{name}\n{version}")
    if known and any(known.get(key) != requested.get(key) for key in ("dataUri", "dataType")):
        message = f"A data version with this name and version already exists. {name}:{version} is immutable."
        return service_error(409, "UserError", message)
    reserve_version(store, f"data {name}", version)
    data = {"isAnonymous": False, "isArchived": False, **requested, "name": name, "version": version}
    return json_response(_data(store.put("data", f"{name}\n{version}", data)), 200 if known else 201)


async def _list_data(request: Request) -> Response:
    newest = {data["name"]: data for data in get_store(request).all("data")}
    value = [
        resource_manager.resource(
            f"data/{name}", "data", {"dataType": data["dataType"], "latestVersion": data["version"]}
        )
        for name, data in newest.items()
    ]
    return json_response({"value": value})


def _code(code: Document) -> Document:
    return resource_manager.resource(f"codes/{code['name']}/versions/{code['version']}", "codes/versions", code)


async def _put_code(request: Request) -> Response:
    name, version = _name_and_version(request)
    code = {**(await request.json())["properties"], "name": name, "version": version, "provisioningState": "Succeeded"}
    return json_response(_code(get_store(request).put("code", f"{name}\n{version}", code)), 201)


async def _list_codes(request: Request) -> Response:
    codes = get_store(request).all("code", f"{request.path_params['name']}\n")
    digest = request.query_params.get("hash")
    return json_response({"value": [_code(code) for code in codes if _hash(code) == digest]})


def _hash(code: Document) -> Any:
    return (code.get("properties") or {}).get("hash_sha256")


async def _upload(request: Request) -> Response:
    """Create a container for one version of code; return its signed address."""
    name, version = _name_and_version(request)
    container = f"code-{name}-{version}".lower()[:63]
    reference = {
        "blobUri": f"https://{addresses.BLOB_HOST}/{container}",
        "storageAccountArmId": "emulator",
        "credential": {"credentialType": "SAS", "sasUri": get_emulator(request).tokens.container_address(container)},
    }
    return json_response({"blobReferenceForConsumption": reference, "pendingUploadType": "TemporaryBlobReference"})


def _name_and_version(request: Request) -> tuple[str, str]:
    return request.path_params["name"], request.path_params["version"]


def _routes(plural: str, kind: str, separator: str, render: Callable[[Store, Document], Document]) -> list[Route]:
    """Return the routes that models, environments and code share: a version, the versions, their container."""

    async def get(request: Request) -> Response:
        asset = get_store(request).get(kind, separator.join(_name_and_version(request)))
        return json_response(render(get_store(request), asset)) if asset else resource_manager.not_found(request)

    async def list_versions(request: Request) -> Response:
        assets = get_store(request).all(kind, f"{request.path_params['name']}{separator}")[::-1]
        return json_response({"value": [render(get_store(request), asset) for asset in assets]})

    async def container(request: Request) -> Response:
        name = request.path_params["name"]
        assets = get_store(request).all(kind, f"{name}{separator}")
        if not assets:
            return resource_manager.not_found(request)
        latest, following = str(assets[-1]["version"]), str(last_version(get_store(request), f"{kind} {name}") + 1)
        properties = {"latestVersion": latest, "nextVersion": following, "isArchived": False, "tags": {}}
        properties |= {"dataType": assets[-1]["dataType"]} if kind == "data" else {}
        return json_response(resource_manager.resource(f"{plural}/{name}", plural, properties))

    base = f"{resource_manager.WORKSPACE}/{plural}/{{name}}"
    versions = [Route(f"{base}/versions/{{version}}", get), Route(base, container)]
    return [*versions, *([] if kind == "code" else [Route(f"{base}/versions", list_versions)])]


_CODES = f"{resource_manager.WORKSPACE}/codes/{{name}}/versions"
routes = [
    Route(f"{resource_manager.WORKSPACE}/models/{{name}}/versions/{{version}}", _put_model, methods=["PUT"]),
    Route(
        f"{resource_manager.WORKSPACE}/environments/{{name}}/versions/{{version}}", _put_environment, methods=["PUT"]
    ),
    Route(f"{resource_manager.WORKSPACE}/data", _list_data),
    Route(f"{resource_manager.WORKSPACE}/data/{{name}}/versions/{{version}}", _put_data, methods=["PUT"]),
    Route(f"{_CODES}/{{version}}", _put_code, methods=["PUT"]),
    Route(f"{_CODES}/{{version}}/startPendingUpload", _upload, methods=["POST"]),
    Route(_CODES, _list_codes),
    *_routes("models", "model", ":", _model),
    *_routes("environments", "environment", "\n", lambda _, environment: _environment(environment)),
    *_routes("codes", "code", "\n", lambda _, code: _code(code)),
    *_routes("data", "data", "\n", lambda _, data: _data(data)),
]
