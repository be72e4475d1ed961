"""Web services on container instances: validate, create, look up, keys, logs, update and delete."""

from __future__ import annotations

import asyncio
import shutil
from secrets import token_urlsafe

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from azure_emulator.common.addresses import LOCATION
from azure_emulator.common.errors import service_exists
from azure_emulator.common.responses import (
    EmulatorState,
    failure_response,
    get_emulator,
    get_store,
    json_response,
    management_error,
)
from azure_emulator.common.store import Document, now
from azure_emulator.containers import process
from azure_emulator.containers.instance import Instance
from azure_emulator.registry.models import CREATED_BY, patch
from azure_emulator.serving import operations
from azure_emulator.serving.aci_deployment import begin, cancel, instance_folder
from azure_emulator.serving.launch import free_port
from azure_emulator.serving.limits import resources, validate_name, validate_size

_OPTIONAL = (
    "description",
    "appInsightsEnabled",
    "cname",
    "sslCertificate",
    "sslKey",
    "dnsNameLabel",
    "vnetConfiguration",
)
_RESTARTS = {"environmentImageRequest", "authEnabled", "containerResourceRequirements"}


async def _create(request: Request) -> Response:
    emulator, body = get_emulator(request), await request.json()
    name = body["name"]
    previous = emulator.store.get("service", name)
    if previous and not body.get("overwrite"):
        return failure_response(service_exists(name))
    if problem := validate_name(name) or validate_size(body):
        return management_error(400, "BadRequest", problem)
    service = dict.fromkeys(_OPTIONAL) | {key: body.get(key) for key in _OPTIONAL}
    port = previous["port"] if previous else free_port()
    service |= {
        "id": name,
        "name": name,
        "computeType": "ACI",
        "createdTime": previous["createdTime"] if previous else now(),
        "updatedTime": now(),
        "createdBy": CREATED_BY,
        "kvTags": body.get("kvTags") or {},
        "properties": body.get("properties") or {},
        "location": body.get("location") or LOCATION,
        "authEnabled": bool(body.get("authEnabled")),
        "sslEnabled": bool(body.get("sslEnabled")),
        "appInsightsEnabled": bool(body.get("appInsightsEnabled")),
        "containerResourceRequirements": resources(body),
        "environmentImageRequest": {"modelIds": [], "assets": []} | (body.get("environmentImageRequest") or {}),
        "publicIp": "127.0.0.1",
        "port": port,
        "scoringUri": f"http://127.0.0.1:{port}/score",
        "swaggerUri": f"http://127.0.0.1:{port}/swagger.json",
        "keys": _keys(body.get("keys") or {}),
    }
    if previous:
        await cancel(emulator, previous)
    return operations.accepted(begin(emulator, service), _render(emulator, service))


def _keys(chosen: Document) -> Document:
    return {name: chosen.get(name) or token_urlsafe(24) for name in ("primaryKey", "secondaryKey")}


def _render(emulator: EmulatorState, service: Document) -> Document:
    """Return the service without its keys, and with its models in full."""
    models = [emulator.store.get("model", model_id) for model_id in service["environmentImageRequest"]["modelIds"]]
    public = {key: value for key, value in service.items() if key not in {"keys", "port", "sslKey"}}
    return public | {
        "state": _current_state(emulator, service),
        "sslKey": "",
        "models": [model for model in models if model],
    }


def _current_state(emulator: EmulatorState, service: Document) -> str:
    """Return the recorded state, or Unhealthy if the container has failed since."""
    instance = Instance(instance_folder(emulator, service["name"]))
    if service["state"] == "Healthy" and not (process.find(instance.folder) and instance.state.state == "Healthy"):
        return "Unhealthy"
    return str(service["state"])


async def _get(request: Request) -> Response:
    service = _find(request)
    return json_response(_render(get_emulator(request), service)) if service else _not_found(request)


async def _list(request: Request) -> Response:
    emulator, query = get_emulator(request), request.query_params
    services = [_render(emulator, service) for service in emulator.store.all("service")]
    if query.get("modelId"):
        services = [service for service in services if query["modelId"] in {model["id"] for model in service["models"]}]
    if query.get("computeType", "ACI").upper() != "ACI":
        services = []
    return json_response({"value": services})


async def _update(request: Request) -> Response:
    service, emulator = _find(request), get_emulator(request)
    if service is None:
        return _not_found(request)
    steps = await request.json()
    patch(service, steps)
    if _RESTARTS & {step["path"].split("/")[1] for step in steps}:
        await cancel(emulator, service)
        return operations.accepted(begin(emulator, service), _render(emulator, service))
    operation = operations.begin(emulator.store, service["name"], "DeployService")
    operations.finish(emulator.store, operation)
    service |= {"operationId": operation["id"], "updatedTime": now()}
    return json_response(_render(emulator, emulator.store.put("service", service["name"], service)))


async def _delete(request: Request) -> Response:
    service, emulator = _find(request), get_emulator(request)
    if service is None:
        return Response(status_code=204)
    name = service["name"]
    await cancel(emulator, service)
    folder = instance_folder(emulator, name)
    await asyncio.to_thread(process.stop, folder)
    shutil.rmtree(folder, ignore_errors=True)
    emulator.store.delete("service", name)
    return json_response({})


async def _list_keys(request: Request) -> Response:
    service = _find(request)
    return json_response(service["keys"]) if service else _not_found(request)


async def _regenerate(request: Request) -> Response:
    service, emulator = _find(request), get_emulator(request)
    if service is None:
        return _not_found(request)
    body = await request.json()
    service["keys"][f"{body['keyType'].lower()}Key"] = body.get("keyValue") or token_urlsafe(24)
    emulator.store.put("service", service["name"], service)
    folder = instance_folder(emulator, service["name"])
    if folder.exists():
        Instance(folder).write("keys.json", service["keys"])
    operation = operations.begin(emulator.store, service["name"], "UpdateKeys")
    operations.finish(emulator.store, operation)
    return operations.accepted(operation)


async def _logs(request: Request) -> Response:
    service = _find(request)
    if service is None:
        return _not_found(request)
    log = Instance(instance_folder(get_emulator(request), service["name"])).read_log()
    lines = log.splitlines(keepends=True)
    return json_response({"content": "".join(lines[-int(request.query_params.get("tail") or 5000) :])})


async def _validate(request: Request) -> Response:
    """Validate a request; errors have status 200, as the SDK ignores every other one."""
    body = await request.json()
    name = body.get("serviceName") or request.path_params.get("service")
    requested = body.get("createRequest") or body
    problem = (name and validate_name(name)) or validate_size(requested)
    if not problem and "service" in request.path_params and get_store(request).get("service", str(name)):
        problem = f"Service {name} with the same name already exists, please use a different service name or delete the existing service."
    return json_response({"error": {"code": "ValidationError", "message": problem}} if problem else {})


def _find(request: Request) -> Document | None:
    return get_store(request).get("service", request.path_params["service"])


def _not_found(request: Request) -> Response:
    return management_error(404, "ServiceNotFound", f"Service {request.path_params['service']} was not found")


_BASE = "/modelmanagement/v1.0/services"
routes = [
    Route(f"{_BASE}/validate/name/{{service}}", _validate, methods=["POST"]),
    Route(f"{_BASE}/validate/resource", _validate, methods=["POST"]),
    Route(f"{_BASE}/validate", _validate, methods=["POST"]),
    Route(_BASE, _create, methods=["POST"]),
    Route(_BASE, _list),
    Route(f"{_BASE}/{{service}}/listkeys", _list_keys, methods=["POST"]),
    Route(f"{_BASE}/{{service}}/regenerateKeys", _regenerate, methods=["POST"]),
    Route(f"{_BASE}/{{service}}/logs", _logs),
    Route(f"{_BASE}/{{service}}", _get),
    Route(f"{_BASE}/{{service}}", _update, methods=["PATCH"]),
    Route(f"{_BASE}/{{service}}", _delete, methods=["DELETE"]),
]
