"""Online endpoints, managed or on Kubernetes: address, keys, tokens and traffic shares."""

from __future__ import annotations

import asyncio
import shutil
from secrets import token_urlsafe

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from azure_emulator.common import addresses
from azure_emulator.common.responses import EmulatorState, get_emulator, get_store, json_response, service_error
from azure_emulator.common.store import Document
from azure_emulator.containers import process
from azure_emulator.containers.instance import Instance
from azure_emulator.management import computes, resource_manager
from azure_emulator.serving import rollout
from azure_emulator.serving.launch import free_port
from azure_emulator.serving.limits import validate_name

_AUTH_MODES = {"key": "Key", "amltoken": "AMLToken"}
_TOKEN_SECONDS = 3600
_MAX_MIRRORED = 50  # percent


async def _put(request: Request) -> Response:
    emulator, body, name = get_emulator(request), await request.json(), request.path_params["endpoint"]
    properties = body["properties"]
    previous = emulator.store.get("endpoint", name)
    if problem := _validate_traffic(emulator, name, properties) or _validate_compute(
        emulator, previous, properties.get("compute")
    ):
        return service_error(400, "UserError", problem)
    auth = _AUTH_MODES[properties["authMode"].lower()]
    port = previous["port"] if previous else free_port()
    address = f"http://127.0.0.1:{port}"
    endpoint_properties = {
        "authMode": auth,
        "traffic": properties.get("traffic") or {},
        "mirrorTraffic": properties.get("mirrorTraffic") or {},
        "compute": properties.get("compute"),
        "publicNetworkAccess": properties.get("publicNetworkAccess") or "Enabled",
        "description": properties.get("description"),
        "properties": properties.get("properties") or {},
        "scoringUri": f"{address}/score",
        "swaggerUri": f"{address}/swagger.json",
        "provisioningState": "Succeeded",
    }
    keys = previous["keys"] if previous else {"primaryKey": token_urlsafe(24), "secondaryKey": token_urlsafe(24)}
    endpoint = {
        "name": name,
        "tags": body.get("tags") or {},
        "properties": endpoint_properties,
        "keys": keys,
        "port": port,
    }
    emulator.store.put("endpoint", name, endpoint)
    rollout.configure_router(emulator, endpoint)
    return resource_manager.completed(emulator.store, _render(endpoint) if previous else _creating(endpoint))


def _validate_traffic(emulator: EmulatorState, name: str, properties: Document) -> str | None:
    if properties["authMode"].lower() not in _AUTH_MODES:
        return f"The auth mode {properties['authMode']} is not imitated."
    traffic, mirror = properties.get("traffic") or {}, properties.get("mirrorTraffic") or {}
    existing = {deployment["name"] for deployment in rollout.deployments(emulator.store, name)}
    if unknown := {*traffic, *mirror} - existing:
        return f"Traffic names deployments that are not there: {', '.join(sorted(unknown))}."
    if sum(traffic.values()) not in {0, 100}:
        return "The sum of the traffic should be 0 or 100."
    return _validate_mirror(traffic, mirror, on_kubernetes=bool(properties.get("compute"))) or validate_name(name)


def _validate_mirror(traffic: Document, mirror: Document, *, on_kubernetes: bool) -> str | None:
    if mirror and on_kubernetes:
        return "Mirrored traffic is not supported for Kubernetes online endpoints."
    if len(mirror) > 1 or sum(mirror.values()) > _MAX_MIRRORED:
        return f"Traffic can be mirrored to one deployment, and at most {_MAX_MIRRORED} percent of it."
    if live_and_mirrored := [name for name in mirror if traffic.get(name)]:
        return f"The deployment {live_and_mirrored[0]} can receive live traffic or mirrored traffic, not both."
    return None


def _validate_compute(emulator: EmulatorState, previous: Document | None, requested: str | None) -> str | None:
    """Return the problem with the requested compute, or None: an endpoint cannot move to another one."""
    if previous and (previous["properties"].get("compute") or "").lower() != (requested or "").lower():
        return "The compute of an endpoint cannot be changed."
    if requested is None:
        return None
    compute = computes.find(emulator.store, requested)
    if compute is None or compute["properties"]["computeType"] != computes.KUBERNETES:
        return f"The compute {requested} is no Kubernetes compute of this workspace."
    return None


def _creating(endpoint: Document) -> Document:
    document = _render(endpoint)
    return document | {"properties": document["properties"] | {"provisioningState": "Creating"}}


def _render(endpoint: Document) -> Document:
    identity = {"type": "SystemAssigned", "principalId": addresses.CLIENT, "tenantId": addresses.TENANT}
    more = {"tags": endpoint["tags"], "location": addresses.LOCATION, "kind": kind(endpoint), "identity": identity}
    return resource_manager.resource(
        f"onlineEndpoints/{endpoint['name']}", "onlineEndpoints", endpoint["properties"], **more
    )


def kind(endpoint: Document) -> str:
    """Return Azure's name for the kind of the endpoint."""
    return "K8S" if endpoint["properties"].get("compute") else "Managed"


async def _get(request: Request) -> Response:
    endpoint = _find(request)
    return json_response(_render(endpoint)) if endpoint else resource_manager.not_found(request)


async def _list(request: Request) -> Response:
    return json_response({"value": [_render(endpoint) for endpoint in get_store(request).all("endpoint")]})


async def _delete(request: Request) -> Response:
    endpoint, emulator = _find(request), get_emulator(request)
    if endpoint is None:
        return Response(status_code=204)
    name = endpoint["name"]
    emulator.store.delete("endpoint", name)
    for deployment in rollout.deployments(emulator.store, name):
        await rollout.delete(emulator, deployment)
    folder = rollout.endpoint_folder(emulator, name)
    await asyncio.to_thread(process.stop, folder)
    shutil.rmtree(folder, ignore_errors=True)
    return resource_manager.completed(emulator.store)


async def _keys(request: Request) -> Response:
    endpoint = _find(request)
    return json_response(endpoint["keys"]) if endpoint else resource_manager.not_found(request)


async def _regenerate(request: Request) -> Response:
    endpoint, emulator = _find(request), get_emulator(request)
    if endpoint is None:
        return resource_manager.not_found(request)
    body = await request.json()
    endpoint["keys"][f"{body['keyType'].lower()}Key"] = body.get("keyValue") or token_urlsafe(24)
    emulator.store.put("endpoint", endpoint["name"], endpoint)
    Instance(rollout.endpoint_folder(emulator, endpoint["name"])).write("keys.json", endpoint["keys"])
    return resource_manager.completed(emulator.store)


async def _token(request: Request) -> Response:
    endpoint = _find(request)
    if endpoint is None:
        return resource_manager.not_found(request)
    token = get_emulator(request).tokens.token(endpoint["name"], _TOKEN_SECONDS)
    times = {"expiryTimeUtc": 0, "refreshAfterTimeUtc": 0}
    return json_response({"accessToken": token, "tokenType": "Bearer", **times})


def _find(request: Request) -> Document | None:
    return get_store(request).get("endpoint", request.path_params["endpoint"])


_PATH = "onlineEndpoints/{endpoint}"
_CALLS = {"listKeys": _keys, "regenerateKeys": _regenerate, "token": _token}
routes = [
    *resource_manager.resource_routes(_PATH, _list, _get, _put, _delete),
    *(Route(f"{resource_manager.WORKSPACE}/{_PATH}/{name}", call, methods=["POST"]) for name, call in _CALLS.items()),
]
