"""The environment registry: a definition by name and version; the same definition again is the same version."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from azure_emulator.common.responses import answer, service_error, store
from azure_emulator.common.store import Document


async def _register(request: Request) -> Response:
    name = request.path_params["name"]
    given = {key[:1].lower() + key[1:]: value for key, value in (await request.json()).items()} | {"name": name}
    known = _versions(request, name)
    wanted = request.path_params.get("version")
    for version in known:
        if _definition(version) == _definition(given) and wanted in {None, version["version"]}:
            return answer(version)
    number = wanted or str(store(request).number(f"environment {name}"))
    return answer(store(request).put("environment", f"{name}\n{number}", given | {"version": number}))


def _definition(environment: Document) -> Document:
    return {key: value for key, value in environment.items() if key != "version"}


async def _get(request: Request) -> Response:
    name, wanted = request.path_params["name"], request.path_params.get("version")
    found = [one for one in _versions(request, name) if wanted in {None, one["version"]}]
    if not found:
        return service_error(404, "UserError", f"Environment {name} version {wanted or 'latest'} was not found.")
    return answer(found[-1])


async def _list(request: Request) -> Response:
    newest = {one["name"]: one for one in store(request).all("environment")}
    return answer({"value": list(newest.values())})


async def _label(request: Request) -> Response:
    return await _get(request)  # "latest" is the only label here


def _versions(request: Request, name: str) -> list[Document]:
    return store(request).all("environment", f"{name}\n")


_BASE = "/environment/v1.0/environments"
routes = [
    Route(f"{_BASE}/", _list),
    Route(f"{_BASE}/{{name}}", _register, methods=["PUT"]),
    Route(f"{_BASE}/{{name}}", _get),
    Route(f"{_BASE}/{{name}}/versions/{{version}}", _register, methods=["PUT"]),
    Route(f"{_BASE}/{{name}}/versions/{{version}}", _get),
    Route(f"{_BASE}/{{name}}/labels/{{label}}", _label),
]
