"""The model registry: assets (which artifacts) and models (a name, a version, an asset)."""

from __future__ import annotations

import uuid
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from azure_emulator.common import addresses
from azure_emulator.common.responses import get_store, json_response, management_error
from azure_emulator.common.store import Document, Store, now

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


def register(store: Store, fields: Document, wanted: str = "") -> Document:
    """Register the next version of a model, or the version ``wanted``."""
    name = fields["name"]
    version = wanted or store.next_number(f"model {name}")
    reserve_version(store, f"model {name}", wanted)
    model = dict.fromkeys(_OPTIONAL) | {key: fields.get(key) for key in _OPTIONAL}
    model |= {
        "id": f"{name}:{version}",
        "name": name,
        "version": version,
        "url": fields["url"],
        "mimeType": fields.get("mimeType") or "application/json",
        "unpack": bool(fields.get("unpack")),
        "kvTags": fields.get("kvTags") or {},
        "properties": fields.get("properties") or {},
        "datasets": fields.get("datasets") or [],
        "derivedModelIds": [],
        "createdTime": now(),
        "modifiedTime": now(),
        "createdBy": CREATED_BY,
    }
    return store.put("model", f"{name}:{version}", model)


def last_version(store: Store, name: str) -> int:
    """Return the last version of ``name``, or 0."""
    return int((store.get("number", name) or {"last": 0})["last"])


def reserve_version(store: Store, name: str, wanted: str) -> None:
    """Continue after the version ``wanted`` that a client of SDK v2 chose, if it is a number."""
    if wanted.isdigit() and int(wanted) > last_version(store, name):
        store.put("number", name, {"last": int(wanted)})


def create_asset(store: Store, fields: Document) -> Document:
    """Register a set of artifacts, for a model to refer to."""
    asset_id = uuid.uuid4().hex
    return store.put("asset", asset_id, fields | {"id": asset_id, "createdTime": now()})


def versions(store: Store, name: str | None = None) -> list[Document]:
    """Return the models, newest first."""
    prefix = f"{name}:" if name else ""
    return store.all("model", prefix)[::-1]


def services_using(store: Store, model_id: str) -> list[str]:
    """Return the services that serve this model."""
    return [
        service["name"]
        for service in store.all("service")
        if model_id in service["environmentImageRequest"]["modelIds"]
    ]


async def _create_asset(request: Request) -> Response:
    return json_response(create_asset(get_store(request), await request.json()))


async def _get_asset(request: Request) -> Response:
    asset = get_store(request).get("asset", request.path_params["asset"])
    return json_response(asset) if asset else management_error(404, "NotFound", "Asset not found")


async def _list_assets(request: Request) -> Response:
    run = request.query_params.get("runId")
    assets = [asset for asset in get_store(request).all("asset") if run is None or asset.get("runid") == run]
    return json_response({"value": assets})


async def _register(request: Request) -> Response:
    return json_response(register(get_store(request), await request.json()))


async def _list(request: Request) -> Response:
    query = request.query_params
    matching = [model for model in versions(get_store(request), query.get("name")) if _matches(model, query)]
    if query.get("latestVersionOnly", "").lower() == "true":
        matching = list({model["name"]: model for model in matching[::-1]}.values())[::-1]
    skip, count = int(query.get("$skipToken") or 0), int(query.get("count") or 100)
    page: Document = {"value": matching[skip : skip + count]}
    # with count=1, for the newest one, a client that followed the link would read them all
    if len(matching) > skip + count and count > 1:
        page["nextLink"] = str(
            request.url.include_query_params(**{"$skipToken": skip + count}).replace(path=_full_path(request))
        )
    return json_response(page)


def _full_path(request: Request) -> str:
    return request.url.path.replace("/v1.0/", f"/v1.0{addresses.WORKSPACE_PATH}/")


def _matches(model: Document, query: Any) -> bool:
    wanted = {"framework": query.get("framework"), "runId": query.get("runId")}
    if any(value and model[key] != value for key, value in wanted.items()):
        return False
    return _has_pairs(model["kvTags"], query.get("tags")) and _has_pairs(model["properties"], query.get("properties"))


def _has_pairs(pairs: Document, wanted: str | None) -> bool:
    """Return whether the pairs match ``wanted``: a list of ``key`` or ``key=value``, separated by commas."""
    for condition in filter(None, (wanted or "").split(",")):
        key, equals, value = condition.partition("=")
        if key not in pairs or (equals and str(pairs[key]) != value):
            return False
    return True


async def _get(request: Request) -> Response:
    model = get_store(request).get("model", request.path_params["model"])
    return json_response(model) if model else _not_found(request)


async def _patch(request: Request) -> Response:
    model = get_store(request).get("model", request.path_params["model"])
    if model is None:
        return _not_found(request)
    patch(model, await request.json())
    model["modifiedTime"] = now()
    return json_response(get_store(request).put("model", model["id"], model))


async def _delete(request: Request) -> Response:
    model_id = request.path_params["model"]
    if used := services_using(get_store(request), model_id):
        return management_error(
            412, "PreconditionFailed", f"Model {model_id} is used by the services {', '.join(used)}"
        )
    return Response(status_code=200 if get_store(request).delete("model", model_id) else 204)


def _not_found(request: Request) -> Response:
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
