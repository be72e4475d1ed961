"""Online endpoints, managed or on Kubernetes: the address, its keys, and which share of the traffic goes where."""

from __future__ import annotations

import asyncio
import shutil
from secrets import token_urlsafe

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from azure_emulator.common import addresses
from azure_emulator.common.responses import EmulatorState, answer, service_error, store, world
from azure_emulator.common.store import Document
from azure_emulator.containers import process
from azure_emulator.containers.instance import Instance
from azure_emulator.management import computes, resource_manager
from azure_emulator.serving import rollout
from azure_emulator.serving.aci_deployment import free_port
from azure_emulator.serving.limits import problem_with_name

_AUTH_MODES = {"key": "Key", "amltoken": "AMLToken"}
_TOKEN_SECONDS = 3600
_MOST_MIRRORED = 50  # percent


async def _put(request: Request) -> Response:
    here, given, name = world(request), await request.json(), request.path_params["endpoint"]
    properties = given["properties"]
    before = here.store.get("endpoint", name)
    if problem := _problem(here, name, properties) or _problem_with_compute(here, before, properties.get("compute")):
        return service_error(400, "UserError", problem)
    auth = _AUTH_MODES[properties["authMode"].lower()]
    port = before["port"] if before else free_port()
    address = f"http://127.0.0.1:{port}"
    kept = {
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
    keys = before["keys"] if before else {"primaryKey": token_urlsafe(24), "secondaryKey": token_urlsafe(24)}
    endpoint = {"name": name, "tags": given.get("tags") or {}, "properties": kept, "keys": keys, "port": port}
    here.store.put("endpoint", name, endpoint)
    rollout.open_entrance(here, endpoint)
    number = resource_manager.begin(here.store)
    resource_manager.finish(here.store, number)
    return resource_manager.accepted(number, _shown(endpoint) if before else _creating(endpoint))


def _problem(here: EmulatorState, name: str, properties: Document) -> str | None:
    if properties["authMode"].lower() not in _AUTH_MODES:
        return f"The auth mode {properties['authMode']} is not imitated."
    traffic, mirror = properties.get("traffic") or {}, properties.get("mirrorTraffic") or {}
    there = {one["name"] for one in rollout.deployments(here.store, name)}
    if unknown := {*traffic, *mirror} - there:
        return f"Traffic names deployments that are not there: {', '.join(sorted(unknown))}."
    if sum(traffic.values()) not in {0, 100}:
        return "The sum of the traffic should be 0 or 100."
    return _problem_with_mirror(traffic, mirror, on_kubernetes=bool(properties.get("compute"))) or problem_with_name(
        name
    )


def _problem_with_mirror(traffic: Document, mirror: Document, *, on_kubernetes: bool) -> str | None:
    if mirror and on_kubernetes:
        return "Mirrored traffic is not supported for Kubernetes online endpoints."
    if len(mirror) > 1 or sum(mirror.values()) > _MOST_MIRRORED:
        return f"Traffic can be mirrored to one deployment, and at most {_MOST_MIRRORED} percent of it."
    if both := [name for name in mirror if traffic.get(name)]:
        return f"The deployment {both[0]} can receive live traffic or mirrored traffic, not both."
    return None


def _problem_with_compute(here: EmulatorState, before: Document | None, wanted: str | None) -> str | None:
    """Why an endpoint cannot stand there: an endpoint does not move."""
    if before and (before["properties"].get("compute") or "").lower() != (wanted or "").lower():
        return "The compute of an endpoint cannot be changed."
    if wanted is None:
        return None
    found = computes.find(here.store, wanted)
    if found is None or found["properties"]["computeType"] != computes.KUBERNETES:
        return f"The compute {wanted} is no Kubernetes compute of this workspace."
    return None


def _creating(endpoint: Document) -> Document:
    shown = _shown(endpoint)
    return shown | {"properties": shown["properties"] | {"provisioningState": "Creating"}}


def _shown(endpoint: Document) -> Document:
    identity = {"type": "SystemAssigned", "principalId": addresses.CLIENT, "tenantId": addresses.TENANT}
    more = {"tags": endpoint["tags"], "location": addresses.LOCATION, "kind": kind(endpoint), "identity": identity}
    return resource_manager.resource(
        f"onlineEndpoints/{endpoint['name']}", "onlineEndpoints", endpoint["properties"], **more
    )


def kind(endpoint: Document) -> str:
    """Return how Azure calls what the endpoint stands on."""
    return "K8S" if endpoint["properties"].get("compute") else "Managed"


async def _get(request: Request) -> Response:
    found = _find(request)
    return answer(_shown(found)) if found else resource_manager.missing(request)


async def _list(request: Request) -> Response:
    return answer({"value": [_shown(one) for one in store(request).all("endpoint")]})


async def _delete(request: Request) -> Response:
    endpoint, here = _find(request), world(request)
    if endpoint is None:
        return Response(status_code=204)
    name = endpoint["name"]
    here.store.delete("endpoint", name)
    number = resource_manager.begin(here.store)
    for deployment in rollout.deployments(here.store, name):
        await rollout.end(here, deployment)
    folder = rollout.endpoint_folder(here, name)
    await asyncio.to_thread(process.stop, folder)
    shutil.rmtree(folder, ignore_errors=True)
    resource_manager.finish(here.store, number)
    return resource_manager.accepted(number)


async def _keys(request: Request) -> Response:
    endpoint = _find(request)
    return answer(endpoint["keys"]) if endpoint else resource_manager.missing(request)


async def _regenerate(request: Request) -> Response:
    endpoint, here = _find(request), world(request)
    if endpoint is None:
        return resource_manager.missing(request)
    given = await request.json()
    endpoint["keys"][f"{given['keyType'].lower()}Key"] = given.get("keyValue") or token_urlsafe(24)
    here.store.put("endpoint", endpoint["name"], endpoint)
    Instance(rollout.endpoint_folder(here, endpoint["name"])).write("keys.json", endpoint["keys"])
    number = resource_manager.begin(here.store)
    resource_manager.finish(here.store, number)
    return resource_manager.accepted(number)


async def _token(request: Request) -> Response:
    endpoint = _find(request)
    if endpoint is None:
        return resource_manager.missing(request)
    token = world(request).tokens.token(endpoint["name"], _TOKEN_SECONDS)
    times = {"expiryTimeUtc": 0, "refreshAfterTimeUtc": 0}
    return answer({"accessToken": token, "tokenType": "Bearer", **times})


def _find(request: Request) -> Document | None:
    return store(request).get("endpoint", request.path_params["endpoint"])


_BASE = f"{resource_manager.WORKSPACE}/onlineEndpoints"
routes = [
    Route(_BASE, _list),
    Route(f"{_BASE}/{{endpoint}}", _put, methods=["PUT"]),
    Route(f"{_BASE}/{{endpoint}}", _get),
    Route(f"{_BASE}/{{endpoint}}", _delete, methods=["DELETE"]),
    Route(f"{_BASE}/{{endpoint}}/listKeys", _keys, methods=["POST"]),
    Route(f"{_BASE}/{{endpoint}}/regenerateKeys", _regenerate, methods=["POST"]),
    Route(f"{_BASE}/{{endpoint}}/token", _token, methods=["POST"]),
]
