"""The deployments of an online endpoint, blue and green: create, look up, log, delete."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from azure_emulator.common import addresses
from azure_emulator.common.responses import answer, service_error, store, world
from azure_emulator.common.store import Document
from azure_emulator.containers.instance import Instance
from azure_emulator.management import resource_manager
from azure_emulator.serving import rollout
from azure_emulator.serving.aci_deployment import free_port
from azure_emulator.serving.limits import problem_with_name

# What a deployment has that asks for nothing else: on machines of Azure's, and on Kubernetes
_MANAGED = {"scaleSettings": {"scaleType": "Default"}}
_KUBERNETES = {
    "scaleSettings": {
        "scaleType": "TargetUtilization",
        "minInstances": 1,
        "maxInstances": 1,
        "pollingInterval": "PT1S",
        "targetUtilizationPercentage": 70,
    },
    "containerResourceRequirements": {
        "containerResourceRequests": {"cpu": "100m", "memory": "2Gi"},
        "containerResourceLimits": {"cpu": "2", "memory": "2Gi"},
    },
}


async def _put(request: Request) -> Response:
    here, given = world(request), await request.json()
    endpoint, name = request.path_params["endpoint"], request.path_params["name"]
    above = here.store.get("endpoint", endpoint)
    if above is None:
        return service_error(404, "ResourceNotFound", f"The Resource 'onlineEndpoints/{endpoint}' was not found.")
    if problem := problem_with_name(name):
        return service_error(400, "UserError", problem)
    on_kubernetes = bool(above["properties"].get("compute"))
    if given["properties"]["endpointComputeType"] != ("Kubernetes" if on_kubernetes else "Managed"):
        return service_error(400, "UserError", "The endpoint and the deployment are not of the same kind.")
    before = here.store.get("deployment", rollout.key(endpoint, name))
    if before:
        await rollout.give_up(here, before)
    deployment = {
        "endpoint": endpoint,
        "name": name,
        "tags": given.get("tags") or {},
        "sku": given.get("sku") or {"name": "Default", "capacity": 1},
        "properties": {
            **(_KUBERNETES if on_kubernetes else _MANAGED),
            **_given(given["properties"]),
            "provisioningState": "Creating",
        },
        "port": before["port"] if before else free_port(),
    }
    number = rollout.begin(here, deployment)
    return resource_manager.accepted(number, _shown(deployment))


def _given(properties: Document) -> Document:
    return {name: value for name, value in properties.items() if value is not None}


def _shown(deployment: Document) -> Document:
    path = f"onlineEndpoints/{deployment['endpoint']}/deployments/{deployment['name']}"
    kind = "Managed" if deployment["properties"]["endpointComputeType"] == "Managed" else "K8S"
    more = {"tags": deployment["tags"], "sku": deployment["sku"], "location": addresses.LOCATION, "kind": kind}
    return resource_manager.resource(path, "onlineEndpoints/deployments", deployment["properties"], **more)


async def _get(request: Request) -> Response:
    found = _find(request)
    return answer(_shown(found)) if found else resource_manager.missing(request)


async def _list(request: Request) -> Response:
    endpoint = request.path_params["endpoint"]
    if store(request).get("endpoint", endpoint) is None:
        return resource_manager.missing(request)
    return answer({"value": [_shown(one) for one in rollout.deployments(store(request), endpoint)]})


async def _delete(request: Request) -> Response:
    deployment, here = _find(request), world(request)
    if deployment is None:
        return Response(status_code=204)
    endpoint = here.store.get("endpoint", deployment["endpoint"])
    shares = endpoint["properties"] if endpoint else {"traffic": {}, "mirrorTraffic": {}}
    if shares["traffic"].get(deployment["name"]) or shares["mirrorTraffic"].get(deployment["name"]):
        return service_error(400, "UserError", "A deployment that has traffic cannot be deleted.")
    number = resource_manager.begin(here.store)
    await rollout.end(here, deployment)
    resource_manager.finish(here.store, number)
    return resource_manager.accepted(number)


async def _logs(request: Request) -> Response:
    deployment = _find(request)
    if deployment is None:
        return resource_manager.missing(request)
    given = await request.json()
    log = Instance(rollout.instance_folder(world(request), deployment)).read_log()
    lines = log.splitlines(keepends=True)
    return answer({"content": "".join(lines[-int(given.get("tail") or 5000) :])})


def _find(request: Request) -> Document | None:
    return store(request).get("deployment", rollout.key(request.path_params["endpoint"], request.path_params["name"]))


_BASE = f"{resource_manager.WORKSPACE}/onlineEndpoints/{{endpoint}}/deployments"
routes = [
    Route(_BASE, _list),
    Route(f"{_BASE}/{{name}}", _put, methods=["PUT"]),
    Route(f"{_BASE}/{{name}}", _get),
    Route(f"{_BASE}/{{name}}", _delete, methods=["DELETE"]),
    Route(f"{_BASE}/{{name}}/getLogs", _logs, methods=["POST"]),
]
