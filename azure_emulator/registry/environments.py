"""The environment registry: definitions by name and version; registering the same definition again is idempotent."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from azure_emulator.common.responses import get_store, json_response, service_error
from azure_emulator.common.store import Document


async def _register(request: Request) -> Response:
    name = request.path_params["name"]
    requested = {key[:1].lower() + key[1:]: value for key, value in (await request.json()).items()} | {"name": name}
    versions = _versions(request, name)
    wanted = request.path_params.get("version")
    for version in versions:
        if _definition(version) == _definition(requested) and wanted in {None, version["version"]}:
            return json_response(version)
    number = wanted or str(get_store(request).next_number(f"environment {name}"))
    return json_response(get_store(request).put("environment", f"{name}\n{number}", requested | {"version": number}))


def _definition(environment: Document) -> Document:
    return {key: value for key, value in environment.items() if key != "version"}


async def _get(request: Request) -> Response:
    name, wanted = request.path_params["name"], request.path_params.get("version")
    versions = [version for version in _versions(request, name) if wanted in {None, version["version"]}]
    if not versions:
        return service_error(404, "UserError", f"Environment {name} version {wanted or 'latest'} was not found.")
    return json_response(versions[-1])


async def _list(request: Request) -> Response:
    newest = {environment["name"]: environment for environment in get_store(request).all("environment")}
    return json_response({"value": list(newest.values())})


async def _label(request: Request) -> Response:
    return await _get(request)  # "latest" is the only label here


def _versions(request: Request, name: str) -> list[Document]:
    return get_store(request).all("environment", f"{name}\n")


_BASE = "/environment/v1.0/environments"
routes = [
    Route(f"{_BASE}/", _list),
    Route(f"{_BASE}/{{name}}", _register, methods=["PUT"]),
    Route(f"{_BASE}/{{name}}", _get),
    Route(f"{_BASE}/{{name}}/versions/{{version}}", _register, methods=["PUT"]),
    Route(f"{_BASE}/{{name}}/versions/{{version}}", _get),
    Route(f"{_BASE}/{{name}}/labels/{{label}}", _label),
]
