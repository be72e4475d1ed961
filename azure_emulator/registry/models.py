"""The model registry: assets (which artifacts), models (a name, a version, an asset), and the files of a model."""

from __future__ import annotations

import uuid
from pathlib import PurePosixPath
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from azure_emulator.common import addresses
from azure_emulator.common.responses import EmulatorState, answer, management_error, store
from azure_emulator.common.store import Document, Store, now
from azure_emulator.storage.artifacts import under

CREATED_BY = {
    "userObjectId": addresses.CLIENT,
    "userTenantId": addresses.TENANT,
    "userName": "emulator",
    "userPuId": None,
    "userIdp": None,
    "userAltSecId": None,
    "userIss": None,
}
_OPTIONAL = (
    "description",
    "framework",
    "frameworkVersion",
    "experimentName",
    "runId",
    "sampleInputData",
    "sampleOutputData",
    "resourceRequirements",
    "parentModelId",
)


def register(store: Store, given: Document, wanted: str = "") -> Document:
    """The next version of ``given["name"]``, or the one that is ``wanted``."""
    name = given["name"]
    version = wanted or store.number(f"model {name}")
    take_number(store, f"model {name}", wanted)
    model = dict.fromkeys(_OPTIONAL) | {key: given.get(key) for key in _OPTIONAL}
    model |= {
        "id": f"{name}:{version}",
        "name": name,
        "version": version,
        "url": given["url"],
        "mimeType": given.get("mimeType") or "application/json",
        "unpack": bool(given.get("unpack")),
        "kvTags": given.get("kvTags") or {},
        "properties": given.get("properties") or {},
        "datasets": given.get("datasets") or [],
        "derivedModelIds": [],
        "createdTime": now(),
        "modifiedTime": now(),
        "createdBy": CREATED_BY,
    }
    return store.put("model", f"{name}:{version}", model)


def number_taken(store: Store, name: str) -> int:
    """The last number that was given out for ``name``; 0: none yet."""
    return int((store.get("number", name) or {"last": 0})["last"])


def take_number(store: Store, name: str, wanted: str) -> None:
    """Give out no number up to ``wanted``, if that is one: a client of the second SDK chose it itself."""
    if wanted.isdigit() and int(wanted) > number_taken(store, name):
        store.put("number", name, {"last": int(wanted)})


def create_asset(store: Store, given: Document) -> Document:
    """Name a set of artifacts, so that a model can point to it."""
    asset_id = uuid.uuid4().hex
    return store.put("asset", asset_id, given | {"id": asset_id, "createdTime": now()})


def versions(store: Store, name: str | None = None) -> list[Document]:
    """The models there are, newest first."""
    prefix = f"{name}:" if name else ""
    return store.all("model", prefix)[::-1]


def files(here: EmulatorState, model: Document) -> dict[str, str]:
    """Path below the model's folder -> artifact: a registered file or folder keeps its own name, as in Azure."""
    asset = here.store.get("asset", model["url"].removeprefix("aml://asset/")) or {"artifacts": []}
    found = {}
    for prefix in [one["prefix"].strip("/") for one in asset["artifacts"]]:
        parent = str(PurePosixPath(prefix).parent)
        for artifact in under(here, prefix):
            found[artifact["artifactId"].removeprefix(f"{parent}/")] = artifact["artifactId"]
    return found


def is_used_by(store: Store, model_id: str) -> list[str]:
    """The services that serve this model."""
    return [one["name"] for one in store.all("service") if model_id in one["environmentImageRequest"]["modelIds"]]


async def _create_asset(request: Request) -> Response:
    return answer(create_asset(store(request), await request.json()))


async def _get_asset(request: Request) -> Response:
    asset = store(request).get("asset", request.path_params["asset"])
    return answer(asset) if asset else management_error(404, "NotFound", "Asset not found")


async def _list_assets(request: Request) -> Response:
    run = request.query_params.get("runId")
    found = [one for one in store(request).all("asset") if run is None or one.get("runid") == run]
    return answer({"value": found})


async def _register(request: Request) -> Response:
    return answer(register(store(request), await request.json()))


async def _list(request: Request) -> Response:
    query = request.query_params
    found = [model for model in versions(store(request), query.get("name")) if _matches(model, query)]
    if query.get("latestVersionOnly", "").lower() == "true":
        found = list({model["name"]: model for model in found[::-1]}.values())[::-1]
    skip, count = int(query.get("$skipToken") or 0), int(query.get("count") or 100)
    page: Document = {"value": found[skip : skip + count]}
    # count=1 asks for the newest one, and a client that then followed the link would read them all
    if len(found) > skip + count and count > 1:
        page["nextLink"] = str(
            request.url.include_query_params(**{"$skipToken": skip + count}).replace(path=_whole(request))
        )
    return answer(page)


def _whole(request: Request) -> str:
    return request.url.path.replace("/v1.0/", f"/v1.0{addresses.WORKSPACE_PATH}/")


def _matches(model: Document, query: Any) -> bool:
    wanted = {"framework": query.get("framework"), "runId": query.get("runId")}
    if any(value and model[key] != value for key, value in wanted.items()):
        return False
    return _has(model["kvTags"], query.get("tags")) and _has(model["properties"], query.get("properties"))


def _has(pairs: Document, wanted: str | None) -> bool:
    """``wanted`` is ``key`` or ``key=value``, with commas between."""
    for one in filter(None, (wanted or "").split(",")):
        key, equals, value = one.partition("=")
        if key not in pairs or (equals and str(pairs[key]) != value):
            return False
    return True


async def _get(request: Request) -> Response:
    model = store(request).get("model", request.path_params["model"])
    return answer(model) if model else _missing(request)


async def _patch(request: Request) -> Response:
    model = store(request).get("model", request.path_params["model"])
    if model is None:
        return _missing(request)
    patch(model, await request.json())
    model["modifiedTime"] = now()
    return answer(store(request).put("model", model["id"], model))


async def _delete(request: Request) -> Response:
    model_id = request.path_params["model"]
    if used := is_used_by(store(request), model_id):
        return management_error(
            412, "PreconditionFailed", f"Model {model_id} is used by the services {', '.join(used)}"
        )
    return Response(status_code=200 if store(request).delete("model", model_id) else 204)


def _missing(request: Request) -> Response:
    return management_error(404, "NotFound", f"Model with id {request.path_params['model']} was not found")


def patch(document: Document, steps: list[Document]) -> None:
    """Apply a JSON patch of the kind the SDK sends: add, replace or remove, one or two levels deep."""
    for step in steps:
        *parents, last = step["path"].strip("/").split("/")
        target = document
        for parent in parents:
            if target.get(parent) is None:
                target[parent] = {}
            target = target[parent]
        if step["op"] == "remove":
            target.pop(last, None)
        else:
            target[last] = step["value"]


_BASE = "/modelmanagement/v1.0"
routes = [
    Route(f"{_BASE}/assets", _create_asset, methods=["POST"]),
    Route(f"{_BASE}/assets", _list_assets),
    Route(f"{_BASE}/assets/{{asset}}", _get_asset),
    Route(f"{_BASE}/models", _register, methods=["POST"]),
    Route(f"{_BASE}/models", _list),
    Route(f"{_BASE}/models/{{model}}", _get),
    Route(f"{_BASE}/models/{{model}}", _patch, methods=["PATCH"]),
    Route(f"{_BASE}/models/{{model}}", _delete, methods=["DELETE"]),
]
