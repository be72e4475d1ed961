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
from azure_emulator.common.responses import EmulatorState, answer, management_error, refusal, store, world
from azure_emulator.common.store import Document, now
from azure_emulator.containers import process
from azure_emulator.containers.instance import Instance
from azure_emulator.registry.models import CREATED_BY, patch
from azure_emulator.serving import operations
from azure_emulator.serving.aci_deployment import begin, free_port, give_up, instance_folder
from azure_emulator.serving.limits import problem_with_name, problem_with_size, resources

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
    here, given = world(request), await request.json()
    name = given["name"]
    before = here.store.get("service", name)
    if before and not given.get("overwrite"):
        return refusal(service_exists(name))
    if problem := problem_with_name(name) or problem_with_size(given):
        return management_error(400, "BadRequest", problem)
    service = dict.fromkeys(_OPTIONAL) | {key: given.get(key) for key in _OPTIONAL}
    port = before["port"] if before else free_port()
    service |= {
        "id": name,
        "name": name,
        "computeType": "ACI",
        "createdTime": before["createdTime"] if before else now(),
        "updatedTime": now(),
        "createdBy": CREATED_BY,
        "kvTags": given.get("kvTags") or {},
        "properties": given.get("properties") or {},
        "location": given.get("location") or LOCATION,
        "authEnabled": bool(given.get("authEnabled")),
        "sslEnabled": bool(given.get("sslEnabled")),
        "appInsightsEnabled": bool(given.get("appInsightsEnabled")),
        "containerResourceRequirements": resources(given),
        "environmentImageRequest": {"modelIds": [], "assets": []} | (given.get("environmentImageRequest") or {}),
        "publicIp": "127.0.0.1",
        "port": port,
        "scoringUri": f"http://127.0.0.1:{port}/score",
        "swaggerUri": f"http://127.0.0.1:{port}/swagger.json",
        "keys": _keys(given.get("keys") or {}),
    }
    if before:
        await give_up(here, before)
    return operations.accepted(begin(here, service), _shown(here, service))


def _keys(given: Document) -> Document:
    return {name: given.get(name) or token_urlsafe(24) for name in ("primaryKey", "secondaryKey")}


def _shown(here: EmulatorState, service: Document) -> Document:
    """A service as Azure shows it: without keys, with its models in full."""
    models = [here.store.get("model", one) for one in service["environmentImageRequest"]["modelIds"]]
    shown = {key: value for key, value in service.items() if key not in {"keys", "port", "sslKey"}}
    return shown | {"state": _state(here, service), "sslKey": "", "models": [model for model in models if model]}


def _state(here: EmulatorState, service: Document) -> str:
    """What was written down when it was deployed, unless the container fell over since then."""
    instance = Instance(instance_folder(here, service["name"]))
    if service["state"] == "Healthy" and not (process.find(instance.folder) and instance.state.state == "Healthy"):
        return "Unhealthy"
    return str(service["state"])


async def _get(request: Request) -> Response:
    found = _find(request)
    return answer(_shown(world(request), found)) if found else _missing(request)


async def _list(request: Request) -> Response:
    here, query = world(request), request.query_params
    shown = [_shown(here, one) for one in here.store.all("service")]
    if query.get("modelId"):
        shown = [one for one in shown if query["modelId"] in {model["id"] for model in one["models"]}]
    if query.get("computeType", "ACI").upper() != "ACI":
        shown = []
    return answer({"value": shown})


async def _update(request: Request) -> Response:
    service, here = _find(request), world(request)
    if service is None:
        return _missing(request)
    steps = await request.json()
    patch(service, steps)
    if _RESTARTS & {step["path"].split("/")[1] for step in steps}:
        await give_up(here, service)
        return operations.accepted(begin(here, service), _shown(here, service))
    operation = operations.begin(here.store, service["name"], "DeployService")
    operations.finish(here.store, operation)
    service |= {"operationId": operation["id"], "updatedTime": now()}
    return answer(_shown(here, here.store.put("service", service["name"], service)))


async def _delete(request: Request) -> Response:
    service, here = _find(request), world(request)
    if service is None:
        return Response(status_code=204)
    name = service["name"]
    await give_up(here, service)
    folder = instance_folder(here, name)
    await asyncio.to_thread(process.stop, folder)
    shutil.rmtree(folder, ignore_errors=True)
    here.store.delete("service", name)
    return answer({})


async def _list_keys(request: Request) -> Response:
    service = _find(request)
    return answer(service["keys"]) if service else _missing(request)


async def _regenerate(request: Request) -> Response:
    service, here = _find(request), world(request)
    if service is None:
        return _missing(request)
    given = await request.json()
    service["keys"][f"{given['keyType'].lower()}Key"] = given.get("keyValue") or token_urlsafe(24)
    here.store.put("service", service["name"], service)
    folder = instance_folder(here, service["name"])
    if folder.exists():
        Instance(folder).write("keys.json", service["keys"])
    operation = operations.begin(here.store, service["name"], "UpdateKeys")
    operations.finish(here.store, operation)
    return operations.accepted(operation)


async def _logs(request: Request) -> Response:
    service = _find(request)
    if service is None:
        return _missing(request)
    log = Instance(instance_folder(world(request), service["name"])).read_log()
    lines = log.splitlines(keepends=True)
    return answer({"content": "".join(lines[-int(request.query_params.get("tail") or 5000) :])})


async def _validate(request: Request) -> Response:
    """An error here is told with status 200: the SDK overlooks every other status."""
    given = await request.json()
    name = given.get("serviceName") or request.path_params.get("service")
    wanted = given.get("createRequest") or given
    problem = (name and problem_with_name(name)) or problem_with_size(wanted)
    if not problem and "service" in request.path_params and store(request).get("service", str(name)):
        problem = f"Service {name} with the same name already exists, please use a different service name or delete the existing service."
    return answer({"error": {"code": "ValidationError", "message": problem}} if problem else {})


def _find(request: Request) -> Document | None:
    return store(request).get("service", request.path_params["service"])


def _missing(request: Request) -> Response:
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
